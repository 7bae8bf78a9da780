"""Test vectors of deltas (FORMAT.md, section 4a, and transforms/11_delta.md)."""

from __future__ import annotations

from collections.abc import Iterator

import naive_writer as w
from copy_vectors import COPIES, TEXT, chunked, copy, file, plain
from naive_writer import made_body, plain_part, varint

SIGNED = 4


def delta(data: bytes, part: bytes, distance: int, kind: int) -> w.Bodies:
    """A span that says how these bytes differ from those so far before."""
    return len(data), [made_body(data, 11, varint(distance) + bytes((kind,)), [plain_part(part)])]


def numbers(values: list[int], width: int) -> bytes:
    return b"".join((v % (1 << 8 * width)).to_bytes(width, "little") for v in values)


def valid() -> Iterator[tuple[str, str, bytes, bytes]]:
    """(name, what it shows, the file, its original)."""
    for width in (1, 2, 4, 8):
        top = 1 << 8 * width - 1
        # a plain number goes up by z / 2, or down by (z + 1) / 2, round the circle
        source, z = [5, 5, 0, 2 * top - 1, 9, 9], [0, 4, 1, 2, 2 * top - 1, 2 * top - 2]
        made = numbers([5, 7, -1, 0, 9 - top, 9 + top - 1], width)
        before, part = numbers(source, width), numbers(z, width)
        shows = f"numbers of {width} bytes, up and down"
        parts = plain(before), delta(made, part, len(before), width.bit_length() - 1)
        yield f"delta-plain-{width}", shows, file(before + made, *parts), before + made
        # of sign and magnitude: 3 and 4 below 0, then from -0 to +0 and back, and across
        source, z = [top + 5, top + 5, top, 0, 1, top + 1], [6, 7, 2, 1, 7, 8]
        made = numbers([top + 2, top + 9, 0, top, top + 2, 2], width)
        before, part = numbers(source, width), numbers(z, width)
        parts = plain(before), delta(made, part, len(before), width.bit_length() - 1 | SIGNED)
        yield f"delta-signed-{width}", f"floats of {width} bytes", file(before + made, *parts), before + made
    made = bytes(b + 1 for b in TEXT[3:9])
    parts = chunked(TEXT), plain(b"!"), delta(made, b"\2" * 6, 24, 0)
    yield "delta-chunks", "near a part of some chunks", file(TEXT + b"!" + made, *parts), TEXT + b"!" + made
    parts = plain(TEXT), copy(TEXT, 26), delta(TEXT, bytes(26), 52, 0)
    yield "delta-copy", "a copy, and a delta to the same", file(TEXT * 3, *parts), TEXT * 3


def invalid() -> Iterator[tuple[str, str, bytes, str]]:
    """(name, the rule that it breaks, the file, the error)."""
    corrupt, none, twice = "Corrupt", bytes(26), TEXT + TEXT
    sound = delta(TEXT, none, 26, 0)
    yield "delta-flag", "a header without the flag", file(twice, plain(TEXT), sound, front=w.header()), corrupt
    for distance in (0, 25, 27, 2**64 - 1):
        found = file(twice, plain(TEXT), delta(TEXT, none, distance, 0))
        yield f"delta-distance-{distance}", "a source that is not there", found, corrupt
    for kind in (8, 16, 128):
        found = file(twice, plain(TEXT), delta(TEXT, none, 26, kind))
        yield f"delta-kind-{kind}", "a bit of the kind that must be 0", found, corrupt
    yield "delta-width", "26 bytes are no elements of 4", file(twice, plain(TEXT), delta(TEXT, none, 26, 2)), corrupt
    yield "delta-hash", "other bytes", file(twice, plain(TEXT), delta(TEXT, b"\2" + none[1:], 26, 0)), corrupt
    three = TEXT * 3
    yield "delta-of-delta", "near a delta", file(three, plain(TEXT), sound, sound), corrupt
    yield "delta-of-copy", "near a copy", file(three, plain(TEXT), copy(TEXT, 26), sound), corrupt
    yield "copy-of-delta", "a copy of a delta", file(three, plain(TEXT), sound, copy(TEXT, 26)), corrupt
    small = 26, [made_body(TEXT, 11, varint(26) + b"\0", [plain_part(bytes(25))])]
    yield "delta-part", "a part of 25 bytes", file(twice, plain(TEXT), small), corrupt
    alone = 26, [made_body(TEXT, 11, varint(26) + b"\0", [])]
    yield "delta-no-part", "no part", file(twice, plain(TEXT), alone), corrupt
    most = bytes(range(65))
    found = file(most + b"\x40", plain(most), delta(b"\x40", b"\0", 1, 0))
    yield "delta-small", "near a byte in a chunk of 65", found, corrupt
    inner = made_body(TEXT[:13], 11, varint(26) + b"\0", [plain_part(bytes(13))])
    fields = 26, [made_body(TEXT, 1, b"\2\1\1", [inner, plain_part(TEXT[13:])])]
    yield "delta-as-part", "a part that is a delta", w.weft([plain(TEXT), fields], twice, front=COPIES), corrupt
