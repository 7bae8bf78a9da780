"""Original -> weft: segments to spans, spans to records, records to a sink, in bounded memory."""

from __future__ import annotations

import hashlib
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final, Protocol

import numpy as np

from codec.batch import Batch, encode
from codec.container import index as indexes
from codec.container import records
from codec.dtypes import DTYPES, DType
from codec.earlier import Shape, check_source
from codec.encode import EncodedSpan, span_bytes
from codec.engine import in_order, thread_count
from codec.errors import CorruptFileError, SourceChangedError
from codec.limits import SPAN_BYTES_MAX
from codec.memory import records_room
from codec.planner.levels import Level, level_of
from codec.relatives import Relatives
from codec.repeats import LEAST, Repeats
from codec.report import Progress, Report
from codec.sources import segments_of
from codec.sources.segment import At, Field, Packed, Segment
from codec.stages.geometry import Bytes

Write = Callable[[Any], object]
#: Original bytes that a thread codes at a time, about.
_BATCH: Final = 1 << 20
#: A row of so many bytes is not cut apart by a repeat.
_ROW: Final = 16_384
_NO_ROOM: Final = np.zeros(0, np.uint8)


class Original(Protocol):
    """What is read: bytes in order, with a look ahead."""

    size: int | None

    @property
    def at(self) -> Callable[[int, int], bytes] | None:
        """Gives the ``n`` bytes from an offset on, fewer only at the end; None where nobody can look there."""

    def peek(self, size: int) -> bytes:
        """The first ``size`` bytes, fewer only if it ends before. Only before anything is read."""

    def read(self, size: int) -> Bytes:
        """The next ``size`` bytes, fewer only at the end."""


@dataclass(slots=True)
class _Piece:
    """Bytes of one span on their way."""

    data: Bytes
    dtype: DType | None
    shape: tuple[int, ...]
    segment: Segment | None
    fields: tuple[Field, ...] = ()
    packed: Packed | None = None
    distance: int = 0  # to where the same bytes were before, or those of ``source``; 0 for those that are new
    source: Bytes | None = None  # what the bytes are near


@dataclass(slots=True)
class _Open:
    """A tensor whose spans are being written."""

    segment: Segment
    first: int
    held: int = 0


@dataclass(slots=True)
class _Totals:
    original: int = 0
    bits: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, piece: _Piece, spans: list[EncodedSpan]) -> None:
        self.original += piece.data.size
        for span in spans:
            bits = self.bits.setdefault(piece.dtype.name if piece.dtype else "", {})
            for key, size in span.fields.items():
                bits[key] = bits.get(key, 0) + 8 * size


class _Hash:
    """SHA-256 of what passes by, in a thread of its own: it is slower than the rest of the work together."""

    def __init__(self, wanted: bool, aside: bool) -> None:
        self._sha = hashlib.sha256() if wanted else None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sha256") if wanted and aside else None
        self._last: Future[None] | None = None

    def add(self, data: Bytes) -> None:
        if self._sha is None:
            return
        if self._pool is None:
            self._sha.update(data.data)
            return
        if self._last is not None:
            self._last.result()
        self._last = self._pool.submit(self._sha.update, data.data)

    def digest(self) -> bytes:
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        return self._sha.digest() if self._sha is not None else b""

    def stop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


class _Front:
    """Reads an original from its beginning by looking at it: what else reads it does not notice."""

    def __init__(self, at: Callable[[int, int], bytes]) -> None:
        self._look, self._done = at, 0

    def read(self, size: int) -> Bytes:
        """See Original."""
        data = np.frombuffer(self._look(self._done, size), np.uint8)
        self._done += data.size
        return data


def _pieces(
    original: Original | _Front, segments: list[Segment], name: str, sha: _Hash, size: int | None
) -> Iterator[_Piece]:
    """Spans of the segments, then of what follows them. A tensor that the original cuts short is opaque from there."""
    done = 0
    whole = True
    for s in segments:
        if s.size == 0:
            yield _Piece(np.zeros(0, np.uint8), None, (), s)
        dtype = DTYPES[s.dtype] if s.dtype else None
        step = span_bytes(dtype, s.shape) if not s.fields else whole_blocks(s)
        while whole and done < s.stop:
            want = min(step, s.stop - done)
            data = original.read(want)
            sha.add(data)
            done += data.size
            whole = data.size == want
            if data.size:
                known = (dtype, s.shape, s, s.fields, s.packed) if whole else (None, (), None, (), None)
                yield _Piece(data, *known)
    step = span_bytes(None, ())
    while whole:
        data = original.read(step)
        if data.size == 0:
            break
        sha.add(data)
        done += data.size
        yield _Piece(data, None, (), None)
    if size is not None and done != size:
        raise SourceChangedError(
            f"{name}: had {size} bytes when it was opened, gave {done}: it changed while being read"
        )


