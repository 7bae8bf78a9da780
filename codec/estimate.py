"""Predict the compressed size of a file from a sample of it.

Spans are what is coded on its own, so spans are sampled: those of tensors of the same type and shape form a class, some
of each class are drawn at even distances, and of a large one a part is coded, in runs spread evenly over it. Payloads
then grow with the bytes of the class, and tables with its number of spans.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import numpy as np

from codec.access import FileSource, opened
from codec.container import index as indexes
from codec.container import records
from codec.dtypes import DTYPES, DType
from codec.encode import EncodedSpan, encode_span, span_bytes
from codec.engine import in_order, thread_count
from codec.limits import CHUNK_BYTES_MAX
from codec.planner.levels import level_of
from codec.report import Estimate
from codec.sources import segments_of
from codec.sources.segment import Segment

#: Bytes to code: a twentieth of the file, and these at least.
SAMPLED_PART: Final = 20
SAMPLED_BYTES: Final = 1 << 23

#: Bytes to code of a span that is drawn, at least. Small, so that many are drawn: an fp32 embedding of which some rows
#: hold fp16 values is 1.4 % off with pieces of 1 MiB and 0.1 % with these.
_PIECE: Final = 1 << 18
#: The same for opaque bytes, which differ more from place to place.
_PIECE_OPAQUE: Final = 1 << 17

#: Bytes in one run of a piece, at least.
_RUN: Final = 1 << 15


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    size: int


@dataclass(slots=True)
class _Class:
    """Spans that are alike, in order of offset. ``sampled`` counts bytes, ``fields`` the stored bytes of the sample."""

    dtype: DType | None
    shape: tuple[int, ...]
    spans: list[_Span] = field(default_factory=list)
    size: int = 0
    drawn: int = 0
    sampled: int = 0
    fields: dict[str, int] = field(default_factory=dict)

    def predicted(self) -> dict[str, int]:
        """Stored bytes by field."""
        return {
            name: size * len(self.spans) // self.drawn if name == "tables" else size * self.size // self.sampled
            for name, size in self.fields.items()
        }


def estimate_file(path: str | os.PathLike[str] | BinaryIO, *, level: str = "default") -> Estimate:
    """What :func:`codec.compress_file` would make of a file, from coding about 5 % of it, and all of it up to 8 MiB.

    Writes nothing. ``path``: of the file, or a seekable binary file object. The answer is the same each time. Raises
    OSError, and ValueError for an unknown level.

    >>> import codec, io
    >>> found = codec.estimate_file(io.BytesIO(bytes(1 << 16)))
    >>> found.original_bytes, found.estimated_bytes < 200
    (65536, True)
    """
    lev = level_of(level)
    with opened(path) as (file, name):
        source = FileSource(file, name)

        def at(offset: int, size: int) -> bytes:
            return bytes(source.read_at(offset, max(0, min(size, source.size - offset))))

        kind, segments = segments_of(lambda n: at(0, n), source.size, at)
        classes = _classes(segments)
        part = min(1.0, max(SAMPLED_BYTES, source.size / SAMPLED_PART) / max(1, source.size))

        def work(job: tuple[_Class, list[_Span]]) -> tuple[_Class, int, EncodedSpan]:
            group, runs = job
            data = np.concatenate([np.frombuffer(source.read_at(r.start, r.size), np.uint8) for r in runs])
            return group, data.size, encode_span(data, group.dtype, group.shape, lev)

        jobs = ((group, runs) for group in classes for runs in _samples(group, part))
        for group, size, span in in_order(jobs, work, thread_count(None)):
            group.drawn += 1
            group.sampled += size
            for key, count in span.fields.items():
                group.fields[key] = group.fields.get(key, 0) + count
    bits: dict[str, dict[str, int]] = {}
    for group in classes:
        fields = bits.setdefault(group.dtype.name if group.dtype else "", {})
        for key, count in group.predicted().items():
            fields[key] = fields.get(key, 0) + 8 * count
    spans = sum(sum(fields.values()) for fields in bits.values()) // 8
    around = records.HEADER_BYTES + records.TRAILER_BYTES + _index_bytes(kind, level, segments, source.size, spans)
    return Estimate(source.size, spans + around, sum(group.sampled for group in classes), bits)


def _classes(segments: list[Segment]) -> list[_Class]:
    """The spans of all segments, those of opaque bytes and of each pair of type and shape together."""
    found: dict[tuple[str, tuple[int, ...]], _Class] = {}
    for s in segments:
        dtype = DTYPES[s.dtype] if s.dtype else None
        group = found.setdefault((s.dtype, s.shape), _Class(dtype, s.shape))
        step = span_bytes(dtype, s.shape)
        group.spans += [_Span(at, min(step, s.stop - at)) for at in range(s.start, s.stop, step)]
        group.size += s.size
    return [group for group in found.values() if group.size]


def _samples(group: _Class, part: float) -> Iterator[list[_Span]]:
    """Runs of each span that is drawn; together about ``part`` of the bytes of the class."""
    budget = part * group.size
    least = _PIECE_OPAQUE if group.dtype is None else _PIECE
    most = group.spans[0].size
    piece = min(most, max(least, int(part * most)))
    count = len(group.spans) if part >= 1 else min(len(group.spans), max(1, round(budget / piece)))
    for k in range(count):
        span = group.spans[(2 * k + 1) * len(group.spans) // (2 * count)]
        yield _runs(span, piece, group) if part < 1 else [span]


def _runs(span: _Span, piece: int, group: _Class) -> list[_Span]:
    """A piece of a span: whole rows, in runs at even distances."""
    if span.size <= piece:
        return [span]
    row = 8
    if group.dtype is not None and len(group.shape) > 1:
        row = group.dtype.bits
        for d in group.shape[1:]:
            row *= d
        row = row // 8 if row % 64 == 0 else 8
    if row * 4 > piece:
        row = 8
    runs = max(1, min(piece // max(_RUN, row), 32))
    size = max(row, piece // runs // row * row)
    slack = (span.size - size) // row
    return [
        _Span(span.start + (slack * k // max(1, runs - 1) if runs > 1 else slack // 2) * row, size) for k in range(runs)
    ]


def _index_bytes(kind: str, level: str, segments: list[Segment], size: int, stored: int) -> int:
    """Bytes of the index record: one for spans that all compress alike, but for noise as real ones have."""
    index = indexes.Index(size, bytes(range(32)), kind, level)
    for s in segments:
        first = len(index.spans)
        step = span_bytes(DTYPES[s.dtype] if s.dtype else None, s.shape)
        for at in range(s.start, s.stop, step):
            held = min(step, s.stop - at)
            chunks = -(-held // CHUNK_BYTES_MAX)
            each = held * stored // size // chunks
            sizes = [each + (len(index.spans) + k) * 40503 % 65536 * each // 6_553_600 for k in range(chunks)]
            index.spans.append(
                indexes.SpanEntry(held, *((sizes[0], []) if chunks == 1 else (1000 + sizes[0] % 512, sizes)))
            )
        if s.is_tensor:
            index.tensors.append(indexes.TensorEntry(s.name, s.dtype, s.shape, first, len(index.spans) - first))
    return len(indexes.encode(index)) + records.FRAME_BYTES
