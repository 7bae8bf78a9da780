"""The table of each tile, packed (stages/2_rans.md, "choice"): shared by the stages that have tables."""

from __future__ import annotations

import numpy as np

from codec.stages.geometry import Bytes
from codec.wire import Cursor


def bits_for(tables: int) -> int:
    """Bits of one choice: the smallest of 0, 1, 2, 4 that tells ``tables`` apart."""
    return 0 if tables < 2 else 1 if tables == 2 else 2 if tables <= 4 else 4


def pack(choice: Bytes, tables: int) -> bytes:
    """Choices as bytes, tile 0 in the low bits of the first."""
    bits = bits_for(tables)
    if not bits:
        return b""
    per = 8 // bits
    rows = np.zeros((-(-choice.size // per), per), np.uint8)
    rows.reshape(-1)[: choice.size] = choice
    return bytes(np.bitwise_or.reduce(rows << np.arange(0, 8, bits, dtype=np.uint8), axis=1).tobytes())


def read(c: Cursor, tiles: int, tables: int) -> Bytes:
    """The choices of ``tiles`` tiles, each checked to be below ``tables``."""
    bits = bits_for(tables)
    if not bits:
        return np.zeros(tiles, np.uint8)
    packed = np.frombuffer(c.take(-(-tiles * bits // 8)), np.uint8)
    rows = packed[:, None] >> np.arange(0, 8, bits, dtype=np.uint8) & np.uint8((1 << bits) - 1)
    choice = np.ascontiguousarray(rows.reshape(-1))
    if (choice[tiles:] != 0).any():
        raise c.bad("unused bits behind the tiles' tables are not 0")
    choice = choice[:tiles]
    if tiles and int(choice.max()) >= tables:
        raise c.bad(f"a tile uses table {int(choice.max())}, there are {tables}")
    return choice
