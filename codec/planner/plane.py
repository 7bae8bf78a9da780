"""What one plane is coded with: entropy tables, zstd, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from codec.kernels import statistics as kernel
from codec.kernels import tables as table_kernel
from codec.planner.groups import Groups, group
from codec.planner.levels import Level
from codec.stages import huffman, plain, rans
from codec.stages.geometry import Bytes, read_only

_POINT: Final = table_kernel.POINT
_TABLE_BITS: Final = 3
#: Planes of floats hardly ever repeat: below so many bytes a look with zstd costs more time than it can save bytes.
_FLOAT_LEAST: Final = 1024


@dataclass(frozen=True, slots=True)
class PlanePlan:
    """What to try for a plane in each chunk; the smallest is kept, stored if nothing is smaller.

    ``tables`` and ``groups`` belong together; ``zstd`` is a level, 0 for none; ``field`` is for reports.
    """

    tables: Any = None
    groups: Groups | None = None
    zstd: int = 0
    field: str = "rest"


@dataclass(frozen=True, slots=True)
class Sample:
    """Bytes of one plane: some of its tiles (1 in ``scale``), and a contiguous run (``whole``: all of it)."""

    tiles: Bytes
    tile: int
    count: int
    scale: int
    run: Bytes
    whole: bool = False


def plan_plane(
    s: Sample, level: Level, weights: tuple[int, ...], alphabet: NDArray[np.bool_] | None, field: str
) -> PlanePlan:
    """Choose for one plane. ``alphabet`` are bytes that may occur though the sample does not show them (None: any)."""
    if s.tiles.size == 0:
        return PlanePlan(field=field)
    quick = np.zeros((4, 256), np.int64)
    few = read_only(s.tiles[: 1 << 15])
    kernel.counts_of(few, quick)
    counted = quick.sum(axis=0)
    order0 = int(table_kernel.entropy(counted))
    total = s.tiles.size * s.scale
    coded = order0 * total // few.size + (_TABLE_BITS * int(np.count_nonzero(counted)) << _POINT)
    promising = coded * 1000 < (total * 8 << _POINT) * level.entropy_below
    zstd = _zstd_level(s, level, min(order0, few.size * 8 << _POINT), few.size, field)
    if not promising:
        return PlanePlan(zstd=zstd, field=field)
    found = group(s.tiles, s.tile, s.count, weights, s.scale, level.tables)
    counts = found.counts
    if s.scale > 1:
        counts = counts * 64 + (1 if alphabet is None else alphabet.astype(np.int64))
    fit = huffman.fit_tables if level.huffman else rans.fit_tables
    scale = s.scale if s.scale == 1 else max(1, s.scale // 64)
    return PlanePlan(fit(counts, scale), found, zstd, field)


def _zstd_level(s: Sample, level: Level, order0: int, size: int, field: str) -> int:
    """The zstd level to try, or 0 where a fast look at a contiguous run finds nothing to gain over order 0."""
    if s.run.size < (16 if field == "bytes" else _FLOAT_LEAST):
        return 0
    if field == "bytes" and s.whole and s.run.size <= level.zstd_always:
        return level.zstd_small
    probe = len(plain.compressor(1).compress(s.run.data)) * 8 << _POINT
    return level.zstd if probe * size * 100 < order0 * s.run.size * 97 else 0
