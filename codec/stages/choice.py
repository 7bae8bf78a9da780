"""What the stages with tables share: the table of each tile, packed (stages/2_rans.md, "choice")."""

from __future__ import annotations

import numpy as np

from codec.kernels import tables as kernel
from codec.stages.geometry import Bytes
from codec.wire import Cursor


def bits_for(tables: int) -> int:
    """Bits of one choice: the smallest of 0, 1, 2, 4 that tells ``tables`` apart."""
    return 0 if tables < 2 else 1 if tables == 2 else 2 if tables <= 4 else 4


def read(c: Cursor, body: Bytes, tiles: int, tables: int) -> Bytes:
    """The choices of ``tiles`` tiles, each checked to be below ``tables``; ``body`` is what the cursor reads."""
    bits = bits_for(tables)
    if not bits:
        return np.zeros(tiles, np.uint8)
    choice = np.empty(tiles, np.uint8)
    at = c.skip(-(-tiles * bits // 8))
    if kernel.unpack_choice(body, at, bits, tables, choice) < 0:
        raise c.bad(f"a tile uses a table beyond the {tables} there are, or unused bits are not 0")
    return choice
