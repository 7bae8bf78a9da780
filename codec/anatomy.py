"""Where the bits of a weft file go: stored bytes of each tensor, by the field of its elements.

Planes have no lengths in a file; where one ends is known when it has been decoded. So all of the file is decoded, with
every check, and nothing of it kept.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, Final

import numpy as np

from codec.access import FileSource, opened
from codec.bit_fields import HEADERS, INDEX, TABLES, part_names, plane_fields
from codec.container import records
from codec.decode import Earlier, SpanDecoder
from codec.engine import in_order, thread_count
from codec.errors import CorruptFileError
from codec.reader import WeftFile
from codec.report import Progress

#: Original bytes that a thread decodes at a time, at least.
_BATCH: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class TensorAnatomy:
    """Where the stored bytes of a tensor go: ``fields`` add up to ``stored_bytes``.

    The fields: "sign", "exponent", "mantissa"; what shares a plane with the exponent is named with it, as in "exponent
    + 3 mantissa bits"; "integers"; "scales", "minima", "codes" of blocks; "palette" and "indices" into it; the "mask"
    of what is not zero; "opaque bytes"; "tables" of the entropy coders; "headers" for the rest.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    original_bytes: int
    stored_bytes: int
    fields: dict[str, int] = field(default_factory=dict)

    @property
    def elements(self) -> int:
        """Elements in the tensor."""
        return math.prod(self.shape)

    @property
    def bits_per_element(self) -> float:
        """Stored bits of each; 0 if there are none."""
        return 8 * self.stored_bytes / self.elements if self.elements else 0.0


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Where the bytes of a weft file go.

    ``rest``: what belongs to no tensor that has a name. ``fields``: of all together, with "index" for header, index and
    trailer of the file; they add up to ``stored_bytes``, its size. Largest first.
    """

    original_bytes: int
    stored_bytes: int
    source: str
    level: str
    tensors: tuple[TensorAnatomy, ...]
    rest: TensorAnatomy
    fields: dict[str, int]

    @property
    def ratio(self) -> float:
        """Stored bytes / original bytes; 1 for an empty original."""
        return self.stored_bytes / self.original_bytes if self.original_bytes else 1.0

    @property
    def bits_per_element(self) -> float:
        """Stored bits of each element of all tensors; 0 if there are none."""
        elements = sum(t.elements for t in self.tensors)
        return 8 * sum(t.stored_bytes for t in self.tensors) / elements if elements else 0.0


def anatomy_file(
    path: str | os.PathLike[str] | BinaryIO, *, threads: int | None = None, progress: Progress | None = None
) -> Anatomy:
    """Where the bytes of a weft file go, by tensor and field. ``path``: of the file, or a seekable binary file object.

    Raises OSError, and CodecError for a file that is damaged.

    >>> import codec, io
    >>> found = codec.anatomy_file(io.BytesIO(codec.compress(b"\\0\\x3f\\x80\\xbe" * 512, "BF16")))
    >>> [(t.name, t.shape, sum(t.fields.values()) == t.stored_bytes) for t in found.tensors]
    [('data', (1024,), True)]
    """
    workers = thread_count(threads)
    with opened(path) as (file, name):
        weft = WeftFile(FileSource(file, name))
        index, counted, done = weft.index, list[dict[str, int]](), 0
        for found in in_order(_batches(weft), lambda spans: [_span(weft, k) for k in spans], workers):
            for span in found:
                done += index.spans[len(counted)].original
                counted.append(span)
            if progress is not None:
                progress(done, index.original)
    tensors, outside, at = [], list[int](), 0
    for t in index.tensors:
        end = t.first + t.spans
        outside += range(at, t.first)
        tensors.append(_tensor(weft, counted, t.name, t.dtype, t.shape, range(t.first, end)))
        at = end
    outside += range(at, len(counted))
    rest = _tensor(weft, counted, "", "", (), outside)
    around = weft.source.size - sum(s.stored for s in index.spans)
    total = _sum([*(t.fields for t in tensors), rest.fields, {INDEX: around}])
    return Anatomy(index.original, weft.source.size, index.source, index.level, tuple(tensors), rest, total)


def _tensor(
    weft: WeftFile, counted: list[dict[str, int]], name: str, dtype: str, shape: tuple[int, ...],
    spans: range | list[int],
) -> TensorAnatomy:  # fmt: skip
    entries = [weft.index.spans[k] for k in spans]
    original, stored = sum(e.original for e in entries), sum(e.stored for e in entries)
    return TensorAnatomy(name, dtype, shape, original, stored, _sum([counted[k] for k in spans]))


def _sum(fields: list[dict[str, int]]) -> dict[str, int]:
    """Of each field, the largest first; fields without bytes are left out."""
    total: dict[str, int] = {}
    for each in fields:
        for name, size in each.items():
            total[name] = total.get(name, 0) + size
    return {name: size for name, size in sorted(total.items(), key=lambda item: (-item[1], item[0])) if size}


def _batches(weft: WeftFile) -> Iterator[range]:
    """Spans in runs, so that a thread is not woken for each small one."""
    first, held = 0, 0
    for k, span in enumerate(weft.index.spans):
        held += span.original
        if held >= _BATCH:
            yield range(first, k + 1)
            first, held = k + 1, 0
    if held:
        yield range(first, len(weft.index.spans))


def _span(weft: WeftFile, number: int) -> dict[str, int]:
    """Field -> stored bytes of a span; they add up to those of its records."""
    at, entry = weft.offsets[number], weft.index.spans[number]
    record = weft.source.read_at(at, entry.record)
    what = weft.what(number)
    earlier = partial(weft.earlier, number)
    counter = _Counter(records.body_of(record, records.SPAN, weft.name, at), what, earlier)
    lay = counter.layout
    if lay.length != entry.original or lay.chunks != max(1, len(entry.chunks)):
        raise CorruptFileError(f"{what}: its span record and the index do not agree")
    if counter.inline:
        counter.decode_inline(np.empty(lay.length, np.uint8))
    at += entry.record
    for chunk, size in enumerate(entry.chunks):
        body = records.body_of(weft.source.read_at(at, size), records.CHUNK, weft.name, at)
        first, stop = lay.chunk_range(chunk)
        counter.decode_chunk(chunk, body, np.empty(stop - first, np.uint8))
        at += size
    found = counter.fields()
    return found | {HEADERS: entry.stored - sum(found.values())}


class _Counter(SpanDecoder):
    """Decodes a span, and counts the stored bytes of its planes and of its parts."""

    def __init__(self, body: bytes | memoryview, what: str, earlier: Earlier | None = None) -> None:
        super().__init__(body, what, earlier)
        self.sizes = [0] * len(self.layout.planes)
        self.parts: list[_Counter] = []

    def passed(self, plane: int, size: int) -> None:
        """See SpanDecoder."""
        self.sizes[plane] += size

    def part(self, number: int, body: bytes | memoryview, what: str) -> SpanDecoder:
        """See SpanDecoder."""
        self.parts.append(_Counter(body, what))
        return self.parts[-1]

    def fields(self) -> dict[str, int]:
        """Field -> stored bytes, but for headers."""
        lay = self.layout
        tables = sum(len(p.tables.raw) for p in lay.planes if p.tables is not None)
        found = [{TABLES: tables}]
        for shares, size in zip(plane_fields(lay), self.sizes, strict=True):
            found.append(_shared(shares, size))
        if self.parts:
            names = part_names(lay, [part.layout.dtype for part in self.parts])
            for name, part in zip(names, self.parts, strict=True):
                fields = part.fields()
                held = fields.pop(TABLES, 0)
                found += [{TABLES: held}, {name: sum(fields.values())} if name else fields]
        return _sum(found)


def _shared(shares: dict[str, int], size: int) -> dict[str, int]:
    """Bytes divided by shares, to the last one."""
    parts, given, out = sum(shares.values()), 0, {}
    for name, share in shares.items():
        given += share
        out[name] = size * given // parts - size * (given - share) // parts
    return out
