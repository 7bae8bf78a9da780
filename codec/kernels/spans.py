"""Code spans of floats into their records in one call: cut, groups, tables, and the planes of each chunk.

The quick way of the encoder (codec.batch): what is rare is declined, and coded by codec.encode into the same bytes.
Hashes and checks are left to the caller, who has a faster library for them. Other kernels are called by their addresses
(codec.kernels.native).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from codec.kernels.cached import jit
from codec.kernels.coding import COLUMNS, LIMITS, LIMITS_AT, RAW, ROW, STAGE, TABLES, TOP, WEIGHTS, WIDTH
from codec.kernels.cuts import (
    ADDRESS,
    BYTES,
    CHUNK,
    CONSTANT,
    CUT,
    DROPS,
    EXPONENT,
    FINEST,
    FOLD,
    MANTISSA,
    PLACES,
    PLANES,
    ROW_SIZE,
    SIZE,
    SPAN,
    TILE,
    WINDOW,
    cut,
    step_of,
)
from codec.kernels.groups import COUNT, GROUPS_MAX, WAY
from codec.kernels.groups import REPORT as GROUP_REPORT
from codec.kernels.native import call
from codec.kernels.span_records import (
    BELOW,
    BOUNDS,
    CHOICE_AT,
    DECLINED,
    DONE,
    ENDS,
    FITS,
    FOUND,
    GIVE,
    GROUPS,
    JOB_AT,
    LAYOUT,
    LEVEL_STAGE,
    MOST,
    PIECES_AT,
    PLAIN,
    PLANNED,
    RAW_AT,
    RAWS,
    READY,
    REPORT,
    RUN,
    RUN_LEAST,
    SAMPLE,
    SAMPLE_AT,
    SAMPLE_MAX,
    SPARE_AT,
    SPLIT,
    STARTS,
    SURVEYS,
    TABLE,
    TILES_MAX,
    UNKNOWN,
    address_of_split,
    begin_planes,
    code_span,
    split_planes,
)
from codec.kernels.statistics import patterned, repeats
from codec.kernels.tables import DRIVER
from codec.kernels.uneven import uneven


@njit(**DRIVER)
def _lay_out(level, ints, single):  # type: ignore[no-untyped-def]
    """Put the tables that were fitted into TABLE, a row of ``coding``'s for each plane."""
    planes, row, before = ints[PLANES], np.int64(0), np.int64(0)
    for p in range(planes):
        table, count = TABLE + COLUMNS * p, ints[REPORT + GROUP_REPORT * p + COUNT]
        for k in range(COLUMNS):
            ints[table + k] = 0
        ints[table + WIDTH] = ints[PLACES + planes + p]
        if count == 0:
            continue
        top = np.int64(0)
        for k in range(row, row + count):
            top = max(top, ints[RAWS + 2 * k + 1])
        row += count
        after = ints[RAWS + 2 * row - 2]
        ints[table + TABLES], ints[table + STAGE], ints[table + TOP] = count, level[LEVEL_STAGE], top
        ints[table + ROW], ints[table + RAW] = row - count, after - before if single else 0
        ints[table + WEIGHTS], ints[table + LIMITS] = ints[REPORT + GROUP_REPORT * p + WAY], count - 1
        ints[table + LIMITS_AT] = GROUPS_MAX * p
        before = after
    return before


@njit(**DRIVER)
def _known(symbols, shift, seen, counts):  # type: ignore[no-untyped-def]
    """Whether symbols come again or, of RUN of them, their exponents."""
    return repeats(symbols, seen, counts) or (symbols.size >= RUN and patterned(symbols, shift, seen, counts))


