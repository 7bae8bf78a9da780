"""Which structure integers of 16 bits have, by counts of some of them, where coding them in each way would take long.

Weights that were rounded to steps are such, if some are too far off for a byte. To try a palette, a mask, an offset and
two bytes took five times as long as to take the palette, which is a quarter smaller than the next.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from codec.dtypes import DTYPES, DType
from codec.kernels import statistics
from codec.kernels.tables import POINT, entropy
from codec.memory import kept
from codec.stages.geometry import read_only
from codec.ways import Found, offset, palette, sparse

#: Elements from which on time matters more than what counts don't show, and how many are counted.
_MANY: Final = 1 << 15
_LOOKED: Final = 1 << 14
#: A way that takes less than so many hundredths of another makes it needless to try that.
_SURELY: Final = 97


def likely(x: Any, dtype: DType, shape: tuple[int, ...]) -> tuple[list[Found], bool] | None:
    """What is to be tried for elements (uint16[n]), and whether the plain way is, too; None if everything is.

    Where something comes again counts say little.
    """
    if dtype.name not in ("I16", "U16") or x.size < _MANY:
        return None
    held: tuple[Any, Any] | None = kept().get(likely)
    if held is None:
        held = kept()[likely] = np.zeros(1 << statistics.SEEN_BITS, np.uint64), np.zeros(256, np.int64)
    if statistics.recurring(read_only(x.view(np.uint8)), *held):
        return None
    step = max(1, x.size // _LOOKED)
    some = np.ascontiguousarray(x[::step])
    if int(np.count_nonzero(some)) * 4 < some.size:
        return None  # runs of zeros are not known by counts
    plain = _bits(some)
    few = palette(x, dtype, shape)
    if few is not None:
        bits = int(entropy(np.bincount(few[1][1].data[::step], minlength=256)))
        if bits * 100 < plain * _SURELY:
            above = offset(x, dtype, shape)
            if above is None:
                return [few], False
            # in bytes it has the numbers in order, from the least on, and no values to store; in two bytes it is rarely
            # the smaller one, by little
            return ([above] if above[1][0].dtype is DTYPES["U8"] else [few, above]), False
        return None
    above = offset(x, dtype, shape)
    if above is None:
        return None
    bits = _bits(np.ascontiguousarray(above[1][0].data.view(np.uint16)[::step]))
    others = some[some != 0]
    masked = int(entropy(np.array([others.size, some.size - others.size]))) + _bits(others)
    found = [above]
    if masked * _SURELY < bits * 100 and (mask := sparse(x, dtype, shape)) is not None:
        found.append(mask)
    return found, bits * 100 >= plain * _SURELY


def _bits(x: Any) -> int:
    """Bits (times 2^POINT) that elements (uint16[n]) take as two bytes, or as their 8 top bits and the others."""
    low, counts = max(0, int(x.max(initial=0)).bit_length() - 8), np.empty((3, 256), np.int64)
    statistics.count_cuts(read_only(x), 1, low, counts)
    lower, upper, top = (int(entropy(row)) for row in counts)
    return min(lower + upper, top + (int(x.size) * low << POINT))
