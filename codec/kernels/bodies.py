"""Decode the body of a chunk: read its fields, decode its planes, merge them, compare its hash.

The fields and bounds are those of codec.decode, which says what is wrong with a body where this only says that
something is.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels import permute
from codec.kernels.heads import (
    BITS,
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
    varint,
)
from codec.kernels.made import whole
from codec.kernels.native import call, move
from codec.kernels.payloads import (
    JOB,
    LENT,
    MOST_TILES,
    OPEN,
    PLACES,
    STATES,
    SUMS,
    by_columns,
    ended,
    huffman,
    pair,
    rans,
)
from codec.kernels.tables import INNER

#: Of a chunk that is open: where its output begins and ends, its hash, the merge's address (0: none), elements, tiles
#: that drops are known of, bytes in the scratch, escapes (listed at its front), where the body's tail begins and its
#: end; the layout whose merge is missing; the job, and which side's room its output is in, -1 for none (both are the
#: caller's); how many bytes the plane before the last lends to states, all that it has, where there is room for them in
#: the scratch, where those end that are in the body.
(
    _BEGIN, _STOP, _HASH, _MERGE, _ELEMENTS, _DROPPED, _USED, _ESCAPED, _TAIL, _LAST, WANTED, OWNER, SIDE, _LENT,
    _LENDER, _ROOM, _LENT_END,
) = range(17)  # fmt: skip
assert OPEN + _LENT == LENT
#: Stages of a plane that lends bytes to 4, 16, 32, 64 or 128 states (stages/18_lent.md): 16 and the logarithm of that.
_LENT_LEAST, _LENT_MOST = 18, 23
#: So few elements are not worth a second for compiling the merge of a layout: the one for any layout will do.
PLAIN: Final = 1 << 12
#: The "layout" that is missing where it is the decoder of stage 7; other numbers below 0 are transforms.
BY_COLUMNS: Final = -256
#: Bytes of a chunk whose elements are not aligned where they belong, at most.
SPARE: Final = (1 << 19) + 64

#: What came of a record: it is decoded; it is for the careful way; the address of a merge is missing; what was decoded
#: hashes to something else than the record says; zstd frames are to be decompressed first.
DONE: Final = 0
DECLINED: Final = 1
UNKNOWN: Final = 2
WRONG: Final = 3
ASKS: Final = 4
#: Columns of ``asked`` and ``told``: where a zstd frame lies in the stored bytes, its bytes, those that it must give;
#: and of ``told`` where they lie in ``given``, -1 if it gives something else.
FRAME_AT, FRAME_BYTES, FRAME_GIVES, FRAME_PLACE = range(4)


@njit(**INNER)
def address(known, layout, width):  # type: ignore[no-untyped-def]
    """The address of a kernel among known[5:]: layout, width, address, layout, ...; 0 if it is not there.

    For what makes a span of its parts, layout is minus the transform and width log2 of the bytes of an element.
    """
    for k in range(5, known.size - 2, 3):
        if known[k] == layout and known[k + 1] == width:
            return known[k + 2]
    return 0


@njit(**INNER)
def _find(told, at):  # type: ignore[no-untyped-def]
    """The row of the frame at ``at``, among rows in order of that; -1 if there is none."""
    low, high = np.int64(0), np.int64(told.shape[0])
    while low < high:
        middle = (low + high) >> 1
        if told[middle, FRAME_AT] < at:
            low = middle + 1
        else:
            high = middle
    return low if low < told.shape[0] and told[low, FRAME_AT] == at else np.int64(-1)


@njit(**INNER)
def _frame(at, size, need, room, used, asked, told, given, why):  # type: ignore[no-untyped-def]
    """Copy what a zstd frame gives to room[used:], if it has been decompressed, or ask for that. Returns DONE, DECLINED
    or ASKS.
    """
    row = _find(told, at)
    if row >= 0:
        if told[row, FRAME_PLACE] < 0 or told[row, FRAME_GIVES] != need or told[row, FRAME_BYTES] != size:
            return DECLINED
        move(room, used, given, told[row, FRAME_PLACE], need)
        return DONE
    if why[0] < asked.shape[0]:
        asked[why[0], FRAME_AT], asked[why[0], FRAME_BYTES], asked[why[0], FRAME_GIVES] = at, size, need
        why[0] += 1
    return ASKS


@njit(**INNER)
def _read_escapes(data, at, end, elements, count, out):  # type: ignore[no-untyped-def]
    """Read a chunk's escapes to out: count positions (u32), then count values (u16). The position behind, or -1."""
    place = np.int64(-1)
    for k in range(count):
        gap, at = varint(data, at, end, elements)
        place += gap + 1
        if at < 0 or place >= elements:
            return -1
        for j in range(4):
            out[4 * k + j] = place >> (8 * j) & 255
    for k in range(count):
        value, at = varint(data, at, end, 65535)
        if at < 0 or value == 0:
            return -1
        out[4 * count + 2 * k], out[4 * count + 2 * k + 1] = value & 255, value >> 8
    return at


