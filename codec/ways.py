"""What structure some elements have: few values, zeros, narrow integers, integers times a scale, a progression.

Each way gives the transform and the parts that the elements are made of, or None if they have no such structure. Which
is the smallest is for codec.structure to find out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from codec.dtypes import DTYPES, DType
from codec.kernels import scaled as kernel_of_scaled
from codec.kernels import transforms as kernel
from codec.limits import CHUNK_BYTES_MAX
from codec.memory import kept
from codec.stages.geometry import Bytes
from codec.stages.numbers import Scaled
from codec.stages.runs import OF_BITS, Runs, numbers_of
from codec.stages.transforms import VALUES_MAX, Offset, Palette, Ramp, Sparse, Transform

UINT: Final = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
#: One in so many elements may be other than zero for their places to be said by runs of zeros, at most: of those that
#: come independently of each other, one in 4, tables say as much.
RUNS_LEAST: Final = 4
#: Elements of a row that quantisers give a scale of their own.
_GROUPS: Final = (256, 128, 64, 32)


@dataclass(frozen=True, slots=True)
class Part:
    """What a part is coded as."""

    data: Bytes
    dtype: DType | None
    shape: tuple[int, ...]
    name: str = ""


#: Codes a span, as encode_span does: the same bytes.
Found = tuple[Transform, list[Part]]


class _Room:
    """Working arrays of this thread, for elements of one width."""

    def __init__(self, width: int) -> None:
        kind = UINT[width]
        self.values, self.slots = np.zeros(VALUES_MAX, kind), np.zeros(kernel.SLOTS, np.int32)


def _room(width: int) -> _Room:
    held: _Room | None = kept().get((_Room, width))
    if held is None:
        held = kept()[_Room, width] = _Room(width)
    return held


def palette(x: Any, dtype: DType, shape: tuple[int, ...]) -> Found | None:
    """At most 65,536 values, of 16-bit elements at most 256, and at most one for every four elements: in order."""
    width = x.itemsize
    most = min(256 if width == 2 else VALUES_MAX, max(1, x.size // 4))
    if width == 2:
        return _palette_of_16(x, dtype, shape, most)
    room = _room(width)
    count = int(kernel.distinct(x, most, room.slots, room.values))
    if count < 0:
        return None
    values = room.values[:count]
    order = np.argsort(values)
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    numbers = np.empty(x.size, np.uint8 if count <= 256 else np.uint16)
    kernel.number_of(x, room.values, rank, room.slots, numbers)
    kind = DTYPES["U8" if count <= 256 else "U16"]
    parts = [
        Part(values[order].view(np.uint8), dtype, (count,), "palette"),
        Part(numbers.view(np.uint8), kind, shape, "symbol"),
    ]
    return Palette(width.bit_length() - 1, count), parts


def _palette_of_16(x: Any, dtype: DType, shape: tuple[int, ...], most: int) -> Found | None:
    """Of 16-bit elements: a table of all that there can be takes a quarter of the time."""
    held: tuple[Bytes, Bytes] | None = kept().get(_palette_of_16)
    if held is None:
        held = kept()[_palette_of_16] = np.zeros(65536, np.uint8), np.zeros(65536, np.uint8)
    seen, rank = held
    count = int(kernel.few(x, most, seen))
    if count < 0:
        return None
    values = np.flatnonzero(seen).astype(np.uint16)
    rank[values] = np.arange(count)
    numbers = np.empty(x.size, np.uint8)
    kernel.look_up(x, rank, numbers)
    parts = [Part(values.view(np.uint8), dtype, (count,), "palette"), Part(numbers, DTYPES["U8"], shape, "symbol")]
    return Palette(1, count), parts


def offset(x: Any, dtype: DType, shape: tuple[int, ...]) -> Found | None:
    """Integers that take fewer bytes, or fewer bits at the top, above the smallest of them."""
    if dtype.name[0] not in "IU":
        return None
    width = x.itemsize
    y = x.view(f"i{width}") if dtype.name[0] == "I" else x
    low, high = int(y.min()), int(y.max())
    narrow = 0 if high - low < 1 << 8 else 1 if high - low < 1 << (16 if width > 2 else 15) else -1
    if narrow < 0 or low == high:
        return None
    start = low & (1 << 8 * width) - 1
    part = (x - x.dtype.type(start)).astype(UINT[1 << narrow])
    kind = DTYPES["U8" if narrow == 0 else "U16"]
    return Offset(width.bit_length() - 1, narrow, start), [Part(part.view(np.uint8), kind, shape, "symbol")]


def scaled(x: Any, dtype: DType, shape: tuple[int, ...]) -> Found | None:
    """Floats that are integers of a byte times a scale: one of all, of each row, or of each group in a row."""
    if dtype.name not in ("F32", "BF16", "F16"):
        return None
    cut = {"F32": 0, "BF16": 16, "F16": 13}[dtype.name]
    if cut == 16:
        bits = x.astype(np.uint32) << np.uint32(16)
    else:
        bits = x.view(np.float32 if cut == 0 else np.float16).astype(np.float32).view(np.uint32)
    row = int(np.prod(shape[1:], dtype=object)) if len(shape) > 1 else x.size
    room = _scaled_room()
    groups = dict.fromkeys((x.size, row, *(g for g in _GROUPS if row % g == 0)))
    for group in (g for g in groups if g >= min(_GROUPS)):
        for down in (False, True) if cut == 16 else (False,):
            # most are none: a part of a group shows that, whatever the group is
            for size in (min(group, x.size, 512), x.size):
                scales, integers = room.scales[: -(-size // group)], room.integers[:size]
                if kernel_of_scaled.fit(bits[:size], group, cut, down, integers, scales, room.work, room.floats) < 0:
                    break
            else:
                return _codes(integers, scales, dtype, shape, group, down)
    return None


def _codes(integers: Any, scales: Any, dtype: DType, shape: tuple[int, ...], group: int, down: bool) -> Found | None:
    """The parts of scaled elements, whose integers fit into bytes above the least of them."""
    nothing = integers == kernel_of_scaled.NOTHING
    minus = bool(nothing.any())
    others = integers[~nothing] if minus else integers
    low = int(others.min()) if others.size else 0
    if (int(others.max()) if others.size else 0) - low > 255 - minus:
        return None
    codes = np.where(nothing, 255, integers - low).astype(np.uint8)
    count = scales.size
    row = int(np.prod(shape[1:], dtype=object)) if len(shape) > 1 else integers.size
    columns = row // group if 0 < group < row and row % group == 0 else 1
    parts = [
        Part(scales.copy().view(np.uint8), DTYPES["F32"], (-(-count // columns), columns), "scales"),
        Part(codes, DTYPES["U8"], shape, "symbol"),
    ]
    return Scaled(dtype.name, minus, down, group, low), parts


class _ScaledRoom:
    """Working arrays of this thread for finding scales."""

    def __init__(self) -> None:
        elements = CHUNK_BYTES_MAX // 2
        self.integers, self.scales = np.zeros(elements, np.int16), np.zeros(elements // min(_GROUPS), np.float32)
        self.work = np.zeros(kernel_of_scaled.MOST + 2, np.uint32)
        self.floats = np.zeros(3 * (kernel_of_scaled.MOST + 1) + 2)


def _scaled_room() -> _ScaledRoom:
    held: _ScaledRoom | None = kept().get(_ScaledRoom)
    if held is None:
        held = kept()[_ScaledRoom] = _ScaledRoom()
    return held


def sparse(x: Any, dtype: DType, shape: tuple[int, ...]) -> Found | None:
    """One in 32 elements at least is zero."""
    there = x != 0
    others = int(np.count_nonzero(there))
    if not 0 < others <= x.size * 31 // 32:
        return None
    mask = np.packbits(there, bitorder="little")
    rest = np.ascontiguousarray(x[there])
    parts = [
        Part(mask, DTYPES["U8"], (mask.size,), "mask"),
        Part(rest.view(np.uint8), dtype, (others,), ""),
    ]
    return Sparse(x.itemsize.bit_length() - 1, others), parts


def runs_of(x: Any, dtype: DType, long: bool, bits: bool = False) -> Found | None:
    """One in RUNS_LEAST elements at most is not zero. ``long``: runs are numbers of two bytes, if there is one that one
    byte does not hold. ``bits``: the elements are those of bytes.
    """
    places = np.flatnonzero(x != 0)
    if bits:
        held = np.unpackbits(x[places], bitorder="little").view(np.bool_)
        places = (8 * places[:, None] + np.arange(8)).reshape(-1)[held]
    count = x.size * (8 if bits else 1)
    if not 0 < places.size <= count // RUNS_LEAST or (long and int(np.diff(places, prepend=-1).max()) <= 256):
        return None
    numbers = numbers_of(places, long)
    if numbers.nbytes > CHUNK_BYTES_MAX // 2:  # it is one chunk
        return None
    parts = [Part(numbers.view(np.uint8), DTYPES["U16" if long else "U8"], (numbers.size,), "mask")]
    if not bits:
        parts.append(Part(x[places].view(np.uint8), dtype, (places.size,), ""))
    code = OF_BITS if bits else x.itemsize.bit_length() - 1
    return Runs(code, long, numbers.size, places.size), parts


def _runs(x: Any, dtype: DType, shape: tuple[int, ...]) -> Found | None:
    return runs_of(x, dtype, False)


def _long_runs(x: Any, dtype: DType, shape: tuple[int, ...]) -> Found | None:
    return runs_of(x, dtype, True)


def ramp_of(x: Any, width: int) -> Ramp | None:
    """Elements each as far from the one before."""
    start, step = int(x[0]), int(x[1]) - int(x[0]) & (1 << 8 * width) - 1
    if step == 0 or int(x[2]) - int(x[1]) & (1 << 8 * width) - 1 != step:  # constants are for planes
        return None
    if not (np.diff(x) == x.dtype.type(step)).all():
        return None
    return Ramp(width.bit_length() - 1, start, step)


WAYS: Final[tuple[Callable[[Any, DType, tuple[int, ...]], Found | None], ...]] = (
    palette, sparse, _runs, _long_runs, offset, scaled,
)  # fmt: skip
