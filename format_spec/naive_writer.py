"""Writes .weft files field by field from FORMAT.md, for test vectors: whatever is asked for, and nothing is chosen.

A Span is stated as the values in its planes; the original follows from them by section 5. So files can be
written that no sensible encoder writes, and, by putting other bytes in place of a field, files that are wrong.
"""

from __future__ import annotations

import hashlib
import lzma
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import reference_decoder as reference
import xxhash
import zstandard

# ---- 1. Conventions, 2. Header, 3. Records, 8. Trailer ----------------------------------------------------------


def hash64(data: bytes) -> bytes:
    return int(xxhash.xxh3_64_intdigest(data)).to_bytes(8, "little")


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return varint(len(raw)) + raw


def header(major: int = 1, minor: int = 0, flags: int = 0) -> bytes:
    front = bytes.fromhex("89 57 45 46 54 0D 0A 1A") + bytes((major, minor)) + flags.to_bytes(2, "little")
    return front + hash64(front)[:4]


def record(kind: int, body: bytes) -> bytes:
    front = bytes((kind,)) + len(body).to_bytes(4, "little") + body
    return front + hash64(front)


def trailer(position: int, length: int) -> bytes:
    front = position.to_bytes(8, "little") + length.to_bytes(8, "little")
    return front + hash64(front) + bytes.fromhex("57 45 46 54 0D 0A 1A 89")


def bits_to_bytes(bits: str) -> bytes:
    """Bits, first to last, padded with 0 to a byte; spaces are for the eye."""
    bits = bits.replace(" ", "")
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[k : k + 8][::-1], 2) for k in range(0, len(bits), 8))


def low_first(value: int, count: int) -> str:
    return f"{value:0{count}b}"[::-1]


def high_first(value: int, count: int) -> str:
    return f"{value:0{count}b}" if count else ""


# ---- stages/2_rans.md, stages/3_huffman.md, stages/4_zstd.md ------------------------------------------------------

Table = dict[int, int]  # symbol -> frequency (rANS), length of its code (Huffman)

LENT = (18, 20, 21, 22, 23)  # stages of planes that lend bytes to states: stages/18_lent.md


def difference(step: int) -> str:
    return "1" * (2 * step - 1 if step > 0 else -2 * step) + "0"


def rans_table(table: Table, filler: int, precision: int, first: int, last: int) -> bytes:
    bits = low_first(first, 8) + low_first(last - first, 8) + low_first(filler - first, 8) + low_first(precision, 4)
    before = 1
    for s in range(first, last + 1):
        if s == filler:
            continue
        f = table.get(s, 0)
        b = f.bit_length()
        given = min(precision, max(0, b - 1))
        assert b == 0 or f >> (b - 1 - given) << (b - 1 - given) == f, "a frequency that the precision cannot say"
        bits += difference(b - before)
        bits += high_first((f >> (b - 1 - given)) - (1 << given), given) if b > 1 else ""
        before = b
    return bits_to_bytes(bits)


def column_table(table: Table, filler: int, precision: int, first: int, last: int, mirrored: bool = False) -> bytes:
    """``last`` and ``filler`` may pass 255: the range goes round. Mirrored: ``first`` is the middle and the filler."""
    bits = low_first(first, 8) + low_first(last - first, 8) + low_first(precision, 4) + str(int(mirrored))
    bits += "" if mirrored else low_first(filler - first, 8)
    before = 1
    for s in range(first, last + 1):
        if s == filler:
            continue
        f = table.get(s % 256, 0)
        assert not mirrored or f == table.get((2 * first - s) % 256, 0), "a table that is not mirrored"
        b = f.bit_length()
        given = min(precision, max(0, b - 1))
        bits += difference(b - before)
        bits += high_first((f >> (b - 1 - given)) - (1 << given), given) if b > 1 else ""
        before = b
    return bits_to_bytes(bits)


def huffman_table(table: Table, first: int, last: int) -> bytes:
    bits, before = low_first(first, 8) + low_first(last - first, 8), 5
    for s in range(first, last + 1):
        bits += difference(table.get(s, 0) - before)
        before = table.get(s, 0)
    return bits_to_bytes(bits)


