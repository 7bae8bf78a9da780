"""Small reads anywhere in an original, checked and counted: what parsers of formats full of offsets look through.

A parser that follows offsets can be led in circles or over the same bytes again and again. Each read counts, long ones
more, and there are :data:`READS_MAX`, or as many as the original has bytes and a few; names together are no longer than
the original. So time and memory are bounded, whatever it claims.
"""

from __future__ import annotations

from typing import Final

from codec.limits import NAME_BYTES_MAX
from codec.sources.segment import Look, RefusedError

#: Reads of one original, at most: a second or two of Python.
READS_MAX: Final = 1 << 21
#: A small original may be read so many times, and once more for each of its bytes. So many bytes are one read.
_READS_FREE: Final = 1 << 12
_READ_BYTES: Final = 1 << 8

#: Bytes of a block, as they are asked for, and blocks that are kept.
_BLOCK: Final = 1 << 12
_BLOCKS: Final = 64


class Window:
    """Reads of an original that anyone can look at anywhere. Offsets are in bytes, numbers are little-endian.

    Raises RefusedError for one of unknown length, or that comes out of a pipe; so do all methods for what lies
    outside, and for too many reads.

    >>> window = Window(Look.of(b"GGUF\\3\\0\\0\\0"))
    >>> window.size, window.read(0, 4), window.number(4, 4), window.text(1, 3)
    (8, b'GGUF', 3, 'GU')
    """

    def __init__(self, look: Look) -> None:
        if look.at is None or look.size is None:
            raise RefusedError("the offsets cannot be followed in a stream")
        self.size = look.size
        self._at = look.at
        self._left, self._names = min(READS_MAX, _READS_FREE + look.size), look.size
        self._blocks: dict[int, bytes] = {}

    def read(self, start: int, size: int) -> bytes:
        """``size`` bytes from ``start`` on."""
        stop = start + size
        if start < 0 or size < 0 or stop > self.size:
            raise RefusedError(f"bytes {start} to {stop} lie outside of {self.size}")
        self._left -= 1 + size // _READ_BYTES
        if self._left < 0:
            raise RefusedError("too many parts")
        number, at = divmod(start, _BLOCK)
        if at + size > _BLOCK:
            data = self._at(start, size)
        else:
            data = self._block(number)[at : at + size]
        if len(data) != size:  # it shrank since its size was taken
            raise RefusedError(f"bytes {start} to {stop} cannot be read")
        return data

    def number(self, start: int, size: int, *, signed: bool = False) -> int:
        """An integer of ``size`` bytes."""
        return int.from_bytes(self.read(start, size), "little", signed=signed)

    def text(self, start: int, stop: int) -> str:
        """UTF-8, no longer than a name may be."""
        if stop - start > NAME_BYTES_MAX:
            raise RefusedError(f"name at byte {start}: {stop - start} bytes, the limit is {NAME_BYTES_MAX}")
        return self.name(self.read(start, stop - start))

    def name(self, data: bytes) -> str:
        """UTF-8 that is kept. All of it together is no longer than the original."""
        self._names -= len(data)
        if self._names < 0:
            raise RefusedError("names longer than the file they are in")
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise RefusedError(f"name {data[:100]!r} is not UTF-8") from None

    def _block(self, number: int) -> bytes:
        found = self._blocks.get(number)
        if found is None:
            if len(self._blocks) >= _BLOCKS:
                del self._blocks[next(iter(self._blocks))]
            found = self._blocks[number] = self._at(number * _BLOCK, _BLOCK)
        return found
