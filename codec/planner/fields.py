"""How to cut a float: how many mantissa bits go into the symbol, its window, and the planes of what remains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codec.dtypes import DType
from codec.kernels import statistics as kernel
from codec.memory import kept
from codec.stages.geometry import read_only, working


class _Room:
    """Small arrays of this thread that kernels write their answers to."""

    def __init__(self) -> None:
        self.found, self.ends = np.zeros(6, np.uint64), np.zeros(4, np.int64)
        self.counts, self.none = np.zeros(1 << 14, np.int64), np.zeros(0, np.int64)


def _room() -> _Room:
    """This thread's."""
    room: _Room | None = kept().get(_Room)
    if room is None:
        room = kept()[_Room] = _Room()
    return room


@dataclass(slots=True)
class Survey:
    """What occurs in the elements looked at: OR and AND of all, largest and smallest non-zero magnitude.

    ``ors`` (uint64, good until the next survey) has the OR of each tile; ``even`` of them end in a zero bit,
    ``halves`` in 13. ``counts``: how often each field occurs.
    """

    every: int
    common: int
    most: int
    least: int
    even: int
    halves: int
    ors: NDArray[np.uint64]
    counts: NDArray[np.int64]

    def plain(self, bits: int) -> bool:
        """Whether every bit varies and no tile ends in a zero bit: there is nothing to drop."""
        varying = self.every & ~self.common
        low = (1 << (bits // 2 - 4)) - 1
        return varying & low == low and varying >> (bits - 1) == 1 and not self.even


def survey(
    x: NDArray[np.unsignedinteger], tile: int, step: int, dtype: DType, finest: int,
    counts: NDArray[np.int64] | None = None,
) -> Survey:  # fmt: skip
    """One pass over every so-manieth whole tile (``step``; 1: over all elements).

    Fields of the exponent and ``finest`` mantissa bits are counted, unless ``counts`` says how often each occurs.
    """
    tiles = -(-x.size // tile) if step == 1 else -(-(x.size // tile) // step)
    magnitude = (1 << (dtype.exponent_bits + dtype.mantissa_bits)) - 1
    ors = working("ors", 8 * tiles)[: 8 * tiles].view(np.uint64)
    count = _room().counts[: 1 << (dtype.exponent_bits + finest)] if counts is None else _room().none
    kernel.survey(read_only(x), tile, step, magnitude, dtype.mantissa_bits - finest, ors, _room().found, count)
    every, common, most, least, even, halves = _room().found.tolist()
    least = least + 1 if least < magnitude else 0
    return Survey(every, common, most, least, even, halves, ors, count if counts is None else counts)


def fold_bits(x: int, fold: int, bits: int) -> int:
    """Move the top one of ``bits`` bits down to bit ``fold`` (FORMAT.md, section 5)."""
    low = (1 << fold) - 1
    return x & low | x >> (bits - 1) << fold | (x & ((1 << (bits - 1)) - 1)) >> fold << (fold + 1)


@dataclass(slots=True)
class Symbol:
    """The symbol of a float: ``mantissa`` bits of it, and a window.

    For fields low..high the symbol is field - window, 1 to span; others escape.
    """

    mantissa: int
    window: int
    span: int
    escapes: bool


def choose_symbol(
    dtype: DType, found: Survey, finest: int, candidates: tuple[int, ...], elements: int, sampled: int, exact: bool
) -> Symbol | None:
    """The cheapest symbol by the sample's entropy, or None if no window takes the elements in.

    The counts of ``found``, of ``finest`` mantissa bits, are of ``sampled`` of the elements. ``exact``: the range of
    magnitudes is that of all elements, not of the sample.
    """
    varying = (found.every ^ found.common) & ((1 << dtype.mantissa_bits) - 1)
    tried = sum(1 << k for k in candidates)
    chosen = kernel.choose_symbol(
        found.counts, finest, tried, dtype.mantissa_bits, elements, sampled, found.least, found.most, varying, exact,
        _room().ends,
    )  # fmt: skip
    k = int(chosen)  # a numpy integer without the JIT
    if k < 0:
        return None
    low, high = _room().ends[:2].tolist()
    cut = dtype.mantissa_bits - k
    if found.most >> cut == 0:
        return Symbol(k, 0, 1, not exact)
    escapes = not exact or max(1, found.least >> cut) < low or found.most >> cut > high
    return Symbol(k, low - 1, high - low + 1, escapes)


def cut_planes(low: int, high: int) -> list[tuple[int, int]]:
    """Bits [low, high) as planes (shift, width), wide ones first."""
    out = []
    for width in (8, 4, 2, 1):
        while high - low >= width:
            out.append((low, width))
            low += width
    return out


def drop_boundary(zeros: NDArray[np.int64], low: int, high: int, tile: int, elements: int) -> int:
    """The bit below which it pays best to drop planes in the tiles that are zero there, or ``low`` if nowhere.

    ``zeros`` are trailing zero bits of each tile. It must save a 500th of the elements' bits.
    """
    best, at = elements * high // 500, low
    ending = np.bincount(zeros, minlength=high + 1)[::-1].cumsum()[::-1].tolist()
    for bit in range(low + 1, high + 1):
        saved = ending[bit] * tile * (bit - low)
        if saved > best:
            best, at = saved, bit
    return at


def trailing_zeros(ors: NDArray[np.uint64], fold: int, bits: int, most: int) -> NDArray[np.int64]:
    """Trailing zero bits of each once its top one of ``bits`` bits is at bit ``fold``: ``most`` (<= fold + 1) at most.

    A bit above those stops the count; a lone bit is a power of two, whose logarithm is the exponent of a float.
    """
    one = np.uint64(1)
    x = ors & np.uint64((1 << fold) - 1) | ors >> np.uint64(bits - 1) << np.uint64(fold) | np.uint64(1 << (fold + 1))
    lone = (x & (~x + one)).astype(np.float64)
    zeros: NDArray[np.int64] = np.minimum((lone.view(np.int64) >> 52) - 1023, most)
    return zeros
