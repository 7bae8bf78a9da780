"""The vectors that a decoder must refuse: each breaks one rule of the document, in one place.

Checksums are computed over what is wrong, so that a decoder meets the fault itself; except where one is the fault.
Layouts and bodies are hexadecimal, to be read beside the tables of FORMAT.md. make_vectors.py writes the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import column_vectors
import copy_vectors
import delta_vectors
import lent_vectors
import made_vectors
import naive_writer as w
from naive_writer import bits_to_bytes, low_first, varint

CORRUPT, TRUNCATED, UNSUPPORTED, NOT_WEFT = "Corrupt", "Truncated", "Unsupported", "NotWeft"


@dataclass
class Invalid:
    """One file and what a decoder says of it.

    ``error``: one class, or several of which any will do. ``otherwise``: of those ways of reading for which it is
    another one, or (None) no error, but the original.
    """

    name: str
    breaks: str
    blob: bytes
    error: str | list[str] = CORRUPT
    otherwise: dict[str, str | None] = field(default_factory=dict)
    original: bytes | None = None


def front(error: str) -> dict[str, str | None]:
    return {"front_to_back": error}


# ---- A sound file, to be damaged: a span of one chunk, and one of three --------------------------------------------

ORIGINAL = b"spanspan" + b"chunk000" + b"chunk111" + b"chunk2"
LAYOUT = bytes.fromhex("02 00 08 08 01 c0 00")
HEAD, CHUNKS = varint(22) + LAYOUT, [ORIGINAL[8:16], ORIGINAL[16:24], ORIGINAL[24:]]
FIRST: w.Bodies = 8, [varint(8) + LAYOUT + w.hash64(ORIGINAL[:8]) + b"\0" + ORIGINAL[:8]]
SECOND: w.Bodies = 22, [HEAD, *(varint(k) + w.hash64(c) + b"\0" + c for k, c in enumerate(CHUNKS))]
SPANS = [FIRST, SECOND]
TENSORS = [("a", 2, (2, 4), 0, 1), ("b", 4, (11,), 1, 1)]
BLOB = w.weft(SPANS, ORIGINAL, tensors=w.listed_tensors(TENSORS))


def pieces(blob: bytes = BLOB) -> list[bytes]:
    """Header, records, trailer."""
    out, at = [blob[:16]], 16
    while at < len(blob) - 32:
        size = 13 + int.from_bytes(blob[at + 1 : at + 5], "little")
        out.append(blob[at : at + size])
        at += size
    return [*out, blob[at:]]


def replaced(number: int, new: bytes) -> bytes:
    held = pieces()
    held[number] = new
    return b"".join(held)


def flipped(data: bytes, at: int, mask: int = 1) -> bytes:
    out = bytearray(data)
    out[at] ^= mask
    return bytes(out)


SPAN_A, SPAN_B, CHUNK, INDEX, TRAILER = 1, 2, 3, 6, 7  # among the pieces


# ---- 2. Header ----------------------------------------------------------------------------------------------------


def headers() -> Iterator[Invalid]:
    head, rest = BLOB[:16], BLOB[16:]
    yield Invalid("empty", "an empty file", b"", NOT_WEFT)
    for name, blob, what in (
        ("magic-other", b"PK\3\4" + bytes(60), "another magic"),
        ("magic-bit-7", flipped(BLOB, 0, 128), "bit 7 of the magic cleared"),
        ("magic-line-end", BLOB.replace(b"\r\n", b"\n", 1), "the line end in the magic changed"),
        ("magic-last-byte", flipped(BLOB, 7), "the last byte of the magic"),
        ("magic-cut-and-other", BLOB[:4] + b"?", "5 bytes that are no magic"),
        ("magic-end", rest, "the header is missing"),
    ):
        yield Invalid(f"header-{name}", what, blob, NOT_WEFT)
    for size in (1, 7, 8, 9, 15):
        yield Invalid(f"header-cut-{size}", f"the file ends after {size} bytes", head[:size], TRUNCATED)
    for major, name, blob in (
        (2, "major-2", w.header(major=2) + rest),
        (255, "major-255", w.header(major=255) + rest),
        (2, "major-2-other-rest", BLOB[:8] + b"\2" + b"anything"),
        (2, "major-2-alone", BLOB[:8] + b"\2"),
    ):
        yield Invalid(f"header-{name}", f"major version {major}", blob, UNSUPPORTED)
    yield Invalid("header-major-0", "major version 0", w.header(major=0) + rest)
    for flags in (2, 0x8000):
        yield Invalid(f"header-flags-{flags:04x}", f"flags {flags:04x}", w.header(flags=flags) + rest, UNSUPPORTED)
    yield Invalid("header-flags-check", "flags, and a check that says they are damage", flipped(BLOB, 10))
    yield Invalid("header-check", "the check", flipped(BLOB, 12))
    yield Invalid("header-minor-check", "minor version 1, the check of 0", flipped(BLOB, 9))


# ---- 1. and 3. The file and its records ---------------------------------------------------------------------------


def records() -> Iterator[Invalid]:
    held = pieces()
    at = [sum(map(len, held[:k])) for k in range(len(held) + 1)]
    for name, size in (
        ("header-alone", at[1]),
        ("in-kind-and-length", at[1] + 3),
        ("in-span", at[2] - 20),
        ("before-chunks", at[3]),
        ("in-chunk", at[4] - 1),
        ("between-chunks", at[4]),
        ("before-index", at[6]),
        ("in-index", at[6] + 30),
        ("before-trailer", at[7]),
        ("in-trailer", at[7] + 16),
        ("last-byte", at[8] - 1),
    ):
        yield Invalid(f"cut-{name}", f"the file ends after {size} of {len(BLOB)} bytes", BLOB[:size], TRUNCATED)
    yield Invalid("cut-front", "a record is missing from the middle", b"".join(held[:4] + held[5:]))
    for kind in (0, 4, 255):
        body = held[SPAN_A][5:-8]
        yield Invalid(f"record-kind-{kind}", f"record kind {kind}", replaced(SPAN_A, w.record(kind, body)), UNSUPPORTED)
    yield Invalid(
        "record-kind-check",
        "kind 7, and a check that says it is damage",
        replaced(SPAN_A, flipped(held[SPAN_A], 0, 6)),
        [UNSUPPORTED, CORRUPT],
    )
    yield Invalid(
        "record-kind-chunk",
        "a chunk record in place of a span record",
        replaced(SPAN_A, w.record(2, held[SPAN_A][5:-8])),
    )
    yield Invalid(
        "record-kind-span", "a span record in place of a chunk record", replaced(CHUNK, w.record(1, held[CHUNK][5:-8]))
    )
    for name, number, most in (("span", SPAN_A, 655_360), ("chunk", CHUNK, 655_360), ("index", INDEX, 1 << 28)):
        record = held[number]
        long = record[:1] + (most + 1).to_bytes(4, "little") + record[5:]
        yield Invalid(f"record-{name}-too-long", f"a {name} record of {most + 1} bytes", replaced(number, long))
        beyond = record[:1] + (500_000).to_bytes(4, "little") + record[5:]
        yield Invalid(
            f"record-{name}-beyond-the-end",
            "a length that goes on behind the end of the file",
            replaced(number, beyond),
            CORRUPT,
            front(TRUNCATED),
        )
        for what, place in (("length", 1), ("body", 6), ("check", len(record) - 1)):
            yield Invalid(
                f"record-{name}-{what}",
                f"a bit flipped in the {what} of a {name} record",
                replaced(number, flipped(record, place)),
            )
    number, head = 8, bytes.fromhex("02 00 08 08 01 c0 00")
    body = w.hash64(ORIGINAL[:8]) + b"\0" + ORIGINAL[:8]
    yield Invalid(
        "record-one-chunk-apart",
        "the only chunk of a span in a record of its own",
        w.weft([(number, [varint(8) + head, b"\0" + body])], ORIGINAL[:8]),
    )
    apart: dict[str, tuple[list[bytes], str]] = {
        "inline": ([SECOND[1][0] + SECOND[1][1][1:], *SECOND[1][1:]], "a chunk in the record of a span of three"),
        "byte-behind-planes": ([SECOND[1][0] + b"\0", *SECOND[1][1:]], "a byte behind the planes of a span of chunks"),
        "missing": (SECOND[1][:3], "the last chunk is missing"),
        "missing-first": ([SECOND[1][0], *SECOND[1][2:]], "the first chunk is missing"),
        "all-missing": (SECOND[1][:1], "all chunks are missing"),
        "too-many": ([*SECOND[1], b"\3" + SECOND[1][1][1:]], "a chunk more than the span has"),
        "swapped": ([SECOND[1][k] for k in (0, 2, 1, 3)], "two chunks changed places"),
        "twice": ([SECOND[1][k] for k in (0, 1, 1, 3)], "the same chunk twice"),
        "number": ([SECOND[1][0], b"\1" + SECOND[1][1][1:], *SECOND[1][2:]], "chunk 0 has number 1"),
        "number-long": ([SECOND[1][0], b"\x80\0" + SECOND[1][1][1:], *SECOND[1][2:]], "a number with a needless byte"),
        "number-missing": ([SECOND[1][0], SECOND[1][1][1:], *SECOND[1][2:]], "a chunk record without its number"),
        "empty": ([SECOND[1][0], b"", *SECOND[1][2:]], "a chunk record with no body"),
    }
    for name, (changed, what) in apart.items():
        yield Invalid(f"chunks-{name}", what, w.weft([(22, changed)], ORIGINAL[8:]))
    listed = w.index_proper(SPANS, w.listed_tensors(TENSORS), ORIGINAL, "opaque", "default")
    yield Invalid(
        "span-not-listed", "a span that the index does not list", w.weft([FIRST, FIRST, SECOND], None, index=listed)
    )
    yield Invalid(
        "span-listed-but-missing",
        "a span that the index lists and the file does not have",
        w.weft([SECOND], None, index=listed),
    )
    z8, z9 = ((n, [varint(n) + LAYOUT.replace(b"\x08", b"\x10") + w.hash64(bytes(n)) + b"\1\0"]) for n in (8, 9))
    listed = w.index_proper([z8, z9], w.listed_tensors([("a", 2, (17,), 0, 2)]), bytes(17), "opaque", "default")
    yield Invalid(
        "span-order",
        "two spans of one stored size changed places, but not in the index",
        w.weft([z9, z8], None, index=listed),
    )
    yield Invalid(
        "byte-between-records",
        "a byte between two records",
        BLOB[: at[2]] + b"\0" + BLOB[at[2] : at[7]] + w.trailer(at[6] + 1, len(held[INDEX])),
        CORRUPT,
        front(UNSUPPORTED),
    )
    yield Invalid(
        "index-twice",
        "two index records",
        BLOB[: at[7]] + held[INDEX] + w.trailer(at[7], len(held[INDEX])),
        CORRUPT,
        front(TRUNCATED),
    )


# ---- 4. Span record -----------------------------------------------------------------------------------------------

BYTES = "00 08 08 01 c0 00"  # elements of one byte, one plane, chunks of 8
PAIRS = "01 08 08 02 c0 00 c8 00"  # of two bytes, two planes
NIBBLES = "00 08 08 02 80 00 84 00"  # of one byte, two planes
ESCAPED = "41 08 08 02 c0 00 c8 00"
DROPS = "21 08 08 02 c0 00 c8 00"
BOTH = "61 08 08 02 c0 00 c8 00"
A8, Z8, Z16 = b"a" * 8, bytes(8), bytes(16)


def one(original: bytes, layout: str, body: str | bytes, tail: bytes = b"") -> bytes:
    """A file of one span in one chunk: ``layout`` from the layout byte on, ``body`` behind the chunk's hash."""
    head = varint(len(original)) + b"\2" + bytes.fromhex(layout) + w.hash64(original)
    body = bytes.fromhex(body) if isinstance(body, str) else body
    return w.weft([(len(original), [head + body + tail])], original)


