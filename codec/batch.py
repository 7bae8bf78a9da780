"""Code runs of spans in few calls: the quick way of codec.kernels.spans, and codec.encode for what it declines."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numba import config
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from codec.container.index import SpanEntry
from codec.dtypes import DType
from codec.encode import EncodedSpan, drops_payload, encode_span
from codec.kernels import coding, cuts, groups, huffman, huffman_codes, planes, rans, statistics, tables
from codec.kernels import span_records as names
from codec.kernels import spans as kernel
from codec.kernels.native import place
from codec.limits import FIELD_BYTES_MAX, FIELDS_MAX
from codec.memory import kept, records_room
from codec.planner.fields import cut_planes
from codec.planner.floats import HALF_MANTISSA
from codec.planner.groups import TABLE
from codec.planner.levels import Level, level_of
from codec.planner.tiles import chunk_for, columns_for, tile_for
from codec.sources.segment import Field, Packed
from codec.stages.geometry import Bytes, working
from codec.stages.huffman import HUFFMAN
from codec.stages.rans import RANS
from codec.structure import encode_copy, encode_delta, encode_fields, encode_leb128, encode_structured

#: Spans that one call of the kernel codes, at most, and their chunks.
_SPANS: Final = 256
_CHUNKS: Final = 1024
_NO_BYTES: Final = np.zeros(0, np.uint8)


@dataclass(slots=True)
class Piece:
    """Up to 8 MiB of one tensor (or of opaque bytes: dtype None), to be coded as one span."""

    data: Bytes
    dtype: DType | None
    shape: tuple[int, ...]


class _Known:
    """Addresses of kernels for one kind of tables: an array that is replaced when one is added."""

    def __init__(self, stage: int) -> None:
        self._lock = threading.Lock()
        self._stage = stage
        self._array: NDArray[np.int64] | None = None

    def get(self) -> NDArray[np.int64]:
        with self._lock:
            if self._array is None:
                found = np.zeros(names.SPLITS, np.int64)
                if self._stage == HUFFMAN:
                    found[names.CODERS + 1], found[names.FITS] = huffman.encode_address(), huffman_codes.fit_address()
                else:
                    found[names.CODERS], found[names.FITS] = rans.encode_address(), tables.fit_address()
                found[names.CODING], found[names.GROUPS] = coding.address(), groups.address()
                self._array = found
            return self._array

    def add(self, layout: int, width: int) -> None:
        """Compile the split of a layout as the kernel names it (-1: the survey), for elements of ``width`` bytes."""
        known = self.get()
        with self._lock:
            if layout < 0:
                known = known.copy()
                known[names.SURVEYS + width] = statistics.survey_address(width)
            else:
                widths = tuple(layout >> k & 15 for k in range(0, layout.bit_length(), 4))
                found = planes.split_address(planes.code_of(widths), width)
                known = np.append(known, np.array([layout, width, found], np.int64))
            self._array = known


_KNOWN: Final = {RANS: _Known(RANS), HUFFMAN: _Known(HUFFMAN)}


class _Room:
    """What the kernel works in and answers with, one for each thread."""

    def __init__(self) -> None:
        self.ints = np.zeros(names.INTS, np.int64)
        self.counts = np.zeros((groups.GROUPS_MAX * cuts.PLANES_MAX + groups.SPARE_ROWS) * 256, np.int64)
        self.tiles = np.zeros(5 * names.TILES_MAX + 512, np.int64)
        self.bytes = np.empty(names.BYTES_SIZE, np.uint8)
        self.escapes = np.empty(names.SAMPLE_MAX * 3 // 2, np.uint32)
        self.encoder = np.empty(cuts.PLANES_MAX * groups.GROUPS_MAX * 256, np.uint32)
        self.seen = np.empty(1 << statistics.SEEN_BITS, np.uint64)
        self.chunks = np.zeros((_CHUNKS, names.CHUNK_COLUMNS), np.int64)
        self.until = np.zeros(_CHUNKS, np.int64)


def _room() -> _Room:
    """This thread's."""
    room: _Room | None = kept().get(_Room)
    if room is None:
        room = kept()[_Room] = _Room()
    return room


