"""Plan one span: layout, tables, and what to try for each plane."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codec.dtypes import DType
from codec.kernels import planes as plane_kernel
from codec.kernels import statistics as kernel
from codec.kernels import tables as table_kernel
from codec.planner import fields
from codec.planner.levels import Level
from codec.planner.plane import PlanePlan, Sample, plan_plane
from codec.planner.tiles import chunk_for, tile_for
from codec.stages.geometry import Bytes, plane_geometry, read_only, working
from codec.stages.layout import UINT, Layout, Plane

_NONE: Final = np.zeros(0, np.uint8)
_RUN: Final = 1 << 13
#: Opaque bytes are planned in pieces of so many, since they may hold anything.
OPAQUE_SPAN: Final = 1 << 20
_NO_ESCAPES: Final = np.zeros(0, np.uint32)
_NO_VALUES: Final = np.zeros(0, np.uint16)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to code a span. ``span`` is the largest symbol of its window.

    ``zeros``, if the layout drops planes, are the trailing zero bits of each tile.
    """

    layout: Layout
    planes: tuple[PlanePlan, ...]
    span: int = 255
    zeros: NDArray[np.int64] | None = None

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
    if dtype is not None and dtype.exponent_bits and data.size >= dtype.bits // 8:
        found = None if wild else _plan_float(data, dtype, shape, level)
        if found is not None:
            return found
    code = dtype.code if dtype else 0
    width = dtype.bits // 8 if dtype and dtype.bits % 8 == 0 else 1
    if dtype is not None and dtype.name == "C64":
        width = 4
    if dtype is None:
        width = _opaque_width(data)
    if data.size < width:
        width = 1
    return _plan_bytes(data, code, width, shape, level)


def _plan_bytes(data: Bytes, code: int, width: int, shape: tuple[int, ...], level: Level) -> Plan:
    """Whole bytes as planes; bytes that never change are no plane."""
    elements = data.size // width
    x = data[: elements * width].view(UINT[width])
    tile = tile_for(shape, elements)
    m = fields.masks_of(x, tile, (1 << 8 * width) - 1)
    ors, ands = int(np.bitwise_or.reduce(m.ors)), int(np.bitwise_and.reduce(m.ands))
    places = [(8 * k, 8) for k in range(width) if (ors ^ ands) >> 8 * k & 255 or width == 1]
    constant = ands & ~sum(255 << shift for shift, _ in places)
    layout = _layout(data.size, code, width, tile, places, constant=constant)
    return _with_planes(layout, x, level, None)


