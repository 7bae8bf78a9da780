"""HDF5 files (Keras .h5, .hdf5): datasets that lie in one piece, found without the HDF5 library.

    superblock -> root group; a group -> objects by name: a symbol table (B-tree of leaves, names in a heap), or links
    object: header of messages: dataspace (shape), datatype, layout (where), or symbol table, or links

The library could say where the datasets lie, too, but a result that depends on what is installed would break "the same
input gives the same bytes", and it is known for reading hostile files into memory that is not its own. So this parser
knows the part of the format that h5py and Keras write: superblock 0 to 3 at byte 0 with offsets of 8 bytes, groups of
both kinds but those of very many links (a fractal heap), contiguous layout, little-endian integers and floats. What it
does not know stays opaque: datasets in chunks, of compound types, of shared types. Checksums are not compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from codec.dtypes import DTYPES
from codec.limits import DIMENSIONS_MAX, NAME_BYTES_MAX
from codec.sources.segment import Look, RefusedError, Segment, tiled
from codec.sources.window import Window

_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_NOWHERE: Final = (1 << 64) - 1

#: Groups in groups, nodes in nodes of a B-tree (of 16 to 32 each), at most: together far from Python's own limit.
_DEPTH_MAX: Final = 32
_TREE_DEPTH_MAX: Final = 8

_SPACE, _TYPE, _EXTERNAL, _LAYOUT, _LINK, _CONTINUED, _TABLE = 0x1, 0x3, 0x7, 0x8, 0x6, 0x10, 0x11
#: A message that is kept elsewhere.
_SHARED: Final = 2
#: Bits of a float, of its exponent and its mantissa, which lie there from the top down -> our type.
_FLOATS: Final = {(16, 5, 10): "F16", (16, 8, 7): "BF16", (32, 8, 23): "F32", (64, 11, 52): "F64"}


def parse(look: Look) -> list[Segment]:
    """The segments of an HDF5 file. Needs random access.

    Raises RefusedError if it is none, or where it is not as the format has it.
    """
    if look.peek(8) != _SIGNATURE:
        raise RefusedError("no HDF5 file")
    window = Window(look)
    version = window.number(8, 1)
    if version in (0, 1):
        sizes, base = window.read(13, 2), 24 + 4 * version
        end, root = window.number(base + 16, 8), window.number(base + 40, 8)
    elif version in (2, 3):
        sizes, base = window.read(9, 2), 12
        end, root = window.number(28, 8), window.number(36, 8)
    else:
        raise RefusedError(f"superblock of version {version}")
    if sizes != b"\x08\x08" or window.number(base, 8) != 0 or end > window.size:
        raise RefusedError(f"offsets of {tuple(sizes)} bytes, or a file that ends at byte {end}")
    objects = _Objects(window)
    objects.look(root, "", 0)
    return tiled(objects.found, look.size)


class _Objects:
    """Goes through groups and gathers datasets. An object of several names has the first."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._seen = set[int]()
        self.found: list[Segment] = []

    def look(self, at: int, path: str, depth: int) -> None:
        """At the object whose header lies at ``at``."""
        if at in self._seen or at == _NOWHERE:
            return
        self._seen.add(at)
        if depth > _DEPTH_MAX:
            raise RefusedError(f"groups nested deeper than {_DEPTH_MAX}")
        known: dict[int, tuple[int, int] | None] = {}
        for kind, flags, start, size in _messages(self._window, at):
            if kind == _LINK:
                self._link(start, size, path, depth)
            elif kind == _TABLE:
                tree, heap = self._window.number(start, 8), self._window.number(start + 8, 8)
                self._tree(tree, _Heap(self._window, heap), path, depth, 0)
            else:
                known[kind] = None if flags & _SHARED else (start, size)
        space, dtype, layout = known.get(_SPACE), known.get(_TYPE), known.get(_LAYOUT)
        if space and dtype and layout and _EXTERNAL not in known:
            self._dataset(space, dtype, layout, path)

    def _child(self, at: int, name: bytes, path: str, depth: int) -> None:
        text = f"{path}/".removeprefix("/").encode() + name
        if len(text) > NAME_BYTES_MAX:
            raise RefusedError(f"a path is longer than {NAME_BYTES_MAX} bytes")
        self.look(at, self._window.name(text), depth + 1)

    def _link(self, start: int, size: int, path: str, depth: int) -> None:
        """A link message: only hard links lead to an object of this file."""
        w = self._window
        flags, place = w.number(start + 1, 1), start + 2
        if flags & 8 and w.number(place, 1) != 0:
            return
        place += (flags >> 3 & 1) + 8 * (flags >> 2 & 1) + (flags >> 4 & 1)
        width = 1 << (flags & 3)
        length = w.number(place, width)
        place += width
        if place + length + 8 > start + size:
            raise RefusedError(f"link at byte {start} is longer than its message")
        self._child(w.number(place + length, 8), w.read(place, length), path, depth)

    def _tree(self, at: int, heap: _Heap, path: str, depth: int, deep: int) -> None:
        """A node of a group's B-tree, or a leaf of symbols."""
        w = self._window
        if deep > _TREE_DEPTH_MAX:
            raise RefusedError(f"B-tree deeper than {_TREE_DEPTH_MAX}")
        if w.read(at, 4) == b"SNOD":
            for place in range(at + 8, at + 8 + 40 * w.number(at + 6, 2), 40):
                name, header = heap.text(w.number(place, 8)), w.number(place + 8, 8)
                self._child(header, name, path, depth)
            return
        if w.read(at, 5) != b"TREE\0" or at in self._seen:
            raise RefusedError(f"no node of a group at byte {at}, or one that was seen before")
        self._seen.add(at)
        for number in range(w.number(at + 6, 2)):
            self._tree(w.number(at + 32 + 16 * number, 8), heap, path, depth, deep + 1)

    def _dataset(self, space: tuple[int, int], kind: tuple[int, int], layout: tuple[int, int], path: str) -> None:
        w = self._window
        version, second = w.read(layout[0], 2)
        shape, dtype = _shape(w, *space), _dtype(w, *kind)
        if shape is None or dtype is None:
            return
        size = math.prod(shape) * DTYPES[dtype].bits // 8
        if version in (3, 4) and second == 1:
            at, held = w.number(layout[0] + 2, 8), w.number(layout[0] + 10, 8)
        elif version in (1, 2) and w.number(layout[0] + 2, 1) == 1:
            at, held = w.number(layout[0] + 8, 8), size
        else:
            return
        if at == _NOWHERE or size == 0:
            return
        if held != size or at + size > w.size:
            raise RefusedError(f"dataset {path[:100]!r}: {held} bytes at byte {at}, shape {shape} of {dtype}")
        self.found.append(Segment(at, at + size, path, dtype, shape))


