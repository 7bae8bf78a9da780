"""What the encoder writes today it writes tomorrow: the same bytes for any number of threads, either kernel path, and
any position in a file. The table is in stability.json; a change of output that is meant is written there by

    python -m tests.test_stability --force

after which `git diff` shows which inputs have other bytes than before. Inputs are made of integers alone, so that they
are the same with every numpy. What zstd coded (the index, and planes of some inputs) depends on its version.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

import codec
from codec.access import BytesSource
from codec.reader import WeftFile
from tests.spec import load

o = load("originals")

TABLE = Path(__file__).with_name("stability.json")
LEVELS = ("fast", "default", "max")
#: Dtype (None: opaque), shape (None: one dimension), bytes.
Case = tuple[str | None, tuple[int, ...] | None, bytes]


def zeroed(data: bytes, width: int, mask: int, rows: np.ndarray) -> bytes:
    """Elements with bits cleared where ``rows`` says so."""
    x = np.frombuffer(data, f"<u{width}")
    return np.where(rows, x & x.dtype.type(mask), x).tobytes()


@cache
def cases() -> dict[str, Case]:
    made: dict[str, Case] = {}
    for k, dtype in enumerate(("BF16", "F16", "F32", "F64", "C64")):
        parts = 2 if dtype == "C64" else 1
        name = dtype.lower()
        made[name] = dtype, None, o.floats(dtype, 3001 * parts, 10 * k)
        made[f"{name}, rows"] = dtype, (60, 300), o.floats(dtype, 18_000 * parts, 10 * k + 3, 300 * parts)
        made[f"{name}, long rows"] = dtype, (4, 9000), o.floats(dtype, 36_000 * parts, 10 * k + 3, 9000 * parts)
        made[f"{name}, one"] = dtype, (), o.floats(dtype, parts, 10 * k + 6)
        made[f"{name}, with tail"] = dtype, None, o.floats(dtype, 999 * parts, 10 * k + 6) + b"!"
    for k, dtype in enumerate(("F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ")):
        made[dtype.lower()] = dtype, (100, 130), o.floats(dtype, 13_000, 60 + k, 130)
    for k, dtype in enumerate(("F8_E8M0", "F4", "F6_E2M3", "F6_E3M2")):
        made[dtype.lower()] = dtype, None, o.geometric(9000, 65 + k, 7)
    for k, bits in enumerate((8, 16, 32, 64)):
        made[f"i{bits}"] = f"I{bits}", (70, 100), o.steps(7000, 70 + k, bits, (40, 900, 70_000, 9_000_000)[k])
        made[f"u{bits}, constant"] = f"U{bits}", None, o.numbers([7 << bits - 5], bits) * 3000
    made["bool"] = "BOOL", None, o.steps(9000, 75, 8, 1)
    for n in (7, 8, 9, 2047, 2048, 16_383, 16_384, 65_535, 65_536):
        made[f"u8, {n}"] = "U8", None, o.geometric(n, 80)
    made["bf16, patterns"] = "BF16", None, o.shuffled(o.patterns(16), 2, 85)
    made["f32 that holds bf16"] = "F32", None, zeroed(o.floats("F32", 5000, 86), 4, 0xFFFF0000, np.True_)
    halves = np.arange(40)[:, None].repeat(256, 1).ravel() % 3 > 0
    made["f32 that holds f16 in rows"] = "F32", (40, 256), zeroed(o.floats("F32", 10_240, 87), 4, 0xFFFFE000, halves)
    pruned = np.frombuffer(o.geometric(20_000, 88), np.uint8) == 0
    made["bf16, pruned"] = "BF16", (100, 200), zeroed(o.floats("BF16", 20_000, 89), 2, 0, pruned)
    palette = np.frombuffer(o.noise(64, 104), "<u4")
    made["f32, palette"] = "F32", None, palette[np.frombuffer(o.geometric(9000, 105, 15), np.uint8)].tobytes()
    made["i64, ascending"] = "I64", None, np.cumsum(np.frombuffer(o.steps(5000, 106, 64, 30), "<u8")).tobytes()
    made["f64, one chunk and two"] = "F64", None, o.numbers([0x3FF << 52, 0xBFF << 52], 64) * 32_769
    made["bf16, outliers"] = "BF16", None, o.floats("BF16", 9000, 90) + b"\x41\x7f" * 3 + o.floats("BF16", 9000, 92)
    made["f16, zeros and nan"] = "F16", None, bytes(4000) + b"\1\x7e" * 50 + o.floats("F16", 500, 94)
    made["opaque, noise"] = None, None, o.noise(50_000, 95)
    made["opaque, 16 bits"] = None, None, o.steps(30_000, 96, 16, 500) + b"?"
    made["opaque, text"] = None, None, b"again and again, " * 300
    made["bf16, two chunks"] = "BF16", (1000, 400), o.floats("BF16", 400_000, 97, 400)
    made["f32, two chunks"] = "F32", None, o.floats("F32", 200_000, 100)
    made["bf16, two spans"] = "BF16", (2100, 2048), o.floats("BF16", 2100 * 2048, 103, 2048)
    return made


def sha256(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()


def records_of(blob: bytes) -> bytes:
    """All but header, index and trailer."""
    return blob[16 : int.from_bytes(blob[-32:-24], "little")]


def compressed(case: Case, level: str, threads: int) -> bytes:
    dtype, shape, data = case
    if shape is None or dtype is None:
        return codec.compress(data, dtype, level=level, threads=threads)
    return codec.compress(data, dtype, shape, level, threads)


# ---- The table ----------------------------------------------------------------------------------------------------

RECORDED: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {"cases": {}}


def test_the_table_is_of_these_cases() -> None:
    assert len(cases()) >= 60
    assert RECORDED["cases"].keys() == cases().keys()
    coded = [bool(entry["zstd"]) for entry in RECORDED["cases"].values()]
    assert sum(coded) * 4 <= len(coded), "too many depend on zstd's version"


@pytest.mark.parametrize("name", cases())
def test_the_encoder_writes_what_it_wrote(name: str) -> None:
    case, recorded = cases()[name], RECORDED["cases"][name]
    assert sha256(case[2]) == recorded["input"], "the input is another one: numpy, or originals.py"
    ours, theirs = ".".join(map(str, zstandard.ZSTD_VERSION)), RECORDED["zstd"]
    skipped = []
    for level in LEVELS:
        found = [records_of(compressed(case, level, threads)) for threads in (1, 3)]
        assert found[0] == found[1], f"{level}: 1 thread and 3"
        if level in recorded["zstd"] and ours != theirs:
            skipped.append(level)
            continue
        assert sha256(found[0]) == recorded[level], level
    if skipped:
        pytest.skip(f"level {', '.join(skipped)} uses zstd: the table is of {theirs}, this is {ours}")


# ---- Position -----------------------------------------------------------------------------------------------------

TENSORS = ("bf16, rows", "f16", "f32, rows", "i32", "bf16, two chunks", "f8_e4m3", "f32, one", "bf16, pruned")


def file_of(names: list[str], metadata: dict[str, str]) -> bytes:
    tensors = {}
    for name in names:
        dtype, shape, data = cases()[name]
        tensors[name] = (dtype, shape or (len(data) * 8 // o.bits_of(dtype),) if shape != () else (), data)
    original: bytes = o.safetensors(tensors, metadata)
    return original


def records_by_tensor(blob: bytes) -> dict[str, bytes]:
    file = WeftFile(BytesSource(blob))
    return {
        t.name: blob[file.offsets[t.first] : file.offsets[t.first + t.spans]] for t in file.index.tensors if t.spans
    }


@pytest.mark.parametrize("level", LEVELS)
def test_records_of_a_tensor_are_the_same_anywhere(level: str) -> None:
    """In two files in another order, behind a header of another length, and alone."""
    first = codec.compress(file_of(list(TENSORS), {}), level=level, threads=3)
    other = codec.compress(file_of([*reversed(TENSORS)][:-1], {"key": "value" * 7}), level=level, threads=1)
    here, there = records_by_tensor(first), records_by_tensor(other)
    assert list(here) == list(TENSORS) and set(there) == set(TENSORS[1:])
    for name in TENSORS[1:]:
        assert here[name] == there[name] == records_of(compressed(cases()[name], level, 1)), name


def test_a_file_is_the_same_from_a_path_and_from_a_pipe(tmp_path: Path) -> None:
    original = file_of(list(TENSORS), {"format": "pt"})
    (tmp_path / "a").write_bytes(original)
    found = []
    for threads in (1, 3):
        codec.compress_file(tmp_path / "a", tmp_path / "b", threads=threads, force=True)
        out = io.BytesIO()
        codec.compress_file(io.BytesIO(original), out, threads=threads)
        found += [(tmp_path / "b").read_bytes(), out.getvalue()]
    assert len(set(found)) == 1


# ---- Writing the table --------------------------------------------------------------------------------------------


def uses_zstd(blob: bytes) -> bool:
    """Whether a plane, or drops, have stage 4."""
    reference = load("reference_decoder")
    met, read_stage = [], reference.read_stage

    def spy(body: Any, *rest: Any) -> bytes:
        met.append(body.data[body.at])
        found: bytes = read_stage(body, *rest)
        return found

    reference.read_stage = spy
    try:
        reference.decode(blob)
    finally:
        reference.read_stage = read_stage
    return 4 in met


def main(arguments: list[str]) -> int:
    if TABLE.exists() and arguments != ["--force"]:
        print(f"{TABLE} is there: --force writes it again", file=sys.stderr)
        return 2
    table: dict[str, Any] = {}
    for name, case in cases().items():
        blobs = {level: compressed(case, level, 1) for level in LEVELS}
        table[name] = {"input": sha256(case[2])} | {level: sha256(records_of(blob)) for level, blob in blobs.items()}
        table[name]["zstd"] = [level for level, blob in blobs.items() if uses_zstd(blob)]
        print(name, *table[name]["zstd"], *(len(blob) for blob in blobs.values()), len(case[2]), flush=True)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in table.items())
    version = ".".join(map(str, zstandard.ZSTD_VERSION))
    TABLE.write_text(f'{{\n"zstd": "{version}",\n"cases": {{\n{lines}\n}}\n}}\n', encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
