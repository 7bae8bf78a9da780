"""Whether floats of a byte take fewer bits cut as others are: exponent and some mantissa bits apart from the rest."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from codec.kernels.statistics import TABLE_BITS
from codec.kernels.tables import POINT, entropy
from codec.planner.fields import Symbol

#: Bytes of a tensor for which a cut may pay, at most: a table of 256 values costs 100 bytes more than one of 64, and
#: of more bytes what sign and mantissa say of each other is worth as much.
MOST: Final = 1 << 16


def choose_cut(counts: NDArray[np.int64], exponent: int, mantissa: int) -> Symbol | None:
    """The symbol that takes fewer bits than bytes do, by order-0 entropy and a table, or None.

    counts int64[256]: how often each byte occurs.
    """
    best, chosen = _bits(counts), None
    elements = int(counts.sum())
    magnitudes = counts.reshape(2, -1).sum(axis=0)
    for k in range(mantissa + 1):
        fields = magnitudes.reshape(-1, 1 << (mantissa - k)).sum(axis=1)
        bits = _bits(fields) + ((1 + mantissa - k) * elements << POINT)
        if bits < best:
            there = np.flatnonzero(fields[1:]) + 1
            low, high = (int(there[0]), int(there[-1])) if there.size else (1, 1)
            best, chosen = bits, Symbol(k, low - 1, high - low + 1, False)
    return chosen


def _bits(counts: NDArray[np.int64]) -> int:
    """What they take, times 2^POINT, with their table."""
    there = np.flatnonzero(counts)
    return int(entropy(counts)) + (TABLE_BITS * int(there[-1] - there[0] + 1) << POINT) if there.size else 0
