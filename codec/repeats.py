"""Bytes that an original had before, so that they are written once (FORMAT.md, transforms/6_copy.md).

Keys only hint at a repeat: every byte of one is compared with the bytes it repeats before it is taken for one.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Final

import numpy as np
from xxhash import xxh3_64_intdigest

from codec.kernels import repeats as kernel
from codec.limits import CHUNK_BYTES_MAX
from codec.sources.segment import At
from codec.stages.geometry import Bytes, read_only

#: Bytes of a tensor that is looked for as a whole, at least: a copy takes as much time as hundreds of small tensors.
LEAST: Final = 4096
#: From this size on, repeats within a tensor are looked for as well.
LARGE: Final = 65_536
#: Bytes of a repeat within a tensor, at least: what it cuts in two needs two sets of tables.
_RUN: Final = 32_768
#: Bytes of the copies of a run, at least, on average: a period of fewer is none for copies.
_PART: Final = 16_384
#: Bytes between keys, of an original of at most 2^20 times as much, and in how many of such blocks one is looked into.
_STEP: Final = 4096
_KEYS: Final = 1 << 20
_WINDOW: Final = 64
#: Keys in a window that turn out to repeat nothing, before the rest of it is left alone.
_FALSE: Final = 4
#: In place of the distance of a span whose bytes cannot be copied.
_HIDDEN: Final = -1
#: Bytes compared at a time.
_COMPARED: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Cut:
    """Bytes first..stop of a piece; ``distance`` to where they were before, 0 for those that are new."""

    first: int
    stop: int
    distance: int


class Repeats:
    """What was seen of an original, front to back. ``at``: gives its bytes; ``size`` of all of it."""

    def __init__(self, at: At, size: int) -> None:
        self._at = at
        self._step = _STEP
        while self._step * _KEYS < size:
            self._step *= 2
        self._keys, self._places = np.zeros(1 << 12, np.uint64), np.zeros(1 << 12, np.int64)
        self._bloom = np.zeros(1 << 9, np.uint64)
        self._found = np.zeros(4, np.int64)
        self._count = 0
        self._whole: dict[tuple[int, int], int] = {}
        #: Where spans begin in the original, and for those that are copies how far back.
        self._starts: list[int] = []
        self._distances: list[int] = []

    def cuts(self, data: Bytes, begin: int, unit: int) -> list[Cut]:
        """How to cut the next piece, which lies at ``begin``, into what is new and what is not.

        ``unit``: bytes that are not cut apart.
        """
        size = data.size
        found: list[Cut] = []
        if size >= LARGE:
            found = self._search(data, begin, unit)
        elif size >= LEAST:
            found = self._look_up(data, begin)
        at = found[-1].stop if found else 0
        if at < size:
            found.append(self._cut(begin, at, size, 0))
        return found

    def hide(self, cuts: list[Cut]) -> None:
        """The last piece was cut so; what is new in it may be written as a delta, of which there are no copies."""
        for k, cut in enumerate(cuts, len(self._starts) - len(cuts)):
            if not cut.distance:
                self._distances[k] = _HIDDEN

    def _look_up(self, data: Bytes, begin: int) -> list[Cut]:
        """A piece that is too small to be searched: the whole of it, if it was there before as a whole."""
        if data[0] == data[-1] and (data[1:] == data[:-1]).all():
            return []  # planes code it as well
        key = xxh3_64_intdigest(data.data), data.size
        place = self._whole.setdefault(key, begin)
        if place == begin or self._distances[bisect.bisect_right(self._starts, place) - 1] == _HIDDEN:
            return []
        if self._alike(data, place) < data.size:
            return []
        return [self._cut(begin, 0, data.size, begin - place)]

    def _search(self, data: Bytes, begin: int, unit: int) -> list[Cut]:
        """A large piece: what of it was there before, wherever."""
        self._reserve(data.size // self._step + 1)
        held, window = read_only(data), self._step * _WINDOW
        found: list[Cut] = []
        at, done, quiet, wrong = 0, 0, 0, 0
        scan, answer = kernel.scan, self._found
        while scan(
            held, at, quiet, begin, self._step, window, self._keys, self._places, self._bloom, self._count, answer
        ):
            offset, place, at, self._count = answer.tolist()
            first, stop = self._extent(data, done, offset, place)
            first, stop = -(-first // unit) * unit, stop if stop == data.size else stop // unit * unit
            whole = (first, stop) == (0, data.size)
            cuts = self._resolved(begin, done, first, stop, begin + offset - place, LEAST if whole else _RUN, unit)
            if cuts:
                found += cuts
                done = cuts[-1].stop
                at = max(at, -(-done // self._step) * self._step)
                continue
            wrong += 1
            if wrong == _FALSE:
                wrong, quiet = 0, (offset // window + 1) * window
        self._count = int(answer[kernel.COUNT])
        return found

    def _reserve(self, more: int) -> None:
        """Room for so many keys, of which there are 2^20 at most."""
        size = self._keys.size
        while size < 2 * (self._count + more) and size < 2 * _KEYS:
            size *= 2
        if size > self._keys.size:
            keys, places = np.zeros(size, np.uint64), np.zeros(size, np.int64)
            bloom = np.zeros(size // 8, np.uint64)
            kernel.grow(self._keys, self._places, keys, places, bloom)
            self._keys, self._places, self._bloom = keys, places, bloom

    def _alike(self, data: Bytes, place: int) -> int:
        """How many bytes from the front of ``data`` are those of the original from ``place`` on."""
        at, size = 0, 256  # most that are no repeat end soon
        while at < data.size:
            theirs = np.frombuffer(self._at(place + at, min(size, data.size - at)), np.uint8)
            same = data[at : at + theirs.size] == theirs
            if not theirs.size or not same.all():
                return at + int(np.argmin(same)) if theirs.size else at
            at, size = at + theirs.size, min(8 * size, _COMPARED)
        return at

    def _extent(self, data: Bytes, done: int, offset: int, place: int) -> tuple[int, int]:
        """Bytes of the piece around ``offset``, behind ``done``, that are those around ``place``."""
        stop = offset + self._alike(data[offset:], place)
        if stop < offset + kernel.KEY:
            return offset, offset
        first = offset
        while first > done and place - (offset - first) > 0:
            size = min(_COMPARED, first - done, place - (offset - first))
            theirs = np.frombuffer(self._at(place - (offset - first) - size, size), np.uint8)
            ours = data[first - size : first]
            same = ours == theirs if theirs.size == size else np.zeros(size, bool)
            if not same.all():
                return first - int(np.argmin(same[::-1])), stop
            first -= size
        return first, stop

    def _resolved(
        self, begin: int, done: int, first: int, stop: int, distance: int, least: int, unit: int
    ) -> list[Cut]:
        """Cuts of a piece for its bytes first..stop, which are those ``distance`` before: what is new behind ``done``,
        and copies of bytes in one span each, which is no copy. Empty if less than ``least`` would be.
        """
        out: list[Cut] = []
        known = len(self._starts)
        at, new, copied, copies = first, done, 0, 0
        while stop - first >= least and at < stop:
            far, size = self._source(begin + at, distance, min(CHUNK_BYTES_MAX, stop - at), begin + new)
            if at + size < stop:
                size = size // unit * unit
            if not size:
                at += -(-LEAST // unit) * unit
                continue
            if size >= LEAST or (at + size == stop and new == at):
                if at > new:
                    out.append(self._cut(begin, new, at, 0))
                out.append(self._cut(begin, at, at + size, far))
                new, copied, copies = at + size, copied + size, copies + 1
            at += size
        if copied < copies * _PART and not (least == LEAST and copies == 1):
            del self._starts[known:], self._distances[known:]
            return []
        return out

    def _source(self, here: int, distance: int, size: int, new: int) -> tuple[int, int]:
        """How far before ``here`` bytes are that were not copied, and how many of them, which also lie ``distance``
        before. From ``new`` on, what comes before ``here`` is going to be a span.
        """
        place, limit = here - distance, here
        while place < new:
            k = bisect.bisect_right(self._starts, place) - 1
            end = self._starts[k + 1] if k + 1 < len(self._starts) else new
            size, limit = min(size, end - place), end
            if not self._distances[k]:
                break
            if self._distances[k] == _HIDDEN:
                return here - place, 0
            place -= self._distances[k]
        return here - place, min(size, max(limit, here) - place, here - place)

    def _cut(self, begin: int, first: int, stop: int, distance: int) -> Cut:
        self._starts.append(begin + first)
        self._distances.append(distance)
        return Cut(first, stop, distance)
