"""The records of a planned span, but for hashes and checks; and what codec.kernels.spans works in."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from codec.kernels.coding import COLUMNS, END, NUMBERS, ROW, STAGE, TABLES, put_varint
from codec.kernels.cuts import (
    ADDRESS,
    BYTES,
    CHUNK,
    CODE,
    CONSTANT,
    CUT,
    DROPS,
    ESCAPES,
    FOLD,
    PLACES,
    PLANES,
    PLANES_MAX,
    SIZE,
    TILE,
    WINDOW,
    WINDOWED,
)
from codec.kernels.groups import GROUPS_MAX
from codec.kernels.groups import REPORT as GROUP_REPORT
from codec.kernels.native import call, move
from codec.kernels.statistics import WAYS
from codec.kernels.tables import DRIVER, RAW_MAX

#: Why ``spans.encode`` returns: all jobs are done; the address of a split or survey is missing (``ints`` at LAYOUT and
#: BYTES says of which); the caller is to give the drops of each chunk; this job is for the other way; ``out`` is full.
DONE, UNKNOWN, GIVE, DECLINED, FULL = range(5)

#: Level: stage of its tables, most of them for a plane, elements to look at, thousandths below which a plane is coded.
LEVEL_STAGE, MOST, SAMPLE, BELOW, LEVEL = range(5)

#: Known addresses: rANS, Huffman, coding, groups, tables; from SURVEYS on those of ``survey`` by bytes of an element;
#: from SPLITS on triples: layout, bytes of an element, address of that split.
CODERS, CODING, GROUPS, FITS, SURVEYS, SPLITS = 0, 2, 3, 4, 5, 10

#: ``ints``: the cut (see codec.kernels.cuts); the job done next, and whether it is planned; position in ``out``; rows
#: of ``chunks``; code of the layout; escapes of the whole span if its planes are those of the sample, else -1. Then
#: where the planes begin; what the other kernels take and leave: ``coding``'s numbers, found by a survey, those of a
#: split, two of 4 and 2 columns a plane; a table of what is coded how; limits; ends of tables.
JOB_AT, PLANNED, AT, ROWS, LAYOUT, READY, STARTS = range(CUT, CUT + 7)
CODING_AT: Final = STARTS + PLANES_MAX + 1
FOUND: Final = CODING_AT + NUMBERS
SPLIT: Final = FOUND + 6
ENDS: Final = SPLIT + 5
REPORT: Final = ENDS + 4
CODED: Final = REPORT + GROUP_REPORT * PLANES_MAX
STORED: Final = CODED + 2 * PLANES_MAX
TABLE: Final = STORED + PLANES_MAX
BOUNDS: Final = TABLE + COLUMNS * PLANES_MAX
RAWS: Final = BOUNDS + GROUPS_MAX * (PLANES_MAX + WAYS)
CODING_END: Final = CODING_AT + END
INTS: Final = RAWS + 2 * GROUPS_MAX * PLANES_MAX

#: Columns of ``spans``: bytes of all its records and of the first; bytes of tables, of the symbol's planes, of others.
TOTAL, RECORD, TABLE_BYTES, SYMBOL, REST, SPAN_COLUMNS = range(6)

#: Columns of ``chunks``: original bytes from and to; where in ``out`` their hash goes (-1: nowhere), where the record
#: begins, and where its check goes; its job.
FIRST, STOP, HASH, BEGIN, CHECK, OF, CHUNK_COLUMNS = range(7)

#: Elements up to which the plain way of any split will do: the one of a layout that only small tensors have is not
#: compiled, if another is.
PLAIN: Final = 1 << 12
#: Elements among which repeats are looked for, and below which they are not.
RUN: Final = 1 << 13
RUN_LEAST: Final = 1 << 10

#: What is worked in suffices for these; jobs with more are declined.
SAMPLE_MAX: Final = 1 << 19
TILES_MAX: Final = 1 << 15

#: Where in ``bytes_`` there is what: drops of each tile, choices of each by each way, a tile, tables as written, the
#: planes of a sample and of a chunk, and what is coded of one. Planes take no more than 19 bits an element (fp16
#: without mantissa bits in the symbol) or 4 bytes, and a byte a tile.
CHOICE_AT: Final = TILES_MAX
SPARE_AT: Final = CHOICE_AT + WAYS * TILES_MAX
RAW_AT: Final = SPARE_AT + (1 << 14)
SAMPLE_AT: Final = RAW_AT + RAW_MAX * GROUPS_MAX * PLANES_MAX
PIECES_AT: Final = SAMPLE_AT + 4 * SAMPLE_MAX + PLANES_MAX * TILES_MAX
WORK_AT: Final = PIECES_AT + (1 << 19) + (1 << 18)
BYTES_SIZE: Final = WORK_AT + (1 << 20) + (1 << 10)


@njit(**DRIVER)
def little(out, at, value, size):  # type: ignore[no-untyped-def]
    """Write a number to out[at:] in so many bytes; the offset behind it."""
    for k in range(size):
        out[at + k] = (value >> (8 * k)) & 255
    return at + size


@njit(**DRIVER)
def address_of_split(known, layout, width):  # type: ignore[no-untyped-def]
    """Of the split of a layout, or 0; if the layout is 0, of any."""
    for k in range(SPLITS, known.size, 3):
        if (known[k] == layout or layout == 0) and known[k + 1] == width:
            return known[k + 2]
    return np.int64(0)


@njit(**DRIVER)
def begin_planes(ints, elements, tile, drops, first, dropping):  # type: ignore[no-untyped-def]
    """Where the planes of so many elements begin, one behind the other, and behind the last where it ends.

    ``drops`` from ``first`` on are those of their tiles if ``dropping``.
    """
    planes, whole, rest, at = ints[PLANES], elements // tile, elements % tile, np.int64(0)
    for p in range(planes):
        width, kept, last = ints[PLACES + planes + p], whole, rest
        if dropping:
            kept = np.int64(0)
            for t in range(first, first + whole):
                kept += np.int64(drops[t] <= p)
            if rest and drops[first + whole] > p:
                last = np.int64(0)
        ints[STARTS + p] = at
        at += kept * ((tile * width + 7) >> 3) + ((last * width + 7) >> 3)
    ints[STARTS + planes] = at
    return at


@njit(**DRIVER)
def split_planes(job, ints, first, elements, drops, tiles, out, spare, escapes, room, known):  # type: ignore[no-untyped-def]
    """Cut elements from ``first`` on into planes that begin at STARTS. Returns how many escape, or -1 if too many.

    Where they end is behind the widths at PLACE. Drops, out, spare and escapes are addresses.
    """
    planes, base = ints[PLANES], ints.ctypes.data
    for p in range(planes):
        ints[PLACES + 2 * planes + p] = ints[STARTS + p]
    source = job[ADDRESS] + first * job[BYTES]
    return call(address_of_split(known, ints[LAYOUT], job[BYTES]), (
        np.int64(ints[LAYOUT] == 0), source, elements, base + 8 * SPLIT, drops, tiles, base + 8 * PLACES, planes, out,
        np.int64(BYTES_SIZE), spare, escapes, escapes + 4 * SAMPLE_MAX, room,
    ))  # fmt: skip


@njit(**DRIVER)
def _head(job, ints, raw, used, out, at):  # type: ignore[no-untyped-def]
    """Write the span record's body up to the body of an only chunk; the position behind it.

    ``used``: a bit for each plane whose tables are written.
    """
    width, planes, constant = job[BYTES], ints[PLANES], ints[CONSTANT]
    at = put_varint(out, at, job[SIZE])
    out[at] = job[CODE]
    flags = width >> 1 | 4 | ints[WINDOWED] << 3 | ints[DROPS] << 5 | ints[ESCAPES] << 6
    out[at + 1] = flags | np.int64(constant != 0) << 4
    out[at + 2] = ints[FOLD]
    at += 3
    if ints[WINDOWED]:
        at = put_varint(out, at, ints[WINDOW])
    if constant:
        at = little(out, at, constant, width)
    at = put_varint(out, put_varint(out, at, job[TILE]), job[CHUNK])
    out[at] = planes
    at += 1
    start = np.int64(0)
    for p in range(planes):
        bits, table = ints[PLACES + planes + p], TABLE + COLUMNS * p
        place = bits >> 1 if bits < 8 else np.int64(3)
        out[at], out[at + 1] = ints[PLACES + p] | place << 6, 0
        at += 2
        count = ints[table + TABLES]
        if count == 0:
            continue
        size = ints[RAWS + 2 * (ints[table + ROW] + count - 1)] - start
        if (used >> p) & 1:
            out[at - 1] = count | ints[table + STAGE] << 5
            move(out, at, raw, start, size)
            at += size
        start += size
    return at


@njit(**DRIVER)
def _room(job, ints, chunk):  # type: ignore[no-untyped-def]
    """Bytes of records that a job takes at most."""
    planes, n, rows = ints[PLANES], job[SIZE] // job[BYTES], np.int64(0)
    tiles, bound = (chunk + job[TILE] - 1) // job[TILE], 6 * (chunk // 64 + 16) + 4 * planes + 128
    for p in range(planes):
        bound += chunk * ints[PLACES + planes + p] // 8 + tiles
        rows += ints[TABLE + COLUMNS * p + TABLES]
    raw = ints[RAWS + 2 * rows - 2] if rows else np.int64(0)
    return (n + chunk - 1) // chunk * (bound + 2 * tiles) + raw + 256


@njit(**DRIVER)
def _put_escapes(out, at, count, places, values):  # type: ignore[no-untyped-def]
    """Write a chunk's escapes; the offset behind them."""
    at, before = put_varint(out, at, count), np.int64(-1)
    for k in range(count):
        at = put_varint(out, at, np.int64(places[k]) - before - 1)
        before = np.int64(places[k])
    for k in range(count):
        at = put_varint(out, at, np.int64(values[k]))
    return at


