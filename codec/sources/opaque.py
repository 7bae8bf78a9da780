"""Any file at all: one run of bytes about which nothing is known."""

from __future__ import annotations

from codec.sources.segment import Segment


def parse(size: int | None) -> list[Segment]:
    """The whole original as one opaque segment, or no segment where there is nothing to name.

    Bytes that no segment covers are opaque too, so an empty list is right for an original of unknown
    length (``size`` None) and for an empty one.

    >>> [(s.start, s.stop, s.dtype) for s in parse(10)]
    [(0, 10, '')]
    >>> parse(None), parse(0)
    ([], [])
    """
    return [Segment(0, size)] if size else []
