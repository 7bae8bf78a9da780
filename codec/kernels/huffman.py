"""Huffman with a table per tile: four streams of codes (format_spec/stages/3_huffman.md). Tables: huffman_codes.

The decoder stores all eight bytes of an entry, turned so that the symbols lead, however many there are: what follows
them lies in the stream's own part of the output and is overwritten later.

The four streams are decoded in one loop, which hides the seven cycles from one lookup to the next. A round takes a word
from each stream, sets its top bit, and makes five lookups; how far the top bit has moved says how many bits are gone.
Where a run of tiles with one table ends, a round overshoots, is taken back as far as needed, and the next table goes
on. A lane whose stream is done does what another lane does: the same bytes to the same place. Near the end of a stream
or of its output a careful loop takes over.

Measured on a 3 GHz Cascade Lake core, 2^18 symbols of 2.6 bits: decode 2.8 G symbols/s with one table, 2.2 with four
in tiles of 4096 (four tables are more than the first cache holds), 1.7 in tiles of 384; encode 1.1.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic, overload

from codec.kernels.cached import jit
from codec.kernels.huffman_codes import COUNT, FIRST, LIMIT, MOST, codes, lengths, table
from codec.kernels.native import address_of, will_write
from codec.kernels.tables import INNER
from codec.kernels.words import load, store

__all__ = ["LIMIT", "codes", "decode", "encode", "lengths", "table"]

_U = np.uint64
_MASK, _TOP = np.uint64((1 << LIMIT) - 1), np.uint64(1 << 63)
_B3, _B7, _B8, _B15, _B30, _B56, _B63, _B255 = (np.uint64(v) for v in (3, 7, 8, 15, 30, 56, 63, 255))

#: Lookups in a round: 7 bits of a broken byte and 5 * 11 leave the top bit of the word above bit 0.
_ROUND: Final = 5
#: A round may store one byte more than this.
_NEAR: Final = MOST * (_ROUND - 1) + 8 - 1


def _zeros(word: Any) -> Any:
    """The zeros above the highest bit that is set."""
    return np.int64(64 - int(word).bit_length())


@intrinsic
def _zeros_ir(typing, word):  # type: ignore[no-untyped-def]
    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return b.ctlz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), codegen


overload(_zeros)(lambda word: lambda word: _zeros_ir(word))


@jit(nogil=True)
def encode(src, n, tile, choice, codes, out, sizes):  # type: ignore[no-untyped-def]
    """Encode n bytes in tiles of ``tile``: four streams, one behind the other from out[0]. Returns their bytes in all.

    src uint8[>= n]; choice uint8[tiles], each below the number of tables; codes uint32[tables * 256], as made by
    ``codes``; sizes int64[4] takes the bytes of each stream; out uint8[>= 2 * n + 64], else -1 is returned: a symbol
    takes at most 11 bits, and a store is eight bytes. -2 is returned if a byte occurs that has no code.
    """
    if out.size < 2 * n + 64:
        return -1
    tiles = (n + tile - 1) // tile
    p = np.int64(0)
    for stream in range(4):
        begin = p
        absent = _U(0)  # sums of entries: 2^30 or more if one was a byte without a code
        word, held = _U(0), _U(0)  # held < 8: the bits of word that are not in a whole byte yet
        for t in range(stream * tiles // 4, (stream + 1) * tiles // 4):
            row = _U(256) * _U(choice[t])
            i, stop = _U(t * tile), _U(min(n, t * tile + tile))
            while i + _U(4) <= stop:
                e0 = _U(codes[row + _U(src[i])])
                e1 = _U(codes[row + _U(src[i + _U(1)])])
                e2 = _U(codes[row + _U(src[i + _U(2)])])
                e3 = _U(codes[row + _U(src[i + _U(3)])])
                low = e0 >> _B8 | e1 >> _B8 << (e0 & _B63)
                high = e2 >> _B8 | e3 >> _B8 << (e2 & _B63)
                e1 += e0
                word |= (low | high << (e1 & _B63)) << held
                e1 += e2 + e3
                absent |= e1
                held += e1 & _B63
                store(out, p, word)
                p += np.int64(held >> _B3)
                word >>= held & _B56
                held &= _B7
                i += _U(4)
            while i < stop:
                e0 = _U(codes[row + _U(src[i])])
                absent |= e0
                word |= e0 >> _B8 << held
                held += e0 & _B63
                i += _U(1)
            store(out, p, word)
            p += np.int64(held >> _B3)
            word >>= held & _B56
            held &= _B7
        p += np.int64((held + _B7) >> _B3)
        sizes[stream] = p - begin
        if absent >> _B30:
            return -2
    return p


@njit(**INNER)
def _finish(src, bit, end, tables, row, dst, at, stop, limit):  # type: ignore[no-untyped-def]
    """Decode dst[at:stop) exactly, writing below ``limit``, from bit ``bit`` of src[:end) and zeros behind it.

    Returns the next bit, or -1 if that lies behind the end with symbols still to come.
    """
    while at < stop:
        p = bit >> 3
        if bit > 8 * end:
            return -1
        word = _U(0)
        if p + 8 <= end:
            word = load(src, p)
        else:
            for i in range(p, end):
                word |= _U(src[i]) << _U(8 * (i - p))
        word >>= _U(bit & 7)
        for _ in range(_ROUND):
            e = tables[row + (word & _MASK)]
            used, count = e & _B63, np.int64(e >> COUNT)
            if count > stop - at:
                used, count = e >> FIRST & _B15, np.int64(1)
            if at + 8 <= limit:
                store(dst, at, e >> _B8 | e << _B56)
            else:
                for i in range(count):
                    dst[at + i] = np.uint8(e >> _U(8 * i + 8) & _B255)
            at += count
            word >>= used
            bit += np.int64(used)
            if at >= stop:
                break
    return bit


@njit(**INNER)
def _turn(choice, tile, t, last, limit):  # type: ignore[no-untyped-def]
    """The run of tiles t..last that share t's table: the first tile behind it, where it ends, the row of the table."""
    if t >= last:
        return t, limit, _U(0)
    c = choice[t]
    while t < last and choice[t] == c:
        t += 1
    return t, min(limit, tile * t), _U(c) << _U(LIMIT)


