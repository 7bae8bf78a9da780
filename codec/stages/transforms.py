"""Transforms: the bytes of a made span from its parts (FORMAT.md, section 4a, and transforms/).

Adding one means a document, an entry in TRANSFORMS and a kernel; numbers are for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from codec.dtypes import BY_CODE, DTYPES
from codec.errors import UnsupportedVersionError
from codec.kernels import leb128, scaled
from codec.kernels import transforms as kernel
from codec.kernels.native import invoke, place
from codec.limits import FIELD_BYTES_MAX, FIELDS_MAX
from codec.stages import codes
from codec.stages.geometry import Bytes, read_only, working
from codec.wire import Cursor, varint

FIELDS, PALETTE, RAMP, SPARSE, OFFSET, COPY, LEB128, SCALED = 1, 2, 3, 4, 5, 6, 7, 8
NAMES: Final = {
    FIELDS: "fields", PALETTE: "palette", RAMP: "ramp", SPARSE: "sparse", OFFSET: "offset", COPY: "copy",
    LEB128: "leb128", SCALED: "scaled", codes.CODES: "codes",
}  # fmt: skip

VALUES_MAX: Final = 1 << 16
#: Of scaled codes.
OFFSET_MAX: Final = 1024
_UINT: Final = (np.uint8, np.uint16, np.uint32, np.uint64)


class Transform(Protocol):
    """What a made span says of itself. ``number`` is the transform's."""

    number: int

    @property
    def raw(self) -> bytes:
        """The parameters, as they are written."""

    def parts(self, length: int) -> list[int]:
        """Original bytes of each part of a span of ``length`` bytes. Raises ValueError if it can't have that length."""

    def make(self, parts: list[Bytes], out: Bytes) -> None:
        """Fill ``out`` (uint8). Raises ValueError for parts that break a rule."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Blocks of fields: ``sizes`` are their bytes."""

    sizes: tuple[int, ...]
    number = FIELDS

    @property
    def raw(self) -> bytes:
        """See Transform."""
        return bytes((len(self.sizes),)) + b"".join(map(varint, self.sizes))

    def parts(self, length: int) -> list[int]:
        """See Transform."""
        blocks, rest = divmod(length, sum(self.sizes))
        if rest:
            raise ValueError(f"{length} bytes are no whole blocks of {sum(self.sizes)}")
        return [blocks * size for size in self.sizes]

    def make(self, parts: list[Bytes], out: Bytes) -> None:
        """See Transform."""
        _run(self.number, 0, [part.size // (out.size // sum(self.sizes)) for part in parts], (), parts, out)


@dataclass(frozen=True, slots=True)
class _Elements:
    """What transforms of whole elements share: ``code`` is log2 of their bytes."""

    code: int

    def count(self, length: int) -> int:
        """Elements in so many bytes."""
        if length & ((1 << self.code) - 1):
            raise ValueError(f"{length} bytes are no whole elements of {1 << self.code}")
        return length >> self.code


@dataclass(frozen=True, slots=True)
class Palette(_Elements):
    """Elements of a table of ``values``."""

    values: int
    number = PALETTE

    @property
    def raw(self) -> bytes:
        """See Transform."""
        return bytes((self.code,)) + varint(self.values)

    def parts(self, length: int) -> list[int]:
        """See Transform."""
        return [self.values << self.code, self.count(length) * (1 if self.values <= 256 else 2)]

    def make(self, parts: list[Bytes], out: Bytes) -> None:
        """See Transform."""
        found = _run(self.number, self.code, (), (self.values,), parts, out)
        if found < 0:
            raise ValueError(
                f"a number is none of {self.values} values" if found == -1 else "values of a palette do not ascend"
            )


@dataclass(frozen=True, slots=True)
class Ramp(_Elements):
    """An arithmetic progression."""

    start: int
    step: int
    number = RAMP

    @property
    def raw(self) -> bytes:
        """See Transform."""
        width = 1 << self.code
        return bytes((self.code,)) + self.start.to_bytes(width, "little") + self.step.to_bytes(width, "little")

    def parts(self, length: int) -> list[int]:
        """See Transform."""
        self.count(length)
        return []

    def make(self, parts: list[Bytes], out: Bytes) -> None:
        """See Transform."""
        kind = _UINT[self.code]
        x = np.arange(out.size >> self.code, dtype=np.uint64)
        with np.errstate(over="ignore"):
            out.view(kind)[:] = (x * np.uint64(self.step) + np.uint64(self.start)).astype(kind)


@dataclass(frozen=True, slots=True)
class Sparse(_Elements):
    """Zeros, and ``others``."""

    others: int
    number = SPARSE

    @property
    def raw(self) -> bytes:
        """See Transform."""
        return bytes((self.code,)) + varint(self.others)

    def parts(self, length: int) -> list[int]:
        """See Transform."""
        count = self.count(length)
        if self.others > count:
            raise ValueError(f"{self.others} of {count} elements are not zero")
        return [-(-count // 8), self.others << self.code]

    def make(self, parts: list[Bytes], out: Bytes) -> None:
        """See Transform."""
        found = _run(self.number, self.code, (), (self.others,), parts, out)
        if found < 0:
            raise ValueError(
                "the mask does not fit the elements" if found == -1 else "an element that is masked is zero"
            )


@dataclass(frozen=True, slots=True)
class Offset(_Elements):
    """Elements of ``narrow`` (log2 of their bytes), and ``start`` added to each."""

    narrow: int
    start: int
    number = OFFSET

    @property
    def raw(self) -> bytes:
        """See Transform."""
        return bytes((self.code, self.narrow)) + self.start.to_bytes(1 << self.code, "little")

    def parts(self, length: int) -> list[int]:
        """See Transform."""
        return [self.count(length) << self.narrow]

    def make(self, parts: list[Bytes], out: Bytes) -> None:
        """See Transform."""
        if self.narrow < 2:
            start = self.start - (self.start >> 63 << 64)
            _run(self.number, self.code, (), (start, self.narrow), [parts[0], parts[0]], out)
            return
        kind = _UINT[self.code]
        np.add(parts[0].view(_UINT[self.narrow]), kind(self.start), out=out.view(kind), dtype=kind)


@dataclass(frozen=True, slots=True)
class Copy:
    """Bytes that the original had before: ``distance`` bytes before the span begins."""

    distance: int
    number = COPY

    @property
    def raw(self) -> bytes:
        """See Transform."""
        return varint(self.distance)

    def parts(self, length: int) -> list[int]:
        """See Transform."""
        return []

    def make(self, parts: list[Bytes], out: Bytes) -> None:
        """See Transform. It isn't made of parts: codec.decode looks elsewhere."""
        raise ValueError("a copy, where nothing came before")


@dataclass(frozen=True, slots=True)
class Leb128:
    """``count`` integers, each in as few bytes as LEB128 needs: elements of 2^``code`` bytes, plus ``offset`` (modulo
    2^64).
    """

    code: int
    count: int
    offset: int
    signed: bool = True
    number = LEB128

    @property
    def raw(self) -> bytes:
        """See Transform."""
        how = self.code | (not self.signed) << 2
        return bytes((how,)) + varint(self.count) + self.offset.to_bytes(8, "little")

    def parts(self, length: int) -> list[int]:
        """See Transform."""
        if self.count > length:
            raise ValueError(f"{self.count} integers in {length} bytes")
        return [self.count << self.code]

    def make(self, parts: list[Bytes], out: Bytes) -> None:
        """See Transform."""
        offset = self.offset - (1 << 64 if self.offset >> 63 else 0)
        if leb128.write(read_only(parts[0]).view(_UINT[self.code]), offset, self.signed, out) < 0:
            raise ValueError(f"{self.count} integers do not take {out.size} bytes")


@dataclass(frozen=True, slots=True)
class Scaled:
    """Codes plus ``offset``, times the scale of their group of ``group``, as ``dtype`` (F16, BF16 or F32).

    ``minus``: code 255 stands for -0. ``down``: BF16 are rounded towards zero.
    """

    dtype: str
    minus: bool
    down: bool
    group: int
    offset: int
    number = SCALED

    @property
    def raw(self) -> bytes:
        """See Transform."""
        head = bytes((DTYPES[self.dtype].code, self.minus | self.down << 1))
        return head + varint(self.group) + (self.offset & 0xFFFFFFFF).to_bytes(4, "little")

    def parts(self, length: int) -> list[int]:
        """See Transform."""
        count, rest = divmod(length, DTYPES[self.dtype].bits // 8)
        if rest or not 1 <= self.group <= count:
            raise ValueError(f"{length} bytes of {self.dtype} in groups of {self.group}")
        return [-(-count // self.group) * 4, count]

    def make(self, parts: list[Bytes], out: Bytes) -> None:
        """See Transform."""
        scales, codes = read_only(parts[0]).view(np.float32), read_only(parts[1])
        if not np.isfinite(scales).all():
            raise ValueError("a scale that is no number")
        single = self.dtype == "F32"
        target = out.view(np.float32) if single else working("scaled", codes.size * 4).view(np.float32)[: codes.size]
        scaled.multiply(codes, scales, self.group, self.offset, 255 if self.minus else -1, target)
        if self.dtype == "BF16":
            scaled.shorten(target.view(np.uint32), self.down, out.view(np.uint16))
        elif not single:
            scaled.halve(target, out.view(np.uint16))


def _read_leb128(c: Cursor) -> Leb128:
    how = c.u8()
    if how > 7:
        raise c.bad(f"integers written as {how}")
    return Leb128(how & 3, _at_least_one(c, 1 << 63), c.u64(), not how & 4)


def _read_scaled(c: Cursor) -> Scaled:
    dtype, how = BY_CODE.get(c.u8()), c.u8()
    if dtype is None or dtype.name not in ("F16", "BF16", "F32") or how & ~3 or (how & 2 and dtype.name != "BF16"):
        raise c.bad(f"scaled elements of type {dtype.name if dtype else None}, rounded as {how}")
    group = _at_least_one(c, 1 << 63)
    offset = int.from_bytes(c.take(4), "little", signed=True)
    if not -OFFSET_MAX <= offset < OFFSET_MAX:
        raise c.bad(f"codes with an offset of {offset}")
    return Scaled(dtype.name, bool(how & 1), bool(how & 2), group, offset)


def _run(number: int, code: int, fields: Sequence[int], numbers: Sequence[int], parts: list[Bytes], out: Bytes) -> int:
    """Run the kernel of a transform on its parts, which lie one behind the other."""
    row, first = np.zeros(kernel.ROW, np.int64), place(parts[0])
    row[kernel.COUNT], row[kernel.FIELDS : kernel.FIELDS + len(fields)] = len(parts), fields
    row[kernel.FIRST : kernel.FIRST + len(numbers)] = numbers
    row[kernel.PLACES : kernel.PLACES + len(parts)] = [place(part) - first for part in parts]
    second = place(parts[1])
    address = kernel.make_address(number, code)
    return invoke(address, place(row), first, second, second, place(out), out.size >> code)


def _read_offset(c: Cursor) -> Offset:
    code = _code(c)
    narrow = c.u8()
    if narrow > code:
        raise c.bad(f"elements of 2^{narrow} bytes become some of 2^{code}")
    return Offset(code, narrow, int.from_bytes(c.take(1 << code), "little"))


def _read_fields(c: Cursor) -> Fields:
    count = c.u8()
    if not 2 <= count <= FIELDS_MAX:
        raise c.bad(f"{count} fields, expected 2 to {FIELDS_MAX}")
    sizes = tuple(c.varint(FIELD_BYTES_MAX) for _ in range(count))
    if 0 in sizes:
        raise c.bad("a field without bytes")
    return Fields(sizes)


def _code(c: Cursor) -> int:
    code = c.u8()
    if code > 3:
        raise c.bad(f"elements of 2^{code} bytes")
    return code


def _at_least_one(c: Cursor, most: int) -> int:
    count = c.varint(most)
    if not count:
        raise c.bad("a count of 0")
    return count


def _read_ramp(c: Cursor) -> Ramp:
    code = _code(c)
    return Ramp(code, *(int.from_bytes(c.take(1 << code), "little") for _ in range(2)))


READERS: Final[dict[int, Callable[[Cursor], Transform]]] = {
    FIELDS: _read_fields,
    PALETTE: lambda c: Palette(_code(c), _at_least_one(c, VALUES_MAX)),
    RAMP: _read_ramp,
    OFFSET: _read_offset,
    SCALED: _read_scaled,
    COPY: lambda c: Copy(c.varint()),
    LEB128: _read_leb128,
    codes.CODES: codes.read,
    SPARSE: lambda c: Sparse(_code(c), _at_least_one(c, 1 << 63)),
}


def read(c: Cursor, number: int, length: int) -> Transform:
    """The parameters of a made span of ``length`` bytes; the cursor stops behind them."""
    reader = READERS.get(number)
    if reader is None:
        names = ", ".join(f"{k} {name}" for k, name in NAMES.items())
        raise UnsupportedVersionError(f"{c.what}: transform {number}; this reader knows {names}")
    found: Any = reader(c)
    try:
        found.parts(length)
    except ValueError as error:
        raise c.bad(f"transform {NAMES[number]}: {error}") from None
    return found  # type: ignore[no-any-return]
