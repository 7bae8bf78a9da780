"""Elements that are not zero to their places between runs of zeros (FORMAT.md, transform 10)."""

from __future__ import annotations

import numpy as np

from codec.kernels.cached import jit


@jit(nogil=True)
def spread(numbers, top, values, width, out):  # type: ignore[no-untyped-def]
    """Fill out uint8[n * width], or, if ``width`` is 0, out uint8 of bits that are elements.

    numbers uint16[m], m >= 1: each so many zeros and, if it is below ``top``, an element behind them, the next of
    values uint8[others * width]; of bits these are others bytes of any value. Returns 0; -1 if there are more or fewer
    numbers below top than others, or the last is not, or they stand for more elements than there are; -2 if an element
    is zero.

    One function for all widths, as it is the numbers that take the time: each more would be a second of compiling.
    """
    each = width if width > 0 else 1
    n = np.int64(out.size) // width if width > 0 else 8 * np.int64(out.size)
    others, used, at = np.int64(values.size) // each, np.int64(0), np.int64(0)
    out[:] = 0
    if np.int64(numbers[numbers.size - 1]) >= top:
        return -1
    for i in range(numbers.size):
        number = np.int64(numbers[i])
        at += number
        if number >= top:
            continue
        if at >= n or used >= others:
            return -1
        if width == 1:
            v = values[used]
            if v == 0:
                return -2
            out[at] = v
        elif width == 0:
            out[at >> 3] |= np.uint8(1 << (at & 7))
        else:
            found = np.int64(0)
            for k in range(width):
                v = values[used * width + k]
                out[at * width + k] = v
                found |= np.int64(v)
            if found == 0:
                return -2
        used += 1
        at += 1
    return 0 if used == others else -1