@njit(forceinline=True, **INNER)
def _moved(src, tables, choice, tile, last, limit, p, z, a, e, t, r, b, gone):  # type: ignore[no-untyped-def]
    """What a round has done for a lane at output a, which is now at b, with ``gone`` bits taken from byte p on.

    If that is past the end e of its run, it counts up to there only: the bits of the first e - a symbols are added up
    again. They lie within the round, so its 8 bytes are enough. Returns p, z, a, e, t, r.
    """
    if b < e:
        return p + (gone >> 3), gone & 7, b, e, t, r
    word, left, bit = load(src, p) >> _U(z), e - a, 8 * p + z
    found = tables[r + (word & _MASK)]
    while np.int64(found >> COUNT) <= left:
        left -= np.int64(found >> COUNT)
        word >>= found & _B63
        bit += np.int64(found & _B63)
        found = tables[r + (word & _MASK)]
    for _ in range(left):
        word >>= found >> FIRST & _B15
        bit += np.int64(found >> FIRST & _B15)
        found = tables[r + (word & _MASK)]
    a = e
    t, e, r = _turn(choice, tile, t, last, limit)
    return bit >> 3, bit & 7, a, e, t, r


@jit(nogil=True)
def decode(src, starts, ends, tables, choice, tile, dst, n, ahead, step):  # type: ignore[no-untyped-def]
    """Decode n bytes in tiles of ``tile`` from four streams. Returns 0, or -1 if a stream is not exactly its tiles.

    src uint8; stream j is src[starts[j]:ends[j]], int64[4], 0 <= start <= end <= src.size; tables
    uint64[tables * 2048], each made by ``table``, which returned 0; choice uint8[tiles], each below the number of
    tables; dst uint8[>= n]. Memory at the address ``ahead``, ``step`` bytes for each byte decoded, is fetched
    meanwhile, since the caller will write there. Whatever the streams hold, reads lie within them and writes within
    dst[:n].
    """
    tiles = (n + tile - 1) // tile
    bit, at, stop = np.empty(4, np.int64), np.empty(4, np.int64), np.empty(4, np.int64)
    tail, last, limit = np.empty(4, np.int64), np.empty(4, np.int64), np.empty(4, np.int64)
    lane, row = np.empty(4, np.int64), np.empty(4, np.uint64)
    for j in range(4):
        first, last[j] = j * tiles // 4, (j + 1) * tiles // 4
        bit[j], at[j], limit[j] = 8 * starts[j], min(n, tile * first), min(n, tile * last[j])
        tail[j], stop[j], row[j] = _turn(choice, tile, first, last[j], limit[j])
    while True:
        rounds, live = np.int64(1) << 62, -1
        for j in range(4):
            lane[j] = -1
            # A round moves at most 7 bytes on, and reads 8.
            spare = (ends[j] - 1 - (bit[j] >> 3)) // 7
            if spare > 0 and limit[j] - at[j] > _NEAR:
                rounds = min(rounds, spare)
                lane[j] = live = j
            while lane[j] < 0 and at[j] < limit[j]:
                bit[j] = _finish(src, bit[j], ends[j], tables, row[j], dst, at[j], stop[j], limit[j])
                if bit[j] < 0:
                    return -1
                at[j] = stop[j]
                tail[j], stop[j], row[j] = _turn(choice, tile, tail[j], last[j], limit[j])
        if live < 0:
            break
        for j in range(4):
            if lane[j] < 0:
                lane[j] = live
        j0, j1, j2, j3 = lane[0], lane[1], lane[2], lane[3]
        # Of each lane: the next byte, and bit in it; output; where the run ends; the tile behind it; row of the table.
        p0, z0, a0, e0, t0, r0 = bit[j0] >> 3, bit[j0] & 7, at[j0], stop[j0], tail[j0], row[j0]
        p1, z1, a1, e1, t1, r1 = bit[j1] >> 3, bit[j1] & 7, at[j1], stop[j1], tail[j1], row[j1]
        p2, z2, a2, e2, t2, r2 = bit[j2] >> 3, bit[j2] & 7, at[j2], stop[j2], tail[j2], row[j2]
        p3, z3, a3, e3, t3, r3 = bit[j3] >> 3, bit[j3] & 7, at[j3], stop[j3], tail[j3], row[j3]
        l0, l1, l2, l3 = limit[j0] - _NEAR, limit[j1] - _NEAR, limit[j2] - _NEAR, limit[j3] - _NEAR
        s0, s1, s2, s3 = min(e0, l0), min(e1, l1), min(e2, l2), min(e3, l3)
        while rounds > 0:
            while True:
                b0, b1, b2, b3 = a0, a1, a2, a3
                w0 = (load(src, p0) | _TOP) >> _U(z0)
                w1 = (load(src, p1) | _TOP) >> _U(z1)
                w2 = (load(src, p2) | _TOP) >> _U(z2)
                w3 = (load(src, p3) | _TOP) >> _U(z3)
                for _ in range(_ROUND):
                    e = tables[r0 + (w0 & _MASK)]
                    w0 >>= e & _B63
                    store(dst, b0, e >> _B8 | e << _B56)
                    b0 += np.int64(e >> COUNT)
                    e = tables[r1 + (w1 & _MASK)]
                    w1 >>= e & _B63
                    store(dst, b1, e >> _B8 | e << _B56)
                    b1 += np.int64(e >> COUNT)
                    e = tables[r2 + (w2 & _MASK)]
                    w2 >>= e & _B63
                    store(dst, b2, e >> _B8 | e << _B56)
                    b2 += np.int64(e >> COUNT)
                    e = tables[r3 + (w3 & _MASK)]
                    w3 >>= e & _B63
                    store(dst, b3, e >> _B8 | e << _B56)
                    b3 += np.int64(e >> COUNT)
                g0, g1, g2, g3 = _zeros(w0), _zeros(w1), _zeros(w2), _zeros(w3)
                will_write(ahead + step * b0)
                will_write(ahead + step * b1)
                will_write(ahead + step * b2)
                will_write(ahead + step * b3)
                rounds -= 1
                if rounds <= 0 or b0 >= s0 or b1 >= s1 or b2 >= s2 or b3 >= s3:
                    break
                a0, p0, z0 = b0, p0 + (g0 >> 3), g0 & 7
                a1, p1, z1 = b1, p1 + (g1 >> 3), g1 & 7
                a2, p2, z2 = b2, p2 + (g2 >> 3), g2 & 7
                a3, p3, z3 = b3, p3 + (g3 >> 3), g3 & 7
            p0, z0, a0, e0, t0, r0 = _moved(
                src, tables, choice, tile, last[j0], limit[j0], p0, z0, a0, e0, t0, r0, b0, g0
            )
            p1, z1, a1, e1, t1, r1 = _moved(
                src, tables, choice, tile, last[j1], limit[j1], p1, z1, a1, e1, t1, r1, b1, g1
            )
            p2, z2, a2, e2, t2, r2 = _moved(
                src, tables, choice, tile, last[j2], limit[j2], p2, z2, a2, e2, t2, r2, b2, g2
            )
            p3, z3, a3, e3, t3, r3 = _moved(
                src, tables, choice, tile, last[j3], limit[j3], p3, z3, a3, e3, t3, r3, b3, g3
            )
            s0, s1, s2, s3 = min(e0, l0), min(e1, l1), min(e2, l2), min(e3, l3)
            if a0 >= l0 or a1 >= l1 or a2 >= l2 or a3 >= l3:
                break
        bit[j0], at[j0], stop[j0], tail[j0], row[j0] = 8 * p0 + z0, a0, e0, t0, r0
        bit[j1], at[j1], stop[j1], tail[j1], row[j1] = 8 * p1 + z1, a1, e1, t1, r1
        bit[j2], at[j2], stop[j2], tail[j2], row[j2] = 8 * p2 + z2, a2, e2, t2, r2
        bit[j3], at[j3], stop[j3], tail[j3], row[j3] = 8 * p3 + z3, a3, e3, t3, r3
    for j in range(4):
        if (bit[j] + 7) >> 3 != ends[j]:
            return -1
        if bit[j] & 7 and src[ends[j] - 1] >> (bit[j] & 7):
            return -1
    return 0


