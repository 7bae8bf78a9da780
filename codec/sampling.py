"""Which bytes of a file to code for an estimate of all of them.

Spans are what is coded on its own, so spans are sampled: those of tensors of the same type and shape form a class
(those of small ones together, by type), and some of each class are drawn, a span of twice the bytes twice as easily. Of
a large one a piece is coded, in runs spread evenly over it; where elements have a structure (codec.structure), no more
than a writer codes together. What is drawn stands for an equal part of the bytes of its class.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from codec.dtypes import DTYPES, DType
from codec.encode import span_bytes
from codec.repeats import LEAST
from codec.sources.segment import At, Field, Packed, Segment
from codec.structure import PART_BYTES
from codec.writer import whole_blocks

#: A part of the file to code, and the size up to which all is.
SAMPLED_PART: Final = 20
CODED_WHOLE: Final = 1 << 23

#: Bytes of a piece. Small, so that many are drawn: an fp32 embedding of which some rows hold fp16 values is 1.4 % off
#: with pieces of 1 MiB and 0.1 % with the larger of these; not smaller, for a piece has tables of its own. Opaque bytes
#: differ more from place to place.
_PIECE: Final = 1 << 18
_PIECE_LEAST: Final = 1 << 16
_PIECE_OPAQUE: Final = 1 << 17

#: Bytes in one run of a piece, at least. Rows that lie together are often alike: with the larger runs position
#: embeddings came out 3.6 % too small. Those are for opaque bytes, and for elements with a structure: of them only rows
#: that lie together are coded together, and with the smaller runs a word embedding came out 1 % too large.
_RUN: Final = 1 << 13
_RUN_TOGETHER: Final = 1 << 15

#: Bytes looked at to see whether the elements of a class have a structure, at each of three places.
_LOOK: Final = 1 << 14

#: How many places of a segment are looked at, and bytes at each, to see whether it repeats another; then to be sure.
_PROBES: Final = (5, 32)
_PROBES_MORE: Final = (9, 256)

#: Multiples of it, without their whole parts, are spread evenly however many they are.
_GOLDEN: Final = 0.6180339887


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of one tensor that a writer takes at a time. ``distance``: how far before lies what they are near, or 0."""

    start: int
    size: int
    shape: tuple[int, ...]
    distance: int = 0


@dataclass(slots=True)
class Class:
    """Spans that are alike. ``made``: whether their elements have a structure. ``predicted``: stored bytes by field,
    which grow as samples are coded.
    """

    dtype: DType | None
    fields: tuple[Field, ...]
    packed: Packed | None = None
    spans: list[Span] = field(default_factory=list)
    size: int = 0
    made: bool = False
    predicted: dict[str, float] = field(default_factory=dict)

    def add(self, span: Span) -> None:
        """One more."""
        self.spans.append(span)
        self.size += span.size

    @property
    def block(self) -> int:
        """Bytes of a block, 1 where there are none."""
        return sum(f.size for f in self.fields) or 1


@dataclass(frozen=True, slots=True)
class Sample:
    """Runs of a span that are coded together; they stand for ``weight`` bytes of the class."""

    group: Class
    span: Span
    runs: list[tuple[int, int]]
    weight: float


def classes_of(segments: list[Segment], whole: bool, near: dict[int, int] | None = None) -> list[Class]:
    """The spans of all segments, those of opaque bytes and of each pair of type and shape together; of shapes of which
    a twentieth is less than a piece, those of a type, unless the ``whole`` file is coded. ``near``: how far before lies
    what a segment is near, by where it begins; those are not with others.
    """
    near = near or {}
    found: dict[tuple[object, ...], Class] = {}
    for s in segments:
        dtype = DTYPES[s.dtype] if s.dtype else None
        distance = near.get(s.start, 0)
        group = found.setdefault((s.dtype, s.fields, s.packed, distance > 0, s.shape), Class(dtype, s.fields, s.packed))
        step = whole_blocks(s) if s.fields else span_bytes(dtype, s.shape)
        for at in range(s.start, s.stop, step):
            group.add(Span(at, min(step, s.stop - at), s.shape, distance))
    out: dict[tuple[object, ...], Class] = {}
    for key, group in found.items():
        small = not whole and group.size < SAMPLED_PART * _PIECE_LEAST
        into = out.setdefault(key[:4] if small else key, Class(group.dtype, group.fields, group.packed))
        for span in group.spans:
            into.add(span)
    return [group for group in out.values() if group.size]


