"""Weft -> original from a stream, front to back, without seeking (FORMAT.md, section 10)."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from codec import bulk
from codec.container import index as indexes
from codec.container import records
from codec.decode import SpanDecoder
from codec.earlier import Shape, Spool, check_source, source_of
from codec.errors import CorruptFileError, TruncatedFileError
from codec.stages.geometry import Bytes


def decode_stream(
    read: Callable[[int], bytes], sink: Callable[[Any], object], name: str,
    again: Callable[[int, Bytes], None] | None = None,
) -> tuple[indexes.Index, int]:  # fmt: skip
    """Decode a weft file front to back. Returns (its index, stored bytes).

    ``read(n)`` gives n bytes, fewer only at the end. Each chunk is checked before it goes out; SHA-256 at the end.
    ``again(offset, out)`` fills out (uint8) with what the sink was given; without it, what a file with copies decodes
    to is kept in a temporary file meanwhile.
    """
    with contextlib.ExitStack() as stack:
        return _decode(read, sink, name, again, stack)


def _decode(
    read: Callable[[int], bytes], sink: Callable[[Any], object], name: str,
    again: Callable[[int, Bytes], None] | None, stack: contextlib.ExitStack,
) -> tuple[indexes.Index, int]:  # fmt: skip
    at, done = 0, 0
    sha = hashlib.sha256()
    spool: Spool | None = None
    starts, shapes = [0], list[Shape]()  # of the spans, where there may be copies

    def exactly(size: int) -> memoryview:
        nonlocal at
        data = read(size)
        at += len(data)
        if len(data) < size:
            raise TruncatedFileError(f"{name}: ends after {at} bytes, within a record")
        return memoryview(data)

    def record() -> tuple[int, memoryview, int]:
        start = at
        head = exactly(records.HEAD_BYTES)
        kind, size = records.frame_size(head, name, start)
        whole = memoryview(bytes(head) + bytes(exactly(size - records.HEAD_BYTES)))
        return kind, records.body_of(whole, kind, name, start), size

    def give(out: Bytes) -> None:
        nonlocal done
        sha.update(out.data)
        sink(out.data)
        if spool is not None:
            spool.write(out.data)
        done += out.size

    def earlier(distance: int, out: Bytes) -> None:
        what = f"{name}: bytes from {done}"
        begin = source_of(what, copies, done, distance, out.size)
        check_source(what, starts, len(shapes), begin, out.size, shapes.__getitem__)
        assert again is not None
        again(begin, out)

    front = read(records.HEADER_BYTES)
    at += len(front)
    records.check_header(front, name)
    copies = records.may_copy(front)
    if copies and again is None:
        spool = Spool()
        stack.callback(spool.close)
        again = spool.read
    seen: list[indexes.SpanEntry] = []
    while True:
        start = at
        kind, body, size = record()
        if kind == records.INDEX:
            break
        if kind != records.SPAN:
            raise CorruptFileError(f"{name}: chunk record at byte {start}, where a span should begin")
        decoder = SpanDecoder(body, f"{name}: bytes from {done}", earlier)
        entry = indexes.SpanEntry(decoder.layout.length, size)
        if decoder.inline:
            out = np.empty(decoder.layout.length, np.uint8)
            decoder.decode_inline(out)
            give(out)
        tables = None if decoder.inline else bulk.span_tables(body)
        for number in range(0 if decoder.inline else decoder.layout.chunks):
            start = at
            kind, body, size = record()
            if kind != records.CHUNK:
                raise CorruptFileError(f"{name}: record of kind {kind} at byte {start}, where a chunk should be")
            a, b = decoder.layout.chunk_range(number)
            out = np.empty(b - a, np.uint8)
            _chunk(decoder, tables, number, body, out)
            give(out)
            entry.chunks.append(size)
        seen.append(entry)
        if copies:
            starts.append(done)
            shapes.append(Shape(decoder.layout.chunk_bytes, decoder.layout.chunks, decoder.layout.copied))
    index = indexes.decode(body, name, start - records.HEADER_BYTES)
    end = bytes(read(records.TRAILER_BYTES + 1))
    at += len(end)
    records.check_trailer(end[: records.TRAILER_BYTES], start + size + records.TRAILER_BYTES, name)
    if len(end) != records.TRAILER_BYTES:
        raise CorruptFileError(f"{name}: goes on behind its trailer")
    if records.check_trailer(end, at, name) != (start, size):
        raise CorruptFileError(f"{name}: trailer does not point at the index")
    if index.spans != seen or index.original != done:
        raise CorruptFileError(f"{name}: the index does not list the records that were read")
    if index.sha256 and index.sha256 != sha.digest():
        raise CorruptFileError(f"{name}: SHA-256 of the original is {index.sha256.hex()}, decoded {sha.hexdigest()}")
    return index, at


def _chunk(decoder: SpanDecoder, tables: bulk.SpanTables | None, number: int, body: memoryview, out: Bytes) -> None:
    bulk.decode_chunk(body, number, out, tables, lambda: decoder)
