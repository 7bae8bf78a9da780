"""Header, records, trailer and numbers on the wire: round trips, and one error for each broken invariant."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from codec import limits, wire
from codec.container import records
from codec.errors import CodecError, CorruptFileError, NotWeftError, TruncatedFileError, UnsupportedVersionError


def header(front: bytes) -> bytes:
    return front + (xxh3_64_intdigest(front) & 0xFFFFFFFF).to_bytes(4, "little")


def trailer(position: int, length: int, end: bytes = records.END_MAGIC) -> bytes:
    front = position.to_bytes(8, "little") + length.to_bytes(8, "little")
    return front + xxh3_64_intdigest(front).to_bytes(8, "little") + end


def test_header_round_trip() -> None:
    assert len(records.header()) == records.HEADER_BYTES
    assert records.header() == header(b"\x89WEFT\r\n\x1a\1\0\0\0")
    assert records.check_header(records.header() + b"more", "f") == (1, 0)


def test_any_minor_version_is_read() -> None:
    assert records.check_header(header(records.MAGIC + bytes((1, 200, 0, 0))), "f") == (1, 200)


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", NotWeftError, "is empty"),
        (b"PK\3\4" + bytes(20), NotWeftError, "begins with 50 4b 03 04"),
        (records.MAGIC[:5], TruncatedFileError, "ends after 5 bytes"),
        (records.header()[:15], TruncatedFileError, "ends after 15 bytes"),
        (records.MAGIC + b"\2", UnsupportedVersionError, "format version 2"),
        (records.header()[:15] + b"?", CorruptFileError, "header checksum"),
        (header(records.MAGIC + bytes((0, 0, 0, 0))), CorruptFileError, "version 0"),
        (header(records.MAGIC + bytes((1, 0, 2, 0))), UnsupportedVersionError, "flags 0200"),
        (header(records.MAGIC + bytes((1, 0, 3, 0))), UnsupportedVersionError, "flags 0300"),
        (header(records.MAGIC + bytes((1, 0, 0, 128))), UnsupportedVersionError, "flags 0080"),
    ],
)
def test_bad_headers(data: bytes, error: type[CodecError], words: str) -> None:
    with pytest.raises(error, match=f"^model.weft: .*{re.escape(words)}") as caught:
        records.check_header(data, "model.weft")
    assert type(caught.value) is error


@given(st.sampled_from([records.SPAN, records.CHUNK, records.INDEX]), st.lists(st.binary(max_size=50), max_size=4))
def test_record_round_trip(kind: int, parts: list[bytes]) -> None:
    whole = records.record(kind, *parts)
    body = b"".join(parts)
    assert records.frame_size(whole[:5], "f", 0) == (kind, len(whole)) == (kind, len(body) + records.FRAME_BYTES)
    assert records.body_of(memoryview(whole), kind, "f", 0) == body

    space = np.full(len(whole) + 9, 7, np.uint8)
    space[5 : 5 + len(body)] = np.frombuffer(body, np.uint8)
    assert records.seal(kind, space, 5 + len(body)) == len(whole)
    assert space[: len(whole)].tobytes() == whole
    assert (space[len(whole) :] == 7).all()


def test_largest_body() -> None:
    most = limits.RECORD_BODY_MAX
    assert len(records.record(records.SPAN, bytes(most))) == most + records.FRAME_BYTES
    with pytest.raises(ValueError, match="at most 655360"):
        records.record(records.CHUNK, bytes(most), b"!")
    with pytest.raises(ValueError, match="at most 655360"):
        records.seal(records.CHUNK, np.zeros(most + 20, np.uint8), most + 6)


@pytest.mark.parametrize(
    ("head", "error", "words"),
    [
        (b"\1\0\0\0", TruncatedFileError, "ends at byte 104"),
        (b"\0" + bytes(4), UnsupportedVersionError, "record kind 0 at byte 100"),
        (b"\4" + bytes(4), UnsupportedVersionError, "record kind 4 at byte 100"),
        (b"\1" + (limits.RECORD_BODY_MAX + 1).to_bytes(4, "little"), CorruptFileError, "announces 655361 bytes"),
        (b"\2" + b"\xff" * 4, CorruptFileError, "announces 4294967295 bytes"),
        (b"\3" + (limits.INDEX_STORED_MAX + 1).to_bytes(4, "little"), CorruptFileError, "announces 268435457"),
    ],
)
def test_bad_record_heads(head: bytes, error: type[CodecError], words: str) -> None:
    with pytest.raises(error, match=words):
        records.frame_size(head, "f", 100)


def test_record_of_another_kind_or_length() -> None:
    whole = memoryview(records.record(records.CHUNK, b"body"))
    with pytest.raises(CorruptFileError, match="record at byte 3 has kind 2, expected 1"):
        records.body_of(whole, records.SPAN, "f", 3)
    with pytest.raises(CorruptFileError, match="has 17 bytes, the index says 16"):
        records.body_of(whole[:-1], records.CHUNK, "f", 3)


def test_every_bit_of_a_record_counts() -> None:
    whole = records.record(records.CHUNK, b"a body of some bytes")
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises((CorruptFileError, UnsupportedVersionError)):
            records.body_of(memoryview(damaged), records.CHUNK, "f", 0)


@given(st.integers(16, 2**50), st.integers(13, limits.INDEX_STORED_MAX + 13))
def test_trailer_round_trip(position: int, length: int) -> None:
    end = records.trailer(position, length)
    assert end == trailer(position, length)
    assert records.check_trailer(end, position + length + records.TRAILER_BYTES, "f") == (position, length)


@pytest.mark.parametrize(
    ("data", "size", "error", "words"),
    [
        (trailer(16, 20)[1:], 68, TruncatedFileError, "cut off at byte 68"),
        (trailer(16, 20, records.MAGIC), 68, TruncatedFileError, "does not end with a weft trailer"),
        (b"\1" + trailer(16, 20)[1:], 68, CorruptFileError, "trailer checksum"),
        (trailer(15, 21), 68, CorruptFileError, "places 21 bytes of index at 15"),
        (trailer(56, 12), 100, CorruptFileError, "places 12 bytes"),
        (trailer(16, 20), 69, CorruptFileError, "in a file of 69 bytes"),
        (trailer(2**64 - 1, 20), 68, CorruptFileError, "places 20 bytes of index at 18446744073709551615"),
        (trailer(16, 2**28 + 14), 2**28 + 62, CorruptFileError, "at most 268435456"),
    ],
)
def test_bad_trailers(data: bytes, size: int, error: type[CodecError], words: str) -> None:
    with pytest.raises(error, match=words):
        records.check_trailer(data, size, "f")


@given(st.integers(0, 2**64 - 1), st.text(st.characters(), max_size=20))
def test_numbers_and_text_round_trip(number: int, text: str) -> None:
    raw = wire.varint(number) + wire.text(text)
    c = wire.Cursor(raw, "f")
    assert (c.varint(), c.text(200)) == (number, text)
    c.done()


def test_fixed_numbers() -> None:
    c = wire.Cursor(bytes(range(1, 14)), "f")
    assert (c.u8(), c.u32(), c.u64()) == (1, 0x05040302, 0x0D0C0B0A09080706)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "needs 1 bytes, only 0 are left"),
        (b"\x80", "needs 1 bytes"),
        (b"\x80\x00", "needless last byte"),
        (b"\xff\xff\x00", "needless last byte"),
        (b"\x80" * 10 + b"\1", "longer than 10 bytes"),
        (b"\xff" * 9 + b"\x02", "is more than 18446744073709551615"),
    ],
)
def test_misspelt_varints(data: bytes, words: str) -> None:
    with pytest.raises(CorruptFileError, match=f"f: at byte .*{words}"):
        wire.Cursor(data, "f").varint()


def test_a_cursor_does_not_read_past_its_end() -> None:
    c = wire.Cursor(memoryview(b"abc"), "f", 1)
    for bad in (3, -1, 2**70):
        with pytest.raises(CorruptFileError, match="only 2 are left"):
            c.skip(bad)
    with pytest.raises(CorruptFileError, match="at byte 1: 2 bytes too many"):
        c.done()
    with pytest.raises(CorruptFileError, match="number 98 is more than 97"):
        c.varint(97)
    with pytest.raises(CorruptFileError, match="not UTF-8"):
        wire.Cursor(b"\2\xff\xfe", "f").text(9)
    with pytest.raises(CorruptFileError, match="number 3 is more than 2"):
        wire.Cursor(b"\3abc", "f").text(2)