def _plan_float(data: Bytes, dtype: DType, shape: tuple[int, ...], level: Level) -> Plan | None:
    width = 4 if dtype.name == "C64" else dtype.bits // 8
    elements = data.size // width
    x = data[: elements * width].view(UINT[width])
    if dtype.name == "C64":
        shape = (*shape, 2)
    tile = tile_for(shape, elements)
    sample, scale = _sampled(x, tile, level.sample // 8)
    m = fields.masks_of(sample, tile, (1 << (8 * width - 1)) - 1)
    exact = scale == 1
    if not exact and not m.plain(8 * width):
        m, exact = fields.masks_of(x, tile, (1 << (8 * width - 1)) - 1), True
    ors, ands = np.bitwise_or.reduce(m.ors), np.bitwise_and.reduce(m.ands)
    symbol = fields.choose_symbol(dtype, sample, elements, m, level, int(ors ^ ands), exact)
    if symbol is None:
        return None
    if dtype.name == "F32" and symbol.mantissa != 3 and fields.tiles_zero_to(m.ors, 13) * 8 > m.ors.size:
        # rows that hold fp16: with three mantissa bits in the symbol their planes are whole ones (8, 4, 1 | 8, 8)
        again = fields.choose_symbol(
            dtype, sample, elements, m, replace(level, mantissa={8: (3,)}), int(ors ^ ands), exact
        )
        symbol = again or symbol
    return _finish_float(data, dtype, width, tile, x, m, symbol, level)


def _finish_float(
    data: Bytes, dtype: DType, width: int, tile: int, x: NDArray[np.unsignedinteger], m: fields.Masks,
    symbol: fields.Symbol, level: Level,
) -> Plan:  # fmt: skip
    fold = dtype.mantissa_bits - symbol.mantissa
    folded = fields.fold_masks(m.ors, fold)
    all_or = int(np.bitwise_or.reduce(folded))
    all_and = int(fields.fold_masks(np.bitwise_and.reduce(m.ands).reshape(1), fold)[0])
    varying = (all_or ^ all_and) & ((2 << fold) - 1)
    low = (varying & -varying).bit_length() - 1 if varying else fold + 1
    high = varying.bit_length() if varying else fold + 1
    zeros, boundary = None, low
    if low == 0 and m.ors.size > 1 and fields.tiles_zero_to(m.ors, 1):
        zeros = fields.trailing_zeros(folded, high)
        boundary = fields.drop_boundary(zeros, low, high, tile, x.size)
    places = fields.cut_planes(low, boundary) + fields.cut_planes(boundary, high)
    covered = sum(((1 << w) - 1) << s for s, w in places)
    constant = all_and & ((2 << fold) - 1) & ~covered
    layout = _layout(
        data.size, dtype.code, width, tile, [*places, (fold + 1, 8)], fold=fold, window=symbol.window,
        constant=constant, drops=boundary > low, escapes=symbol.escapes,
    )  # fmt: skip
    plan = _with_planes(layout, x, level, symbol)
    return replace(plan, zeros=zeros if layout.drops else None)


def _layout(
    length: int, code: int, width: int, tile: int, places: list[tuple[int, int]], fold: int | None = None,
    window: int | None = None, constant: int = 0, drops: bool = False, escapes: bool = False,
) -> Layout:  # fmt: skip
    """A layout without tables. A window is written where the last plane reaches beyond the element, too."""
    planes = tuple(Plane(shift, bits) for shift, bits in places)
    if fold is not None and not window and places[-1][0] + 8 <= 8 * width:
        window = None
    return Layout(length, code, width, tile, chunk_for(tile, width), planes, fold, window, constant, drops, escapes)


def _sampled(x: NDArray[np.unsignedinteger], tile: int, most: int) -> tuple[NDArray[np.unsignedinteger], int]:
    """(every so-manieth tile, how many elements one of them stands for)."""
    step = max(1, x.size // most)
    tiles = x.size // tile
    if step == 1 or tiles < 2:
        return x, 1
    return np.ascontiguousarray(x[: tiles * tile].reshape(tiles, tile)[::step]).reshape(-1), step


def split(
    layout: Layout, span: int, x: NDArray[np.unsignedinteger], drops: Bytes, out: Bytes, room: int
) -> tuple[list[Bytes], NDArray[np.uint32], NDArray[np.uint16]] | None:
    """Planes of some elements, and their escapes; None if there are more than ``room``. ``out`` is working space.

    Whole bytes need no kernel: numpy copies them, and nothing has to be compiled.
    """
    sizes = [
        plane_geometry(x.size, layout.tile, p.width, drops <= k if drops.size else None).size
        for k, p in enumerate(layout.planes)
    ]
    starts = [0, *itertools.accumulate(sizes)]
    if layout.fold is None and not drops.size and all(p.width == 8 and p.shift % 8 == 0 for p in layout.planes):
        rows = x.view(np.uint8).reshape(-1, layout.width)
        for p, a, b in zip(layout.planes, starts, starts[1:], strict=False):
            out[a:b] = rows[:, p.shift // 8]
        return [out[a:b] for a, b in itertools.pairwise(starts)], _NO_ESCAPES, _NO_VALUES
    at, value = np.empty(room, np.uint32), np.empty(room, np.uint16)
    places = np.array([layout.shifts, layout.widths, starts[:-1]], np.int64)
    fold = 8 * layout.width - 1 if layout.fold is None else layout.fold
    ints = plane_kernel.numbers(layout.tile, fold, layout.window or 0, span, layout.constant)
    kernels = plane_kernel.kernels_for(tuple(p.width for p in layout.planes))
    found = kernels.split(read_only(x), ints, drops, places, out, np.empty(layout.tile, np.uint8), at, value)
    if found < 0:
        return None
    return [out[a:b] for a, b in itertools.pairwise(starts)], at[:found], value[:found]


def room_for(layout: Layout, elements: int) -> int:
    """Bytes that the planes of so many elements can take."""
    tiles = -(-elements // layout.tile)
    return sum(elements * p.width // 8 + tiles for p in layout.planes) + 64


def _with_planes(layout: Layout, x: NDArray[np.unsignedinteger], level: Level, symbol: fields.Symbol | None) -> Plan:
    """Choose for each plane from a sample of tiles."""
    sample, scale = _sampled(x, layout.tile, level.sample)
    # bytes may repeat anywhere: all of an opaque span is looked at; floats hardly ever repeat
    most = _RUN if symbol is not None else OPAQUE_SPAN // layout.width
    middle = max(0, (x.size - most) // 2) // layout.tile * layout.tile
    run = x[middle : middle + most] if x.size > 2 * most or (symbol is None and x.size > most) else x
    whole = layout.width == 1 and len(layout.planes) == 1
    if whole:
        parts, runs = [sample], [run]
    else:
        span = symbol.span if symbol is not None else 255
        found = split(layout, span, sample, _NONE, working("sample", room_for(layout, sample.size)), sample.size)
        also = split(layout, span, run, _NONE, working("run", room_for(layout, run.size)), run.size)
        assert found is not None
        assert also is not None
        parts, runs = found[0], also[0]
    plans = []
    for k, (p, part, r) in enumerate(zip(layout.planes, parts, runs, strict=True)):
        g = plane_geometry(sample.size, layout.tile, p.width, None)
        top = symbol is not None and k == len(layout.planes) - 1
        alphabet = symbol.alphabet() if top and symbol is not None else None
        name = "symbol" if top else "rest" if symbol is not None else "bytes"
        plans.append(
            plan_plane(
                Sample(part, g.tile, g.tiles, scale, r, run.size == x.size),
                level,
                (0,) if top else (0, 1, 2, 3),
                alphabet,
                name,
            )
        )
    planes = tuple(replace(p, tables=plan.tables) for p, plan in zip(layout.planes, plans, strict=True))
    return Plan(replace(layout, planes=planes), tuple(plans), symbol.span if symbol is not None else 255)


def _opaque_width(data: Bytes) -> int:
    """1, 2 or 4: the width whose byte planes have the least order-0 entropy in some pieces; wider must gain 2 %."""
    pieces = [data[k * data.size // 4 & ~3 :][: 1 << 14] for k in range(4)] if data.size > 1 << 16 else [data]
    best, width = -1, 1
    counts = np.zeros((4, 256), np.int64)
    for w in (1, 2, 4):
        bits = 0
        for k in range(w):
            total = np.zeros(256, np.int64)
            for piece in pieces:
                kernel.counts_of(read_only(np.ascontiguousarray(piece[k::w])), counts)
                total += counts.sum(axis=0)
            bits += int(table_kernel.entropy(total)) + (600 << table_kernel.POINT)
        if best < 0 or bits * 100 < best * 98:
            best, width = bits, w
    return width
