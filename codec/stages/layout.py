"""The layout of a span: how its elements lie in planes, and the tables of each plane (FORMAT.md, section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from codec.dtypes import BY_CODE
from codec.errors import UnsupportedVersionError
from codec.limits import (
    CHUNK_BYTES_MAX,
    PLANES_MAX,
    SPAN_BYTES_MAX,
    SPAN_TABLES_MAX,
    TABLES_MAX,
    TILE_ELEMENTS_MAX,
)
from codec.stages import registry, transforms
from codec.stages.columns import COLUMNS
from codec.stages.delta import DELTA, Delta
from codec.stages.transforms import Transform
from codec.wire import Cursor, varint

_FOLD, _WINDOW, _CONSTANT, _DROPS, _ESCAPES, _MADE = 4, 8, 16, 32, 64, 128
_WIDTH_CODE: Final = {1: 0, 2: 1, 4: 2, 8: 3}
UINT: Final = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


@dataclass(frozen=True, slots=True)
class Plane:
    """One plane: the lowest element bit it covers, its width in bits, its tables (None, or as its stage defines)."""

    shift: int
    width: int
    tables: Any = None


@dataclass(frozen=True, slots=True)
class Layout:
    """One span. ``length`` is original bytes; ``width`` bytes of an element; ``tile`` and ``chunk`` count elements.

    ``fold`` and ``window`` are None if the span has none; ``dtype`` is a wire code, 0 for opaque bytes. ``transform``
    is None unless the span is made of parts: then it has no planes, and one chunk.
    """

    length: int
    dtype: int
    width: int
    tile: int
    chunk: int
    planes: tuple[Plane, ...]
    fold: int | None = None
    window: int | None = None
    constant: int = 0
    drops: bool = False
    escapes: bool = False
    transform: Transform | None = None

    @property
    def elements(self) -> int:
        """Whole elements in the span."""
        return self.length // self.width

    @property
    def tail(self) -> int:
        """Bytes behind the last whole element."""
        return self.length % self.width

    @property
    def chunks(self) -> int:
        """Chunks in the span, at least 1."""
        return max(1, -(-self.elements // self.chunk))

    @property
    def chunk_bytes(self) -> int:
        """Bytes of each chunk but the last, without tail bytes."""
        return self.chunk * self.width

    @property
    def copied(self) -> bool:
        """Whether the span is a copy of what came before, or a delta to it."""
        return isinstance(self.transform, transforms.Copy | Delta)

    @property
    def shifts(self) -> NDArray[np.int64]:
        """Shift of each plane, as the kernels take it."""
        return np.array([p.shift for p in self.planes], np.int64)

    @property
    def widths(self) -> NDArray[np.int64]:
        """Width of each plane, as the kernels take it."""
        return np.array([p.width for p in self.planes], np.int64)

    def chunk_range(self, number: int) -> tuple[int, int]:
        """(first byte, byte behind the last) of a chunk, in the span's original; the last has the tail bytes."""
        start = number * self.chunk * self.width
        last = number == self.chunks - 1
        return start, self.length if last else start + self.chunk * self.width


def encode(layout: Layout) -> bytes:
    """The span record's body, up to the body of an only chunk, or the first part of a span that is made."""
    if layout.transform is not None:
        head = bytes((layout.dtype, _MADE | layout.transform.number))
        return varint(layout.length) + head + layout.transform.raw
    flags = layout.width.bit_length() - 1
    flags |= _FOLD * (layout.fold is not None) | _WINDOW * (layout.window is not None)
    flags |= _CONSTANT * (layout.constant != 0) | _DROPS * layout.drops | _ESCAPES * layout.escapes
    out = [varint(layout.length), bytes((layout.dtype, flags))]
    if layout.fold is not None:
        out.append(bytes((layout.fold,)))
    if layout.window is not None:
        out.append(varint(layout.window))
    if layout.constant:
        out.append(layout.constant.to_bytes(layout.width, "little"))
    out += [varint(layout.tile), varint(layout.chunk), bytes((len(layout.planes),))]
    for p in layout.planes:
        tables = 0 if p.tables is None else p.tables.count | p.tables.stage << 5
        out.append(bytes((p.shift | _WIDTH_CODE[p.width] << 6, tables)))
        if p.tables is not None:
            out.append(p.tables.raw)
    return b"".join(out)


