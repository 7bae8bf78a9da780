"""Plan one span: as what its elements are taken, and other ways to cut them that may be worth trying."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

import numpy as np

from codec.dtypes import SMALL_FLOATS, DType
from codec.planner import eighths, fields, mixing, opaque
from codec.planner.floats import finish_float, plan_float
from codec.planner.levels import Level
from codec.planner.packed import bytes_alike
from codec.planner.plan import FLOATS, Plan
from codec.planner.tiles import short_tiles, tile_for
from codec.planner.whole_bytes import plan_bytes
from codec.stages.columns import COLUMNS
from codec.stages.geometry import Bytes, plane_bytes


def plan_span(data: Bytes, dtype: DType | None, shape: tuple[int, ...], level: Level, wild: bool = False) -> Plan:
    """Plan for the bytes of one span (aligned to its elements) of a tensor, or of opaque bytes (dtype None).

    ``wild``: never use escapes; for a span that turned out to have too many.
    """
    plan = _plan_span(data, dtype, shape, level, wild)
    _hint(plan, dtype, shape, level)
    return plan


def _plan_span(data: Bytes, dtype: DType | None, shape: tuple[int, ...], level: Level, wild: bool) -> Plan:
    if dtype is not None and dtype.exponent_bits and data.size >= dtype.bits // 8:
        found = None if wild else plan_float(data, dtype, shape, level, dtype.code)
        if found is not None:
            return found
    code = dtype.code if dtype else 0
    width = dtype.bits // 8 if dtype and dtype.bits % 8 == 0 else 1
    if dtype is not None and dtype.name == "C64":
        width = 4
    if dtype is None:
        width = opaque.width_of(data)
        kind = None if wild or width == 1 else opaque.floats_of(data, width)
        found = None if kind is None else plan_float(data, kind, (2, opaque.TILE), level, code)
        if found is not None:
            return found
    if data.size < width:
        width = 1
    if dtype is not None and width > 1 and dtype.name[0] in "IU" and bytes_alike(data, width):
        width, shape = 1, (shape[0], prod(shape[1:]) * width) if len(shape) > 1 else ()
    return plan_bytes(data, code, width, shape, level)


def other_plans(data: Bytes, dtype: DType, shape: tuple[int, ...], level: Level) -> Iterator[Plan]:
    """Other ways to cut floats of which some come again, in which zstd may find more: the exponent alone, or bytes.

    A plan is to be used before the next is asked for.
    """
    level = replace(level, zstd_always=0)  # most planes of these are noise
    alone = replace(level, mantissa=dict.fromkeys(level.mantissa, (0,)))
    found = plan_float(data, dtype, shape, alone, dtype.code)
    if found is not None:
        yield found
    yield plan_bytes(data, dtype.code, 4 if dtype.name == "C64" else dtype.bits // 8, shape, level)


def plan_cut(data: Bytes, dtype: DType, shape: tuple[int, ...], level: Level) -> Plan | None:
    """A plan for few floats of a byte that cuts them as larger ones are cut; None where counts say that bytes are less.

    It is to be used before the next is asked for.
    """
    if dtype.name not in SMALL_FLOATS or not 0 < data.size <= eighths.MOST:
        return None
    exponent, mantissa = SMALL_FLOATS[dtype.name]
    symbol = eighths.choose_cut(np.bincount(data, minlength=256).astype(np.int64), exponent, mantissa)
    if symbol is None:
        return None
    every, common = int(np.bitwise_or.reduce(data)), int(np.bitwise_and.reduce(data))
    if not (every ^ common) & (128 | (1 << (mantissa - symbol.mantissa)) - 1):  # one plane, which is taken for bytes
        return None
    found = fields.Survey(every, common, 0, 0, 0, 0, np.zeros(0, np.uint64), np.zeros(0, np.int64))
    cut = replace(dtype, exponent_bits=exponent, mantissa_bits=mantissa)
    tile = tile_for(shape, data.size)
    plan = finish_float(data, cut, dtype.code, 1, tile, data, found, symbol, level, shape, False)
    _hint(plan, dtype, shape, level)
    return plan


def plans_by_columns(data: Bytes, dtype: DType, shape: tuple[int, ...], level: Level) -> Iterator[Plan]:
    """Plans for floats whose symbols have stage 7, where that looks as if it paid: all of them are looked at.

    A plan is to be used before the next is asked for.
    """
    level = replace(level, sample=1 << 62)
    width = 4 if dtype.name == "C64" else dtype.bits // 8
    for tile in short_tiles((*shape, 2) if dtype.name == "C64" else shape, data.size // width):
        found = plan_float(data, dtype, shape, level, dtype.code, tile)
        if found is not None and getattr(found.layout.planes[-1].tables, "stage", 0) == COLUMNS:
            _hint(found, dtype, shape, level)
            yield found


def plan_mixed(data: Bytes, plan: Plan, dtype: DType | None, shape: tuple[int, ...], level: Level) -> Plan | None:
    """A plan for a span of integers that takes their bytes as they lie, for stage 8; None if it has that already."""
    width = plan.layout.width
    if not level.mixing or width not in (2, 4) or plan.layout.fold is not None or plan.layout.dtype in FLOATS:
        return None
    other = plan_bytes(data, plan.layout.dtype, 1, (*shape, width) if shape else (), level)
    for how in other.planes:
        how.zstd, how.lzma = 0, False
        how.mixing = mixing.Hints((width,), True, mixing.distances(shape, plan.layout.elements))
    return other


def _hint(plan: Plan, dtype: DType | None, shape: tuple[int, ...], level: Level) -> None:
    """Say how stage 8 may be tried for each plane."""
    if level.mixing:
        lay = plan.layout
        parts = dtype.bits // 8 // lay.width if dtype is not None and lay.width else 1
        steps = mixing.distances((*shape, parts) if shape and parts > 1 else shape, lay.elements)
        for plane, how in zip(lay.planes, plan.planes, strict=True):
            step = plane_bytes(lay.tile, lay.tile, plane.width)
            whole = steps if plane.width == 8 else tuple({step, 2 * step}) if steps else ()
            framings = (1, 0, 2, 4) if dtype is None and lay.width == 1 else (1,)
            how.mixing = mixing.Hints(framings, how.field == "bytes", whole)
