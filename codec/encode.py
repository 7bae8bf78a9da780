"""Original bytes -> records: plan a span, code its chunks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from codec.container import records
from codec.container.index import SpanEntry
from codec.dtypes import DType
from codec.limits import SPAN_BYTES_MAX
from codec.planner import Plan, plan_span
from codec.planner.levels import Level
from codec.planner.plane import PlanePlan
from codec.planner.span import OPAQUE_SPAN, room_for, split
from codec.stages import huffman, layout, plain, rans
from codec.stages.geometry import Bytes, plane_geometry, view, working
from codec.wire import varint

_ENCODERS: Final[dict[int, Any]] = {rans.RANS: rans.encode, huffman.HUFFMAN: huffman.encode}


@dataclass(frozen=True, slots=True)
class EncodedSpan:
    """Records of a span as they go into the file, one behind the other; their index entry; stored bytes by field."""

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
        coded = _Coder(source, plan)
        if coded.run() and (wild or coded.at <= source.size):
            return coded.finish()
    raise AssertionError("a plan without escapes cannot have too many")


class _Coder:
    """Codes the chunks of one span, straight into the bytes of their records."""

    def __init__(self, source: Bytes, plan: Plan) -> None:
        self.source, self.plan, self.layout = source, plan, plan.layout
        self.fields: dict[str, int] = {}
        self.used: set[int] = set()
        self.sizes: list[int] = []
        lay = plan.layout
        self.whole = lay.width == 1 and len(lay.planes) == 1
        chunk = min(lay.chunk, lay.elements)
        self.room = chunk // 64 + 16 if lay.escapes else 0
        tiles = -(-chunk // lay.tile)
        bound = room_for(lay, chunk) + 6 * self.room + 2 * tiles + 32 * len(lay.planes) + 256
        self.out = working("records", lay.chunks * bound)
        self.at = 0

    def put(self, data: Any) -> None:
        """Append bytes or a uint8 array."""
        size = len(data)
        self.out[self.at : self.at + size] = np.frombuffer(data, np.uint8) if not isinstance(data, np.ndarray) else data
        self.at += size

    def run(self) -> bool:
        """Code all chunks; False if one has too many escapes."""
        for number in range(self.layout.chunks):
            start = self.at
            if self.layout.chunks > 1:
                self.at += records.HEAD_BYTES
                self.put(varint(number))
            if not self._chunk(number):
                return False
            if self.layout.chunks > 1:
                self.sizes.append(records.seal(records.CHUNK, self.out[start:], self.at - start))
                self.at = start + self.sizes[-1]
        return True

    def finish(self) -> EncodedSpan:
        """The span record, and the chunk records behind it."""
        planes = tuple(p if k in self.used else replace(p, tables=None) for k, p in enumerate(self.layout.planes))
        head = layout.encode(replace(self.layout, planes=planes))
        body = self.out[: self.at].tobytes()
        span, chunks = ((head,), [body]) if self.sizes else ((head, body), [])
        out = [records.record(records.SPAN, *span), *chunks]
        fields = {"tables": sum(len(p.tables.raw) for p in planes if p.tables is not None), **self.fields}
        fields["headers"] = sum(map(len, out)) - sum(fields.values())
        return EncodedSpan(out, SpanEntry(self.layout.length, len(out[0]), self.sizes), fields)

    def _chunk(self, number: int) -> bool:
        lay, plan = self.layout, self.plan
        first, stop = lay.chunk_range(number)
        raw = self.source[first:stop]
        elements = min(lay.chunk, lay.elements - number * lay.chunk)
        body = raw[: elements * lay.width]
        self.put(xxh3_64_intdigest(raw.data).to_bytes(8, "little"))
        drops = plan.drops(number * lay.chunk // lay.tile, -(-elements // lay.tile))
        if lay.drops:
            for part in _drops(drops):
                self.put(part)
        pieces: list[Bytes] = [body]
        if not self.whole:
            x: NDArray[np.unsignedinteger] = body.view(layout.UINT[lay.width])
            found = split(lay, plan.span, x, drops, working("planes", room_for(lay, elements)), self.room)
            if found is None:
                return False
            pieces = found[0]
            if lay.escapes:
                for part in (found[1].size.to_bytes(4, "little"), found[1].tobytes(), found[2].tobytes()):
                    self.put(part)
        for k, (p, piece, how) in enumerate(zip(lay.planes, pieces, plan.planes, strict=True)):
            g = plane_geometry(elements, lay.tile, p.width, drops <= k if lay.drops else None)
            stage, payload = _plane(piece, g.tile, g.tiles, p.tables, how, lay.chunks == 1)
            self.out[self.at] = stage
            start = self.at = self.at + 1
            for part in payload:
                self.put(part)
            self.fields[how.field] = self.fields.get(how.field, 0) + self.at - start
            if p.tables is not None and stage == p.tables.stage:
                self.used.add(k)
        self.put(raw[elements * lay.width :])
        return True


def _drops(drops: Bytes) -> list[Any]:
    if (drops == drops[0]).all() if drops.size else True:
        return [bytes((plain.CONSTANT, drops[0] if drops.size else 0))]
    packed = plain.encode_zstd(drops, 19)
    return [bytes((plain.ZSTD,)), packed] if len(packed) < drops.size else [bytes((plain.STORED,)), drops.tobytes()]


def _plane(piece: Bytes, tile: int, tiles: int, tables: Any, how: PlanePlan, only: bool) -> tuple[int, list[Any]]:
    """(stage, payload): the smallest of what the plan says to try. ``only``: the tables are for this chunk alone."""
    if piece.size == 0:
        return plain.CONSTANT, [b"\0"]
    if piece[0] == piece[-1] == piece[piece.size // 2] and (piece == piece[0]).all():
        return plain.CONSTANT, [piece[:1].tobytes()]
    best: tuple[int, list[Any]] = (plain.STORED, [piece])
    size = piece.size
    if tables is not None and how.groups is not None:
        choice = how.groups.choose(piece, tile, tiles)
        payload = _ENCODERS[tables.stage](piece, tile, choice, tables, working("words", 2 * piece.size + 64))
        length = sum(len(b) for b in payload) + only * len(tables.raw) if payload is not None else size
        if length < size:
            best, size = (tables.stage, payload), length
    if how.zstd:
        packed = plain.encode_zstd(piece, how.zstd)
        if len(packed) < size:
            best = (plain.ZSTD, [packed])
    return best