def spans() -> Iterator[Invalid]:
    def wrong(
        name: str, breaks: str, original: bytes, layout: str, body: str = "01 61", error: str = CORRUPT
    ) -> Invalid:
        return Invalid(f"span-{name}", breaks, one(original, layout, body), error)

    rest = bytes.fromhex("00 08 08 01 c0 00") + w.hash64(A8) + b"\1a"
    yield Invalid(
        "span-length-0", "a span without bytes", w.weft([(0, [b"\0\2\0\1\1\0" + w.hash64(b"")])], b"", tensors=b"\0")
    )
    yield Invalid(
        "span-length-most", "a span of 8,388,609 bytes", w.weft([(8_388_609, [varint(8_388_609) + b"\2" + rest])], A8)
    )
    yield Invalid("span-length-long", "a length with a needless byte", w.weft([(8, [b"\x88\0\2" + rest])], A8))
    yield Invalid(
        "span-length-11-bytes", "a length of eleven bytes", w.weft([(8, [b"\x88" + b"\x80" * 9 + b"\1\2" + rest])], A8)
    )
    yield Invalid("span-empty", "a span record with no body", w.weft([(8, [b""])], A8))
    yield Invalid("span-short", "a span record of two bytes", w.weft([(8, [b"\x08\2"])], A8))
    for dtype in (23, 255):
        yield Invalid(
            f"span-dtype-{dtype}",
            f"element type {dtype}",
            w.weft([(8, [b"\x08" + bytes((dtype,)) + rest])], A8),
            UNSUPPORTED,
        )
    for layout, width in (("04 08", 1), ("05 10", 2), ("06 20", 4), ("07 40", 8), ("05 ff", 2)):
        yield wrong(
            f"fold-{width}-{layout[-2:]}",
            f"a fold to bit {int(layout[-2:], 16)} of {8 * width}",
            bytes(16),
            f"{layout} 08 08 01 c0 00",
            "01 00",
        )
    yield wrong("window-65536", "a window of 65,536", Z8, "08 808004 08 08 01 c0 00", "01 00")
    yield wrong("window-long", "a window with a needless byte", Z8, "08 8300 08 08 01 c0 00", "01 00")
    yield wrong("window-no-planes", "a window without planes", Z8, "08 03 08 08 00", "")
    yield wrong("window-4-bits", "a window, and a last plane of 4 bits", Z8, "08 03 08 08 01 80 00", "01 00")
    yield wrong(
        "window-not-last",
        "a window; only the plane before the last reaches beyond the element",
        Z16,
        "09 03 08 08 02 cc 00 ce 00",
        "01 00 01 00",
    )
    yield wrong("escapes-no-planes", "escapes without planes", Z8, "40 08 08 00", "00")
    yield wrong("constant-cut", "the record ends within the constant", Z8, "13 0102", "")
    yield wrong("tile-0", "a tile of 0", A8, "00 00 08 01 c0 00")
    yield wrong(
        "tile-0-no-elements", "a tile of 0, in a span of no elements", b"a", "01 00 01 02 c0 00 c8 00", "01000100 61"
    )
    yield wrong("tile-7", "a tile of 7 in a span of 8", A8, "00 07 07 01 c0 00")
    yield wrong("tile-6", "a tile of 6 in a span of 7", A8[:7], "00 06 0c 01 c0 00")
    yield wrong("tile-16385", "a tile of 16,385", A8, "00 818001 818001 01 c0 00")
    yield wrong("chunk-0", "a chunk of 0", A8, "00 08 00 01 c0 00")
    yield wrong("chunk-12", "a chunk that is no multiple of the tile", A8, "00 08 0c 01 c0 00")
    yield wrong("chunk-4", "a chunk smaller than the tile", A8, "00 08 04 01 c0 00")
    for layout, chunk in (("00", "888020"), ("01", "888010"), ("02", "888008"), ("03", "888004")):
        yield wrong(
            f"chunk-524288-{layout}", "a chunk of 524,288 bytes and 8 elements", Z16, f"{layout} 08 {chunk} 00", ""
        )
    yield wrong("planes-65", "65 planes", Z8, "03 01 01 41" + "00 00" * 65, "")
    yield wrong("planes-cut", "three planes are announced, two are there", A8, "00 08 08 03 00 00 01 00", "")
    yield wrong("planes-overlap", "two planes share a bit", Z8, "00 08 08 02 80 00 83 00", "01 00 01 00")
    yield wrong("planes-twice", "the same plane twice", Z8, "00 08 08 02 c0 00 c0 00", "01 00 01 00")
    yield wrong("planes-order", "planes from high to low", Z8, "00 08 08 02 84 00 80 00", "01 00 01 00")
    yield wrong("planes-beyond", "a plane of 4 bits at bit 5 of 8", Z8, "00 08 08 01 85 00", "01 00")
    yield wrong("planes-shift", "a plane at bit 8 of 8", Z8, "00 08 08 01 08 00", "01 00")
    yield wrong("planes-shift-window", "a window, and a last plane at bit 8 of 8", Z8, "08 03 08 08 01 c8 00", "01 00")
    yield wrong("tables-17", "17 tables", A8, "00 08 08 01 c0 51" + "61 01 00 0b" * 17)
    tables = bits_to_bytes(HUFFMAN).hex()
    yield wrong(
        "tables-129",
        "129 tables in nine planes",
        bytes(16),
        "07 00 02 02 09"
        + "".join(f"{7 * p:02x} {96 + (16 if p < 8 else 1):02x}" + tables * (16 if p < 8 else 1) for p in range(9)),
        "0100" * 9,
    )
    for stage in (0, 1, 4, 5, 6):
        yield wrong(
            f"tables-stage-{stage}",
            f"tables of stage {stage}",
            A8,
            f"00 08 08 01 c0 {stage << 5 | 1:02x} 00",
            error=UNSUPPORTED,
        )
    yield wrong("tables-none-of-2", "no tables, but a stage for them", A8, "00 08 08 01 c0 40")


