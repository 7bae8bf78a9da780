"""Plan a span that is not cut as floats are: by its whole bytes, or with low bits in planes of their own."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from codec.kernels import statistics
from codec.kernels import tables as table_kernel
from codec.kernels.groups import LEARNT
from codec.planner import fields
from codec.planner.levels import Level
from codec.planner.plan import Plan, layout_of, with_planes
from codec.planner.tiles import periods_for, row_for, tile_for
from codec.stages.geometry import Bytes, read_only
from codec.stages.layout import UINT

#: Bytes of opaque spans that may have stage 7, at least.
_OPAQUE_LEAST: Final = 1 << 16
#: More planes of low bits than there have to be take time: so many thousandths of what they leave.
_LOW_WORTH: Final = 1010


def plan_bytes(data: Bytes, code: int, width: int, shape: tuple[int, ...], level: Level) -> Plan:
    """Whole bytes as planes; bytes that never change are no plane."""
    elements = data.size // width
    x = data[: elements * width].view(UINT[width])
    ors, ands = int(np.bitwise_or.reduce(x)), int(np.bitwise_and.reduce(x))
    places = [(8 * k, 8) for k in range(width) if (ors ^ ands) >> 8 * k & 255 or width == 1]
    if width == 2 and 8 < (high := ors.bit_length()) < 16 and (low := _low_bits(x, high, level.huffman)):
        places = [*fields.cut_planes(0, low), (low, 8)]
    constant = ands & ~sum(((1 << bits) - 1) << shift for shift, bits in places)
    tile = tile_for(shape, elements)
    layout = layout_of(data.size, code, width, tile, places, row=row_for(shape, tile), constant=constant)
    # what no type is known of are headers, mostly, which are not worth some seconds of compiling
    periods = periods_for(shape, tile, layout.chunk, elements) if code or data.size >= _OPAQUE_LEAST else ()
    return with_planes(layout, x, level, None, None, periods)


def _low_bits(x: NDArray[np.unsignedinteger], high: int, huffman: bool) -> int:
    """How many low bits 16-bit numbers of ``high`` bits had better leave to planes of their own, below one of eight; 0
    if two bytes take fewer bits. Where a few numbers spread far, as runs of zeros do, a smaller table is worth more
    than what it says of the bits that it lacks.
    """

    def taken(counts: NDArray[np.int64], low: int = 0) -> int:
        """Bits of numbers and of ``low`` others beside each; a code of Huffman's has one at least."""
        size = int(counts.sum()) << table_kernel.POINT
        return max(int(table_kernel.entropy(counts)), size if huffman else 0) + size * low

    step, least = x.size >> 15, high - 8
    if step:  # tables cost little of so many
        counts = np.empty((3, 256), np.int64)
        statistics.count_cuts(read_only(x), step, least, counts)
        return least if taken(counts[2], least) < taken(counts[0]) + taken(counts[1]) else 0

    def learnt(counts: NDArray[np.int64]) -> int:
        """What a table costs to learn."""
        return int(np.count_nonzero(counts)) * LEARNT

    lower, upper = (np.bincount(part, minlength=256) for part in (x & 255, x >> 8))
    bits = taken(lower) + taken(upper)
    best, chosen = bits + learnt(lower) + learnt(upper), 0
    for low in range(least, 9):
        counts = np.bincount(x >> low, minlength=256)
        found = taken(counts, low)
        # one table is in any case better than two that take as much
        better = found < bits if low == least else (found + learnt(counts)) * _LOW_WORTH < best * 1000
        if better:
            best, chosen = found + learnt(counts), low
    return chosen
