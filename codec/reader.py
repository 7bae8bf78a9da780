"""Weft -> original by the index: any part of it, in any order. Imports numpy and numba only when it decodes."""

from __future__ import annotations

import bisect
import copy
import json
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from codec.container import index as indexes
from codec.container import records
from codec.earlier import Shape, check_source, source_of
from codec.errors import CorruptFileError, LimitExceededError, TruncatedFileError
from codec.report import FileInfo, TensorInfo
from codec.wire import Cursor

if TYPE_CHECKING:
    from codec.bulk import SpanTables
    from codec.decode import SpanDecoder
    from codec.stages.geometry import Bytes
    from codec.stages.layout import Layout

T = TypeVar("T")

#: Stored bytes read at the end of a file in the hope that the index is among them.
TAIL_BYTES = 1 << 16
#: Original bytes in one task of a decoder, about.
TASK_BYTES = 1 << 21


class Source(Protocol):
    """Where stored bytes come from; reads at any offset, from any thread."""

    name: str
    size: int

    def read_at(self, offset: int, size: int) -> memoryview:
        """Exactly ``size`` bytes. Raises TruncatedFileError if they are not there."""


@dataclass(frozen=True, slots=True)
class Task:
    """Bytes begin..end of the original: ``spans`` whole spans without chunk records, from ``span`` on; or, if that
    is 0, chunks first..stop of a span.
    """

    span: int
    spans: int
    first: int
    stop: int
    begin: int
    end: int


def room_for(size: int, name: str) -> Bytes:
    """An array of ``size`` bytes, as a file announces. Raises LimitExceededError if there is no memory for it."""
    import numpy as np

    try:
        return np.empty(size, np.uint8)
    except MemoryError:
        raise LimitExceededError(f"{name}: announces {size} bytes, more than there is memory for") from None