@njit(**INNER)
def open_body(  # type: ignore[no-untyped-def]
    data, at, end, state, tables, spelled, out, begin, stop, last, scratch, small, numbers, known, skim, asked, told,
    given, why,
):  # fmt: skip
    """Read a chunk's body, from behind its number on, for out[begin:stop). Returns DONE, DECLINED, UNKNOWN or ASKS.

    data[at:end) is the body; ``last`` says whether the chunk has the span's tail bytes. Its planes are decoded, but for
    the last if that is left as a job (numbers[JOB + LANES] is not 0 then); they are merged by ``close_body``.

    Planes of zstd are copied from ``given``, if ``told`` has them. If not, rows of ``asked`` from why[0] on are filled,
    and the rest of the body is only passed over; with ``skim`` all of it is.
    """
    numbers[JOB + permute.LANES], numbers[LENT] = 0, 0
    width, tile, planes, flags = state[WIDTH], state[TILE], state[PLANES], state[FLAGS]
    tail = state[LENGTH] % width if last else 0
    size = stop - begin - tail
    elements = size // width
    tiles = (elements + tile - 1) // tile
    if end - at < 8 or tiles > MOST_TILES or size % width:
        return DECLINED
    was = numbers[OPEN : OPEN + 17]
    was[_BEGIN], was[_STOP], was[_HASH], was[_ELEMENTS], was[_LAST] = begin, stop, whole(data, at, 8), elements, end
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
    escapes = np.int64(0)
    if flags & ESCAPES:
        escapes, at = varint(data, at, end, elements)
        if at < 0 or 6 * escapes > scratch.size:
            return DECLINED
        at = _read_escapes(data, at, end, elements, escapes, scratch)
        if at < 0:
            return DECLINED
    direct = width == 1 and planes == 1 and state[HEAD + BITS] == 8 and state[HEAD + SHIFT] == 0
    direct = direct and flags & (FOLDED | WINDOWED | CONSTANTS | DROPS | ESCAPES) == 0
    merge = np.int64(0)
    if not direct:
        wanted = state[LAYOUT]
        merge = address(known, wanted, width)
        if merge == 0 and elements <= PLAIN:
            wanted = 0
            merge = address(known, wanted, width)
        if merge == 0:
            was[WANTED] = wanted
            return UNKNOWN
    flat = numbers[PLACES:]
    used, room = 6 * escapes, scratch
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
        lent = np.int64(0)
        if _LENT_LEAST <= stage <= _LENT_MOST and stage != 19:
            lent = np.int64(2) << (stage - 16)
        if lent:
            if p != planes - 2 or need < lent or need > room.size - used:
                return DECLINED
            numbers[LENT], numbers[OPEN + _LENDER], numbers[OPEN + _ROOM] = lent, need, used
            numbers[OPEN + _LENT_END] = at + need - lent
            used += need
            need -= lent
        if numbers[LENT] and p == planes - 1 and stage != 2 and stage != 7:
            return DECLINED
        inside = stage == 0 or lent > 0
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
                    step, p == planes - 1, skim,
                )  # fmt: skip
            elif stage == 7:
                if known[4] == 0:
                    was[WANTED] = BY_COLUMNS
                    return UNKNOWN
                period = state[place + PERIOD]
                at = by_columns(
                    data, at, end, need, full, kept, count, mine, period, choice, target, known, numbers, skim
                )  # fmt: skip
            else:
                at = huffman(
                    data, at, end, need, full, kept, count, mine, choice, target, known, numbers, ahead, step, skim
                )  # fmt: skip
            if at < 0:
                return DECLINED
        elif stage == 4:
            size, at = varint(data, at, end, end - at)
            if at < 0 or end - at < size:
                return DECLINED
            found = _frame(at, size, need, room, used, asked, told, given, why)
            if found == DECLINED:
                return DECLINED
            skim |= np.int64(found == ASKS)
            at += size
        else:
            return DECLINED
        used += need
    if end - at != tail:
        return DECLINED
    was[_MERGE], was[_DROPPED], was[_USED], was[_TAIL] = merge, drops.size, used, at
    was[_ESCAPED] = escapes
    return ASKS if skim > 0 else DONE


