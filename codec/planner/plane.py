"""What the planes of a span are coded with: entropy tables, zstd, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from codec.kernels import column_levels
from codec.kernels import groups as kernel
from codec.kernels import tables as table_kernel
from codec.kernels.native import invoke, place
from codec.memory import kept
from codec.planner.columns import LEAST, Look, plan_columns
from codec.planner.groups import WEIGHTS, Groups
from codec.planner.levels import Level
from codec.planner.mixing import Hints
from codec.stages import huffman, plain, rans
from codec.stages.choice import bits_for
from codec.stages.columns import LANE_BYTES
from codec.stages.geometry import Bytes, plane_bytes, working

_POINT: Final = table_kernel.POINT
_WEIGHTS: Final = np.stack(WEIGHTS)
#: Planes of floats hardly ever repeat: below so many bytes a look with zstd costs more time than it can save bytes.
_FLOAT_LEAST: Final = 1024
_BYTES_LEAST: Final = 16
_LZMA_LEAST: Final = 64


@dataclass(slots=True)
class PlanePlan:
    """What to try for a plane in each chunk; the smallest is kept, stored if nothing is smaller.

    ``tables`` and ``groups`` belong together; ``zstd`` is a level, 0 for none; ``lzma`` is tried where zstd is;
    ``mixing``: stage 8 is tried. ``field`` is for reports.
    """

    tables: Any
    groups: Groups | None
    zstd: int
    field: str
    lzma: bool = False
    mixing: Hints | None = None


@dataclass(slots=True)
class Sample:
    """The planes (of ``widths`` bits) of some tiles of a span, 1 in ``scale``, one behind the other in ``data``.

    ``tile`` and ``elements`` count elements. ``runs`` gives contiguous bytes of each plane, of ``run`` elements;
    ``whole``: of all there are. ``probed``: whether zstd may find something in them. ``span``: the largest symbol of
    the last plane, 0 if it has no symbols. ``absent`` gives, for planes of whole bytes that were not looked at whole, a
    row for each of them: which bytes occur nowhere in it. ``floats``: the bytes are floats all the same.
    ``periods``: how many columns a row may have, for stage 7; none where it can't be. ``plane``: all of the only plane,
    if elements are bytes. ``chunks``: how many the span has. ``octave``: symbols to an octave.
    """

    data: Bytes
    widths: NDArray[np.int64]
    tile: int
    elements: int
    scale: int
    runs: Callable[[], list[Bytes]]
    run: int
    whole: bool
    span: int
    probed: bool
    absent: Callable[[], NDArray[np.bool_]] | None = None
    floats: bool = False
    periods: tuple[int, ...] = ()
    plane: Bytes | None = None
    chunks: int = 1
    octave: int = 0


class _Room:
    """What the kernel works in, grown as needed."""

    def __init__(self) -> None:
        self.grow(8)

    def grow(self, planes: int) -> None:
        self.planes = planes
        self.report = np.zeros((planes, 7), np.int64)
        self.limits = np.zeros((planes + 1, kernel.GROUPS_MAX), np.int64)
        self.counts = np.zeros(((planes + 3) * kernel.GROUPS_MAX, 256), np.int64)


def _room() -> _Room:
    """This thread's."""
    room: _Room | None = kept().get(_Room)
    if room is None:
        room = kept()[_Room] = _Room()
    return room


def plan_planes(s: Sample, level: Level) -> list[PlanePlan]:
    """Choose for each plane."""
    planes, room = s.widths.size, _room()
    if planes > room.planes:
        room.grow(planes)
    tiles = s.elements // s.tile + 1
    work = working("groups", 32 * tiles + 2048)
    limits = room.limits
    rows = invoke(
        kernel.address(), place(s.data), s.data.size, place(s.widths), planes, s.tile, s.elements, s.scale,
        level.tables, level.entropy_below, planes - 1 if s.span else -1, s.span, place(_WEIGHTS), place(work),
        place(room.report), place(limits), place(work) + 24 * tiles + 2048, place(room.counts),
    )  # fmt: skip
    report = room.report[:planes].tolist()
    tables: list[Any] = []
    absent = s.absent() if rows and s.absent is not None else None
    if absent is not None:
        # what the sample lacks was given a place in each table; 250 places for bytes that never come cost 6 %
        for of_plane, r in zip(absent, report, strict=True):
            room.counts[r[kernel.ROW] : r[kernel.ROW] + r[kernel.COUNT], of_plane] = 0
    if rows:
        fit: Callable[..., list[Any]] = huffman.fit_planes if level.huffman else rans.fit_planes
        scale = s.scale if s.scale == 1 else max(1, s.scale // 64)
        tables = fit(room.counts[:rows], [r[kernel.COUNT] for r in report if r[kernel.COUNT]], scale)
    tables.reverse()
    start = 0
    runs: list[Bytes] | None = None
    out = []
    for p, (size, tiles, looked, bits, count, way, row) in enumerate(report):
        field = "bytes" if not s.span else "symbol" if p == planes - 1 else "rest"
        zstd = 0
        if (
            size
            and s.probed
            and plane_bytes(s.run, s.tile, int(s.widths[p])) >= (_FLOAT_LEAST if s.span else _BYTES_LEAST)
        ):
            if runs is None:
                runs = s.runs()
            zstd = _zstd_level(runs[p], s.whole, level, min(bits, looked * 8 << _POINT), looked, field)
        lzma = level.lzma and field == "bytes" and not s.floats and size >= _LZMA_LEAST
        zstd = zstd or (level.zstd_small if lzma else 0)
        found, groups = None, None
        if count:
            found, groups = tables.pop(), Groups(way, limits[p, : count - 1].copy())
        if count and level.columns and s.periods and size >= LEAST and s.widths[p] == 8 and field != "rest":
            counts = room.counts[row : row + count]
            part = s.data[start : start + size]
            lacks = None if absent is None else absent[p]
            look = Look(part, s.tile, s.scale, s.periods, lacks, counts.sum(axis=0), s.plane, s.chunks, s.octave)
            taken = _bits(counts, found, s.scale, tiles, s.chunks)
            found, groups = plan_columns(look, way, taken) or (found, groups)
        start += size
        out.append(PlanePlan(found, groups, zstd, field, lzma))
    return out


def _bits(counts: NDArray[np.int64], tables: Any, scale: int, tiles: int, chunks: int) -> int:
    """Bits (times 2^POINT) that a plane takes by tables that were fitted to these counts, 1 in ``scale``."""
    frequencies = (tables.encoder.reshape(-1, 256) & 4095).astype(np.int64)
    total = scale * int(column_levels.coded_bits(counts, frequencies)) // (1 if scale == 1 else 64)
    size = int(counts.sum()) * scale // (1 if scale == 1 else 64) // chunks
    lanes = 128 if tables.top < 128 and size >= rans.WRITTEN else rans.lanes_for(size)
    choices = scale * tiles * bits_for(tables.count)
    return total + (8 * (len(tables.raw) + chunks * LANE_BYTES * lanes) + choices << _POINT)


def _zstd_level(run: Bytes, whole: bool, level: Level, order0: int, size: int, field: str) -> int:
    """The zstd level to try, or 0 where a fast look at a contiguous run finds nothing to gain over order 0."""
    if field == "bytes" and whole and run.size <= level.zstd_always:
        return level.zstd_small
    probe = len(plain.compressor(1).compress(run.data)) * 8 << _POINT
    return level.zstd if probe * size * 100 < order0 * run.size * 97 else 0
