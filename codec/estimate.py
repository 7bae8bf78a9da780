"""Predict the compressed size of a file from a sample of it.

Samples (codec.sampling) are coded as a writer would, and each stands for a part of the file: payloads grow with its
bytes; what a span has once, tables for one, with the number of spans. Two halves of a sample, coded by themselves, show
what that is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from codec.access import FileSource, opened
from codec.batch import structured
from codec.container import index as indexes
from codec.container import records
from codec.dtypes import DTYPES, DType
from codec.encode import EncodedSpan, encode_span, span_bytes
from codec.engine import in_order, thread_count
from codec.limits import CHUNK_BYTES_MAX
from codec.planner.levels import level_of
from codec.relatives import near
from codec.report import Estimate
from codec.sampling import (
    CODED_WHOLE,
    SAMPLED_PART,
    Sample,
    classes_of,
    looks,
    repeated,
    row_of,
    samples_within,
    whole_spans,
)
from codec.sources import segments_of
from codec.sources.segment import Field, Packed, Segment
from codec.stages.geometry import Bytes
from codec.structure import PART_BYTES, encode_structured

#: Stored bytes of a copy.
_COPY_BYTES = 34


@dataclass(slots=True)
class _Piece:
    """As codec.batch takes it."""

    data: Bytes
    dtype: DType | None
    shape: tuple[int, ...]
    fields: tuple[Field, ...]
    packed: Packed | None
    distance: int = 0
    source: Bytes | None = None


@dataclass(frozen=True, slots=True)
class _Coded:
    """A sample of ``size`` bytes, coded as a part of spans of ``span`` bytes; ``found``: stored bytes by field.

    ``once``: bytes that its halves take more than the whole: what a span has once, whatever its size: of tables each
    span, of what is found again later each chunk.
    """

    sample: Sample
    size: int
    span: int
    found: dict[str, int]
    made: bool
    once: int


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
        whole = source.size <= CODED_WHOLE
        again, looked = repeated(segments, at)
        copies = [s for k, s in enumerate(segments) if k in again]
        others = [s for k, s in enumerate(segments) if k not in again]
        tensors = [s for s in others if s.is_tensor and not s.fields]
        found_near, more = near(at, [(s.start, s.size, s.dtype, s.shape) for s in tensors])
        looked += more
        classes = classes_of(others, whole, {tensors[k].start: distance for k, distance in found_near.items()})

        def parts_of(runs: list[tuple[int, int]]) -> list[Bytes]:
            return [np.frombuffer(source.read_at(*run), np.uint8) for run in runs]

        def coded(sample: Sample, parts: list[Bytes], sources: list[Bytes]) -> tuple[dict[str, int], bool]:
            """Stored bytes of some runs by field, and whether they became made spans."""
            group, shape, data = sample.group, sample.span.shape, np.concatenate(parts)
            near_it = (sample.span.distance, np.concatenate(sources)) if sources else ()
            made = structured(_Piece(data, group.dtype, shape, group.fields, group.packed, *near_it), lev)
            return _sums(made or [encode_span(data, group.dtype, shape, lev)]), made is not None

        def work(sample: Sample) -> _Coded:
            distance = sample.span.distance
            parts = parts_of(sample.runs)
            sources = parts_of([(start - distance, size) for start, size in sample.runs]) if distance else []
            size = sum(part.size for part in parts)
            found, made = coded(sample, parts, sources)
            span = min(PART_BYTES, sample.span.size) if made else sample.span.size
            halves = _halves(parts, row_of(sample)) if size < span else []
            others = _halves(sources, row_of(sample)) if sources else [[] for _ in halves]
            each = [_payload(coded(sample, *half)[0]) for half in zip(halves, others, strict=False)]
            once = sum(each) - _payload(found) if halves else 0
            return _Coded(sample, size, span, found, made, once)

        made_of = [0.0, 0.0]
        sampled = 0 if whole else looked
        if whole:
            samples = [sample for group in classes for sample in whole_spans(group)]
        else:
            for group in classes:
                for run in looks(group):
                    sampled += run[1]
                    group.made |= encode_structured(np.concatenate(parts_of([run])), group.dtype, (), lev) is not None
            samples = samples_within(classes, source.size // SAMPLED_PART - sampled)
        for done in in_order(samples, work, thread_count(None)):
            sampled += done.size << (done.sample.span.distance > 0 and not whole)
            made_of[done.made] += done.sample.weight
            _extrapolate(done)
    bits: dict[str, dict[str, int]] = {}
    for group in classes:
        fields = bits.setdefault(group.dtype.name if group.dtype else "", {})
        for key, stored in group.predicted.items():
            fields[key] = fields.get(key, 0) + 8 * round(stored)
    for s in copies:
        fields = bits.setdefault(s.dtype, {})
        fields["headers"] = fields.get("headers", 0) + 8 * _COPY_BYTES * -(-s.size // CHUNK_BYTES_MAX)
    total = sum(sum(fields.values()) for fields in bits.values()) // 8
    around = records.HEADER_BYTES + records.TRAILER_BYTES
    around += _index_bytes(kind, level, segments, source.size, total, made_of[1] / (sum(made_of) or 1))
    return Estimate(source.size, total + around, sampled, bits)


def _sums(spans: list[EncodedSpan]) -> dict[str, int]:
    found: dict[str, int] = {}
    for span in spans:
        for key, stored in span.fields.items():
            found[key] = found.get(key, 0) + stored
    return found


def _payload(fields: dict[str, int]) -> int:
    return sum(fields.values()) - fields.get("headers", 0)


def _halves(parts: list[Bytes], row: int) -> list[list[Bytes]]:
    """Every other run, and the others; of one run, its halves, unless it is of one row."""
    if len(parts) > 1:
        return [parts[0::2], parts[1::2]]
    middle = parts[0].size // 2 // row * row
    return [[parts[0][:middle]], [parts[0][middle:]]] if middle else []


def _extrapolate(done: _Coded) -> None:
    """Add what a sample stands for. If its halves take less than the whole, the statistics differ from row to row, and
    a larger piece will compress worse than it does.
    """
    held, chunk = done.found.get("tables", 0), min(done.span, CHUNK_BYTES_MAX)
    tables = min(done.once, held) if done.once > 0 else 0
    rest = (done.once - tables) * max(0.0, 1 - done.size / chunk) if done.once > 0 else done.once / 2
    others = max(1, _payload(done.found) - held)
    predicted = done.sample.group.predicted
    for key, stored in done.found.items():
        share = tables * (1 - done.size / done.span) if key == "tables" else rest * stored / others
        kept = stored if key == "headers" else max(0, stored - share)
        predicted[key] = predicted.get(key, 0) + kept * done.sample.weight / done.size


def _index_bytes(kind: str, level: str, segments: list[Segment], size: int, stored: int, made: float) -> int:
    """Bytes of the index record: one for spans that all compress alike, but for noise as real ones have. ``made``: the
    part of the bytes that are in made spans, which are smaller.
    """
    index = indexes.Index(size, bytes(range(32)), kind, level)
    for s in segments:
        first = len(index.spans)
        step = span_bytes(DTYPES[s.dtype] if s.dtype else None, s.shape)
        if s.fields or made > 0.5:
            step = PART_BYTES
        for at in range(s.start, s.stop, step):
            held = min(step, s.stop - at)
            chunks = -(-held // CHUNK_BYTES_MAX)
            each = held * stored // size // chunks
            sizes = [each + (len(index.spans) + k) * 40503 % 65536 * each // 6_553_600 for k in range(chunks)]
            index.spans.append(
                indexes.SpanEntry(held, *((sizes[0], []) if chunks == 1 else (1000 + sizes[0] % 512, sizes)))
            )
        if s.is_tensor and s.listed:
            index.tensors.append(indexes.TensorEntry(s.name, s.dtype, s.shape, first, len(index.spans) - first))
    return len(indexes.encode(index)) + records.FRAME_BYTES
