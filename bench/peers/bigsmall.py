"""BigSmall through its library, safetensors file to safetensors file, in one process, one worker per thread.

It does not give every file back byte for byte (headers are written anew): the check after each call shows
which.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

from bench.peers import Files


class BigSmall(Files):
    name = "bigsmall"

    def available(self) -> str:
        os.environ["BIGSMALL_DISABLE_VERSION_CHECK"] = "1"  # its import would ask the network
        import bigsmall

        self.bigsmall = bigsmall
        return version("bigsmall")

    def encode(self, data: Path, dtype: str, threads: int) -> Path:
        self.bigsmall.compress(data, self.stored, workers=threads, progress=False)
        return self.stored

    def decode(self, blob: Path, size: int) -> Path:
        self.bigsmall.decompress(blob, self.output, progress=False)
        return self.output


PEERS = (BigSmall(),)