class _Written:
    """The spans that were written, so far as copies may look at them."""

    def __init__(self) -> None:
        self._starts, self._shapes = [0], list[Shape]()

    def add(self, batch: list[_Piece], coded: Batch) -> None:
        """Spans that come next."""
        spans, counts = iter(coded.spans), iter(coded.counts)
        for piece in batch:
            for span in islice(spans, next(counts)) if piece.data.size else ():
                original, chunks = span.entry.original, max(1, len(span.entry.chunks))
                size = span.chunk if chunks > 1 else original
                self._shapes.append(Shape(size, chunks, span.distance > 0))
                self._starts.append(self._starts[-1] + original)

    def checked(self, batch: list[_Piece], coded: Batch, level: Level) -> tuple[list[_Piece], Batch]:
        """A batch without copies and deltas that a reader would refuse, or that cost it too much: those are coded as
        they are.
        """
        other, known, changed = [], len(self._shapes), False
        self.add(batch, coded)
        spans, found = known, iter(coded.spans)
        for piece, count in zip((p for p in batch if p.data.size), coded.counts, strict=True):
            for k, span in enumerate(islice(found, count), spans):
                if not span.distance or not piece.distance:
                    continue
                begin, size = self._starts[k] - span.distance, span.entry.original
                try:
                    check_source("", self._starts, k, begin, size, self._shape)
                except CorruptFileError:
                    piece, changed = replace(piece, distance=0, source=None), True
            other.append(piece)
            spans += count
        del self._starts[known + 1 :], self._shapes[known:]
        if not changed:
            return batch, coded
        again = iter(other)
        batch = [next(again) if piece.data.size else piece for piece in batch]
        size = sum(piece.data.size for piece in batch)
        room = np.empty(records_room(size) + 8192 * len(batch), np.uint8)
        return batch, encode([piece for piece in batch if piece.data.size], level, room)

    def _shape(self, span: int) -> Shape:
        return self._shapes[span]


def _cut(pieces: Iterator[_Piece], at: At, size: int) -> Iterator[_Piece]:
    """Pieces, cut where bytes begin and end that were there before, and with what lies near them."""
    done, repeats, relatives = 0, Repeats(at, size), Relatives(at)
    for piece in pieces:
        data = piece.data
        found = repeats.cuts(data, done, _unit(piece)) if data.size else []
        near = -1
        if piece.segment is not None and piece.segment.is_tensor and not piece.fields:
            near = relatives.look(piece.segment, data, piece.dtype, piece.shape, done)
        if len(found) > 1 or any(c.distance for c in found):
            parts = [replace(piece, data=data[c.first : c.stop], distance=c.distance) for c in found]
        else:
            parts = [piece]
            if near < 0:
                relatives.add(piece.dtype, piece.shape)
        if len(parts) > 1 or parts[0].distance:
            relatives.forget()
        if near >= 0:
            repeats.hide(found)
        first = 0
        for part in parts:
            if near >= 0 and not part.distance and part.data.size >= LEAST:
                source = np.frombuffer(at(near + first, part.data.size), np.uint8)
                if source.size == part.data.size:
                    part = replace(part, distance=done - near, source=source)
            first += part.data.size
            yield part
        done += data.size


def _unit(piece: _Piece) -> int:
    """Bytes of a piece that are not cut apart: an element, a block, or a row of some KiB."""
    if piece.dtype is None:
        return 8
    bits = math.lcm(piece.dtype.bits, 8)
    if piece.fields:
        bits = 8 * sum(field.size for field in piece.fields)
    row = piece.dtype.bits * math.prod(piece.shape[1:])
    return row // 8 if row % bits == 0 and 0 < row <= 8 * _ROW else bits // 8


def whole_blocks(s: Segment) -> int:
    """Bytes of a tensor of blocks that are coded at a time: whole rows, where they fit."""
    row = s.shape[-1] if s.shape and s.shape[-1] % s.block == 0 and 0 < s.shape[-1] <= SPAN_BYTES_MAX else s.block
    return SPAN_BYTES_MAX // row * row or SPAN_BYTES_MAX


