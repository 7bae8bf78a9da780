"""Decode the payload of one plane of a chunk: rANS, Huffman, rANS by columns, two values.

The decoders are called by their addresses, so that each is compiled once, in its own file. Positions are offsets in the
stored bytes; -1 says that something is wrong, or for the careful way.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels import permute
from codec.kernels.heads import TABLE_WORDS, varint
from codec.kernels.made import whole
from codec.kernels.native import call
from codec.kernels.numbers import read as read_numbers
from codec.kernels.permute import PAD
from codec.kernels.registers import SIZE as HELD
from codec.kernels.registers import spell_out
from codec.kernels.tables import INNER, unpack_choice

#: Bytes of working space: the decoded planes of a chunk, what tiles of 8 elements add to them, and some slack.
SCRATCH: Final = (1 << 19) + (1 << 20) + 64
#: Tiles in a chunk, at most; choices and drops each take so many bytes.
MOST_TILES: Final = 1 << 16
#: Working numbers (int64), in parts: what a merge takes, starts and ends of Huffman streams, rANS states, places of
#: planes, what a hash is summed in, a job for codec.kernels.permute and one that is none, what is known of a chunk that
#: is open, a padded end of a stream. They are the caller's, because numba frees an array of its own before a
#: call that only has its address.
NUMBERS: Final = 208 + PAD // 8
INTS, STARTS, ENDS, STATES, PLACES, SUMS, JOB, EMPTY, OPEN, PADDED = (
    0, 8, 12, 16, 80, 144, 152, 168, 184, 208,
)  # fmt: skip
#: Of a chunk that is open: how many bytes of the plane before the last its states carry.
LENT: Final = OPEN + 13


@njit(**INNER)
def choices(data, at, end, tiles, tables, choice):  # type: ignore[no-untyped-def]
    """Read the tiles' choices; the position behind them, or -1."""
    if tables < 2:
        choice[:tiles] = 0
        return at
    bits = 1 if tables == 2 else 2 if tables <= 4 else 4
    size = (tiles * bits + 7) >> 3
    if end - at < size or unpack_choice(data, at, bits, tables, choice[:tiles]) < 0:
        return -1
    return at + size


@njit(**INNER)
def closed(states, lanes, numbers):  # type: ignore[no-untyped-def]
    """Whether states ended as they may: as an encoder begins, with what they carry of another plane."""
    lent, beyond = numbers[LENT], np.uint32(0)
    if lent and lent != 2 * lanes:
        return False
    for lane in range(lanes):
        beyond |= states[lane] >> np.uint32(16) ^ np.uint32(1)
        if lent == 0:
            beyond |= states[lane] & np.uint32(65535)
    return beyond == 0


@njit(**INNER)
def start(data, at, end, lanes, states):  # type: ignore[no-untyped-def]
    """Read the states that a decoder starts with; the position behind them, or -1."""
    bit, room = np.int64(0), (end - at) << 3
    for lane in range(lanes):
        # a state has at most 35 bits: with up to 7 before it in its first byte, it lies in 8 bytes
        first = at + (bit >> 3)
        word = np.uint64(whole(data, first, 8)) if first + 8 <= end else np.uint64(whole(data, first, end - first))
        word >>= np.uint64(bit & 7)
        n = word & np.uint64(15)
        bit += 20 + np.int64(n)
        if bit > room:
            return np.int64(-1)
        top = np.uint64(65536) << n
        states[lane] = top | (word >> np.uint64(4)) & (top - np.uint64(1))
    at += (bit + 7) >> 3
    return at if bit & 7 == 0 or data[at - 1] >> (bit & 7) == 0 else np.int64(-1)


