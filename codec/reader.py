"""Weft -> original by the index: any part of it, in any order. Imports numpy and numba only when it decodes."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from codec.container import index as indexes
from codec.container import records
from codec.errors import CorruptFileError, LimitExceededError, TruncatedFileError
from codec.report import FileInfo, TensorInfo

if TYPE_CHECKING:
    from codec.stages.geometry import Bytes

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
    """Chunks first..stop of a span, which hold bytes begin..end of the original."""

    span: int
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
        self._decoders: dict[int, Any] = {}

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
            return f'{self.name}: tensor "{self.index.tensors[k].name}"'
        return f"{self.name}: bytes from {self.starts[span]}"

    def decoder(self, span: int) -> Any:
        """The decoder of a span; the last few are kept."""
        from codec.decode import SpanDecoder

        with self._lock:
            found = self._decoders.get(span)
        if found is not None:
            return found
        at, entry = self.offsets[span], self.index.spans[span]
        record = self.source.read_at(at, entry.record)
        decoder = SpanDecoder(records.body_of(record, records.SPAN, self.name, at), self.what(span))
        if decoder.layout.length != entry.original or decoder.layout.chunks != max(1, len(entry.chunks)):
            raise CorruptFileError(f"{self.what(span)}: its span record and the index do not agree")
        with self._lock:
            while len(self._decoders) >= 16:
                self._decoders.pop(next(iter(self._decoders)))
            self._decoders[span] = decoder
        return decoder

    def tasks(self, begin: int = 0, end: int | None = None) -> Iterator[Task]:
        """What to decode for bytes begin..end of the original, in order, in pieces of about 2 MiB."""
        end = self.index.original if end is None else end
        span = bisect.bisect_right(self.starts, begin) - 1
        while span < len(self.index.spans) and self.starts[span] < end:
            layout = self.decoder(span).layout
            base = self.starts[span]
            step = max(1, TASK_BYTES // (layout.chunk * layout.width))
            for first in range(0, layout.chunks, step):
                stop = min(first + step, layout.chunks)
                a, b = layout.chunk_range(first)[0] + base, layout.chunk_range(stop - 1)[1] + base
                if a < end and b > begin:
                    size = layout.chunk * layout.width  # tail bytes belong to the last chunk
                    lo = min(max(first, (begin - base) // size), stop - 1)
                    hi = min(stop, max(lo + 1, -(-(end - base) // size)))
                    a, b = layout.chunk_range(lo)[0] + base, layout.chunk_range(hi - 1)[1] + base
                    yield Task(span, lo, hi, a, b)
            span += 1

    def run(self, task: Task, out: Bytes) -> None:
        """Decode a task into ``out`` (uint8, end - begin bytes)."""
        decoder, entry = self.decoder(task.span), self.index.spans[task.span]
        if decoder.inline:
            decoder.decode_inline(out)
            return
        at = self.offsets[task.span] + entry.record + sum(entry.chunks[: task.first])
        stored = self.source.read_at(at, sum(entry.chunks[task.first : task.stop]))
        begin = task.begin - self.starts[task.span]
        for number in range(task.first, task.stop):
            size = entry.chunks[number]
            body = records.body_of(stored[:size], records.CHUNK, self.name, at)
            a, b = decoder.layout.chunk_range(number)
            decoder.decode_chunk(number, body, out[a - begin : b - begin])
            stored, at = stored[size:], at + size

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