def written_table(stage: int, table: Table) -> bytes:
    """The plain way: the most frequent symbol is the filler, every bit of a frequency is given."""
    used = [s for s in table if table[s]]
    if stage == 3:
        return huffman_table(table, min(used), max(used))
    if stage == 7:
        return column_table(table, max(used, key=lambda s: table[s]), 11, min(used), max(used))
    return rans_table(table, max(used, key=lambda s: table[s]), 11, min(used), max(used))


def fitted(stage: int, data: bytes) -> Table:
    """A table that has all symbols of ``data``, and two at least."""
    used = sorted(set(data))
    used += [s for s in (0, 1) if s not in used][: max(0, 2 - len(used))]
    if stage == 3:  # lengths as equal as a complete code allows
        bits = (len(used) - 1).bit_length()
        short = (1 << bits) - len(used)
        return {s: bits - (k < short) for k, s in enumerate(used)}
    table = {s: 1 + data.count(s) * (4096 - len(used)) // max(1, len(data)) for s in used}
    table[max(used, key=lambda s: table[s])] += 4096 - sum(table.values())
    return table


def written_choice(choice: Sequence[int], tables: int) -> bytes:
    if tables == 1:
        return b""
    c = min(c for c in (1, 2, 4) if 2**c >= tables)
    return bits_to_bytes("".join(low_first(k, c) for k in choice))


def written_numbers(numbers: Sequence[int], low: int = 0) -> bytes:
    """Numbers of rows or columns; the first is in the middle."""
    middle, bits = numbers[0], ""
    for number in numbers:
        d = number - middle
        u = 2 * d - 1 if d > 0 else -2 * d
        bits += "1" * (u >> low) + "0" + (low_first(u % (1 << low), low) if low else "")
    return bytes((middle, low)) + bits_to_bytes(bits)


def written_columns(columns: Sequence[int], low: int = 0) -> bytes:
    return varint(len(columns)) + (written_numbers(columns, low) if len(columns) > 1 else b"")


def rans(
    tiles: Sequence[bytes], tables: Sequence[Table], choice: Sequence[int], many: int = 64,
    columns: Sequence[int] | None = None, low: int = 0, carried: bytes = b"",
) -> bytes:  # fmt: skip
    """``many``: the lanes of a plane that may have 64 or 128. With the numbers of ``columns`` it is stage 7, and
    ``choice`` has those of the rows, written with ``low`` low bits. The states carry ``carried``, as far as it goes.
    """
    n = sum(map(len, tiles))
    lanes = lanes_of(n, many, columns is not None)
    starts = [{s: sum(table.get(r, 0) for r in range(s)) for s in table} for table in tables]
    states, words = [65_536 + int.from_bytes(carried[2 * k : 2 * k + 2], "little") for k in range(lanes)], []
    begins = [sum(map(len, tiles[:t])) for t in range(len(tiles))]
    for tile, begin, row in reversed([*zip(tiles, begins, choice, strict=True)]):
        for i in reversed(range(len(tile))):
            k = row
            if columns is not None:
                k = min(max(row + columns[(begin + i) % len(columns)] - 64, 0), len(tables) - 1)
            s, x = tile[i], states[i % lanes]
            f = tables[k][s]
            if x >= f << 20:
                words.append(x % 65_536)
                x //= 65_536
            states[i % lanes] = (x // f) * 4096 + x % f + starts[k][s]
    out = varint(len(words)) + (bytes((lanes,)) if n >= 131_072 and columns is None else b"")
    if columns is None:
        out += written_choice(choice, len(tables))
    elif len(tables) > 1:
        out += written_numbers(choice, low)
    return out + written_states(states) + b"".join(w.to_bytes(2, "little") for w in reversed(words))


def lanes_of(n: int, many: int = 64, by_columns: bool = False) -> int:
    """The lanes of a plane of n bytes."""
    lanes = 64 if n >= 65_536 else 16 if n >= 16_384 else 4 if n >= 2_048 else 1
    return min(lanes, 32) if by_columns else many if n >= 131_072 else lanes


def written_states(states: Sequence[int]) -> bytes:
    bits = ""
    for x in states:
        top = x.bit_length() - 1
        bits += low_first(top - 16, 4) + low_first(x - (1 << top), top)
    return bits_to_bytes(bits)


def codes_of(table: Table) -> dict[int, str]:
    codes, code = {}, 0
    for n in range(1, 12):
        code *= 2
        for s in sorted(s for s in table if table[s] == n):
            codes[s] = high_first(code, n)
            code += 1
    return codes


def huffman(tiles: Sequence[bytes], tables: Sequence[Table], choice: Sequence[int]) -> bytes:
    codes = [codes_of(table) for table in tables]
    t = len(tiles)
    streams = []
    for j in range(4):
        mine = range(j * t // 4, (j + 1) * t // 4)
        streams.append(bits_to_bytes("".join(codes[choice[k]][s] for k in mine for s in tiles[k])))
    return b"".join(varint(len(s)) for s in streams) + written_choice(choice, len(tables)) + b"".join(streams)


def lzma2(data: bytes) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20, "lc": 3, "lp": 0, "pb": 0}]
    return lzma.compress(data, lzma.FORMAT_RAW, filters=filters)


@dataclass
class Mixed:
    """Parameters of stage 8."""

    framing: int = 1
    signed: int = 0
    centre: int = 0
    rate: int = 6
    row: int = 1
    far: int = 2

    def written(self) -> bytes:
        centre = bytes((self.centre,)) if self.signed and self.framing else b""
        return bytes((self.framing, self.signed)) + centre + bytes((self.rate,)) + varint(self.row) + varint(self.far)


def mixed_stream(data: bytes, how: Mixed) -> bytes:
    """With the model of the reference decoder, which is a decoder's as much as an encoder's."""
    model = reference.Model(len(data), how.framing, how.signed, how.centre, how.rate, how.row, how.far)
    low, high, out = 0, 2**32 - 1, bytearray()
    for byte in data:
        for place in reversed(range(8)):
            middle = reference.split_at(low, high, model.probability())
            bit = byte >> place & 1
            low, high = (low, middle) if bit else (middle + 1, high)
            while low >> 24 == high >> 24:
                out.append(low >> 24)
                low, high = low * 256 % 2**32, high * 256 % 2**32 + 255
            model.learn(bit)
    k, last = reference.shortest(low, high)
    return bytes(out) + last.to_bytes(4, "big")[:k]


def mixed(data: bytes, how: Mixed) -> bytes:
    stream = mixed_stream(data, how)
    return how.written() + varint(len(stream)) + stream


def zstd(data: bytes, **options: Any) -> bytes:
    """A frame; options as zstandard has them."""
    return zstandard.ZstdCompressor(**options).compress(data)


# ---- 4. Span record, 5. From planes to elements, 6. Chunk body ---------------------------------------------------


@dataclass
class Plane:
    """``tables``: of which stage; each as a Table, or as one and the bytes that are written for it. ``columns`` are
    written for stage 7, numbers with ``low`` low bits.
    """

    shift: int
    bits: int = 8
    stage: int = 0
    tables: list[Table | tuple[Table, bytes]] = field(default_factory=list)
    columns: list[int] = field(default_factory=lambda: [64])
    low: int = 0

    def written(self) -> bytes:
        size = {1: 0, 2: 1, 4: 2, 8: 3}[self.bits]
        out = bytes((self.shift | size << 6, len(self.tables) | self.stage << 5))
        out += b"".join(t[1] if isinstance(t, tuple) else written_table(self.stage, t) for t in self.tables)
        return out + written_columns(self.columns, self.low) if self.stage == 7 else out

    def known(self) -> list[Table]:
        return [t[0] if isinstance(t, tuple) else t for t in self.tables]


@dataclass
class Chunk:
    """``values`` and ``stages`` of each plane (a stage, or the whole of stage and payload); ``drops`` of each tile."""

    values: list[list[int]]
    stages: list[int | bytes]
    drops: list[int] = field(default_factory=list)
    drops_stage: int | bytes = 0
    escapes: dict[int, int] = field(default_factory=dict)
    choice: dict[int, list[int]] = field(default_factory=dict)
    tail: bytes = b""
    elements: int = -1  # where no plane says so


@dataclass
class Span:
    """Numbers as in section 4; ``tile`` and ``chunk`` of 0: all the elements of the first chunk."""

    planes: list[Plane]
    chunks: list[Chunk]
    width: int = 1
    tile: int = 0
    chunk: int = 0
    fold: int | None = None
    window: int | None = None
    constant: int | None = None
    drops: bool = False
    escapes: bool = False
    dtype: int = 2

    def __post_init__(self) -> None:
        first = self.chunks[0]
        if first.elements < 0:
            first.elements = len(first.values[0])
        self.tile = self.tile or max(1, min(first.elements, 16_384))
        self.chunk = self.chunk or -(-max(1, first.elements) // self.tile) * self.tile
        for chunk in self.chunks:
            chunk.elements = chunk.elements if chunk.elements >= 0 else len(chunk.values[0])
            chunk.drops = chunk.drops or [0] * len(self.tiles(chunk))

    def tiles(self, chunk: Chunk) -> list[range]:
        return [range(a, min(a + self.tile, chunk.elements)) for a in range(0, chunk.elements, self.tile)]


def original_of(span: Span, chunk: Chunk) -> bytes:
    """Section 5."""
    bits, out = 8 * span.width, bytearray()
    for i in range(chunk.elements):
        y = 0
        for p, plane in enumerate(span.planes):
            v = chunk.values[p][i] if chunk.drops[i // span.tile] <= p else 0
            if v and p == len(span.planes) - 1 and span.window is not None:
                v += span.window
            y |= v << plane.shift
        y |= span.constant or 0
        if i in chunk.escapes:
            y |= chunk.escapes[i] << span.planes[-1].shift
        y %= 1 << bits
        if span.fold is not None:
            sign, high = y >> span.fold & 1, y >> span.fold + 1
            y = y % (1 << span.fold) | high << span.fold | sign << bits - 1
        out += y.to_bytes(span.width, "little")
    return bytes(out) + chunk.tail


def packed(values: Sequence[int], bits: int) -> bytes:
    """One tile of one plane."""
    q = -(-len(values) * bits // 8)
    out = bytearray(q)
    for i, v in enumerate(values):
        out[i % q] |= v << bits * (i // q)
    return bytes(out)


def plane_tiles(span: Span, chunk: Chunk, p: int) -> list[bytes]:
    """The tiles of a plane that are there."""
    kept = [tile for tile, d in zip(span.tiles(chunk), chunk.drops, strict=True) if d <= p]
    return [packed(chunk.values[p][tile.start : tile.stop], span.planes[p].bits) for tile in kept]


def staged(
    stage: int | bytes, tiles: list[bytes], plane: Plane | None = None, choice: list[int] | None = None,
    carried: bytes = b"",
) -> bytes:  # fmt: skip
    """A stage and its payload; ``carried``: what its states carry."""
    data = b"".join(tiles)
    if isinstance(stage, bytes):
        return stage
    if stage == 1:
        assert len(set(data)) <= 1, "not constant"
        return bytes((1, data[0] if data else 0))
    if stage == 4:
        frame = zstd(data, level=19)
        return b"\4" + varint(len(frame)) + frame
    if stage == 5:
        low, high = sorted(set(data))
        return bytes((5, low, high)) + bits_to_bytes("".join("01"[byte == high] for byte in data))
    if stage in (2, 3, 7):
        assert plane is not None
        tables = plane.known()
        choice = choice or [k % len(tables) for k in range(len(tiles))]
        if stage == 7:
            return b"\7" + rans(tiles, tables, choice, columns=plane.columns, low=plane.low, carried=carried)
        if stage == 3:
            return b"\3" + huffman(tiles, tables, choice)
        return b"\2" + rans(tiles, tables, choice, many=128 if len(carried) == 256 else 64, carried=carried)
    if stage in LENT:
        return bytes((stage,)) + data[: len(data) - (2 << stage - 16)]
    return bytes((stage,)) + data


def span_body(span: Span, length: int) -> bytes:
    """The body of a span record, to the planes."""
    layout = {1: 0, 2: 1, 4: 2, 8: 3}[span.width]
    for bit, there in enumerate((span.fold is not None, span.window is not None, span.constant is not None), 2):
        layout |= there << bit
    layout |= span.drops << 5 | span.escapes << 6
    out = varint(length) + bytes((span.dtype, layout))
    if span.fold is not None:
        out += bytes((span.fold,))
    if span.window is not None:
        out += varint(span.window)
    if span.constant is not None:
        out += span.constant.to_bytes(span.width, "little")
    out += varint(span.tile) + varint(span.chunk) + bytes((len(span.planes),))
    return out + b"".join(plane.written() for plane in span.planes)


def chunk_body(span: Span, chunk: Chunk) -> bytes:
    """The body of a chunk, without its number."""
    out = hash64(original_of(span, chunk))
    if span.drops:
        out += staged(chunk.drops_stage, [bytes(chunk.drops)])
    if span.escapes:
        places = list(chunk.escapes)
        gaps = (i - before - 1 for before, i in zip([-1, *places], places, strict=False))
        out += b"".join(map(varint, (len(places), *gaps, *chunk.escapes.values())))
    carried = b""
    for p, plane in enumerate(span.planes):
        stage, tiles = chunk.stages[p], plane_tiles(span, chunk, p)
        out += staged(stage, tiles, plane, chunk.choice.get(p), carried)
        lent = 2 << stage - 16 if stage in LENT else 0
        carried = b"".join(tiles)[-lent:] if lent else b""
    return out + chunk.tail


Bodies = tuple[int, list[bytes]]  # original bytes of a span, bodies of its records


def bodies(span: Span) -> Bodies:
    length = sum(len(original_of(span, chunk)) for chunk in span.chunks)
    head = span_body(span, length)
    if len(span.chunks) == 1:
        return length, [head + chunk_body(span, span.chunks[0])]
    return length, [head, *(varint(k) + chunk_body(span, chunk) for k, chunk in enumerate(span.chunks))]


# ---- 7. Index record, and the file -------------------------------------------------------------------------------

Tensor = tuple[str | bytes, int, Sequence[int], int, int]  # name, dtype, shape, first span, number of spans


def plain_part(data: bytes) -> bytes:
    """Bytes as the body of a span record: one plane, stored."""
    tile = max(1, min(8, len(data)))
    layout = varint(len(data)) + b"\0\0" + varint(tile) + varint(-(-len(data) // tile) * tile) + b"\1\xc0\0"
    return layout + hash64(data) + b"\0" + data


def made_body(original: bytes, transform: int, parameters: bytes, parts: Sequence[bytes], length: int = -1) -> bytes:
    """The body of a span record that is made of parts (section 4a), which are bodies themselves."""
    front = varint(len(original) if length < 0 else length) + bytes((2, 128 | transform)) + parameters
    return front + b"".join(varint(len(part)) + part for part in parts) + hash64(original)


def listed_tensors(tensors: Iterable[Tensor]) -> bytes:
    held = [
        text(name) + bytes((dtype,)) + varint(len(shape)) + b"".join(map(varint, shape)) + varint(first) + varint(spans)
        for name, dtype, shape, first, spans in tensors
    ]
    return varint(len(held)) + b"".join(held)


def listed_spans(spans: Sequence[Bodies]) -> bytes:
    out = varint(len(spans))
    for length, held in spans:
        out += varint(length) + varint(len(held[0]) + 13) + varint(len(held) - 1)
        out += b"".join(varint(len(body) + 13) for body in held[1:])
    return out


def index_proper(
    spans: Sequence[Bodies], tensors: bytes, original: bytes | None, source: str | bytes, level: str | bytes
) -> bytes:
    """``original``: None for no digest."""
    digest = b"\0" if original is None else b"\1" + hashlib.sha256(original).digest()
    total = sum(length for length, _ in spans)
    return varint(total) + digest + text(source) + text(level) + listed_spans(spans) + tensors


def weft(
    spans: Sequence[Bodies], original: bytes | None, *, tensors: bytes | None = None, source: str | bytes = "opaque",
    level: str | bytes = "default", index: bytes | None = None, index_body: bytes | None = None, front: bytes = b"",
) -> bytes:  # fmt: skip
    """A file. By default one tensor of U8 has all bytes. ``index``: another index proper; ``index_body``: another body
    of its record; ``front``: another header.
    """
    out = front or header()
    for _, held in spans:
        out += b"".join(record(1 if k == 0 else 2, body) for k, body in enumerate(held))
    total = sum(length for length, _ in spans)
    if tensors is None:
        tensors = listed_tensors([("data", 2, (total,), 0, len(spans))] if spans else [])
    if index is None:
        index = index_proper(spans, tensors, original, source, level)
    last = record(3, b"\0" + varint(len(index)) + index if index_body is None else index_body)
    return out + last + trailer(len(out), len(last))