@njit(**INNER)
def rans(  # type: ignore[no-untyped-def]
    data, at, end, size, tile, tiles, count, tables, held, spelled, choice, out, known, numbers, ahead, step, later,
    skim,
):  # fmt: skip
    """Decode a plane of ``size`` bytes to the address ``out``; the position behind its payload, or -1.

    With tables in registers and ``later`` it is left as a job in ``numbers``. With ``skim`` nothing is decoded.
    """
    words, at = varint(data, at, end, (end - at) // 2)
    if at < 0:
        return -1
    lanes = np.int64(64) if size >= 65536 else np.int64(16) if size >= 16384 else np.int64(4 if size >= 2048 else 1)
    if size >= 131072:
        if at >= end or (data[at] != 64 and data[at] != 128):
            return -1
        lanes = np.int64(data[at])
        at += 1
    at = choices(data, at, end, tiles, count, choice)
    if at < 0:
        return -1
    states = numbers[STATES : STATES + 64].view(np.uint32)
    at = start(data, at, end, lanes, states)
    if at < 0 or end - at < 2 * words:
        return -1
    stop = at + 2 * words
    if skim > 0:
        return stop
    source, entries, rows, keep = data.ctypes.data, tables.ctypes.data, choice.ctypes.data, states.ctypes.data
    if held and lanes < 64:
        for k in range(count):
            spell_out(tables.view(np.uint8), k * HELD, spelled[k * TABLE_WORDS : (k + 1) * TABLE_WORDS].view(np.uint32))
        entries = spelled.ctypes.data
    if held and lanes >= 64:
        job = numbers[JOB : JOB + permute.FIELDS]
        job[permute.AT], job[permute.END], job[permute.LANES], job[permute.TABLES] = at, stop, lanes, entries
        job[permute.TILES], job[permute.TILE], job[permute.STATES], job[permute.TARGET] = tiles, tile, keep, out
        job[permute.BYTES], job[permute.AHEAD], job[permute.STEP] = size, ahead, step
        if later:
            return stop
        run(data, numbers, choice, known, numbers, choice)
        stop = stop if ended(numbers) else np.int64(-1)
        job[permute.LANES] = 0
        return stop
    found = call(known[0], (source, at, stop, lanes, entries, rows, tiles, tile, keep, out, size, ahead, step))
    return stop if found == stop and closed(states, lanes, numbers) else np.int64(-1)


@njit(**INNER)
def by_columns(data, at, end, size, tile, tiles, count, tables, period, choice, out, known, numbers, skim):  # type: ignore[no-untyped-def]
    """As ``rans``, of stage 7: ``period`` numbers of columns lie behind the tables."""
    words, at = varint(data, at, end, (end - at) // 2)
    if at < 0:
        return -1
    lanes = np.int64(32) if size >= 65536 else np.int64(16) if size >= 16384 else np.int64(4 if size >= 2048 else 1)
    choice[:tiles] = 64
    if count > 1:
        at = read_numbers(data, at, end, choice[:tiles])
    if at < 0:
        return -1
    states = numbers[STATES : STATES + 64].view(np.uint32)
    at = start(data, at, end, lanes, states)
    if at < 0 or end - at < 2 * words:
        return -1
    stop = at + 2 * words
    if skim:
        return stop
    source, entries, rows, keep = data.ctypes.data, tables.ctypes.data, choice.ctypes.data, states.ctypes.data
    beside = tables[count * TABLE_WORDS :].ctypes.data
    found = call(
        known[4], (source, at, stop, lanes, entries, count, rows, tiles, beside, period, tile, keep, out, size)
    )
    return stop if found == stop and closed(states, lanes, numbers) else np.int64(-1)


@njit(**INNER)
def run(data, numbers, choice, known, other, other_choice):  # type: ignore[no-untyped-def]
    """Do the job in ``numbers``, and the one in ``other`` if these are others."""
    source, job = data.ctypes.data, numbers[JOB:].ctypes.data
    second = other[JOB:].ctypes.data
    if job == second:
        numbers[EMPTY : EMPTY + permute.FIELDS] = 0
        second = numbers[EMPTY:].ctypes.data
    call(
        known[2],
        (source, numbers[PADDED:].ctypes.data, choice.ctypes.data, job,
         source, other[PADDED:].ctypes.data, other_choice.ctypes.data, second),
    )  # fmt: skip


@njit(**INNER)
def ended(numbers):  # type: ignore[no-untyped-def]
    """Whether a job ended where it should: with its words used up, and all states as they may."""
    job, states = numbers[JOB : JOB + permute.FIELDS], numbers[STATES : STATES + 64].view(np.uint32)
    return job[permute.FOUND] == job[permute.END] and closed(states, job[permute.LANES], numbers)


@njit(**INNER)
def huffman(  # type: ignore[no-untyped-def]
    data, at, end, size, tile, tiles, count, tables, choice, out, known, numbers, ahead, step, skim
):
    """As ``rans``."""
    starts, ends = numbers[STARTS : STARTS + 4], numbers[ENDS : ENDS + 4]
    total = np.int64(0)
    for k in range(4):
        starts[k] = total
        part, at = varint(data, at, end, end)
        if at < 0:
            return -1
        total += part
        ends[k] = total
    at = choices(data, at, end, tiles, count, choice)
    if at < 0 or end - at < total:
        return -1
    if skim > 0:
        return at + total
    starts += at
    ends += at
    source, entries, rows = data.ctypes.data, tables.ctypes.data, choice.ctypes.data
    first, last = starts.ctypes.data, ends.ctypes.data
    if call(known[1], (source, end, first, last, entries, rows, tiles, tile, out, size, ahead, step)) < 0:
        return -1
    return at + total


@njit(**INNER)
def pair(data, at, end, out):  # type: ignore[no-untyped-def]
    """Read stage 5 from data[at:end); the position behind its payload, or -1."""
    n = out.size
    size = (n + 7) >> 3
    if end - at < 2 + size or data[at] >= data[at + 1] or n == 0:
        return -1
    low, high, at = data[at], data[at + 1], at + 2
    for i in range(n):
        out[i] = high if (data[at + (i >> 3)] >> (i & 7)) & 1 else low
    if n & 7 and data[at + size - 1] >> (n & 7):
        return -1
    return at + size