class _Heap:
    """The names of a group."""

    def __init__(self, window: Window, at: int) -> None:
        if window.read(at, 5) != b"HEAP\0":
            raise RefusedError(f"no heap at byte {at}")
        self._window, self._size, self._at = window, window.number(at + 8, 8), window.number(at + 24, 8)

    def text(self, offset: int) -> bytes:
        """The bytes from an offset to the 0 that ends them."""
        for size in (64, NAME_BYTES_MAX):
            size = min(size, self._size - offset)
            name, zero, _ = self._window.read(self._at + offset, size).partition(b"\0")
            if zero:
                return name
        raise RefusedError(f"name at byte {self._at + offset} does not end")


def _messages(window: Window, at: int) -> Iterator[tuple[int, int, int, int]]:
    """Kind, flags, start and size of the messages of an object's header, of both versions."""
    if window.read(at, 5) == b"OHDR\2":
        flags = window.number(at + 5, 1)
        width, start = 1 << (flags & 3), at + 6 + (flags >> 5 & 1) * 16 + (flags >> 4 & 1) * 4
        blocks = [(start + width, window.number(start, width))]
        head, first = 4 + (flags >> 2 & 1) * 2, 1
    elif window.number(at, 1) == 1:
        blocks, head, first = [(at + 16, window.number(at + 8, 4))], 8, 2
    else:
        raise RefusedError(f"no header of an object at byte {at}")
    while blocks:
        start, size = blocks.pop(0)
        if start + size > window.size:
            raise RefusedError(f"header at byte {at} goes on to byte {start + size}")
        place, stop = start, start + size
        while place + head <= stop:
            prefix = window.read(place, head)
            kind, length = int.from_bytes(prefix[:first], "little"), int.from_bytes(prefix[first : first + 2], "little")
            place += head
            if place + length > stop:
                raise RefusedError(f"message at byte {place} is longer than its header")
            if kind == _CONTINUED:
                more, length_more = window.number(place, 8), window.number(place + 8, 8)
                # of version 2: between a signature and a checksum
                blocks.append((more, length_more) if first == 2 else (more + 4, max(0, length_more - 8)))
            elif kind in (_SPACE, _TYPE, _EXTERNAL, _LAYOUT, _LINK, _TABLE):
                yield kind, prefix[first + 2], place, length
            place += length


def _shape(window: Window, at: int, size: int) -> tuple[int, ...] | None:
    """Of a dataspace message; None for one without elements or of an unknown version."""
    version, rank, _, kind = window.read(at, 4)
    if version not in (1, 2) or (version == 2 and kind == 2) or rank > DIMENSIONS_MAX:
        return None
    start = at + (8 if version == 1 else 4)
    if start + 8 * rank > at + size:
        raise RefusedError(f"dataspace at byte {at} is longer than its message")
    return tuple([window.number(start + 8 * i, 8) for i in range(rank)])


def _dtype(window: Window, at: int, size: int) -> str | None:
    """Of a datatype message; None if it is none of ours."""
    if size < 12:
        return None
    bits, width = window.read(at, 4), window.number(at + 4, 4)
    kind = bits[0] & 15
    if kind == 8 and size >= 20:  # of numbers with names: booleans
        return _dtype(window, at + 8, 12) if window.number(at + 8, 1) & 15 == 0 else None
    offset, precision = window.number(at + 8, 2), window.number(at + 10, 2)
    if offset or precision != 8 * width or bits[1] & 1:  # padded, or big-endian
        return None
    if kind == 0 and width in (1, 2, 4, 8):
        return f"{'I' if bits[1] & 8 else 'U'}{8 * width}"
    if kind != 1 or size < 20 or bits[1] & 64:
        return None
    place, exponent, low, mantissa = window.read(at + 12, 4)
    found = _FLOATS.get((precision, exponent, mantissa))
    return found if low == 0 and place == mantissa and bits[2] == precision - 1 else None