@lru_cache(4096)
def _row(
    dtype: DType, shape: tuple[int, ...], size: int, candidates: tuple[int, ...], columns: bool
) -> tuple[int, ...] | None:
    """A row of jobs but for its first column; None for what is always coded the other way."""
    width = 4 if dtype.name == "C64" else dtype.bits // 8
    if width not in (2, 4) or size % width or not size:
        return None
    single = dtype.name == "F32"
    shape = (*shape, 2) if dtype.name == "C64" else shape
    tile = tile_for(shape, size // width)
    return (
        size, dtype.code, width, dtype.exponent_bits, dtype.mantissa_bits,
        HALF_MANTISSA if single else max(candidates), sum(1 << k for k in candidates),
        HALF_MANTISSA if single else -1, tile, chunk_for(tile, width), columns_for(shape) if columns else 0,
    )  # fmt: skip


def job_of(piece: Any, level: Level) -> tuple[int, ...] | None:
    """What the kernel is to be told of a piece, None if it is none for it: floats, below level max."""
    dtype = piece.dtype
    if dtype is None or not dtype.exponent_bits or level.probe:
        return None
    row = _row(dtype, piece.shape, piece.data.size, level.mantissa[dtype.exponent_bits], level.columns)
    if row is None:
        return None
    address = place(piece.data)
    return (address, *row) if address % row[2] == 0 else None


@dataclass(slots=True)
class Batch:
    """Coded spans: their records, one behind the other in these parts; each span; and how many each piece became."""

    parts: list[Bytes]
    spans: list[EncodedSpan]
    counts: list[int]


def encode(pieces: list[Any], level: Level, out: Bytes) -> Batch:
    """Code pieces, each into records that depend on nothing else, in ``out`` as far as it goes."""
    writer = Writer(level, out)
    made = [structured(p, level) for p in pieces]
    rows: list[Any] = [
        None if found is not None or config.DISABLE_JIT else job_of(p, level)
        for p, found in zip(pieces, made, strict=True)
    ]
    k = 0
    while k < len(pieces):
        stop = k
        while stop < len(pieces) and stop - k < _SPANS and rows[stop] is not None:
            stop += 1
        if stop > k:
            k += writer.quick(pieces[k:stop], rows[k:stop])
        if k < stop or (k < len(pieces) and rows[k] is None):
            spans = made[k]
            if spans is None:
                writer.other(pieces[k])
            else:
                for span in spans:
                    writer.put(span)
                writer.counts.append(len(spans))
            k += 1
    return writer.done()


def structured(piece: Any, level: Level) -> list[EncodedSpan] | None:
    """The spans of a piece that was there before, is made of blocks, or has another structure that pays; None of one
    that has none.
    """
    distance: int = getattr(piece, "distance", 0)
    source: Any = getattr(piece, "source", None)
    if distance and source is None:
        return [encode_copy(piece.data, piece.dtype, distance)]
    if distance:
        found = encode_delta(piece.data, source, piece.dtype, piece.shape, distance, level, encode_one)
        others = encode_structured(piece.data, piece.dtype, piece.shape, level, encode_one)
        others = others or [encode_one(piece.data, piece.dtype, piece.shape, level)]
        return min(found, others, key=lambda spans: sum(span.stored.size for span in spans))
    packed: Packed | None = getattr(piece, "packed", None)
    if packed is not None:
        return encode_leb128(piece.data, packed, level)
    fields: tuple[Field, ...] = getattr(piece, "fields", ())
    block = sum(field.size for field in fields)
    if 2 <= len(fields) <= FIELDS_MAX and block <= FIELD_BYTES_MAX and piece.data.size % block == 0:
        row = max(1, piece.shape[-1] // block) if piece.shape else 1
        return encode_fields(piece.data, fields, piece.dtype, row, level, encode_one)
    return encode_structured(piece.data, piece.dtype, piece.shape, level, encode_one)


def encode_one(data: Bytes, dtype: DType | None, shape: tuple[int, ...], level: Level) -> EncodedSpan:
    """codec.encode.encode_span, by the kernel if it takes such spans."""
    piece = Piece(data, dtype, shape)
    row = None if config.DISABLE_JIT else job_of(piece, level)
    if row is not None:
        writer = Writer(level, working("one", records_room(data.size)))
        if writer.quick([piece], [row]):
            return replace(writer.spans[0], stored=writer.spans[0].stored.copy())
    return encode_span(data, dtype, shape, level)


class Writer:
    """Puts the records of spans one behind the other."""

    def __init__(self, level: Level, out: Bytes) -> None:
        self.level, self.out, self.at = level, out, 0
        self.parts: list[Bytes] = []
        self.spans: list[EncodedSpan] = []
        self.counts: list[int] = []
        stage = HUFFMAN if level.huffman else RANS
        self.known = _KNOWN[stage]
        self.how = np.array([stage, level.tables, level.sample, level.entropy_below], np.int64)

    def done(self) -> Batch:
        """What was coded since the last time is a part."""
        if self.at:
            self.parts.append(self.out[: self.at])
        return Batch(self.parts, self.spans, self.counts)

    def other(self, piece: Any) -> None:
        """Code a piece with codec.encode."""
        self.put(encode_span(piece.data, piece.dtype, piece.shape, self.level, self.out[self.at :]))
        self.counts.append(1)

    def put(self, span: EncodedSpan) -> None:
        """Append a span that is coded."""
        stored = span.stored
        if stored.size > self.out.size - self.at:
            self.done()
            self.out, self.at = stored, 0  # full: each span that follows is a part of its own
        else:
            here = self.out[self.at : self.at + stored.size]
            if place(stored) != place(here):
                here[:] = stored
        self.spans.append(span)
        self.at += stored.size

    def quick(self, pieces: list[Any], rows: list[Any]) -> int:
        """Code pieces with the kernel; how many it has coded before it declined one."""
        room, jobs = _room(), np.array(rows, np.int64)
        ints, found = room.ints, np.empty((len(rows), names.SPAN_COLUMNS), np.int64)
        ints[names.JOB_AT], ints[names.PLANNED], ints[names.AT], ints[names.ROWS] = 0, 0, self.at, 0
        given = _NO_BYTES
        while True:
            why = kernel.encode(
                jobs, self.how, ints, room.counts, room.tiles, room.bytes, room.escapes, room.encoder, TABLE,
                room.seen, self.known.get(), given, room.until, self.out, found, room.chunks,
            )  # fmt: skip
            at = int(ints[names.JOB_AT])
            if why == names.UNKNOWN:
                self.known.add(_wanted(int(ints[names.LAYOUT]), rows[at]), rows[at][cuts.BYTES])
            elif why == names.GIVE:
                given = _given(room, rows[at])
            else:
                break
        self._seal(pieces, found[:at].tolist(), room.chunks[: int(ints[names.ROWS])].tolist())
        return at

    def _seal(self, pieces: list[Any], found: list[list[int]], chunks: list[list[int]]) -> None:
        """Fill in hashes and checks."""
        bytes_, last = memoryview(self.out), -1  # type: ignore[arg-type]
        original = bytes_
        sizes: list[int] = []
        lists: list[list[int]] = []
        first_chunks: list[int] = []
        for first, stop, mark, begin, check, j in chunks:
            if j != last:
                original, last, sizes = pieces[j].data.data, j, []
                lists.append(sizes)
            if mark >= 0:
                if first == 0:
                    first_chunks.append(stop)
                bytes_[mark : mark + 8] = xxh3_64_intdigest(original[first:stop]).to_bytes(8, "little")
            bytes_[check : check + 8] = xxh3_64_intdigest(bytes_[begin:check]).to_bytes(8, "little")
            sizes.append(check + 8 - begin)
        for piece, (total, record, raw, symbol, rest), sizes, chunk in zip(
            pieces, found, lists, first_chunks, strict=False
        ):
            fields = {"tables": raw, "symbol": symbol, "headers": total - raw - symbol - rest}
            if rest:
                fields["rest"] = rest
            stored = self.out[self.at : self.at + total]
            entry = SpanEntry(piece.data.size, record, sizes[1:])
            self.spans.append(EncodedSpan(stored, entry, fields, 0, chunk))
            self.counts.append(1)
            self.at += total


def _wanted(layout: int, row: Any) -> int:
    """The layout whose split is to be compiled for a job: any will do for a small one, so the one most others have."""
    if layout < 0 or row[cuts.SIZE] > names.PLAIN * row[cuts.BYTES]:
        return layout
    high = row[cuts.MANTISSA] - row[cuts.CANDIDATES].bit_length() + 2
    widths = [width for _, width in cut_planes(0, high)] + [8]
    return sum(width << 4 * k for k, width in enumerate(widths))


def _given(room: _Room, row: Any) -> Bytes:
    """The drops of each chunk of a job."""
    tile, per = row[cuts.TILE], row[cuts.CHUNK] // row[cuts.TILE]
    tiles = -(-(row[cuts.SIZE] // row[cuts.BYTES]) // tile)
    parts, at = [], 0
    for c, first in enumerate(range(0, tiles, per)):
        parts.append(drops_payload(room.bytes[first : min(first + per, tiles)]))
        room.until[c] = at
        at += len(parts[-1])
        room.until[c + 1] = at
    return np.frombuffer(bytearray(b"".join(parts)), np.uint8)


def compile_driver(level: str) -> None:
    """Compile the kernel, or load it, without coding anything."""
    writer, room, none = Writer(level_of(level), _NO_BYTES), _room(), np.zeros((0, cuts.JOB), np.int64)
    room.ints[names.JOB_AT] = 0
    kernel.encode(
        none, writer.how, room.ints, room.counts, room.tiles, room.bytes, room.escapes, room.encoder, TABLE,
        room.seen, np.zeros(names.SPLITS, np.int64), _NO_BYTES, room.until, writer.out,
        np.empty((0, names.SPAN_COLUMNS), np.int64), room.chunks,
    )  # fmt: skip


def compile_others(level: str) -> None:
    """Compile the kernels that it calls whatever it codes, or load them."""
    _KNOWN[HUFFMAN if level_of(level).huffman else RANS].get()
