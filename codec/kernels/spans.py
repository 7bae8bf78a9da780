"""Code spans of floats into their records in one call: cut, groups, tables, and the planes of each chunk.

The quick way of the encoder (codec.batch): what is rare is declined, and coded by codec.encode into the same bytes.
Hashes and checks are left to the caller, who has a faster library for them. Other kernels are called by their addresses
(codec.kernels.native).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels import coding
from codec.kernels.coding import put_varint
from codec.kernels.cuts import (
    ADDRESS, BYTES, CHUNK, CODE, CONSTANT, CUT, DROPS, ESCAPES, EXPONENT, FINEST, FOLD, MANTISSA, PLANES, PLANES_MAX,
    SIZE, SPAN, TILE, WINDOW, WINDOWED, cut, step_of,
)  # fmt: skip
from codec.kernels.groups import COUNT, GROUPS_MAX, WAY
from codec.kernels.native import call, move
from codec.kernels.statistics import repeats
from codec.kernels.tables import INNER

#: Why ``encode`` returns: all jobs are done; the address of a split or survey is missing (``ints`` at LAYOUT and BYTES
#: says of which); the caller is to give the drops of each chunk; this job is for the other way; ``out`` is full.
DONE, UNKNOWN, GIVE, DECLINED, FULL = range(5)

#: Level: stage of its tables, most of them for a plane, elements to look at, thousandths below which a plane is coded.
STAGE, TABLES, SAMPLE, BELOW, LEVEL = range(5)

#: Known addresses: rANS, Huffman, coding, groups, tables; from SURVEYS on those of ``survey`` by bytes of an element;
#: from SPLITS on triples: layout, bytes of an element, address of that split.
CODERS, CODING, GROUPS, FITS, SURVEYS, SPLITS = 0, 2, 3, 4, 5, 10

#: What there is to know of a span: job done next, and whether it is planned; position in ``out``; rows of ``chunks``;
#: the layout's code; whether its planes are those of the sample; the cut; places of the planes, etc. (see ``_Areas``).
JOB_AT, PLANNED, AT, ROWS, LAYOUT, READY, CUT_AT = range(7)
PLACES: Final = 16
STARTS: Final = PLACES + 3 * PLANES_MAX
NUMBERS: Final = STARTS + PLANES_MAX + 1
FOUND: Final = NUMBERS + coding.NUMBERS
SPLIT: Final = FOUND + 6
ENDS: Final = SPLIT + 5
ENDING: Final = ENDS + 4
REPORT: Final = ENDING + 64
CODED: Final = REPORT + 7 * PLANES_MAX
STORED: Final = CODED + 2 * PLANES_MAX
TABLE: Final = STORED + 2 * PLANES_MAX
LIMITS: Final = TABLE + coding.COLUMNS * PLANES_MAX
RAWS: Final = LIMITS + GROUPS_MAX * (PLANES_MAX + 1)
INTS: Final = RAWS + 2 * GROUPS_MAX * PLANES_MAX

#: Columns of ``spans``: bytes of all its records and of the first; bytes of tables, of the symbol's planes, of others.
TOTAL, RECORD, RAW, SYMBOL, REST, SPAN_COLUMNS = range(6)

#: Columns of ``chunks``: original bytes from and to; where in ``out`` their hash goes (-1: nowhere), where the record
#: begins, and where its check goes; its job.
FIRST, STOP, HASH, BEGIN, CHECK, OF, CHUNK_COLUMNS = range(7)

#: Elements up to which the split for any layout will do.
PLAIN: Final = 1 << 12
#: Elements among which repeats are looked for, and below which they are not.
RUN: Final = 1 << 13
RUN_LEAST: Final = 1 << 10

#: Working space for any job that is not declined: elements of a sample (of steps of 1, so all), tiles.
SAMPLE_MAX: Final = 1 << 19
TILES_MAX: Final = 1 << 15
#: Sizes of the arrays of working space: bytes of a sample's planes and of a chunk's, and of what is coded of one.
SAMPLE_BYTES: Final = 4 * SAMPLE_MAX + PLANES_MAX * TILES_MAX
CHUNK_BYTES: Final = (1 << 19) + (1 << 18)
WORK_BYTES: Final = 2 * CHUNK_BYTES + 64


@njit(**INNER)
def _little(out, at, value, size):  # type: ignore[no-untyped-def]
    for k in range(size):
        out[at + k] = (value >> (8 * k)) & 255
    return at + size


@njit(**INNER)
def _address(known, layout, width):  # type: ignore[no-untyped-def]
    """Of the split of a layout, or 0."""
    for k in range(SPLITS, known.size, 3):
        if known[k] == layout and known[k + 1] == width:
            return known[k + 2]
    return np.int64(0)


@njit(**INNER)
def _begin(elements, tile, widths, drops, starts):  # type: ignore[no-untyped-def]
    """Where the planes of so many elements begin, one behind the other, and behind the last where it ends."""
    starts[0] = 0
    whole, rest = elements // tile, elements % tile
    for p in range(widths.size):
        full, short = (tile * widths[p] + 7) >> 3, (rest * widths[p] + 7) >> 3
        if drops.size:
            whole = np.int64(0)
            for t in range(elements // tile):
                whole += np.int64(drops[t] <= p)
            if rest and drops[elements // tile] > p:
                short = np.int64(0)
        starts[p + 1] = starts[p] + whole * full + short


@njit(**INNER)
def _split(job, ints, first, elements, drops, out, spare, escape_at, escape_value, room, known):  # type: ignore[no-untyped-def]
    """Cut elements from ``first`` on into planes at STARTS, which move to their ends. Escapes, or -1 if too many."""
    planes, width = ints[CUT_AT + PLANES], job[BYTES]
    places = ints[PLACES + 2 * planes : PLACES + 3 * planes]
    for p in range(planes):
        places[p] = ints[STARTS + p]
    address = ints[PLACES:].ctypes.data
    found = call(_address(known, ints[LAYOUT], width), (
        job[ADDRESS] + first * width, elements, ints[SPLIT:].ctypes.data, drops.ctypes.data, drops.size, address, planes,
        out.ctypes.data, out.size, spare.ctypes.data, escape_at.ctypes.data, escape_value.ctypes.data, room,
    ))  # fmt: skip
    return found


@njit(**INNER)
def _head(job, cut, planes, ints, raw, used, out, at):  # type: ignore[no-untyped-def]
    """Write the span record's body up to the body of an only chunk; the position behind it.

    ``used``: a bit for each plane whose tables are written.
    """
    width = job[BYTES]
    at = put_varint(out, at, job[SIZE])
    out[at] = job[CODE]
    out[at + 1] = (
        (0 if width == 1 else 1 if width == 2 else 2) | 4 | cut[WINDOWED] * 8 | np.int64(cut[CONSTANT] != 0) * 16
        | cut[DROPS] * 32 | cut[ESCAPES] * 64
    )  # fmt: skip
    out[at + 2] = cut[FOLD]
    at += 3
    if cut[WINDOWED]:
        at = put_varint(out, at, cut[WINDOW])
    if cut[CONSTANT]:
        at = _little(out, at, cut[CONSTANT], width)
    at = put_varint(out, at, job[TILE])
    at = put_varint(out, at, job[CHUNK])
    out[at] = planes
    at += 1
    start = np.int64(0)
    for p in range(planes):
        bits = ints[PLACES + planes + p]
        out[at] = ints[PLACES + p] | (0 if bits == 1 else 1 if bits == 2 else 2 if bits == 4 else 3) << 6
        table = ints[TABLE + coding.COLUMNS * p :]
        count, stop = table[coding.TABLES], start
        if count:
            stop = ints[RAWS + 2 * (table[coding.ROW] + count - 1)]
        if count and (used >> p) & 1:
            out[at + 1] = count | table[coding.STAGE] << 5
            move(out, at + 2, raw, start, stop - start)
            at += 2 + stop - start
        else:
            out[at + 1] = 0
            at += 2
        start = stop
    return at


@njit(**INNER)
def _plan(job, level, ints, counts, ors, sample, pieces, spare, escape_at, escape_value, weights, room, choice, encoder, raw, seen, known):  # type: ignore[no-untyped-def]
    """Cut, split a sample, group its tiles, fit tables. DONE, UNKNOWN or DECLINED."""
    width, tile, size = job[BYTES], job[TILE], job[SIZE]
    n = size // width
    if n == 0 or size % width or (n + tile - 1) // tile > TILES_MAX:
        return DECLINED
    survey = known[SURVEYS + width]
    if survey == 0:
        ints[LAYOUT] = -1
        return UNKNOWN
    magnitude = (np.int64(1) << (job[EXPONENT] + job[MANTISSA])) - 1
    step, sampled = step_of(n, tile, level[SAMPLE] // 8)
    fields = np.int64(1) << (job[EXPONENT] + job[FINEST])
    tiles = (n + tile - 1) // tile if step == 1 else (n // tile + step - 1) // step
    found = ints[FOUND : FOUND + 6].view(np.uint64)
    source, far = job[ADDRESS], ors.ctypes.data
    call(survey, (
        source, n, tile, step, magnitude, job[MANTISSA] - job[FINEST], far, tiles, found.ctypes.data,
        counts.ctypes.data, fields,
    ))  # fmt: skip
    exact, bits = step == 1, 8 * width
    if not exact:
        low, varying = (np.int64(1) << (bits // 2 - 4)) - 1, np.int64(found[0]) & ~np.int64(found[1])
        if varying & low != low or varying >> (bits - 1) != 1 or found[4]:
            tiles, exact = (n + tile - 1) // tile, True
            call(survey, (
                source, n, tile, 1, magnitude, job[MANTISSA] - job[FINEST], far, tiles, found.ctypes.data,
                counts.ctypes.data, 0,
            ))  # fmt: skip
    how = ints[CUT_AT : CUT_AT + CUT]
    shifts, widths = ints[PLACES : PLACES + PLANES_MAX], ints[PLACES + PLANES_MAX : PLACES + 2 * PLANES_MAX]
    ending, ends = ints[ENDING : ENDING + 64], ints[ENDS : ENDS + 4]
    if not cut(job, found, ors[:tiles], counts[:fields], sampled, exact, ends, shifts, widths, ending, how):
        return DECLINED
    planes = how[PLANES]
    for p in range(planes):
        ints[PLACES + planes + p] = widths[p]
    widths = ints[PLACES + planes : PLACES + 2 * planes]
    layout = np.int64(0)
    if n > PLAIN:
        for p in range(planes - 1, -1, -1):
            layout = layout << 4 | widths[p]
    ints[LAYOUT] = layout
    if _address(known, layout, width) == 0:
        return UNKNOWN
    ints[SPLIT], ints[SPLIT + 1], ints[SPLIT + 2] = tile, how[FOLD], how[WINDOW]
    ints[SPLIT + 3], ints[SPLIT + 4] = how[SPAN], how[CONSTANT]
    step, looked = step_of(n, tile, level[SAMPLE])
    if looked > SAMPLE_MAX:
        return DECLINED
    none = choice[:0]
    _begin(looked, tile, widths, none, ints[STARTS : STARTS + planes + 1])
    total = ints[STARTS + planes]
    ints[READY] = np.int64(-1)
    if step == 1:
        escapes = _split(job, ints, 0, n, none, sample, spare, escape_at, escape_value, n, known)
        if n <= job[CHUNK] and not how[DROPS]:
            ints[READY] = escapes
    else:
        starts = ints[STARTS : STARTS + planes]
        cursors = ints[PLACES + 2 * planes : PLACES + 3 * planes]
        for t in range(0, n // tile, step):
            _split(job, ints, t * tile, tile, none, sample, spare, escape_at, escape_value, tile, known)
            for p in range(planes):
                starts[p] = cursors[p]
    if n >= RUN_LEAST:
        first, many = ((n - RUN) // 2 // tile * tile, np.int64(RUN)) if n > 2 * RUN else (np.int64(0), n)
        run = sample[ints[STARTS + planes - 1] + first :]
        if step > 1:
            _begin(many, tile, widths, none, ints[STARTS : STARTS + planes + 1])
            _split(job, ints, first, many, none, pieces, spare, escape_at, escape_value, many, known)
            run = pieces[ints[STARTS + planes - 1] :]
        if repeats(run[:many], seen, counts):
            return DECLINED
    report, limits = ints[REPORT:], ints[LIMITS:]
    rows = call(known[GROUPS], (
        sample.ctypes.data, total, widths.ctypes.data, planes, tile, looked, step, level[TABLES], level[BELOW],
        planes - 1, how[SPAN], weights.ctypes.data, room.ctypes.data, report.ctypes.data, limits.ctypes.data,
        choice.ctypes.data, counts.ctypes.data,
    ))  # fmt: skip
    raws = ints[RAWS:]
    if rows:
        scale = step if step == 1 else max(np.int64(1), step // 64)
        call(known[FITS], (
            counts.ctypes.data, rows, scale, encoder.ctypes.data, raw.ctypes.data, raws.ctypes.data
        ))  # fmt: skip
    row, before = np.int64(0), np.int64(0)
    for p in range(planes):
        table = ints[TABLE + coding.COLUMNS * p : TABLE + coding.COLUMNS * (p + 1)]
        table[:] = 0
        table[coding.WIDTH] = widths[p]
        count = report[7 * p + COUNT]
        if count == 0:
            continue
        top = np.int64(0)
        for k in range(row, row + count):
            top = max(top, raws[2 * k + 1])
        after = raws[2 * (row + count - 1)]
        table[coding.TABLES], table[coding.STAGE], table[coding.ROW], table[coding.TOP] = count, level[STAGE], row, top
        table[coding.RAW] = after - before if n <= job[CHUNK] else 0
        table[coding.WEIGHTS], table[coding.LIMITS_AT] = report[7 * p + WAY], GROUPS_MAX * p
        table[coding.LIMITS] = count - 1
        row, before = row + count, after
    return DONE


@njit(**INNER)
def _count_drops(ints, ors, tiles, drops):  # type: ignore[no-untyped-def]
    """Planes that each tile drops: those that end at or below its zeros."""
    planes = ints[CUT_AT + PLANES]
    for t in range(tiles):
        k = np.int64(0)
        while k < planes - 1 and ints[PLACES + k] + ints[PLACES + planes + k] <= np.int64(ors[t]):
            k += 1
        drops[t] = k


@njit(**INNER)
def _room(job, ints, chunk, raw):  # type: ignore[no-untyped-def]
    """Bytes of records that a job takes at most."""
    planes, n = ints[CUT_AT + PLANES], job[SIZE] // job[BYTES]
    tiles, bound = (chunk + job[TILE] - 1) // job[TILE], 6 * (chunk // 64 + 16) + 4 * planes + 128
    for p in range(planes):
        bound += chunk * ints[PLACES + planes + p] // 8 + tiles
    return (n + chunk - 1) // chunk * (bound + 2 * tiles) + raw + 256


@njit(**INNER)
def _code(
    j, job, ints, sample, spare, escape_at, escape_value, weights, sums, choice, encoder, raw, work, pieces, drops, given,
    until, known, out, spans, chunks,
):  # type: ignore[no-untyped-def]  # fmt: skip
    """Write the records of a planned job. DONE, DECLINED or FULL."""
    how, width, tile = ints[CUT_AT : CUT_AT + CUT], job[BYTES], job[TILE]
    planes, n = how[PLANES], job[SIZE] // width
    chunk = min(job[CHUNK], n)
    count, begin, row = (n + chunk - 1) // chunk, ints[AT], ints[ROWS]
    single, widths = count == 1, ints[PLACES + planes : PLACES + 2 * planes]
    rows = np.int64(0)
    for p in range(planes):
        rows += ints[TABLE + coding.COLUMNS * p + coding.TABLES]
        ints[STORED + p] = 0
    tables = ints[RAWS + 2 * (rows - 1)] if rows else np.int64(0)
    if begin + _room(job, ints, chunk, tables) > out.size or row + count + 1 > chunks.shape[0]:
        return FULL
    at = _head(job, how, planes, ints, raw, np.int64(-1), out, begin + 5)
    body = at if single else at + 8
    at, used = body, np.int64(0)
    starts = ints[STARTS : STARTS + planes + 1]
    if not single:
        row += 1
    for c in range(count):
        first, record = c * chunk, begin if single else at
        elements = min(chunk, n - first)
        if not single:
            at = put_varint(out, at + 5, c)
        mark = at
        at += 8
        dropped = drops[first // tile : (first + elements + tile - 1) // tile] if how[DROPS] else drops[:0]
        if how[DROPS]:
            move(out, at, given, until[c], until[c + 1] - until[c])
            at += until[c + 1] - until[c]
        cut, escapes = pieces, ints[READY]
        _begin(elements, tile, widths, dropped, starts)
        if escapes >= 0:
            cut = sample
        else:
            escapes = _split(
                job, ints, first, elements, dropped, pieces, spare, escape_at, escape_value, chunk // 64 + 16, known
            )
        if escapes < 0 or escapes > (chunk // 64 + 16 if how[ESCAPES] else 0):
            return DECLINED
        if how[ESCAPES]:
            at = _little(out, at, escapes, 4)
            for k in range(escapes):
                at = _little(out, at, np.int64(escape_at[k]), 4)
            for k in range(escapes):
                at = _little(out, at, np.int64(escape_value[k]), 2)
        coded = ints[CODED:]
        call(known[CODING], (
            0, ints[TABLE:].ctypes.data, planes, elements, tile, dropped.ctypes.data, dropped.size, cut.ctypes.data,
            starts[planes], starts.ctypes.data, encoder.ctypes.data, ints[LIMITS:].ctypes.data, weights.ctypes.data,
            out.ctypes.data, out.size, at, choice.ctypes.data, sums.ctypes.data, work.ctypes.data,
            ints[NUMBERS:].ctypes.data, coded.ctypes.data, known.ctypes.data,
        ))  # fmt: skip
        at = ints[NUMBERS + coding.END]
        for p in range(planes):
            ints[STORED + p] += coded[2 * p + 1]
            if ints[TABLE + coding.COLUMNS * p + coding.TABLES] and coded[2 * p] > 1:
                used |= np.int64(1) << p
        stop = job[SIZE] if c == count - 1 else (first + elements) * width
        keep = chunks[row + c]
        keep[FIRST], keep[STOP], keep[HASH], keep[BEGIN], keep[CHECK] = first * width, stop, mark, record, at
        keep[OF] = j
        if not single:
            out[record] = 2
            _little(out, record + 1, at - record - 5, 4)
            at += 8
    if at - body > job[SIZE]:
        return DECLINED
    moved = np.int64(0)
    for p in range(planes):
        if ints[TABLE + coding.COLUMNS * p + coding.TABLES] and (used >> p) & 1 == 0:
            moved = np.int64(1)
    if moved:
        after = _head(job, how, planes, ints, raw, used, out, begin + 5)
        after = after if single else after + 8
        moved = body - after
        for k in range(body, at):
            out[k - moved] = out[k]
        for c in range(count):
            keep = chunks[row + c]
            keep[HASH] -= moved
            keep[CHECK] -= moved
            if not single:
                keep[BEGIN] -= moved
        body, at = after, at - moved
    end = at if single else body - 8
    out[begin] = 1
    _little(out, begin + 1, end - begin - 5, 4)
    if not single:
        keep = chunks[row - 1]
        keep[FIRST], keep[STOP], keep[HASH], keep[BEGIN], keep[CHECK], keep[OF] = 0, 0, -1, begin, end, j
    total = at + 8 - begin if single else at - begin
    tables = np.int64(0)
    for p in range(planes):
        table = ints[TABLE + coding.COLUMNS * p :]
        if table[coding.TABLES] and (used >> p) & 1:
            last, start = table[coding.ROW] + table[coding.TABLES] - 1, table[coding.ROW]
            tables += ints[RAWS + 2 * last] - (ints[RAWS + 2 * (start - 1)] if start else 0)
    rest = np.int64(0)
    for p in range(planes - 1):
        rest += ints[STORED + p]
    spans[j, TOTAL], spans[j, RECORD], spans[j, RAW] = total, end + 8 - begin, tables
    spans[j, SYMBOL], spans[j, REST] = ints[STORED + planes - 1], rest
    ints[AT], ints[ROWS] = begin + total, row + count
    return DONE


@njit(nogil=True, cache=True)
def encode(  # type: ignore[no-untyped-def]
    jobs, level, ints, counts, tiles, bytes_, escapes, encoder, weights, seen, known, given, until, out, spans, chunks
):
    """Code jobs from ints[JOB_AT] on into records from out[ints[AT]] on. Says why it stopped, at the job ints[JOB_AT].

    jobs int64[n, JOB]; level int64[LEVEL]; known int64. Worked in: ints int64[INTS], of which the caller sets JOB_AT,
    PLANNED (0), AT and ROWS; counts int64[GROUPS_MAX * (PLANES_MAX + 3) * 256]; tiles int64[5 * TILES_MAX + 256];
    bytes_ uint8[ROOM_BYTES]; escapes uint32[2 * SAMPLE_MAX]; encoder uint32[PLANES_MAX * GROUPS_MAX * 256]; weights
    int64[4, 256]; seen uint64. ``given`` (uint8) has the drops of each chunk of the job that GIVE was returned for,
    that of chunk c from until[c] to until[c + 1]; their counts are at bytes_[:tiles]. ``out`` uint8 gets the records,
    spans (int64[n, SPAN_COLUMNS]) and chunks (int64[_, CHUNK_COLUMNS]) what there is to say of each.
    """
    ors, room, sums = tiles[:TILES_MAX].view(np.uint64), tiles[TILES_MAX : 4 * TILES_MAX + 256], tiles[4 * TILES_MAX :]
    drops, choice = bytes_[:TILES_MAX], bytes_[TILES_MAX : 2 * TILES_MAX]
    spare = bytes_[2 * TILES_MAX : 2 * TILES_MAX + (1 << 14)]
    raw = bytes_[2 * TILES_MAX + (1 << 14) : 3 * TILES_MAX + (1 << 18)]
    at = 3 * TILES_MAX + (1 << 18)
    sample = bytes_[at : at + SAMPLE_BYTES]
    pieces = bytes_[at + SAMPLE_BYTES : at + SAMPLE_BYTES + CHUNK_BYTES]
    work = bytes_[at + SAMPLE_BYTES + CHUNK_BYTES :]
    places, values = escapes[:SAMPLE_MAX], escapes[SAMPLE_MAX:].view(np.uint16)
    while ints[JOB_AT] < jobs.shape[0]:
        j = ints[JOB_AT]
        job = jobs[j]
        if ints[PLANNED] == 0:
            status = _plan(
                job, level, ints, counts, ors, sample, pieces, spare, places, values, weights, room, choice, encoder, raw,
                seen, known,
            )  # fmt: skip
            if status != DONE:
                return status
            if ints[CUT_AT + DROPS]:
                _count_drops(ints, ors, (job[SIZE] // job[BYTES] + job[TILE] - 1) // job[TILE], drops)
                ints[PLANNED] = 1
                return GIVE
        status = _code(
            j, job, ints, sample, spare, places, values, weights, sums, choice, encoder, raw, work, pieces, drops, given,
            until, known, out, spans, chunks,
        )  # fmt: skip
        if status != DONE:
            ints[PLANNED] = 0
            return status
        ints[PLANNED] = 0
        ints[JOB_AT] += 1
    return DONE


#: Bytes of ``bytes_``.
ROOM_BYTES: Final = 3 * TILES_MAX + (1 << 18) + SAMPLE_BYTES + CHUNK_BYTES + WORK_BYTES