@njit(**DRIVER)
def _tell(row, first, stop, mark, begin, check, j):  # type: ignore[no-untyped-def]
    row[FIRST], row[STOP], row[HASH], row[BEGIN], row[CHECK], row[OF] = first, stop, mark, begin, check, j


@njit(inline="always", **DRIVER)
def code_span(j, job, ints, bytes_, escapes, sums, weights, encoder, raw, given, until, known, out, spans, chunks):  # type: ignore[no-untyped-def]
    """Write the records of a planned job. DONE, DECLINED or FULL. Sums is an address."""
    width, tile, planes, escaping = job[BYTES], job[TILE], ints[PLANES], ints[ESCAPES]
    n, base, data, dropping = job[SIZE] // width, ints.ctypes.data, bytes_.ctypes.data, ints[DROPS]
    chunk = min(job[CHUNK], n)
    count, begin, row = (n + chunk - 1) // chunk, ints[AT], ints[ROWS]
    single, most = count == 1, escaping * (chunk // 64 + 16)
    if begin + _room(job, ints, chunk) > out.size or row + count + 1 > chunks.shape[0]:
        return FULL
    for p in range(planes):
        ints[STORED + p] = 0
    body = _head(job, ints, raw, np.int64(-1), out, begin + 5)
    if not single:
        body += 8
        row += 1
    at, used = body, np.int64(0)
    for c in range(count):
        first, record = c * chunk, begin if single else at
        elements, here = min(chunk, n - first), first // tile
        if not single:
            at = put_varint(out, at + 5, c)
        mark = at
        at += 8
        if dropping:
            move(out, at, given, until[c], until[c + 1] - until[c])
            at += until[c + 1] - until[c]
        dropped, drops = (elements + tile - 1) // tile * dropping, data + here
        total = begin_planes(ints, elements, tile, bytes_, here, dropping != 0)
        from_, found = data + SAMPLE_AT, ints[READY]
        if found < 0:
            from_ = data + PIECES_AT
            found = split_planes(
                job, ints, first, elements, drops, dropped, from_, data + SPARE_AT, escapes.ctypes.data, most, known
            )
        if found < 0 or found > most:
            return DECLINED
        if escaping:
            at = _put_escapes(out, at, found, escapes, escapes[SAMPLE_MAX:].view(np.uint16))
        call(known[CODING], (
            0, base + 8 * TABLE, planes, elements, tile, drops, dropped, from_, total, base + 8 * STARTS,
            encoder.ctypes.data, base + 8 * BOUNDS, weights.ctypes.data, data, 0, out.ctypes.data,
            out.size, at, data + CHOICE_AT, sums, data + WORK_AT, base + 8 * CODING_AT, base + 8 * CODED,
            known.ctypes.data,
        ))  # fmt: skip
        at = ints[CODING_END]
        for p in range(planes):
            ints[STORED + p] += ints[CODED + 2 * p + 1]
            if ints[TABLE + COLUMNS * p + TABLES] and ints[CODED + 2 * p] == ints[TABLE + COLUMNS * p + STAGE]:
                used |= np.int64(1) << p
        _tell(chunks[row + c], first * width, (first + elements) * width, mark, record, at, j)
        if not single:
            out[record] = 2
            little(out, record + 1, at - record - 5, 4)
            at += 8
    if at - body > job[SIZE]:
        return DECLINED
    tables, unused, start = np.int64(0), np.int64(0), np.int64(0)
    for p in range(planes):
        table = TABLE + COLUMNS * p
        if ints[table + TABLES]:
            stop = ints[RAWS + 2 * (ints[table + ROW] + ints[table + TABLES] - 1)]
            if (used >> p) & 1:
                tables += stop - start
            else:
                unused = np.int64(1)
            start = stop
    if unused:  # the record is written again without them
        moved = body - _head(job, ints, raw, used, out, begin + 5) - (0 if single else 8)
        for k in range(body, at, 1 << 20):
            size = min(at - k, np.int64(1 << 20))
            move(bytes_, WORK_AT, out, k, size)
            move(out, k - moved, bytes_, WORK_AT, size)
        for c in range(row, row + count):
            chunks[c, HASH] -= moved
            chunks[c, CHECK] -= moved
            if not single:
                chunks[c, BEGIN] -= moved
        body, at = body - moved, at - moved
    end = at if single else body - 8
    out[begin] = 1
    little(out, begin + 1, end - begin - 5, 4)
    if single:
        at += 8
    else:
        _tell(chunks[row - 1], 0, 0, -1, begin, end, j)
    rest = np.int64(0)
    for p in range(planes - 1):
        rest += ints[STORED + p]
    spans[j, TOTAL], spans[j, RECORD], spans[j, TABLE_BYTES] = at - begin, end + 8 - begin, tables
    spans[j, SYMBOL], spans[j, REST] = ints[STORED + planes - 1], rest
    ints[AT], ints[ROWS] = at, row + count
    return DONE
