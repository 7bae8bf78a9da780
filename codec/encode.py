"""Original bytes -> records: plan a span, code its chunks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from codec.container import records
from codec.container.index import SpanEntry
from codec.dtypes import DTYPES, DType
from codec.limits import SPAN_BYTES_MAX
from codec.planner import Plan, plan_span
from codec.planner.levels import Level
from codec.planner.plane import PlanePlan
from codec.planner.span import room_for, split
from codec.stages import huffman, layout, plain, rans
from codec.stages.geometry import Bytes, plane_geometry, view
from codec.wire import varint

#: Opaque bytes are planned in smaller pieces, since they may hold anything.
OPAQUE_SPAN: Final = 1 << 20
_ENCODERS: Final[dict[int, Any]] = {rans.RANS: rans.encode, huffman.HUFFMAN: huffman.encode}
_local = threading.local()


@dataclass(frozen=True, slots=True)
class EncodedSpan:
    """Records of a span as they go into the file, their index entry, and stored bytes by field."""

    records: list[bytes]
    entry: SpanEntry
    fields: dict[str, int]


def span_bytes(dtype: DType | None, shape: tuple[int, ...]) -> int:
    """Original bytes of each span of a tensor but the last: whole rows where they fit, and whole elements always."""
    if dtype is None:
        return OPAQUE_SPAN
    row = dtype.bits
    for d in shape[1:]:
        row *= d
    row //= 8
    if 0 < row <= SPAN_BYTES_MAX // 8 and row % 8 == 0:
        return SPAN_BYTES_MAX // row * row
    return SPAN_BYTES_MAX


def encode_span(data: Any, dtype: DType | None, shape: tuple[int, ...], level: Level) -> EncodedSpan:
    """Code up to 8 MiB of one tensor (or of opaque bytes: dtype None). A pure function of its arguments."""
    source = view(data)
    if source.ctypes.data % 8:
        source = view(source.copy())
    for wild in (False, True):
        plan = plan_span(source, dtype, shape, level, wild)
        bodies = _chunks(source, plan)
        if bodies is not None:
            return _records(plan, bodies)
    raise AssertionError("a plan without escapes cannot have too many")


def _records(plan: Plan, bodies: list[tuple[list[Any], dict[str, int], set[int]]]) -> EncodedSpan:
    used = set().union(*(b[2] for b in bodies))
    lay = plan.layout
    planes = tuple(p if k in used else replace(p, tables=None) for k, p in enumerate(lay.planes))
    head = layout.encode(replace(lay, planes=planes))
    fields: dict[str, int] = {"tables": sum(len(p.tables.raw) for p in planes if p.tables is not None)}
    for _, sizes, _ in bodies:
        for name, size in sizes.items():
            fields[name] = fields.get(name, 0) + size
    if len(bodies) == 1:
        out = [records.record(records.SPAN, head, *bodies[0][0])]
    else:
        out = [records.record(records.SPAN, head)]
        out += [records.record(records.CHUNK, varint(k), *parts) for k, (parts, _, _) in enumerate(bodies)]
    sizes = [len(r) for r in out]
    fields["headers"] = sum(sizes) - sum(fields.values())
    return EncodedSpan(out, SpanEntry(lay.length, sizes[0], sizes[1:]), fields)


def _work(name: str, size: int) -> Bytes:
    """Working bytes of this thread."""
    held: Bytes | None = getattr(_local, name, None)
    if held is None or held.size < size:
        held = np.empty(size, np.uint8)
        setattr(_local, name, held)
    return held


def _chunks(source: Bytes, plan: Plan) -> list[tuple[list[Any], dict[str, int], set[int]]] | None:
    """For each chunk: parts of its body, bytes by field, planes whose tables it uses. None: too many escapes."""
    lay, out = plan.layout, []
    for number in range(lay.chunks):
        first, stop = lay.chunk_range(number)
        raw = source[first:stop]
        elements = min(lay.chunk, lay.elements - number * lay.chunk)
        body = raw[: elements * lay.width]
        parts: list[Any] = [xxh3_64_intdigest(raw).to_bytes(8, "little")]
        drops = plan.drops(number * lay.chunk // lay.tile, -(-elements // lay.tile))
        if lay.drops:
            parts += _drops(drops)
        if lay.width == 1 and len(lay.planes) == 1:
            pieces: list[Bytes] = [body]
        else:
            x: NDArray[np.unsignedinteger] = body.view(layout.UINT[lay.width])
            room = elements // 64 + 16 if lay.escapes else 0
            found = split(lay, x, drops, _work("planes", room_for(lay, elements)), room)
            if found is None:
                return None
            pieces = found[0]
            if lay.escapes:
                parts += [found[1].size.to_bytes(4, "little"), found[1].tobytes(), found[2].tobytes()]
        sizes: dict[str, int] = {}
        used: set[int] = set()
        for k, (p, piece, how) in enumerate(zip(lay.planes, pieces, plan.planes, strict=True)):
            g = plane_geometry(elements, lay.tile, p.width, drops <= k if lay.drops else None)
            stage, payload = _plane(piece, g.tile, g.tiles, p.tables, how)
            parts += [bytes((stage,)), *payload]
            sizes[how.field] = sizes.get(how.field, 0) + sum(len(b) for b in payload)
            if p.tables is not None and stage == p.tables.stage:
                used.add(k)
        tail = raw[elements * lay.width :]
        out.append(([*(bytes(b) if isinstance(b, memoryview) else b for b in parts), tail.tobytes()], sizes, used))
    return out


def _drops(drops: Bytes) -> list[Any]:
    if (drops == drops[0]).all() if drops.size else True:
        return [bytes((plain.CONSTANT, drops[0] if drops.size else 0))]
    packed = plain.encode_zstd(drops, 19)
    return [bytes((plain.ZSTD,)), packed] if len(packed) < drops.size else [bytes((plain.STORED,)), drops.tobytes()]


def _plane(piece: Bytes, tile: int, tiles: int, tables: Any, how: PlanePlan) -> tuple[int, list[Any]]:
    """(stage, payload): the smallest of what the plan says to try."""
    if piece.size == 0:
        return plain.CONSTANT, [b"\0"]
    if piece[0] == piece[-1] == piece[piece.size // 2] and (piece == piece[0]).all():
        return plain.CONSTANT, [piece[:1].tobytes()]
    best: tuple[int, list[Any]] = (plain.STORED, [piece.tobytes() if piece.size < 64 else piece.data])
    size = piece.size
    if tables is not None and how.groups is not None:
        choice = how.groups.choose(piece, tile, tiles)
        payload = _ENCODERS[tables.stage](piece, tile, choice, tables, _work("words", 2 * piece.size + 64))
        length = sum(len(b) for b in payload)
        if length < size:
            best, size = (tables.stage, [b"".join(payload)]), length
    if how.zstd:
        packed = plain.encode_zstd(piece, how.zstd)
        if len(packed) < size:
            best = (plain.ZSTD, [packed])
    return best


def dtype_for(name: str) -> DType | None:
    """Element type of a segment; None for opaque bytes."""
    return DTYPES[name] if name else None