_U8, _U32 = types.CPointer(types.uint8), types.CPointer(types.uint32)
_I64, _U64 = types.CPointer(types.int64), types.CPointer(types.uint64)
_DECODE_AT: Final = types.int64(
    _U8, types.int64, _I64, _I64, _U64, _U8, types.int64, types.int64, _U8, *[types.int64] * 3
)


@cache
def decode_address() -> int:
    """The address of ``decode`` for kernels that call it: its arrays as addresses, sizes behind src and choice.

    int64 f(src, size, starts, ends, tables, choice, tiles, tile, dst, n, ahead, step), each an int64.
    """

    def decode_at(src, size, starts, ends, tables, choice, tiles, tile, dst, n, ahead, step):  # type: ignore[no-untyped-def]
        words, first, last, out = carray(src, size), carray(starts, 4), carray(ends, 4), carray(dst, n)
        return decode(words, first, last, carray(tables, 16 * 2048), carray(choice, tiles), tile, out, n, ahead, step)

    return address_of(decode_at, _DECODE_AT)


_ENCODE_AT: Final = types.int64(_U8, types.int64, types.int64, _U8, types.int64, _U32, _U8, types.int64, _I64)


@cache
def encode_address() -> int:
    """The address of ``encode``, as ``decode_address``.

    int64 f(src, n, tile, choice, tiles, codes, out, size, sizes), each an int64; size is that of ``out``.
    """

    def encode_at(src, n, tile, choice, tiles, codes, out, size, sizes):  # type: ignore[no-untyped-def]
        data, rows, words = carray(src, n), carray(choice, tiles), carray(out, size)
        return encode(data, n, tile, rows, carray(codes, 16 * 256), words, carray(sizes, 4))

    return address_of(encode_at, _ENCODE_AT)
