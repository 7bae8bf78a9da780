"""Kernels are compiled when they are first used on a machine, which takes seconds; later uses load a cache.

A command may have a second process compile half of them meanwhile: numba compiles one function at a time in a process.
A library call never starts a process.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from codec.kernels.sources import digest

#: A kernel that is compiled for each kind of work, whatever the file holds.
_SIGNS: Final = {"compress": "spans.encode", "decompress": "chunks.decode"}
#: Seconds for the other process to end once this one has done its half.
_PATIENCE: Final = 30


def _cached(kernel: str) -> bool:
    """Whether numba has compiled a kernel, named as MODULE.FUNCTION, of these sources."""
    kernels, version = Path(__file__).parent / "kernels", "{}{}".format(*sys.version_info)
    home = os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")  # as it is where nobody has a home
    wide = Path(home) / "numba"  # where it may not write here
    folders = [kernels / "__pycache__", *wide.glob("kernels_*")]
    if os.environ.get("NUMBA_CACHE_DIR"):
        folders = list(Path(os.environ["NUMBA_CACHE_DIR"]).glob("kernels_*"))
    found = (path for folder in folders for path in folder.glob(f"{kernel}-*.py{version}.nbi"))
    with contextlib.suppress(OSError):
        return any(digest() in path.read_bytes() for path in found)
    return False


def kernels_are_cached() -> bool:
    """Whether numba finds compiled kernels of this version in its cache. Imports no numba.

    >>> isinstance(kernels_are_cached(), bool)
    True
    """
    return any(map(_cached, _SIGNS.values()))


def load_kernels() -> None:
    """Load what decoding needs, or compile it on its first use on this machine: a third of a second, or many.

    For programs that have something else to wait for meanwhile: call it in a thread.

    >>> load_kernels()
    """
    from codec import bulk

    bulk.compile_driver()
    bulk.compile_others()


def compile_kernels(work: str, level: str = "default") -> None:
    """Compile what "compress" or "decompress" needs, in two processes at once, if it is in no cache yet.

    If the other process fails, nothing is lost: what it has not compiled is compiled when it is needed.
    """
    if _cached(_SIGNS[work]) or (os.cpu_count() or 1) < 2 or os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        return
    if not sys.executable or getattr(sys, "frozen", False):  # what would be started is not Python
        return
    # -P: whatever lies in the current folder, beside a file from a stranger, is not imported
    command = [sys.executable, "-P", "-m", "codec.warm", work, level]
    root = str(Path(__file__).parent.parent)
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), root)))
    none = subprocess.DEVNULL
    try:
        other = subprocess.Popen(command, stdin=none, stdout=none, stderr=none, env=os.environ | {"PYTHONPATH": path})
    except OSError:
        return
    try:
        _half(work, level, first=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            other.wait(_PATIENCE)
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
