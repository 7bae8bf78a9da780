"""The quick way through a record against the careful one: the same bytes, the same refusals, and nothing beyond.

Hashes are left out of it, but for those of parts: each way is asked for the bytes that it would compare with the hash.
What only the careful way does (very many planes or tables, some transforms) is known, so that neither may accept more
than the other.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config

from codec import bulk
from codec.container import records
from codec.decode import SpanDecoder
from codec.dtypes import DTYPES
from codec.encode import encode_span
from codec.errors import CodecError
from codec.kernels import (
    bodies,
    chunks,
    codes,
    columns,
    heads,
    huffman,
    payloads,
    permute,
    planes,
    rans,
    registers,
    transforms,
    xxh3,
)
from codec.kernels import made as makes
from codec.planner.levels import level_of
from codec.stages import layout as layouts
from codec.stages.codes import Codes, Held
from codec.stages.columns import COLUMNS
from codec.stages.geometry import Bytes, read_only
from codec.stages.layout import Layout, Plane
from codec.stages.transforms import Fields, Offset, Palette, Sparse
from codec.wire import Cursor
from tests import naive
from tests.kernels.inner import spell_out
from tests.spans import (
    KINDS,
    Span,
    carefully,
    chunked,
    damaged,
    hash_of,
    lying,
    made,
    made_spans,
    of_planes,
    of_tables,
    rare,
    rare_body,
    record_of,
    span_of,
    spans,
    spoilt_spans,
    written,
)
from tests.stages.payloads import FIT

GUARD = 64
#: Of all that is drawn in plain Python, too, where the first address is 0, which must not be that of a merge.
CODERS = [rans.decode_address(), huffman.decode_address(), permute.decode_address(), xxh3.address()]
CODERS.append(columns.decode_address())
FILL = 0xA5
_NO_FRAMES, _NO_BYTES = np.zeros((0, 4), np.int64), np.zeros(0, np.uint8)
#: More examples where most are refused at once.
MANY = settings(max_examples=settings.default.max_examples * (1 if config.DISABLE_JIT else 10))


class Fence:
    """Bytes that end where memory ends: reading behind them ends the process. (Where there is mprotect.)"""

    def __init__(self, size: int) -> None:
        page = mmap.PAGESIZE
        self.size = -(-size // page) * page
        self.map = mmap.mmap(-1, self.size + page)
        self.array = np.frombuffer(self.map, np.uint8)
        if sys.platform.startswith("linux"):
            behind, none = ctypes.c_void_p(self.array.ctypes.data + self.size), 0
            assert ctypes.CDLL(None).mprotect(behind, ctypes.c_size_t(page), none) == 0

    def put(self, data: bytes) -> Bytes:
        place = self.array[self.size - len(data) : self.size]
        place[:] = np.frombuffer(data, np.uint8)
        return read_only(place)


class Quick:
    """The kernel, with guards around everything it writes to."""

    def __init__(self) -> None:
        self.rooms: list[Bytes] = []
        self.state = self.room(8 * heads.STATE).view(np.int64)
        self.tables = self.room(8 * heads.MOST_TABLES * heads.TABLE_WORDS).view(np.uint64)
        self.spelled = self.room(8 * heads.FULL_WORDS).view(np.uint64)
        self.scratch, self.small = self.room(2 * payloads.SCRATCH), self.room(4 * payloads.MOST_TILES)
        self.numbers, self.why = self.room(16 * payloads.NUMBERS).view(np.int64), self.room(24).view(np.int64)
        self.spare, self.rooms_ = self.room(bodies.SPARE), self.room(2 * makes.PARTS).reshape(2, -1)
        self.made = self.room(24 * makes.MADE).view(np.int64).reshape(3, -1)
        self.asked = self.room(256 * 32).view(np.int64).reshape(-1, 4)
        self.known, self.zeros = np.array(CODERS, np.int64), np.zeros(1 << 14, np.uint8)
        self.fence = Fence(1 << 20)

    def room(self, size: int) -> Bytes:
        self.rooms.append(np.full(size + 2 * GUARD, FILL, np.uint8))
        return self.rooms[-1][GUARD : GUARD + size]

    def untouched(self) -> bool:
        return all((r[:GUARD] == FILL).all() and (r[-GUARD:] == FILL).all() for r in self.rooms)

    def read_span(self, body: bytes) -> bool:
        data = self.fence.put(body)
        status = int(heads.read_span(data, 0, data.size, self.state, self.tables, CODERS[2] != 0))
        assert status in (0, -1) and self.untouched()
        return status == 0

    def decode(self, body: bytes, length: int, number: int = -1, shift: int = 0) -> bytes | None:
        """The bytes of one record's body, or None if it is declined. Output begins ``shift`` behind a multiple of 8."""
        out = np.full(length + 2 * GUARD + shift, FILL, np.uint8)
        first, stop = GUARD + shift, GUARD + shift + length
        assert (out.ctypes.data + GUARD) % 8 == 0
        data = self.fence.put(body)
        jobs, told, given = np.array([[0, data.size, first, stop, number]], np.int64), _NO_FRAMES, _NO_BYTES
        status, rounds = np.full(1, chunks.OPENED, np.int64), 0
        while True:
            chunks.decode(
                data, jobs, False, self.state.reshape(1, -1), self.tables.reshape(1, -1), self.spelled, out,
                self.scratch.reshape(2, -1), self.small.reshape(2, -1), self.numbers.reshape(2, -1), self.known,
                self.zeros, self.spare, self.rooms_, self.made, self.asked, told, given, status, self.why,
            )  # fmt: skip
            assert self.untouched() and (out[:first] == FILL).all() and (out[stop:] == FILL).all()
            rounds, asks = rounds + 1, int(self.why[0])
            assert rounds < 40 and (status[0] == bodies.UNKNOWN) == (self.why[2] >= 0)
            assert (status[0] == bodies.ASKS) <= (asks > 0)
            if status[0] == bodies.UNKNOWN:
                self.learn()
            elif status[0] != bodies.ASKS:
                break
            told, given = bulk._unpacked(data, self.asked[:asks])
        if status[0] == bodies.DECLINED:
            return None
        assert status[0] in (bodies.DONE, bodies.WRONG)
        behind = next(k + 1 for k, byte in enumerate(body) if byte < 128)
        of_parts = number < 0 and body[behind + 1] & 128  # a part may be what the span is, and has a hash, too
        held = body[-8:] if of_parts else body
        assert (status[0] == bodies.DONE) == (hash_of(out[first:stop].tobytes()) in held)
        return out[first:stop].tobytes()

    def learn(self) -> None:
        """The kernel that is missing, as codec.bulk does."""
        code, width = self.why[1:].tolist()
        if code < 0:
            other = -code != transforms.CODES_NUMBER
            found = transforms.make_address(-code, width) if other else codes.make_address()
            self.known = np.append(self.known, [code, width, found])
            return
        widths = tuple(code >> k & 15 for k in range(0, code.bit_length(), 4))
        self.known = np.append(self.known, [code, width, planes.merge_address(planes.code_of(widths), width)])