def repeated(segments: list[Segment], at: At) -> tuple[set[int], int]:
    """Which segments are likely to repeat an earlier one, by their numbers; and how many bytes were looked at.

    Those that agree in size and in a few bytes are compared in some more: of weights that is sure enough.
    """
    seen: dict[tuple[int, bytes], int] = {}
    found, looked = set[int](), 0

    def probe(s: Segment, count: int, size: int) -> bytes:
        nonlocal looked
        looked += count * size
        return b"".join(at(s.start + (s.size - size) * k // (count - 1), size) for k in range(count))

    for number, s in enumerate(segments):
        if s.size < LEAST:
            continue
        key = probe(s, *_PROBES)
        first = seen.setdefault((s.size, key), number)
        if first != number and key.strip(key[:1]) and probe(s, *_PROBES_MORE) == probe(segments[first], *_PROBES_MORE):
            found.add(number)
    return found, looked


def whole_spans(group: Class) -> Iterator[Sample]:
    """All there is."""
    for span in group.spans:
        yield Sample(group, span, [(span.start, span.size)], span.size)


def looks(group: Class) -> Iterator[tuple[int, int]]:
    """Where to look for a structure, as (offset, size): in large classes, of which that is a small part."""
    if group.dtype is None or group.fields or group.dtype.bits < 16 or group.size < 192 * _LOOK:
        return
    for k in range(3):
        span = group.spans[(2 * k + 1) * len(group.spans) // 6]
        size = min(_LOOK, span.size)
        yield span.start + (span.size - size) * (k + 1) // 4 // 8 * 8, size


def samples_within(classes: list[Class], most: int) -> list[Sample]:
    """Samples of all classes, of ``most`` bytes in all: each class has one at least, so the others have fewer, and if
    that does not do, smaller ones.
    """
    part = 1 / SAMPLED_PART
    for attempt in range(12):
        least = _PIECE_LEAST >> max(0, attempt - 6)
        samples = [sample for group in classes for sample in _samples(group, part, least)]
        size = sum(size << (sample.span.distance > 0) for sample in samples for _, size in sample.runs)
        if size <= max(0, most):
            break
        part *= 0.98 * (max(0, most) / size) ** 0.5
    return samples


def _samples(group: Class, part: float, smallest: int) -> Iterator[Sample]:
    """About ``part`` of the bytes of a class, but one piece at least."""
    budget = int(group.size * part)
    largest = max(span.size for span in group.spans)
    if group.made:
        row = max(_row(span, group) for span in group.spans)
        piece = min(largest, PART_BYTES // row * row or PART_BYTES)
    else:
        least = max(smallest, min(_PIECE_OPAQUE if group.dtype is None else _PIECE, budget // 8))
        piece = min(largest, max(least, budget // len(group.spans)))
    count = max(1, round(budget / piece))
    piece = min(piece, max(smallest, budget // count))
    drawn, end = 0, 0
    for span in group.spans:
        first, end = drawn, end + span.size
        while drawn < count and (2 * drawn + 1) * group.size < 2 * count * end:
            drawn += 1
        # a piece of all that is drawn of a span; but of elements with a structure so many as are coded together
        parts = drawn - first if group.made else min(1, drawn - first)
        for k in range(parts):
            times = (drawn - first) // parts
            yield Sample(group, span, _runs(span, piece * times, group, first + k), group.size * times / count)


def _row(span: Span, group: Class) -> int:
    """Bytes of a row of the tensor, 8 if that is no multiple of 8; of a block, where there are such."""
    if group.fields:
        return span.shape[-1] if span.shape and span.shape[-1] % group.block == 0 else group.block
    if group.dtype is None or len(span.shape) < 2:
        return 8
    bits = group.dtype.bits * math.prod(span.shape[1:])
    return bits // 8 if bits % 64 == 0 and bits else 8


def _runs(span: Span, piece: int, group: Class, number: int) -> list[tuple[int, int]]:
    """A piece of a span, as (offset, size): whole rows, in runs, one in each of as many equal parts of the span. Where
    in them differs by the ``number`` of the sample, or spans that are alike would all be seen at the same places.
    """
    if span.size <= piece:
        return [(span.start, span.size)]
    row = _row(span, group)
    if row * 4 > piece:
        row = math.lcm(8, group.block) if group.fields else 8
    runs = max(1, min(piece // max(_RUN_TOGETHER if group.dtype is None or group.made else _RUN, row), 64))
    if group.dtype is not None and group.dtype.name[0] in "IU" and group.dtype.bits > 16:
        runs = 1  # of a progression
    size = max(row, piece // runs // row * row)
    slack = (span.size - size) // row
    within = (number * _GOLDEN + 0.5) % 1
    return [(span.start + int(slack * (k + within) / runs) * row, size) for k in range(runs)]


def row_of(sample: Sample) -> int:
    """Bytes after a multiple of which a run of a sample may be cut."""
    return _row(sample.span, sample.group)
