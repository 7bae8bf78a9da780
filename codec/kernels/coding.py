"""Code the planes of a chunk into its body, in one call: the table of each tile, the stage, the payload.

Calls the rANS and Huffman encoders by their addresses (codec.kernels.native). zstd is tried by the caller, between two
calls.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numba import carray, njit, types

from codec.kernels import numbers as row_numbers
from codec.kernels.cached import jit
from codec.kernels.native import address_of, call, move
from codec.kernels.statistics import WAYS, choose, tile_distances, tile_sums, tile_weights
from codec.kernels.tables import INNER, length_of, pack_choice

#: Columns of ``planes``: width in bits; how many tables, their stage, the first one's row among the encoder's tables,
#: the largest byte they code, the bytes they take in the span record if they are for this chunk alone; which weights
#: describe a tile (-1 - b: distances from byte b); where the limits of its groups begin and how many there are; the
#: number of the first group, and for stage 7 where the numbers of columns begin and how many there are; whether zstd is
#: to be tried.
WIDTH, TABLES, STAGE, ROW, TOP, RAW, WEIGHTS, LIMITS_AT, LIMITS, LEAST, BESIDE_AT, BESIDE, ZSTD, COLUMNS = range(14)
#: Limits of one plane, at most.
LIMITS_MAX: Final = 80
#: The number of the stage of a plane that lends bytes to so many states is this and the logarithm of their number.
LENT: Final = 16

#: Numbers that ``encode`` works with and leaves: where the last plane's stage byte is, the byte behind its payload, and
#: how many bytes of the plane before it its states carry.
BEGIN, END, CARRIED = 0, 1, 2
NUMBERS: Final = 80
_SIZES, _STATES = 4, 8


@njit(**INNER)
def put_varint(out, at, value):  # type: ignore[no-untyped-def]
    """Write a number as FORMAT.md spells it to out[at:]; the offset behind it."""
    while value > 127:
        out[at] = value & 127 | 128
        value >>= 7
        at += 1
    out[at] = value
    return at + 1


@njit(**INNER)
def _varint_size(value):  # type: ignore[no-untyped-def]
    size = 1
    while value > 127:
        value >>= 7
        size += 1
    return size


@njit(**INNER)
def _excess(states):  # type: ignore[no-untyped-def]
    """Bits that states have above 17, in all."""
    bits = 0
    for x in states:
        bits += length_of(np.int64(x)) - 17
    return bits


@njit(**INNER)
def put_states(states, out, at):  # type: ignore[no-untyped-def]
    """Write states (uint32, each at least 65,536) as stages/2_rans.md spells them."""
    held, bits = np.uint64(0), np.uint64(0)  # below 8 bits before each state
    for x in states:
        n = np.uint64(length_of(np.int64(x)) - 17)
        below = np.uint64(x) ^ (np.uint64(65536) << n)
        held |= (n | below << np.uint64(4)) << bits
        bits += np.uint64(20) + n
        while bits >= np.uint64(8):
            out[at] = held & np.uint64(255)
            held, bits, at = held >> np.uint64(8), bits - np.uint64(8), at + 1
    if bits > np.uint64(0):
        out[at] = held


@njit(**INNER)
def _same(piece):  # type: ignore[no-untyped-def]
    """Whether all bytes are equal."""
    first, n = piece[0], piece.size
    if piece[n - 1] != first or piece[n >> 1] != first:
        return False
    for start in range(0, n, 4096):
        other = np.uint8(0)
        for i in range(start, min(start + 4096, n)):
            other |= piece[i] ^ first
        if other:
            return False
    return True


@njit(nogil=True, inline="always")
def _coded(piece, lender, tile, tiles, plan, encoder, beside, choice, out, at, most, work, numbers, known):  # type: ignore[no-untyped-def]
    """Write the payload with the plane's tables to out[at:]. The position behind it, or -1 if it is not below most.

    ``lender``: bytes that are stored up to out[at - 1]. The states take its last ones, if it has as many, and then the
    payload goes so many bytes before ``at``; numbers[CARRIED] says how many.
    """
    carried = np.int64(0)
    count, stage = plan[TABLES], plan[STAGE]
    bits = 0 if count < 2 else 1 if count == 2 else 2 if count <= 4 else 4
    packed, shape = (tiles * bits + 7) >> 3, np.int64(0)
    if stage == 7:
        shape = row_numbers.shape(choice[:tiles])
        packed = row_numbers.size(choice[:tiles], shape >> 3, shape & 7) if count > 1 else np.int64(0)
    source, rows, target = piece.ctypes.data, choice.ctypes.data, work.ctypes.data
    entries, n = encoder.ctypes.data + 1024 * plan[ROW], piece.size
    if stage != 3:
        lanes = 64 if n >= 65536 else 16 if n >= 16384 else 4 if n >= 2048 else 1
        written = np.int64(n >= 131072 and stage == 2)
        if stage == 7:
            lanes = min(lanes, 32)
        if written and plan[TOP] < 128:  # few symbols: a decoder may hold the tables in registers
            lanes = 128
        states = numbers[_STATES : _STATES + 64].view(np.uint32)
        states[:] = 65536
        if lender.size >= 2 * lanes and lanes >= 4:
            carried = 2 * lanes
            taken = lender[lender.size - carried :]
            for lane in range(lanes):
                states[lane] = 65536 | np.int64(taken[2 * lane]) | np.int64(taken[2 * lane + 1]) << 8
        numbers[CARRIED] = carried
        keep, room = states.ctypes.data, 2 * n + 16
        if stage == 2:
            found = call(known[0], (source, n, tile, rows, tiles, entries, lanes, keep, target, room, plan[TOP]))
        else:
            names, period = beside[plan[BESIDE_AT] :].ctypes.data, plan[BESIDE]
            found = call(
                known[2],
                (source, n, tile, rows, tiles, names, period, entries, count, lanes, keep, target, room),
            )  # fmt: skip
        if found < 0:
            return -1
        words = (room - found) >> 1
        held = (20 * lanes + _excess(states[:lanes]) + 7) >> 3
        if _varint_size(words) + written + packed + held + 2 * words >= most + carried:
            return -1
        at = put_varint(out, at - carried, words)
        if written:
            out[at] = lanes
            at += 1
    else:
        sizes = numbers[_SIZES : _SIZES + 4]
        total = call(known[1], (source, n, tile, rows, tiles, entries, target, 2 * n + 64, sizes.ctypes.data))
        if total < 0:
            return -1
        length = total + packed
        for k in range(4):
            length += _varint_size(sizes[k])
        if length >= most:
            return -1
        for k in range(4):
            at = put_varint(out, at, sizes[k])
    if stage == 7 and packed:
        row_numbers.write(choice[:tiles], shape >> 3, shape & 7, out, at)
    elif bits:
        out[at : at + packed] = 0
        pack_choice(choice[:tiles], bits, out[at : at + packed])
    at += packed
    if stage != 3:
        put_states(states[:lanes], out, at)
        at += held
        move(out, at, work, found, 2 * words)
        return at + 2 * words
    move(out, at, work, 0, total)
    return at + total


@jit(nogil=True)
def encode(  # type: ignore[no-untyped-def]
    p, planes, elements, tile, drops, pieces, starts, encoder, limits, weights, beside, out, at, choice, sums, work,
    numbers, report, known,
):  # fmt: skip
    """Write planes p.. of a chunk to out[at:], each as its stage number and payload. The number of the plane it stops
    at, which is coded and for which zstd is to be tried, or the number of planes.

    planes int64[n, COLUMNS]; elements of the chunk, and of a tile; drops uint8[tiles] or empty; plane k is
    pieces[starts[k]:starts[k + 1]] (uint8, int64[n + 1]); encoder uint32, limits int64, beside uint8: of all planes;
    weights int64[5, 256], of which the first are the bytes themselves; out uint8 with room for what is stored and 2
    bytes for each plane; choice uint8 and sums int64 with room for each tile; work uint8[>= 2 * the largest plane +
    64]; numbers int64[NUMBERS]; report int64[n, 2] gets each plane's stage and the bytes of its payload; known int64:
    the addresses of the encoders of stages 2, 3 and 7.

    If the last plane is coded by rANS and the one before is stored, that lends its last bytes (stages/18_lent.md).
    """
    for k in range(p, planes.shape[0]):
        plan, piece = planes[k], pieces[starts[k] : starts[k + 1]]
        numbers[BEGIN], numbers[CARRIED] = at, 0
        if piece.size == 0 or _same(piece):
            out[at], out[at + 1] = 1, piece[0] if piece.size else 0
            at += 2
            numbers[END] = at
            report[k, 0], report[k, 1] = 1, 1
            continue
        behind = np.int64(-1)
        if plan[TABLES]:
            tiles = (elements + tile - 1) // tile
            if drops.size:
                kept = 0
                for t in range(tiles):
                    kept += np.int64(drops[t] <= k)
                tiles = kept
            full = (tile * plan[WIDTH] + 7) >> 3
            choice[:tiles] = 0
            if plan[LIMITS]:
                if plan[WEIGHTS] < 0:
                    tile_distances(piece, full, np.uint8(-1 - plan[WEIGHTS]), sums[:tiles])
                elif plan[WEIGHTS] < WAYS:
                    tile_weights(piece, full, plan[WEIGHTS], sums[:tiles])
                else:
                    tile_sums(piece, full, weights[plan[WEIGHTS]], False, sums[:tiles])
                choose(sums[:tiles], limits[plan[LIMITS_AT] : plan[LIMITS_AT] + plan[LIMITS]], choice[:tiles])
            for t in range(tiles if plan[LEAST] else 0):
                choice[t] += plan[LEAST]
            most = piece.size - plan[RAW]
            lender = pieces[:0]
            if k > 0 and k == planes.shape[0] - 1 and report[k - 1, 0] == 0:
                lender = pieces[starts[k - 1] : starts[k]]
            behind = _coded(
                piece, lender, full, tiles, plan, encoder, beside, choice, out, at + 1, most, work, numbers, known
            )
        if behind >= 0:
            if numbers[CARRIED]:
                lanes, stage = numbers[CARRIED] >> 1, np.int64(LENT)
                while lanes > 1:
                    lanes, stage = lanes >> 1, stage + 1
                out[at - 1 - report[k - 1, 1]] = stage
                report[k - 1, 0] = stage
                report[k - 1, 1] -= numbers[CARRIED]
                at -= numbers[CARRIED]
                numbers[BEGIN] = at
            out[at] = plan[STAGE]
            at = behind
        else:
            numbers[CARRIED] = 0
            out[at] = 0
            move(out, at + 1, piece, 0, piece.size)
            at += 1 + piece.size
        numbers[END] = at
        report[k, 0], report[k, 1] = out[numbers[BEGIN]], at - numbers[BEGIN] - 1
        if plan[ZSTD]:
            return k
    return planes.shape[0]


_U8, _I64, _U32 = types.CPointer(types.uint8), types.CPointer(types.int64), types.CPointer(types.uint32)


@cache
def address() -> int:
    """The address of ``encode`` for those that call it.

    int64 f(p, planes, count, elements, tile, drops, dropped, pieces, size, starts, encoder, limits, weights, beside,
    names, out, room, at, choice, sums, work, numbers, report, known), each an int64. ``dropped`` is the size of
    ``drops``, ``size`` that of ``pieces``, ``names`` that of ``beside``, ``room`` that of ``out``; the limits of
    plane k begin at LIMITS_MAX * k or before.
    """
    i64 = types.int64
    signature = i64(
        i64, _I64, i64, i64, i64, _U8, i64, _U8, i64, _I64, _U32, _I64, _I64, _U8, i64, _U8, i64, i64, _U8, _I64,
        _U8, _I64, _I64, _I64,
    )  # fmt: skip

    def encode_at(  # type: ignore[no-untyped-def]
        p, planes, count, elements, tile, drops, dropped, pieces, size, starts, encoder, limits, weights, beside,
        names, out, room, at, choice, sums, work, numbers, report, known,
    ):  # fmt: skip
        tiles = (elements + tile - 1) // tile
        return encode(
            p, carray(planes, (count, COLUMNS)), elements, tile, carray(drops, dropped), carray(pieces, size),
            carray(starts, count + 1), carray(encoder, count * 16 * 256), carray(limits, count * LIMITS_MAX),
            carray(weights, (5, 256)), carray(beside, names), carray(out, room), at, carray(choice, tiles),
            carray(sums, tiles), carray(work, 2 * size + 64), carray(numbers, NUMBERS), carray(report, (count, 2)),
            carray(known, 3),
        )  # fmt: skip

    return address_of(encode_at, signature)
