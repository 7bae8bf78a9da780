"""ZipNN, told the element type.

Its compressor rotates the sign bits of its input in place, even of an immutable `bytes`, and leaves them
so: it is given a fresh copy each time, made outside the timed call. (Inside, it makes one more copy of its
own.) It knows bfloat16, float16, float32 and float8; anything else is given to it as the nearest of the
same width, which is what its own documentation does for integers.
"""

from __future__ import annotations

from importlib.metadata import version

from bench.peers import Memory

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

    def prepare(self, data: memoryview, dtype: str, threads: int) -> bytearray:
        self.context = self.codec(bytearray_dtype=TYPES.get(dtype, BYTES), input_format="byte", threads=threads)
        return bytearray(data)

    def encode(self, data: bytearray, dtype: str, threads: int) -> bytes:
        return self.context.compress(data)

    def decode(self, blob: bytes, size: int) -> bytearray:
        return self.context.decompress(blob)


PEERS = (ZipNN(),)