QUICK = Quick()


@pytest.mark.parametrize("level", ["fast", "default"])
@pytest.mark.parametrize("kind", KINDS)
def test_undamaged_records_go_the_quick_way(kind: str, level: str) -> None:
    """All of them: the quick way cannot stop to work unnoticed."""
    for rows, width, tail in ((1, 1, b""), (5, 30, b"a"), (9, 304, b""), (40, 64, b"abc")):
        span = made(kind, level, rows, width, tail)
        assert QUICK.decode(span.body, len(span.original)) == span.original


def test_the_kinds_are_of_all_kinds() -> None:
    made_ones = [made(kind, level, 9, 304, b"x") for kind in KINDS for level in ("fast", "default")]
    layouts_ = [s.layout for s in made_ones]
    for field in ("drops", "escapes", "constant", "window", "tail"):
        assert any(getattr(lay, field) for lay in layouts_) and not all(getattr(lay, field) for lay in layouts_)
    assert {lay.width for lay in layouts_} == {1, 2, 4, 8}
    tables = [p.tables for lay in layouts_ for p in lay.planes if p.tables is not None]
    assert {t.stage for t in tables} == {2, 3} and max(t.count for t in tables) > 4


@given(spans())
def test_any_span(span: Span) -> None:
    assert carefully(span.body, len(span.original)) == QUICK.decode(span.body, len(span.original)) == span.original


