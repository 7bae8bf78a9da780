"""Plan a span that is not cut as floats are: by its whole bytes, or with low bits in planes of their own."""

from __future__ import annotations

from typing import Any, Final

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
    if width == 2 and 8 < (high := ors.bit_length()) < 16 and (low := _low_bits(x, high)):
        places = [*fields.cut_planes(0, low), (low, 8)]
    constant = ands & ~sum(((1 << bits) - 1) << shift for shift, bits in places)
    tile = tile_for(shape, elements)
    layout = layout_of(data.size, code, width, tile, places, row=row_for(shape, tile), constant=constant)
    # what no type is known of are headers, mostly, which are not worth some seconds of compiling
    periods = periods_for(shape, tile, layout.chunk, elements) if code or data.size >= _OPAQUE_LEAST else ()
    return with_planes(layout, x, level, None, None, periods)


def _low_bits(x: NDArray[np.unsignedinteger], high: int) -> int:
    """How many low bits 16-bit numbers of ``high`` bits had better leave to planes of their own, below one of eight; 0
    if two bytes take fewer bits. Where a few numbers spread far, as runs of zeros do, a smaller table is worth more
    than what it says of the bits that it lacks.
    """
    part, step = x, x.size >> 15
    if step:  # tables cost little of so many
        counts = np.empty((3, 256), np.int64)
        statistics.count_cuts(read_only(x), step, high - 8, counts)
        lower, upper, top = (int(table_kernel.entropy(row)) for row in counts)
        return high - 8 if top + (-(-x.size // step) * (high - 8) << table_kernel.POINT) < lower + upper else 0

    def taken(values: NDArray[Any], low: int = 0) -> tuple[int, int]:
        """Bits of the values and of ``low`` others beside each, and what their table costs to learn."""
        counts = np.bincount(values, minlength=256)
        learnt = int(np.count_nonzero(counts)) * LEARNT * part.size // x.size
        return int(table_kernel.entropy(counts)) + (part.size * low << table_kernel.POINT), learnt

    (first, learnt), (second, more) = taken(part & 255), taken(part >> 8)
    bits, best, chosen = first + second, first + second + learnt + more, 0
    for low in range(high - 8, 9):
        found, learnt = taken(part >> low, low)
        if low == high - 8:  # one table is in any case better than two that take as much
            better = found < bits
        else:
            better = (found + learnt) * _LOW_WORTH < best * 1000
        if better:
            best, chosen = found + learnt, low
    return chosen
