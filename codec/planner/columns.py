"""Whether stage 7 pays for a plane: numbers for its rows and columns, and tables (codec.kernels.column_plan)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codec.kernels import column_levels as levels
from codec.kernels import column_plan as kernel
from codec.kernels import tables as table_kernel
from codec.kernels.uneven import range_of
from codec.memory import kept
from codec.planner.groups import OWN, WEIGHTS, Groups
from codec.stages import columns
from codec.stages.columns import ColumnTables
from codec.stages.geometry import Bytes, read_only

_POINT: Final = table_kernel.POINT
_BYTE: Final = np.arange(256, dtype=np.int64)
#: It must gain a 500th, since it decodes slower than stage 2.
_GAIN: Final = 500
#: Which of WEIGHTS are magnitudes of 8-bit floats: logarithms, of which 8 are an octave (with 3 mantissa bits).
_FLOAT_WAY: Final = 3
_OCTAVE: Final = 8
#: Tables that are fitted to fewer tiles do not fit the others: then all are looked at.
_TILES: Final = 512
#: The first of STEPS to be tried for floats.
_FIRST: Final = 4
#: Symbols on which steps are tried, about.
_PART: Final = 1 << 17
#: Smaller planes cannot pay for numbers and tables.
LEAST: Final = 1024


@dataclass(frozen=True, slots=True)
class Look:
    """The bytes of a plane that are looked at: whole tiles of ``tile`` bytes, every ``step``-th; one in ``scale``.

    ``periods``: how many columns a row may have, each a divisor or a multiple of ``tile``. ``absent``: bytes that occur
    nowhere in the plane, None if all of it is looked at. ``counts`` int64[256]: how often each occurs, or times 64.
    ``whole``: all of the plane, if it is at hand. ``chunks``: how many there are. ``octave``: how many bytes are an
    octave if they are logarithms, the symbols of floats; else 0.
    """

    data: Bytes
    tile: int
    step: int
    periods: tuple[int, ...]
    absent: NDArray[np.bool_] | None
    counts: NDArray[np.int64]
    whole: Bytes | None
    chunks: int
    octave: int = 0


class _Room:
    """``counts``: of each table, and in the last row of all."""

    def __init__(self) -> None:
        self.counts = np.zeros((kernel.CLASSES + 1, 256), np.int64)
        self.limits, self.results = np.zeros(kernel.LIMITS_MAX, np.int64), np.zeros(kernel.RESULTS, np.int64)


def _room() -> _Room:
    """This thread's."""
    room: _Room | None = kept().get(_Room)
    if room is None:
        room = kept()[_Room] = _Room()
    return room


@dataclass(frozen=True, slots=True)
class _Weights:
    """What describes rows and columns: ``of`` each byte; ``way`` as in Groups; to an octave ``linear`` or, of 0, none.

    Without ``linear`` they are the distances from ``middle``.
    """

    of: NDArray[np.int64]
    way: int
    middle: int
    linear: int


def plan_columns(look: Look, way: int, bits: int, order0: int = 0) -> tuple[ColumnTables, Groups] | None:
    """Tables and rows' numbers if they take less than ``bits`` (times 2^POINT).

    ``way``: of WEIGHTS, one to try, too. ``order0``: if ``bits`` are those of a part, what that part takes by its own
    counts: all take as many times more as by theirs, and what tables lose is not in it, which is about a 500th.
    """
    if look.step > 1 and look.data.size < _TILES * look.tile:
        if look.whole is None:
            return None
        look = replace(look, data=look.whole, step=1, absent=None)
    middle = _middle(look.counts)
    ways = (
        [_logarithms(look, middle)]
        if look.octave
        else [_Weights(np.minimum((_BYTE - middle) & 255, (middle - _BYTE) & 255), -1 - middle, middle, 0)]
    )
    if way == _FLOAT_WAY:
        ways.append(_Weights(WEIGHTS[way], way, middle, _OCTAVE))
    best, found = bits if order0 else bits - bits // _GAIN, None
    for weights in ways:
        tried = _climb(look, weights) if look.octave else _plan(look, weights)
        if tried is not None and order0:
            best, order0 = best * (look.step * int(table_kernel.entropy(_room().counts[-1])) >> 8) // (order0 >> 8), 0
        if tried is not None and tried[0] < best:
            best, found = tried[0], tried[1:]
    return found


