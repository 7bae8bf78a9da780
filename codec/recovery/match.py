"""Which record of the index each sound record is, though bytes may have been put in or taken out before it."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codec.container import records
from codec.reader import Source
from codec.recovery.scan import FoundIndex, Records
from codec.recovery.spans import Place, Span, body
from codec.wire import Cursor

#: Distances between where records lie and where the index has them, at most, beside that of the index itself.
_SHIFTS_MAX: Final = 16


class _Expected:
    """The records that an index lists: kind, offset, bytes of each, in order."""

    def __init__(self, found: FoundIndex) -> None:
        kinds, sizes, self.numbers = array("B"), array("q"), array("q")
        for span in found.index.spans:
            kinds.extend([records.SPAN, *[records.CHUNK] * len(span.chunks)])
            sizes.extend([span.record, *span.chunks])
            self.numbers.extend([-1, *range(len(span.chunks))])
        self.kinds: NDArray[np.uint8] = np.array(kinds, np.uint8)
        self.sizes: NDArray[np.int64] = np.array(sizes, np.int64)
        self.offsets = records.HEADER_BYTES + np.cumsum(self.sizes) - self.sizes


def matched(source: Source, index: FoundIndex, found: Records) -> list[Span]:
    """Those spans of the index whose span records are sound, each with those of its chunk records that are.

    A sound record is the one that the index has at its offset, if kind and length are the same. If bytes were put in or
    taken out, it may lie shifted as far as the index is, or as far as a record of which the index has no other of the
    same kind, length and number. What could be two records is none.
    """
    want = _Expected(index)
    where = np.full(want.kinds.size, -1, np.int64)
    owner = np.full(found.kinds.size, -1, np.int64)
    unclear = np.zeros(found.kinds.size, np.bool_)
    shifts = [0, index.offset - index.written_at]
    for shift in dict.fromkeys(shifts):
        _claim(want, found, shift, owner, unclear)
    for shift in _voted(source, want, found, owner):
        _claim(want, found, shift, owner, unclear)
    for k in np.flatnonzero((owner >= 0) & ~unclear).tolist():
        where[owner[k]] = k
    return _spans(index, found, where)


def _claim(want: _Expected, found: Records, shift: int, owner: NDArray[np.int64], unclear: NDArray[np.bool_]) -> None:
    """Name the expected record for each found one that lies ``shift`` bytes from where it should."""
    if not want.kinds.size:
        return
    place = found.offsets - shift
    k = np.minimum(np.searchsorted(want.offsets, place), want.kinds.size - 1)
    same = (want.offsets[k] == place) & (want.kinds[k] == found.kinds) & (want.sizes[k] == found.sizes)
    unclear |= same & (owner >= 0) & (owner != k)
    owner[same] = k[same]


def _voted(source: Source, want: _Expected, found: Records, owner: NDArray[np.int64]) -> list[int]:
    """How far records not claimed yet were shifted, by those of them that cannot be confused with another."""
    loose = np.flatnonzero((owner < 0) & (found.kinds != records.INDEX)).tolist()
    if not loose:
        return []
    keys: dict[tuple[int, int], list[int]] = {}
    for e, key in enumerate(zip(want.sizes.tolist(), want.numbers, strict=True)):
        keys.setdefault(key, []).append(e)
    seen: dict[tuple[int, int], list[int]] = {}
    for f in loose:
        place = (int(found.offsets[f]), int(found.sizes[f]))
        number = _number(source, place) if found.kinds[f] == records.CHUNK else -1
        seen.setdefault((place[1], number), []).append(f)
    votes = Counter(
        int(found.offsets[f[0]] - want.offsets[keys[key][0]])
        for key, f in seen.items()
        if len(f) == 1 and len(keys.get(key, ())) == 1
    )
    return [shift for shift, _ in votes.most_common(_SHIFTS_MAX)]


def _number(source: Source, place: Place) -> int:
    data = body(source, place)
    return Cursor(data, "chunk").varint() if data[0] < 128 else -2


def _spans(index: FoundIndex, found: Records, where: NDArray[np.int64]) -> list[Span]:
    def place(e: int) -> Place | None:
        k = int(where[e])
        return (int(found.offsets[k]), int(found.sizes[k])) if k >= 0 else None

    spans, begin, e = [], 0, 0
    for entry in index.index.spans:
        count, record = len(entry.chunks), place(e)
        if record is not None:
            chunks = {k: at for k in range(count) if (at := place(e + 1 + k)) is not None}
            spans.append(Span(entry.original, record, max(1, count), chunks, begin))
        begin += entry.original
        e += 1 + count
    return spans
