"""z4ai, told the element type: its default, and its setting without the rANS coder, which is slow there; and
z4ai-tensors, its own container of safetensors files, which codes tensors apart and equal ones once, and takes nothing
else.

Told nothing it treats a file as bytes, and is no smaller than zstd (0.777 of 4 MB of bf16, where told it is
0.664): that is what its command does unless it is given --dtype.
"""

from __future__ import annotations

from importlib.metadata import version

from bench.peers import Memory

TYPES = {
    "bfloat16": "bf16",
    "float16": "fp16",
    "float32": "fp32",
    "float64": "fp64",
    "float8_e4m3": "fp8_e4m3",
}
KNOWN = ("int8", "uint8", "int16", "uint16", "int32", "int64")


class Z4ai(Memory):
    def __init__(self, name: str, effort: str | None) -> None:
        self.name = name
        self.effort = effort

    def available(self) -> str:
        import z4ai

        self.z4ai = z4ai
        return version("z4ai")

    def prepare(self, data: memoryview, dtype: str, threads: int) -> bytes:
        return bytes(data)  # it would make this copy itself of anything else

    def encode(self, data: bytes, dtype: str, threads: int) -> bytes:
        code = TYPES.get(dtype, dtype if dtype in KNOWN else None)
        return self.z4ai.compress(data, dtype=code, threads=threads, effort=self.effort)

    def decode(self, blob: bytes, size: int) -> bytes:
        return self.z4ai.decompress(blob)


class Z4aiTensors(Memory):
    name = "z4ai-tensors"

    def available(self) -> str:
        from z4ai import safetensors

        self.container = safetensors
        return version("z4ai")

    def prepare(self, data: memoryview, dtype: str, threads: int) -> bytes:
        self.threads = threads
        return bytes(data)

    def encode(self, data: bytes, dtype: str, threads: int) -> bytes:
        return self.container.compress_bytes(data, workers=threads)

    def decode(self, blob: bytes, size: int) -> bytes:
        return self.container.decompress_bytes(blob, workers=self.threads)


PEERS = (Z4ai("z4ai", None), Z4ai("z4ai-fast", "fast"), Z4aiTensors())
