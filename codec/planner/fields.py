"""How to cut a float: how many mantissa bits go into the symbol, its window, and the planes of what remains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codec.dtypes import DType
from codec.kernels import statistics as kernel
from codec.kernels import tables as table_kernel
from codec.planner.levels import Level
from codec.stages.geometry import read_only

_POINT: Final = table_kernel.POINT
#: Bits of one escape in a chunk: position and value.
_ESCAPE_BITS: Final = 48
#: Bits a symbol of the table costs to write, about.
_TABLE_BITS: Final = 3


@dataclass(frozen=True, slots=True)
class Masks:
    """OR and AND of each tile, in the order of the file's bits; largest and smallest non-zero magnitude of all."""

    ors: NDArray[np.unsignedinteger]
    ands: NDArray[np.unsignedinteger]
    most: int
    least: int

    def plain(self, bits: int) -> bool:
        """Whether every bit varies and no tile ends in a zero bit: there is nothing to drop."""
        varying = int(np.bitwise_or.reduce(self.ors)) & ~int(np.bitwise_and.reduce(self.ands))
        low = (1 << (bits // 2 - 4)) - 1
        return varying & low == low and varying >> (bits - 1) == 1 and not tiles_zero_to(self.ors, 1)


def tiles_zero_to(ors: NDArray[np.unsignedinteger], bit: int) -> int:
    """How many tiles have zeros in all bits below ``bit``."""
    return int(np.count_nonzero((ors & ors.dtype.type((1 << bit) - 1)) == 0))


def masks_of(x: NDArray[np.unsignedinteger], tile: int, magnitude: int) -> Masks:
    """One pass over the elements."""
    kind = x.dtype.type
    rows = [np.empty(-(-x.size // tile), x.dtype) for _ in range(4)]
    kernel.masks(read_only(x), tile, kind(magnitude), *rows)
    least = int(rows[3].min()) + 1
    return Masks(rows[0], rows[1], int(rows[2].max()), least if least <= magnitude else 0)


def fold_masks(x: NDArray[np.unsignedinteger], fold: int) -> NDArray[np.unsignedinteger]:
    """Move the top bit of each down to bit ``fold`` (FORMAT.md, section 5)."""
    kind, top = x.dtype.type, x.dtype.itemsize * 8 - 1
    low, high = x & kind((1 << fold) - 1), (x & kind((1 << top) - 1)) >> kind(fold)
    folded: NDArray[np.unsignedinteger] = (high << kind(fold)) << kind(1) | (x >> kind(top)) << kind(fold) | low
    return folded


@dataclass(frozen=True, slots=True)
class Symbol:
    """The symbol of a float: ``mantissa`` bits of it, and a window.

    For fields low..high the symbol is field - window, 1 to span; others escape.
    """

    mantissa: int
    window: int
    low: int
    high: int
    escapes: bool
    bits: int

    @property
    def span(self) -> int:
        """The largest symbol."""
        return self.high - self.window

    def alphabet(self) -> NDArray[np.bool_]:
        """Which bytes may occur in the symbol's plane: those of the window, and 0."""
        out = np.zeros(256, np.bool_)
        out[: self.span + 1] = True
        return out


def choose_symbol(
    dtype: DType,
    sample: NDArray[np.unsignedinteger],
    elements: int,
    masks: Masks,
    level: Level,
    varying: int,
    exact: bool,
) -> Symbol | None:
    """The cheapest symbol by the sample's entropy, or None if no window takes the elements in.

    ``varying`` has the bits that differ between elements: what is constant costs nothing outside the
    symbol. ``exact``: the masks are of all elements, not of the sample.
    """
    finest = max(level.mantissa[dtype.exponent_bits])
    magnitude = (1 << (dtype.exponent_bits + dtype.mantissa_bits)) - 1
    counts = np.zeros(1 << (dtype.exponent_bits + finest), np.int64)
    kernel.field_counts(read_only(sample), magnitude, dtype.mantissa_bits - finest, counts)
    best: Symbol | None = None
    ends = np.zeros(2, np.int64)
    for k in level.mantissa[dtype.exponent_bits]:
        cut = dtype.mantissa_bits - k
        least, most = masks.least >> cut, masks.most >> cut
        if most == 0:
            return Symbol(k, 0, 1, 1, not exact, 0)
        coded = int(
            kernel.window_of(
                counts, 1 << (finest - k), elements, sample.size, least, most, _ESCAPE_BITS, _TABLE_BITS, exact, ends
            )
        )
        low, high = int(ends[0]), int(ends[1])
        rest = (varying & ((1 << cut) - 1)).bit_count() + 1
        bits = coded + (rest * elements << _POINT)
        if coded >= 0 and (best is None or bits < best.bits):
            window = low - 1
            escapes = not exact or max(1, least) < low or most > high
            best = Symbol(k, window, low, high, escapes, bits)
    return best


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
    for bit in range(low + 1, high + 1):
        saved = int(np.count_nonzero(zeros >= bit)) * tile * (bit - low)
        if saved > best:
            best, at = saved, bit
    return at


def trailing_zeros(x: NDArray[np.unsignedinteger], bits: int) -> NDArray[np.int64]:
    """Trailing zero bits of each, at most ``bits``."""
    out = np.zeros(x.size, np.int64)
    for k in range(bits):
        out += (x & x.dtype.type((1 << (k + 1)) - 1)) == 0
    return out
