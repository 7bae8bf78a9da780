"""Tensors that lie near earlier ones of an original, so that their difference is written (transforms/11_delta.md).

A target network beside the network that it follows, moving averages beside the weights, one checkpoint beside the next:
they agree in type and shape, and elements in sign and exponent. What is found here is only likely: codec.structure
compares what it takes with what the elements take by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from codec.dtypes import DTYPES, DType
from codec.sources.segment import At
from codec.stages.delta import Delta
from codec.stages.geometry import Bytes
from codec.stages.layout import UINT

#: Bytes of a tensor, at least.
LEAST: Final = 4096
#: Floats whose bits are one number of sign and magnitude.
_TYPES: Final = frozenset({"F16", "BF16", "F32", "F64"})
#: Elements of a tensor that are remembered, in how many runs, spread over so many bytes at its front.
_SIGNS: Final = 64
_RUNS: Final = 8
_FRONT: Final = 1 << 20
#: Of them have sign and exponent of another's: so many at least. (Of independent ones some 15.)
_ALIKE: Final = 44
#: Tensors of one type and shape that are remembered, the latest.
_KEPT: Final = 64
#: Elements of a piece that are compared, in so many runs; bits of a difference less than those of an element, on
#: average, for it to be worth coding, beside the bits of a float that say nothing: sign and mantissa.
_COMPARED: Final = 1024
_COMPARED_RUNS: Final = 4
_WORTH: Final = 2


@dataclass(slots=True)
class _Kind:
    """Tensors of one type and shape: where they begin, and signs and exponents of some of their elements."""

    begins: list[int] = field(default_factory=list)
    signs: list[NDArray[np.unsignedinteger]] = field(default_factory=list)


def _may_be(dtype: DType | None, size: int) -> bool:
    return dtype is not None and dtype.name in _TYPES and size >= LEAST


def _spread(size: int, width: int, elements: int, runs: int) -> list[int]:
    """Where ``runs`` runs of so many elements in all begin, in ``size`` bytes."""
    each = elements // runs * width
    if size < each * runs:
        return [0]
    return [(size - each) * k // (runs - 1) // width * width for k in range(runs)]


def places(size: int, dtype: DType) -> tuple[list[int], int]:
    """Where the runs begin whose signs are remembered, in a tensor of ``size`` bytes; bytes of each."""
    width = dtype.bits // 8
    return _spread(min(size, _FRONT), width, _SIGNS, _RUNS), _SIGNS // _RUNS * width


class Relatives:
    """What was seen of an original, front to back. ``at``: gives its bytes."""

    def __init__(self, at: At) -> None:
        self._at = at
        self._kinds: dict[tuple[int, tuple[int, ...]], _Kind] = {}
        self._tensor: Any = None
        self._begin, self._base = 0, -1
        self._signs: NDArray[np.unsignedinteger] | None = None

    def look(self, tensor: Any, data: Bytes, dtype: DType | None, shape: tuple[int, ...], begin: int) -> int:
        """Where in the original bytes lie that those of a piece are probably near; -1 if there are none.

        ``tensor``: whose piece it is, pieces of one in order; ``begin``: where the piece lies.
        """
        if tensor is not self._tensor:
            self._tensor, self._begin, self._base, self._signs = tensor, begin, -1, None
            if _may_be(dtype, data.size) and dtype is not None:
                starts, size = places(data.size, dtype)
                self.begin(begin, np.concatenate([data[a : a + size] for a in starts]), dtype, shape)
        if self._base < 0 or dtype is None:
            return -1
        place = self._base + begin - self._begin
        if not self._worth(data, dtype, place):
            return -1
        self._signs = None  # what is near this one is near the other, too
        return place

    def begin(self, begin: int, some: Bytes, dtype: DType, shape: tuple[int, ...]) -> int:
        """A tensor begins here, whose bytes at its ``places`` are these. Where the one begins that it is nearest to, or
        -1.
        """
        self._begin, self._signs = begin, _signs(some, dtype)
        self._base = self._nearest(dtype, shape)
        return self._base

    def _nearest(self, dtype: DType, shape: tuple[int, ...]) -> int:
        """Where the tensor begins that this one is nearest to."""
        kind = self._kinds.get((dtype.code, shape))
        if kind is None or self._signs is None:
            return -1
        alike = (np.stack(kind.signs) == self._signs).sum(axis=1)
        best = int(np.argmax(alike[::-1]))
        return kind.begins[-1 - best] if alike[-1 - best] >= _ALIKE else -1

    def forget(self) -> None:
        """Some of the tensor of the last piece was there before: it is no source for what lies near it."""
        self._signs = None

    def add(self, dtype: DType | None, shape: tuple[int, ...]) -> None:
        """The tensor of the last piece, of which this was the first, is coded by itself: others may be near it."""
        if self._signs is None or dtype is None:
            return
        kind = self._kinds.setdefault((dtype.code, shape), _Kind())
        kind.begins.append(self._begin)
        kind.signs.append(self._signs)
        if len(kind.begins) > _KEPT:
            del kind.begins[0], kind.signs[0]
        self._signs = None

    def _worth(self, data: Bytes, dtype: DType, place: int) -> bool:
        """Whether differences of some elements have few enough bits."""
        width = dtype.bits // 8
        size = min(data.size, _COMPARED // _COMPARED_RUNS * width)
        starts = [a for a in _spread(data.size, width, _COMPARED, _COMPARED_RUNS) if a + size <= data.size]
        ours = np.concatenate([data[a : a + size] for a in starts])
        theirs = np.frombuffer(b"".join(self._at(place + a, size) for a in starts), np.uint8)
        return likely(ours, theirs, dtype)


def likely(ours: Bytes, theirs: Bytes, dtype: DType) -> bool:
    """Whether the differences of some elements have few enough bits (those that say how many are not counted, as the
    exponent is not); of elements that are all the same, nothing is to be saved.
    """
    width = dtype.bits // 8
    if theirs.size != ours.size or (ours[width:] == ours[:-width]).all():
        return False
    found = Delta(width.bit_length() - 1, 0, True).differences(ours, theirs).view(UINT[width])
    bits = int(np.frexp(found.astype(np.float64))[1].sum())  # lengths of the numbers: the same on every machine
    return 2 * bits < (2 * (dtype.mantissa_bits + 1 - _WORTH) + 1) * found.size


def _signs(data: Bytes, dtype: DType) -> NDArray[np.unsignedinteger]:
    """Sign and exponent of elements; of fewer than _SIGNS the others are 0."""
    x = data.view(UINT[dtype.bits // 8])
    out = np.zeros(_SIGNS, x.dtype)
    out[: x.size] = (x >> x.dtype.type(dtype.mantissa_bits))[:_SIGNS]
    return out


def near(at: At, tensors: list[tuple[int, int, str, tuple[int, ...]]]) -> tuple[dict[int, int], int]:
    """Of tensors, each (begin, size, type, shape) in order of the original: number of each that is probably near an
    earlier one -> how far before; and bytes that were looked at.
    """
    found, looked, relatives = dict[int, int](), 0, Relatives(at)
    for number, (begin, size, name, shape) in enumerate(tensors):
        dtype = DTYPES[name]
        if not _may_be(dtype, size):
            continue
        starts, each = places(size, dtype)
        some_bytes = np.frombuffer(b"".join(at(begin + a, each) for a in starts), np.uint8)
        looked += len(starts) * each
        base = relatives.begin(begin, some_bytes, dtype, shape)
        if base >= 0:
            width = dtype.bits // 8
            some = min(size, _COMPARED * width)
            middle = (size - some) // 2 // width * width
            ours, theirs = (np.frombuffer(at(k + middle, some), np.uint8) for k in (begin, base))
            looked += 2 * some
            if likely(ours, theirs, dtype):
                found[number] = begin - base
                continue
        relatives.add(dtype, shape)
    return found, looked