def alike(body: bytes, length: int) -> bytes | None:
    """What both ways make of it."""
    found, wanted = QUICK.decode(body, length), carefully(body, length)
    if wanted is not None and rare_body(body):
        assert found is None
    else:
        assert found == wanted
    return wanted


@pytest.mark.parametrize("kind", ["bf16", "fp32", "fp64", "small integers", "bytes", "fp8"])
def test_elements_need_not_be_aligned(kind: str) -> None:
    span = made(kind, "default", 5, 30, b"x" if kind == "fp64" else b"")
    for shift in range(9):
        assert QUICK.decode(span.body, len(span.original), shift=shift) == span.original


@pytest.mark.parametrize(("count", "taken"), [(1, True), (8, True), (15, True), (16, False), (64, False)])
def test_many_planes(count: int, taken: bool) -> None:
    span = of_planes(count)
    assert carefully(span.body, len(span.original)) == span.original
    assert QUICK.decode(span.body, len(span.original)) == (span.original if taken else None)


@pytest.mark.parametrize(("counts", "taken"), [((16, 16, 16), True), ((16, 16, 16, 1), False), ((16,) * 4, False)])
def test_many_tables(counts: tuple[int, ...], taken: bool) -> None:
    span = of_tables(counts)
    assert carefully(span.body, len(span.original)) == span.original
    assert QUICK.decode(span.body, len(span.original)) == (span.original if taken else None)


@pytest.mark.parametrize("kind", ["bf16", "fp16", "fp32", "fp64", "small integers"])
def test_a_layout_without_a_merge_is_named(kind: str) -> None:
    """Nothing is done before there is one; a small span takes the one for any layout."""
    span, small, quick = made(kind, "default", 20, 304), made(kind, "default", 9, 304), Quick()
    assert quick.known.tolist() == CODERS
    assert quick.decode(small.body, len(small.original)) == small.original
    assert quick.known[5:7].tolist() == [0, span.layout.width] and quick.known.size == 8
    assert quick.decode(span.body, len(span.original)) == span.original
    code = planes.code_of(tuple(p.width for p in span.layout.planes))
    assert quick.known[8:10].tolist() == ([code, span.layout.width] if code else [])
    for each in (span, small):
        assert quick.decode(each.body, len(each.original)) == each.original
    assert quick.known.size == (11 if code else 8)


