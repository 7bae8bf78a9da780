"""Transforms: the bytes of a made span from its parts (FORMAT.md, section 4a, and transforms/).

Adding one means a document, an entry in TRANSFORMS and a kernel; numbers are for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from codec.errors import UnsupportedVersionError
from codec.kernels import transforms as kernel
from codec.kernels.native import invoke, place
from codec.limits import FIELD_BYTES_MAX, FIELDS_MAX
from codec.stages import codes, delta, numbers, runs
from codec.stages.geometry import Bytes
from codec.stages.numbers import at_least_one, element_code
from codec.wire import Cursor, varint

FIELDS, PALETTE, RAMP, SPARSE, OFFSET, COPY = 1, 2, 3, 4, 5, 6
NAMES: Final = {
    FIELDS: "fields", PALETTE: "palette", RAMP: "ramp", SPARSE: "sparse", OFFSET: "offset", COPY: "copy",
    numbers.LEB128: "leb128", numbers.SCALED: "scaled", codes.CODES: "codes", runs.RUNS: "runs", delta.DELTA: "delta",
}  # fmt: skip

VALUES_MAX: Final = 1 << 16
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
        """See Transform. ``out`` holds the source."""


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
    code = element_code(c)
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


def _read_ramp(c: Cursor) -> Ramp:
    code = element_code(c)
    return Ramp(code, *(int.from_bytes(c.take(1 << code), "little") for _ in range(2)))


READERS: Final[dict[int, Callable[[Cursor], Transform]]] = {
    FIELDS: _read_fields,
    PALETTE: lambda c: Palette(element_code(c), at_least_one(c, VALUES_MAX)),
    RAMP: _read_ramp,
    OFFSET: _read_offset,
    numbers.SCALED: numbers.read_scaled,
    COPY: lambda c: Copy(c.varint()),
    delta.DELTA: delta.read_delta,
    numbers.LEB128: numbers.read_leb128,
    codes.CODES: codes.read,
    runs.RUNS: runs.read,
    SPARSE: lambda c: Sparse(element_code(c), at_least_one(c, 1 << 63)),
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
