"""Span records of every kind, and what can be done to them: damage, and fields that lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from codec.container import records
from codec.decode import SpanDecoder
from codec.dtypes import DTYPES
from codec.encode import encode_span
from codec.errors import CodecError
from codec.limits import CHUNK_BYTES_MAX
from codec.planner.levels import level_of
from codec.stages import columns as columns_stage
from codec.stages import layout as layouts
from codec.stages import plain, rans
from codec.stages.columns import COLUMNS
from codec.stages.columns import fit_tables as fit_columns
from codec.stages.layout import Layout, Plane
from codec.stages.transforms import Fields, Offset, Palette, Ramp, Sparse, Transform
from codec.wire import Cursor, varint
from tests import naive
from tests.packings import packings
from tests.stages.payloads import FIT, PAYLOAD


@dataclass(frozen=True, repr=False)
class Span:
    """A span with one chunk, in parts: its layout, and the chunk from its hash on."""

    original: bytes
    layout: Layout
    chunk: bytes

    def __repr__(self) -> str:
        return f"<span of {len(self.original)} bytes: {self.body.hex()}>"

    @property
    def head(self) -> bytes:
        return layouts.encode(self.layout)

    @property
    def body(self) -> bytes:
        return self.head + self.chunk


def hash_of(data: bytes) -> bytes:
    return xxh3_64_intdigest(data).to_bytes(8, "little")


def span_of(data: Any, dtype: str | None, shape: tuple[int, ...], level: str = "default") -> Span:
    """What the encoder makes of bytes that fit in a chunk."""
    original = np.ascontiguousarray(data).tobytes()
    coded = encode_span(original, DTYPES[dtype] if dtype else None, shape, level_of(level))
    assert not coded.entry.chunks
    body = coded.stored[records.HEAD_BYTES : -8].tobytes()
    cursor = Cursor(body, "test")
    layout = layouts.decode(cursor)
    return Span(original, layout, body[cursor.at :])


def floats(rng: np.random.Generator, rows: int, columns: int, spread: float = 1.0) -> np.ndarray:
    """Normal weights, whose rows differ in scale up to ``spread`` times."""
    scale = np.geomspace(0.03, 0.03 * spread, rows)[:, None]
    return (rng.standard_normal((rows, columns)) * scale).astype(np.float32)


def bf16(x: np.ndarray) -> np.ndarray:
    return (x.view(np.uint32) >> 16).astype(np.uint16)


def _odd(x: np.ndarray, rng: np.random.Generator, values: list[int]) -> np.ndarray:
    """Some elements far from all others."""
    where = rng.choice(x.size, max(1, x.size // 200), replace=False)
    x.reshape(-1)[where] = rng.choice(np.array(values, x.dtype), where.size)
    return x


def _half_in_fp16(x: np.ndarray) -> np.ndarray:
    x.view(np.uint32)[::2] &= 0xFFFFE000
    return x


#: (element type, bytes of it for rows and columns).
KINDS: dict[str, tuple[str | None, Any]] = {
    "bf16": ("BF16", lambda rng, r, c: bf16(floats(rng, r, c))),
    "bf16 in groups": ("BF16", lambda rng, r, c: bf16(floats(rng, r, c, 1000))),
    "bf16 with escapes": ("BF16", lambda rng, r, c: _odd(bf16(floats(rng, r, c)), rng, [0x7FC1, 0x7F7F, 0x8001])),
    "fp16": ("F16", lambda rng, r, c: floats(rng, r, c, 30).astype(np.float16)),
    "fp32": ("F32", lambda rng, r, c: floats(rng, r, c)),
    "fp32 with escapes": (
        "F32",
        lambda rng, r, c: _odd(floats(rng, r, c).view(np.uint32), rng, [0x7F800000, 0xFF812345]),
    ),
    "fp32, some rows fp16": ("F32", lambda rng, r, c: _half_in_fp16(floats(rng, r, c))),
    "fp32 from bf16": ("F32", lambda rng, r, c: floats(rng, r, c).view(np.uint32) & 0xFFFF0000),
    "fp64": ("F64", lambda rng, r, c: floats(rng, r, c).astype(np.float64)),
    "complex": ("C64", lambda rng, r, c: floats(rng, r, 2 * c)),
    "bytes": ("U8", lambda rng, r, c: rng.binomial(40, 0.5, (r, c)).astype(np.uint8)),
    "noise": ("U8", lambda rng, r, c: rng.integers(0, 256, (r, c), dtype=np.uint8)),
    "small integers": ("I32", lambda rng, r, c: rng.binomial(99, 0.4, (r, c)).astype(np.int32) + 0x12345600),
    "long integers": ("I64", lambda rng, r, c: rng.binomial(30000, 0.5, (r, c)).astype(np.int64)),
    "fp8": ("F8_E4M3", lambda rng, r, c: (rng.standard_normal((r, c)) * 20).astype(np.int8)),
    "zeros": ("F16", lambda rng, r, c: np.zeros((r, c), np.uint16)),
    "opaque": (None, lambda rng, r, c: rng.binomial(40, 0.5, (r, c)).astype(np.uint8)),
}


def made(kind: str, level: str, rows: int, columns: int, tail: bytes = b"", seed: int = 0) -> Span:
    """A span of a kind; ``tail`` lies behind its elements."""
    dtype, make = KINDS[kind]
    data = np.ascontiguousarray(make(np.random.default_rng(seed), rows, columns)).tobytes() + tail
    return span_of(np.frombuffer(data, np.uint8), dtype, (rows, columns), level)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    """What the encoder makes of some elements."""
    kind, level = draw(st.sampled_from(sorted(KINDS))), draw(st.sampled_from(["fast", "default"]))
    rows, columns = draw(st.integers(1, 9)), draw(st.sampled_from([1, 8, 30, 64, 256, 304]))
    tail = draw(st.sampled_from([b"", b"", b"a", b"abc"]))
    return made(kind, level, rows, columns, tail, draw(st.integers(0, 99)))


def written(seed: int) -> Span:
    """A span that no encoder would write: any layout, planes of any bytes in any stage but zstd, drops and escapes.

    Its original is not known: it is empty, and the hash 0.
    """
    rng = np.random.default_rng(seed)
    width = int(rng.choice([1, 2, 4, 8]))
    many = rng.choice([rng.integers(0, 12), rng.integers(0, 500), rng.integers(2048, 2200)], p=[0.4, 0.4, 0.2])
    elements, tail = int(many), int(rng.integers(width))
    elements = elements if elements or tail else 1
    tile = int(rng.integers(min(8, max(1, elements)), 100))
    tiles = [min(tile, elements - a) for a in range(0, elements, tile)]
    places: list[tuple[int, int]] = []
    at = 0
    for _ in range(int(rng.integers(0, 6))):
        shift, bits = at + int(rng.choice([0, 0, 0, 1, 5])), int(rng.choice([1, 2, 4, 8, 8, 8]))
        if shift + bits <= 8 * width:
            places.append((shift, bits))
            at = shift + bits
    window = int(rng.choice([0, 1, 300, 65535])) if places and rng.integers(2) else None
    if window is not None:
        places[-1] = (places[-1][0], 8)
    dropping, escaping = rng.integers(3) == 0, bool(places) and rng.integers(3) == 0
    drops = rng.integers(0, len(places) + 1, len(tiles), dtype=np.uint8)
    drops[:] = drops[:1] if rng.integers(2) else np.minimum(drops, rng.choice([1, 64]))
    drops = drops if dropping else np.zeros(len(tiles), np.uint8)
    parts, planes = [bytes(8)], []
    if dropping:
        pair = plain.encode_pair(drops)
        coded = b"\0" + drops.tobytes() if pair is None or rng.integers(2) else b"\5" + pair
        parts.append(bytes((1, drops[0] if tiles else 0)) if len(set(drops)) < 2 else coded)
    where = np.sort(rng.choice(elements, min(elements, int(rng.integers(0, 5))), replace=False))
    where = where[drops[where // tile] < len(places)] if escaping else where[:0]  # the others have no last plane
    if escaping:
        values = rng.integers(1, 1 << 16, where.size).astype("<u2")
        parts.append(naive.write_escapes(where.tolist(), values.tolist()))
    for k, (shift, bits) in enumerate(places):
        x = rng.choice(rng.integers(0, 1 << bits, int(rng.choice([1, 2, 5, 60]))), elements)
        if k == len(places) - 1:
            x[where] = 0
        kept = [t for t in range(len(tiles)) if drops[t] <= k]
        data = np.frombuffer(b"".join(naive.pack(x[t * tile :][: tiles[t]].tolist(), bits) for t in kept), np.uint8)
        by_columns = bits == 8 and not dropping and rng.integers(3) == 0
        stage, tables, payload = COLUMNS if by_columns else int(rng.integers(4)), None, None
        if stage > 1:
            counts = rng.integers(1, 99, (int(rng.choice([1, 2, 3, 9])), 256)) * np.bincount(data, minlength=256)
            choice = rng.integers(0, len(counts), len(kept), dtype=np.uint8)
            tables = FIT[stage](counts, 1)
            if (
                by_columns and len(counts) > 1
            ):  # any number of columns that goes with the tiles, and numbers that go far
                columns = rng.integers(0, 128, tile * int(rng.choice([1, 1, 2, 9])), dtype=np.uint8)
                tables = fit_columns(np.repeat(counts.sum(axis=0)[None], len(counts), axis=0), 1, columns)
                choice = rng.integers(0, 128, len(kept), dtype=np.uint8)
            payload = PAYLOAD[stage](data, -(-tile * bits // 8), choice, tables) if data.size else None
        if payload is None:
            stage = int(data.size == 0 or (stage == 1 and data.min() == data.max()))
            payload = (data[:1].tobytes() or b"\0") if stage else data.tobytes()
        lanes = {2: rans.lanes_for, COLUMNS: columns_stage.lanes_for}.get(stage, lambda _: 0)(data.size)
        if k and k == len(places) - 1 and lanes >= 4 and parts[-1][0] == 0 and len(parts[-1]) > 2 * lanes:
            carried = parts[-1][-2 * lanes :]  # lent by the plane before
            parts[-1] = bytes((15 + lanes.bit_length(),)) + parts[-1][1 : -2 * lanes]
            payload = PAYLOAD[stage](data, -(-tile * bits // 8), choice, tables, carried)
            assert payload is not None
        parts.append(bytes((stage,)) + payload)
        planes.append(Plane(shift, bits, tables))
    fold = int(rng.integers(8 * width)) if rng.integers(2) else None
    constant = int(rng.integers(1 << 62)) & (1 << 8 * width) - 1 if rng.integers(2) else 0
    lay = Layout(
        elements * width + tail, 0, width, tile, tile * -(-max(1, elements) // tile), tuple(planes), fold, window,
        constant, bool(dropping), bool(escaping),
    )  # fmt: skip
    return Span(b"", lay, b"".join(parts) + rng.bytes(tail))


def of_planes(count: int) -> Span:
    """A bit in each of ``count`` planes, stored; the bits above are 0."""
    width = next(w for w in (1, 2, 4, 8) if 8 * w >= count)
    values = [int.from_bytes(np.random.default_rng(k).bytes(8), "little") >> (64 - count) for k in range(24)]
    planes = [b"\0" + naive.pack([v >> k & 1 for v in values], 1) for k in range(count)]
    original = b"".join(v.to_bytes(width, "little") for v in values)
    lay = Layout(len(original), 0, width, 24, 24, tuple(Plane(k, 1) for k in range(count)))
    return Span(original, lay, hash_of(original) + b"".join(planes))


def of_tables(counts: tuple[int, ...]) -> Span:
    """Elements of four bytes: a plane for each of the first ones, with so many tables, taken by turns."""
    tiles, tile, rng = 32, 40, np.random.default_rng(sum(counts))
    x, parts, planes = np.zeros((tiles * tile, 4), np.uint8), [], []
    for p, count in enumerate(counts):
        choice = (np.arange(tiles) % count).astype(np.uint8)
        data = (rng.binomial(9, 0.5, (tiles, tile)) + 5 * choice[:, None]).astype(np.uint8)
        tables = FIT[2](np.array([np.bincount(data[k::count].ravel(), minlength=256) for k in range(count)]), 1)
        payload = PAYLOAD[2](data.ravel(), tile, choice, tables)
        assert payload is not None
        x[:, p] = data.ravel()
        parts.append(b"\2" + payload)
        planes.append(Plane(8 * p, 8, tables))
    lay = Layout(x.nbytes, 0, 4, tile, tile * tiles, tuple(planes))
    return Span(x.tobytes(), lay, hash_of(x.tobytes()) + b"".join(parts))


def with_drops(draw: st.DrawFn, span: Span) -> Span:
    """Drops where there were none: true ones of 0, or others."""
    lay = span.layout
    tiles, most = -(-lay.elements // lay.tile), len(lay.planes) + 1
    if draw(st.booleans()):
        drops = bytes((1, draw(st.integers(0, most))))
    else:
        values = bytes(draw(st.lists(st.sampled_from([0, 0, most - 1, most]), min_size=tiles, max_size=tiles)))
        pair = plain.encode_pair(np.frombuffer(values, np.uint8))
        drops = b"\0" + values if pair is None else b"\5" + pair
    return replace(span, layout=replace(lay, drops=True), chunk=span.chunk[:8] + drops + span.chunk[8:])


def with_escapes(draw: st.DrawFn, span: Span) -> Span:
    """Escapes where there were none, mostly in order."""
    lay = span.layout
    places = draw(st.lists(st.integers(0, lay.elements), max_size=4))
    places = sorted(set(places)) if draw(st.booleans()) else places
    values = [draw(st.sampled_from([1, 7, 256, 65535, 65535, 0])) for _ in places]
    count = max(0, len(places) + draw(st.sampled_from([0, 0, 0, 0, 1, -1, 2**31])))
    listed = varint(count) + naive.write_escapes(places, values)[len(varint(len(places))) :]
    return replace(span, layout=replace(lay, escapes=True), chunk=span.chunk[:8] + listed + span.chunk[8:])


def lying(draw: st.DrawFn, lay: Layout) -> Layout:
    """One field of the layout says something else."""
    what = draw(
        st.sampled_from(["length", "tile", "chunk", "planes", "tables", "fold", "window", "constant", "flags", "width"])
    )
    some = draw(st.integers(0, 2**16))
    if what == "length":
        near = [lay.length + d for d in (1, -1, lay.width, -lay.width)]
        return replace(lay, length=max(0, draw(st.sampled_from([*near, 2 * lay.length, 1, 1 << 23, (1 << 23) + 1]))))
    if what == "tile":
        tile = draw(st.sampled_from([0, 1, 7, 8, 16, lay.tile - 1, lay.tile + 1, 2 * lay.tile, 1 << 14, 1 << 15]))
        return replace(lay, tile=max(0, tile), chunk=draw(st.sampled_from([lay.chunk, 8 * tile, tile])))
    if what == "chunk":
        return replace(lay, chunk=draw(st.sampled_from([0, 1, lay.tile, 2 * lay.tile, lay.chunk + lay.tile, 1 << 19])))
    if what == "planes":
        return replace(lay, planes=_planes(draw, lay.planes))
    if what == "tables" and lay.planes:
        return replace(lay, planes=_tables(draw, lay.planes))
    if what == "fold":
        return replace(lay, fold=draw(st.none() | st.integers(0, 8 * lay.width)))
    if what == "window":
        return replace(lay, window=draw(st.none() | st.just(0) | st.integers(0, 1 << 16)))
    if what == "constant":
        return replace(lay, constant=some * 0x0001_0203_0405_0607 & (1 << 8 * lay.width) - 1)
    if what == "width":
        width = draw(st.sampled_from([1, 2, 4, 8]))
        return replace(lay, width=width, constant=lay.constant & (1 << 8 * width) - 1)
    flags = draw(st.sampled_from(["drops", "escapes", "dtype"]))
    if flags == "dtype":
        return replace(lay, dtype=draw(st.integers(0, 255)))
    return replace(lay, drops=lay.drops ^ (flags == "drops"), escapes=lay.escapes ^ (flags == "escapes"))


def _planes(draw: st.DrawFn, planes: tuple[Plane, ...]) -> tuple[Plane, ...]:
    k, how = draw(st.integers(0, max(0, len(planes) - 1))), draw(st.integers(0, 4))
    shift, width = draw(st.integers(0, 63)), draw(st.sampled_from([1, 2, 4, 8]))
    if how == 0 or not planes:
        return (*planes[:k], Plane(shift, width), *planes[k:])
    if how == 1:
        return planes[:k] + planes[k + 1 :]
    if how == 2:
        return (*planes[:k], replace(planes[k], shift=shift), *planes[k + 1 :])
    if how == 3:
        return (*planes[:k], replace(planes[k], width=width), *planes[k + 1 :])
    return tuple(Plane(bit, 1) for bit in range(draw(st.integers(0, 70)) & 63))


def _tables(draw: st.DrawFn, planes: tuple[Plane, ...]) -> tuple[Plane, ...]:
    k, other = draw(st.integers(0, len(planes) - 1)), draw(st.integers(0, len(planes) - 1))
    tables = planes[other].tables
    if tables is not None and draw(st.booleans()):
        if draw(st.booleans()):
            tables = replace(tables, count=draw(st.integers(1, 31)))
        else:
            tables = replace(tables, stage=draw(st.integers(0, 7)))
    elif draw(st.booleans()):
        tables = None
    return (*planes[:k], replace(planes[k], tables=tables), *planes[k + 1 :])


def damaged(draw: st.DrawFn, data: bytes, near: int) -> bytes:
    """Bits flipped, bytes replaced, left out, put in, cut off or added; often within 30 bytes behind ``near``."""
    out = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        places = st.integers(0, max(0, len(out) - 1))
        at = draw(places | st.integers(near, near + 30) | st.integers(0, 30))
        how = draw(st.sampled_from(["bit", "bit", "bit", "byte", "byte", "out", "in", "cut", "add"]))
        if how == "bit" and at < len(out):
            out[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "byte" and at < len(out):
            out[at] = draw(st.sampled_from([0, 1, 2, 3, 4, 127, 128, 255]))
        elif how == "out":
            del out[at : at + draw(st.integers(1, 4))]
        elif how == "in":
            out[at:at] = draw(st.binary(min_size=1, max_size=4))
        elif how == "cut":
            del out[len(out) - draw(st.integers(1, 20)) :]
        else:
            out += draw(st.binary(min_size=1, max_size=20))
    return bytes(out)


@st.composite
def made_spans(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """(original, body of a record) of a span that is made of parts, which are coded in any way."""
    kind = draw(st.sampled_from(["fields", "codes", "palette", "sparse", "offset", "ramp"]))
    rng, code = np.random.default_rng(draw(st.integers(0, 2**32))), draw(st.integers(0, 3))
    n = draw(st.sampled_from([1, 2, 7, 9, 64, 500, 3000]))
    uint = (np.uint8, np.uint16, np.uint32, np.uint64)[code]
    top, parts, transform = (1 << (8 << code)) - 1, list[np.ndarray](), None
    if kind == "fields":
        sizes = draw(st.lists(st.sampled_from([1, 2, 3, 4, 8, 12, 16, 32, 64, 66]), min_size=2, max_size=16))
        n = min(n, CHUNK_BYTES_MAX // sum(sizes))
        parts = [rng.binomial(40, 0.5, (n, size)).astype(np.uint8) for size in sizes]
        original, transform = np.concatenate(parts, axis=1).tobytes(), Fields(tuple(sizes))
    elif kind == "codes":
        packing = draw(packings(words=False))
        blocks = rng.binomial(255, 0.5, max(1, n * 8 // packing.block) * packing.block).astype(np.uint8)
        parts = [np.zeros(size, np.uint8) for size in packing.parts(blocks.size)]
        packing.split(blocks, parts)
        original, transform = blocks.tobytes(), packing
    elif kind == "palette":
        values = np.unique(rng.integers(0, top, draw(st.sampled_from([1, 2, 16, 256, 257, 900])), uint, endpoint=True))
        numbers = rng.integers(0, values.size, n).astype(np.uint8 if values.size <= 256 else np.uint16)
        original, parts = values[numbers].tobytes(), [values, numbers]
        transform = Palette(code, values.size)
    elif kind == "sparse":
        x = rng.integers(1, top, n, uint, endpoint=True) * (rng.random(n) < draw(st.sampled_from([0.02, 0.5, 1])))
        x[n // 2] = 1
        original, parts = x.astype(uint).tobytes(), [np.packbits(x != 0, bitorder="little"), x[x != 0].astype(uint)]
        transform = Sparse(code, parts[1].size)
    elif kind == "offset":
        narrow, start = draw(st.integers(0, code)), draw(st.integers(0, top))
        kinds = (np.uint8, np.uint16, np.uint32, np.uint64)
        part = rng.binomial(99, 0.5, n).astype(kinds[narrow])
        original, parts = (part.astype(uint) + uint(start)).tobytes(), [part]
        transform = Offset(code, narrow, start)
    else:
        start, step = draw(st.integers(0, top)), draw(st.integers(0, top))
        original = (np.arange(n, dtype=np.uint64) * np.uint64(step) + np.uint64(start)).astype(uint).tobytes()
        transform = Ramp(code, start, step)
    level = draw(st.sampled_from(["fast", "default"]))
    types = [f"U{8 * part.itemsize}" if draw(st.booleans()) else None for part in parts]
    return original, record_of(transform, original, [
        span_of(part, dtype, part.shape, level).body for part, dtype in zip(parts, types, strict=True)
    ])  # fmt: skip


def record_of(transform: Transform, original: bytes, parts: list[bytes]) -> bytes:
    """The body of a made span's record."""
    head = layouts.encode(layouts.made(len(original), 0, transform))
    return b"".join([head, *(varint(len(part)) + part for part in parts), hash_of(original)])


