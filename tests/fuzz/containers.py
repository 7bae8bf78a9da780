"""Any bytes as a GGUF, ONNX, TensorFlow Lite, HDF5 or NNUE file: segments that tile it, or refused; they come back.

Each parser sees every input, whatever it begins with, from a file and from a pipe.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator

from codec.sources import gguf, hdf5, nnue, onnx, tflite
from tests.fuzz.engine import main
from tests.sources import made, test_gguf, test_hdf5, test_nnue, test_onnx, test_tflite
from tests.sources.mutations import EXTREMES, Parse, round_trip, taken

PARSERS: tuple[Parse, ...] = (gguf.parse, onnx.parse, tflite.parse, hdf5.parse, nnue.parse)


def seeds() -> Iterator[bytes]:
    yield from (test_gguf.FILE, test_onnx.MODEL, test_tflite.MODEL, test_hdf5.FILE, test_nnue.FILE)
    yield made.gguf_file({"": (39, (2, 32), made.NOISE[:34])}, {"general.alignment": (4, made.u32(8))}, alignment=8)
    yield made.onnx_model(made.pb(5, made.onnx_tensor("w", 1, (10,), made.NOISE[:40], 4)))


def mutate(data: bytes, rng: random.Random, inner: Callable[[bytes], bytes]) -> bytes:
    """A number set to what no file has, or any change."""
    if rng.random() < 0.5 or not data:
        return inner(data)
    at, size = rng.randrange(len(data)), rng.choice((1, 2, 4, 8))
    if rng.random() < 0.5:
        at -= at % size
    value = rng.choice((*EXTREMES, rng.randrange(len(data) + 8)))
    return data[:at] + (value & (256**size - 1)).to_bytes(size, "little") + data[at + size :]


def check(data: bytes) -> None:
    if taken(PARSERS, data):
        round_trip(data)


if __name__ == "__main__":
    sys.exit(main("containers"))