def lone_symbol(state: int, words: bytes) -> Span:
    """One byte, 7, in stage 2, with a table of two symbols that gives it the slots 2048 to 4095."""
    counts = np.zeros((1, 256), np.int64)
    counts[0, [6, 7]] = 50
    tables = FIT[2](counts, 1)
    assert tables.encoder[7] == 2048 << 12 | 2048
    payload = bytes((2, len(words) // 2)) + naive.write_states([state]) + words
    return Span(b"\7", Layout(1, 0, 1, 1, 1, (Plane(0, 8, tables),)), hash_of(b"\7") + payload)


def lies() -> Iterator[tuple[str, Layout, bytes]]:
    """What random damage hardly ever finds; all of it would decode without the check that refuses it."""
    some, half, stored = bytes(range(8)), Plane(0, 4), b"\0" + bytes(4)
    plain_ = Layout(8, 0, 1, 8, 8, (Plane(0, 8),))
    yield "a window without planes", replace(plain_, planes=(), window=0), b""
    yield "escapes without planes", replace(plain_, planes=(), escapes=True), b"\0"
    yield "a window over a plane of 4 bits", replace(plain_, planes=(half,), window=1), stored
    yield "more planes than an element has bits", replace(plain_, planes=(half, Plane(6, 4))), 2 * stored
    yield "planes out of order", replace(plain_, planes=(Plane(4, 4), half)), 2 * stored
    tables = of_tables((1,)).layout.planes[0].tables
    for count in (17, 31):
        many = replace(tables, count=count, raw=tables.raw * count)
        yield f"{count} tables", replace(plain_, planes=(Plane(0, 8, many),)), b"\0" + some
    yield "a drop of more planes than there are", replace(plain_, drops=True), b"\1\2"
    yield "a tile that is too small", replace(plain_, tile=7, chunk=7 * 9), b"\0" + some
    yield "a chunk that ends within a tile", replace(plain_, chunk=9), b"\0" + some
    three = replace(plain_, length=3, planes=(half,))
    yield "stored bits that no element uses", three, b"\0\x21\x43"
    yield "a constant in bits that no element uses", three, b"\1\x11"
    yield "a plane without bytes that is stored", replace(plain_, drops=True), b"\1\1\0"
    yield "a plane without bytes that is constant 1", replace(plain_, drops=True), b"\1\1\1\1"
    tail = replace(plain_, length=1, width=2)
    yield "a plane without elements that is stored", tail, b"\0" + b"t"
    yield "drops of no tile that are stored", replace(tail, drops=True), b"\0" + b"\1\0" + b"t"
    yield "drops of no tile that are not 0", replace(tail, drops=True), b"\1\1" + b"\1\0" + b"t"
    escape = b"\1\3\7"
    yield "an escape where the last plane is not 0", replace(plain_, escapes=True), escape + b"\0" + some
    yield (
        "an escape in a tile without the last plane",
        replace(plain_, escapes=True, drops=True),
        (b"\1\1" + escape + b"\1\0"),
    )
    lone = lone_symbol(65536 + 2048, b"")
    for name, state, words in (
        ("a word too many", 2 * 65536 + 2048, b"\0\0"),
        ("a last state above 65536", 3 * 65536 + 2048, b""),
    ):
        yield name, lone.layout, lone_symbol(state, words).chunk[8:]
    tables = FIT[3](np.ones((1, 256), np.int64), 1)  # taken for one of stage 2, it gives a slot 1 x 0 + 1
    slot = next(k for k, entry in enumerate(tables.decoder.view(np.uint32).tolist()) if entry >> 8 == 1)
    lay = replace(plain_, length=1, planes=(Plane(0, 8, tables),))
    yield "tables of another stage", lay, b"\2\1" + naive.write_states([65536 + slot]) + b"\0\0"


@pytest.mark.parametrize(("lay", "chunk"), [pytest.param(*rest, id=name) for name, *rest in lies()])
def test_lies_are_refused(lay: Layout, chunk: bytes) -> None:
    assert alike(layouts.encode(lay) + bytes(8) + chunk, lay.length) is None


def test_what_is_nearly_a_lie() -> None:
    span = lone_symbol(2 * 65536 + 2048, b"")
    assert alike(span.body, 1) == b"\7"
    escape = b"\1\3\7"
    lay = Layout(8, 0, 1, 8, 8, (Plane(0, 8),), escapes=True)
    assert alike(layouts.encode(lay) + bytes(8) + escape + b"\1\0", 8) == b"\0\0\0\7\0\0\0\0"
    lay = Layout(8, 0, 1, 8, 8, (Plane(0, 8),), drops=True)
    assert alike(layouts.encode(lay) + bytes(8) + b"\1\1\1\0", 8) == bytes(8)
    lay = Layout(1, 0, 2, 8, 8, (Plane(0, 8),), drops=True)
    assert alike(layouts.encode(lay) + bytes(8) + b"\1\0\1\0t", 1) == b"t"
    lay = Layout(3, 0, 1, 8, 8, (Plane(0, 4),))
    assert alike(layouts.encode(lay) + bytes(8) + b"\0\x21\x03", 3) == b"\1\3\2"


@given(st.integers(0, 2**32), st.data())
@MANY
def test_any_layout(seed: int, data: st.DataObject) -> None:
    """Also those that no encoder writes, as they are and damaged."""
    span = written(seed)
    assert alike(span.body, span.layout.length) is not None
    alike(damaged(data.draw, span.body, len(span.head)), span.layout.length)


@given(spoilt_spans(), st.sampled_from([0, 0, 0, 1, -1]))
@MANY
def test_spoilt_spans(drawn: tuple[Span, bytes], more: int) -> None:
    span, body = drawn
    alike(body, len(span.original) + more)
    try:
        length = SpanDecoder(body, "test").layout.length
    except CodecError:
        return
    if length < 1 << 20:
        alike(body, length)


@pytest.mark.parametrize("kind", ["bf16", "fp32, some rows fp16", "bf16 with escapes", "opaque", "fp16"])
def test_every_flipped_bit_and_every_cut(kind: str) -> None:
    span = made(kind, "fast", 2, 256 if "rows" in kind and not config.DISABLE_JIT else 20, b"x")
    length, body, accepted = len(span.original), bytearray(span.body), 0
    front, few = 8 * (len(span.head) + 60), 37 if config.DISABLE_JIT else 1
    for bit in [*range(0, min(front, 8 * len(body)), few), *range(front, 8 * len(body), 41 * few)]:
        body[bit >> 3] ^= 1 << (bit & 7)
        accepted += alike(bytes(body), length) is not None
        body[bit >> 3] ^= 1 << (bit & 7)
    assert accepted >= 64 // few  # the bits of the hash, at least
    for end in range(0, len(body), few if len(body) < 300 else 7 * few):
        assert alike(bytes(body[:end]), length) is None
    assert alike(bytes(body) + b"\0", length) is None


def chunk_alike(decoder: SpanDecoder, number: int, body: bytes, length: int) -> bytes | None:
    found = QUICK.decode(body, length, number)
    assert found == carefully(decoder, length, number, body)
    return found


@given(spans(), st.integers(2, 4), st.data())
@MANY
def test_chunk_records(span: Span, count: int, data: st.DataObject) -> None:
    """Chunks of a span that was read once: as they are, damaged, and where they don't belong."""
    several = chunked(span, count)
    if several is None:
        return
    head, bodies, original = several
    decoder = SpanDecoder(head, "test")
    assert QUICK.read_span(head)
    for k in data.draw(st.permutations(range(count))):
        first, stop = decoder.layout.chunk_range(k)
        if chunk_alike(decoder, k, bodies[k], stop - first) is not None:
            assert chunk_alike(decoder, k, bodies[k], stop - first) == original[first:stop]
            assert QUICK.decode(bodies[k], stop - first + 1, k) is None
            assert QUICK.decode(bodies[k], stop - first, k + 1) is None
        chunk_alike(decoder, k, damaged(data.draw, bodies[k], 9), stop - first)
        number = data.draw(st.sampled_from([b"\x05", b"\x80\x00", b"\x81\x00", b"\xff\xff\xff\x7f", b""]))
        chunk_alike(decoder, k, number + bodies[k][1:], stop - first)
    assert QUICK.decode(bytes((count,)) + bodies[-1][1:], len(original) - first, count) is None


def heads_alike(head: bytes) -> None:
    """A span record without chunk is read as the careful way reads it, or is left to it."""
    read = QUICK.read_span(head)
    try:
        lay = SpanDecoder(head, "test").layout
    except CodecError:
        assert not read
        return
    if rare(lay) or (lay.chunks == 1 and not read):  # whether a lone chunk follows is not asked there
        assert not read
        return
    assert read
    fold = 8 * lay.width - 1 if lay.fold is None else lay.fold
    state = QUICK.state
    assert state[[heads.LENGTH, heads.WIDTH, heads.TILE, heads.CHUNK, heads.PLANES]].tolist() == [
        lay.length, lay.width, lay.tile, lay.chunk, len(lay.planes),
    ]  # fmt: skip
    assert state[[heads.FOLD, heads.WINDOW]].tolist() == [fold, lay.window or 0]
    assert int(state[heads.CONSTANT]) % (1 << 64) == lay.constant
    at = 0
    for p, plane in enumerate(lay.planes):
        if plane.tables is None:
            continue
        held = state[heads.HEAD + heads.FIELDS * p + heads.IN_REGISTERS]
        mine, room = QUICK.tables[at:], np.zeros(4096, np.uint32)
        for k in range(plane.tables.count):
            if held:
                spell_out(mine.view(np.uint8), k * registers.SIZE, room)
            found = room.view(np.uint64) if held else mine[k * 2048 : (k + 1) * 2048]
            assert (found == plane.tables.decoder.view(np.uint64)[k * 2048 : (k + 1) * 2048]).all()
        at += 2048 * plane.tables.count
        if plane.tables.stage == COLUMNS:
            beside = plane.tables.beside(lay.tile)
            assert state[heads.HEAD + heads.FIELDS * p + heads.PERIOD] == beside.size
            assert (QUICK.tables[at:].view(np.uint8)[: beside.size] == beside).all()
            at += 2048 * -(-beside.size // 16384)
    assert state[heads.ROWS] * 2048 == at


@given(st.data())
@MANY
def test_spoilt_span_records_without_chunk(data: st.DataObject) -> None:
    span = data.draw(spans())
    several = chunked(span, 2)
    lay = layouts.decode(Cursor(several[0], "test")) if several is not None else replace(span.layout, length=1 << 22)
    if data.draw(st.booleans()):
        lay = lying(data.draw, lay)
    head = layouts.encode(lay)
    heads_alike(head)
    heads_alike(damaged(data.draw, head, 0))


def test_layouts_without_a_vector_way_share_a_merge() -> None:
    """Else a file could show a new one with each record, and the list of them would grow for ever."""
    quick = Quick()
    for count in (3, 5, 7):
        span = of_planes(count)
        assert quick.decode(span.body, len(span.original)) == span.original
    assert quick.known[5:].reshape(-1, 3)[:, :2].tolist() == [[0, 1]]


@given(made_spans(), st.integers(0, 8))
def test_made_spans(drawn: tuple[bytes, bytes], shift: int) -> None:
    """Wherever their bytes are to lie."""
    original, body = drawn
    assert carefully(body, len(original)) == original
    assert QUICK.decode(body, len(original), shift=shift) == (None if rare_body(body) else original)


@given(made_spans(), st.data())
@MANY
def test_made_spans_that_are_damaged(drawn: tuple[bytes, bytes], data: st.DataObject) -> None:
    original, body = drawn
    body = damaged(data.draw, body, data.draw(st.sampled_from([0, 3, len(body) // 2, len(body) - 20])))
    alike(body, len(original))
    with contextlib.suppress(CodecError):
        length = SpanDecoder(body, "test").layout.length
        if length < 1 << 20:
            alike(body, length)


def made_lies() -> Iterator[tuple[str, bytes, bytes | None]]:
    """(what, body, bytes that it is made into, None if it is refused)."""

    def part(data: bytes, dtype: str | None = "U8", shape: tuple[int, ...] | None = None) -> bytes:
        return span_of(np.frombuffer(data, np.uint8), dtype, shape or (len(data),)).body

    four = bytes(range(4))
    yield "a palette", record_of(Palette(0, 2), b"7977", [part(b"79"), part(b"\0\1\0\0")]), b"7977"
    yield "values that do not ascend", record_of(Palette(0, 2), b"7777", [part(b"77"), part(bytes(4))]), None
    yield "a number of no value", record_of(Palette(0, 2), b"7977", [part(b"79"), part(b"\0\1\2\0")]), None
    yield "a part too long", record_of(Palette(0, 2), b"7977", [part(b"79"), part(b"\0\1\0\0\0")]), None
    yield "a part too short", record_of(Palette(0, 2), b"7977", [part(b"79"), part(b"\0\1\0")]), None
    yield "a part too many", record_of(Palette(0, 2), b"7977", [part(b"79"), part(b"\0\1\0\0"), part(b"7")]), None
    yield "a part missing", record_of(Palette(0, 2), b"7977", [part(b"79")]), None
    made_one = record_of(Palette(0, 2), b"7977", [part(b"79"), part(b"\0\1\0\0")])
    yield "a part that is made", record_of(Fields((4, 2)), b"7977xx", [made_one, part(b"xx")]), None
    yield "fields", record_of(Fields((1, 3)), b"abcdABCD", [part(b"aA"), part(b"bcdBCD")]), b"abcdABCD"
    yield "part of a block", record_of(Fields((1, 3)), b"abcdABCDx", [part(b"aA"), part(b"bcdBCD")]), None
    yield "one field", record_of(Fields((4,)), b"abcdABCD", [part(b"abcdABCD")]), None
    fives = Codes((Held(1, 0), Held(1, 1, 1, 4, 1), Held(4, 1, 4, 0, 4)))
    bits = bytes((0, 17, 2, 19, 4, 5, 6, 23))
    yield "codes", record_of(fives, b"a\x8a\x40\x51\x62\x73", [part(b"a"), part(bits)]), b"a\x8a\x40\x51\x62\x73"
    yield "a bit of no field", record_of(fives, b"a\x8a\x40\x51\x62\x73", [part(b"a"), part(b"\x20" + bits[1:])]), None
    twice = Codes((Held(1, 0), Held(1, 1, 1, 3, 1), Held(4, 1, 4, 0, 4)))
    yield "a bit of two fields", record_of(twice, b"a\x8a\x40\x51\x62\x73", [part(b"a"), part(bits)]), None
    high = Codes((Held(1, 0), Held(1, 1, 1, 5, 1), Held(4, 1, 4, 0, 4)))
    yield "a bit of no field between", record_of(high, b"a\x8a\x40\x51\x62\x73", [part(b"a"), part(bits)]), None
    yield "codes with a field of none", record_of(Codes((Held(1, 0), Held(0, 1, 4, 0, 1))), b"a", [part(b"a")]), None
    yield "codes that are bytes", record_of(Codes((Held(1, 0), Held(1, 1))), b"ab", [part(b"a"), part(b"b")]), None
    yield "a part that comes too early", record_of(Codes((Held(1, 1), Held(1, 0, 4))), b"ab", [part(b"a")] * 2), None
    yield "a mask", record_of(Sparse(0, 2), b"\0a\0b", [part(b"\x0a"), part(b"ab")]), b"\0a\0b"
    yield "a mask with too few bits", record_of(Sparse(0, 2), b"\0a\0\0", [part(b"\x02"), part(b"ab")]), None
    yield "a mask with too many bits", record_of(Sparse(0, 2), b"\0a\0b", [part(b"\x0e"), part(b"ab")]), None
    yield "a bit of no element", record_of(Sparse(0, 2), b"\0a\0b", [part(b"\x12"), part(b"ab")]), None
    yield "a zero among the others", record_of(Sparse(0, 2), b"\0a\0\0", [part(b"\x0a"), part(b"a\0")]), None
    yield "no others", record_of(Sparse(0, 0), bytes(4), [part(b"\0")]), None
    yield "an offset", record_of(Offset(1, 0, 65535), b"\xff\xff\0\0\1\0\2\0", [part(four)]), b"\xff\xff\0\0\1\0\2\0"
    yield "half an element", record_of(Offset(1, 0, 1), bytes(7), [part(four[:3])]), None
    yield "a damaged part", record_of(Fields((1, 3)), b"abcd", [part(b"a")[:-1] + b"A", part(b"bcd")]), None
    long = bytes(1 << 19) + b"more"
    several = encode_span(long, DTYPES["U8"], (len(long),), level_of("default"))
    head = several.stored[records.HEAD_BYTES : several.entry.record - 8].tobytes()
    yield "a part of two chunks", record_of(Fields((len(long), 1)), b"x" * 9, [head, part(b"x")]), None


@pytest.mark.parametrize(("body", "wanted"), [pytest.param(*rest, id=name) for name, *rest in made_lies()])
def test_made_spans_that_lie(body: bytes, wanted: bytes | None) -> None:
    try:
        length = SpanDecoder(body, "test").layout.length
    except CodecError:
        length = body[0]
    assert alike(body, length) == wanted
