"""Where the spans of a file without an index lie in the original: by what follows what, and by a safetensors header."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codec.container import records
from codec.dtypes import DTYPES
from codec.reader import Source
from codec.recovery.scan import index_begins, shift_of_end
from codec.recovery.spans import Span, decoded
from codec.sources import Segment
from codec.sources.safetensors import NotSafetensorsError, parse

#: Spans compared with a header, at most: it bounds the time for runs that fit nearly everywhere.
_COMPARED_MAX: Final = 1 << 22


def placed(source: Source, spans: list[Span]) -> tuple[list[Segment] | None, int | None]:
    """Give spans their places in the original. Returns (segments of its safetensors header, bytes in the original).

    Spans without anything between them are a run, and so are those with lost ones between them, if a header agrees with
    what those say of themselves. The place of a run is known if it is the first and begins where the first record does
    or with a safetensors header; if it is the last, ends where the index begins, and a header says where the original
    ends; and else if, between those that are placed already, it fits the tensors of the header (each of its spans
    within one tensor and of its element type) in a single way, and if no run has a record of another. A run that
    contradicts the header has no place.
    """
    runs = _runs(spans, with_lost=True)
    whole = bool(runs) and runs[-1][-1].end is not None and index_begins(source, runs[-1][-1].end)
    segments = _segments(source, runs[0]) if runs else None
    if segments is None:
        runs = _runs(spans, with_lost=False)
        if not runs:
            return None, 0 if index_begins(source, records.HEADER_BYTES) else None
        first = runs[0][0].record
        if first is not None and first[0] == records.HEADER_BYTES and not _is_less(source, runs):
            _put(runs[0], 0)
        return None, _size(runs[0]) if whole and len(runs) == 1 and runs[0][0].begin == 0 else None
    header = _Header(segments)
    removed = _is_less(source, runs)
    if not header.fits(runs[0], 0):
        runs = _runs(spans, with_lost=False)
    if len(runs) == 1:
        size = _size(runs[0])
        if header.fits(runs[0], 0) and not (whole and size < header.end) and not removed:
            _put(runs[0], 0)
            return segments, max(size, header.end) if whole or size <= header.end else None
        _put(_front(runs[0], segments[0].stop), 0)
        return segments, header.end if removed or not whole else None
    if any(span.dtype == 0 for run in runs[1:] for span in run):
        # bytes of no tensor behind the header: the original did not end where its header says
        _put(runs[0] if header.fits(runs[0], 0) else _front(runs[0], segments[0].stop), 0)
        return segments, None
    _place_runs(header, runs, whole, _repeat(source, runs))
    return segments, header.end


def _is_less(source: Source, runs: list[list[Span]]) -> bool:
    """Whether something was taken out though no gap shows: a single run, and the trailer knows that there was more."""
    first, shift = runs[0][0].record, shift_of_end(source)
    return len(runs) == 1 and shift is not None and first is not None and shift != first[0] - records.HEADER_BYTES


def _repeat(source: Source, runs: list[list[Span]]) -> bool:
    """Whether a record of a run is in another, too: part of the file may have been written twice."""
    seen: set[bytes] = set()
    for run in runs:
        places = [span.record for span in run if span.record is not None]
        checks = {bytes(source.read_at(at + size - 8, 8)) for at, size in places}
        if not seen.isdisjoint(checks):
            return True
        seen |= checks
    return False


def _place_runs(header: _Header, runs: list[list[Span]], whole: bool, repeat: bool) -> None:
    """The first and the last by their ends, the others between them if there is an order among the runs."""
    known: list[int | None] = [None] * len(runs)
    sizes = [_size(run) for run in runs]
    if header.fits(runs[0], 0):
        known[0] = 0
    else:
        _put(_front(runs[0], header.segments[0].stop), 0)
    if whole and header.fits(runs[-1], header.end - sizes[-1]):
        known[-1] = header.end - sizes[-1]
    budget = _COMPARED_MAX
    changed = not repeat
    while changed:
        changed = False
        highest, after = _highest(header.end, known, sizes), 0
        for k, run in enumerate(runs):
            at = known[k]
            if at is None and (k or known[0] == 0):
                at, cost = header.only_place(run, after, highest[k])
                budget -= cost
                known[k] = at if budget >= 0 else None
                changed |= known[k] is not None
            after = (after if known[k] is None else at or 0) + sizes[k]
    end = 0 if known[0] == 0 else header.segments[0].stop
    for run, at, size in zip(runs, known, sizes, strict=True):
        if at is not None and at >= end:
            _put(run, at)
            end = at + size


def _highest(end: int, known: list[int | None], sizes: list[int]) -> list[int]:
    """Where each run begins at the latest, for those behind it to find room."""
    out = []
    for at, size in zip(reversed(known), reversed(sizes), strict=True):
        end = end - size if at is None else at
        out.append(end)
    return out[::-1]


class _Header:
    """The segments of a safetensors header, to compare runs of spans with."""

    def __init__(self, segments: list[Segment]) -> None:
        self.segments = [s for s in segments if s.size]
        self.starts = [s.start for s in self.segments]
        self.end = self.segments[-1].stop
        self.bounds = [*self.starts, self.end]
        self.types = np.array([DTYPES[s.dtype].code if s.dtype else 0 for s in self.segments])

    def fits(self, run: list[Span], at: int) -> bool:
        """Whether each span of a run that begins at ``at`` lies within one segment and is of its type."""
        return at >= 0 and self._compared(run, at) == len(run)

    def _compared(self, run: list[Span], at: int) -> int:
        """How many spans fit, up to the first that does not."""
        k = bisect.bisect_right(self.starts, at) - 1
        for count, span in enumerate(run):
            while k + 1 < len(self.starts) and self.starts[k + 1] <= at:
                k += 1
            s = self.segments[k]
            inside = at + span.length <= s.stop and span.dtype == (DTYPES[s.dtype].code if s.dtype else 0)
            if span.record is None and span.parts == 1:  # all that is known of it is its length, if it is right
                inside = inside and at + span.length == s.stop
            if not inside and not (at >= self.end and span.dtype == 0):
                return count
            at += span.length
        return len(run)

    def only_place(self, run: list[Span], lowest: int, highest: int) -> tuple[int | None, int]:
        """(the one place from lowest to highest where a run fits, None if there are several or none; spans compared).

        If a segment begins where the run lies wherever it is put, one of its spans begins there: few places are left.
        And where two of its spans are of different types, a segment begins.
        """
        if lowest == highest:
            return (lowest if self.fits(run, lowest) else None), len(run)
        size = _size(run)
        k = bisect.bisect_left(self.bounds, highest)
        if lowest > highest:
            return None, len(run)
        begins = np.concatenate([[0], np.cumsum([span.length for span in run])])
        if k < len(self.bounds) and self.bounds[k] <= lowest + size:
            places = self.bounds[k] - begins
        else:
            places = self._where_types_change(run, begins)
        places = places[(places >= lowest) & (places <= highest)]
        fitting, cost = [], len(run)
        for at in places.tolist():
            count = self._compared(run, at)
            cost += count + 1
            if cost > _COMPARED_MAX:
                return None, cost
            if count == len(run):
                fitting.append(at)
        return (fitting[0] if len(fitting) == 1 else None), cost

    def _where_types_change(self, run: list[Span], begins: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the run would begin to have its first change of type where the header has that one."""
        for k, (a, b) in enumerate(itertools.pairwise(run), 1):
            if a.dtype != b.dtype:
                same = (self.types[:-1] == a.dtype) & (self.types[1:] == b.dtype)
                places: NDArray[np.int64] = np.array(self.starts[1:], np.int64)[same] - begins[k]
                return places
        return begins[:0]


