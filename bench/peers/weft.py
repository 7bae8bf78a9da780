"""weft itself, at its three levels. It is told nothing: it finds the element types in the file, as for any
user.
"""

from __future__ import annotations

from typing import Any

from bench.peers import Memory


class Weft(Memory):
    def __init__(self, name: str, level: str) -> None:
        self.name = name
        self.level = level

    def available(self) -> str:
        import codec
        from codec._version import __version__

        self.codec = codec
        return __version__

    def encode(self, data: memoryview, dtype: str, threads: int) -> bytes:
        return self.codec.compress(data, level=self.level, threads=threads)

    def decode(self, blob: bytes, size: int) -> Any:
        return self.codec.decompress(blob, threads=self.threads)


PEERS = (Weft("weft-fast", "fast"), Weft("weft", "default"), Weft("weft-max", "max"))
