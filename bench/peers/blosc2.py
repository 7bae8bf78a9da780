"""Blosc2 with zstd inside, told the width of an element: bit shuffle at its default level, and byte shuffle
at level 1.

(Byte shuffle is smaller on float weights, and its higher levels are not smaller: 0.688 at level 1 and
0.700 at level 5 of the first 24 MiB of MiniLM bf16, where bit shuffle gives 0.720.)
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from bench.peers import Memory
from bench.peers.openzl import WIDTHS


class Blosc2(Memory):
    def __init__(self, name: str, shuffle: str, level: int) -> None:
        self.name = name
        self.shuffle = shuffle
        self.level = level

    def available(self) -> str:
        import blosc2

        self.blosc2 = blosc2
        return version("blosc2")

    def encode(self, data: memoryview, dtype: str, threads: int) -> Any:
        return self.blosc2.compress2(
            data,
            typesize=WIDTHS.get(dtype, 1),
            codec=self.blosc2.Codec.ZSTD,
            clevel=self.level,
            filters=[getattr(self.blosc2.Filter, self.shuffle)],
            nthreads=threads,
        )

    def decode(self, blob: bytes, size: int) -> Any:
        return self.blosc2.decompress2(blob, nthreads=self.threads)


PEERS = (Blosc2("blosc2", "BITSHUFFLE", 5), Blosc2("blosc2-bytes", "SHUFFLE", 1))
