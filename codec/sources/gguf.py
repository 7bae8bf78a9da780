"""GGUF files, versions 2 and 3, little-endian: metadata, a list of tensors, then their elements.

    "GGUF"  u32 version  u64 tensors  u64 pairs
    pairs:   string key, u32 type, value        a string: u64 length, UTF-8; an array: u32 type, u64 count, values
    tensors: string name, u32 dimensions (<= 4), u64 each (fastest first), u32 type, u64 offset
    padding to general.alignment (32 without it), from where the offsets count, each a multiple of it

Quantised tensors are given as U8, a row of blocks as a row of bytes, as the ``gguf`` package's reader does; the layout
of the blocks is in :mod:`codec.sources.gguf_types`. What ggml refuses is refused: a key or a name twice, rows that are
no whole number of blocks, an alignment that is no power of two, a type that it does not know; arrays of arrays, which
it refuses, are skipped to a depth of 4. Tensors may lie in any order and have holes between them, which ggml refuses.
"""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from typing import Final

from codec.dtypes import DTYPES
from codec.limits import NAME_BYTES_MAX
from codec.sources.gguf_types import BLOCK_NAMES, BLOCKS, PLAIN, fields_of
from codec.sources.segment import Look, Peek, RefusedError, Segment, tiled

#: Bytes before the tensors, at most; keys, tensors and strings, arrays in arrays of the metadata, at most.
HEADER_MAX: Final = 100_000_000
ITEMS_MAX: Final = 1 << 22
ARRAYS_DEEP: Final = 4

#: The least bytes of a key with its value (an empty key, a byte), of a tensor (an empty name, no dimensions).
_PAIR_LEAST: Final = 13
_TENSOR_LEAST: Final = 24

