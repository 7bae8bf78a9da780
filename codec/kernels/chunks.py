"""Decode whole records: span records and chunk records into original bytes, in one call for many of them.

The careful way is codec.decode, plane by plane, with an error for everything that can be wrong. This is the quick one:
it reads the same fields with the same bounds, calls the same kernels (by their addresses, so that each is compiled
once, in its own file), and stops at whatever is wrong, rare, or zstd: the careful way then takes that record, and
says why. Both checksums of a record are compared here: over what is stored before it is looked at, and over what it
decodes to, while that is in the cache.

State of a span, int64[STATE]: the fields below, then FIELDS numbers for each plane.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels import permute
from codec.kernels.huffman_codes import table as huffman_table
from codec.kernels.native import call, move
from codec.kernels.permute import PAD, build, spell_out
from codec.kernels.permute import SIZE as HELD
from codec.kernels.planes import VECTOR_CODES
from codec.kernels.tables import lay_out, read, read_lengths, unpack_choice

#: Fields of a span's state.
LENGTH: Final = 0
WIDTH: Final = 1
FLAGS: Final = 2
FOLD: Final = 3
WINDOW: Final = 4
CONSTANT: Final = 5
TILE: Final = 6
CHUNK: Final = 7
PLANES: Final = 8
LAYOUT: Final = 9
ROWS: Final = 10
HEAD: Final = 16
FIELDS: Final = 6
#: The last: whether the plane's tables are laid out for registers (codec.kernels.permute), end to end from its row on.
_SHIFT, _BITS, _TABLES, _STAGE, _ROW, IN_REGISTERS = range(FIELDS)
#: Planes and tables of a span that are decoded here; what has more goes the careful way.
MOST_PLANES: Final = 15
MOST_TABLES: Final = 48
STATE: Final = HEAD + FIELDS * MOST_PLANES
#: Words (uint64) of the tables of a span: a rANS table is 4096 uint32, a Huffman table 2048 uint64.
TABLE_WORDS: Final = 2048
#: Words of the tables of one plane, where those for registers are spelled out for a chunk of few lanes.
FULL_WORDS: Final = 16 * TABLE_WORDS
#: Bytes of working space: the decoded planes of a chunk, what tiles of 8 elements add to them, and some slack.
SCRATCH: Final = (1 << 19) + (1 << 20) + 64
#: Tiles in a chunk, at most; choices and drops each take so many bytes.
MOST_TILES: Final = 1 << 16
#: Working numbers (int64), in parts: what a merge takes, starts and ends of Huffman streams, rANS states, places of
#: planes, what a hash is summed in, a job for codec.kernels.permute and one that is none, what is known of a chunk that
#: is open, a padded end of a stream. They are the caller's, because numba frees an array of its own before a
#: call that only has its address.
NUMBERS: Final = 200 + PAD // 8
_INTS, _STARTS, _ENDS, _STATES, _PLACES, _SUMS, _JOB, _EMPTY, _OPEN, _PADDED = (
    0, 8, 12, 16, 80, 144, 152, 168, 184, 200,
)  # fmt: skip
#: Of a chunk that is open: where its output begins and ends, its hash, the merge's address (0: none), elements, tiles
#: that drops are known of, bytes of planes in the scratch, escapes and where they lie, where the body's tail begins and
#: its end.
_BEGIN, _STOP, _HASH, _MERGE, _ELEMENTS, _DROPPED, _USED, _ESCAPED, _POSITIONS, _VALUES, _TAIL, _LAST = range(12)

#: Why ``decode`` stopped: nothing is left; the record is for the careful way; the address of a merge is missing; what
#: was decoded hashes to something else than the record says.
DONE: Final = 0
DECLINED: Final = 1
UNKNOWN: Final = 2
WRONG: Final = 3

#: Columns of ``jobs``: where the record, or its body, begins and ends in the stored bytes, where its output does, and
#: the chunk's number (-1: a span record with its only chunk).
AT, END, FIRST, STOP, NUMBER = range(5)

_FOLDED, _WINDOWED, _CONSTANT, _DROPS, _ESCAPES = 4, 8, 16, 32, 64


@njit(nogil=True)
def _varint(data, at, end, most):  # type: ignore[no-untyped-def]
    """(value, position behind it); the position is -1 if it does not end, is misspelt or is more than ``most``."""
    value, shift = np.int64(0), 0
    while at < end and shift < 56:
        byte = np.int64(data[at])
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if (byte == 0 and shift > 0) or value > most:
                return 0, -1
            return value, at
        shift += 7
    return 0, -1


@njit(nogil=True)
def _held(data, at, end, count, tables, freq):  # type: ignore[no-untyped-def]
    """Read rANS tables from data[at:end) and lay them out for registers; the position behind them, or -1 if one does
    not fit, or is corrupt.
    """
    room = tables.view(np.uint8)
    for k in range(count):
        at = read(data, at, end, freq[0])
        if at < 0 or build(freq[0], room, k * HELD) < 0:
            return -1
    return at


@njit(nogil=True)
def _tables(data, at, end, count, stage, tables, freq, lengths):  # type: ignore[no-untyped-def]
    """Read and lay out the tables of a plane from data[at:end); the position behind them, or -1."""
    encoder = np.empty(256, np.uint32)
    for k in range(count):
        out = tables[k * 2048 : k * 2048 + 2048]
        if stage == 2:
            at = read(data, at, end, freq[0])
            if at < 0:
                return -1
            lay_out(freq, out.view(np.uint32), encoder)
        else:
            at = read_lengths(data, at, end, lengths)
            if at < 0 or huffman_table(lengths, out) < 0:
                return -1
    return at


@njit(nogil=True)
def _span(data, at, end, state, tables, permutes):  # type: ignore[no-untyped-def]
    """Read a span record's body up to its chunk's body, into state and tables; the position behind, or -1.

    ``permutes``: whether tables may be laid out for registers.
    """
    length, at = _varint(data, at, end, 1 << 23)
    if at < 0 or end - at < 2 or length < 1:
        return -1
    dtype, flags = np.int64(data[at]), np.int64(data[at + 1])
    at += 2
    if dtype > 22 or flags & 128:
        return -1
    width = np.int64(1) << (flags & 3)
    state[LENGTH], state[WIDTH], state[FLAGS] = length, width, flags
    state[FOLD], state[WINDOW], state[CONSTANT] = 8 * width - 1, 0, 0
    if flags & _FOLDED:
        if at >= end or data[at] >= 8 * width:
            return -1
        state[FOLD] = data[at]
        at += 1
    if flags & _WINDOWED:
        state[WINDOW], at = _varint(data, at, end, 65535)
        if at < 0:
            return -1
    if flags & _CONSTANT:
        if end - at < width:
            return -1
        for k in range(width):
            state[CONSTANT] |= np.int64(data[at + k]) << (8 * k)
        at += width
    tile, at = _varint(data, at, end, 1 << 14)
    if at < 0:
        return -1
    chunk, at = _varint(data, at, end, (1 << 19) // width)
    if at < 0 or at >= end:
        return -1
    planes = np.int64(data[at])
    at += 1
    if tile < min(8, max(1, length // width)) or chunk < 1 or chunk % tile or planes > MOST_PLANES:
        return -1
    if planes == 0 and flags & (_WINDOWED | _ESCAPES):
        return -1
    state[TILE], state[CHUNK], state[PLANES] = tile, chunk, planes
    freq, lengths = np.empty((1, 256), np.int64), np.empty(256, np.uint8)
    low, rows, layout = np.int64(0), 0, np.int64(0)
    for p in range(planes):
        if end - at < 2:
            return -1
        shift, bits = np.int64(data[at]) & 63, np.int64(1) << (data[at] >> 6)
        count, stage = np.int64(data[at + 1]) & 31, np.int64(data[at + 1]) >> 5
        at += 2
        top = p == planes - 1 and flags & _WINDOWED
        if shift < low or shift >= 8 * width or (top and bits != 8) or (not top and shift + bits > 8 * width):
            return -1
        low = shift + bits
        if count > 16 or rows + count > MOST_TABLES or (count > 0 and stage != 2 and stage != 3):
            return -1
        if count == 0 and stage:
            return -1
        place = HEAD + FIELDS * p
        state[place + _SHIFT], state[place + _BITS], state[place + _TABLES] = shift, bits, count
        state[place + _STAGE], state[place + _ROW] = stage, rows
        behind, mine = np.int64(-1), tables[rows * TABLE_WORDS :]
        if permutes and stage == 2 and min(chunk, length // width) * bits >= 8 << 16:
            behind = _held(data, at, end, count, mine, freq)
        state[place + IN_REGISTERS] = np.int64(behind >= 0)
        at = behind if behind >= 0 else _tables(data, at, end, count, stage, mine, freq, lengths)
        if at < 0:
            return -1
        rows += count
        layout |= bits << (4 * p)
    state[LAYOUT], state[ROWS] = 0, rows
    for k in range(VECTOR_CODES.size):
        if VECTOR_CODES[k] == layout:
            state[LAYOUT] = layout
    return at


@njit(nogil=True)
def _address(known, layout, width):  # type: ignore[no-untyped-def]
    """The address of a merge among known[4:]: layout, width, address, layout, ...; 0 if it is not there."""
    for k in range(4, known.size - 2, 3):
        if known[k] == layout and known[k + 1] == width:
            return known[k + 2]
    return 0


@njit(nogil=True)
def _word(data, at):  # type: ignore[no-untyped-def]
    """Eight bytes, low first."""
    found = np.int64(0)
    for j in range(8):
        found |= np.int64(data[at + j]) << (8 * j)
    return found


@njit(nogil=True)
def _choices(data, at, end, tiles, tables, choice):  # type: ignore[no-untyped-def]
    """Read the tiles' choices; the position behind them, or -1."""
    if tables < 2:
        choice[:tiles] = 0
        return at
    bits = 1 if tables == 2 else 2 if tables <= 4 else 4
    size = (tiles * bits + 7) >> 3
    if end - at < size or unpack_choice(data, at, bits, tables, choice[:tiles]) < 0:
        return -1
    return at + size


