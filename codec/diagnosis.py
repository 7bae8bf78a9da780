"""Where a weft file is damaged first: read front to back, record by record, and said in terms of the original."""

from __future__ import annotations

import bisect
import json
from dataclasses import dataclass
from typing import Final

import numpy as np
from xxhash import xxh3_64_intdigest

from codec.container import records
from codec.container.index import Index, SpanEntry
from codec.decode import SpanDecoder
from codec.errors import CodecError, CorruptFileError, NotWeftError, TruncatedFileError, UnsupportedVersionError
from codec.limits import SAFETENSORS_HEADER_MAX
from codec.reader import Source, WeftFile
from codec.recovery.copies import Placed
from codec.recovery.scan import index_at_end, index_begins, sound_record
from codec.recovery.spans import Span
from codec.report import Damage
from codec.sources import Segment
from codec.sources.safetensors import NotSafetensorsError, parse
from codec.stages.geometry import Bytes

_ADVICE: Final = '; run "codec recover"'


@dataclass(slots=True)
class _Stop:
    """What ended the walk: bytes of the original (None: none, or not known), the record, and the error."""

    begin: int | None
    end: int | None
    record: int
    record_end: int | None
    error: CodecError


def first_damage(source: Source, error: CodecError, file: WeftFile | None = None, done: int = 0) -> CodecError:
    """The error to raise for a file whose reading ended with ``error``: what is damaged first, in order of the file.

    ``file``: the file, if its index is sound; bytes of the original before ``done`` are known to be, then. Takes one
    thread and the time of decoding up to the damage.
    """
    try:
        records.check_header(source.read_at(0, min(source.size, records.HEADER_BYTES)), source.name)
    except CodecError as e:
        return _about_header(source, e)
    walk = _Walk(source, file, done)
    stop = walk.run(error)
    tensor, place = None, ""
    if stop.begin is not None:
        tensor = walk.tensor_at(stop.begin)
        place = "" if tensor is None else f"tensor {json.dumps(tensor, ensure_ascii=False)}, "
        place += f"bytes from {stop.begin} on" if stop.end is None else f"bytes [{stop.begin}, {stop.end})"
        place += " of the original: "
    why = str(stop.error).removeprefix(f"{source.name}: ")
    advice = "" if isinstance(stop.error, UnsupportedVersionError) else _ADVICE
    told = type(stop.error)(f"{source.name}: {place}{why}{advice}")
    told.damage = Damage(tensor, stop.begin, stop.end, stop.record, stop.record_end)
    return told


def _about_header(source: Source, error: CodecError) -> CodecError:
    """The header's error; with advice, unless this is a newer version or no weft file at all."""
    if isinstance(error, UnsupportedVersionError):  # whatever its check says: a later version may define another
        return error
    if isinstance(error, NotWeftError) and not sound_record(source, records.HEADER_BYTES):
        return error
    told = type(error)(f"{error}{_ADVICE}")
    told.damage = Damage(None, None, None, 0, min(source.size, records.HEADER_BYTES))
    return told