_DIMENSIONS_MAX: Final = 4
_ALIGNMENT_KEY: Final = b"general.alignment"
_ALIGNMENT_MAX: Final = 1 << 20
_OFFSET_END: Final = 1 << 63
_U32, _STRING, _ARRAY = 4, 8, 9
_U64: Final = struct.Struct("<Q")
#: Type of a value -> its bytes.
_SIZES: Final = {0: 1, 1: 1, 2: 2, 3: 2, _U32: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def parse(look: Look) -> list[Segment]:
    """The segments of a GGUF file: header, tensors, and what lies between and behind them. Needs no random access.

    Raises RefusedError if it is none, or breaks a rule of the format.

    >>> w = b"\\1\\0\\0\\0\\0\\0\\0\\0w" + b"\\1\\0\\0\\0" + (2).to_bytes(8, "little") + b"\\1\\0\\0\\0" + bytes(8)
    >>> file = (b"GGUF\\3\\0\\0\\0" + (1).to_bytes(8, "little") + bytes(8) + w).ljust(64, b"\\0") + b"\\0\\x3c\\0\\x40"
    >>> [(s.start, s.stop, s.name, s.dtype, s.shape) for s in parse(Look.of(file))]
    [(0, 64, '', '', ()), (64, 68, 'w', 'F16', (2,))]
    """
    start = look.peek(24)
    if start[:4] != b"GGUF" or len(start) < 24:
        raise RefusedError("no GGUF file")
    if (version := int.from_bytes(start[4:8], "little")) not in (2, 3):
        raise RefusedError(f"GGUF version {version}: 2 and 3, little-endian, are known")
    c = _Cursor(look.peek, 24)
    tensors, pairs = int.from_bytes(start[8:16], "little"), int.from_bytes(start[16:24], "little")
    c.expect(pairs, _PAIR_LEAST)
    alignment, keys = 32, set[bytes]()
    for _ in range(pairs):
        key, kind = c.string(), c.number(4)
        if key in keys:
            raise RefusedError(f"key {key[:100]!r} twice")
        keys.add(key)
        if key == _ALIGNMENT_KEY:
            alignment = c.number(4) if kind == _U32 else 0
            if not 0 < alignment <= _ALIGNMENT_MAX or alignment & (alignment - 1):
                raise RefusedError(f"alignment {alignment} is no power of two up to {_ALIGNMENT_MAX}")
        else:
            c.value(kind, 0)
    c.expect(tensors, _TENSOR_LEAST)
    found = [c.tensor(alignment) for _ in range(tensors)]
    base = -(-c.at // alignment) * alignment
    placed, names = [], set[str]()
    for s in found:
        if s.name in names:
            raise RefusedError(f"two tensors are named {s.name[:100]!r}")
        names.add(s.name)
        placed.append(replace(s, start=base + s.start, stop=base + s.stop))
    return tiled(placed, look.size)


class _Cursor:
    """Reads the header front to back, and no more of the file than that, twice over."""

    def __init__(self, peek: Peek, at: int) -> None:
        self._peek, self.at = peek, at
        self._data, self._items = peek(1 << 16), 0

    def skip(self, size: int) -> int:
        """Where the bytes that are passed over begin; they are there."""
        at, self.at = self.at, self.at + size
        if self.at > len(self._data):
            if self.at > HEADER_MAX:
                raise RefusedError(f"header goes on to byte {self.at}, the limit is {HEADER_MAX}")
            self._data = self._peek(min(HEADER_MAX, max(self.at, 2 * len(self._data))))
            if self.at > len(self._data):
                raise RefusedError(f"header goes on to byte {self.at}, the file ends at {len(self._data)}")
        return at

    def number(self, size: int) -> int:
        """Unsigned."""
        at = self.skip(size)
        return int.from_bytes(self._data[at : at + size], "little")

    def string(self) -> bytes:
        """Keys and names: no longer than a name may be."""
        if (size := self.number(8)) > NAME_BYTES_MAX:
            raise RefusedError(f"key or name of {size} bytes, the limit is {NAME_BYTES_MAX}")
        at = self.skip(size)
        return self._data[at : at + size]

    def expect(self, count: int, least: int) -> None:
        """So many items, of so many bytes at least, must be able to follow."""
        self._items += count
        if self._items > ITEMS_MAX or self.at + count * least > HEADER_MAX:
            raise RefusedError(f"{count} items in a header of at most {HEADER_MAX} bytes and {ITEMS_MAX} items")

    def value(self, kind: int, depth: int) -> None:
        """Passed over."""
        if kind in _SIZES:
            self.skip(_SIZES[kind])
        elif kind == _STRING:
            self.skip(self.number(8))
        elif kind != _ARRAY:
            raise RefusedError(f"value of type {kind}, which is not known")
        elif depth == ARRAYS_DEEP:
            raise RefusedError(f"arrays nested deeper than {ARRAYS_DEEP}")
        else:
            inner, count = self.number(4), self.number(8)
            if inner in _SIZES:
                self.skip(count * _SIZES[inner])
                return
            self.expect(count, 8)
            if inner == _STRING:
                self._strings(count)
                return
            for _ in range(count):
                self.value(inner, depth + 1)

    def _strings(self, count: int) -> None:
        """Passed over. A vocabulary has tens of thousands, which took four times as long one by one."""
        while count:
            data, at, last = self._data, self.at, len(self._data) - 8
            while count and at <= last:
                at += 8 + _U64.unpack_from(data, at)[0]
                count -= 1
            self.skip(at - self.at)
            if count:
                self.skip(self.number(8))
                count -= 1

    def tensor(self, alignment: int) -> Segment:
        """The next of the list, as if the elements began at byte 0."""
        try:
            name = self.string().decode()
        except UnicodeDecodeError:
            raise RefusedError(f"a name before byte {self.at} is not UTF-8") from None
        count = self.number(4)
        if count > _DIMENSIONS_MAX:
            raise RefusedError(f"{count} dimensions, the limit is {_DIMENSIONS_MAX}")
        shape = tuple([self.number(8) for _ in range(count)][::-1])
        kind, offset = self.number(4), self.number(8)
        dtype = PLAIN.get(kind, "U8")
        if kind in BLOCK_NAMES:
            block = BLOCKS[BLOCK_NAMES[kind]]
            if not shape or shape[-1] % block.elements:
                raise RefusedError(f"shape {shape} is no whole number of blocks of {block.elements}")
            shape = (*shape[:-1], shape[-1] // block.elements * block.size)
        elif kind not in PLAIN:
            raise RefusedError(f"tensor of type {kind}, which is not known")
        if offset % alignment:
            raise RefusedError(f"a tensor's offset {offset} is no multiple of {alignment}")
        size = math.prod(shape) * DTYPES[dtype].bits // 8
        if any(d >= _OFFSET_END for d in shape) or offset + size >= _OFFSET_END:
            raise RefusedError(f"shape {shape} at {offset} is beyond what a file can hold")
        fields = () if kind in PLAIN else fields_of(BLOCK_NAMES[kind])
        return Segment(offset, offset + size, name, dtype, shape, fields=fields)
