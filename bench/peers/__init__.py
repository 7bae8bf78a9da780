"""The codecs that are measured, each behind the same small interface.

A module of this package defines PEERS: one object per setting of its codec. Nothing but the worker process
of a codec imports that codec's module, so an import that fails, or a library that changes the process it
lives in, touches that codec only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any, Protocol


class Peer(Protocol):
    """One codec at one setting.

    dtype is the element type of most of the bytes ("bfloat16", "float32", ... or "opaque"); a codec that
    finds it out by itself ignores it. Only encode and decode are timed.
    """

    name: str
    pinned: bool  # True: the codec obeys no thread count, so its process is held to that many CPUs instead

    def available(self) -> str:
        """Return the version; raise, with the reason, if this codec cannot run here."""

    def prepare(self, data: memoryview, dtype: str, threads: int) -> Any:
        """Make what encode is given, once per call, untimed: a copy to spoil, a file to read, a context."""

    def encode(self, data: Any, dtype: str, threads: int) -> Any: ...

    def size(self, blob: Any) -> int:
        """Bytes that what encode returned takes."""

    def decode(self, blob: Any, size: int) -> Any:
        """Return the original bytes: a new buffer, a list of them, or the Path of a file written."""


class Memory:
    """Defaults of a codec that works in memory, on any bytes-like object, and obeys its thread count."""

    pinned = False
    threads = 1

    def prepare(self, data: memoryview, dtype: str, threads: int) -> Any:
        self.threads = threads
        return data

    def size(self, blob: Any) -> int:
        return memoryview(blob).nbytes


class Files:
    """Defaults of a codec that works from file to file, in the page cache, in a folder of its own."""

    pinned = True

    def __init__(self) -> None:
        self.folder = TemporaryDirectory(prefix="weft-bench-")
        root = Path(self.folder.name)
        self.source, self.stored, self.output = root / "in.safetensors", root / "stored", root / "output"

    def prepare(self, data: memoryview, dtype: str, threads: int) -> Path:
        self.source.write_bytes(data)
        self.output.unlink(missing_ok=True)
        if self.stored.is_dir():
            rmtree(self.stored)
        self.stored.unlink(missing_ok=True)
        return self.source

    def size(self, blob: Any) -> int:
        return self.stored.stat().st_size


@dataclass(frozen=True)
class Entry:
    """Where a codec is found and how its process is started."""

    module: str
    ours: bool = False
    env: dict[str, str] = field(default_factory=dict)


PORTABLE = {"CODEC_KERNELS": "portable"}

REGISTRY: dict[str, Entry] = {
    "weft-fast": Entry("weft", ours=True),
    "weft": Entry("weft", ours=True),
    "weft-max": Entry("weft", ours=True),
    "weft-fast-portable": Entry("weft", ours=True, env=PORTABLE),
    "weft-portable": Entry("weft", ours=True, env=PORTABLE),
    "zipnn": Entry("zipnn"),
    "openzl": Entry("openzl"),
    "openzl-small": Entry("openzl"),
    "zstd-3": Entry("zstd"),
    "zstd-19": Entry("zstd"),
    "xz-9": Entry("xz"),
    "lz4": Entry("lz4"),
    "blosc2": Entry("blosc2"),
    "blosc2-bytes": Entry("blosc2"),
    "hf-xet": Entry("hfxet"),
    "bigsmall": Entry("bigsmall"),
    "z4ai": Entry("z4ai"),
    "z4ai-fast": Entry("z4ai"),
    "z4ai-tensors": Entry("z4ai"),
    "memcpy": Entry("copies"),
    "cp": Entry("copies"),
}


def find(name: str) -> Peer:
    """Import the module of a codec and return the object of that name."""
    if name not in REGISTRY:
        raise ValueError(f"unknown codec {name!r}; known: {', '.join(REGISTRY)}")
    module = import_module(f"bench.peers.{REGISTRY[name].module}")
    base = name.removesuffix("-portable")
    return next(peer for peer in module.PEERS if peer.name == base)
