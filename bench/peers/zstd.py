"""zstd on the bytes as they are: what most people would try first (-3), and its smallest practical setting
(-19).
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from bench.peers import Memory


class Zstd(Memory):
    def __init__(self, level: int) -> None:
        self.name = f"zstd-{level}"
        self.level = level

    def available(self) -> str:
        import zstandard

        self.zstd = zstandard
        self.decoder = zstandard.ZstdDecompressor()
        return version("zstandard")

    def prepare(self, data: memoryview, dtype: str, threads: int) -> Any:
        self.encoder = self.zstd.ZstdCompressor(level=self.level, threads=threads if threads > 1 else 0)
        return data

    def encode(self, data: memoryview, dtype: str, threads: int) -> bytes:
        return self.encoder.compress(data)

    def decode(self, blob: bytes, size: int) -> bytes:
        return self.decoder.decompress(blob)


PEERS = (Zstd(3), Zstd(19))