class _Walk:
    """Reads records one behind the other, and compares them with the index where there is a sound one."""

    def __init__(self, source: Source, file: WeftFile | None, done: int) -> None:
        self.source, self.file = source, file
        self.front, self.wanted = bytearray(), 9  # of the original, for the names of its tensors
        self.at, self.done, self.span = records.HEADER_BYTES, 0, 0
        self.copies = records.may_copy(source.read_at(0, records.HEADER_BYTES))
        self.placed = Placed(source)
        found = file.index if file is not None else index_at_end(source)
        self.index: Index | None = found
        self.starts = file.starts if file is not None else found.span_offsets()[0] if found is not None else [0]
        if file is not None and file.index.spans:
            self.span = min(max(0, bisect.bisect_right(file.starts, done) - 1), len(file.index.spans) - 1)
            self.at, self.done = file.offsets[self.span], file.starts[self.span]

    def run(self, error: CodecError) -> _Stop:
        """Up to the first damage. ``error`` is what is wrong with index or trailer if there is none before."""
        while True:
            start = self.at
            try:
                if index_begins(self.source, start):
                    self._check_all_seen(start)
                    return self._end(start, error)
                kind, body = self._record()
                if kind == records.INDEX:
                    return self._end(start, error)
                if kind != records.SPAN:
                    raise CorruptFileError(f"chunk record at byte {start}, where a span should begin")
                decoder = SpanDecoder(body, f"record at byte {start}", self._earlier)
                self._check_listed(decoder, start)
                lay, place = decoder.layout, (start, self.at - start)
                span = Span(lay.length, place, lay.chunks, {}, begin=self.done, copied=lay.copied)
                if decoder.inline:
                    self._decode(decoder, None, body)
            except CodecError as e:
                end = self.starts[self.span + 1] if self._entry() is not None else None
                begin = None if self.index is None and self._header_end() == self.done else self.done
                return _Stop(begin, end, start, self._record_end(start, 0), e)
            if not decoder.inline:
                stop = self._chunks(decoder, span)
                if stop is not None:
                    return stop
            if self.copies and self.file is None:
                self.placed.add(span)
            self.done += decoder.layout.length
            self.span += 1

    def _earlier(self, distance: int, out: Bytes) -> None:
        """Of the span that is being decoded."""
        if self.file is not None:
            self.file.earlier(self.span, distance, out)
        elif not self.copies:
            raise CorruptFileError("a copy, in a file whose header says that there are none")
        else:
            self.placed.fill(self.done, distance, out)

    def _chunks(self, decoder: SpanDecoder, span: Span) -> _Stop | None:
        for number in range(decoder.layout.chunks):
            start = self.at
            try:
                kind, body = self._record()
                if kind != records.CHUNK:
                    raise CorruptFileError(f"record of kind {kind} at byte {start}, where a chunk should be")
                entry = self._entry()
                if entry is not None and self.at - start != entry.chunks[number]:
                    raise CorruptFileError(f"record at byte {start} is not the one that the index lists here")
                decoder.what = f"record at byte {start}"
                self._decode(decoder, number, body)
                span.chunks[number] = start, self.at - start
            except CodecError as e:
                a, b = decoder.layout.chunk_range(number)
                return _Stop(self.done + a, self.done + b, start, self._record_end(start, 1 + number), e)
        return None

    def _record(self) -> tuple[int, memoryview]:
        at, source = self.at, self.source
        left = source.size - at
        if left < records.HEAD_BYTES:
            raise TruncatedFileError(f"ends at byte {source.size}, where a record should begin")
        head = source.read_at(at, records.HEAD_BYTES)
        try:
            kind, size = records.frame_size(head, source.name, at)
        except UnsupportedVersionError:
            size = records.FRAME_BYTES + int.from_bytes(head[1:], "little")
            if size <= left:
                data = source.read_at(at, size)
                if xxh3_64_intdigest(data[:-8]) == int.from_bytes(data[-8:], "little"):
                    raise
            raise CorruptFileError(f"no record at byte {at}, where one should begin (damaged)") from None
        if size > left:
            error = TruncatedFileError if self.file is None else CorruptFileError
            raise error(f"record at byte {at} has {size} bytes by its length, {left} are left of the file")
        body = records.body_of(source.read_at(at, size), kind, source.name, at)
        self.at += size
        return kind, body

    def _decode(self, decoder: SpanDecoder, number: int | None, body: memoryview) -> None:
        begin, end = decoder.layout.chunk_range(number or 0)
        out = np.empty(end - begin, np.uint8)
        if number is None:
            decoder.decode_inline(out)
        else:
            decoder.decode_chunk(number, body, out)
        if self.index is None and len(self.front) < self.wanted:
            self.front += out.data
            if self.wanted == 9 and len(self.front) >= 9:
                length = int.from_bytes(self.front[:8], "little")
                is_header = self.front[8:9] == b"{" and length <= SAFETENSORS_HEADER_MAX
                self.wanted = 8 + length if is_header else 0

    def _entry(self) -> SpanEntry | None:
        """What the index says of the span that comes next."""
        listed = self.index.spans if self.index is not None else []
        return listed[self.span] if self.span < len(listed) else None

    def _check_listed(self, decoder: SpanDecoder, start: int) -> None:
        entry, lay, size = self._entry(), decoder.layout, self.at - start
        if self.index is not None and (
            entry is None or (lay.length, lay.chunks, size) != (entry.original, max(1, len(entry.chunks)), entry.record)
        ):
            raise CorruptFileError(f"record at byte {start} is not the one that the index lists here")

    def _check_all_seen(self, start: int) -> None:
        if self._entry() is not None:
            raise CorruptFileError(f"no record at byte {start}, where the index lists one")

    def _record_end(self, start: int, part: int) -> int | None:
        """Where the record ends that begins here and is so many behind its span record: by the index if nothing was
        put in or taken out, or else by its own length.
        """
        entry = self._entry()
        if self.file is not None and entry is not None and part <= len(entry.chunks):
            return start + [entry.record, *entry.chunks][part]
        left = self.source.size - start
        if left < records.HEAD_BYTES:
            return None
        length = int.from_bytes(self.source.read_at(start + 1, 4), "little") + records.FRAME_BYTES
        return start + length if length <= left else None

    def _end(self, start: int, error: CodecError) -> _Stop:
        """All spans are sound: it is the index, or what follows it."""
        end, size = self._record_end(start, 0), self.source.size
        if end is None or not sound_record(self.source, start):
            try:
                self.at = start
                self._record()
            except CodecError as e:
                error = type(e)(f"index: {str(e).removeprefix(f'{self.source.name}: ')}")
            return _Stop(None, None, start, end, error)
        tail = self.source.read_at(end, min(size - end, records.TRAILER_BYTES))
        try:
            records.check_trailer(tail, size, self.source.name)
        except CodecError:
            if bytes(tail[24:]) == records.END_MAGIC and size > end + records.TRAILER_BYTES:
                error = type(error)(f"goes on behind its trailer, which ends at byte {end + records.TRAILER_BYTES}")
            return _Stop(None, None, end, size, error)
        return _Stop(None, None, start, end, error)

    def tensor_at(self, begin: int) -> str | None:
        """The tensor that holds a byte of the original."""
        if self.index is not None:
            span = bisect.bisect_right(self.starts, begin) - 1
            return next((t.name for t in self.index.tensors if t.first <= span < t.first + t.spans), None)
        return next((s.name for s in self._segments() if s.is_tensor and s.start <= begin < s.stop), None)

    def _segments(self) -> list[Segment]:
        """Of the safetensors header in front of what was decoded; none if there is no such header."""
        try:
            return parse(lambda size: bytes(self.front[:size]), None)
        except NotSafetensorsError:
            return []

    def _header_end(self) -> int | None:
        """Where the original ends by its safetensors header."""
        segments = self._segments()
        return segments[-1].stop if segments else None
