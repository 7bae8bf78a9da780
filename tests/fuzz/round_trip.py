"""Any bytes, as any type, shape and level: compressed and decompressed they are the same.

The first bytes of the input choose; the rest are the original.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator

import codec
from codec.dtypes import DTYPES
from tests.fuzz.engine import main
from tests.hostile.forge import bf16, small_files

NAMES = sorted(DTYPES)
LEVELS = ("fast", "default", "max")


def seeds() -> Iterator[bytes]:
    for number, name in enumerate(NAMES):
        yield bytes((number, number % 3, 7)) + bf16(number, 200 if name != "F64" else 40).tobytes()
    yield bytes((255, 1, 0)) + codec.decompress(small_files()["safetensors"])
    yield bytes((NAMES.index("BF16"), 0, 4)) + bytes(300) + bf16(1, 60).tobytes()


def check(data: bytes) -> None:
    if len(data) < 3:
        return
    choice, level, columns, original = data[0], LEVELS[data[1] % 3], data[2], data[3:] * (1 + data[1] // 64)
    dtype = NAMES[choice % len(NAMES)] if choice < 250 else None
    shape = None
    if dtype and columns:
        row = DTYPES[dtype].bits * columns
        if row % 8 == 0:
            original = original[: len(original) // (row // 8) * (row // 8)]
            shape = (8 * len(original) // row, columns)
    blob = codec.compress(original, dtype, shape, level, threads=1)
    assert codec.decompress(blob, threads=1) == original
    assert len(blob) <= len(original) * 1.001 + 4096
    out = io.BytesIO()
    codec.decompress_file(io.BytesIO(blob), out)
    assert out.getvalue() == original
    if shape is not None:
        with codec.safe_open(io.BytesIO(blob)) as file:
            assert file.get_tensor("data").tobytes() == original


if __name__ == "__main__":
    sys.exit(main("round_trip"))
