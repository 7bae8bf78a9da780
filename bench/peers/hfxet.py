"""hf-xet, the Hub's own upload and download path, against a store in a local folder.

It has no call for its codec alone (byte grouping and LZ4, on chunks of the content). Its upload and
download of files can be called, and take a folder as the store: so chunking, hashing, deduplication inside
the file, compression and writing the store are all in the figure, and so are reading it back and writing
the file. Its size is that of the blocks and of their shard, without the store's own index.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

from bench.peers import Files


class HfXet(Files):
    name = "hf-xet"

    def available(self) -> str:
        os.environ["HF_HOME"] = os.environ["HF_XET_CACHE"] = self.folder.name
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        import hf_xet

        self.xet = hf_xet
        self.endpoint = f"local://{self.stored}"
        return version("hf-xet")

    def encode(self, data: Path, dtype: str, threads: int) -> str:
        names = [os.fspath(data)]
        done = self.xet.upload_files(names, self.endpoint, None, None, None, "model", skip_sha256=True)
        return done[0].hash

    def size(self, blob: str) -> int:
        store = self.stored / "xet" / "xorbs"
        parts = [*store.glob("xorbs/*"), *store.glob("shards/*")]
        return sum(part.stat().st_size for part in parts if part.suffix != ".tagset")

    def decode(self, blob: str, size: int) -> Path:
        wanted = self.xet.PyXetDownloadInfo(os.fspath(self.output), blob, size)
        self.xet.download_files([wanted], self.endpoint, None, None, None)
        return self.output


PEERS = (HfXet(),)