@njit(**INNER)
def _take_back(data, scratch, state, numbers):  # type: ignore[no-untyped-def]
    """Put the end of the plane before the last into the scratch, with what the states carry behind what is in the body.

    Returns how many elements come before it: whole tiles, of which that plane is merged from the body (copying all of
    it takes a twentieth of the time of a chunk of fp16); 0 with drops, by which tiles of it may be missing. The room
    was found for all of the plane.
    """
    was, places, planes, lent = numbers[OPEN : OPEN + 17], numbers[PLACES:], state[PLANES], numbers[LENT]
    states, at = numbers[STATES : STATES + 64].view(np.uint32), was[_ROOM]
    lender = planes - 2
    full = (state[TILE] * state[HEAD + FIELDS * lender + BITS] + 7) >> 3
    tiles = np.int64(0) if was[_DROPPED] else (was[_LENDER] - lent) // full
    begin = places[2 * planes + lender] + tiles * full
    left = was[_LENT_END] - begin
    move(scratch, at, data, begin, left)
    for lane in range(lent >> 1):
        scratch[at + left + 2 * lane] = states[lane] & np.uint32(255)
        scratch[at + left + 2 * lane + 1] = states[lane] >> np.uint32(8) & np.uint32(255)
    if tiles == 0:
        places[2 * planes + lender], places[3 * planes + lender] = at, 0
    return tiles * state[TILE]


@njit(**INNER)
def close_body(data, state, out, scratch, small, numbers, known, zeros, spare):  # type: ignore[no-untyped-def]
    """Merge the planes of a chunk that was opened, and compare its hash. Returns DONE, DECLINED or WRONG."""
    was = numbers[OPEN : OPEN + 17]
    begin, stop, end, at = was[_BEGIN], was[_STOP], was[_LAST], was[_TAIL]
    if numbers[JOB + permute.LANES] and not ended(numbers):
        return DECLINED
    if was[_MERGE]:
        numbers[0], numbers[1], numbers[2] = state[TILE], state[FOLD], state[WINDOW]
        numbers[3], numbers[4] = 255, state[CONSTANT]
        source, work, target = data.ctypes.data, scratch.ctypes.data, np.int64(out.ctypes.data + begin)
        aside = target % state[WIDTH] != 0
        if aside:
            target = np.int64(spare.ctypes.data)
        ints, rows, dropped = numbers.ctypes.data, numbers[PLACES:].ctypes.data, small.ctypes.data
        none, planes, first = zeros.ctypes.data, state[PLANES], np.int64(0)
        if numbers[LENT]:
            first = _take_back(data, scratch, state, numbers)
        found = call(
            was[_MERGE],
            (target, was[_ELEMENTS], ints, dropped, was[_DROPPED], rows, planes, source, end, work, was[_USED], none,
             was[_ESCAPED], first, was[_ROOM]),
        )  # fmt: skip
        if found < 0:
            return DECLINED
        if aside:
            move(out, begin, spare, 0, was[_ELEMENTS] * state[WIDTH])
    move(out, stop - (end - at), data, at, end - at)
    sums = numbers[SUMS : SUMS + 8]
    found = call(known[3], (out.ctypes.data + begin, stop - begin, sums.ctypes.data))
    return DONE if found == was[_HASH] else WRONG
