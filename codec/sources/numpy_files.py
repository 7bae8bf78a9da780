"""NumPy files: .npy, and .npz archives of them.

    6 bytes    "\\x93NUMPY"
    2 bytes    version: 1.0, 2.0 or 3.0
    2 bytes    n, unsigned little-endian (4 bytes in versions 2.0 and 3.0)
    n bytes    a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, spaces, a line feed
    the rest   the elements

The header is matched as numpy has always written it, and not evaluated. Arrays of objects, records or strings, and
big-endian ones, are refused. An .npz archive is a zip archive whose members are .npy files; those that are deflated
are left as they are.
"""

from __future__ import annotations

import math
import re
from typing import Final

from codec.dtypes import DTYPES
from codec.limits import DIMENSIONS_MAX, EMPTY_TENSORS_MAX
from codec.sources.segment import Look, Peek, RefusedError, Segment, tiled
from codec.sources.zip_directory import members, payload

#: The name of the array in an .npy file.
ALONE: Final = "array"

_MAGIC: Final = b"\x93NUMPY"
_LENGTH_BYTES: Final = {1: 2, 2: 4, 3: 4}
#: Bytes of a header that are read, at most. Numpy itself refuses more than 10,000 by default.
_HEADER_MAX: Final = 1 << 14
_INTEGER_END: Final = 1 << 63

_HEADER: Final = re.compile(
    rb"\{'descr': '([<|][A-Za-z][0-9]{1,2}(?:\[[0-9]{0,9}[a-zA-Z]{1,2}\])?)', 'fortran_order': (True|False), "
    rb"'shape': \(((?:[0-9]{1,19}L?, ?)*(?:[0-9]{1,19}L?)?)\), ?\} *\n"
)

#: Numpy's types -> ours, and how many of ours one of numpy's is, and whether a reader would know it by ours. A complex
#: number of doubles is coded as two of them, a time as the integer that it is. "V2" is what numpy calls a type of two
#: bytes that it does not know; that of any array of numbers is bfloat16 (jax saves them so).
_TYPES: Final[dict[str, tuple[str, int, bool]]] = {
    "|b1": ("BOOL", 1, True),
    "|u1": ("U8", 1, True),
    "|i1": ("I8", 1, True),
    "<u2": ("U16", 1, True),
    "<i2": ("I16", 1, True),
    "<u4": ("U32", 1, True),
    "<i4": ("I32", 1, True),
    "<u8": ("U64", 1, True),
    "<i8": ("I64", 1, True),
    "<f2": ("F16", 1, True),
    "<f4": ("F32", 1, True),
    "<f8": ("F64", 1, True),
    "<c8": ("C64", 1, True),
    "<c16": ("F64", 2, False),
    "<M8": ("I64", 1, False),
    "<m8": ("I64", 1, False),
    "<V2": ("BF16", 1, False),
    "|V2": ("BF16", 1, False),
}


class NotNumpyError(RefusedError):
    """The bytes are no file of numpy's, or one of elements that are no numbers, as the message says."""


def parse_npy(look: Look) -> list[Segment]:
    """The segments of an .npy file: its header and its array, which is named "array".

    >>> header = b"{'descr': '<f2', 'fortran_order': False, 'shape': (3,), }\\n"
    >>> data = b"\\x93NUMPY\\1\\0" + len(header).to_bytes(2, "little") + header + bytes(6)
    >>> [(s.start, s.stop, s.name, s.dtype, s.shape) for s in parse_npy(Look.of(data))]
    [(0, 68, '', '', ()), (68, 74, 'array', 'F16', (3,))]

    Raises NotNumpyError for what is none.
    """
    array = _array(look.peek, ALONE)
    if look.size is not None and array.stop != look.size:
        raise NotNumpyError(f"the array ends at byte {array.stop}, the file at byte {look.size}")
    return tiled([array], look.size)


def parse_npz(look: Look) -> list[Segment]:
    """The segments of an .npz file: the arrays in it that are not deflated, by their names.

    Raises RefusedError for an archive that is not sound, and for one without such arrays.
    """
    found, empty = [], EMPTY_TENSORS_MAX
    for member in members(look):
        if not member.stored or not member.name.endswith(".npy"):
            continue
        start, stop = payload(look, member)
        try:
            array = _array(_Part(look, start, stop).peek, member.name.removesuffix(".npy"), start)
        except NotNumpyError:  # strings, or objects
            continue
        if array.stop != stop:
            raise NotNumpyError(f"the array ends at byte {array.stop}, its member at byte {stop}")
        empty -= array.size == 0
        if array.size or empty >= 0:
            found.append(array)
    if not found:
        raise NotNumpyError("an archive without stored arrays")
    return tiled(found, look.size)


class _Part:
    """Bytes start..stop of an original, as an original."""

    def __init__(self, look: Look, start: int, stop: int) -> None:
        self._look, self._start, self._stop = look, start, stop

    def peek(self, size: int) -> bytes:
        """Its first bytes."""
        assert self._look.at is not None
        return self._look.at(self._start, min(size, self._stop - self._start))


def _array(peek: Peek, name: str, start: int = 0) -> Segment:
    """The array of an .npy file that begins at byte ``start`` of the original."""
    head = peek(len(_MAGIC) + 6)
    if head[: len(_MAGIC)] != _MAGIC or len(head) < len(_MAGIC) + 6 or head[6] not in _LENGTH_BYTES or head[7]:
        raise NotNumpyError("not the first bytes of an .npy file")
    begin = 8 + _LENGTH_BYTES[head[6]]
    length = int.from_bytes(head[8:begin], "little")
    if length > _HEADER_MAX:
        raise NotNumpyError(f"a header of {length} bytes, at most {_HEADER_MAX} are read")
    header = _HEADER.fullmatch(peek(begin + length), begin)
    if header is None:
        raise NotNumpyError("a header that numpy does not write, or that of an array of no numbers")
    known = _TYPES.get(header[1].decode("ascii").partition("[")[0])
    shape = tuple(int(n.rstrip(b" L")) for n in header[3].replace(b" ", b"").split(b",") if n)
    if known is None or len(shape) > DIMENSIONS_MAX or any(n >= _INTEGER_END for n in shape):
        raise NotNumpyError(f"an array of {header[1]!r} with {len(shape)} dimensions")
    dtype, times, listed = known
    if header[2] == b"True":  # in the order in which they lie, the last dimension is the slowest
        listed = listed and sum(n != 1 for n in shape) < 2
        shape = shape if listed else shape[::-1]
    first = start + begin + length
    size = math.prod(shape) * times * (DTYPES[dtype].bits // 8)
    return Segment(first, first + size, name, dtype, shape if times == 1 else (*shape, times), listed)
