"""The plan of a span: its layout, and what to try for each plane, by a sample of tiles."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import gcd
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codec.dtypes import DTYPES
from codec.kernels import statistics
from codec.kernels.span_records import RUN, RUN_LEAST
from codec.kernels.uneven import WORK, uneven
from codec.planner import fields
from codec.planner.levels import Level
from codec.planner.pieces import NO_ESCAPES, NO_VALUES, Pieces, room_for, sampled, split, step_of
from codec.planner.plane import PlanePlan, Sample, plan_planes, seen
from codec.planner.tiles import chunk_for
from codec.stages.geometry import Bytes, read_only, working
from codec.stages.layout import Layout, Plane

_NONE: Final = np.zeros(0, np.uint8)
#: Opaque bytes are planned in pieces of so many, since they may hold anything.
OPAQUE_SPAN: Final = 1 << 20
#: Codes of the types that are floats, even where their elements are whole bytes or less.
FLOATS: Final = frozenset(d.code for d in DTYPES.values() if d.name[0] in "FBC" and d.name != "BOOL")
#: How often each column is looked at, if there are so many rows: its scale is then off by a tenth.
_SEEN: Final = 64


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


def layout_of(
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


def with_planes(
    layout: Layout, x: NDArray[np.unsignedinteger], level: Level, symbol: fields.Symbol | None,
    zeros: NDArray[np.int64] | None, periods: tuple[int, ...] = (), row: int = 0,
) -> Plan:  # fmt: skip
    """Choose for each plane from a sample of tiles. ``periods``: see Sample. ``row``: elements of a row
    of floats that may have stage 7, otherwise planned, or 0.
    """
    most = max(level.sample, _SEEN * max(periods, default=0)) if level.columns else level.sample
    step, size = step_of(x.size, layout.tile, most)
    periods = tuple(p for p in periods if step == 1 or gcd(step, max(1, p // layout.tile)) == 1)
    # bytes may repeat anywhere: all of an opaque span is looked at; floats hardly ever repeat
    most = RUN if symbol is not None else OPAQUE_SPAN // layout.width
    middle = max(0, (x.size - most) // 2) // layout.tile * layout.tile
    part = x.size > 2 * most or (symbol is None and x.size > most)
    run = x[middle : middle + most] if part else x
    span = symbol.span if symbol is not None else 255
    sample = sampled(x, layout.tile, step, size)
    if layout.width == 1 and len(layout.planes) == 1:
        found: Pieces | None = Pieces(sample.view(np.uint8), [0, size], NO_ESCAPES, NO_VALUES)
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
            layout.dtype in FLOATS, periods,
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