@st.composite
def spoilt_spans(draw: st.DrawFn) -> tuple[Span, bytes]:
    """A span, and the body of a record that is not, or not quite, its own."""
    span = other = draw(spans())
    how = draw(st.sampled_from(["damage", "damage", "lie", "lie", "drops", "escapes", "all"]))
    if how in ("drops", "all") and not span.layout.drops:
        other = with_drops(draw, other)
    if how in ("escapes", "all") and not (span.layout.escapes or span.layout.drops):
        other = with_escapes(draw, other)
    if how in ("lie", "all"):
        other = replace(other, layout=lying(draw, other.layout))
    body = other.body
    return span, damaged(draw, body, len(other.head)) if how in ("damage", "all") else body


def chunked(span: Span, count: int) -> tuple[bytes, list[bytes], bytes] | None:
    """(span record's body, bodies of chunk records, original) of ``count`` chunks with the elements of a span, or None.

    Chunks other than the last are whole tiles, of 8 elements or more, so the span must be.
    """
    lay = span.layout
    if lay.tile < 8 or lay.elements % lay.tile or not lay.elements:
        return None
    whole = span.original[: lay.elements * lay.width]
    more = replace(lay, chunk=lay.elements, length=count * len(whole) + lay.tail)
    first = hash_of(whole) + span.chunk[8 : len(span.chunk) - lay.tail]
    bodies = [varint(k) + (span.chunk if k == count - 1 else first) for k in range(count)]
    return layouts.encode(more), bodies, (count - 1) * whole + span.original


