"""Integers times the scale of their group, and finding them (format_spec/transforms/8_scaled.md).

Products are single operations of IEEE 754, so that they are the same on any machine; nothing here may be compiled with
fastmath. Elements of all types are looked at as F32, of which those of fewer bits are a part.
"""

from __future__ import annotations

import numpy as np

from codec.kernels.cached import jit

#: Distinct magnitudes in a group, and times the scale that one is, at most.
MOST = 255
#: How many times the scale the smallest magnitude is taken to be, at most (of 64 weights of 8 bits one in 6000 has none
#: below 9); scales that are tried; and how often an interval is narrowed.
_FIRST = 64
_TRIES = 16
_PASSES = 4
_MAGNITUDE = np.uint32(0x7FFFFFFF)
_NORMAL = np.uint32(0x00800000)
_INFINITE = np.uint32(0x7F800000)
_MINUS = np.uint32(0x80000000)
#: Of an integer that stands for -0.
NOTHING = 1 << 14


@jit(nogil=True)
def multiply(codes, scales, group, offset, last, out):  # type: ignore[no-untyped-def]
    """out[i] = (codes[i] + offset) x scales[i // group], or -0 where codes[i] is ``last`` (-1: none is).

    codes uint8[n]; scales float32[ceil(n / group)]; offset int64; out float32[n].
    """
    n = np.int64(out.size)
    for g in range(scales.size):
        scale, first, stop = scales[g], g * group, min(n, (g + 1) * group)
        for i in range(first, stop):
            out[i] = np.float32(np.int32(codes[i]) + np.int32(offset)) * scale
    if last >= 0:
        for i in range(n):
            if codes[i] == last:
                out[i] = np.float32(-0.0)


@jit(nogil=True)
def shortened(bits, cut, down):  # type: ignore[no-untyped-def]
    """The F32 (uint32) without its last ``cut`` bits: rounded to the nearest, of two the even one, or ``down``."""
    step = np.uint32(cut)
    if cut and not down:
        bits += (np.uint32(1) << (step - np.uint32(1))) - np.uint32(1) + ((bits >> step) & np.uint32(1))
    return (bits >> step) << step


@jit(nogil=True)
def shorten(x, down, out):  # type: ignore[no-untyped-def]
    """BF16 of F32: x uint32[n], out uint16[n]. See ``shortened``."""
    for i in range(out.size):
        out[i] = np.uint16(shortened(x[i], 16, down) >> np.uint32(16))


@jit(nogil=True)
def halve(x, out):  # type: ignore[no-untyped-def]
    """F16 of F32, to the nearest, of two the even one: x float32[n], no NaN; out uint16[n].

    What becomes denormal is added to 0.5, whose last bit is theirs, and so rounded ("Float->half variants", Giesen).
    Without branches, so that it is done in lanes: numpy took ten times as long.
    """
    bits, small, one = x.view(np.uint32), np.float32(0.5), np.uint32(1)
    for i in range(out.size):
        size = bits[i] & _MAGNITUDE
        tiny = np.uint32(np.int64((np.abs(x[i]) + small) * np.float32(1 << 24)) - np.int64(1 << 23))
        normal = (size + np.uint32(0xC8000FFF) + ((size >> np.uint32(13)) & one)) >> np.uint32(13)
        half = tiny if size < np.uint32(113 << 23) else normal
        half = np.uint32(0x7C00) if size >= np.uint32(143 << 23) else half
        out[i] = np.uint16(half | ((bits[i] & _MINUS) >> np.uint32(16)))


@jit(nogil=True)
def _magnitudes(bits, first, stop, found):  # type: ignore[no-untyped-def]
    """Distinct magnitudes of elements first..stop but 0, ascending, into found uint32[MOST + 1]; -1 if they are more,
    or one is denormal or not finite.
    """
    count = 0
    for i in range(first, stop):
        x = bits[i] & _MAGNITUDE
        if x == np.uint32(0):
            continue
        if x < _NORMAL or x >= _INFINITE:
            return -1
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            if found[middle] < x:
                low = middle + 1
            else:
                high = middle
        if low < count and found[low] == x:
            continue
        if count == MOST:
            return -1
        for k in range(count, low, -1):
            found[k] = found[k - 1]
        found[low] = x
        count += 1
    return count