def _runs(spans: list[Span], with_lost: bool) -> list[list[Span]]:
    runs: list[list[Span]] = []
    follows = False
    for span in spans:
        if span.record is None and not with_lost:
            follows = False
            continue
        if span.joined and follows:
            runs[-1].append(span)
        else:
            runs.append([span])
        follows = True
    return runs


def _size(run: Iterable[Span]) -> int:
    return sum(span.length for span in run)


def _put(run: list[Span], at: int) -> None:
    for span in run:
        span.begin = at
        at += span.length


def _front(run: list[Span], stop: int) -> list[Span]:
    """The spans that hold the header itself."""
    out, at = [], 0
    for span in run:
        if at >= stop:
            break
        out.append(span)
        at += span.length
    return out


def _segments(source: Source, run: list[Span]) -> list[Segment] | None:
    """What the safetensors header says with which the run begins; None if there is none."""
    try:
        return parse(lambda size: front_bytes(source, run, size), None)
    except NotSafetensorsError:
        return None


def front_bytes(source: Source, run: Iterable[Span], size: int) -> bytes:
    """The first bytes of spans that follow each other, as far as they are sound: ``size`` of them, or fewer."""
    out = bytearray()
    for span in run:
        data, ranges = decoded(source, span)
        whole = ranges == [(0, span.length)]
        if ranges and ranges[0][0] == 0:
            out += data.data[: min(ranges[0][1], size - len(out))]
        if len(out) >= size or not whole:
            break
    return bytes(out)
