"""The index: round trips, and one error for each broken invariant of FORMAT.md, section 7."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from codec import limits
from codec.container import index as indexes
from codec.container import index_arrays
from codec.container.index import Index, SpanEntry, TensorEntry
from codec.dtypes import DTYPES
from codec.errors import CodecError, CorruptFileError, UnsupportedVersionError
from codec.wire import text, varint


@st.composite
def valid(draw: st.DrawFn) -> Index:
    """Any index that a writer may write."""
    index = Index(sha256=draw(st.sampled_from([b"", bytes(range(32))])))
    index.source, index.level = draw(st.text(max_size=9)), draw(st.text(max_size=9))
    names = draw(st.lists(st.text(max_size=9), unique=True, max_size=6))
    for name in names:
        if draw(st.booleans()):
            index.spans.append(SpanEntry(draw(st.integers(1, 1000)), draw(st.integers(14, 5000))))
        dtype = DTYPES[draw(st.sampled_from(sorted(DTYPES)))]
        shape = draw(st.lists(st.integers(0, 7).map(lambda n: 8 * n), min_size=1, max_size=3))
        size, first = prod(shape) * dtype.bits // 8, len(index.spans)
        if size > 100 and draw(st.booleans()):
            index.spans += [SpanEntry(100, 99), SpanEntry(size - 100, 77, [20] * (size // limits.CHUNK_BYTES_MAX + 2))]
        elif size:
            index.spans.append(SpanEntry(size, 600, [14] * (size // limits.CHUNK_BYTES_MAX + 2)))
        index.tensors.append(TensorEntry(name, dtype.name, tuple(shape), first, len(index.spans) - first))
    index.original = sum(s.original for s in index.spans)
    return index


@given(valid())
def test_round_trip(index: Index) -> None:
    body = indexes.encode(index)
    assert indexes.decode(body, "f") == index
    assert indexes.decode(memoryview(body), "f") == index
    original, stored = index.span_offsets()
    assert (original[-1], stored[0]) == (index.original, 16)
    assert stored[-1] - 16 == sum(s.record + sum(s.chunks) for s in index.spans)
    assert indexes.tensor_offsets(index, original) == [original[t.first] for t in index.tensors]


def test_many_spans_are_packed() -> None:
    index = Index(900, spans=[SpanEntry(9, 40) for _ in range(100)])
    assert len(indexes.encode(index)) < 60
    assert indexes.decode(indexes.encode(index), "f") == index


@given(valid(), st.data())
def test_damage_never_escapes_as_another_error(index: Index, data: st.DataObject) -> None:
    body = bytearray(indexes.encode(index))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        indexes.decode(bytes(body[: data.draw(st.integers(0, len(body)))]), "f")
    except CodecError:
        pass


def outcome(body: bytes, room: int | None, at_once: bool) -> object:
    """The index, or the error and what it says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexes, "_MANY", 0 if at_once else 1 << 60)
        try:
            return indexes.decode(body, "f", room)
        except CodecError as error:
            return type(error), str(error)


