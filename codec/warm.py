"""Kernels are compiled when they are first used on a machine, which takes seconds; later uses load a cache.

A command may have a second process compile half of them meanwhile: numba compiles one function at a time in a process.
A library call never starts a process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

#: A kernel that is compiled for each kind of work, whatever the file holds.
_SIGNS: Final = {"compress": "spans.encode", "decompress": "chunks.decode"}


def _cached(kernel: str) -> bool:
    """Whether numba has compiled a kernel, named as MODULE.FUNCTION."""
    kernels, pattern = Path(__file__).parent / "kernels", f"{kernel}-*.nbi"
    folders = [kernels / "__pycache__"]
    if os.environ.get("NUMBA_CACHE_DIR"):
        folders = list(Path(os.environ["NUMBA_CACHE_DIR"]).glob("kernels_*"))
    return any(True for folder in folders for _ in folder.glob(pattern))


def kernels_are_cached() -> bool:
    """Whether numba finds compiled kernels of this version in its cache. Imports no numba.

    >>> isinstance(kernels_are_cached(), bool)
    True
    """
    return any(map(_cached, _SIGNS.values()))


def compile_kernels(work: str, level: str = "default") -> None:
    """Compile what "compress" or "decompress" needs, in two processes at once, if it is in no cache yet.

    If the other process fails, nothing is lost: what it has not compiled is compiled when it is needed.
    """
    if _cached(_SIGNS[work]) or (os.cpu_count() or 1) < 2:
        return
    command = [sys.executable, "-m", "codec.warm", work, level]
    root = str(Path(__file__).parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    none = subprocess.DEVNULL
    try:
        other = subprocess.Popen(command, stdin=none, stdout=none, stderr=none, env=os.environ | {"PYTHONPATH": path})
    except OSError:
        return
    try:
        _half(work, level, first=True)
        other.wait()
    finally:
        other.kill()
        other.wait()


def _half(work: str, level: str, *, first: bool) -> None:
    """Compile one half of the kernels: the first is the kernel that calls the others by their addresses."""
    if work == "compress":
        from codec import batch

        (batch.compile_driver if first else batch.compile_others)(level)
    else:
        from codec import bulk

        (bulk.compile_driver if first else bulk.compile_others)()


if __name__ == "__main__":
    _half(sys.argv[1], sys.argv[2], first=False)