def _climb(look: Look, weights: _Weights) -> tuple[int, ColumnTables, Groups] | None:
    """The plan with the best step. How wide logarithms spread around those of row and column, and with it what it costs
    to be off, differs much between floats: it is tried out, on some tiles of large planes.
    """
    part, found = _part(look), dict[int, tuple[int, ColumnTables, Groups] | None]()

    def tried(k: int) -> tuple[int, ColumnTables, Groups] | None:
        if k not in found and 0 <= k < kernel.STEPS.size:
            found[k] = _plan(part, weights, int(kernel.STEPS[k]) << (_POINT - 4))
        return found.get(k)

    at = _FIRST
    for way in (-1, 1):
        while (other := tried(at + way)) is not None and ((here := tried(at)) is None or other[0] < here[0]):
            at += way
    if part is look or tried(at) is None:
        return tried(at)
    return _plan(look, weights, int(kernel.STEPS[at]) << (_POINT - 4))


def _part(look: Look) -> Look:
    """Some tiles of all, if there are many: an odd one of so many, so that each part of a row is among them."""
    step, tiles = (look.data.size // _PART) | 1, look.data.size // look.tile
    if (
        step == 1
        or look.step > 1
        or tiles < 16 * step
        or any(gcd(step, max(1, p // look.tile)) > 1 for p in look.periods)
    ):
        return look
    some = look.data[: tiles * look.tile].reshape(tiles, look.tile)[::step].reshape(-1)
    return replace(look, data=some, step=step, absent=look.counts == 0, whole=None)


def _plan(look: Look, weights: _Weights, given: int = 0) -> tuple[int, ColumnTables, Groups] | None:
    """(bits, tables, rule for the rows' numbers). The first of the periods whose columns differ is taken.

    ``given``: the step between numbers, or 0.
    """
    data, room = read_only(look.data), _room()
    rows, kinds = np.empty(-(-data.size // look.tile), np.int64), int(np.count_nonzero(look.counts))
    whole, apart = (data, look.step) if look.whole is None else (look.whole, 1)
    for period in look.periods:
        beside = np.empty(period, np.uint8)
        status = kernel.number(
            data, look.tile, look.step, whole, apart, weights.of, weights.middle, weights.linear, kinds,
            given, np.empty(period, np.uint32), rows, np.empty(period, np.int64), beside, room.counts, room.limits,
            room.results,
        )  # fmt: skip
        if status == 0:
            break
    else:
        return None
    count, limits, least = room.results.tolist()
    room.counts[:count].sum(axis=0, out=room.counts[-1])
    counts, rule = room.counts[:count].copy(), Groups(weights.way, room.limits[:limits].copy(), least)
    if weights.way == OWN:
        rule = replace(rule, own=weights.of)
    row = np.empty(-(-whole.size // look.tile), np.uint8)
    written = apart * int(
        levels.rows_numbers(
            whole, look.tile, weights.of, weights.middle, weights.linear, rule.limits, least,
            np.empty(row.size, np.int64), row,
        )
    )  # fmt: skip
    times = 1
    if look.step > 1:
        # what the sample lacks has to be coded, too: each byte that occurs gets a place in its table
        seen = np.ones((count, 256), np.uint8)
        if look.whole is not None:
            seen, most = (counts > 0).astype(np.uint8), np.empty(period, np.uint8)
            levels.present(whole, look.tile, row, beside, weights.middle, weights.linear, seen, most)
        elif look.absent is not None:
            seen[:, look.absent] = 0
        times = 64
        counts = (counts * times + 1) * seen
    tables = columns.fit_tables(counts, max(1, look.step // times), beside, weights.middle)
    total = look.step * int(levels.coded_bits(counts, tables.frequencies)) // times
    lanes = columns.lanes_for(data.size * look.step // look.chunks)
    total += 8 * (len(tables.raw) + written + look.chunks * columns.LANE_BYTES * lanes) << _POINT
    return total, tables, rule


def _logarithms(look: Look, middle: int) -> _Weights:
    """The symbols themselves; those far off as the furthest of the others, so that a few zeros don't tell."""
    ends = np.zeros(2, np.int64)
    range_of(look.counts, ends)
    low, high = ends.tolist()
    return _Weights(_BYTE.clip(low, high) - low, OWN, middle, look.octave)


def _middle(counts: NDArray[np.int64]) -> int:
    """The byte in the middle of all, on the circle of bytes: the median around the commonest."""
    mode = int(counts.argmax())
    turned = np.concatenate((counts, counts))[mode + 128 : mode + 384]
    return int(np.searchsorted(turned.cumsum() * 2, turned.sum())) + mode + 128 & 255
