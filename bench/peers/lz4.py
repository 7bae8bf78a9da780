"""LZ4 frames at the default level: the usual answer when speed is all that counts."""

from __future__ import annotations

from importlib.metadata import version

from bench.peers import Memory


class Lz4(Memory):
    name = "lz4"

    def available(self) -> str:
        import lz4.frame as frame

        self.frame = frame
        return version("lz4")

    def encode(self, data: memoryview, dtype: str, threads: int) -> bytes:
        return self.frame.compress(data)

    def decode(self, blob: bytes, size: int) -> bytes:
        return self.frame.decompress(blob)


PEERS = (Lz4(),)
