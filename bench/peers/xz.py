"""xz at its smallest, preset 9 with the extreme flag, by Python's own lzma: small and very slow."""

from __future__ import annotations

import lzma
import platform

from bench.peers import Memory


class Xz(Memory):
    name = "xz-9"

    def available(self) -> str:
        return f"Python {platform.python_version()}"

    def encode(self, data: memoryview, dtype: str, threads: int) -> bytes:
        return lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)

    def decode(self, blob: bytes, size: int) -> bytes:
        return lzma.decompress(blob)


PEERS = (Xz(),)
