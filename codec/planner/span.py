"""Plan one span: layout, tables, and what to try for each plane."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import gcd, prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from codec.dtypes import DTYPES, SMALL_FLOATS, DType
from codec.kernels import planes as plane_kernel
from codec.kernels import statistics
from codec.kernels import tables as table_kernel
from codec.kernels.groups import LEARNT
from codec.kernels.span_records import RUN, RUN_LEAST
from codec.kernels.uneven import WORK, uneven
from codec.planner import eighths, fields, mixing
from codec.planner.levels import Level
from codec.planner.packed import bytes_alike
from codec.planner.plane import PlanePlan, Sample, plan_planes, seen
from codec.planner.tiles import chunk_for, columns_for, periods_for, row_for, short_tiles, tile_for
from codec.stages import plain
from codec.stages.columns import COLUMNS
from codec.stages.geometry import Bytes, plane_bytes, plane_geometry, read_only, working
from codec.stages.layout import UINT, Layout, Plane

_NONE: Final = np.zeros(0, np.uint8)
#: Opaque bytes are planned in pieces of so many, since they may hold anything.
OPAQUE_SPAN: Final = 1 << 20
#: Bytes of opaque spans that may have stage 7, at least.
_OPAQUE_LEAST: Final = 1 << 16
#: Codes of the types that are floats, even where their elements are whole bytes or less.
_FLOATS: Final = frozenset(d.code for d in DTYPES.values() if d.name[0] in "FBC" and d.name != "BOOL")
#: By the width of opaque elements: the floats that they may be, and mantissa bits that go with the exponent.
_OPAQUE_FLOATS: Final = {2: ((DTYPES["BF16"], 2), (DTYPES["F16"], 3)), 4: ((DTYPES["F32"], 2),)}
#: Elements of a tile of those: it should not reach far across the rows of whatever they are.
_OPAQUE_TILE: Final = 512
_NO_ESCAPES: Final = np.zeros(0, np.uint32)
_NO_VALUES: Final = np.zeros(0, np.uint16)
#: Up to so many elements the kernel for any layout will do: it takes some microseconds more, but compiling the one for
#: a layout that only small tensors have takes half a second.
_PLAIN: Final = 1 << 12
#: More planes of low bits than there have to be take time: so many thousandths of what they leave.
_LOW_WORTH: Final = 1010
#: How often each column is looked at, if there are so many rows: its scale is then off by a tenth.
SEEN: Final = 64
#: Rows that hold fp16 have 13 zero bits in fp32. With three mantissa bits in the symbol their planes are whole ones
#: (8, 4, 1 | 8, 8), so that number is tried for fp32 at any level.
HALF_MANTISSA: Final = 3


@dataclass(slots=True)
class Pieces:
    """The planes of a whole span, without drops: plane k is data[starts[k]:starts[k + 1]]; and its escapes.

    ``data`` is working space of the thread: the next plan overwrites it.
    """

    data: Bytes
    starts: list[int]
    at: NDArray[np.uint32]
    values: NDArray[np.uint16]


@dataclass(slots=True)
class Plan:
    """How to code a span. ``span`` is the largest symbol of its window.

    ``zeros``, if the layout drops planes, are the trailing zero bits of each tile. ``pieces`` are there if planning
    had to cut the whole span into planes and nothing is dropped. ``again``: floats, or their exponents, come again;
    ``uneven``: the scales of their rows and columns differ.
    """

    layout: Layout
    planes: list[PlanePlan]
    span: int
    zeros: NDArray[np.int64] | None
    pieces: Pieces | None
    again: bool = False
    uneven: bool = False

    def drops(self, first_tile: int, tiles: int) -> Bytes:
        """Planes that each of some tiles drops: those that end at or below its zeros."""
        if self.zeros is None:
            return _NONE
        ends = np.array([p.shift + p.width for p in self.layout.planes[:-1]], np.int64)
        return np.searchsorted(ends, self.zeros[first_tile : first_tile + tiles], "right").astype(np.uint8)


def plan_span(data: Bytes, dtype: DType | None, shape: tuple[int, ...], level: Level, wild: bool = False) -> Plan:
    """Plan for the bytes of one span (aligned to its elements) of a tensor, or of opaque bytes (dtype None).

    ``wild``: never use escapes; for a span that turned out to have too many.
    """
    plan = _plan_span(data, dtype, shape, level, wild)
    _hint(plan, dtype, shape, level)
    return plan


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


def plan_mixed(data: Bytes, plan: Plan, dtype: DType | None, shape: tuple[int, ...], level: Level) -> Plan | None:
    """A plan for a span of integers that takes their bytes as they lie, for stage 8; None if it has that already."""
    width = plan.layout.width
    if not level.mixing or width not in (2, 4) or plan.layout.fold is not None or plan.layout.dtype in _FLOATS:
        return None
    other = _plan_bytes(data, plan.layout.dtype, 1, (*shape, width) if shape else (), level)
    for how in other.planes:
        how.zstd, how.lzma = 0, False
        how.mixing = mixing.Hints((width,), True, mixing.distances(shape, plan.layout.elements))
    return other


def _plan_span(data: Bytes, dtype: DType | None, shape: tuple[int, ...], level: Level, wild: bool) -> Plan:
    if dtype is not None and dtype.exponent_bits and data.size >= dtype.bits // 8:
        found = None if wild else _plan_float(data, dtype, shape, level, dtype.code)
        if found is not None:
            return found
    code = dtype.code if dtype else 0
    width = dtype.bits // 8 if dtype and dtype.bits % 8 == 0 else 1
    if dtype is not None and dtype.name == "C64":
        width = 4
    if dtype is None:
        width = _opaque_width(data)
        kind = None if wild or width == 1 else _opaque_floats(data, width)
        found = None if kind is None else _plan_float(data, kind, (2, _OPAQUE_TILE), level, code)
        if found is not None:
            return found
    if data.size < width:
        width = 1
    if dtype is not None and width > 1 and dtype.name[0] in "IU" and bytes_alike(data, width):
        width, shape = 1, (shape[0], prod(shape[1:]) * width) if len(shape) > 1 else ()
    return _plan_bytes(data, code, width, shape, level)


def other_plans(data: Bytes, dtype: DType, shape: tuple[int, ...], level: Level) -> Iterator[Plan]:
    """Other ways to cut floats of which some come again, in which zstd may find more: the exponent alone, or bytes.

    A plan is to be used before the next is asked for.
    """
    level = replace(level, zstd_always=0)  # most planes of these are noise
    alone = replace(level, mantissa=dict.fromkeys(level.mantissa, (0,)))
    found = _plan_float(data, dtype, shape, alone, dtype.code)
    if found is not None:
        yield found
    yield _plan_bytes(data, dtype.code, 4 if dtype.name == "C64" else dtype.bits // 8, shape, level)


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
    plan = _finish_float(data, cut, dtype.code, 1, tile, data, found, symbol, level, shape, False)
    _hint(plan, dtype, shape, level)
    return plan


def plans_by_columns(data: Bytes, dtype: DType, shape: tuple[int, ...], level: Level) -> Iterator[Plan]:
    """Plans for floats whose symbols have stage 7, where that looks as if it paid: all of them are looked at.

    A plan is to be used before the next is asked for.
    """
    level = replace(level, sample=1 << 62)
    width = 4 if dtype.name == "C64" else dtype.bits // 8
    for tile in short_tiles((*shape, 2) if dtype.name == "C64" else shape, data.size // width):
        found = _plan_float(data, dtype, shape, level, dtype.code, tile)
        if found is not None and getattr(found.layout.planes[-1].tables, "stage", 0) == COLUMNS:
            _hint(found, dtype, shape, level)
            yield found


def _plan_bytes(data: Bytes, code: int, width: int, shape: tuple[int, ...], level: Level) -> Plan:
    """Whole bytes as planes; bytes that never change are no plane."""
    elements = data.size // width
    x = data[: elements * width].view(UINT[width])
    ors, ands = int(np.bitwise_or.reduce(x)), int(np.bitwise_and.reduce(x))
    places = [(8 * k, 8) for k in range(width) if (ors ^ ands) >> 8 * k & 255 or width == 1]
    if width == 2 and 8 < (high := ors.bit_length()) < 16 and (low := _low_bits(x, high)):
        places = [*fields.cut_planes(0, low), (low, 8)]
    constant = ands & ~sum(((1 << bits) - 1) << shift for shift, bits in places)
    tile = tile_for(shape, elements)
    layout = _layout(data.size, code, width, tile, places, row=row_for(shape, tile), constant=constant)
    # what no type is known of are headers, mostly, which are not worth some seconds of compiling
    periods = periods_for(shape, tile, layout.chunk, elements) if code or data.size >= _OPAQUE_LEAST else ()
    return _with_planes(layout, x, level, None, None, periods)


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


def _plan_float(
    data: Bytes, dtype: DType, shape: tuple[int, ...], level: Level, code: int, short: int = 0
) -> Plan | None:
    """Plan for floats of this type; ``code`` is what the record says they are; ``short``: a tile for stage 7."""
    width = 4 if dtype.name == "C64" else dtype.bits // 8
    elements = data.size // width
    x = data[: elements * width].view(UINT[width])
    if dtype.name == "C64":
        shape = (*shape, 2)
    tile = short or tile_for(shape, elements)
    step, sampled = _step(elements, tile, level.sample // 8)
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
    return _finish_float(data, dtype, code, width, tile, x, found, symbol, level, shape, short > 0)


def _finish_float(
    data: Bytes, dtype: DType, code: int, width: int, tile: int, x: NDArray[np.unsignedinteger],
    found: fields.Survey, symbol: fields.Symbol, level: Level, shape: tuple[int, ...], by_columns: bool,
) -> Plan:  # fmt: skip
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
    layout = _layout(
        data.size, code, width, tile, [*places, (fold + 1, 8)], fold=fold, window=symbol.window,
        constant=common & ~covered, drops=boundary > low, escapes=symbol.escapes,
        row=row_for(shape, tile) if by_columns else 1,
    )  # fmt: skip
    periods = periods_for(shape, tile, layout.chunk, x.size) if by_columns else ()
    row = 0 if by_columns or not level.columns or not code else columns_for(shape)
    return _with_planes(layout, x, level, symbol, zeros if layout.drops else None, periods, row)


def _layout(
    length: int, code: int, width: int, tile: int, places: list[tuple[int, int]], fold: int | None = None,
    window: int | None = None, constant: int = 0, drops: bool = False, escapes: bool = False, row: int = 1,
) -> Layout:  # fmt: skip
    """A layout without tables. A window is written where the last plane reaches beyond the element, too."""
    planes = tuple(Plane(shift, bits) for shift, bits in places)
    if fold is not None and not window and places[-1][0] + 8 <= 8 * width:
        window = None
    return Layout(
        length, code, width, tile, chunk_for(max(tile, row), width), planes, fold, window, constant, drops, escapes
    )


def _step(elements: int, tile: int, most: int) -> tuple[int, int]:
    """(take every so-manieth tile, elements in those): whole tiles only, or all there is in steps of 1."""
    step, tiles = max(1, elements // most), elements // tile
    if step == 1 or tiles < 2:
        return 1, elements
    return step, -(-tiles // step) * tile


def _sampled(x: NDArray[np.unsignedinteger], tile: int, step: int, size: int) -> NDArray[np.unsignedinteger]:
    """Every so-manieth tile, ``size`` elements together."""
    if size == x.size:
        return x
    tiles = x.size // tile
    out: NDArray[np.unsignedinteger] = working("gather", size * x.itemsize)[: size * x.itemsize].view(x.dtype)
    np.copyto(out.reshape(-1, tile), x[: tiles * tile].reshape(tiles, tile)[::step])
    return out


def split(
    layout: Layout, span: int, x: NDArray[np.unsignedinteger], drops: Bytes, out: Bytes, room: int
) -> Pieces | None:
    """Planes of some elements, and their escapes; None if there are more than ``room``. ``out`` is working space.

    The escapes, too, are in working space, until the next split. Whole bytes need no kernel: numpy copies them, and
    nothing has to be compiled.
    """
    planes, tile, starts = layout.planes, layout.tile, [0]
    for k, p in enumerate(planes):
        if drops.size:
            starts.append(starts[-1] + plane_geometry(x.size, tile, p.width, drops <= k).size)
        else:
            starts.append(starts[-1] + plane_bytes(x.size, tile, p.width))
    if layout.fold is None and not drops.size and all(p.width == 8 and p.shift % 8 == 0 for p in planes):
        rows = x.view(np.uint8).reshape(-1, layout.width)
        for p, a, b in zip(planes, starts, starts[1:], strict=False):
            out[a:b] = rows[:, p.shift // 8]
        return Pieces(out, starts, _NO_ESCAPES, _NO_VALUES)
    at = working("escapes", 4 * room)[: 4 * room].view(np.uint32)
    values = working("values", 2 * room)[: 2 * room].view(np.uint16)
    widths = tuple([p.width for p in planes])
    places = np.array([[p.shift for p in planes], widths, starts[:-1]], np.int64)
    fold = 8 * layout.width - 1 if layout.fold is None else layout.fold
    ints = plane_kernel.numbers(tile, fold, layout.window or 0, span, layout.constant)
    kernel = plane_kernel.kernels_for(widths if x.size > _PLAIN else ()).split
    found = kernel(read_only(x), ints, drops, places, out, working("spare", tile), at, values)
    return None if found < 0 else Pieces(out, starts, at[:found], values[:found])


def room_for(layout: Layout, elements: int) -> int:
    """Bytes that the planes of so many elements can take."""
    tiles = -(-elements // layout.tile)
    return sum(elements * p.width // 8 + tiles for p in layout.planes) + 64


def _with_planes(
    layout: Layout, x: NDArray[np.unsignedinteger], level: Level, symbol: fields.Symbol | None,
    zeros: NDArray[np.int64] | None, periods: tuple[int, ...] = (), row: int = 0,
) -> Plan:  # fmt: skip
    """Choose for each plane from a sample of tiles. ``periods``: see Sample. ``row``: elements of a row
    of floats that may have stage 7, otherwise planned, or 0.
    """
    most = max(level.sample, SEEN * max(periods, default=0)) if level.columns else level.sample
    step, size = _step(x.size, layout.tile, most)
    periods = tuple(p for p in periods if step == 1 or gcd(step, max(1, p // layout.tile)) == 1)
    # bytes may repeat anywhere: all of an opaque span is looked at; floats hardly ever repeat
    most = RUN if symbol is not None else OPAQUE_SPAN // layout.width
    middle = max(0, (x.size - most) // 2) // layout.tile * layout.tile
    part = x.size > 2 * most or (symbol is None and x.size > most)
    run = x[middle : middle + most] if part else x
    span = symbol.span if symbol is not None else 255
    sample = _sampled(x, layout.tile, step, size)
    if layout.width == 1 and len(layout.planes) == 1:
        found: Pieces | None = Pieces(sample.view(np.uint8), [0, size], _NO_ESCAPES, _NO_VALUES)
    else:
        found = split(layout, span, sample, _NONE, working("sample", room_for(layout, size)), size)
    assert found is not None
    pieces = None
    if step == 1 and not layout.drops:
        pieces = Pieces(found.data, found.starts, found.at.copy(), found.values.copy())

    def runs() -> list[Bytes]:
        if layout.width == 1 and len(layout.planes) == 1:
            return [run.view(np.uint8)]
        if run is sample:
            return [found.data[a:b] for a, b in itertools.pairwise(found.starts)]
        also = split(layout, span, run, _NONE, working("run", room_for(layout, run.size)), run.size)
        assert also is not None
        return [also.data[a:b] for a, b in itertools.pairwise(also.starts)]

    probed, again = symbol is None or level.probe, False
    if symbol is not None and run.size >= RUN_LEAST:
        symbols_of = read_only(runs()[-1])
        again = bool(statistics.repeats(symbols_of, *seen()))
        probed = probed or again
        again = x.size >= RUN and (again or bool(statistics.patterned(symbols_of, symbol.mantissa, *seen())))
    differ = False
    if symbol is not None and row and not layout.drops:
        work = working("uneven", 8 * WORK + 8 * -(-row // 2))[: 8 * WORK + 8 * -(-row // 2)].view(np.int64)
        told = read_only(found.data[found.starts[-2] : found.starts[-1]])
        rest = layout.fold + 1 if layout.fold is not None else 0
        differ = bool(uneven(told, layout.tile, step, row, 1 << symbol.mantissa, rest, work))
    widths = np.array([p.width for p in layout.planes], np.int64)
    data = found.data[: found.starts[-1]]
    symbols = 0 if symbol is None else symbol.span

    def absent(out: Bytes) -> NDArray[np.bool_]:
        whole = read_only(x.view(np.uint8))
        for p, row in zip(layout.planes, out, strict=True):
            statistics.present(whole, p.shift // 8, layout.width, row)
        none: NDArray[np.bool_] = out == 0
        return none

    plans = plan_planes(
        Sample(
            data, widths, layout.tile, size, step, runs, run.size, not part, symbols, probed,
            absent if symbol is None and step > 1 else None, symbol is None and layout.dtype > 0,
            layout.dtype in _FLOATS, periods,
            read_only(x.view(np.uint8)) if layout.width == 1 and len(layout.planes) == 1 else None, layout.chunks,
            1 << symbol.mantissa if symbol is not None else 0,
        ),
        level,
    )  # fmt: skip
    planes = tuple([Plane(p.shift, p.width, plan.tables) for p, plan in zip(layout.planes, plans, strict=True)])
    lay = Layout(
        layout.length, layout.dtype, layout.width, layout.tile, layout.chunk, planes, layout.fold, layout.window,
        layout.constant, layout.drops, layout.escapes,
    )  # fmt: skip
    return Plan(lay, plans, span, zeros, pieces, again, differ)


def _opaque_floats(data: Bytes, width: int) -> DType | None:
    """The type of floats as which opaque elements take fewer bits than as bytes, if there is one: by the order-0
    entropy of the top 16 bits, cut either way, in some pieces.
    """
    whole = data[: data.size // width * width].view(UINT[width])
    x = np.concatenate([whole[k * whole.size // 8 :][: 1 << 12] for k in range(8)]) >> 8 * width - 16

    def bits(values: NDArray[Any]) -> int:
        counts = np.bincount(values)
        return int(table_kernel.entropy(counts)) + int(np.count_nonzero(counts)) * LEARNT

    best, kind = bits(x & 255) + bits(x >> 8), None
    for dtype, mantissa in _OPAQUE_FLOATS[width]:
        cut = dtype.mantissa_bits - mantissa - 8 * width + 16
        total = bits((x & 0x7FFF) >> cut) + bits(x >> 15) + bits(x & (1 << cut) - 1)
        if total < best:
            best, kind = total, dtype
    return kind


def _opaque_width(data: Bytes) -> int:
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