def decode(c: Cursor) -> Layout:
    """The layout in a span record; the cursor stops behind it. Raises CorruptFileError, UnsupportedVersionError."""
    length, dtype, flags = c.varint(SPAN_BYTES_MAX), c.u8(), c.u8()
    if dtype and dtype not in BY_CODE:
        raise UnsupportedVersionError(f"{c.what}: element type {dtype} is not known to this reader")
    if length < 1:
        raise c.bad("span without bytes")
    if flags & _MADE:
        if length > CHUNK_BYTES_MAX:
            raise c.bad(f"a span of {length} bytes, more than a chunk has, is made of parts")
        return made(length, dtype, transforms.read(c, flags & ~_MADE, length))
    width = 1 << (flags & 3)
    fold = c.u8() if flags & _FOLD else None
    window = c.varint(65535) if flags & _WINDOW else None
    constant = int.from_bytes(c.take(width), "little") if flags & _CONSTANT else 0
    tile, chunk = c.varint(TILE_ELEMENTS_MAX), c.varint(CHUNK_BYTES_MAX // width)
    count = c.u8()
    if tile < min(8, length // width or 1) or chunk < 1 or chunk % tile or count > PLANES_MAX:
        raise c.bad(f"tile of {tile}, chunk of {chunk} elements, {count} planes")
    if fold is not None and fold >= 8 * width:
        raise c.bad(f"sign is folded to bit {fold} of {8 * width}")
    planes, used, held = [], 0, 0
    for k in range(count):
        place, tables = c.u8(), c.u8()
        shift, bits = place & 63, 1 << (place >> 6)
        top = k == count - 1 and window is not None
        cover = ((1 << bits) - 1) << shift
        if used & cover or (used and shift < used.bit_length()) or (top and bits != 8) or shift >= 8 * width:
            raise c.bad(f"plane {k} covers {bits} bits from {shift}: overlaps another, is out of order, or outside")
        if not top and shift + bits > 8 * width:
            raise c.bad(f"plane {k} covers {bits} bits from {shift} of {8 * width}")
        used |= cover
        held += tables & 31
        if held > SPAN_TABLES_MAX:
            raise c.bad(f"more than {SPAN_TABLES_MAX} tables")
        planes.append(Plane(shift, bits, _tables(c, tables)))
        if tables >> 5 == COLUMNS:
            several = chunk if length // width > chunk else None
            if bits != 8 or flags & _DROPS or not planes[-1].tables.fits(tile, several):
                raise c.bad(f"tables by columns for a plane of {bits} bits, drops, or tiles and chunks that do not fit")
    if not planes and (window is not None or flags & _ESCAPES):
        raise c.bad("window or escapes without planes")
    return Layout(
        length, dtype, width, tile, chunk, tuple(planes), fold, window, constant,
        bool(flags & _DROPS), bool(flags & _ESCAPES),
    )  # fmt: skip


def glance(c: Cursor) -> tuple[int, bool]:
    """Of a span record: original bytes in each chunk but the last (0: it is made of parts), and whether it looks back.

    Only what comes before the planes is looked at, and by less than ``decode`` does. Raises CorruptFileError.
    """
    c.varint(SPAN_BYTES_MAX)
    flags = c.take(2)[1]
    if flags & _MADE:
        return 0, flags & ~_MADE in (transforms.COPY, DELTA)
    width = 1 << (flags & 3)
    c.skip((flags & _FOLD) >> 2)
    if flags & _WINDOW:
        c.varint()
    c.skip(width if flags & _CONSTANT else 0)
    c.varint(TILE_ELEMENTS_MAX)
    chunk = c.varint(CHUNK_BYTES_MAX // width)
    if chunk < 1:
        raise c.bad("a chunk of no elements")
    return chunk * width, False


def made(length: int, dtype: int, transform: Transform) -> Layout:
    """The layout of a span that is made of parts."""
    return Layout(length, dtype, 1, length, length, (), transform=transform)


def _tables(c: Cursor, field: int) -> Any:
    count, stage = field & 31, field >> 5
    if count == 0:
        if stage:
            raise c.bad(f"no tables, but of stage {stage}")
        return None
    if count > TABLES_MAX:
        raise c.bad(f"{count} tables, at most {TABLES_MAX}")
    reader = registry.TABLE_READERS.get(stage)
    if reader is None:
        raise UnsupportedVersionError(
            f"{c.what}: tables of stage {stage}; this reader knows {registry.known(registry.TABLE_READERS)}"
        )
    return reader(c, count)