class WeftFile:
    """An opened weft file: index read and checked, chunks decoded on demand.

    Raises NotWeftError, UnsupportedVersionError, TruncatedFileError or CorruptFileError.
    """

    def __init__(self, source: Source) -> None:
        self.source, self.name = source, source.name
        head = source.read_at(0, min(source.size, records.HEADER_BYTES))
        self.version = records.check_header(head, self.name)
        #: Whether there may be copies or deltas.
        self.copies = records.may_copy(head)
        if source.size < records.HEADER_BYTES + records.TRAILER_BYTES:
            raise TruncatedFileError(f"{self.name}: ends after {source.size} bytes; too short for a weft file")
        start = max(0, source.size - TAIL_BYTES)
        tail = source.read_at(start, source.size - start)
        position, length = records.check_trailer(tail[-records.TRAILER_BYTES :], source.size, self.name)
        record = tail[position - start :][:length] if position >= start else source.read_at(position, length)
        body = records.body_of(record, records.INDEX, self.name, position)
        self.index = indexes.decode(body, self.name, position - records.HEADER_BYTES)
        self.starts, self.offsets = self.index.span_offsets()
        if self.offsets[-1] != position:
            raise CorruptFileError(f"{self.name}: spans end at byte {self.offsets[-1]}, the index begins at {position}")
        self._ends = [t.first + t.spans for t in self.index.tensors]
        self._lock = threading.Lock()
        self._decoders: dict[int, SpanDecoder] = {}
        self._tables: dict[int, SpanTables | None] = {}
        self._shapes: dict[int, Shape] = {}
        #: Of each thread: where the task begins that it decodes, into what, and how much of that is there.
        self._hand = threading.local()
        self._decoded: Callable[[int, Bytes], bool] | None = None
        self._checked = False

    def info(self) -> FileInfo:
        """What header and index say."""
        tensors = []
        for t, start in zip(self.index.tensors, indexes.tensor_offsets(self.index, self.starts), strict=True):
            spans = self.index.spans[t.first : t.first + t.spans]
            chunks = sum(max(1, len(s.chunks)) for s in spans)
            held, stored = sum(s.original for s in spans), sum(s.stored for s in spans)
            tensors.append(TensorInfo(t.name, t.dtype, t.shape, start, held, stored, chunks))
        i = self.index
        return FileInfo(
            self.version, i.original, self.source.size, i.sha256.hex(), i.source, i.level, len(i.spans),
            sum(max(1, len(s.chunks)) for s in i.spans), tuple(tensors),
        )  # fmt: skip

    def what(self, span: int) -> str:
        """A span's name in messages."""
        k = bisect.bisect_right(self._ends, span)
        if k < len(self._ends) and self.index.tensors[k].first <= span:
            return f"{self.name}: tensor {json.dumps(self.index.tensors[k].name, ensure_ascii=False)}"
        return f"{self.name}: bytes from {self.starts[span]}"

    def decoder(self, span: int) -> SpanDecoder:
        """The careful decoder of a span; the last few are kept."""
        from codec.decode import SpanDecoder

        earlier = partial(WeftFile.earlier, weakref.proxy(self), span)  # no cycle: what failed is freed at once
        return self._kept(self._decoders, span, lambda body, what: SpanDecoder(body, what, earlier))

    def with_decoded(self, decoded: Callable[[int, Bytes], bool] | None, checked: bool = False) -> WeftFile:
        """This file, for one who can say what was decoded: ``(offset, out)`` fills out (uint8) with bytes of the
        original if they are at hand, or is False. ``checked``: what they lie in is looked at all the same, which takes
        the records of those spans.
        """
        other = copy.copy(self)
        other._lock, other._decoders, other._decoded, other._checked = threading.Lock(), {}, decoded, checked
        return other

    def earlier(self, span: int, distance: int, out: Bytes) -> None:
        """The bytes so far before a span, which is a copy of them, or near them."""
        what = self.what(span)
        begin = source_of(what, self.copies, self.starts[span], distance, out.size)
        if not self._checked and self._decoded is not None and self._decoded(begin, out):
            return
        check_source(what, self.starts, span, begin, out.size, self._shape)
        if self._checked and self._decoded is not None and self._decoded(begin, out):
            return
        first, held, size = getattr(self._hand, "held", None) or (0, out, 0)
        if first <= begin and begin + out.size <= first + size:
            out[:] = held[begin - first : begin - first + out.size]
            return
        for task in self.tasks(begin, begin + out.size):
            self.run_into(task, begin, out)

    def _shape(self, span: int) -> Shape:
        """What a copy or a delta has to know of a span, which many may: it is read once, without its tables."""
        found = self._shapes.get(span)
        if found is None:
            from codec.stages.layout import glance

            entry, at, what = self.index.spans[span], self.offsets[span], self.what(span)
            body = records.body_of(self.source.read_at(at, entry.record), records.SPAN, self.name, at)
            chunk, back = glance(Cursor(body, what))
            found = self._shapes[span] = Shape(
                chunk if entry.chunks else entry.original, max(1, len(entry.chunks)), back
            )
        return found

    def chunked(self, span: int) -> SpanTables | Layout:
        """What is known of a span with chunk records: its tables, or its layout alone if they need the careful way."""
        from codec import bulk

        tables = self._kept(self._tables, span, lambda body, what: bulk.span_tables(body))
        return tables if tables is not None else self.decoder(span).layout

    def _kept(self, held: dict[int, T], span: int, make: Callable[[memoryview, str], T]) -> T:
        """What is made of a span's record; the last few are kept."""
        with self._lock:
            if span in held:
                return held[span]
        at, entry = self.offsets[span], self.index.spans[span]
        record = self.source.read_at(at, entry.record)
        made = make(records.body_of(record, records.SPAN, self.name, at), self.what(span))
        shape: Any = getattr(made, "layout", made)
        if shape is not None and (shape.length != entry.original or shape.chunks != max(1, len(entry.chunks))):
            raise CorruptFileError(f"{self.what(span)}: its span record and the index do not agree")
        with self._lock:
            while len(held) >= 16:
                held.pop(next(iter(held)))
            held[span] = made
        return made

    def tasks(self, begin: int = 0, end: int | None = None) -> Iterator[Task]:
        """What to decode for bytes begin..end of the original, in order, in pieces of about 2 MiB."""
        end = self.index.original if end is None else end
        span = bisect.bisect_right(self.starts, begin) - 1
        spans, starts = self.index.spans, self.starts
        while span < len(spans) and starts[span] < end:
            stop = span
            while stop < len(spans) and not spans[stop].chunks and starts[stop] < end:
                if starts[stop] + spans[stop].original > starts[span] + TASK_BYTES and stop > span:
                    break
                stop += 1
            if stop > span:
                yield Task(span, stop - span, 0, 0, starts[span], starts[stop - 1] + spans[stop - 1].original)
                span = stop
                continue
            size = self.chunked(span).chunk_bytes  # the last chunk has the tail bytes, too
            base, chunks = starts[span], len(spans[span].chunks)
            first = min(max(0, begin - base) // size, chunks - 1)
            last = min(chunks, max(first + 1, -(-(min(end, starts[span + 1]) - base) // size)))
            for lo in range(first, last, max(1, TASK_BYTES // size)):
                hi = min(lo + max(1, TASK_BYTES // size), last)
                yield Task(span, 0, lo, hi, base + lo * size, starts[span + 1] if hi == chunks else base + hi * size)
            span += 1

    def run(self, task: Task, out: Bytes) -> None:
        """Decode a task into ``out`` (uint8, end - begin bytes)."""
        if task.spans:
            self._run_spans(task, out)
        else:
            self._run_chunks(task, out)

    def _run_spans(self, task: Task, out: Bytes) -> None:
        """Whole spans, each with its chunk in its record."""
        import numpy as np

        from codec import bulk

        each = slice(task.span, task.span + task.spans + 1)
        places, begins = np.array(self.offsets[each]), np.array(self.starts[each])
        stored = self.source.read_at(int(places[0]), int(places[-1] - places[0]))
        places, begins = places - places[0], begins - begins[0]
        jobs = np.stack((places[:-1], places[1:], begins[:-1], begins[1:], np.full(task.spans, -1)), 1)

        def careful(k: int) -> None:
            """What comes before it in the task is decoded: jobs are done in order, but for those left to this way."""
            before = getattr(self._hand, "held", None)
            self._hand.held = task.begin, out, int(begins[k])
            try:
                self.decoder(task.span + k).decode_inline(out[begins[k] : begins[k + 1]])
            finally:
                self._hand.held = before

        bulk.decode(stored, jobs, out, None, careful)

    def _run_chunks(self, task: Task, out: Bytes) -> None:
        """Some chunks of one span. Each is checked, decoded and hashed while it is in the cache."""
        from codec import bulk

        shape, entry = self.chunked(task.span), self.index.spans[task.span]
        first = self.offsets[task.span] + entry.record + sum(entry.chunks[: task.first])
        stored = self.source.read_at(first, sum(entry.chunks[task.first : task.stop]))
        tables = shape if isinstance(shape, bulk.SpanTables) else None
        jobs, at, begin = [], 0, 0
        for number in range(task.first, task.stop):
            end = at + entry.chunks[number]
            stop = out.size if number == task.stop - 1 else begin + shape.chunk_bytes
            jobs.append((at, end, begin, stop, number))
            at, begin = end, stop

        def careful(k: int) -> None:
            a, b, begin, end, number = jobs[k]
            body = records.body_of(stored[a:b], records.CHUNK, self.name, first + a)
            self.decoder(task.span).decode_chunk(number, body, out[begin:end])

        bulk.decode(stored, jobs, out, tables, careful)

    def run_into(self, task: Task, begin: int, out: Bytes) -> None:
        """Decode what of a task lies in ``out``, the bytes of the original from ``begin`` on (uint8)."""
        a, b = max(task.begin, begin), min(task.end, begin + out.size)
        if a == task.begin and b == task.end:
            self.run(task, out[a - begin : b - begin])
            return
        import numpy as np

        piece = np.empty(task.end - task.begin, np.uint8)
        self.run(task, piece)
        out[a - begin : b - begin] = piece[a - task.begin : b - task.begin]

    def read(self, begin: int, end: int) -> Bytes:
        """Bytes begin..end of the original (uint8)."""
        out = room_for(max(0, end - begin), self.name)
        for task in self.tasks(begin, end) if out.size else ():
            self.run_into(task, begin, out)
        return out
