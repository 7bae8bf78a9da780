"""What opaque bytes may be: how wide their elements are, and of which floats they take fewer bits."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from codec.dtypes import DTYPES, DType
from codec.kernels import tables as table_kernel
from codec.kernels.groups import LEARNT
from codec.stages import plain
from codec.stages.geometry import Bytes
from codec.stages.layout import UINT

#: By the width of opaque elements: the floats that they may be, and mantissa bits that go with the exponent.
_FLOATS_OF: Final = {2: ((DTYPES["BF16"], 2), (DTYPES["F16"], 3)), 4: ((DTYPES["F32"], 2),)}
#: Elements of a tile of those: it should not reach far across the rows of whatever they are.
TILE: Final = 512


def width_of(data: Bytes) -> int:
    """1, 2 or 4: the width whose byte planes have the least order-0 entropy in some pieces; wider must gain 2 %, and
    beat what zstd finds in the bytes as they are.
    """
    pieces = [data[k * data.size // 4 & ~3 :][: 1 << 14] for k in range(4)] if data.size > 1 << 16 else [data]
    # what is at positions 0, 1, 2 and 3 modulo 4: all pieces but a lone one have a multiple of 4 bytes
    total = np.array([sum(np.bincount(piece[k::4], minlength=256) for piece in pieces) for k in range(4)], np.int64)
    best, width = -1, 1
    for w in (1, 2, 4):
        bits = w * (600 << table_kernel.POINT)
        for row in total.reshape(4 // w, w, 256).sum(axis=0):
            bits += int(table_kernel.entropy(row))
        if best < 0 or bits * 100 < best * 98:
            best, width = bits, w
    if width > 1:
        looked = sum(piece.size for piece in pieces)
        packed = len(plain.compressor(1).compress(data.data)) * 8 << table_kernel.POINT
        width = 1 if packed * looked < best * data.size else width
    return width


def floats_of(data: Bytes, width: int) -> DType | None:
    """The type of floats as which opaque elements take fewer bits than as bytes, if there is one: by the order-0
    entropy of the top 16 bits, cut either way, in some pieces.
    """
    whole = data[: data.size // width * width].view(UINT[width])
    x = np.concatenate([whole[k * whole.size // 8 :][: 1 << 12] for k in range(8)]) >> 8 * width - 16

    def bits(values: NDArray[Any]) -> int:
        counts = np.bincount(values)
        return int(table_kernel.entropy(counts)) + int(np.count_nonzero(counts)) * LEARNT

    best, kind = bits(x & 255) + bits(x >> 8), None
    for dtype, mantissa in _FLOATS_OF[width]:
        cut = dtype.mantissa_bits - mantissa - 8 * width + 16
        total = bits((x & 0x7FFF) >> cut) + bits(x >> 15) + bits(x & (1 << cut) - 1)
        if total < best:
            best, kind = total, dtype
    return kind
