"""LEB128: integers to bytes and back (format_spec/transforms/7_leb128.md)."""

from __future__ import annotations

import numpy as np

from codec.kernels.cached import jit


@jit(nogil=True)
def read(data, signed, values, ends):  # type: ignore[no-untyped-def]
    """Integers from the front of data uint8[n], up to the first that is cut short, longer than its value needs, or of
    more than 64 bits (of 63, if ``signed``). values int64[m] gets them (modulo 2^64) and ends int64[m] where each ends;
    reads at most m. Returns how many.
    """
    n, count, at = np.int64(data.size), np.int64(0), np.int64(0)
    most = 8 if signed else 9
    while count < values.size:
        x, shift, i = np.int64(0), np.int64(0), at
        while i < n and i < at + most and data[i] >= 128:
            x |= np.int64(data[i] & 127) << shift
            shift += 7
            i += 1
        if i >= n or data[i] >= 128:
            break
        last = np.int64(data[i])
        if i > at:
            # the last byte repeats the sign alone if the one before says it, too
            before = (np.int64(data[i - 1]) >> 6 & 1) if signed else 0
            if (last == 0 and before == 0) or (signed and last == 127 and before == 1) or (shift == 63 and last > 1):
                break
        x |= last << shift
        if signed and last & 64 and shift + 7 < 64:
            x |= np.int64(-1) << (shift + 7)
        values[count] = x
        at = i + 1
        ends[count] = at
        count += 1
    return count


@jit(nogil=True)
def write(values, offset, signed, out):  # type: ignore[no-untyped-def]
    """Integers, values uintW[m] plus an offset (int64), to out uint8[n]. Returns 0, or -1 if they do not take exactly n
    bytes.
    """
    n, at = np.int64(out.size), np.int64(0)
    for k in range(values.size):
        x = np.int64(values[k]) + np.int64(offset)
        while True:
            if at >= n:
                return -1
            low = x & 127
            x >>= 7
            if not signed:
                x &= (1 << 57) - 1  # the sign is a bit like others
            if (x == 0 and (low < 64 or not signed)) or (x == -1 and low >= 64 and signed):
                out[at] = low
                at += 1
                break
            out[at] = low | 128
            at += 1
    return 0 if at == n else -1
