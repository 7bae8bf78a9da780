"""Test vectors of copies (FORMAT.md, section 4a, and transforms/6_copy.md)."""

from __future__ import annotations

from collections.abc import Iterator

import naive_writer as w
from naive_writer import made_body, plain_part, varint

COPIES = w.header(flags=1)
TEXT = bytes(range(65, 91))  # A to Z
#: Layout of a span of U8 in chunks of 8 bytes.
LAYOUT = bytes.fromhex("02 00 08 08 01 c0 00")


def plain(data: bytes) -> w.Bodies:
    """A span of one chunk, stored."""
    return len(data), [plain_part(data)]


def chunked(data: bytes) -> w.Bodies:
    """A span in chunks of 8 bytes."""
    held = [data[at : at + 8] for at in range(0, len(data), 8)]
    chunks = [varint(k) + w.hash64(chunk) + b"\0" + chunk for k, chunk in enumerate(held)]
    return len(data), [varint(len(data)) + LAYOUT, *chunks]


def copy(data: bytes, distance: int, length: int = -1) -> w.Bodies:
    """A span that says that these bytes were there so far before."""
    return len(data) if length < 0 else length, [made_body(data, 6, varint(distance), [], length)]


def file(original: bytes, *spans: w.Bodies, front: bytes = COPIES) -> bytes:
    """A file of these spans."""
    return w.weft(list(spans), original, front=front)


def valid() -> Iterator[tuple[str, str, bytes, bytes]]:
    """(name, what it shows, the file, its original)."""
    twice = TEXT + TEXT
    yield "copy", "a span, and a copy of it", file(twice, plain(TEXT), copy(TEXT, 26)), twice
    made = TEXT + b"!" + TEXT[3:9]
    yield "copy-part", "a copy of a part of a chunk", file(made, plain(TEXT), plain(b"!"), copy(TEXT[3:9], 24)), made
    most = bytes(range(64))
    one = most + b"\x3f"
    yield "copy-byte", "a copy of the byte before, in a chunk of 64", file(one, plain(most), copy(b"\x3f", 1)), one
    spans = [plain(TEXT[:5]), chunked(TEXT[5:22]), plain(TEXT[22:])]
    yield "copy-spans", "a copy of bytes in three spans", file(twice, *spans, copy(TEXT, 26)), twice
    three = TEXT * 3
    yield "copy-twice", "two copies of a span", file(three, plain(TEXT), copy(TEXT, 26), copy(TEXT, 52)), three
    ramp = 8, [made_body(TEXT[:8], 3, b"\0A\1", [])]
    yield "copy-made", "a copy of a made span", file(TEXT[:8] * 2, ramp, copy(TEXT[:8], 8)), TEXT[:8] * 2
    long = bytes(k * 7 % 251 for k in range(18 * 8))
    found = long + long[7:128]
    yield "copy-16-chunks", "a copy of bytes in 16 chunks", file(found, chunked(long), copy(long[7:128], 137)), found
    short = [plain(long[k : k + 1]) for k in range(20)]
    found = long[:20] + long[2:18]
    yield "copy-16-spans", "a copy of bytes in 16 spans", file(found, *short, copy(long[2:18], 18)), found
    yield "copy-none", "a file that may hold copies, and holds none", file(TEXT, plain(TEXT)), TEXT


def invalid() -> Iterator[tuple[str, str, bytes, str]]:
    """(name, the rule that it breaks, the file, the error)."""
    corrupt = "Corrupt"
    twice = TEXT + TEXT
    flat = file(twice, plain(TEXT), copy(TEXT, 26), front=w.header())
    yield "copy-flag", "a copy, and a header without the flag", flat, corrupt
    for distance, breaks in ((0, "a copy of itself"), (25, "a source that reaches into the copy")):
        yield f"copy-distance-{distance}", breaks, file(twice, plain(TEXT), copy(TEXT, distance)), corrupt
    for distance in (27, 2**63, 2**64 - 1):
        found = file(twice, plain(TEXT), copy(TEXT, distance))
        yield f"copy-distance-{distance}", "a source before the beginning", found, corrupt
    yield "copy-first", "a copy in front", file(TEXT, copy(TEXT, 26)), corrupt
    yield "copy-hash", "other bytes than the hash says", file(twice, plain(TEXT), copy(TEXT.lower(), 26)), corrupt
    three = TEXT * 3
    found = file(three, plain(TEXT), copy(TEXT, 26), copy(TEXT, 26))
    yield "copy-of-copy", "a copy of a copy", found, corrupt
    original = twice + b"YZA"
    found = file(original, plain(TEXT), copy(TEXT, 26), copy(b"YZA", 28))
    yield "copy-into-copy", "a source that reaches into another copy", found, corrupt
    long = bytes(k * 7 % 251 for k in range(18 * 8))
    found = file(long + long[7:129], chunked(long), copy(long[7:129], 137))
    yield "copy-17-chunks", "a source in 17 chunks", found, corrupt
    short = [plain(long[k : k + 1]) for k in range(20)]
    yield "copy-17-spans", "a source in 17 spans", file(long[:20] + long[2:19], *short, copy(long[2:19], 18)), corrupt
    most = bytes(range(65))
    found = file(most + b"\x40", plain(most), copy(b"\x40", 1))
    yield "copy-small", "a copy of a byte in a chunk of 65", found, corrupt
    part = 26, [made_body(TEXT, 6, varint(26), [plain_part(b"a")])]
    yield "copy-with-part", "a copy with a part", file(twice, plain(TEXT), part), corrupt
    short_one = 26, [varint(26) + b"\2\x86\x80"]
    yield "copy-cut", "a distance cut short", file(twice, plain(TEXT), short_one), corrupt
    inner = made_body(TEXT[:13], 6, varint(26), [])
    fields = 26, [made_body(TEXT, 1, b"\2\1\1", [inner, plain_part(TEXT[13:])])]
    yield "copy-as-part", "a part that is a copy", file(twice, plain(TEXT), fields), corrupt
