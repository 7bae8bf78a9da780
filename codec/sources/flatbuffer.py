"""FlatBuffers: tables, vectors and strings by offset, every one of them checked to lie in the file.

A reference (u32) counts from where it stands, forwards: so nothing is reached from itself, and what is followed ends.
A table begins with the distance (i32) back to its vtable: u16 bytes of the vtable, u16 bytes of the table, and for each
field a u16, where in the table it lies, 0 if it does not. A vector is a u32 count and the elements; a string is a
vector of bytes. Tables may be shared: what bounds the work is the window's count of reads.
"""

from __future__ import annotations

from typing import Final

from codec.sources.segment import RefusedError
from codec.sources.window import Window

_U16, _U32 = 2, 4
#: Elements of a vector of references, at most; bytes of a vtable that are looked at: those of its first fields.
_VECTOR_MAX: Final = 1 << 20
_VTABLE: Final = 64


class Table:
    """A table at an offset of a window.

    Raises RefusedError where it, or what is asked for, does not lie in the file as it should.

    >>> from codec.sources.segment import Look
    >>> file = b"\\x0c\\0\\0\\0" b"\\x08\\0" b"\\x08\\0" b"\\0\\0" b"\\4\\0" b"\\x08\\0\\0\\0" b"\\x2a\\0\\0\\0"
    >>> table = root(Window(Look.of(file)))
    >>> table.number(0, 4), table.number(1, 4), table.number(2, 4)
    (0, 42, 0)
    """

    def __init__(self, window: Window, at: int) -> None:
        if at % 4:
            raise RefusedError(f"table at byte {at}, which is no multiple of 4")
        vtable = at - window.number(at, 4, signed=True)
        size, self._size = window.number(vtable, _U16), window.number(vtable + 2, _U16)
        if vtable % 2 or size < 4 or size % 2 or self._size < 4 or max(vtable + size, at + self._size) > window.size:
            raise RefusedError(f"table at byte {at}: vtable at byte {vtable} of {size} bytes, table of {self._size}")
        self._window, self._at = window, at
        self._fields = window.read(vtable + 4, min(size - 4, _VTABLE))

    def _place(self, field: int, size: int) -> int:
        """Where a field lies; 0 if it does not."""
        within = int.from_bytes(self._fields[2 * field : 2 * field + 2], "little")
        if within and not 4 <= within <= self._size - size:
            raise RefusedError(f"table at byte {self._at}: field {field} lies outside of it")
        return self._at + within if within else 0

    def number(self, field: int, size: int) -> int:
        """An unsigned field of so many bytes; 0 if it is not there."""
        place = self._place(field, size)
        return self._window.number(place, size) if place else 0

    def _reference(self, field: int) -> int:
        place = self._place(field, _U32)
        return place + _forward(self._window, place) if place else 0

    def table(self, field: int) -> Table | None:
        """The table that a field refers to."""
        at = self._reference(field)
        return Table(self._window, at) if at else None

    def vector(self, field: int, size: int) -> tuple[int, int]:
        """Where the elements of a vector begin, and how many of ``size`` bytes there are; none if it is not there."""
        at = self._reference(field)
        if not at:
            return 0, 0
        count = self._window.number(at, _U32)
        if at % 4 or at + _U32 + count * size > self._window.size:
            raise RefusedError(f"vector at byte {at}: {count} elements of {size} bytes")
        return at + _U32, count

    def numbers(self, field: int, size: int, most: int) -> list[int]:
        """A vector of signed numbers, no more than ``most``."""
        at, count = self.vector(field, size)
        if count > most:
            raise RefusedError(f"vector at byte {at}: {count} elements, the limit is {most}")
        data = self._window.read(at, count * size)
        return [int.from_bytes(data[i : i + size], "little", signed=True) for i in range(0, len(data), size)]

    def tables(self, field: int) -> list[int]:
        """Where the tables of a vector of them lie."""
        at, count = self.vector(field, _U32)
        if count > _VECTOR_MAX:
            raise RefusedError(f"vector at byte {at}: {count} tables, the limit is {_VECTOR_MAX}")
        return [place + _forward(self._window, place) for place in range(at, at + _U32 * count, _U32)]

    def text(self, field: int) -> str:
        """A string; "" if it is not there."""
        at, count = self.vector(field, 1)
        return self._window.text(at, at + count)


def root(window: Window) -> Table:
    """The table that the file begins with a reference to. Raises RefusedError as it does."""
    return Table(window, _forward(window, 0))


def _forward(window: Window, place: int) -> int:
    distance = window.number(place, _U32)
    if not 0 < distance < 1 << 31:
        raise RefusedError(f"reference at byte {place} leads {distance} bytes on")
    return distance
