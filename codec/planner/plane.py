"""What the planes of a span are coded with: entropy tables, zstd, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from codec.kernels import column_levels, statistics
from codec.kernels import groups as kernel
from codec.kernels import tables as table_kernel
from codec.kernels.native import invoke, place
from codec.kernels.statistics import WAYS
from codec.memory import kept
from codec.planner.columns import LEAST, Look, plan_columns
from codec.planner.groups import Groups
from codec.planner.levels import Level
from codec.planner.mixing import Hints
from codec.stages import huffman, plain, rans
from codec.stages.choice import bits_for
from codec.stages.columns import LANE_BYTES
from codec.stages.geometry import Bytes, plane_bytes, read_only, working

_POINT: Final = table_kernel.POINT
#: Planes of floats hardly ever repeat: below so many bytes a look with zstd costs more time than it can save bytes.
_FLOAT_LEAST: Final = 1024
_BYTES_LEAST: Final = 16
_LZMA_LEAST: Final = 64
#: Bytes of a known type that zstd looks at, at most.
_PROBED: Final = 1 << 17
#: Bytes and tiles, about, by which stage 7 is compared with stage 2.
_QUICK: Final = 1 << 15
_QUICK_TILES: Final = 64


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
    row for each of them: which bytes occur nowhere in it, from those that are known to occur (uint8[planes, 256]).
    ``typed``: what the bytes are is known. ``floats``: they are floats all the same. ``periods``: how many columns a
    row may have, for stage 7; none where it can't be. ``plane``: all of the only plane, if elements are bytes.
    ``chunks``: how many the span has. ``octave``: symbols to an octave.
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
    absent: Callable[[Bytes], NDArray[np.bool_]] | None = None
    typed: bool = False
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
        self.report = np.zeros((planes, kernel.REPORT), np.int64)
        self.limits = np.zeros((planes + WAYS, kernel.GROUPS_MAX), np.int64)
        self.counts = np.zeros((planes * kernel.GROUPS_MAX + kernel.SPARE_ROWS, 256), np.int64)


def _room() -> _Room:
    """This thread's."""
    room: _Room | None = kept().get(_Room)
    if room is None:
        room = kept()[_Room] = _Room()
    return room


def plan_planes(s: Sample, level: Level) -> list[PlanePlan]:
    """Choose for each plane."""
    quick = _by_columns(s, level)
    if quick is not None:
        return [quick]
    rows = _group(s, s.data, s.elements, s.scale, level)
    planes, room = s.widths.size, _room()
    limits = room.limits
    report = room.report[:planes].tolist()
    tables: list[Any] = []
    absent = None
    if rows and s.absent is not None:
        known = np.zeros((planes, 256), np.uint8)
        for of_plane, r in zip(known, report, strict=True):
            # of what has no groups nobody asks
            mine = room.counts[r[kernel.ROW] : r[kernel.ROW] + r[kernel.COUNT]]
            of_plane[:] = (mine > 1).any(axis=0) if len(mine) else 1
        absent = s.absent(known)
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
    for p, (size, tiles, looked, bits, count, way, row, _) in enumerate(report):
        field = "bytes" if not s.span else "symbol" if p == planes - 1 else "rest"
        zstd = 0
        if (
            size
            and s.probed
            and plane_bytes(s.run, s.tile, int(s.widths[p])) >= (_FLOAT_LEAST if s.span else _BYTES_LEAST)
        ):
            if runs is None:
                runs = s.runs()
            zstd = _zstd_level(runs[p], s, level, min(bits, looked * 8 << _POINT), looked, field)
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


def _group(s: Sample, data: Bytes, elements: int, scale: int, level: Level) -> int:
    """Put the tiles of some data (see Sample) into groups; what is found is in this thread's room. How many groups."""
    planes, room = s.widths.size, _room()
    if planes > room.planes:
        room.grow(planes)
    tiles = elements // s.tile + 1
    choice_at = 8 * (3 * tiles + 256 + WAYS)
    work = working("groups", choice_at + WAYS * tiles)
    return invoke(
        kernel.address(), place(data), data.size, place(s.widths), planes, s.tile, elements, scale, level.tables,
        level.entropy_below, planes - 1 if s.span else -1, s.span, place(work), place(room.report),
        place(room.limits), place(work) + choice_at, place(room.counts),
    )  # fmt: skip


