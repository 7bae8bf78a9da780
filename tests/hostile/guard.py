"""Decode kernels on hostile input, every buffer against a page that may be neither read nor written.

    python -m tests.hostile.guard KIND SEED FIRST LAST [PROGRESS]

runs iterations FIRST to LAST of a kind (or "all"). A kernel that leaves its buffers dies of SIGSEGV; the file PROGRESS
then holds the last iteration begun, as "KIND SEED NUMBER".
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

import codec
from codec import bulk
from codec.container import records
from codec.decode import SpanDecoder
from codec.errors import CodecError
from codec.kernels import cpu, heads, huffman, mixing, permute, planes, rans, registers, tables
from codec.memory import kept
from codec.stages.geometry import plane_bytes, read_only
from codec.wire import varint

PAGE: Final = mmap.PAGESIZE
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_ANY: Final = np.random.default_rng(0).integers(0, 256, 1 << 20, dtype=np.uint8)  # what hostile words are cut from


class Fence:
    """Memory between two pages that cannot be touched."""

    def __init__(self, size: int) -> None:
        self.size = -(-max(size, 1) // PAGE) * PAGE
        self._map = mmap.mmap(-1, self.size + 2 * PAGE)
        self.base = ctypes.addressof(ctypes.c_uint8.from_buffer(self._map)) + PAGE
        for address in (self.base - PAGE, self.base + self.size):
            if _LIBC.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(PAGE), 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        self._all = np.frombuffer(self._map, np.uint8)[PAGE : PAGE + self.size]

    def array(self, count: int, kind: Any, high: bool) -> np.ndarray:
        """An array that ends where the memory ends, or else begins where it begins."""
        size = count * np.dtype(kind).itemsize
        at = self.size - size if high else 0
        return self._all[at : at + size].view(kind)


_FENCES: Final[dict[str, Fence]] = {}


class Dice:
    """Random choices of one iteration, and buffers of random content placed against the fences at random ends."""

    def __init__(self, seed: int, number: int) -> None:
        self.rng = np.random.default_rng([seed, number])

    def below(self, stop: int) -> int:
        return int(self.rng.integers(max(1, stop)))

    def of(self, *values: Any) -> Any:
        return values[self.below(len(values))]

    def room(self, name: str, count: int, kind: Any = np.uint8) -> np.ndarray:
        """An array that nobody filled; one of each name at a time."""
        size = count * np.dtype(kind).itemsize
        held = _FENCES.get(name)
        if held is None or held.size < size:
            held = _FENCES[name] = Fence(max(size, 1 << 16))
        return held.array(count, kind, bool(self.rng.integers(2)))

    def put(self, name: str, values: Any, kind: Any = np.uint8) -> np.ndarray:
        values = np.asarray(values, kind)
        out = self.room(name, values.size, kind)
        out[:] = values.reshape(-1)
        return out

    def noise(self, size: int) -> np.ndarray:
        """Bytes of some kind: any, many of one value, or with few bits set."""
        at, how = self.below(_ANY.size - size + 1), self.below(5)
        out = _ANY[at : at + size]
        if how == 0:
            out = np.full(size, self.of(0, 1, 0x80, 0xFF), np.uint8)
        elif how == 1:
            out = out & np.roll(out, 1) & np.roll(out, 2)
        elif how == 2:
            out = out | np.roll(out, 1) | np.roll(out, 2)
        return out

    def source(self, name: str, size: int) -> np.ndarray:
        return read_only(self.put(name, self.noise(size)))

    def size(self) -> int:
        """Elements or bytes: mostly few, sometimes enough for 16 or 64 lanes and several groups."""
        return 1 + self.below(self.of(8, 80, 80, 800, 800, 5000, 5000, 70000))


def _counts(dice: Dice) -> np.ndarray:
    """Counts of symbols, of a table that is flat, steep, or has few symbols."""
    counts = (dice.rng.pareto(dice.of(0.1, 0.5, 2.0), 256) * 9).clip(0, 1 << 20).astype(np.int64)
    used = dice.of(2, 3, 17, 100, 256)
    counts[dice.rng.permutation(256)[used:]] = 0
    tables.at_least_two.py_func(counts)
    return counts


@cache
def _rans_tables(number: int) -> np.ndarray:
    """Sixteen valid tables, uint32[16 * 4096]."""
    dice, freq = Dice(1, number), np.empty((16, 256), np.int64)
    raw = np.zeros(tables.RAW_MAX, np.uint8)
    for row in freq:
        tables.fit(_counts(dice), 1, row, raw)
    out, encoder = np.empty(16 * 4096, np.uint32), np.empty(16 * 256, np.uint32)
    tables.lay_out(freq, out, encoder)
    return out


@cache
def _huffman_tables(number: int) -> np.ndarray:
    dice, out, lengths = Dice(2, number), np.empty((16, 2048), np.uint64), np.zeros(256, np.uint8)
    for row in out:
        huffman.lengths(_counts(dice), lengths)
        assert huffman.table(lengths, row) == 0
    return out.reshape(-1)


def rans_decode(dice: Dice) -> None:
    n, count, lanes = dice.size(), dice.of(1, 2, 5, 16), dice.of(1, 4, 16, 64, 64, 128)
    tile = 1 + dice.below(dice.of(n, 64, 400, 5000))
    words = dice.source("words", dice.below(dice.of(8, 4 * lanes, n + 2 * lanes, 2 * n + 9)))
    at = dice.below(min(words.size, dice.of(1, 9)) + 1)
    end = words.size - dice.below(min(2, words.size - at) + 1)
    table = dice.put("table", _rans_tables(dice.below(8))[: count * 4096], np.uint32)
    choice = dice.put("choice", dice.rng.integers(0, count, -(-n // tile)))
    low = dice.of(0, 1 << 16)
    states = dice.put("states", dice.rng.integers(low, 1 << 32, lanes), np.uint32)
    out = dice.room("out", n)
    found = rans.decode(words, at, end, lanes, table, choice, tile, states, out, n)
    assert found == -1 or at <= found <= end


def permute_decode(dice: Dice) -> None:
    """Any bytes whatever may be a table."""
    n, count, lanes = dice.size(), dice.of(1, 2, 16), dice.of(64, 128)
    tile = 1 + dice.below(dice.of(n, 64, 400, 5000))
    words = dice.source("words", dice.below(dice.of(8, 4 * lanes, n + 2 * lanes, 2 * n + 9)))
    at = dice.below(min(words.size, dice.of(1, 9)) + 1)
    end = words.size - dice.below(min(2, words.size - at) + 1)
    table = dice.put("table", dice.noise(count * registers.SIZE))
    jobs = []
    for k, tiles in enumerate((-(-n // tile), dice.of(0, 1, -(-n // tile)))):
        size = min(n, tile * tiles)
        choice = dice.put(f"choice {k}", dice.rng.integers(0, count, tiles))
        states = dice.put(f"states {k}", dice.rng.integers(0, 1 << 32, lanes), np.uint32)
        out, pad = dice.room(f"out {k}", size), dice.room(f"pad {k}", permute.PAD)
        where = [a.ctypes.data for a in (table, states, out)]
        numbers = [at, end, lanes, where[0], tiles, tile, *where[1:], size, 0, 0, 0]
        jobs.append((words, pad, choice, dice.put(f"job {k}", np.array(numbers, np.int64), np.int64)))
    if cpu.permutes():
        permute.decode(*jobs[0], *jobs[1])
        for _, _, _, job in jobs:
            assert job[permute.FOUND] == -1 or at <= job[permute.FOUND] <= end


def huffman_decode(dice: Dice) -> None:
    n, count = dice.size(), dice.of(1, 2, 5, 16)
    tile = 1 + dice.below(dice.of(n, 64, 400, 5000))
    src = dice.source("words", dice.below(dice.of(1, 12, 40, n, 2 * n)))
    cuts = np.sort(dice.rng.integers(0, src.size + 1, 5))
    starts, ends = cuts[:4].copy(), cuts[1:].copy()
    if dice.below(4) == 0:  # streams need not be one behind the other
        pairs = np.sort(dice.rng.integers(0, src.size + 1, (4, 2)))
        starts, ends = pairs[:, 0], pairs[:, 1]
    table = dice.put("table", _huffman_tables(dice.below(8))[: count * 2048], np.uint64)
    choice = dice.put("choice", dice.rng.integers(0, count, -(-n // tile)))
    first, last = dice.put("starts", starts, np.int64), dice.put("ends", ends, np.int64)
    huffman.decode(src, first, last, table, choice, tile, dice.room("out", n), n, 0, 0)


def mixing_decode(dice: Dice) -> None:
    n, row = min(dice.size(), 3000), dice.of(1, 2, 40, 1000, mixing.ROW_MAX)
    bits, lanes = mixing.bits_for(n), mixing.LANES
    framing = dice.below(mixing.FRAMING_MAX + 1)
    signed = 1 if framing == 0 else dice.below(2)
    how = [framing, signed, dice.below(256), 1 + dice.below(mixing.RATE_MAX), row, dice.of(1, 9, 500, mixing.FAR_MAX)]
    stream = dice.source("words", dice.below(dice.of(4, 40, n, 2 * n)))

    def room(name: str, count: int, kind: Any) -> np.ndarray:
        return dice.put(name, dice.noise(min(1 << 16, count * np.dtype(kind).itemsize)).view(kind)[:count], kind)

    arrays = (
        dice.room("table", 1 << bits, np.uint32), room("weights", mixing.SETS * lanes, np.int32),
        room("estimates", mixing.ESTIMATES, np.int32), room("starts", n, np.int32),
        dice.room("columns", 2 * row, np.int32), room("places", 1 << (bits - 6), np.int32),
        room("small", mixing.LENGTHS, np.uint32), room("seen", lanes, np.uint32),
        room("lanes", 2 * lanes, np.int32).reshape(2, -1), room("wide", 2 * lanes + 2, np.int64),
    )  # fmt: skip
    out, none = dice.room("out", n), dice.room("nothing", 0)
    assert mixing.code(True, stream, none, out, n, dice.put("ints", how, np.int64), bits, *arrays) in (0, mixing.LONG)


def _table_bytes(dice: Dice, write: Callable[[np.ndarray], int], raw: np.ndarray) -> np.ndarray:
    """A table as it is written, damaged, cut; or noise."""
    if dice.below(3) == 0:
        return dice.noise(dice.below(dice.of(6, 40, 300)))
    out = raw[: write(raw)].copy()
    for _ in range(dice.below(4)):
        out[dice.below(out.size)] ^= 1 << dice.below(8)
    return out[: out.size - dice.of(0, 0, 1, dice.below(out.size))]


def rans_table(dice: Dice) -> None:
    freq = np.empty(256, np.int64)
    raw = np.zeros(tables.RAW_MAX, np.uint8)
    data = _table_bytes(dice, lambda out: tables.fit(_counts(dice), 1, freq, out), raw)
    src, got = read_only(dice.put("words", data)), dice.room("frequencies", 256, np.int64)
    at = dice.below(min(2, src.size) + 1) if dice.below(4) == 0 else 0
    found = tables.read(src, at, src.size, got)
    if found < 0:
        return
    assert at < found <= src.size and got.sum() == 4096 and got.min() >= 0 and got.max() < 4096
    tables.lay_out(got.reshape(1, 256), dice.room("table", 4096, np.uint32), dice.room("encoder", 256, np.uint32))


def huffman_table(dice: Dice) -> None:
    lengths = np.zeros(256, np.uint8)
    huffman.lengths(_counts(dice), lengths)
    raw = np.zeros(tables.RAW_MAX, np.uint8)
    src = read_only(dice.put("words", _table_bytes(dice, lambda out: tables.write_lengths(lengths, out), raw)))
    got, out = dice.room("lengths", 256), dice.room("table", 2048, np.uint64)
    at = dice.below(min(2, src.size) + 1) if dice.below(4) == 0 else 0
    found = tables.read_lengths(src, at, src.size, got)
    if found >= 0:
        assert at < found <= src.size and huffman.table(got, out) == 0
    got[:] = dice.noise(256) & dice.of(1, 15, 255)
    huffman.table(got, out)


def choices(dice: Dice) -> None:
    n, bits = dice.size(), dice.of(1, 2, 4)
    at = dice.below(4)
    src = dice.source("words", at + (n * bits + 7 >> 3))
    out = dice.room("choice", n)
    count = 1 + dice.below(1 << bits)
    if tables.unpack_choice(src, at, bits, count, out) == 0:
        assert int(out.max()) < count


#: (widths, bytes of an element): the vector layouts in their own elements and some in wider ones, and layouts without.
LAYOUTS: Final = (
    *[(w, next(size for size in (2, 4, 8) if 8 * size >= sum(w))) for w in sorted(planes.VECTOR_LAYOUTS)],
    ((8, 8), 4),
    ((8, 8), 8),
    ((4, 2, 8), 4),
    ((8,), 1),
    ((1, 2, 4), 1),
    ((), 2),
    ((8, 4), 2),
    ((1, 8, 8, 2), 4),
    ((1,) * 64, 8),
    ((4, 8, 8, 8, 1), 8),
)


def _geometry(dice: Dice) -> Any:
    """What merge and the escapes take: (n, ints, drops, places, payload, scratch, tile, shifts)."""
    widths, size = LAYOUTS[dice.below(len(LAYOUTS))]
    n = dice.size()
    tile = dice.of(1 + dice.below(n), 8 * (1 + dice.below(1 + n // 8)), 384, 1024)
    tiles = -(-n // tile)
    spare = 8 * size - sum(widths)
    shifts, at = [], 0
    for width in widths:
        up = dice.below(spare + 1) if spare else 0
        spare -= up
        shifts.append(at + up)
        at += up + width
    drops = dice.room("drops", 0)
    if widths and dice.below(3) == 0:
        drops = dice.put("drops", dice.rng.integers(0, len(widths) + dice.of(1, 1, 200), tiles))
    places = np.zeros((4, len(widths)), np.int64)
    used = [0, 0]
    for p, width in enumerate(widths):
        need = plane_bytes(n, tile, width)
        if drops.size:
            held = drops <= p
            full = tile * width + 7 >> 3
            short = bool(n % tile and held[-1])
            need = (int(held.sum()) - short) * full + ((n % tile) * width + 7 >> 3) * short
        inside = dice.below(2)
        places[:, p] = shifts[p], width, used[inside], inside
        used[inside] += need
    places_ = dice.put("places", places, np.int64).reshape(4, len(widths))
    window = dice.of(0, 0, 1, 300, 65535)
    ints = planes.numbers(tile, dice.below(8 * size), window, 255, dice.below(1 << 16) & (1 << 8 * size) - 1)
    ints = dice.put("ints", ints, np.int64)
    return n, size, widths, ints, drops, places_, used, tile


_UINT: Final = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def merge(dice: Dice) -> None:
    n, size, widths, ints, drops, places, used, tile = _geometry(dice)
    scratch, payload = dice.source("scratch", used[0]), dice.source("payload", used[1])
    zeros = dice.put("zeros", np.zeros(tile))
    out = dice.room("out", n, _UINT[size])
    planes.kernels_for(widths).merge(out, ints, drops, places, payload, scratch, zeros)


def escapes(dice: Dice) -> None:
    n, size, widths, ints, drops, places, used, _ = _geometry(dice)
    if not widths:
        return
    count = 1 + dice.below(dice.of(3, 40))
    where = dice.rng.integers(0, dice.of(n, n, 1 << 32), count, dtype=np.uint64).astype("<u4")
    where = np.sort(where) if dice.below(3) else where
    values = dice.rng.integers(0, 1 << 16, count).astype("<u2")
    listed = read_only(dice.put("listed", np.concatenate([where.view(np.uint8), values.view(np.uint8)])))
    payload = read_only(dice.put("payload", dice.noise(used[1])))
    plain = np.zeros(used[0]) if dice.below(2) else dice.noise(used[0])
    scratch = read_only(dice.put("scratch", plain))
    out = dice.put("out", np.zeros(n), _UINT[size])
    planes.check_escapes(n, ints, drops, places, payload, scratch, listed, count)
    shift = int(places[planes.SHIFT, -1])
    planes.put_escapes(out, ints, drops, shift, len(widths), listed, count)


def _originals() -> list[tuple[str | None, bytes, tuple[int, ...] | None]]:
    rng = np.random.default_rng(5)

    def weights(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32) * np.float32(0.02)

    mixed = weights(20, 256).view(np.uint32)
    mixed[::3] &= 0xFFFFE000
    odd = (weights(4000).view(np.uint32) >> 16).astype(np.uint16)
    odd[::53] = 0x7F81
    many = (weights(70_000).view(np.uint32) >> 16).astype(np.uint16)
    return [
        ("BF16", odd[:700].tobytes() + b"!", None),
        ("BF16", odd.tobytes(), (10, 400)),
        ("BF16", many.tobytes(), None),  # 64 lanes
        ("F16", weights(20_000).astype(np.float16).tobytes(), None),
        ("F32", mixed.tobytes(), mixed.shape),
        ("F64", weights(900).astype(np.float64).tobytes(), None),
        ("U8", rng.binomial(40, 0.5, 3000).astype(np.uint8).tobytes(), None),
        ("F32", weights(40)[rng.binomial(39, 0.5, 5000)].tobytes(), None),  # these are made: palette, mask, offset
        ("BF16", (odd[:3000] * (rng.random(3000) < 0.5)).astype(np.uint16).tobytes(), None),
        ("I32", (rng.binomial(400, 0.5, 70_000).astype(np.int32) - 200).tobytes(), None),
        ("I64", rng.integers(0, 50_000, 500).astype(np.int64).tobytes(), None),
        (None, b"again and again " * 40, None),
    ]


@cache
def _bodies() -> tuple[list[bytes], list[tuple[bytes, list[bytes]]]]:
    """(bodies of span records with their chunk, (span record, chunk records) of one that has several)."""
    inline, several = [], []
    for dtype, original, shape in _originals():
        for level in ("fast", "default"):
            blob = codec.compress(original, dtype, shape, level) if dtype else codec.compress(original, level=level)
            _, size = records.frame_size(blob[16:21], "f", 16)
            inline.append(blob[21 : 8 + size])
    rng = np.random.default_rng(6)
    for x in (rng.binomial(30, 0.5, 600_000).astype(np.uint8), (rng.standard_normal(300_000) * 9).astype(np.float16)):
        blob, at, found = codec.compress(x, level="fast"), 16, []
        while blob[at] != records.INDEX:
            _, size = records.frame_size(blob[at : at + 5], "f", at)
            found.append(blob[at + 5 : at + size - 8])
            at += size
        several.append((found[0], found[1:]))
    return inline, several


def _damaged(dice: Dice, body: bytes) -> bytes:
    out = bytearray(body)
    for _ in range(dice.below(4)):
        at = dice.below(dice.of(30, 30, 100, len(out)))
        how = dice.below(4)
        if at >= len(out):
            continue
        if how == 0:
            out[at] = dice.of(0, 1, 2, 3, 127, 128, 255)
        elif how == 1:
            del out[at]
        else:
            out[at] ^= 1 << dice.below(8)
    return bytes(out[: len(out) - dice.of(0, 0, 0, 1, dice.below(len(out)))])


def _guard_room(dice: Dice) -> None:
    """What the quick way works in lies against fences, too."""
    held = kept().get(bulk._Room) or bulk._Room()
    for name in ("state", "tables", "full", "scratch", "small", "numbers", "why", "spare", "rooms", "made", "asked"):
        array = getattr(held, name)
        put = dice.put(f"room {name}", np.zeros(array.size, array.dtype), array.dtype)
        setattr(held, name, put.reshape(array.shape))
    kept()[bulk._Room] = held


def whole_records(dice: Dice) -> None:
    """One or two span records, the quick way and the careful one."""
    if dice.below(64) == 0 or bulk._Room not in kept():
        _guard_room(dice)
    bodies = _bodies()[0]
    mine = [_damaged(dice, bodies[dice.below(len(bodies))]) for _ in range(dice.of(1, 1, 2))]
    stored = read_only(dice.put("stored", np.frombuffer(b"".join(mine), np.uint8)))
    jobs, at, begin = [], 0, 0
    for body in mine:
        length = _announced(body)
        length += dice.of(0, 0, 0, 0, 1, -1)
        length = min(max(1, length), 1 << 19)
        jobs.append((at, at + len(body), begin, begin + length, -1))
        at, begin = at + len(body), begin + length
    out = dice.room("out", begin)

    def careful(k: int) -> None:
        a, b, first, stop, _ = jobs[k]
        decoder = SpanDecoder(memoryview(stored[a:b]), "hostile")
        if decoder.layout.length == stop - first and decoder.inline:
            decoder.decode_inline(out[first:stop])

    try:
        bulk.decode(stored, jobs, out, None, careful, framed=False)
    except CodecError:
        pass


def chunk_records(dice: Dice) -> None:
    """One chunk of a span with several, by its tables."""
    span, chunks = dice.of(*_bodies()[1])
    span = _damaged(dice, span) if dice.below(3) == 0 else span
    stored = read_only(dice.put("stored", np.frombuffer(span, np.uint8)))
    try:
        found = bulk.span_tables(stored)
        decoder = SpanDecoder(memoryview(stored), "hostile")
    except CodecError:
        return
    number = dice.below(len(chunks))
    body = _damaged(dice, chunks[number])
    if dice.below(4) == 0:
        number = dice.of(0, number + 1, 1 << 20)
        body = varint(number) + body[1:]
    stored = read_only(dice.put("stored", np.frombuffer(body, np.uint8)))
    lay = decoder.layout
    first, stop = lay.chunk_range(number)
    out = dice.room("out", min(max(1, stop - first + dice.of(0, 0, 0, 1, -1)), 1 << 20))

    def careful(k: int) -> None:
        if number < lay.chunks and out.size == stop - first:
            decoder.decode_chunk(number, memoryview(stored), out)

    try:
        bulk.decode(stored, [(0, len(body), 0, out.size, number)], out, found, careful, framed=False)
    except CodecError:
        pass


@cache
def _weights() -> tuple[bytes, list[bytes], bytes]:
    """(span record, chunk records, original) of weights whose chunks have planes of 128 lanes."""
    x = np.random.default_rng(8).standard_normal((400, 2000), np.float32) * np.float32(0.02)
    original = (x.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    blob, at, found = codec.compress(original, "BF16", x.shape), 16, []
    while blob[at] != records.INDEX:
        _, size = records.frame_size(blob[at : at + 5], "f", at)
        found.append(blob[at + 5 : at + size - 8])
        at += size
    assert len(found) > 3
    return found[0], found[1:], original


def chunk_runs(dice: Dice) -> None:
    """Two or three whole chunk records in one call, so that two are decoded side by side; one may be damaged."""
    head, chunks, original = _weights()
    decoder, tables = SpanDecoder(memoryview(head), "hostile"), bulk.span_tables(head)
    count = dice.of(2, 3)
    first = dice.below(len(chunks) - count + 1)
    bodies = chunks[first : first + count]
    if dice.below(2):
        k = dice.below(count)
        bodies[k] = _damaged(dice, bodies[k])
    stored_records = [records.record(records.CHUNK, body) for body in bodies]
    stored = read_only(dice.put("stored", np.frombuffer(b"".join(stored_records), np.uint8)))
    begin, jobs, at = decoder.layout.chunk_range(first)[0], [], 0
    for number, record in enumerate(stored_records, first):
        a, b = decoder.layout.chunk_range(number)
        jobs.append((at, at + len(record), a - begin, b - begin, number))
        at += len(record)
    out = dice.room("out", jobs[-1][3])

    def careful(k: int) -> None:
        a, b = jobs[k][2:4]
        decoder.decode_chunk(first + k, memoryview(bodies[k]), out[a:b])

    try:
        bulk.decode(stored, jobs, out, tables, careful)
    except CodecError:
        return
    assert out.tobytes() == original[begin : begin + out.size]


def _announced(body: bytes) -> int:
    value = 0
    for k, byte in enumerate(body[:4]):
        value |= (byte & 127) << 7 * k
        if byte < 128:
            break
    return value


def overrun(dice: Dice) -> None:
    """No kernel: shows that a byte behind a buffer is a dead process."""
    fence = Fence(10)
    ctypes.memset(fence.base + fence.size, 1, 1)


KINDS: Final[dict[str, Callable[[Dice], None]]] = {
    f.__name__: f
    for f in (
        rans_decode,
        permute_decode,
        huffman_decode,
        mixing_decode,
        rans_table,
        huffman_table,
        choices,
        merge,
        escapes,
        whole_records,
    )
} | {"chunk_records": chunk_records, "chunk_runs": chunk_runs}


def main(kind: str, seed: int, first: int, last: int, progress: str | None = None) -> None:
    assert heads.MOST_PLANES < 16
    kinds = list(KINDS) if kind == "all" else [kind]
    with Path(progress or "/dev/null").open("r+b" if progress else "wb", buffering=0) as file:
        for name in kinds:
            run = KINDS.get(name, overrun)
            for number in range(
                first, last if name not in ("chunk_records", "chunk_runs") else first + (last - first + 7) // 8
            ):
                file.seek(0)
                file.write(f"{name} {seed} {number:<12}\n".encode())
                try:
                    run(Dice(seed, number))
                except Exception as error:
                    raise RuntimeError(f"guard {name} {seed} {number}: {error!r}") from error


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), *sys.argv[5:6])
