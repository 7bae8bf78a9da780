"""Whether the kernels were compiled on this machine before: the first use takes seconds, later ones load a cache."""

from __future__ import annotations

import os
from pathlib import Path


def kernels_are_cached() -> bool:
    """Whether numba finds compiled kernels of this version in its cache. Imports no numba.

    >>> isinstance(kernels_are_cached(), bool)
    True
    """
    kernels = Path(__file__).parent / "kernels"
    folders = [kernels / "__pycache__"]
    if os.environ.get("NUMBA_CACHE_DIR"):
        folders = [p.parent for p in Path(os.environ["NUMBA_CACHE_DIR"]).glob("kernels_*/rans.*.nbi")]
    return any(True for folder in folders for _ in folder.glob("rans.*.nbi"))
