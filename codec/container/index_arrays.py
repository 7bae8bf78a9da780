"""The numbers of an index all at once: an index of thousands of tensors took a quarter of the time of decoding them.

Whatever is not as it should be, or rare, is left to the careful way (codec.container.index), which says what is wrong.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.container.records import FRAME_BYTES
from codec.dtypes import BY_CODE
from codec.limits import (
    CHUNK_BYTES_MAX,
    DIMENSIONS_MAX,
    EMPTY_TENSORS_MAX,
    NAME_BYTES_MAX,
    RECORD_BODY_MAX,
    SPAN_BYTES_MAX,
    TENSORS_MAX,
)

Numbers = NDArray[np.int64]
#: Bytes of the longest number that is read here.
_LONGEST = 5


#: The columns of spans: original bytes, bytes of the record, and of each chunk record.
SpanColumns = tuple[list[int], list[int], list[list[int]]]
#: The columns of tensors: name, type, shape, first span, spans.
TensorColumns = tuple[list[str], list[str], list[tuple[int, ...]], list[int], list[int]]


class _OtherError(Exception):
    """This is for the careful way."""


def _need(holds: Any) -> None:
    if not holds:
        raise _OtherError


class _Stream:
    """Bytes as numbers: those that end with a byte below 128, which text of ASCII does, too, with each of its letters.

    ``value`` int64: -1 for those that are longer than five bytes or misspelt. ``begin`` int64: where each begins.
    """

    def __init__(self, data: NDArray[np.uint8]) -> None:
        last = np.flatnonzero(data < 128)
        _need(last.size and last[-1] == data.size - 1)
        self.begin: Numbers = np.concatenate((np.zeros(1, np.int64), last[:-1] + 1))
        self.length = last - self.begin + 1
        self.value = (data[self.begin] & 127).astype(np.int64)
        longer = np.flatnonzero(self.length > 1)
        wrong = longer[(data[last[longer]] == 0) | (self.length[longer] > _LONGEST)]
        for k in range(1, _LONGEST):
            self.value[longer] |= (data[self.begin[longer] + k] & 127).astype(np.int64) << 7 * k
            longer = longer[self.length[longer] > k + 1]
        self.value[wrong] = -1


def read(
    data: bytes | memoryview, at: int, original: int, room: int | None
) -> tuple[SpanColumns, TensorColumns] | None:
    """What codec.container.index makes spans and tensors of, from byte ``at`` of an index on; None if that is for the
    careful way. It works in 40 times the bytes of the index.

    ``original``: bytes that the spans hold. ``room``: see codec.container.index.decode.
    """
    whole = np.frombuffer(data, np.uint8)[at:]
    try:
        stream = _Stream(whole)
        spans, starts, used = _spans(stream.value, original, room)
        return spans, _tensors(whole, stream, used, starts)
    except (_OtherError, IndexError):
        return None


def _spans(value: Numbers, original: int, room: int | None) -> tuple[SpanColumns, Numbers, int]:
    """(spans, where each begins in the original and the last ends, numbers that they take)."""
    count = int(value[0])
    _need(0 <= 3 * count < value.size)
    rows: Numbers = np.arange(1, 1 + 3 * count, 3)
    if value[rows + 2].any():
        places, numbers, at = [], memoryview(value), 1  # type: ignore[arg-type]
        for _ in range(count):
            places.append(at)
            _need(numbers[at + 2] >= 0)
            at += 3 + numbers[at + 2]
        rows = np.array(places, np.int64)
    held, records, chunks = value[rows], value[rows + 1], value[rows + 2]
    used = 1 + 3 * count + int(chunks.sum())
    _need(used < value.size)
    most = RECORD_BODY_MAX + FRAME_BYTES
    stored = np.delete(value[1:used], np.concatenate((rows, rows + 1, rows + 2)) - 1)
    _need((held > 0).all() and (held <= SPAN_BYTES_MAX).all() and (chunks != 1).all())
    _need((held <= np.maximum(chunks, 1) * CHUNK_BYTES_MAX + 7).all())
    for sizes in (records, stored):
        _need((sizes > FRAME_BYTES).all() and (sizes <= most).all())
    _need(int(held.sum()) == original)
    _need(room is None or int(records.sum()) + int(stored.sum()) == room)
    ends = np.concatenate((np.zeros(1, np.int64), np.cumsum(chunks))).tolist()
    every = stored.tolist()
    lists = [every[a:b] for a, b in pairwise(ends)]
    return (held.tolist(), records.tolist(), lists), np.concatenate((np.zeros(1, np.int64), np.cumsum(held))), used


def _tensors(data: NDArray[np.uint8], stream: _Stream, used: int, starts: Numbers) -> TensorColumns:
    """Tensors, from number ``used`` on to the end."""
    value, spans = stream.value, starts.size - 1
    count = int(value[used])
    _need(0 <= count <= min(TENSORS_MAX, spans + EMPTY_TENSORS_MAX, value.size))
    places, numbers, at = [], memoryview(value), used + 1  # type: ignore[arg-type]
    for _ in range(count):
        places.append(at)
        size = numbers[at]
        _need(0 <= size <= NAME_BYTES_MAX)
        dimensions = numbers[at + size + 2]
        _need(0 <= dimensions <= DIMENSIONS_MAX)
        at += size + dimensions + 5
    _need(at == value.size)
    if not count:
        return [], [], [], [], []
    rows = np.array(places, np.int64)
    sizes, name = value[rows], stream.begin[rows + 1]
    code = rows + sizes + 1
    # a name is ASCII if each of its letters is a number of one byte, and so are its type and its dimensions' number
    _need((stream.begin[code + 1] == name + sizes + 1).all())
    kinds = [BY_CODE.get(k) for k in range(128)]
    known = np.array([0 if kind is None else kind.bits for kind in kinds], np.int64)
    bits, dimensions = known[value[code]], value[code + 1]
    _need((bits > 0).all())
    shapes: list[tuple[int, ...]] = [()] * count
    elements = np.ones(count)
    for n in np.unique(dimensions).tolist():
        mine = np.flatnonzero(dimensions == n)
        dims = value[code[mine, None] + 2 + np.arange(n)]
        _need((dims >= 0).all())
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number is not below the bound either
            elements[mine] = dims.prod(axis=1, dtype=np.float64)
        for k, shape in zip(mine.tolist(), map(tuple, dims.tolist()), strict=True):
            shapes[k] = shape
    first, held = value[code + 2 + dimensions], value[code + 3 + dimensions]
    _need((elements < 1 << 44).all())  # the product is exact
    _need((first >= 0).all() and (held >= 0).all() and (first + held <= spans).all())
    _need((first[1:] >= first[:-1] + held[:-1]).all())
    _need(((starts[first + held] - starts[first]) * 8 == elements.astype(np.int64) * bits).all())
    letters = data.tobytes().decode("latin-1")
    names = [letters[a:b] for a, b in zip(name.tolist(), (name + sizes).tolist(), strict=True)]
    _need(len(set(names)) == count)
    types = [kinds[k].name for k in value[code].tolist()]
    return names, types, shapes, first.tolist(), held.tolist()
