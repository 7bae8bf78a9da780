"""Original bytes -> records: plan a span, code its chunks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from codec.container import records
from codec.container.index import SpanEntry
from codec.dtypes import DType
from codec.kernels import coding as kernel
from codec.kernels import columns, huffman, rans
from codec.kernels.native import invoke, place
from codec.limits import SPAN_BYTES_MAX
from codec.planner import Plan, mixing, plan_span
from codec.planner.groups import OWN, TABLE
from codec.planner.levels import Level
from codec.planner.pieces import room_for, split
from codec.planner.plan import OPAQUE_SPAN
from codec.planner.plane import PlanePlan
from codec.planner.span import other_plans, plan_cut, plan_mixed, plans_by_columns
from codec.stages import layout, plain
from codec.stages import mixing as mixing_stage
from codec.stages.columns import COLUMNS
from codec.stages.geometry import Bytes, view, working
from codec.stages.huffman import HUFFMAN
from codec.stages.mixing import Parameters
from codec.wire import varint

#: Stage 7 decodes at less than half the speed of floats that have none: so many thousandths, too.
_COLUMNS_WORTH: Final = 993
#: Stage 8 is so slow that it has to take so many thousandths of what the others take, at most.
_WORTH: Final = 995
#: And so many, floats of a byte that are cut.
_CUT_WORTH: Final = 997
_NONE: Final = np.zeros(0, np.uint8)
_NO_LIMITS: Final = np.zeros(0, np.int64)
_NO_ENTRIES: Final = np.zeros(0, np.uint32)


@cache
def _addresses(coded_by_huffman: bool, by_columns: bool) -> NDArray[np.int64]:
    """Addresses of the encoders of stages 2, 3 and 7; one that is not needed is not compiled."""
    found = (0, huffman.encode_address(), 0)
    if not coded_by_huffman:
        found = (rans.encode_address(), 0, columns.encode_address() if by_columns else 0)
    return np.array(found, np.int64)


@dataclass(frozen=True, slots=True)
class EncodedSpan:
    """Records of a span as they go into the file, one behind the other; their index entry; stored bytes by field; how
    far before it lies what it looks back at, 0 for most; original bytes of each of several chunks but the last.
    """

    stored: Bytes
    entry: SpanEntry
    fields: dict[str, int]
    distance: int = 0
    chunk: int = 0


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


def encode_span(
    data: Any, dtype: DType | None, shape: tuple[int, ...], level: Level, out: Bytes | None = None
) -> EncodedSpan:
    """Code up to 8 MiB of one tensor (or of opaque bytes: dtype None). The result depends on nothing else.

    ``out`` (uint8): where the records go if there is room enough for the worst that can come of it.
    """
    source = view(data)
    if source.ctypes.data % 8:
        source = view(source.copy())
    for wild in (False, True):
        plan = plan_span(source, dtype, shape, level, wild)
        coded = _Coder(source, plan, out)
        if coded.run() and (wild or coded.at - coded.body <= source.size):
            found = coded.finish()
            if dtype is not None and (plan.again or plan.uneven):
                found = _smallest(found, source, dtype, shape, level, plan)
            elif dtype is not None and (other := plan_cut(source, dtype, shape, level)) is not None:
                found = _cut(found, source, other)
            return _mixed(source, plan, dtype, shape, level, found.stored.size) or found
    raise AssertionError("a plan without escapes cannot have too many")


def _mixed(
    source: Bytes, plan: Plan, dtype: DType | None, shape: tuple[int, ...], level: Level, most: int
) -> EncodedSpan | None:
    """The span as one plane of whole elements, if that takes fewer bytes than the ``most`` it has."""
    other = plan_mixed(source, plan, dtype, shape, level)
    hints = other.planes[0].mixing if other is not None else None
    how = mixing.choose(source, hints) if hints is not None else None
    if other is None or how is None:
        return None
    coded = _Coder(source, other, None)
    coded.mixing[0] = how
    coded.run()
    found = coded.finish()
    return found if found.stored.size * 1000 < most * _WORTH else None


def _cut(found: EncodedSpan, source: Bytes, plan: Plan) -> EncodedSpan:
    """What the plan makes of it, if that is less by more than it costs to put planes together again."""
    coded = _Coder(source, plan, None)
    other = coded.finish() if coded.run() else found
    return other if other.stored.size * 1000 < found.stored.size * _CUT_WORTH else found


def _smallest(
    found: EncodedSpan, source: Bytes, dtype: DType, shape: tuple[int, ...], level: Level, first: Plan
) -> EncodedSpan:
    """The smallest of what was found by the first plan and of what others make of the same."""
    for plan in other_plans(source, dtype, shape, level) if first.again else ():
        coded = _Coder(source, plan, None)
        if (not plan.planes or plan.planes[-1].zstd) and coded.run():
            other = coded.finish()
            found = other if other.stored.size < found.stored.size else found
    most = found.stored.size * _COLUMNS_WORTH // 1000
    for plan in plans_by_columns(source, dtype, shape, level) if first.uneven else ():
        coded = _Coder(source, plan, None)
        if coded.run():
            other = coded.finish()
            found = other if other.stored.size <= min(most, found.stored.size) else found
    return found


class _Coder:
    """Codes one span, straight into the bytes of its records."""

    def __init__(self, source: Bytes, plan: Plan, out: Bytes | None) -> None:
        self.source, self.plan, self.layout = source, plan, plan.layout
        lay = plan.layout
        self.single = lay.chunks == 1
        self.whole = lay.width == 1 and len(lay.planes) == 1
        self.sizes: list[int] = []
        self.stored = [0] * len(lay.planes)
        self.used: set[int] = set()
        self.mixing: dict[int, Parameters | None] = {}
        chunk = min(lay.chunk, lay.elements)
        self.room = chunk // 64 + 16 if lay.escapes else 0
        self.tiles = -(-chunk // lay.tile)
        self.planes_room = room_for(lay, chunk)
        head = layout.encode(lay)
        bound = self.planes_room + 6 * self.room + 2 * self.tiles + 4 * len(lay.planes) + 64
        most = len(head) + lay.chunks * bound + 64
        self.in_place = out is not None and out.size >= most
        self.out: Bytes = out if out is not None and self.in_place else working("records", most)
        self.bytes = memoryview(self.out)  # type: ignore[arg-type]
        self.at = self.body = records.HEAD_BYTES + len(head) + (0 if self.single else 8)
        self.bytes[records.HEAD_BYTES : records.HEAD_BYTES + len(head)] = head
        self.report = np.zeros((len(lay.planes), 2), np.int64)
        self._lay_out_tables()

    def _lay_out_tables(self) -> None:
        """What the plan says of each plane, as the kernel takes it."""
        self.table = np.zeros((len(self.layout.planes), kernel.COLUMNS), np.int64)
        entries, limits, beside, rows, at = [], [], [], 0, 0
        stages = {p.tables.stage for p in self.layout.planes if p.tables is not None}
        self.addresses = _addresses(HUFFMAN in stages, COLUMNS in stages)
        named, self.weights = 0, TABLE
        for row, p, how in zip(self.table, self.layout.planes, self.plan.planes, strict=True):
            row[kernel.WIDTH], row[kernel.ZSTD] = p.width, how.zstd or how.mixing is not None
            tables, groups = p.tables, how.groups
            if tables is None or groups is None:
                continue
            only, names = len(tables.raw) if self.single else 0, _NONE
            if tables.stage == COLUMNS:
                names = tables.beside(self.layout.tile)
                beside.append(names)
            row[kernel.TABLES : kernel.COLUMNS - 1] = (
                tables.count, tables.stage, rows, getattr(tables, "top", 255), only, groups.weights, at,
                groups.limits.size, groups.least, named, names.size,
            )  # fmt: skip
            if groups.own is not None:
                self.weights = self.weights.copy()
                self.weights[OWN] = groups.own
            named += names.size
            entries.append(tables.encoder)
            limits.append(groups.limits)
            rows += tables.count
            at += groups.limits.size
        self.entries = np.concatenate(entries) if len(entries) > 1 else entries[0] if entries else _NO_ENTRIES
        self.beside = np.concatenate(beside) if beside else _NONE
        self.limits = np.concatenate(limits) if len(limits) > 1 else limits[0] if limits else _NO_LIMITS

    def put(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        end = self.at + len(data)
        self.bytes[self.at : end] = data
        self.at = end

    def run(self) -> bool:
        """Code all chunks; False if one has too many escapes."""
        for number in range(self.layout.chunks):
            start = self.at
            if not self.single:
                self.at += records.HEAD_BYTES
                self.put(varint(number))
            if not self._chunk(number):
                return False
            if not self.single:
                self.sizes.append(records.seal(records.CHUNK, self.out[start:], self.at - start))
                self.at = start + self.sizes[-1]
        return True

    def finish(self) -> EncodedSpan:
        """Seal the span record: with the tables that are used."""
        planes = self.layout.planes
        if any(p.tables is not None and k not in self.used for k, p in enumerate(planes)):
            planes = tuple(p if k in self.used else replace(p, tables=None) for k, p in enumerate(planes))
            head = layout.encode(replace(self.layout, planes=planes))
            behind = self.out[self.body : self.at].copy()
            self.bytes[records.HEAD_BYTES : records.HEAD_BYTES + len(head)] = head
            self.body = records.HEAD_BYTES + len(head) + (0 if self.single else 8)
            self.at = self.body + behind.size
            self.out[self.body : self.at] = behind
        end = self.at if self.single else self.body - 8
        size = records.seal(records.SPAN, self.out, end)
        total = size if self.single else self.at
        stored = self.out[:total] if self.in_place else self.out[:total].copy()
        fields = {"tables": sum(len(p.tables.raw) for p in planes if p.tables is not None)}
        for how, held in zip(self.plan.planes, self.stored, strict=True):
            fields[how.field] = fields.get(how.field, 0) + held
        fields["headers"] = total - sum(fields.values())
        return EncodedSpan(stored, SpanEntry(self.layout.length, size, self.sizes), fields, 0, self.layout.chunk_bytes)

    def _chunk(self, number: int) -> bool:
        lay, plan = self.layout, self.plan
        first, stop = lay.chunk_range(number)
        elements = min(lay.chunk, lay.elements - number * lay.chunk)
        behind = first + elements * lay.width
        self.put(xxh3_64_intdigest(self.source[first:stop].data).to_bytes(8, "little"))
        drops = plan.drops(number * lay.chunk // lay.tile, -(-elements // lay.tile))
        if lay.drops:
            self.put(drops_payload(drops))
        if self.whole:
            pieces, starts = self.source, np.array([first, behind], np.int64)
        else:
            x: NDArray[np.unsignedinteger] = self.source[first:behind].view(layout.UINT[lay.width])
            found = plan.pieces if self.single and plan.pieces is not None else None
            if found is None:
                found = split(lay, plan.span, x, drops, working("planes", self.planes_room), self.room)
            if found is None or found.at.size > self.room:
                return False
            pieces, starts = found.data, np.array(found.starts, np.int64)
            if lay.escapes:
                gaps = np.diff(found.at.astype(np.int64), prepend=-1) - 1
                self.put(b"".join(map(varint, (gaps.size, *gaps.tolist(), *found.values.tolist()))))
        self._planes(elements, drops, pieces, starts)
        if stop > behind:
            self.put(self.source[behind:stop].data)
        return True

    def _planes(self, elements: int, drops: Bytes, pieces: Bytes, starts: NDArray[np.int64]) -> None:
        """Code the planes of one chunk; zstd is tried for those that the plan says."""
        count = len(self.layout.planes)
        choice, sums = working("choice", self.tiles), working("sums", 8 * self.tiles).view(np.int64)
        largest = int((starts[1:] - starts[:-1]).max(initial=0))
        work, numbers = working("words", 2 * largest + 64), working("numbers", 8 * kernel.NUMBERS).view(np.int64)
        p, report = 0, self.report
        while p < count:
            p = invoke(
                kernel.address(), p, place(self.table), count, elements, self.layout.tile, place(drops), drops.size,
                place(pieces), pieces.size, place(starts), place(self.entries), place(self.limits), place(self.weights),
                place(self.beside), self.beside.size, place(self.out), self.out.size, self.at, place(choice),
                place(sums), place(work), place(numbers), place(report), place(self.addresses),
            )  # fmt: skip
            self.at = int(numbers[kernel.END])
            if p < count:
                begin = int(numbers[kernel.BEGIN])
                way, piece = self.plan.planes[p], pieces[starts[p] : starts[p + 1]]
                raw = self.table[p, kernel.RAW] * (report[p, 0] == self.table[p, kernel.STAGE])
                carried = int(numbers[kernel.CARRIED])
                stage, packed = self._other(p, piece, way, int(report[p, 1] + raw) - carried)
                if packed is not None:
                    if carried:  # the plane before takes back what it lent
                        self.bytes[begin - 1 - int(report[p - 1, 1])] = report[p - 1, 0] = plain.STORED
                        self.at = begin
                        self.put(pieces[starts[p] - carried : starts[p]].data)
                        report[p - 1, 1] += carried
                        begin = self.at
                    self.bytes[begin] = stage
                    self.at = begin + 1
                    self.put(packed)
                    report[p, 0], report[p, 1] = stage, len(packed)
                p += 1
        for k, plane in enumerate(self.layout.planes):
            self.stored[k] += int(report[k, 1])
            if plane.tables is not None and report[k, 0] == plane.tables.stage:
                self.used.add(k)

    def _other(self, p: int, piece: Bytes, way: PlanePlan, most: int) -> tuple[int, bytes | None]:
        """The stage without tables that takes the fewest bytes for a plane, and its payload: None if none is below
        ``most``.
        """
        stage, packed = plain.ZSTD, plain.encode_zstd(piece, way.zstd) if way.zstd else None
        if way.lzma and packed is not None and len(other := plain.encode_lzma(piece)) < len(packed):
            stage, packed = plain.LZMA, other
        if packed is None or len(packed) >= most:
            packed = None
        else:
            most = len(packed)
        if way.mixing is None or piece.size < mixing.LEAST or (way.field == "rest" and most * 100 > piece.size * 97):
            return stage, packed
        most = most * _WORTH // 1000
        if p not in self.mixing:
            self.mixing[p] = mixing.choose(piece, way.mixing)
        how = self.mixing[p]
        mixed = mixing_stage.encode(piece, how, most) if how is not None else None
        return (stage, packed) if mixed is None else (mixing_stage.MIXING, mixed)


def drops_payload(drops: Bytes) -> bytes:
    """How many planes each tile of a chunk drops, as a stage: its number, then the payload."""
    if (drops == drops[0]).all() if drops.size else True:
        return bytes((plain.CONSTANT, drops[0] if drops.size else 0))
    pair = plain.encode_pair(drops)
    if pair is not None:
        return bytes((plain.PAIR,)) + pair
    packed = plain.encode_zstd(drops, 19)
    return bytes((plain.ZSTD,)) + packed if len(packed) < drops.size else bytes((plain.STORED,)) + drops.tobytes()