def _by_columns(s: Sample, level: Level) -> PlanePlan | None:
    """A plan for integers of a byte whose columns differ: stage 7, if it takes less than what stage 2 is expected to
    take by a part of the tiles. To find the groups of all of them takes as long as to code the plane.
    """
    tiles = s.elements // s.tile
    if (
        s.plane is None or s.floats or not s.typed or not level.columns or level.probe or level.lzma
        or max(s.periods, default=1) == 1 or s.elements < _QUICK or tiles < _QUICK_TILES
        or s.plane.size <= level.zstd_always or statistics.recurring(read_only(s.runs()[0]), *seen())
    ):  # fmt: skip
        return None
    step = max(1, s.elements // _QUICK)
    step = min(step, tiles // _QUICK_TILES)
    part = s.data[: tiles * s.tile].reshape(tiles, s.tile)[::step].reshape(-1)
    if not _group(s, part, part.size, s.scale * step, level):
        return None
    room = _room()
    report = room.report[0].tolist()
    count = report[kernel.COUNT]
    counts = room.counts[:count].sum(axis=0)
    if s.scale * step > 1:
        counts = (counts - count) // 64
    there = (counts > 0).astype(np.uint8)
    statistics.present(s.plane, 0, 1, there)
    known = there > 0
    look = Look(
        s.data, s.tile, s.scale, s.periods, None if s.scale == 1 else ~known, np.maximum(counts, known), s.plane,
        s.chunks,
    )  # fmt: skip
    order0 = s.scale * step * int(table_kernel.entropy(counts))
    found = plan_columns(look, report[kernel.WAY], report[kernel.TAKEN], order0)
    if found is None or found[0].columns.size == 1:
        return None
    return PlanePlan(*found, 0, "bytes")


def _bits(counts: NDArray[np.int64], tables: Any, scale: int, tiles: int, chunks: int) -> int:
    """Bits (times 2^POINT) that a plane takes by tables that were fitted to these counts, 1 in ``scale``."""
    frequencies = (tables.encoder.reshape(-1, 256) & 4095).astype(np.int64)
    total = scale * int(column_levels.coded_bits(counts, frequencies)) // (1 if scale == 1 else 64)
    size = int(counts.sum()) * scale // (1 if scale == 1 else 64) // chunks
    lanes = 128 if tables.top < 128 and size >= rans.WRITTEN else rans.lanes_for(size)
    choices = scale * tiles * bits_for(tables.count)
    return total + (8 * (len(tables.raw) + chunks * LANE_BYTES * lanes) + choices << _POINT)


def _zstd_level(run: Bytes, s: Sample, level: Level, order0: int, size: int, field: str) -> int:
    """The zstd level to try, or 0 where a fast look at a contiguous run finds nothing to gain over order 0.

    zstd itself takes half of the time in which integers are coded: what comes again is looked for before.
    """
    if field == "bytes" and s.whole and run.size <= level.zstd_always:
        return level.zstd_small
    if s.typed and not (s.span or s.floats or level.probe):
        if not statistics.recurring(read_only(run), *seen()):
            return 0
        run = run[max(0, run.size - _PROBED) // 2 :][:_PROBED]
    probe = len(plain.compressor(1).compress(run.data)) * 8 << _POINT
    return level.zstd if probe * size * 100 < order0 * run.size * 97 else 0


def seen() -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """What ``repeats`` and its like work in: this thread's."""
    held = working("seen", (8 << statistics.SEEN_BITS) + 2048)
    return held[2048 : 2048 + (8 << statistics.SEEN_BITS)].view(np.uint64), held[:2048].view(np.int64)
