"""Find every sound record of a file, wherever it lies (FORMAT.md, section 3), and the index among them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from codec.container import index as indexes
from codec.container import records
from codec.errors import CodecError
from codec.limits import INDEX_STORED_MAX, RECORD_BODY_MAX
from codec.reader import Source
from codec.report import Progress

#: Bytes hashed at places that only looked like a record, for each byte of the file and besides, at most; each such
#: place counts as some more bytes. Noise costs less than one byte for each byte of it.
WORK_PER_BYTE: Final = 8
WORK_BESIDES: Final = 1 << 26
WORK_PER_PLACE: Final = 256

#: No body is shorter.
_BODY_MIN: Final = 6
_BLOCK: Final = 1 << 20
#: Sound index records that are looked into: each may take as long as a large file.
_INDEXES_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Records:
    """The sound records of a file, in order: kind, offset, bytes in all. ``given_up``: where the search ended early."""

    kinds: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    given_up: int | None


@dataclass(frozen=True, slots=True)
class FoundIndex:
    """A sound index record: where it lies, where it lay in the file as written, and whether a trailer follows."""

    index: indexes.Index
    offset: int
    written_at: int
    trailer: bool


class _Ahead:
    """A source that reads ahead, for one thread that goes forward."""

    def __init__(self, source: Source) -> None:
        self.name, self.size, self._source = source.name, source.size, source
        self._at, self._held = 0, memoryview(b"")

    def read_at(self, offset: int, size: int) -> memoryview:
        """See codec.reader.Source."""
        if not self._at <= offset or offset + size > self._at + len(self._held):
            self._held = self._source.read_at(offset, min(max(size, _BLOCK), self.size - offset))
            self._at = offset
        return self._held[offset - self._at :][:size]


def scan(source: Source, progress: Progress | None = None) -> Records:
    """Every record whose check agrees, in order of offset and without overlap.

    Record follows record where nothing is damaged. Where none follows, each byte is tried: a kind, a length that fits,
    and the check, which agrees by chance about never. Time is linear in the size of the file even if it was made to
    look like records everywhere: after 8 bytes hashed in vain for each byte of the file (and 64 MiB), a failed place
    counting 256 bytes more, the search ends.
    """
    ahead, size = _Ahead(source), source.size
    kinds, offsets, sizes = array("B"), array("q"), array("q")
    at, told, given_up = records.HEADER_BYTES, 0, None
    left = WORK_PER_BYTE * size + WORK_BESIDES
    while at < size:
        length, cost = _sound(ahead, at)
        if not length:
            # without a first record in its place, bytes before it may be missing
            at, length, left = _search(ahead, source, at + 1 if kinds else 0, left - cost)
            if not length:
                given_up = at if left < 0 else None
                break
        kinds.append(ahead.read_at(at, 1)[0])
        offsets.append(at)
        sizes.append(length)
        at += length
        if progress is not None and at - told >= _BLOCK:
            progress(at, size)
            told = at
    # numpy may not keep what the arrays hold from growing
    return Records(np.array(kinds, np.uint8), np.array(offsets, np.int64), np.array(sizes, np.int64), given_up)


def _search(ahead: _Ahead, source: Source, start: int, left: int) -> tuple[int, int, int]:
    """(offset, bytes) of the first sound record from ``start`` on, and what is ``left`` of the work. Bytes: 0 if there
    is none, or if no work is left where the offset says.
    """
    for at in _candidates(ahead, start):
        length, cost = 0, 0
        if ahead.read_at(at, 1)[0] != records.INDEX or _before_end(source, at):
            length, cost = _sound(ahead, at)
        if length:
            return at, length, left
        left -= cost + WORK_PER_PLACE
        if left < 0:
            return at, 0, left
    return source.size, 0, left


def sound_record(source: Source, at: int) -> bool:
    """Whether a record whose check agrees lies at an offset."""
    return _sound(source, at)[0] > 0


def _sound(source: Source, at: int) -> tuple[int, int]:
    """(bytes of the record that lies here, 0 if none does; bytes hashed)."""
    if at + records.FRAME_BYTES + _BODY_MIN > source.size:
        return 0, 0
    head = source.read_at(at, records.HEAD_BYTES)
    kind, body = head[0], int.from_bytes(head[1:], "little")
    most = INDEX_STORED_MAX if kind == records.INDEX else RECORD_BODY_MAX
    size = body + records.FRAME_BYTES
    if not records.SPAN <= kind <= records.INDEX or not _BODY_MIN <= body <= most or at + size > source.size:
        return 0, 0
    data = source.read_at(at, size)
    return (size if xxh3_64_intdigest(data[:-8]) == int.from_bytes(data[-8:], "little") else 0), size


def _candidates(source: Source, at: int) -> Iterator[int]:
    """Offsets from ``at`` on where kind and length would do."""
    block = 1 << 12  # larger and larger, for usually the next record is near
    while at + records.FRAME_BYTES + _BODY_MIN <= source.size:
        data = np.frombuffer(source.read_at(at, min(block + 5, source.size - at)), np.uint8)
        kinds = data[:-5]
        places = np.flatnonzero((kinds >= records.SPAN) & (kinds <= records.INDEX))
        length = np.zeros(places.size, np.int64)
        for k in range(4):
            length |= data[places + (1 + k)].astype(np.int64) << (8 * k)
        ends = length + (places + at + records.FRAME_BYTES)
        is_index = kinds[places] == records.INDEX
        fits = np.where(is_index, data[places + 5] <= 1, length <= RECORD_BODY_MAX)
        fits &= (length >= _BODY_MIN) & (length <= INDEX_STORED_MAX) & (ends <= source.size)
        yield from (places[fits] + at).tolist()
        at += kinds.size
        block = min(4 * block, _BLOCK - 5)


def _before_end(source: Source, at: int) -> bool:
    """Whether a record here would lie where an index can: before a trailer, or at the end of a file cut off."""
    end = at + records.FRAME_BYTES + int.from_bytes(source.read_at(at + 1, 4), "little")
    if end >= source.size - records.TRAILER_BYTES:
        return end <= source.size
    return bytes(source.read_at(end + 24, 8)) == records.END_MAGIC


def find_index(source: Source, found: Records) -> FoundIndex | None:
    """The last index that can be read. Where it was written tells its trailer, or else its place."""
    for k in np.flatnonzero(found.kinds == records.INDEX)[: -_INDEXES_MAX - 1 : -1].tolist():
        index = _index(source, int(found.offsets[k]), int(found.sizes[k]))
        if index is not None:
            return index
    return None


def index_at_end(source: Source) -> indexes.Index | None:
    """The index before the trailer with which the file ends, wherever that says that it lies."""
    told = _trailer(source, source.size - records.TRAILER_BYTES)
    if told is None:
        return None
    at = source.size - records.TRAILER_BYTES - told[1]
    if at < 0 or _sound(source, at)[0] != told[1]:
        return None
    found = _index(source, at, told[1])
    return found.index if found is not None else None


def _index(source: Source, at: int, size: int) -> FoundIndex | None:
    """The index in a sound record, if it can be read."""
    body = source.read_at(at, size)[records.HEAD_BYTES : -8]
    told = _trailer(source, at + size)
    follows = told is not None and told[1] == size
    written_at = told[0] if told is not None and follows else at
    # an index may list records that are gone, but not more of them than the memory of a file so large allows
    if not records.HEADER_BYTES <= written_at <= 2 * source.size + (1 << 12):
        return None
    try:
        index = indexes.decode(body, source.name, written_at - records.HEADER_BYTES)
    except CodecError:
        return None
    return FoundIndex(index, at, written_at, follows)


def index_begins(source: Source, at: int) -> bool:
    """Whether the index record, damaged as it is, began at ``at``: by the trailer, or by its kind and length."""
    told = _trailer(source, source.size - records.TRAILER_BYTES)
    if told is not None:
        return at == source.size - records.TRAILER_BYTES - told[1]
    if at + records.HEAD_BYTES + 1 > source.size:
        return False
    head = source.read_at(at, records.HEAD_BYTES + 1)
    length = int.from_bytes(head[1:5], "little")
    end = at + length + records.FRAME_BYTES
    alike = head[0] == records.INDEX and head[5] <= 1 and _BODY_MIN <= length <= INDEX_STORED_MAX
    return alike and end >= source.size - records.TRAILER_BYTES


def shift_of_end(source: Source) -> int | None:
    """How far the index lies from where it was written, by the trailer; None if there is none."""
    told = _trailer(source, source.size - records.TRAILER_BYTES)
    return source.size - records.TRAILER_BYTES - told[1] - told[0] if told is not None else None


def _trailer(source: Source, at: int) -> tuple[int, int] | None:
    """(position, length) of the index by the trailer at an offset, if its check agrees."""
    if at < 0 or at + records.TRAILER_BYTES > source.size:
        return None
    data = bytes(source.read_at(at, records.TRAILER_BYTES))
    if data[24:] != records.END_MAGIC or int.from_bytes(data[16:24], "little") != xxh3_64_intdigest(data[:16]):
        return None
    return int.from_bytes(data[:8], "little"), int.from_bytes(data[8:16], "little")
