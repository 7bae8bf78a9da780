"""Decode whole records: span records and chunk records into original bytes, in one call for many of them.

The careful way is codec.decode, plane by plane, with an error for everything that can be wrong. This is the quick one:
it reads the same fields with the same bounds, calls the same kernels (by their addresses, so that each is compiled
once, in its own file), and leaves whatever is wrong or rare: the careful way then takes that record, and says why. Both
checksums of a record are compared here: over what is stored before it is looked at, and over what it decodes to, while
that is in the cache.

Bodies are decoded one by one: those of chunks, and those of the parts of made spans. One may wait with its last plane
for the next, so that the two are decoded side by side. So there are two slots to work in, and two sides for the parts
of a made span: the parts of one may wait for those of the next.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels import made as makes
from codec.kernels import permute
from codec.kernels.bodies import (
    ASKS,
    DECLINED,
    DONE,
    OWNER,
    SIDE,
    UNKNOWN,
    WANTED,
    WRONG,
    address,
    close_body,
    open_body,
)
from codec.kernels.cached import jit
from codec.kernels.heads import CHUNK, CONSTANT, LENGTH, WIDTH, span, varint
from codec.kernels.made import whole
from codec.kernels.native import call, move
from codec.kernels.payloads import JOB, MOST_TILES, OPEN, SUMS, run
from codec.kernels.tables import UNCOUNTED
from codec.kernels.transforms import COUNT, OFFSET_NUMBER, PLACES

#: Of a record that nothing has come of yet (else see codec.kernels.bodies).
OPENED: Final = -1

#: Columns of ``jobs``: where the record, or its body, begins and ends in the stored bytes, where its output does, and
#: the chunk's number (-1: a span record with its only chunk, or a made one).
AT, END, FIRST, STOP, NUMBER = range(5)


@njit(**UNCOUNTED)
def _framed(data, at, end, kind, known, sums):  # type: ignore[no-untyped-def]
    """Whether data[at:end) is a whole record of this kind, with its checksum."""
    if end - at < 13 or data[at] != kind or whole(data, at + 1, 4) != end - at - 13:
        return False
    return call(known[3], (data.ctypes.data + at, end - at - 8, sums.ctypes.data)) == whole(data, end - 8, 8)


@njit(**UNCOUNTED)
def _begin(  # type: ignore[no-untyped-def]
    data, at, end, begin, stop, number, state, tables, spelled, out, scratch, small, numbers, known, skim, asked, told,
    given, why,
):  # fmt: skip
    """Read a body up to its planes, and those but for the last. Returns DONE, DECLINED, UNKNOWN or ASKS."""
    if number < 0:
        state[CONSTANT] = 0
        at = span(data, at, end, state, tables, known[2] != 0, spelled)
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
    return open_body(
        data, at, end, state, tables, spelled, out, begin, stop, last, scratch, small, numbers, known, skim, asked,
        told, given, why,
    )  # fmt: skip


@njit(**UNCOUNTED)
def _make(row, room, out, known, sums, spare):  # type: ignore[no-untyped-def]
    """Make the bytes of a span whose parts are all in the room. Returns DONE, DECLINED or WRONG."""
    begin, stop, code = row[makes.BEGIN], row[makes.STOP], row[makes.CODE]
    first, second = room.ctypes.data + row[PLACES], room.ctypes.data + row[PLACES + 1]
    target = np.int64(out.ctypes.data + begin)
    aside = target & ((1 << code) - 1) != 0
    if aside:
        target = np.int64(spare.ctypes.data)
    if row[makes.NUMBER] == OFFSET_NUMBER:
        second = first
    kernel = address(known, -row[makes.NUMBER], code)
    if call(kernel, (row.ctypes.data, first, second, second, target, (stop - begin) >> code)) < 0:
        return DECLINED
    if aside:
        move(out, begin, spare, 0, stop - begin)
    found = call(known[3], (out.ctypes.data + begin, stop - begin, sums.ctypes.data))
    return DONE if found == row[makes.HASH] else WRONG


@njit(**UNCOUNTED)
def _settle(  # type: ignore[no-untyped-def]
    data, state, out, scratch, small, numbers, known, zeros, spare, rooms, made, status, slot
):
    """Close the body that is open in a slot, and make what it is the last part of."""
    job, side, held = numbers[slot, OPEN + OWNER], numbers[slot, OPEN + SIDE], min(slot, state.shape[0] - 1)
    target = out if side < 0 else rooms[side]
    found = np.int64(
        close_body(data, state[held], target, scratch[slot], small[slot], numbers[slot], known, zeros, spare)
    )
    if side >= 0:
        if status[job] != OPENED:
            return
        row = made[side]
        row[makes.LEFT] -= 1
        if found == DONE and row[makes.LEFT] > 0:
            return
        sums = numbers[slot, SUMS : SUMS + 8]
        found = np.int64(_make(row, rooms[side], out, known, sums, spare)) if found == DONE else np.int64(DECLINED)
    status[job] = found


@jit(nogil=True)
def decode(  # type: ignore[no-untyped-def]
    data, jobs, framed, state, tables, spelled, out, scratch, small, numbers, known, zeros, spare, rooms, made, asked,
    told, given, status, why,
):  # fmt: skip
    """Decode those of the records ``jobs`` whose status is not DONE, DECLINED or WRONG; it says what came of each.

    data uint8, the stored bytes; jobs int64[n, 5] (AT, END, FIRST, STOP, NUMBER), whose ranges the caller has checked
    to lie in data and out; framed: whether they are those of whole records, whose checksums are compared first; state
    int64[k, STATE] and tables uint64[k, MOST_TABLES * TABLE_WORDS]: for chunk records k is 1 and they are as
    ``read_span`` left them, else k is 2 and they are worked in. spelled uint64[FULL_WORDS]; out uint8; scratch uint8[2,
    SCRATCH], small uint8[2, 2 * MOST_TILES], numbers int64[2, NUMBERS], spare uint8[SPARE], rooms uint8[2, PARTS] and
    made int64[3, MADE] are worked in (spare and rooms aligned to 8 bytes); known int64: the addresses of the rANS
    decoder, the Huffman decoder, the rANS decoder with tables in registers (0: none), XXH3, then (layout, width,
    address) of each kernel that there is (see ``bodies.address``); zeros uint8[16384], all 0.

    status int64[n]: OPENED at first. UNKNOWN: why[1] and why[2] are the layout and the width that are missing, of the
    first such job. ASKS: the caller is to decompress the zstd frames asked[: why[0]] (int64[m, 4], by FRAME_AT ...;
    m is at least 256) and to call again with ``told``, the same rows in order of FRAME_AT, with their FRAME_PLACE in
    ``given`` (uint8), whose ranges lie there.
    """
    waiting, slot, side, full = False, 0, 0, False
    why[0], why[1], why[2] = 0, 0, -1
    none = np.int64(jobs.shape[0])
    for job in range(none + 1):
        at, end, begin, stop, number = np.int64(0), np.int64(0), np.int64(0), np.int64(0), np.int64(0)
        parts, of_parts = np.int64(0), False
        if job < none:
            if full or status[job] == DONE or status[job] == DECLINED or status[job] == WRONG:
                continue
            status[job], parts = OPENED, np.int64(1)
            at, end, begin, stop = jobs[job, AT], jobs[job, END], jobs[job, FIRST], jobs[job, STOP]
            number = jobs[job, NUMBER]
            if framed:
                if not _framed(data, at, end, 1 if number < 0 else 2, known, numbers[slot, SUMS : SUMS + 8]):
                    status[job] = DECLINED
                    continue
                at, end = at + 5, end - 8
            of_parts = number < 0 and makes.is_made(data, at, end)
        row, target = made[2], out
        if of_parts:
            if makes.read(data, at, end, row) != stop - begin:
                status[job] = DECLINED
                continue
            if address(known, -row[makes.NUMBER], row[makes.CODE]) == 0:
                status[job] = UNKNOWN
                if why[2] < 0:
                    why[1], why[2] = -row[makes.NUMBER], row[makes.CODE]
                continue
            row[makes.BEGIN], row[makes.STOP], parts = begin, stop, row[COUNT]
            side = 1 - side
            target = rooms[side]
        skim, before = np.int64(0), why[0]
        # what waits must not wait longer if nothing follows, or if it is a part in the room that is needed
        alone = waiting and (job == none or (of_parts and numbers[1 - slot, OPEN + SIDE] == side))
        for part in range(-1 if alone else 0, parts):
            both = part < 0
            if part >= 0:
                if of_parts:
                    if part == 0:
                        made[side, :] = row
                    at, end, begin = row[makes.AT + part], row[makes.END + part], row[PLACES + part]
                    stop = begin + row[makes.BYTES + part]
                held = min(slot, state.shape[0] - 1)
                numbers[slot, OPEN + OWNER], numbers[slot, OPEN + SIDE] = job, side if of_parts else -1
                found = np.int64(_begin(
                    data, at, end, begin, stop, number, state[held], tables[held], spelled, target, scratch[slot],
                    small[slot], numbers[slot], known, skim, asked, told, given, why,
                ))  # fmt: skip
                if found == ASKS:
                    skim = np.int64(1)
                    continue
                if found != DONE:
                    status[job] = found
                    if found == UNKNOWN and why[2] < 0:
                        why[1], why[2] = numbers[slot, OPEN + WANTED], state[held, WIDTH]
                    break
                both = numbers[slot, JOB + permute.LANES] > 0
                if both and not waiting:
                    waiting, slot = True, 1 - slot
                    continue
            other = 1 - slot
            if both:
                mine = other if part < 0 else slot
                run(data, numbers[other], small[other, MOST_TILES:], known, numbers[mine], small[mine, MOST_TILES:])
                waiting = False
            for k in range(0 if both else 1, 1 if part < 0 else 2):
                one = other if k == 0 else slot
                _settle(data, state, out, scratch, small, numbers, known, zeros, spare, rooms, made, status, one)
        if skim > 0 and status[job] == OPENED:
            status[job] = ASKS
            if why[0] == asked.shape[0]:  # not all of its frames: it comes first the next time, and others behind it
                why[0], full = before, True