# ---- Stages 2, 3, 4 -----------------------------------------------------------------------------------------------

# Tables of two symbols, a and b. rANS: a has 2048 slots (12 bits, 11 more than the 1 before; no more bits given), b is
# the filler. Huffman: the code of a has 1 bit, 4 less than the 5 before, as has that of b.
AB = low_first(97, 8) + low_first(1, 8)
RANS = f"{AB} {low_first(1, 8)} 0000 {'1' * 21}0"
HUFFMAN = f"{AB} {'1' * 8}0 0"
WORD = b"abbabba"
RANS_PAYLOAD = "00" + w.written_states([0x81B000]).hex()
HUFFMAN_PAYLOAD = "00000001 36"


def coded(stage: int, tables: str, payload: str | bytes, data: bytes = WORD, count: int = 1, tile: int = 8) -> bytes:
    """``tables`` in bits."""
    payload = bytes.fromhex(payload) if isinstance(payload, str) else payload
    raw = bits_to_bytes(tables).hex() * count
    size = varint(-(-len(data) // tile) * tile).hex()
    layout = f"00 {varint(tile).hex()} {size} 01 c0 {stage << 5 | count:02x} {raw}"
    return one(data, layout, bytes((stage,)) + payload)


def tables() -> Iterator[Invalid]:
    a, one_span = low_first(97, 8), low_first(1, 8)
    for name, bits, what in (
        ("one-symbol", f"{a} {low_first(0, 8)} {low_first(0, 8)} 0000", "a range of one symbol"),
        ("symbol-256", f"{low_first(255, 8)} {one_span} {one_span} 0000 {'1' * 21}0", "a range to symbol 256"),
        ("filler-outside", f"{AB} {low_first(2, 8)} 0000 {'1' * 21}0 {'1' * 20}0", "a filler outside the range"),
        ("13-bits", f"{AB} {one_span} 0000 {'1' * 23}0", "a frequency of 13 bits"),
        ("minus-1-bits", f"{AB} {one_span} 0000 {'1' * 4}0", "a frequency of -1 bits"),
        ("25-ones", f"{AB} {one_span} 0000 {'1' * 25}0", "a difference of 25 ones"),
        ("filler-0", f"{a} {low_first(2, 8)} {low_first(2, 8)} 0000 {'1' * 21}0 0", "4096 without the filler"),
        ("filler-less", f"{a} {low_first(3, 8)} {low_first(3, 8)} 0000 {'1' * 21}0 0 0", "more than 4096"),
        ("filler-4096", f"{AB} {one_span} 0000 110", "all frequencies but the filler's are 0"),
        ("cut", f"{AB} {one_span} 0000 1111", "the record ends within a table"),
    ):
        blob = coded(2, bits, RANS_PAYLOAD)
        if name == "cut":
            blob = w.weft([(7, [varint(7) + bytes.fromhex("02 00 08 08 01 c0 41") + bits_to_bytes(bits)[:4]])], WORD)
        yield Invalid(f"rans-table-{name}", f"rANS table: {what}", blob)
    for name, bits, what in (
        ("one-symbol", f"{a} {low_first(0, 8)} {'1' * 8}0", "a range of one symbol"),
        ("symbol-256", f"{low_first(255, 8)} {one_span} {'1' * 8}0 0", "a range to symbol 256"),
        ("12-bits", f"{AB} {'1' * 13}0 0", "a code of 12 bits"),
        ("minus-1-bits", f"{AB} {'1' * 12}0 0", "a code of -1 bits"),
        ("25-ones", f"{AB} {'1' * 25}0 0", "a difference of 25 ones"),
        ("incomplete", f"{AB} {'1' * 8}0 10", "codes of 1 and 2 bits"),
        ("overfull", f"{a} {low_first(2, 8)} {'1' * 8}0 0 0", "three codes of 1 bit"),
        ("empty", f"{AB} {'1' * 10}0 0", "no codes at all"),
        ("lone", f"{AB} {'1' * 8}0 110", "one code, of 1 bit"),
    ):
        yield Invalid(f"huffman-table-{name}", f"Huffman table: {what}", coded(3, bits, HUFFMAN_PAYLOAD))
    yield Invalid("rans-table-padding", "rANS table: the bits behind it are not 0", coded(2, RANS + "1", RANS_PAYLOAD))
    yield Invalid(
        "huffman-table-padding", "Huffman table: the bits behind it are not 0", coded(3, HUFFMAN + "1", HUFFMAN_PAYLOAD)
    )


def payloads() -> Iterator[Invalid]:
    table: w.Table = {97: 2048, 98: 2048}
    data = (b"abbabaaabbbabaababba" * 8)[:150]
    tiles = [data[k : k + 50] for k in range(0, 150, 50)]
    sound = w.rans(tiles, [table], [0, 0, 0])
    count, states, words = sound[0], sound[1 : -2 * sound[0]], sound[-2 * sound[0] :]
    for name, payload, what in (
        ("words-beyond", bytes((count + 9,)) + states + words, "more words than the record has"),
        ("words-huge", varint(2**63) + states + words, "2^63 words"),
        ("words-long", bytes((count | 128, 0)) + states + words, "a number of words with a needless byte"),
        ("word-missing", bytes((count - 1,)) + states + words[:-2], "the last word is missing"),
        ("word-too-many", bytes((count + 1,)) + states + words + b"\0\0", "a word is left over"),
        ("byte-behind", sound + b"\0", "a byte behind the stream"),
        ("states-cut", b"\0" + states[:2], "the record ends within the states"),
    ):
        yield Invalid(f"rans-{name}", f"rANS: {what}", coded(2, RANS, payload, data, tile=50))
    yield Invalid(
        "rans-states-padding",
        "rANS: the bits behind the states are not 0",
        coded(2, RANS, RANS_PAYLOAD[:-2] + f"{int(RANS_PAYLOAD[-2:], 16) | 128:02x}"),
    )
    yield Invalid(
        "rans-state-end",
        "rANS: the bytes are right, but the state does not end as 65,536",
        coded(2, RANS, b"\0" + w.written_states([0x89B000])),
    )
    yield Invalid(
        "rans-other-bytes",
        "rANS: it decodes to other bytes than the hash says",
        coded(2, RANS, RANS_PAYLOAD, WORD[:-1] + b"b"),
    )
    lanes = w.rans([data] * 20, [table], [0] * 20)
    yield Invalid(
        "rans-lanes",
        "rANS: one state where 4 lanes are due",
        coded(
            2, RANS, lanes[:2] + states + lanes[len(lanes) - 2 * (lanes[0] & 127 | lanes[1] << 7) :], data * 20, tile=50
        ),
    )
    long = b"a" * 131_072
    one_of = w.rans([long[:16_384]] * 8, [{97: 4095, 98: 1}], [0] * 8)
    raw = "".join(low_first(byte, 8) for byte in w.written_table(2, {97: 4095, 98: 1}))
    for number in (16, 65, 255):
        payload = one_of[:1] + bytes((number,)) + one_of[2:]  # no words, then the lanes
        yield Invalid(
            f"rans-lanes-{number}",
            f"rANS: {number} lanes, where 64 or 128 are allowed",
            coded(2, raw, payload, long, tile=16_384),
        )
    streams = w.huffman(tiles, [{97: 1, 98: 1}], [0, 0, 0])
    sizes, bits = streams[:4], streams[4:]
    for name, payload, what in (
        ("sizes-beyond", sizes[:3] + bytes((sizes[3] + 9,)) + bits, "streams longer than the record"),
        ("sizes-huge", varint(2**64 - 1) + sizes[1:] + bits, "a stream of 2^64 - 1 bytes"),
        ("sizes-sum", varint(2**63) * 2 + sizes[2:] + bits, "two streams of 2^63 bytes, together 0 in 64 bits"),
        ("stream-short", sizes[:3] + bytes((sizes[3] - 1,)) + bits[:-1], "a stream ends within a tile"),
        ("stream-long", sizes[:3] + bytes((sizes[3] + 1,)) + bits + b"\0", "a stream with a byte too many"),
        ("stream-padding", sizes + bits[:-1] + bytes((bits[-1] | 128,)), "the bits behind a stream are not 0"),
        ("stream-without-tiles", b"\1" + sizes[1:] + b"\0" + bits, "a stream without tiles has a byte"),
        ("byte-behind", streams + b"\0", "a byte behind the streams"),
        ("sizes-cut", sizes[:2], "the record ends within the sizes"),
    ):
        yield Invalid(f"huffman-{name}", f"Huffman: {what}", coded(3, HUFFMAN, payload, data, tile=50))
    yield Invalid(
        "huffman-stream-place",
        "Huffman: the only tile is in the first stream, not the last",
        coded(3, HUFFMAN, "01000000 36"),
    )
    for stage, name, payload in ((2, "rans", "00 {} 00b08100"), (3, "huffman", "00000001 {} 36")):
        table_bits = RANS if stage == 2 else HUFFMAN
        for tables, choice, what in (
            (2, "03", "unused bits of the choice are not 0"),
            (3, "03", "table 3 of 3"),
            (5, "05", "table 5 of 5"),
            (5, "15", "table 5 of 5, and unused bits"),
            (16, "10", "unused bits of the choice are not 0"),
        ):
            yield Invalid(
                f"{name}-choice-{tables}-{choice}",
                f"{name}: {what}",
                coded(stage, table_bits, payload.format(choice), count=tables),
            )
        yield Invalid(
            f"{name}-choice-cut",
            f"{name}: the record ends before the choice",
            coded(stage, table_bits, payload.partition("{")[0], count=2),
        )
    yield Invalid("rans-no-tables", "rANS without tables", one(A8, BYTES, "02" + RANS_PAYLOAD))
    yield Invalid("huffman-no-tables", "Huffman without tables", one(A8, BYTES, "03" + HUFFMAN_PAYLOAD))
    for stage, bits_, payload in ((2, HUFFMAN, RANS_PAYLOAD), (3, RANS, HUFFMAN_PAYLOAD)):
        layout = f"00 08 08 01 c0 {(5 - stage) << 5 | 1:02x} {bits_to_bytes(bits_).hex()}"
        yield Invalid(
            f"tables-of-the-other-stage-{stage}",
            f"stage {stage}, and the tables are of the other",
            one(WORD, layout, f"0{stage}{payload}"),
        )


TEXT = b"to be or not to be, to be or not"
SKIPPABLE = bytes.fromhex("50 2a 4d 18 03 00 00 00 00 00 00")
RAW = bytes.fromhex("190000 616161")  # the last block, raw: aaa


def frames() -> Iterator[Invalid]:
    def framed(name: str, breaks: str, frame: bytes, data: bytes = TEXT, size: bytes | None = None) -> Invalid:
        layout = f"00 {len(data):02x} {len(data):02x} 01 c0 00"
        size = varint(len(frame)) if size is None else size
        return Invalid(f"zstd-{name}", f"zstd: {breaks}", one(data, layout, b"\4" + size + frame))

    sound = w.zstd(TEXT)
    aaa = b"aaa"
    yield framed("empty", "a frame of no bytes", b"")
    yield framed("cut", "a frame that is cut off", sound[:-1])
    yield framed("byte-behind", "a byte behind the frame", sound + b"\0")
    yield framed("two", "two frames", w.zstd(TEXT[:9]) + w.zstd(TEXT[9:]))
    yield framed("less", "a frame of fewer bytes than the plane has", w.zstd(TEXT[1:]))
    yield framed("more", "a frame of more bytes", w.zstd(TEXT + b"?"))
    yield framed("less-untold", "fewer bytes, and no content size", w.zstd(TEXT[1:], write_content_size=False))
    yield framed("more-untold", "more bytes, and no content size", w.zstd(TEXT + b"?", write_content_size=False))
    yield framed(
        "bomb", "a frame that announces 2^62 bytes", bytes.fromhex("28b52ffd c0 00 0000000000000040") + RAW, aaa
    )
    yield framed(
        "content-size", "a content size that the frame does not keep", bytes.fromhex("28b52ffd 20 03 110000 6161"), aaa
    )
    yield framed("checksum", "the frame's own checksum", flipped(w.zstd(TEXT, write_checksum=True), -1))
    yield framed("magic", "no frame at all", b"\0" * 12)
    yield framed("block-type", "a block of the reserved type", bytes.fromhex("28b52ffd 20 03 1f0000 616161"), aaa)
    yield framed("skippable", "a skippable frame", SKIPPABLE, aaa)
    yield framed("skippable-before", "a skippable frame before", SKIPPABLE + sound)
    yield framed("skippable-behind", "a skippable frame behind", sound + SKIPPABLE)
    yield framed("window", "a window of more than 2^27", bytes.fromhex("28b52ffd 00 89") + RAW, aaa)
    yield framed("dictionary", "a dictionary", bytes.fromhex("28b52ffd 01 00 07") + RAW, aaa)
    yield framed("length-beyond", "a length beyond the record", sound, size=varint(len(sound) + 1))
    yield framed("length-huge", "a length of 2^64 - 1", sound, size=varint(2**64 - 1))
    yield framed("length-2-64", "a length of 2^64", sound, size=b"\x80" * 9 + b"\2")
    yield framed("length-long", "a length with a needless byte", sound, size=bytes((len(sound) | 128, 0)))


# ---- 6. Chunk body ------------------------------------------------------------------------------------------------


def streams() -> Iterator[Invalid]:
    def framed(name: str, breaks: str, stream: bytes, size: bytes | None = None) -> Invalid:
        layout = f"00 {len(TEXT):02x} {len(TEXT):02x} 01 c0 00"
        size = varint(len(stream)) if size is None else size
        return Invalid(f"lzma-{name}", f"LZMA: {breaks}", one(TEXT, layout, b"\6" + size + stream))

    sound = w.lzma2(TEXT)
    yield framed("empty", "a stream of no bytes", b"")
    yield framed("cut", "a stream that is cut off", sound[:-2])
    yield framed("no-end", "no end marker", sound[:-1])
    yield framed("byte-behind", "a byte behind the stream", sound + b"\0")
    yield framed("two", "two streams", w.lzma2(TEXT[:9]) + w.lzma2(TEXT[9:]))
    yield framed("less", "a stream of fewer bytes than the plane has", w.lzma2(TEXT[1:]))
    yield framed("more", "a stream of more bytes", w.lzma2(TEXT + b"?"))
    yield framed("nonsense", "no stream at all", b"\3" * 12)
    yield framed(
        "properties", "other properties than those of the document", bytes.fromhex("e0 0000 0000 ff 00 00 00 00 00")
    )
    yield framed("length-beyond", "a length beyond the record", sound, size=varint(len(sound) + 1))


def mixed() -> Iterator[Invalid]:
    stream = w.mixed_stream(TEXT, w.Mixed())
    layout = f"00 {len(TEXT):02x} {len(TEXT):02x} 01 c0 00"
    long = bytes(200)

    def wrong(name: str, breaks: str, parameters: str, held: bytes = stream, size: bytes | None = None) -> Invalid:
        size = varint(len(held)) if size is None else size
        body = b"\10" + bytes.fromhex(parameters) + size + held
        return Invalid(f"mixed-{name}", f"mixing: {breaks}", one(TEXT, layout, body))

    yield wrong("framing-5", "elements of 5 bytes", "05 00 06 01 02")
    yield wrong("numbers-2", "numbers of kind 2", "01 02 00 06 01 02")
    yield wrong("framing-0-levels", "levels that end behind a byte below 128", "00 00 06 01 02")
    yield wrong("rate-0", "a rate of 0", "01 00 00 01 02")
    yield wrong("rate-33", "a rate of 33", "01 00 21 01 02")
    yield wrong("row-0", "rows without elements", "01 00 06 00 02")
    yield wrong("row-65537", "rows of 65,537 elements", "01 00 06 81 80 04 02")
    yield wrong("far-0", "a distance of 0", "01 00 06 01 00")
    yield wrong("far-524289", "a distance of 524,289", "01 00 06 01 81 80 20")
    yield wrong("far-long", "a distance with a needless byte", "01 00 06 01 82 00")
    yield wrong("rate-other", "another rate than that of the writer", "01 00 07 01 02")
    yield wrong("cut", "a stream without its last byte", "01 00 06 01 02", stream[:-1])
    yield wrong("byte-behind", "a byte behind the stream", "01 00 06 01 02", stream + b"\0")
    yield wrong("last-byte", "another last byte", "01 00 06 01 02", flipped(stream, -1))
    yield wrong("empty", "a stream without bytes", "01 00 06 01 02", b"")
    yield wrong("length-beyond", "a length beyond the record", "01 00 06 01 02", size=varint(len(stream) + 1))
    yield wrong("length-huge", "a length of 2^64 - 1", "01 00 06 01 02", size=varint(2**64 - 1))
    short = w.mixed(long, w.Mixed())
    yield Invalid("mixed-ratio", "mixing: a plane of more than 32 times the stream's bytes",
                  one(long, "00 c8 01 c8 01 01 c0 00", b"\10" + short))  # fmt: skip


def chunks() -> Iterator[Invalid]:
    def wrong(
        name: str, breaks: str, original: bytes, layout: str, body: str | bytes, tail: bytes = b"", error: str = CORRUPT
    ) -> Invalid:
        return Invalid(f"chunk-{name}", breaks, one(original, layout, body, tail), error)

    stored = b"\0abcdefgh"
    yield wrong("hash", "the hash of the decoded bytes", b"abcdefgh", BYTES, b"\0abcdefgg")
    outside = w.weft([FIRST, (8, [flipped(FIRST[1][0], 9)])], None, tensors=w.listed_tensors(TENSORS[:1]))
    yield Invalid("chunk-hash-no-tensor", "the same, in a span of no tensor", outside, CORRUPT, {"tensors": None})
    last = [*SECOND[1][:3], flipped(SECOND[1][3], 2)]
    yield Invalid("chunk-hash-last", "the same, in the last of three", w.weft([(22, last)], ORIGINAL[8:]))
    yield wrong("byte-missing", "a byte of a stored plane is missing", b"abcdefgh", BYTES, stored[:-1])
    yield wrong("byte-behind", "a byte behind the planes", b"abcdefgh", BYTES, stored + b"\0")
    yield wrong("plane-missing", "the second plane is missing", b"ab" * 4, PAIRS, "01 61")
    yield wrong("constant-cut", "the record ends before the byte of a constant plane", A8, BYTES, "01")
    yield wrong("no-stage", "the record ends before the stage", A8, BYTES, "")
    for stage in (5, 128, 255):
        yield wrong(f"stage-{stage}", f"stage {stage}", A8, BYTES, f"{stage:02x} 61", error=UNSUPPORTED)
    yield wrong("tail-missing", "the tail is missing", b"ababa", PAIRS, "01 61 01 62")
    yield wrong("tail-long", "a byte behind the tail", b"ababa", PAIRS, "01 61 01 62 61 61")
    yield wrong("tail-hash", "the hash covers the tail, too", b"ababa", PAIRS, "01 61 01 62 62")

    escape = "{} {} {}"
    pair = b"a\0a\1"
    yield wrong(
        "escape-0", "an escape with value 0", b"a\0a\0", ESCAPED, escape.format("01", "01", "00") + "01 61 01 00"
    )
    yield wrong(
        "escape-beyond",
        "an escape behind the last element",
        pair,
        ESCAPED,
        escape.format("01", "02", "01") + "01 61 01 00",
    )
    yield wrong("escape-far", "an escape at 2^32 - 1", pair, ESCAPED, "01 ffffffff0f 01 01 61 01 00")
    yield wrong("escape-farther", "an escape at 2^64 - 1", pair, ESCAPED, "01 ffffffffffffffffff01 01 01 61 01 00")
    yield wrong("escape-second", "the second beyond the chunk", pair, ESCAPED, "02 00 01 01 01 01 61 01 00")
    yield wrong("escape-long", "a place with a needless byte", pair, ESCAPED, "01 8100 01 01 61 01 00")
    yield wrong("escape-large", "an escape of 65,536", pair, ESCAPED, "01 01 808004 01 61 01 00")
    yield wrong("escape-count", "three escapes of two elements", pair, ESCAPED, "03 000000 010101 01 61 01 00")
    yield wrong("escape-count-huge", "2^32 - 1 escapes", pair, ESCAPED, "ffffffff0f 01 61 01 00")
    yield wrong("escape-cut", "the record ends within the escapes", pair, ESCAPED, "02 00 00 01")
    yield wrong(
        "escape-dropped",
        "an escape in a tile that drops all planes",
        b"\0\1",
        BOTH,
        "01 02" + escape.format("01", "00", "01") + "01 00 01 00",
    )
    yield wrong("drops-3", "three planes dropped of two", bytes(6), DROPS, "01 03 01 00 01 00")
    yield wrong("drops-255", "255, stored", bytes(6), DROPS, "00 ff 01 00 01 00")
    for stage in (2, 3, 6, 8):
        yield wrong(
            f"drops-stage-{stage}",
            f"drops by stage {stage}",
            bytes(6),
            DROPS,
            f"0{stage} 02 01 00 01 00",
            error=UNSUPPORTED,
        )
    for name, pair, what in (
        ("order", "02 00 00", "the larger first"),
        ("equal", "02 02 00", "equal"),
        ("beyond", "00 03 01", "and three planes dropped of two"),
        ("bits", "00 02 02", "and unused bits that are not 0"),
    ):
        yield wrong(f"drops-pair-{name}", f"drops of two values: {what}", bytes(6), DROPS, f"05 {pair} 01 00 01 00")
    yield wrong("drops-pair-cut", "drops of two values: the record ends before the bits", bytes(6), DROPS, "05 00 02")
    yield wrong("drops-cut", "drops of two tiles, and one is there", bytes(32), "21 08 10 02 c0 00 c8 00", "00 00")
    frame = w.zstd(b"\1\1")
    yield wrong(
        "drops-zstd",
        "drops by zstd: a byte too many",
        b"\0b" * 3,
        DROPS,
        b"\4" + varint(len(frame)) + frame + b"\1\0\1b",
    )

    for name, breaks, original, layout, body, tail in (
        ("unused-bits-4", "unused bits of a tile of 4-bit values", b"abc", NIBBLES, "00 3102 00 6616", b""),
        ("unused-bits-2", "unused bits of a tile of 2-bit values", b"\3\2\1", "00 08 08 01 40 00", "00 5b", b""),
        ("unused-bits-1", "unused bits of a tile of 1-bit values", b"\1\0\1", "00 08 08 01 00 00", "00 85", b""),
        ("unused-bits-constant", "unused bits of a constant tile", b"abc", NIBBLES, "00 3102 01 66", b""),
        ("unused-bits-second-tile", "unused bits of the last tile", bytes(9), "00 08 10 01 00 00", "00 00 02", b""),
        (
            "escape-over-value",
            "an escape where the last plane is not 0",
            b"a\1a\1",
            ESCAPED,
            escape.format("01", "01", "01") + "01 61 01 01",
            b"",
        ),
        ("no-elements-stage-0", "a plane of no elements has stage 0", b"a", PAIRS, "00 01 00", b"a"),
        (
            "no-elements-stage-4",
            "a plane of no elements has stage 4",
            b"a",
            PAIRS,
            "04 09" + w.zstd(b"").hex() + "01 00",
            b"a",
        ),
        ("no-elements-constant-1", "a plane of no elements is constant 1", b"a", PAIRS, "01 01 01 00", b"a"),
        ("no-tiles-stage-0", "drops of no tiles have stage 0", b"a", DROPS, "00 01 00 01 00", b"a"),
        ("no-tiles-constant-1", "drops of no tiles are constant 1", b"a", DROPS, "01 01 01 00 01 00", b"a"),
        ("all-dropped-stage-0", "a plane that all tiles drop has stage 0", bytes(6), DROPS, "01 02 00 01 00", b""),
        (
            "all-dropped-constant-1",
            "a plane that all tiles drop is constant 1",
            bytes(6),
            DROPS,
            "01 02 01 01 01 00",
            b"",
        ),
    ):
        yield Invalid(f"chunk-{name}", breaks, one(original, layout, body, tail))


# ---- 7. Index record ----------------------------------------------------------------------------------------------


def indexes() -> Iterator[Invalid]:
    sound = {
        "original": varint(30),
        "digest": w.index_proper(SPANS, b"", ORIGINAL, "", "")[1:34],
        "source": w.text("opaque"),
        "level": w.text("default"),
        "spans": w.listed_spans(SPANS),
        "tensors": w.listed_tensors(TENSORS),
    }

    def index(**other: bytes) -> bytes:
        return b"".join((sound | other).values())

    def wrong(name: str, breaks: str, error: str = CORRUPT, **other: bytes) -> Invalid:
        return Invalid(f"index-{name}", f"index: {breaks}", w.weft(SPANS, None, index=index(**other)), error)

    def body(name: str, breaks: str, held: bytes, error: str = CORRUPT) -> Invalid:
        return Invalid(f"index-{name}", f"index: {breaks}", w.weft(SPANS, None, index_body=held), error)

    assert w.weft(SPANS, None, index=index()) == BLOB
    plain, size = index(), varint(len(index()))
    for encoding in (2, 255):
        yield body(f"encoding-{encoding}", f"encoding {encoding}", bytes((encoding,)) + size + plain, UNSUPPORTED)
    yield body("no-body", "a record with no body", b"")
    yield body("size-0", "no bytes", b"\0\0")
    yield body("size-less", "a size less than what there is", b"\0" + varint(len(plain) - 1) + plain)
    yield body("size-more", "a size more than what there is", b"\0" + varint(len(plain) + 1) + plain)
    yield body(
        "size-2-30", "a size of more than 2^30", b"\1" + varint(2**30 + 1) + w.zstd(plain, write_content_size=False)
    )
    names = w.listed_tensors([("n" * 65_535 + chr(97 + k), 2, (0,), 2, 0) for k in range(17)])
    long = index(tensors=names)
    yield body(
        "size-ratio",
        "a size of more than 8 times what is stored, and 2^20",
        b"\1" + varint(len(long)) + w.zstd(long, level=19),
    )
    yield body("zstd-size-less", "zstd: a size less than the frame's", b"\1" + varint(len(plain) - 1) + w.zstd(plain))
    yield body("zstd-size-more", "zstd: a size more than the frame's", b"\1" + varint(len(plain) + 1) + w.zstd(plain))
    yield body(
        "zstd-untold",
        "zstd: the same, and no content size in the frame",
        b"\1" + varint(len(plain) + 1) + w.zstd(plain, write_content_size=False),
    )
    yield body("zstd-cut", "zstd: a frame that is cut off", b"\1" + size + w.zstd(plain)[:-1])
    yield body("zstd-behind", "zstd: a byte behind the frame", b"\1" + size + w.zstd(plain) + b"\0")
    yield body("zstd-skippable", "zstd: a skippable frame before", b"\1" + size + SKIPPABLE + w.zstd(plain))
    raw = (len(plain) << 3 | 1).to_bytes(3, "little") + plain
    yield body("zstd-window", "zstd: a window of more than 2^27", b"\1" + size + bytes.fromhex("28b52ffd 00 89") + raw)
    yield body("zstd-dictionary", "zstd: a dictionary", b"\1" + size + bytes.fromhex("28b52ffd 01 00 07") + raw)

    yield wrong("original-less", "an original shorter than its spans", original=varint(29))
    yield wrong("original-more", "an original longer than its spans", original=varint(31))
    yield wrong("original-long", "a number with a needless byte", original=b"\x9e\0")
    yield wrong("digest-2", "digest 2", UNSUPPORTED, digest=b"\2" + sound["digest"][1:])
    yield Invalid(
        "index-sha256",
        "the SHA-256 of the original",
        w.weft(SPANS, None, index=index(digest=flipped(sound["digest"], 9))),
        CORRUPT,
        {"parts": None, "tensors": None},
        ORIGINAL,
    )
    for field_ in ("source", "level"):
        yield wrong(f"{field_}-not-utf-8", f"a {field_} that is not UTF-8", **{field_: w.text(b"\xff")})
        yield wrong(
            f"{field_}-surrogate", f"half a surrogate pair in the {field_}", **{field_: w.text(b"\xed\xa0\x80")}
        )
        yield wrong(f"{field_}-overlong", f"an overlong spelling of / in the {field_}", **{field_: w.text(b"\xc0\xaf")})
        yield wrong(f"{field_}-beyond", f"a {field_} longer than the index", **{field_: varint(60_000) + b"x"})
        long = index(**{field_: w.text("x" * 65_537)})
        packed = b"\1" + varint(len(long)) + w.zstd(long, level=19)
        yield body(f"{field_}-65537", f"a {field_} of 65,537 bytes", packed)

    # What else must be said, that no other rule be broken.
    besides: dict[str, dict[str, bytes]] = {
        "none": {"original": b"\0", "tensors": b"\0"},
        "few": {"original": varint(8), "tensors": w.listed_tensors(TENSORS[:1])},
        "many": {"original": varint(38)},
        "order": {"tensors": b"\0"},
        "original": {"tensors": b"\0"},
        "original-most": {"original": varint(8_388_631)},
    }
    a, b = varint(8) + varint(len(FIRST[1][0]) + 13) + b"\0", w.listed_spans([SECOND])[1:]
    for name, breaks, spans in (
        ("none", "no spans are listed", b"\0"),
        ("few", "only the first span is listed", b"\1" + a),
        ("many", "a span is listed that is not there", b"\3" + a + b + a),
        ("count", "a number of spans that the index has no room for", varint(2**40) + a + b),
        ("order", "the spans in another order", b"\2" + b + a),
        ("original-0", "a span of no bytes", b"\2" + b"\0" + a[1:] + varint(30) + b[1:]),
        ("original", "original bytes counted to the wrong span", b"\2" + varint(9) + a[1:] + varint(21) + b[1:]),
        ("original-most", "a span of 8,388,609 bytes", b"\2" + varint(8_388_609) + a[1:] + b),
        ("stored-0", "a span record of no bytes", b"\2" + a[:1] + b"\0" + a[2:] + b),
        ("stored-less", "a span record a byte too short", b"\2" + a[:1] + bytes((a[1] - 1,)) + a[2:] + b),
        (
            "stored-moved",
            "six bytes of one span's record counted to the next",
            b"\2" + a[:1] + bytes((a[1] + 6,)) + a[2:] + b[:1] + bytes((b[1] - 6,)) + b[2:],
        ),
        ("stored-huge", "a span record of 2^63 bytes", b"\2" + a[:1] + varint(2**63) + a[2:] + b),
        (
            "stored-wraps",
            "lengths that add up, but only in 64 bits",
            b"\2" + a[:1] + varint(2**64 - 1) + a[2:] + b[:1] + bytes((b[1] + a[1] + 1,)) + b[2:],
        ),
        ("chunks-1", "a span with a single chunk record", b"\2" + a[:1] + bytes((a[1] - 14,)) + b"\1\x0e" + b),
        ("chunks-less", "a span has a chunk record fewer", b"\2" + a + b[:2] + b"\2" + bytes((b[3] + b[4],)) + b[5:]),
        (
            "chunks-more",
            "a span has a chunk record more",
            b"\2" + a + b[:2] + b"\4" + b[3:5] + b"\x0e" + bytes((b[5] - 14,)),
        ),
        (
            "chunks-count",
            "a number of chunk records that the index has no room for",
            b"\2" + a + b[:2] + varint(2**40) + b[3:],
        ),
        ("chunks-0-bytes", "a chunk record of no bytes", b"\2" + a + b[:3] + b"\0" + bytes((b[3] + b[4],)) + b[5:]),
        (
            "chunks-moved",
            "a byte of one chunk record counted to the next",
            b"\2" + a + b[:3] + bytes((b[3] - 1, b[4] + 1)) + b[5:],
        ),
    ):
        invalid = wrong(f"spans-{name}", breaks, spans=spans, **besides.get(name, {}))
        if name in ("order", "original"):
            invalid.otherwise["tensors"] = None  # there are none
        yield invalid

    for name, breaks, tensors in (
        ("name-twice", "two tensors of the same name", [("a", 2, (8,), 0, 1), ("a", 2, (22,), 1, 1)]),
        ("overlap", "two tensors share a span", [("a", 2, (30,), 0, 2), ("b", 2, (22,), 1, 1)]),
        ("order", "tensors out of order", [("b", 2, (22,), 1, 1), ("a", 2, (8,), 0, 1)]),
        ("beyond", "a tensor of three spans of two", [("a", 2, (30,), 0, 3)]),
        ("first-beyond", "a tensor from span 3 of two", [("a", 2, (0,), 3, 0)]),
        ("first-huge", "first span and number of spans add up to 0 in 64 bits", [("a", 2, (0,), 2**64 - 1, 1)]),
        ("within", "a tensor without bytes within another", [("a", 2, (30,), 0, 2), ("b", 2, (0,), 1, 0)]),
        ("more", "a tensor of more bytes than its spans", [("a", 2, (9,), 0, 1)]),
        ("less", "a tensor of fewer bytes than its spans", [("a", 2, (7,), 0, 1)]),
        ("no-spans", "a tensor with bytes, and no spans", [("a", 2, (8,), 0, 0)]),
        ("wraps", "a product of dimensions that is 8 in 64 bits", [("a", 2, (2**61 + 1, 8), 0, 1)]),
        ("half-bytes", "F4: half a byte too few", [("a", 22, (15,), 0, 1)]),
        ("bits", "F6: 60 bits in 8 bytes", [("a", 20, (10,), 0, 1)]),
        ("65-dimensions", "65 dimensions", [("a", 2, (1,) * 64 + (8,), 0, 1)]),
        ("name-not-utf-8", "a name that is not UTF-8", [(b"\xe9", 2, (8,), 0, 1)]),
    ):
        yield wrong(f"tensor-{name}", breaks, tensors=w.listed_tensors(tensors))
    for dtype in (0, 23, 255):
        yield wrong(
            f"tensor-dtype-{dtype}",
            f"a tensor of element type {dtype}",
            UNSUPPORTED,
            tensors=w.listed_tensors([("a", dtype, (8,), 0, 1)]),
        )
    yield wrong("tensors-count", "more tensors than the index has", tensors=b"\3" + sound["tensors"][1:])
    yield wrong("tensors-count-huge", "2^24 + 1 tensors", tensors=varint(2**24 + 1) + sound["tensors"][1:])
    names = w.listed_tensors([(f"{k:05d}", 2, (0,), 2, 0) for k in range(4_099)])
    many = index(tensors=names)
    packed = w.zstd(many, level=1)
    assert len(many) <= 8 * len(packed) + 2**20  # no other rule is broken
    yield body("tensors-4099", "4,099 tensors and two spans", b"\1" + varint(len(many)) + packed)
    yield wrong("tensors-fewer", "a tensor behind the number of tensors", tensors=b"\1" + sound["tensors"][1:])
    yield wrong("byte-behind", "a byte behind the tensors", tensors=sound["tensors"] + b"\0")
    yield wrong("dimension-2-64", "a dimension of 2^64", tensors=b"\1\1a\2\2" + b"\x80" * 9 + b"\2" + b"\0\0\0")
    yield wrong("dimension-long", "a dimension with a needless byte", tensors=b"\1\1a\2\1\x88\0\0\1")
    long = index(tensors=w.listed_tensors([("n" * 65_537, 2, (8,), 0, 1)]))
    yield body("tensor-name-65537", "a name of 65,537 bytes", b"\1" + varint(len(long)) + w.zstd(long, level=19))


# ---- 8. Trailer ---------------------------------------------------------------------------------------------------


def trailers() -> Iterator[Invalid]:
    held = pieces()
    at = [sum(map(len, held[:k])) for k in range(len(held) + 1)]
    start, length = at[INDEX], len(held[INDEX])
    for name, breaks, position, size in (
        ("position-less", "a position a byte too small", start - 1, length),
        ("position-0", "a position in the header", 0, at[TRAILER]),
        ("position-beyond", "a position behind the end", 1 << 40, length),
        ("position-wraps", "position and length add up, but only in 64 bits", 2**64 - 16, at[TRAILER] + 16),
        ("length-less", "a length a byte too small", start, length - 1),
        ("length-0", "a length of 0", at[TRAILER], 0),
        ("length-huge", "a length of 2^64 - 1", start, 2**64 - 1),
        ("chunk", "it leads to a chunk record", at[INDEX - 1], at[TRAILER] - at[INDEX - 1]),
        ("span", "it leads to the first span record", 16, at[TRAILER] - 16),
    ):
        yield Invalid(f"trailer-{name}", f"trailer: {breaks}", replaced(TRAILER, w.trailer(position, size)))
    yield Invalid("trailer-check", "trailer: the check", replaced(TRAILER, flipped(held[TRAILER], 16)))
    yield Invalid(
        "trailer-position-check",
        "trailer: the position, without its check",
        replaced(TRAILER, flipped(held[TRAILER], 0)),
    )
    yield Invalid("trailer-magic", "trailer: the magic", replaced(TRAILER, flipped(held[TRAILER], 31)), TRUNCATED)
    yield Invalid("trailer-magic-begin", "trailer: the magic of the header", BLOB[:-8] + BLOB[:8], TRUNCATED)
    yield Invalid(
        "trailer-byte-before",
        "a byte between index and trailer",
        BLOB[: at[TRAILER]] + b"\0" + held[TRAILER],
        CORRUPT,
        front(TRUNCATED),
    )
    yield Invalid("trailer-byte-behind", "a byte behind the trailer", BLOB + b"\0", TRUNCATED, front(CORRUPT))
    yield Invalid(
        "trailer-zeros-behind", "a block of zeros behind the trailer", BLOB + bytes(512), TRUNCATED, front(CORRUPT)
    )
    yield Invalid("trailer-twice", "the trailer twice", BLOB + held[TRAILER])
    yield Invalid("two-files", "two files, one behind the other", BLOB + BLOB)


def made_spans() -> Iterator[Invalid]:
    for found in (*made_vectors.invalid(), *copy_vectors.invalid()):
        yield Invalid(*found)


def columns() -> Iterator[Invalid]:
    for found in (*column_vectors.invalid(), *lent_vectors.invalid(), *delta_vectors.invalid()):
        yield Invalid(*found)


def vectors() -> Iterator[Invalid]:
    for group in (
        headers,
        records,
        spans,
        made_spans,
        tables,
        payloads,
        columns,
        frames,
        streams,
        mixed,
        chunks,
        indexes,
        trailers,
    ):
        yield from group()
