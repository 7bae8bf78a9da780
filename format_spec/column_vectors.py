"""Test vectors of stage 7 (stages/7_columns.md)."""

from __future__ import annotations

from collections.abc import Iterator

import naive_writer as w
from naive_writer import Chunk, Plane, Span, bits_to_bytes, low_first, varint

Tables = list[w.Table | tuple[w.Table, bytes]]


def wide(count: int) -> Tables:
    """Tables of bytes around 0, each of more than the one before: their ranges go round."""
    out: Tables = []
    for k in range(count):
        table = {s % 256: 16 for s in range(-2 - k, 3 + k)}
        table[0] += 4096 - sum(table.values())
        out.append((table, w.column_table(table, 256, 11, 254 - k, 258 + k)))
    return out


def small(count: int, most: int, seed: int = 1) -> list[int]:
    """Signed numbers of at most ``most`` as bytes, small ones likelier."""
    out, x = [], seed
    for _ in range(count):
        x = (x * 1_103_515_245 + 12_345) % 2**31
        out.append(((x >> 8) % (2 * most + 1) - most) * ((x >> 20) % 3) // 2 % 256)
    return out


def span(data: list[int], tables: Tables, columns: list[int], rows: list[int], tile: int, chunk: int = 0) -> Span:
    """A span of one plane; ``rows`` of all tiles. ``chunk``: elements, 0 for one chunk of all."""
    chunk = chunk or -(-len(data) // tile) * tile
    held = []
    for at in range(0, len(data), chunk):
        part = data[at : at + chunk]
        first = at // tile
        held.append(Chunk([part], [7], choice={0: rows[first : first + -(-len(part) // tile)]}))
    return Span([Plane(0, 8, 7, tables, columns)], held, tile=tile, chunk=chunk)


def file(span: Span) -> tuple[bytes, bytes]:
    """(the file, the original) of one span."""
    original = b"".join(w.original_of(span, chunk) for chunk in span.chunks)
    return w.weft([w.bodies(span)], original), original


def valid() -> Iterator[tuple[str, str, bytes, bytes]]:
    four = wide(4)
    yield (
        "columns-one-table",
        "one table, whose range goes round",
        *file(span(small(50, 2), wide(1), [64], [9] * 5, 10)),
    )
    for span_of in (1, 5, 127):
        table = {s % 256: 4 for s in range(-span_of, span_of + 1)}
        table[0] = 4096 - 8 * span_of
        tables: Tables = [(table, w.column_table(table, 0, 2, 0, span_of, mirrored=True))]
        shows = f"a table mirrored round 0, to {span_of} on either side"
        yield f"columns-mirrored-{span_of}", shows, *file(span(small(50, min(span_of, 9)), tables, [64], [9] * 5, 10))
    table = {250 + k: 512 for k in range(-3, 4)} | {250: 1024}
    tables = [(table, w.column_table(table, 250, 11, 250, 253, mirrored=True))]
    data = [247, 250, 253, 250, 249, 251, 250, 250, 248, 252]
    yield "columns-mirrored-250", "a table mirrored round 250", *file(span(data, tables, [64], [9], 10))
    rows = [64, 65, 66, 63, 67, 64]
    for name, shows, columns, tile, count in (
        ("none", "one column", [64], 10, 60),
        ("row", "a tile is a row", [64, 65, 64, 63, 66, 64, 64, 64, 67, 60], 10, 60),
        ("rows", "a tile is three rows; the last is short", [64, 65, 66, 64], 12, 67),
        ("parts", "a row is two tiles", [64, 65, 66, 64, 64, 64, 64, 64] * 2, 8, 48),
    ):
        shown = [r - 64 for r in rows] if len(columns) == 1 else [r - 64 + 1 for r in rows]
        held = span(small(count, 2), four, columns, [max(0, r) for r in shown], tile)
        yield f"columns-{name}", shows, *file(held)
    held = span(small(88, 2), four, [64, 65, 66, 64] * 4, [0, 1, 2, 3, 2, 1, 0, 2, 3, 1, 0], 8, 32)
    yield "columns-chunks", "three chunks of two rows of two tiles; the last is short", *file(held)
    for number in (0, 127):
        held = span(small(40, 2), four, [number, 64, 127 - number, 0, 127], [number, 127, 0, 64], 10)
        yield f"columns-clamped-{number}", "numbers that add up to no table: the first or the last", *file(held)
    for count in (2, 3, 16):
        held = span(small(96, 2), wide(count), [64, 65, 66, 64, 79, 64], [k % count for k in range(8)], 12)
        yield f"columns-{count}-tables", f"{count} tables", *file(held)
    for low in (1, 3, 6):
        held = span(small(48, 2), four, [1, 127, 64, 63], [0, 64, 127, 90], 12)
        held.planes[0].low = low
        yield f"columns-low-{low}", f"numbers of {low} low bits", *file(held)
    for size in (2_047, 2_048, 16_384, 65_536, 131_072):
        tiles = -(-size // 64)
        held = span(small(size, 2), four, [63 + k % 4 for k in range(32)], [k % 3 for k in range(tiles)], 64)
        yield f"columns-lanes-{size}", f"a plane of {size} bytes: 1, 4, 16 or 32 lanes", *file(held)
    a, b = small(40, 2), [x & 3 for x in small(40, 3)]
    two = Span(
        [Plane(0, 8, 7, four, [64, 66, 65, 64]), Plane(8, 8, 2, [w.fitted(2, bytes(b))])],
        [Chunk([a, b], [7, 2], choice={0: [0, 1, 2, 1, 0]})], 2, tile=8,
    )  # fmt: skip
    yield "columns-planes", "one plane in stage 7, the next in stage 2", *file(two)
    other = span(small(16, 2), four, [64], [0, 0], 8, 8)
    other.chunks[1].stages = [0]
    yield "columns-stored", "tables of stage 7, and a chunk that is stored", *file(other)


DATA = bytes(small(24, 2))
TILES = [DATA[:12], DATA[12:]]
COLUMNS, ROWS = [64, 65, 66, 64], [0, 1]


def one(
    columns: bytes = w.written_columns(COLUMNS), rows: bytes = w.written_numbers(ROWS), *, tables: int = 4,
    place: int = 0xC0, layout: str = "00 0c 18 01", stage: int = 7, of: int = 7, behind: bytes = b"",
) -> bytes:  # fmt: skip
    """A file of 24 bytes in two tiles; ``columns`` and ``rows`` as they are written."""
    known = [t for t in wide(tables) if isinstance(t, tuple)]
    sound = w.rans(TILES, [t[0] for t in known], ROWS, columns=COLUMNS)
    payload = sound[:1] + rows + sound[1 + len(w.written_numbers(ROWS)) :] + behind
    raw = b"".join(t[1] for t in known) + columns
    front = varint(24) + b"\2" + bytes.fromhex(layout) + bytes((place, of << 5 | tables)) + raw
    body = front + w.hash64(DATA) + bytes((stage,)) + payload
    return w.weft([(24, [body])], DATA)


def invalid() -> Iterator[tuple[str, str, bytes, str]]:
    corrupt = "Corrupt"

    def numbers(bits: str, middle: int = 64, low: int = 0) -> bytes:
        return bytes((middle, low)) + bits_to_bytes(bits)

    period = varint(4)
    for name, breaks, columns in (
        ("period-0", "no columns", varint(0)),
        ("period-65537", "65,537 columns", varint(65_537) + numbers("0" * 65_537)),
        ("period-huge", "2^63 columns", varint(2**63)),
        ("middle-128", "128 in the middle", period + numbers("0000", 128)),
        ("low-7", "numbers of 7 low bits", period + numbers("0" * 32, 64, 7)),
        ("number-128", "a number of 128", period + numbers(f"10{'0' * 3}", 127)),
        ("number-minus-1", "a number of -1", period + numbers(f"110{'0' * 3}", 0)),
        ("ones", "300 ones", period + numbers(f"{'1' * 300}0000")),
        ("padding", "the bits behind the numbers are not 0", period + numbers("0000 1")),
        ("tile", "tiles of 12 elements and 5 columns", varint(5) + numbers("00000")),
    ):
        yield f"columns-{name}", f"columns: {breaks}", one(columns), corrupt
    yield (
        "columns-one-table-2",
        "two columns and one table",
        one(varint(2) + numbers("00"), tables=1, rows=b""),
        corrupt,
    )
    for name, breaks, rows in (
        ("middle", "128 in the middle", numbers("00", 128)),
        ("low", "numbers of 7 low bits", numbers("0" * 16, 0, 7)),
        ("number", "a number of -1", numbers("0110", 0)),
        ("padding", "the bits behind the numbers are not 0", numbers("00 00001", 0)),
        ("other", "other numbers, so other bytes", numbers(f"0{'1' * 9}0", 0)),
    ):
        yield f"columns-rows-{name}", f"rows: {breaks}", one(rows=rows), corrupt
    yield "columns-byte-behind", "a byte behind the stream", one(behind=b"\0"), corrupt
    yield "columns-4-bits", "a plane of 4 bits", one(place=0x80), corrupt
    yield "columns-drops", "drops in the span", one(layout="20 0c 18 01"), corrupt
    yield "columns-tables-of-2", "tables of stage 7 that are said to be of stage 2", one(b"", of=2), corrupt
    yield "columns-stage-2", "stage 2 by tables of stage 7", one(stage=2), corrupt
    layout = varint(24) + bytes.fromhex("02 00 08 08 01 c0 e4")
    raw = b"".join(t[1] for t in wide(4) if isinstance(t, tuple)) + w.written_columns([64] * 16)
    parts = [DATA[k : k + 8] for k in range(0, 24, 8)]
    chunks = [varint(k) + w.hash64(part) + b"\0" + part for k, part in enumerate(parts)]
    yield "columns-chunk", "chunks of 8 elements and 16 columns", w.weft([(24, [layout + raw, *chunks])], DATA), corrupt

    def table(bits: str) -> bytes:
        body = varint(8) + bytes.fromhex("02 00 08 08 01 c0 e1") + bits_to_bytes(bits)
        return w.weft([(8, [body + b"\1" + bytes(32)])], DATA[:8])

    head, most = low_first(250, 8), low_first(1, 8)
    for name, breaks, bits in (
        ("one-symbol", "a range of one symbol", f"{head} {low_first(0, 8)} 0000 0 {low_first(0, 8)}"),
        ("filler", "the filler is outside the range", f"{head} {most} 0000 0 {low_first(2, 8)} {'1' * 9}0 0"),
        ("12-bits", "a frequency of 13 bits", f"{head} {most} 0000 0 {low_first(1, 8)} {'1' * 23}0"),
        ("nothing-left", "4096 without the filler", f"{head} {low_first(2, 8)} 0000 0 {low_first(2, 8)} {'1' * 21}0 0"),
        ("only-filler", "all frequencies but the filler's are 0", f"{head} {most} 0000 0 {low_first(1, 8)} 110"),
        ("mirrored-128", "mirrored, to 128 on either side", f"{head} {low_first(128, 8)} 0000 1 {'0' * 128}"),
        ("mirrored-one", "mirrored, but of one symbol", f"{head} {low_first(0, 8)} 0000 1"),
        ("mirrored-sum", "mirrored, twice 2048", f"{head} {most} 0000 1 {'1' * 21}0"),
        ("table-padding", "the bits behind a table are not 0", f"{head} {most} 0000 0 {low_first(1, 8)} {'1' * 21}0 1"),
    ):
        yield f"columns-{name}", f"table: {breaks}", table(bits), corrupt
