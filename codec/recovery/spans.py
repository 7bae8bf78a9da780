"""Spans of a damaged file: which of their chunks are sound, and the bytes of those."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from codec import bulk
from codec.container import records
from codec.decode import Earlier, SpanDecoder
from codec.errors import CodecError
from codec.limits import CHUNK_BYTES_MAX, RECORD_BODY_MAX, SPAN_BYTES_MAX
from codec.reader import Source
from codec.recovery.scan import Records, index_begins
from codec.stages.geometry import Bytes
from codec.wire import Cursor

#: (offset, bytes) of a record.
Place = tuple[int, int]
#: Bytes begin..end.
Range = tuple[int, int]


@dataclass(slots=True)
class Span:
    """One span: its records, and which of its bytes were decoded and found right (``intact``, in order).

    ``begin`` is its place in the original, None if that is not known. ``record`` is None if it is not sound. ``parts``:
    chunks in all; one of them lies in the span record. ``chunks``: the sound chunk records by number. ``end`` is the
    offset behind its last record, None if that was not found; ``joined`` says that nothing lies between it and the span
    before. ``copied``: it is a copy of bytes before it, which ``earlier`` gives once they have a place.
    """

    length: int
    record: Place | None
    parts: int
    chunks: dict[int, Place]
    begin: int | None = None
    dtype: int = 0
    end: int | None = None
    joined: bool = False
    copied: bool = False
    earlier: Earlier | None = None
    intact: list[Range] = field(default_factory=list)


def body(source: Source, place: Place) -> memoryview:
    """The body of a record that was found sound."""
    return source.read_at(*place)[records.HEAD_BYTES : -8]


def decoded(source: Source, span: Span, first: int = 0, end: int | None = None) -> tuple[Bytes, list[Range]]:
    """The bytes of a span, and where they are sound: decoded, and found right by their hashes. Chunks that have no byte
    of first..end are left out.
    """
    nothing: tuple[Bytes, list[Range]] = (np.empty(0, np.uint8), [])
    if span.record is None:
        return nothing
    head = body(source, span.record)
    try:
        decoder = SpanDecoder(head, source.name, span.earlier)
    except CodecError:
        return nothing
    lay = decoder.layout
    span.copied = lay.copied
    if lay.length != span.length or lay.chunks != span.parts:
        return nothing
    tables = None if decoder.inline else bulk.span_tables(head)
    out, ranges = np.empty(lay.length, np.uint8), []
    for number in (0,) if decoder.inline else sorted(span.chunks):
        begin, stop = lay.chunk_range(number)
        if stop <= first or (end is not None and begin >= end):
            continue
        try:
            if decoder.inline:
                decoder.decode_inline(out)
            else:
                data = body(source, span.chunks[number])
                bulk.decode_chunk(data, number, out[begin:stop], tables, lambda: decoder)
        except CodecError:
            continue
        ranges.append((begin, stop))
    return out, merged(ranges)


def examined(source: Source, span: Span) -> Span:
    """The same span, ``intact`` filled."""
    span.intact = decoded(source, span)[1]
    return span


def twins(source: Source, found: Records) -> NDArray[np.bool_]:
    """Which of the records found are there more than once."""
    places = zip(found.offsets.tolist(), found.sizes.tolist(), strict=True)
    checks = np.frombuffer(b"".join(bytes(source.read_at(at + size - 8, 8)) for at, size in places), np.uint64)
    _, which, counts = np.unique(checks, return_inverse=True, return_counts=True)
    several: NDArray[np.bool_] = counts[which] > 1
    return several


def assembled(source: Source, found: Records, several: NDArray[np.bool_], first: int, stop: int) -> Span | None:
    """The span whose record is ``first`` of those found, without an index: of the chunk records behind it, to ``stop``.

    A chunk is taken for one of this span if its number goes on, if its bytes agree with their hash under the layout
    and tables of this span, and if what lies between it and the one before is nothing where none is missing. Where some
    are, by their kinds and lengths so many must lie there; or, if those are damaged, too, it must be no more than half
    as long again as so many of the largest chunks seen here: the rest of this span together with the first chunks of
    one of the same kind, which alone could be mistaken for its own, is longer. And behind a gap it must be there only
    once in the file (``several``: see ``twins``), or it may have been written to a wrong place.
    """
    at = (int(found.offsets[first]), int(found.sizes[first]))
    try:
        decoder = SpanDecoder(body(source, at), source.name)
    except CodecError:
        return None
    lay = decoder.layout
    span = Span(lay.length, at, lay.chunks, {}, dtype=lay.dtype)
    if decoder.inline:
        examined(source, span)
        span.end = sum(at) if span.intact or span.copied else None
        return span
    tables = bulk.span_tables(body(source, at))
    number, end, largest = -1, sum(at), 0
    for k in range(first + 1, stop):
        place = (int(found.offsets[k]), int(found.sizes[k]))
        data = body(source, place)
        told, largest = _number(data), max(largest, place[1])
        gap, lacking = place[0] - end, told - number - 1
        if not number < told < lay.chunks or (gap > 0) != (lacking > 0) or (gap and several[k]):
            break
        if 2 * gap > 3 * lacking * largest and _past_chunks(source, end, lacking, place[0]) != place[0]:
            break
        begin, behind = lay.chunk_range(told)
        out = np.empty(behind - begin, np.uint8)
        try:
            bulk.decode_chunk(data, told, out, tables, lambda: decoder)
        except CodecError:
            break
        span.chunks[told] = place
        span.intact.append((begin, behind))
        number, end = told, sum(place)
    span.intact = merged(span.intact)
    follows = int(found.offsets[stop]) if stop < found.offsets.size else None
    past = _past_chunks(source, end, lay.chunks - 1 - number, source.size if follows is None else follows)
    if number == lay.chunks - 1 or (past is not None and (past == follows or index_begins(source, past))):
        span.end = past
    return span


def lost_between(source: Source, at: int, stop: int) -> list[Span]:
    """Spans between two offsets whose records are damaged, but not in kind and length; none unless they fill it.

    Nothing proves what they say of themselves. It must be compared with something else: see codec.recovery.place.
    """
    spans = []
    while at < stop:
        head = source.read_at(at, min(records.HEAD_BYTES, source.size - at))
        behind = at + records.FRAME_BYTES + int.from_bytes(head[1:], "little")
        if head[0] != records.SPAN or behind > stop:
            return []
        try:
            length, dtype, chunks = _claims(source.read_at(at, behind - at)[records.HEAD_BYTES :])
        except CodecError:
            return []
        past = _past_chunks(source, behind, chunks if chunks > 1 else 0, stop)
        if past is None:
            return []
        spans.append(Span(length, None, chunks, {}, dtype=dtype, joined=True))
        at = past
    return spans if at == stop else []


def _claims(head: memoryview) -> tuple[int, int, int]:
    """(bytes, element type, chunks) of a span by the first fields of its record."""
    c = Cursor(head, "span")
    length, dtype, flags = c.varint(SPAN_BYTES_MAX), c.u8(), c.u8()
    width = 1 << (flags & 3)
    c.skip(flags >> 2 & 1)
    if flags & 8:
        c.varint()
    c.skip(width * (flags >> 4 & 1))
    c.varint()
    chunk = c.varint(CHUNK_BYTES_MAX)
    if length < 1 or chunk < 1:
        raise c.bad("span without bytes")
    return length, dtype, max(1, -(-(length // width) // chunk))


def _past_chunks(source: Source, at: int, count: int, stop: int) -> int | None:
    """The offset behind so many chunk records by kinds and lengths alone; None if they do not lie before ``stop``."""
    for _ in range(count):
        if at + records.HEAD_BYTES > stop:
            return None
        head = source.read_at(at, records.HEAD_BYTES)
        length = int.from_bytes(head[1:], "little")
        if head[0] != records.CHUNK or length > RECORD_BODY_MAX:
            return None
        at += length + records.FRAME_BYTES
    return at if at <= stop else None


def _number(data: memoryview) -> int:
    """The number of a chunk record, -1 if it cannot be read."""
    try:
        return Cursor(data, "chunk").varint(SPAN_BYTES_MAX)
    except CodecError:
        return -1


def merged(ranges: Iterator[Range] | list[Range]) -> list[Range]:
    """Ranges in order of begin, those that touch as one.

    >>> merged([(0, 4), (4, 6), (8, 9)])
    [(0, 6), (8, 9)]
    """
    out: list[Range] = []
    for begin, end in ranges:
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((begin, end))
    return out


def missing(ranges: list[Range], begin: int, end: int) -> list[Range]:
    """What of begin..end no range covers. The ranges are in order and do not touch.

    >>> missing([(0, 6), (8, 9)], 2, 12)
    [(6, 8), (9, 12)]
    """
    out = []
    for k in range(max(0, bisect.bisect_right(ranges, begin, key=lambda r: r[0]) - 1), len(ranges)):
        a, b = ranges[k]
        if b <= begin:
            continue
        if a >= end:
            break
        if a > begin:
            out.append((begin, a))
        begin = b
    if begin < end:
        out.append((begin, end))
    return out
