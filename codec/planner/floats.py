"""Plan a span of floats: what of them is the symbol, and the planes of the rest (codec.planner.fields chooses)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from codec.dtypes import DType
from codec.planner import fields
from codec.planner.levels import Level
from codec.planner.pieces import step_of
from codec.planner.plan import Plan, layout_of, with_planes
from codec.planner.tiles import columns_for, periods_for, row_for, tile_for
from codec.stages.geometry import Bytes
from codec.stages.layout import UINT

#: Rows that hold fp16 have 13 zero bits in fp32. With three mantissa bits in the symbol their planes are whole ones
#: (8, 4, 1 | 8, 8), so that number is tried for fp32 at any level.
HALF_MANTISSA: Final = 3


def plan_float(
    data: Bytes, dtype: DType, shape: tuple[int, ...], level: Level, code: int, short: int = 0
) -> Plan | None:
    """Plan for floats of this type; ``code`` is what the record says they are; ``short``: a tile for stage 7."""
    width = 4 if dtype.name == "C64" else dtype.bits // 8
    elements = data.size // width
    x = data[: elements * width].view(UINT[width])
    if dtype.name == "C64":
        shape = (*shape, 2)
    tile = short or tile_for(shape, elements)
    step, sampled = step_of(elements, tile, level.sample // 8)
    candidates = level.mantissa[dtype.exponent_bits]
    finest = HALF_MANTISSA if dtype.name == "F32" else max(candidates)
    found, exact = fields.survey(x, tile, step, dtype, finest), step == 1
    if not exact and not found.plain(8 * width):
        found, exact = fields.survey(x, tile, 1, dtype, finest, found.counts), True
    symbol = fields.choose_symbol(dtype, found, finest, candidates, elements, sampled, exact)
    if symbol is None:
        return None
    if dtype.name == "F32" and symbol.mantissa != HALF_MANTISSA and found.halves * 8 > found.ors.size:
        again = fields.choose_symbol(dtype, found, finest, (HALF_MANTISSA,), elements, sampled, exact)
        symbol = again or symbol
    return finish_float(data, dtype, code, width, tile, x, found, symbol, level, shape, short > 0)


def finish_float(
    data: Bytes, dtype: DType, code: int, width: int, tile: int, x: NDArray[np.unsignedinteger],
    found: fields.Survey, symbol: fields.Symbol, level: Level, shape: tuple[int, ...], by_columns: bool,
) -> Plan:  # fmt: skip
    """The plan for floats of which ``symbol`` is chosen, and ``found`` what is known; ``x``: their elements."""
    fold = dtype.mantissa_bits - symbol.mantissa
    rest = (2 << fold) - 1
    common = fields.fold_bits(found.common, fold, 8 * width) & rest
    varying = fields.fold_bits(found.every, fold, 8 * width) & rest ^ common
    low = (varying & -varying).bit_length() - 1 if varying else fold + 1
    high = varying.bit_length() if varying else fold + 1
    zeros, boundary = None, low
    if low == 0 and found.ors.size > 1 and found.even and not by_columns:
        zeros = fields.trailing_zeros(found.ors, fold, 8 * width, high)
        boundary = fields.drop_boundary(zeros, low, high, tile, x.size)
    places = fields.cut_planes(low, boundary) + fields.cut_planes(boundary, high)
    covered = sum(((1 << w) - 1) << s for s, w in places)
    layout = layout_of(
        data.size, code, width, tile, [*places, (fold + 1, 8)], fold=fold, window=symbol.window,
        constant=common & ~covered, drops=boundary > low, escapes=symbol.escapes,
        row=row_for(shape, tile) if by_columns else 1,
    )  # fmt: skip
    periods = periods_for(shape, tile, layout.chunk, x.size) if by_columns else ()
    row = 0 if by_columns or not level.columns or not code else columns_for(shape)
    return with_planes(layout, x, level, symbol, zeros if layout.drops else None, periods, row)