@given(valid(), st.data())
def test_numbers_that_are_read_at_once_are_those_read_one_by_one(index: Index, data: st.DataObject) -> None:
    whole = indexes._unpacked(indexes.encode(index), "f")
    body = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 2))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.sampled_from([0, 1, 2, 127, 128, 255]))
    body = body[: data.draw(st.sampled_from([len(body)] * 3 + [len(body) // 2]))]
    packed = b"\0" + varint(len(body)) + bytes(body)
    exact = sum(s.stored for s in index.spans)
    for room in (None, exact, exact + data.draw(st.integers(-20, 20))):
        assert outcome(packed, room, True) == outcome(packed, room, False)


def large(count: int = 300) -> Index:
    """An index of so many tensors, some of them in several chunks, and some without bytes."""
    index = Index(source="x", level="y")
    for k in range(count):
        shape = ((k * 37) % 300, 4, 1 + k % 9)[: k % 4] if k % 50 else (70_000, 16)
        size, first = 2 * prod(shape), len(index.spans)
        if size:
            chunks = -(-size // limits.CHUNK_BYTES_MAX)
            index.spans.append(SpanEntry(size, 20 + k * 19, [600 + k] * chunks if chunks > 1 else []))
        index.tensors.append(TensorEntry(f"layer.{k}", "BF16", shape, first, len(index.spans) - first))
        if k % 3 == 0:
            index.spans.append(SpanEntry(7, 40))  # between tensors
    index.original = sum(s.original for s in index.spans)
    return index


def test_a_large_index_is_read_at_once() -> None:
    index = large()
    body = indexes._unpacked(indexes.encode(index), "f")
    at = len(varint(index.original)) + 1 + 2 + 2
    room = sum(s.stored for s in index.spans)
    assert index_arrays.read(body, at, index.original, room) is not None
    for wrong in (room + 1, room - 1):
        assert index_arrays.read(body, at, index.original, wrong) is None
    assert index_arrays.read(body, at, index.original + 1, room) is None
    assert indexes.decode(indexes.encode(index), "f", room) == index


def same_name(index: Index) -> None:
    index.tensors[7].name = index.tensors[8].name


def overlap(index: Index) -> None:
    index.tensors[7].first -= 1
    index.tensors[7].spans += 1


def too_few(index: Index) -> None:
    index.tensors[7].shape = (1, *index.tensors[7].shape, 3)


def lone_chunk(index: Index) -> None:
    index.spans[7].chunks = [900]


def empty_record(index: Index) -> None:
    index.spans[7].record = 13


def too_much(index: Index) -> None:
    index.spans[7].original += limits.CHUNK_BYTES_MAX + 8
    index.original += limits.CHUNK_BYTES_MAX + 8


def many_dimensions(index: Index) -> None:
    index.tensors[7].shape = (1,) * (limits.DIMENSIONS_MAX + 1)


def other_letters(index: Index) -> None:
    index.tensors[7].name = "Schlüssel"  # which is no error


@pytest.mark.parametrize(
    "change", [same_name, overlap, too_few, lone_chunk, empty_record, too_much, many_dimensions, other_letters]
)
def test_what_is_wrong_with_a_large_index_is_said_as_of_a_small_one(change: Callable[[Index], None]) -> None:
    index = large()
    change(index)
    body, room = indexes.encode(index), sum(s.stored for s in index.spans)
    found = outcome(body, room, True)
    assert found == outcome(body, room, False)
    assert (found == index) is (change is other_letters)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_escape_as_another_error(body: bytes) -> None:
    for whole in (body, b"\0" + varint(len(body)) + body):
        try:
            indexes.decode(whole, "f")
        except CodecError:
            pass


def plain(body: bytes) -> bytes:
    return b"\0" + varint(len(body)) + body


GOOD = Index(24, b"", "safetensors", "fast", [SpanEntry(8, 30), SpanEntry(16, 40, [20, 21])], [])
A = TensorEntry("a", "F32", (2,), 0, 1)
B = TensorEntry("b", "BF16", (2, 4), 1, 1)
GOOD.tensors = [A, B]


def test_the_example_is_good() -> None:
    assert indexes.decode(indexes.encode(GOOD), "f") == GOOD


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"original": 25}, "spans hold 24 bytes, the original has 25"),
        ({"spans": [SpanEntry(0, 30), SpanEntry(24, 40)]}, "span without bytes"),
        ({"spans": [SpanEntry(24, 13)]}, "empty record"),
        ({"spans": [SpanEntry(24, 30, [20])]}, "single chunk record"),
        ({"spans": [SpanEntry(24, 30, [20, 13])]}, "empty record"),
        ({"spans": [SpanEntry(24, limits.RECORD_BODY_MAX + 14)]}, "number 655374 is more than 655373"),
        ({"spans": [SpanEntry(24, 30, [20, 655374])]}, "number 655374 is more than 655373"),
        ({"original": 2**23 + 1, "spans": [SpanEntry(2**23 + 1, 30)]}, "is more than 8388608"),
        ({"original": 2**19 + 8, "spans": [SpanEntry(2**19 + 8, 30)]}, "span of 524296 bytes in 1 chunks"),
        ({"original": 2**23, "spans": [SpanEntry(2**23, 30, [20, 20])]}, "span of 8388608 bytes in 2 chunks"),
        ({"tensors": [A, A]}, "two tensors are named 'a'"),
        ({"tensors": [B, A]}, "overlaps another, is out of order"),
        ({"tensors": [A, replace(B, first=0)]}, "overlaps another"),
        ({"tensors": [A, replace(B, spans=2)]}, "lies outside the file"),
        ({"tensors": [replace(A, first=3)]}, "number 3 is more than 2"),
        ({"tensors": [replace(A, spans=3)]}, "number 3 is more than 2"),
        ({"tensors": [replace(A, shape=(3,))]}, "has 96 bits but its spans hold 64"),
        ({"tensors": [replace(A, shape=())]}, "has 32 bits but its spans hold 64"),
        ({"tensors": [replace(A, shape=(2**60, 2**60))]}, "bits but its spans hold 64"),
        ({"tensors": [replace(A, shape=(1,) * 65)]}, "number 65 is more than 64"),
        ({"tensors": [replace(A, name="n" * 65537)]}, "number 65537 is more than 65536"),
    ],
)
def test_each_broken_invariant(change: dict[str, object], words: str) -> None:
    with pytest.raises(CorruptFileError, match=words):
        indexes.decode(indexes.encode(replace(GOOD, **change)), "f")


FRONT = varint(0) + b"\0" + text("") + text("")


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (b"", CorruptFileError, "needs 1 bytes"),
        (b"\0\2a", CorruptFileError, "index of 2 bytes is stored in 1"),
        (b"\2\0", UnsupportedVersionError, "index encoding 2"),
        (b"\1" + varint(2**30 + 1), CorruptFileError, "is more than 1073741824"),
        (b"\1" + varint(2**30) + b"a", CorruptFileError, "out of 1"),
        (b"\1\1nothing", CorruptFileError, "does not decompress"),
        (b"\1\5" + zstandard.compress(b"four"), CorruptFileError, "frame that announces 4"),
        (
            b"\1\5" + zstandard.ZstdCompressor(write_content_size=False).compress(b"four"),
            CorruptFileError,
            "to 4 bytes",
        ),
        (b"\1\3" + zstandard.ZstdCompressor(write_content_size=False).compress(bytes(9000)), CorruptFileError, "decom"),
        (b"\1\4" + zstandard.compress(b"four") + b"!", CorruptFileError, "does not decompress"),
        # a frame of some bytes that announces 2^45
        (bytes.fromhex("01 05 28b52ffd e0 000000000020 0000 010000"), CorruptFileError, "announces 35184372088832"),
        (plain(varint(0) + b"\2"), UnsupportedVersionError, "digest kind 2"),
        (plain(varint(0) + b"\1" + bytes(31)), CorruptFileError, "needs 32 bytes"),
        (plain(FRONT + varint(1)), CorruptFileError, "needs 1 bytes"),
        (plain(FRONT + varint(2**40)), CorruptFileError, "is more than"),
        (plain(FRONT + b"\0" + varint(2**40)), CorruptFileError, "is more than"),
        (plain(FRONT + b"\0\1" + text("t") + b"\0\0\0\0"), UnsupportedVersionError, "element type 0 of tensor 't'"),
        (plain(FRONT + b"\0\1" + text("t") + b"\x17\0\0\0"), UnsupportedVersionError, "element type 23"),
        (plain(FRONT + b"\0\0!"), CorruptFileError, "1 bytes too many"),
    ],
)
def test_bad_bodies(body: bytes, error: type[CodecError], words: str) -> None:
    with pytest.raises(error, match=words):
        indexes.decode(body, "f")


def test_an_index_that_inflates_is_refused_before_it_is_built() -> None:
    """A file of a few kilobytes whose index lists millions of spans: refused at the first that has no room."""
    spans = b"\x7f\x0e\x00" * 2_000_000
    plain = varint(127 * 2_000_000) + b"\0" + text("") + text("") + varint(2_000_000) + spans + varint(0)
    packed = zstandard.ZstdCompressor(19).compress(plain)
    body = b"\1" + varint(len(plain)) + packed + bytes(max(0, len(plain) // limits.INDEX_RATIO_MAX - len(packed)))
    with pytest.raises(CorruptFileError):
        indexes.decode(body, "f", 5000)


def test_an_index_of_tensors_without_bytes_is_refused_before_it_is_built() -> None:
    plain = b"\0" + b"\0" + text("") + text("") + b"\0" + varint(limits.EMPTY_TENSORS_MAX + 1)
    with pytest.raises(CorruptFileError, match=f"is more than {limits.EMPTY_TENSORS_MAX}"):
        indexes.decode(b"\0" + varint(len(plain)) + plain, "f", 0)