@jit(nogil=True)
def _interval(values, below, above, count, scales):  # type: ignore[no-untyped-def]
    """The interval of scales of which all values are multiples, but for their rounding: a product from below[k] to
    above[k] became values[k]. All float64[MOST + 1]; scales float64[2]. Returns whether there is one.
    """
    for first in range(1, _FIRST + 1):
        low, high = below[0] / first, above[0] / first
        good = True
        for _ in range(
            _PASSES
        ):  # what can be several multiples at first may be one only when the scale is known better
            for k in range(count):
                least, most = np.ceil(below[k] / high), np.floor(above[k] / low)
                if least > most or least > MOST:
                    good = False
                    break
                if least == most:
                    low, high = max(low, below[k] / least), min(high, above[k] / least)
                    if low > high:
                        good = False
                        break
            if not good:
                break
        if good:
            scales[0], scales[1] = low, high
            return True
    return False


@jit(nogil=True)
def _candidate(low, high, number):  # type: ignore[no-untyped-def]
    """The F32 (uint32) from low to high with the fewest bits set at the end, then some between them."""
    if number:
        return np.uint32(low + (high - low) * (number - 1) // max(1, _TRIES - 2))
    found = low
    for bit in range(1, 24):
        rounded = (low + (1 << bit) - 1) >> bit << bit
        if rounded > high:
            break
        found = rounded
    return np.uint32(found)


@jit(nogil=True)
def _multiple(quotient, down):  # type: ignore[no-untyped-def]
    """What was multiplied; what is rounded down is less than its product, but for the rounding to F32."""
    return np.ceil(quotient * (1 - 2.0**-23)) if down else np.rint(quotient)


@jit(nogil=True)
def fit(bits, group, cut, down, integers, scales, work, floats):  # type: ignore[no-untyped-def]
    """Take elements apart: bits uint32[n], F32 of which the last ``cut`` bits are 0, into integers int16[n] (NOTHING
    for -0) and scales float32[ceil(n / group)], so that products, shortened (see ``shortened``), are the elements.

    work uint32[MOST + 2]; floats float64[3 * (MOST + 1) + 2]. Returns 0, or -1 if a group is no such.
    """
    n, held = np.int64(bits.size), np.float32(1)
    size = MOST + 1
    values, below, above = floats[:size], floats[size : 2 * size], floats[2 * size : 3 * size]
    ends, one = floats[3 * size :], work[size:]
    step = np.uint32(1) << np.uint32(cut)
    for g in range(scales.size):
        first, stop = g * group, min(n, (g + 1) * group)
        count = _magnitudes(bits, first, stop, work)
        if count < 0:
            return -1
        if count == 0:
            scales[g] = held
            for i in range(first, stop):
                integers[i] = NOTHING if bits[i] else 0
            continue
        for k in range(count):
            one[0] = work[k]
            value = np.float64(one.view(np.float32)[0])
            one[0] = work[k] + step
            room = np.float64(one.view(np.float32)[0]) - value
            # a product is rounded to F32 first, which moves it by 2^-24 of itself
            values[k] = value
            below[k] = (value if down else value - room / 2) * (1 - 2.0**-23 * (cut > 0) - 2.0**-45)
            above[k] = (value + room if down else value + room / 2) * (1 + 2.0**-23 * (cut > 0) + 2.0**-45)
        if not _interval(values, below, above, count, ends):
            return -1
        # F32 from the first to the last, which are some
        one.view(np.float32)[0] = np.float32(ends[0])
        low = np.int64(one[0]) + (np.float64(one.view(np.float32)[0]) < ends[0])
        one.view(np.float32)[0] = np.float32(ends[1])
        high = np.int64(one[0]) - (np.float64(one.view(np.float32)[0]) > ends[1])
        if low > high or low < np.int64(_NORMAL):
            return -1
        found = False
        for number in range(_TRIES):
            one[0] = _candidate(low, high, number)
            scale = one.view(np.float32)[0]
            inverse = 1 / np.float64(scale)
            found = True
            for k in range(count):
                multiple = _multiple(values[k] * inverse, down)
                one.view(np.float32)[0] = np.float32(multiple) * scale
                if multiple > MOST or shortened(one[0], cut, down) != work[k]:
                    found = False
                    break
            if found:
                break
        if not found:
            return -1
        scales[g] = held = scale
        for i in range(first, stop):
            one[0] = bits[i] & _MAGNITUDE
            if one[0] == np.uint32(0):
                integers[i] = NOTHING if bits[i] else 0
            else:
                multiple = np.int64(_multiple(np.float64(one.view(np.float32)[0]) * inverse, down))
                integers[i] = -multiple if bits[i] & _MINUS else multiple
    return 0