@njit(nogil=True)
def _rans(  # type: ignore[no-untyped-def]
    data, at, end, size, tile, tiles, count, tables, held, spelled, choice, out, known, numbers, ahead, step, later
):
    """Decode a plane of ``size`` bytes to the address ``out``; the position behind its payload, or -1.

    With tables in registers and ``later`` it is left as a job in ``numbers``.
    """
    words, at = _varint(data, at, end, (end - at) // 2)
    if at < 0:
        return -1
    lanes = np.int64(64) if size >= 65536 else np.int64(16) if size >= 16384 else np.int64(4 if size >= 2048 else 1)
    if size >= 131072:
        if at >= end or (data[at] != 64 and data[at] != 128):
            return -1
        lanes = np.int64(data[at])
        at += 1
    at = _choices(data, at, end, tiles, count, choice)
    if at < 0 or end - at < 4 * lanes + 2 * words:
        return -1
    states = numbers[_STATES : _STATES + 64].view(np.uint32)
    for lane in range(lanes):
        x = np.int64(0)
        for k in range(4):
            x |= np.int64(data[at + 4 * lane + k]) << (8 * k)
        if x < 65536:
            return -1
        states[lane] = x
    at += 4 * lanes
    stop = at + 2 * words
    source, entries, rows, keep = data.ctypes.data, tables.ctypes.data, choice.ctypes.data, states.ctypes.data
    if held and lanes < 64:
        for k in range(count):
            spell_out(tables.view(np.uint8), k * HELD, spelled[k * TABLE_WORDS : (k + 1) * TABLE_WORDS].view(np.uint32))
        entries = spelled.ctypes.data
    if held and lanes >= 64:
        job = numbers[_JOB : _JOB + permute.FIELDS]
        job[permute.AT], job[permute.END], job[permute.LANES], job[permute.TABLES] = at, stop, lanes, entries
        job[permute.TILES], job[permute.TILE], job[permute.STATES], job[permute.TARGET] = tiles, tile, keep, out
        job[permute.BYTES], job[permute.AHEAD], job[permute.STEP] = size, ahead, step
        if later:
            return stop
        _run(data, numbers, choice, known, numbers, choice)
        stop = stop if _ended(numbers) else np.int64(-1)
        job[permute.LANES] = 0
        return stop
    found = call(known[0], (source, at, stop, lanes, entries, rows, tiles, tile, keep, out, size, ahead, step))
    if found != stop:
        return -1
    for lane in range(lanes):
        if states[lane] != 65536:
            return -1
    return stop


@njit(nogil=True)
def _run(data, numbers, choice, known, other, other_choice):  # type: ignore[no-untyped-def]
    """Do the job in ``numbers``, and the one in ``other`` if these are others."""
    source, job = data.ctypes.data, numbers[_JOB:].ctypes.data
    second = other[_JOB:].ctypes.data
    if job == second:
        numbers[_EMPTY : _EMPTY + permute.FIELDS] = 0
        second = numbers[_EMPTY:].ctypes.data
    call(
        known[2],
        (source, numbers[_PADDED:].ctypes.data, choice.ctypes.data, job,
         source, other[_PADDED:].ctypes.data, other_choice.ctypes.data, second),
    )  # fmt: skip


@njit(nogil=True)
def _ended(numbers):  # type: ignore[no-untyped-def]
    """Whether a job ended where it should: with its words used up, and all states as they began."""
    job, states = numbers[_JOB : _JOB + permute.FIELDS], numbers[_STATES : _STATES + 64].view(np.uint32)
    if job[permute.FOUND] != job[permute.END]:
        return False
    for lane in range(job[permute.LANES]):
        if states[lane] != 65536:
            return False
    return True


@njit(nogil=True)
def _huffman(data, at, end, size, tile, tiles, count, tables, choice, out, known, numbers, ahead, step):  # type: ignore[no-untyped-def]
    """As ``_rans``."""
    starts, ends = numbers[_STARTS : _STARTS + 4], numbers[_ENDS : _ENDS + 4]
    total = np.int64(0)
    for k in range(4):
        starts[k] = total
        part, at = _varint(data, at, end, end)
        if at < 0:
            return -1
        total += part
        ends[k] = total
    at = _choices(data, at, end, tiles, count, choice)
    if at < 0 or end - at < total:
        return -1
    starts += at
    ends += at
    source, entries, rows = data.ctypes.data, tables.ctypes.data, choice.ctypes.data
    first, last = starts.ctypes.data, ends.ctypes.data
    if call(known[1], (source, end, first, last, entries, rows, tiles, tile, out, size, ahead, step)) < 0:
        return -1
    return at + total


@njit(nogil=True)
def _pair(data, at, end, out):  # type: ignore[no-untyped-def]
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


@njit(nogil=True)
def _open(data, at, end, state, tables, spelled, out, begin, stop, last, scratch, small, numbers, known):  # type: ignore[no-untyped-def]
    """Read a chunk's body, from behind its number on, for out[begin:stop). Returns DONE, DECLINED or UNKNOWN.

    data[at:end) is the body; ``last`` says whether the chunk has the span's tail bytes. Its planes are decoded, but for
    the last if that is left as a job (numbers[_JOB + LANES] is not 0 then); they are merged by ``_close``.
    """
    numbers[_JOB + permute.LANES] = 0
    width, tile, planes, flags = state[WIDTH], state[TILE], state[PLANES], state[FLAGS]
    tail = state[LENGTH] % width if last else 0
    size = stop - begin - tail
    elements = size // width
    tiles = (elements + tile - 1) // tile
    if end - at < 8 or tiles > MOST_TILES or size % width:
        return DECLINED
    was = numbers[_OPEN : _OPEN + 16]
    was[_BEGIN], was[_STOP], was[_HASH], was[_ELEMENTS], was[_LAST] = begin, stop, _word(data, at), elements, end
    at += 8
    drops, choice = small[:0], small[MOST_TILES:]
    if flags & _DROPS:
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
            at = _pair(data, at + 1, end, drops)
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
    if flags & _ESCAPES:
        if end - at < 4:
            return DECLINED
        for k in range(4):
            escapes |= np.int64(data[at + k]) << (8 * k)
        positions, values = at + 4, at + 4 + 4 * escapes
        if escapes > elements or end - at < 4 + 6 * escapes:
            return DECLINED
        at = values + 2 * escapes
    direct = width == 1 and planes == 1 and state[HEAD + _BITS] == 8 and state[HEAD + _SHIFT] == 0
    direct = direct and flags & (_FOLDED | _WINDOWED | _CONSTANT | _DROPS | _ESCAPES) == 0
    merge = np.int64(0)
    if not direct:
        merge = _address(known, state[LAYOUT], width)
        if merge == 0:
            return UNKNOWN
        if (out.ctypes.data + begin) % width:
            return DECLINED
    flat = numbers[_PLACES:]
    used, room = np.int64(0), scratch
    if direct:
        room, used = out[:stop], begin
    for p in range(planes):
        place = HEAD + FIELDS * p
        bits = state[place + _BITS]
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
        flat[p], flat[planes + p] = state[place + _SHIFT], bits
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
        elif stage == 2 or stage == 3:
            if state[place + _TABLES] == 0 or state[place + _STAGE] != stage:
                return DECLINED
            mine = tables[state[place + _ROW] * TABLE_WORDS :]
            count, target = state[place + _TABLES], room.ctypes.data + used
            # the last plane is the symbol's, whose decoding leaves the memory idle
            ahead, step = out.ctypes.data + begin, width if p == planes - 1 and not direct else 0
            if stage == 2:
                held = state[place + IN_REGISTERS]
                at = _rans(
                    data, at, end, need, full, kept, count, mine, held, spelled, choice, target, known, numbers, ahead,
                    step, p == planes - 1,
                )  # fmt: skip
            else:
                at = _huffman(data, at, end, need, full, kept, count, mine, choice, target, known, numbers, ahead, step)
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


@njit(nogil=True)
def _close(data, state, out, scratch, small, numbers, known, zeros):  # type: ignore[no-untyped-def]
    """Merge the planes of a chunk that was opened, and compare its hash. Returns DONE, DECLINED or WRONG."""
    was = numbers[_OPEN : _OPEN + 16]
    begin, stop, end, at = was[_BEGIN], was[_STOP], was[_LAST], was[_TAIL]
    if numbers[_JOB + permute.LANES] and not _ended(numbers):
        return DECLINED
    if was[_MERGE]:
        numbers[0], numbers[1], numbers[2] = state[TILE], state[FOLD], state[WINDOW]
        numbers[3], numbers[4] = 255, state[CONSTANT]
        source, work, target = data.ctypes.data, scratch.ctypes.data, out.ctypes.data + begin
        ints, rows, dropped = numbers.ctypes.data, numbers[_PLACES:].ctypes.data, small.ctypes.data
        none, planes = zeros.ctypes.data, state[PLANES]
        found = call(
            was[_MERGE],
            (target, was[_ELEMENTS], ints, dropped, was[_DROPPED], rows, planes, source, end, work, was[_USED], none,
             was[_ESCAPED], was[_POSITIONS], was[_VALUES]),
        )  # fmt: skip
        if found < 0:
            return DECLINED
    move(out, stop - (end - at), data, at, end - at)
    sums = numbers[_SUMS : _SUMS + 8]
    found = call(known[3], (out.ctypes.data + begin, stop - begin, sums.ctypes.data))
    return DONE if found == was[_HASH] else WRONG


@njit(nogil=True)
def _framed(data, at, end, kind, known, sums):  # type: ignore[no-untyped-def]
    """Whether data[at:end) is a whole record of this kind, with its checksum."""
    if end - at < 13 or data[at] != kind:
        return False
    size = np.int64(data[at + 1]) | np.int64(data[at + 2]) << 8 | np.int64(data[at + 3]) << 16
    if size | np.int64(data[at + 4]) << 24 != end - at - 13:
        return False
    return call(known[3], (data.ctypes.data + at, end - at - 8, sums.ctypes.data)) == _word(data, end - 8)


@njit(nogil=True, cache=True)
def read_span(data, at, end, state, tables, permutes):  # type: ignore[no-untyped-def]
    """Read the body data[at:end) of a span record without chunk. Returns 0, or -1 if the careful way must.

    state int64[STATE]; tables uint64[MOST_TABLES * TABLE_WORDS]; permutes: whether there is an address of
    codec.kernels.permute to decode with.
    """
    return 0 if _span(data, at, end, state, tables, permutes) == end else -1


@njit(nogil=True)
def _begin(data, job, framed, state, tables, spelled, out, scratch, small, numbers, known):  # type: ignore[no-untyped-def]
    """Read a record up to its chunk's planes. Returns DONE, DECLINED or UNKNOWN."""
    at, end, begin, stop, number = job[AT], job[END], job[FIRST], job[STOP], job[NUMBER]
    if framed:
        if not _framed(data, at, end, 1 if number < 0 else 2, known, numbers[_SUMS : _SUMS + 8]):
            return DECLINED
        at, end = at + 5, end - 8
    if number < 0:
        state[CONSTANT] = 0
        at = _span(data, at, end, state, tables, known[2] != 0)
        if at < 0 or stop - begin != state[LENGTH]:
            return DECLINED
        if (state[LENGTH] // state[WIDTH] + state[CHUNK] - 1) // state[CHUNK] > 1:
            return DECLINED
        last = True
    else:
        found, at = _varint(data, at, end, 1 << 23)
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
    rANS decoder, the Huffman decoder, the rANS decoder with tables in registers (0: none), XXH3, then (layout, width,
    address) of each merge that there is; zeros uint8[16384], all 0. For UNKNOWN, ``why`` goes on with the layout and
    width that are missing.

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
                why[1], why[2] = state[row, LAYOUT], state[row, WIDTH]
            left = status == DONE and numbers[slot, _JOB + permute.LANES] > 0
            if left and waiting < 0:
                waiting, slot = k, 1 - slot
                continue
        else:
            left = False
        if waiting >= 0:  # finish it, with this one or without
            other = 1 - slot
            mine, its = numbers[slot if left else other], numbers[other]
            _run(data, its, small[other, MOST_TILES:], known, mine, small[slot if left else other, MOST_TILES:])
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