def rare(lay: Layout) -> bool:
    """Whether a layout has more planes or tables than the quick way takes."""
    rows = 0
    for p in lay.planes:
        if p.tables is not None:
            rows += p.tables.count
            if p.tables.stage == COLUMNS:  # whose columns lie behind its tables
                rows += -(-p.tables.beside(lay.tile).size // 16384)
        if rows > 48:
            return True
    return len(lay.planes) > 15


def rare_body(body: bytes) -> bool:
    """Whether a span that is right, or a part of it, is one that the quick way does not take."""
    cursor = Cursor(body, "test")
    lay = layouts.decode(cursor)
    if lay.transform is not None:
        sizes = lay.transform.parts(lay.length)
        parts = [bytes(cursor.take(cursor.varint())) for _ in sizes]
        wide = isinstance(lay.transform, Offset) and lay.transform.narrow > 1
        return wide or isinstance(lay.transform, Ramp) or any(map(rare_body, parts))
    return rare(lay)


def carefully(decoder: SpanDecoder | bytes, length: int, number: int = -1, body: bytes = b"") -> bytes | None:
    """What codec.decode makes of the body of a span record, or of chunk ``number`` of it; None if it is refused.

    A hash that is not that of the decoded bytes is no reason to refuse them here, but for the hash of a part.
    """
    out = np.zeros(length, np.uint8)
    try:
        found = SpanDecoder(decoder, "test") if isinstance(decoder, bytes) else decoder
        if number < 0 and found.layout.length != length:
            return None
        if number < 0:
            found.decode_inline(out)
        else:
            found.decode_chunk(number, memoryview(body), out)
    except CodecError as e:
        return out.tobytes() if "stored checksum" in str(e) and ", part" not in str(e) else None
    return out.tobytes()
