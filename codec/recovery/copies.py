"""Spans that are copies of earlier bytes (FORMAT.md, transforms/6_copy.md), once it is known where those lay."""

from __future__ import annotations

import bisect
from functools import partial

from codec.earlier import CHUNKS_MAX, source_of
from codec.errors import CorruptFileError
from codec.reader import Source
from codec.recovery.spans import Span, decoded, examined, missing
from codec.stages.geometry import Bytes


class Placed:
    """Spans whose place in the original is known, in order of it; more may be added behind them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._spans: list[Span] = []
        self._begins: list[int] = []

    def add(self, span: Span) -> None:
        """Append a span."""
        assert span.begin is not None
        self._spans.append(span)
        self._begins.append(span.begin)

    def fill(self, here: int, distance: int, out: Bytes) -> None:
        """Fill ``out`` (uint8) with the bytes ``distance`` before byte ``here``.

        Raises CorruptFileError if they are not sound, or not those of spans that are no copies.
        """
        name = self._source.name
        begin = source_of(name, True, here, distance, out.size)
        stop = begin + out.size
        first = max(0, bisect.bisect_right(self._begins, begin) - 1)
        last = bisect.bisect_left(self._begins, stop)
        at = begin
        for span in self._spans[first : min(last, first + CHUNKS_MAX)]:
            base = span.begin or 0
            low, high = max(at, base), min(stop, base + span.length)
            if base > at or span.copied:
                break
            if low < high:
                data, sound = decoded(self._source, span, low - base, high - base)
                if missing(sound, low - base, high - base):
                    break
                out[low - begin : high - begin] = data[low - base : high - base]
                at = high
        if at < stop:
            raise CorruptFileError(f"{name}: a copy of bytes that are damaged, from byte {at} on")


def resolve(source: Source, spans: list[Span]) -> None:
    """Examine the copies among spans again, now that ``begin`` of each is known, or that it is not."""
    if not any(span.copied for span in spans):
        return
    placed = Placed(source)
    for span in sorted((s for s in spans if s.begin is not None), key=lambda s: s.begin or 0):
        placed.add(span)
    for span in spans:
        if span.copied and span.begin is not None:
            span.earlier = partial(placed.fill, span.begin)
            examined(source, span)