@njit(inline="always", **DRIVER)
def _plan(job, level, ints, counts, ors, room, bytes_, escapes, weights, encoder, seen, known):  # type: ignore[no-untyped-def]
    """Cut, split a sample, group its tiles, fit tables. DONE, UNKNOWN or DECLINED. Room and escapes are addresses."""
    width, tile = job[BYTES], job[TILE]
    n, base, data = job[SIZE] // width, ints.ctypes.data, bytes_.ctypes.data
    survey, tiles, source = known[SURVEYS + width], (n + tile - 1) // tile, job[ADDRESS]
    step, sampled = step_of(n, tile, level[SAMPLE] // 8)
    taken, looked = step_of(n, tile, level[SAMPLE])
    if tiles > TILES_MAX or looked > SAMPLE_MAX:
        return DECLINED
    if survey == 0:
        ints[LAYOUT] = -1
        return UNKNOWN
    magnitude, finer = (np.int64(1) << (job[EXPONENT] + job[MANTISSA])) - 1, job[MANTISSA] - job[FINEST]
    fields, exact = np.int64(1) << (job[EXPONENT] + job[FINEST]), step == 1
    found, far, counted = ints[FOUND : FOUND + 6].view(np.uint64), ors.ctypes.data, counts.ctypes.data
    some = tiles if exact else (n // tile + step - 1) // step
    call(survey, (source, n, tile, step, magnitude, finer, far, some, base + 8 * FOUND, counted, fields))
    if not exact:
        low, varying = (np.int64(1) << (4 * width - 4)) - 1, np.int64(found[0]) & ~np.int64(found[1])
        if varying & low != low or varying >> (8 * width - 1) != 1 or found[4]:
            some, exact = tiles, True
            call(survey, (source, n, tile, 1, magnitude, finer, far, tiles, base + 8 * FOUND, counted, 0))
    if not cut(job, found, ors, some, counts, sampled, exact, ints[ENDS : ENDS + 4], ints[:CUT]):
        return DECLINED
    planes, layout = ints[PLANES], np.int64(0)
    for p in range(planes - 1, -1, -1):
        layout = layout << 4 | ints[PLACES + planes + p]
    ints[LAYOUT] = layout
    if address_of_split(known, layout if n > PLAIN else np.int64(0), width) == 0:
        return UNKNOWN
    if n <= PLAIN:
        ints[LAYOUT] = 0
    ints[SPLIT], ints[SPLIT + 1], ints[SPLIT + 2] = tile, ints[FOLD], ints[WINDOW]
    ints[SPLIT + 3], ints[SPLIT + 4], ints[READY] = ints[SPAN], ints[CONSTANT], -1
    first, many = (n - RUN) // 2 // tile * tile, np.int64(RUN)
    if n <= 2 * RUN:
        first, many = np.int64(0), n
    again = False
    if taken > 1:
        begin_planes(ints, many, tile, bytes_, 0, False)
        split_planes(job, ints, first, many, data, 0, data + PIECES_AT, data + SPARE_AT, escapes, many, known)
        at = PIECES_AT + ints[STARTS + planes - 1]
        again = n >= RUN_LEAST and _known(bytes_[at : at + many], job[MANTISSA] - ints[FOLD], seen, counts)
    total = begin_planes(ints, looked, tile, bytes_, 0, False)
    size = tile
    if taken == 1:
        size = n
    for t in range(0, n // size, taken):
        last = split_planes(job, ints, t * size, size, data, 0, data + SAMPLE_AT, data + SPARE_AT, escapes, size, known)
        if taken == 1:
            if n <= job[CHUNK] and ints[DROPS] == 0:
                ints[READY] = last
            at = SAMPLE_AT + ints[STARTS + planes - 1] + first
            again = n >= RUN_LEAST and _known(bytes_[at : at + many], job[MANTISSA] - ints[FOLD], seen, counts)
        else:
            for p in range(planes):
                ints[STARTS + p] = ints[PLACES + 2 * planes + p]
    if again:
        return DECLINED
    if job[ROW_SIZE] and ints[DROPS] == 0:
        at, octave = SAMPLE_AT + total - looked, np.int64(1) << (job[MANTISSA] - ints[FOLD])
        symbols = bytes_[at : at + looked]
        if uneven(symbols, tile, taken, job[ROW_SIZE], octave, ints[FOLD] + 1, counts):
            return DECLINED
    rows = call(known[GROUPS], (
        data + SAMPLE_AT, total, base + 8 * (PLACES + planes), planes, tile, looked, taken, level[MOST], level[BELOW],
        planes - 1, ints[SPAN], room, base + 8 * REPORT, base + 8 * BOUNDS,
        data + CHOICE_AT, counted,
    ))  # fmt: skip
    if rows:
        scale = taken if taken == 1 else max(np.int64(1), taken // 64)
        call(known[FITS], (counted, rows, scale, encoder.ctypes.data, data + RAW_AT, base + 8 * RAWS))
    _lay_out(level, ints, n <= job[CHUNK])
    return DONE


@jit(nogil=True, _nrt=False, error_model="numpy")
def encode(  # type: ignore[no-untyped-def]
    jobs, level, ints, counts, tiles, bytes_, escapes, encoder, weights, seen, known, given, until, out, spans, chunks
):
    """Code jobs from ints[JOB_AT] on into records from out[ints[AT]] on. Says why it stopped, at the job ints[JOB_AT].

    jobs int64[n, JOB], each of whole elements, at least one, of 2 or 4 bytes; level int64[LEVEL]; known int64. Worked
    in: ints int64[INTS], of which the caller sets JOB_AT, PLANNED (0), AT and ROWS; counts int64[(GROUPS_MAX *
    PLANES_MAX + SPARE_ROWS) * 256]; tiles int64[5 * TILES_MAX + 512]; bytes_ uint8[BYTES_SIZE]; escapes
    uint32[SAMPLE_MAX * 3 // 2]; encoder uint32[PLANES_MAX * GROUPS_MAX * 256]; weights int64[4, 256]; seen as in
    ``repeats``. ``given`` (uint8) has the drops of each chunk of the job that GIVE was returned for, that of chunk
    c from until[c] to until[c + 1]; how many planes each of its tiles drops is at the front of bytes_. ``out``
    uint8 gets the records, spans (int64[n, SPAN_COLUMNS]) and chunks (int64[_, CHUNK_COLUMNS]) what there is to say
    of each.
    """
    ors, base = tiles[:TILES_MAX].view(np.uint64), tiles.ctypes.data
    raw, far = bytes_[RAW_AT:SAMPLE_AT], escapes.ctypes.data
    while ints[JOB_AT] < jobs.shape[0]:
        j = ints[JOB_AT]
        job = jobs[j]
        if ints[PLANNED] == 0:
            status = _plan(
                job, level, ints, counts, ors, base + 8 * TILES_MAX, bytes_, far, weights, encoder, seen, known
            )
            if status != DONE:
                return status
            if ints[DROPS]:
                planes = ints[PLANES]
                for t in range((job[SIZE] // job[BYTES] + job[TILE] - 1) // job[TILE]):
                    k = np.int64(0)  # planes that end at or below its zeros
                    while k < planes - 1 and ints[PLACES + k] + ints[PLACES + planes + k] <= np.int64(ors[t]):
                        k += 1
                    bytes_[t] = k
                ints[PLANNED] = 1
                return GIVE
        ints[PLANNED] = 0
        status = code_span(
            j, job, ints, bytes_, escapes, base + 32 * TILES_MAX + 2048, weights, encoder, raw, given, until, known,
            out, spans, chunks,
        )  # fmt: skip
        if status != DONE:
            return status
        ints[JOB_AT] += 1
    return DONE
