"""ZipNN, told the element type.

Its compressor rotates the sign bits of its input in place, even of an immutable `bytes`, and leaves them
so: it is given a fresh copy each time, made outside the timed call. (Inside, it makes one more copy of its
own.) It knows bfloat16, float16, float32 and float8; anything else is given to it as the nearest of the
same width, which is what its own documentation does for integers.

It writes outside its buffers, and often dies, when its input is no whole number of elements (0.5.4): what is over is
kept beside what it made, and counted.
"""

from __future__ import annotations

from importlib.metadata import version

from bench.peers import Memory
from bench.peers.openzl import WIDTHS

TYPES = {
    "bfloat16": "bfloat16",
    "float16": "float16",
    "int16": "float16",
    "uint16": "float16",
    "float32": "float32",
    "float64": "float32",
    "int32": "float32",
    "int64": "float32",
}
BYTES = "float8_e4m3fn"  # whole-byte entropy coding, the best it has for one-byte elements


class ZipNN(Memory):
    name = "zipnn"

    def available(self) -> str:
        import torch
        from zipnn import ZipNN as Codec

        torch.set_num_threads(1)
        self.codec = Codec
        return version("zipnn")

    def prepare(self, data: memoryview, dtype: str, threads: int) -> tuple[bytearray, bytes]:
        self.context = self.codec(bytearray_dtype=TYPES.get(dtype, BYTES), input_format="byte", threads=threads)
        whole = len(data) // WIDTHS.get(dtype, 1) * WIDTHS.get(dtype, 1)
        return bytearray(data[:whole]), bytes(data[whole:])

    def encode(self, data: tuple[bytearray, bytes], dtype: str, threads: int) -> list[bytes]:
        return [self.context.compress(data[0]), data[1]]

    def size(self, blob: list[bytes]) -> int:
        return sum(map(len, blob))

    def decode(self, blob: list[bytes], size: int) -> list[bytes | bytearray]:
        return [self.context.decompress(blob[0]), blob[1]]


PEERS = (ZipNN(),)
