"""Decode whole records: span records and chunk records into original bytes, in one call for many of them.

The careful way is codec.decode, plane by plane, with an error for everything that can be wrong. This is the quick one:
it reads the same fields with the same bounds, calls the same kernels (by their addresses, so that each is compiled
once, in its own file), and stops at whatever is wrong, rare, or zstd: the careful way then takes that record, and
says why. Both checksums of a record are compared here: over what is stored before it is looked at, and over what it
decodes to, while that is in the cache.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels import permute
from codec.kernels.heads import (
    BITS,
    CHUNK,
    CONSTANT,
    CONSTANTS,
    DROPS,
    ESCAPES,
    FIELDS,
    FLAGS,
    FOLD,
    FOLDED,
    HEAD,
    IN_REGISTERS,
    LAYOUT,
    LENGTH,
    PERIOD,
    PLANES,
    ROW,
    SHIFT,
    STAGE,
    TABLE_WORDS,
    TABLES,
    TILE,
    WIDTH,
    WINDOW,
    WINDOWED,
    span,
    varint,
)
from codec.kernels.native import call, move
from codec.kernels.payloads import JOB, MOST_TILES, OPEN, PLACES, SUMS, by_columns, ended, huffman, pair, rans, run
from codec.kernels.tables import INNER

#: Of a chunk that is open: where its output begins and ends, its hash, the merge's address (0: none), elements, tiles
#: that drops are known of, bytes of planes in the scratch, escapes and where they lie, where the body's tail begins and
#: its end; the layout whose merge is missing.
_BEGIN, _STOP, _HASH, _MERGE, _ELEMENTS, _DROPPED, _USED, _ESCAPED, _POSITIONS, _VALUES, _TAIL, _LAST, _WANTED = range(
    13
)
#: So few elements are not worth a second for compiling the merge of a layout: the one for any layout will do.
PLAIN: Final = 1 << 12

#: Why ``decode`` stopped: nothing is left; the record is for the careful way; the address of a merge is missing; what
#: was decoded hashes to something else than the record says.
DONE: Final = 0
DECLINED: Final = 1
UNKNOWN: Final = 2
WRONG: Final = 3

#: Columns of ``jobs``: where the record, or its body, begins and ends in the stored bytes, where its output does, and
#: the chunk's number (-1: a span record with its only chunk).
AT, END, FIRST, STOP, NUMBER = range(5)


@njit(**INNER)
def _address(known, layout, width):  # type: ignore[no-untyped-def]
    """The address of a merge among known[5:]: layout, width, address, layout, ...; 0 if it is not there."""
    for k in range(5, known.size - 2, 3):
        if known[k] == layout and known[k + 1] == width:
            return known[k + 2]
    return 0


@njit(**INNER)
def _word(data, at):  # type: ignore[no-untyped-def]
    """Eight bytes, low first."""
    found = np.int64(0)
    for j in range(8):
        found |= np.int64(data[at + j]) << (8 * j)
    return found


@njit(**INNER)
def _open(data, at, end, state, tables, spelled, out, begin, stop, last, scratch, small, numbers, known):  # type: ignore[no-untyped-def]
    """Read a chunk's body, from behind its number on, for out[begin:stop). Returns DONE, DECLINED or UNKNOWN.

    data[at:end) is the body; ``last`` says whether the chunk has the span's tail bytes. Its planes are decoded, but for
    the last if that is left as a job (numbers[JOB + LANES] is not 0 then); they are merged by ``_close``.
    """
    numbers[JOB + permute.LANES] = 0
    width, tile, planes, flags = state[WIDTH], state[TILE], state[PLANES], state[FLAGS]
    tail = state[LENGTH] % width if last else 0
    size = stop - begin - tail
    elements = size // width
    tiles = (elements + tile - 1) // tile
    if end - at < 8 or tiles > MOST_TILES or size % width:
        return DECLINED
    was = numbers[OPEN : OPEN + 16]
    was[_BEGIN], was[_STOP], was[_HASH], was[_ELEMENTS], was[_LAST] = begin, stop, _word(data, at), elements, end
    at += 8
    drops, choice = small[:0], small[MOST_TILES:]
    if flags & DROPS:
        if at >= end or (data[at] > 1 and data[at] != 5):
            return DECLINED
        drops = small[:tiles]
        if tiles == 0 and (data[at] != 1 or end - at < 2 or data[at + 1] != 0):
            return DECLINED
        if data[at] == 1:
            if end - at < 2:
                return DECLINED
            drops[:] = data[at + 1]
            at += 2
        elif data[at] == 5:
            at = pair(data, at + 1, end, drops)
            if at < 0:
                return DECLINED
        else:
            if end - at < 1 + tiles:
                return DECLINED
            move(drops, 0, data, at + 1, tiles)
            at += 1 + tiles
        for t in range(tiles):
            if drops[t] > planes:
                return DECLINED
    escapes, positions, values = np.int64(0), np.int64(0), np.int64(0)
    if flags & ESCAPES:
        if end - at < 4:
            return DECLINED
        for k in range(4):
            escapes |= np.int64(data[at + k]) << (8 * k)
        positions, values = at + 4, at + 4 + 4 * escapes
        if escapes > elements or end - at < 4 + 6 * escapes:
            return DECLINED
        at = values + 2 * escapes
    direct = width == 1 and planes == 1 and state[HEAD + BITS] == 8 and state[HEAD + SHIFT] == 0
    direct = direct and flags & (FOLDED | WINDOWED | CONSTANTS | DROPS | ESCAPES) == 0
    merge = np.int64(0)
    if not direct:
        wanted = state[LAYOUT]
        merge = _address(known, wanted, width)
        if merge == 0 and elements <= PLAIN:
            wanted = 0
            merge = _address(known, wanted, width)
        if merge == 0:
            was[_WANTED] = wanted
            return UNKNOWN
        if (out.ctypes.data + begin) % width:
            return DECLINED
    flat = numbers[PLACES:]
    used, room = np.int64(0), scratch
    if direct:
        room, used = out[:stop], begin
    for p in range(planes):
        place = HEAD + FIELDS * p
        bits = state[place + BITS]
        full, rest = (tile * bits + 7) >> 3, elements % tile
        kept = tiles
        short = rest > 0
        if drops.size:
            kept = 0
            for t in range(tiles):
                kept += np.int64(drops[t] <= p)
            short = short and drops[tiles - 1] <= p
        need = kept * full
        if short:
            need += ((rest * bits + 7) >> 3) - full
        if at >= end:
            return DECLINED
        stage = np.int64(data[at])
        at += 1
        if need == 0 and (stage != 1 or at >= end or data[at] != 0):
            return DECLINED
        inside = stage == 0
        flat[p], flat[planes + p] = state[place + SHIFT], bits
        flat[2 * planes + p], flat[3 * planes + p] = at if inside else used, np.int64(inside)
        if inside:
            if end - at < need:
                return DECLINED
            if direct:
                move(out, begin, data, at, need)
            at += need
            continue
        if need > room.size - used:
            return DECLINED
        if stage == 1:
            if at >= end:
                return DECLINED
            room[used : used + need] = data[at]
            at += 1
        elif stage == 2 or stage == 3 or stage == 7:
            if state[place + TABLES] == 0 or state[place + STAGE] != stage:
                return DECLINED
            mine = tables[state[place + ROW] * TABLE_WORDS :]
            count, target = state[place + TABLES], room.ctypes.data + used
            # the last plane is the symbol's, whose decoding leaves the memory idle
            ahead, step = out.ctypes.data + begin, width if p == planes - 1 and not direct else 0
            if stage == 2:
                held = state[place + IN_REGISTERS]
                at = rans(
                    data, at, end, need, full, kept, count, mine, held, spelled, choice, target, known, numbers, ahead,
                    step, p == planes - 1,
                )  # fmt: skip
            elif stage == 7:
                if known[4] == 0:
                    was[_WANTED] = -1
                    return UNKNOWN
                period = state[place + PERIOD]
                at = by_columns(
                    data, at, end, need, full, kept, count, mine, period, choice, target, known, numbers
                )  # fmt: skip
            else:
                at = huffman(data, at, end, need, full, kept, count, mine, choice, target, known, numbers, ahead, step)
            if at < 0:
                return DECLINED
        else:
            return DECLINED
        used += need
    if end - at != tail:
        return DECLINED
    was[_MERGE], was[_DROPPED], was[_USED], was[_TAIL] = merge, drops.size, used, at
    was[_ESCAPED], was[_POSITIONS], was[_VALUES] = escapes, positions, values
    return DONE


@njit(**INNER)
def _close(data, state, out, scratch, small, numbers, known, zeros):  # type: ignore[no-untyped-def]
    """Merge the planes of a chunk that was opened, and compare its hash. Returns DONE, DECLINED or WRONG."""
    was = numbers[OPEN : OPEN + 16]
    begin, stop, end, at = was[_BEGIN], was[_STOP], was[_LAST], was[_TAIL]
    if numbers[JOB + permute.LANES] and not ended(numbers):
        return DECLINED
    if was[_MERGE]:
        numbers[0], numbers[1], numbers[2] = state[TILE], state[FOLD], state[WINDOW]
        numbers[3], numbers[4] = 255, state[CONSTANT]
        source, work, target = data.ctypes.data, scratch.ctypes.data, out.ctypes.data + begin
        ints, rows, dropped = numbers.ctypes.data, numbers[PLACES:].ctypes.data, small.ctypes.data
        none, planes = zeros.ctypes.data, state[PLANES]
        found = call(
            was[_MERGE],
            (target, was[_ELEMENTS], ints, dropped, was[_DROPPED], rows, planes, source, end, work, was[_USED], none,
             was[_ESCAPED], was[_POSITIONS], was[_VALUES]),
        )  # fmt: skip
        if found < 0:
            return DECLINED
    move(out, stop - (end - at), data, at, end - at)
    sums = numbers[SUMS : SUMS + 8]
    found = call(known[3], (out.ctypes.data + begin, stop - begin, sums.ctypes.data))
    return DONE if found == was[_HASH] else WRONG


@njit(**INNER)
def _framed(data, at, end, kind, known, sums):  # type: ignore[no-untyped-def]
    """Whether data[at:end) is a whole record of this kind, with its checksum."""
    if end - at < 13 or data[at] != kind:
        return False
    size = np.int64(data[at + 1]) | np.int64(data[at + 2]) << 8 | np.int64(data[at + 3]) << 16
    if size | np.int64(data[at + 4]) << 24 != end - at - 13:
        return False
    return call(known[3], (data.ctypes.data + at, end - at - 8, sums.ctypes.data)) == _word(data, end - 8)


@njit(**INNER)
def _begin(data, job, framed, state, tables, spelled, out, scratch, small, numbers, known):  # type: ignore[no-untyped-def]
    """Read a record up to its chunk's planes. Returns DONE, DECLINED or UNKNOWN."""
    at, end, begin, stop, number = job[AT], job[END], job[FIRST], job[STOP], job[NUMBER]
    if framed:
        if not _framed(data, at, end, 1 if number < 0 else 2, known, numbers[SUMS : SUMS + 8]):
            return DECLINED
        at, end = at + 5, end - 8
    if number < 0:
        state[CONSTANT] = 0
        at = span(data, at, end, state, tables, known[2] != 0)
        if at < 0 or stop - begin != state[LENGTH]:
            return DECLINED
        if (state[LENGTH] // state[WIDTH] + state[CHUNK] - 1) // state[CHUNK] > 1:
            return DECLINED
        last = True
    else:
        found, at = varint(data, at, end, 1 << 23)
        if at < 0 or found != number:
            return DECLINED
        full = state[CHUNK] * state[WIDTH]
        chunks = max(1, (state[LENGTH] // state[WIDTH] + state[CHUNK] - 1) // state[CHUNK])
        last = number == chunks - 1
        if number >= chunks or stop - begin != (state[LENGTH] - number * full if last else full):
            return DECLINED
    return _open(data, at, end, state, tables, spelled, out, begin, stop, last, scratch, small, numbers, known)


@njit(nogil=True, cache=True)
def decode(data, jobs, start, framed, state, tables, spelled, out, scratch, small, numbers, known, zeros, why):  # type: ignore[no-untyped-def]
    """Decode the records jobs[start:]; how many are done, counted from 0. ``why`` (int64[3]) says why it stopped.

    data uint8, the stored bytes; jobs int64[n, 5] (AT, END, FIRST, STOP, NUMBER), whose ranges the caller has checked
    to lie in data and out; framed: whether they are those of whole records, whose checksums are compared first; state
    int64[k, STATE] and tables uint64[k, MOST_TABLES * TABLE_WORDS]: for chunk records k is 1 and they are as
    ``read_span`` left them, else k is 2 and they are worked in. spelled uint64[FULL_WORDS]; out uint8; scratch uint8[2,
    SCRATCH], small uint8[2, 2 * MOST_TILES], numbers int64[2, NUMBERS] are worked in; known int64: the addresses of the
    rANS decoder, the Huffman decoder, the rANS decoder with tables in registers (0: none), XXH3, the decoder of stage 7
    (0: not yet), then (layout, width, address) of each merge that there is; zeros uint8[16384], all 0. For UNKNOWN,
    ``why`` goes on with the layout and width of the merge that is missing; the layout is -1 for the decoder of stage 7.

    There are two of everything since a chunk may wait with its last plane for the next one, so that the two are decoded
    side by side.
    """
    waiting, slot = np.int64(-1), 0
    for k in range(start, jobs.shape[0] + 1):
        row, status = min(slot, state.shape[0] - 1), np.int64(DONE)
        if k < jobs.shape[0]:
            status = np.int64(_begin(
                data, jobs[k], framed, state[row], tables[row], spelled, out, scratch[slot], small[slot], numbers[slot],
                known,
            ))  # fmt: skip
            if status == UNKNOWN:
                why[1], why[2] = numbers[slot, OPEN + _WANTED], state[row, WIDTH]
            left = status == DONE and numbers[slot, JOB + permute.LANES] > 0
            if left and waiting < 0:
                waiting, slot = k, 1 - slot
                continue
        else:
            left = False
        if waiting >= 0:  # finish it, with this one or without
            other = 1 - slot
            mine, its = numbers[slot if left else other], numbers[other]
            run(data, its, small[other, MOST_TILES:], known, mine, small[slot if left else other, MOST_TILES:])
            before = min(other, state.shape[0] - 1)
            why[0] = _close(data, state[before], out, scratch[other], small[other], its, known, zeros)
            if why[0] != DONE:
                return waiting
            waiting = np.int64(-1)
        if k == jobs.shape[0]:
            break
        if status == DONE:
            status = np.int64(_close(data, state[row], out, scratch[slot], small[slot], numbers[slot], known, zeros))
        if status != DONE:
            why[0] = status
            return k
    why[0] = DONE
    return jobs.shape[0]