def _batches(pieces: Iterator[_Piece], size: int) -> Iterator[list[_Piece]]:
    """Pieces in lists of about ``size`` bytes: small ones together, so that a thread is not woken for each."""
    batch: list[_Piece] = []
    held = 0
    for piece in pieces:
        batch.append(piece)
        held += max(1, piece.data.size)
        if held >= size:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def write(
    original: Original,
    sink: Write,
    *,
    level: str,
    threads: int | None = None,
    progress: Progress | None = None,
    name: str = "input",
    segments: list[Segment] | None = None,
    digest: bool = True,
    room: Callable[[], Bytes] | None = None,
    again: Callable[[bytes], object] | None = None,
) -> Report:
    """Compress ``original`` into ``sink``, front to back. ``segments``: what it is known to hold, else it is looked at.
    ``room()``: memory in which what the sink is given next may be made. ``again(header)``: writes the file's first
    bytes once more; without it, an original that can be read anywhere is read twice, since what repeats is said there.

    Raises SourceChangedError if it ends elsewhere than its size says, and whatever reading and writing raise.
    """
    began = time.perf_counter()
    lev: Level = level_of(level)
    workers = thread_count(threads)
    index = indexes.Index(level=level)
    if segments is None:
        index.source, segments = segments_of(original.peek, original.size, original.at)
    else:
        index.source = "array"
    sha = _Hash(digest, aside=workers > 1)
    totals = _Totals()
    stored = 0

    def put(data: Any) -> None:
        nonlocal stored
        sink(data)
        stored += len(data)

    rooms: deque[Bytes] = deque()  # of batches that are written, for those to come

    def work(batch: list[_Piece]) -> tuple[list[_Piece], Batch, Bytes]:
        if room is not None and workers == 1:
            out = room()
        else:
            size = sum(p.data.size for p in batch)
            try:
                out = rooms.pop()
            except IndexError:
                out = _NO_ROOM
            if out.size < size:
                out = np.empty(records_room(size) + 8192 * len(batch), np.uint8)
        return batch, encode([p for p in batch if p.data.size], lev, out), out

    at, size, copied = original.at, original.size, False
    if at is not None and size is not None and again is None:
        front = _pieces(_Front(at), segments, name, _Hash(False, False), size)
        copied = any(piece.distance for piece in _cut(front, at, size))
    written = _Written()
    try:
        put(records.header(copied))
        opened: _Open | None = None
        pieces = _pieces(original, segments, name, sha, size)
        if at is not None and size is not None and (copied or again is not None):
            pieces = _cut(pieces, at, size)
        batches = _batches(pieces, _BATCH)
        for batch, coded, out in in_order(batches, work, workers):
            if any(piece.distance for piece in batch):
                if not copied and again is not None:
                    again(records.header(True))
                    copied = True
                batch, coded = written.checked(batch, coded, lev)
            written.add(batch, coded)
            for part in coded.parts:
                put(part)
            spans, counts = iter(coded.spans), iter(coded.counts)
            for piece in batch:
                found = list(islice(spans, next(counts))) if piece.data.size else []
                opened = _enter(index, opened, piece, found)
                totals.add(piece, found)
            if room is None or workers > 1:
                rooms.append(out)
            if progress is not None:
                progress(totals.original, original.size)
        index.original, index.sha256 = totals.original, sha.digest()
    finally:
        sha.stop()
    last = records.record(records.INDEX, indexes.encode(index))
    position = stored
    put(last)
    put(records.trailer(position, len(last)))
    seconds = time.perf_counter() - began
    return Report(totals.original, stored, seconds, workers, index.sha256.hex(), totals.bits)


def _enter(index: indexes.Index, opened: _Open | None, piece: _Piece, spans: list[EncodedSpan]) -> _Open | None:
    """Put the spans of a piece, and the tensor that they complete, into the index."""
    here, s = len(index.spans), piece.segment
    index.spans.extend(span.entry for span in spans)
    if s is None or not s.is_tensor or not s.listed:
        return None
    if opened is None or opened.segment is not s:
        opened = _Open(s, here)
    opened.held += piece.data.size
    if opened.held == s.size:
        count = len(index.spans) - opened.first
        index.tensors.append(indexes.TensorEntry(s.name, s.dtype, s.shape, opened.first, count))
        return None
    return opened
