"""Memory: results that are filled in place, on large pages where the system has them; and what threads work in."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections import deque
from functools import cache
from typing import Any, Final

import numpy as np

from codec.errors import LimitExceededError
from codec.limits import CHUNK_BYTES_MAX

_API: Final = ctypes.pythonapi
_NEW = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t)(("PyBytes_FromStringAndSize", _API))
_DATA = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(("PyBytes_AsString", _API))
_RESIZE = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), ctypes.c_ssize_t)(("_PyBytes_Resize", _API))
_VIEW = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)(
    ("PyMemoryView_FromMemory", _API)
)
_WRITABLE: Final = 0x200  # PyBUF_WRITE
_DROP = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(("Py_DecRef", _API))

#: From this size on large pages are asked for, as numpy does for its arrays.
_LARGE: Final = 1 << 22
_PAGE: Final = 1 << 12
_HUGEPAGE: Final = 14  # MADV_HUGEPAGE of Linux


class Filling:
    """A bytes object that nobody else holds yet, which the C API allows to fill and to resize.

    Filling a bytearray and copying it took a third of the time of decoding.
    """

    def __init__(self, size: int) -> None:
        """Raises MemoryError."""
        self._object = ctypes.c_void_p(_NEW(None, size))
        self._look(size)

    def _look(self, size: int) -> None:
        address = _DATA(self._object)
        if size >= _LARGE:
            _large_pages(address, size)
        #: Where it lies, as a writable uint8 array; not valid any more after ``resize`` and ``take``.
        self.array: Any = np.frombuffer(_VIEW(address, size, _WRITABLE), np.uint8)

    def resize(self, size: int) -> None:
        """Keep what is there. Raises MemoryError, and is lost."""
        _RESIZE(ctypes.byref(self._object), size)
        self._look(size)

    def take(self) -> bytes:
        """The bytes object; no more may be written."""
        self.array = None
        taken: bytes = ctypes.cast(self._object, ctypes.py_object).value
        return taken

    def __del__(self) -> None:
        if getattr(self, "_object", None):
            _DROP(self._object)


def new_bytes(size: int) -> Filling:
    """As many bytes to fill as a blob announces. Raises LimitExceededError if there is no memory for them."""
    try:
        return Filling(size)
    except MemoryError:
        raise LimitExceededError(f"the blob announces {size} bytes, more than there is memory for") from None


def records_room(size: int) -> int:
    """Bytes in which the records of so much can be made whatever comes of it: escapes in every 64th element, and a last
    chunk that counts as a whole one. What has less room is planned twice. Memory that is not touched costs nothing.
    """
    return size + size // 4 + (1 << 16) + (1 << 20 if size > CHUNK_BYTES_MAX else 0)


class MemorySink:
    """Takes what is written, end to end; ``expected``: bytes that it will be, about (memory is used as it is filled).

    >>> sink = MemorySink(100)
    >>> sink.write(b"we"), sink.write(b"ft"), sink.finish()
    (None, None, b'weft')
    """

    def __init__(self, expected: int) -> None:
        self._filling = Filling(expected + 2)
        self._at = 0

    def room(self) -> Any:
        """The part not yet filled (uint8): what is made there and then written need not be copied."""
        return self._filling.array[self._at :]

    def write(self, data: Any) -> None:
        """Append bytes or a uint8 array."""
        end = self._at + len(data)
        if end > self._filling.array.size:
            self._filling.resize(end + end // 4)
        place = self._filling.array[self._at : end]
        source = np.frombuffer(data, np.uint8)
        if source.ctypes.data != place.ctypes.data:
            place[:] = source
        self._at = end

    def again(self, data: bytes) -> None:
        """Write the first bytes once more."""
        self._filling.array[: len(data)] = np.frombuffer(data, np.uint8)

    def finish(self) -> bytes:
        """All that was written."""
        self._filling.resize(self._at)
        return self._filling.take()


def _large_pages(address: int, size: int) -> None:
    """Ask for large pages. Touching 45 MB of fresh memory took 16 ms without and 6 ms with them. Only advice."""
    if not sys.platform.startswith("linux"):
        return
    first, last = -(-address // _PAGE) * _PAGE, (address + size) // _PAGE * _PAGE
    _libc().madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _HUGEPAGE)


@cache
def _libc() -> Any:
    return ctypes.CDLL(None)


#: What threads that have ended worked in, for those that come: a call with several threads starts them anew.
_FREE: deque[dict[Any, Any]] = deque(maxlen=os.cpu_count() or 1)


class _Kept:
    """What one thread keeps; handed on when the thread ends."""

    def __init__(self) -> None:
        try:
            self.objects: dict[Any, Any] = _FREE.pop()
        except IndexError:
            self.objects = {}

    def __del__(self, free: deque[dict[Any, Any]] = _FREE) -> None:  # an argument, since globals go first at the end
        free.append(self.objects)


_THREAD = threading.local()


def kept() -> dict[Any, Any]:
    """What this thread keeps from one call to the next, by name: buffers, compressors. No other thread has it now.

    Fresh pages cost more than what is done with them.

    >>> kept()["demo"] = 1
    >>> kept()["demo"]
    1
    """
    try:
        objects: dict[Any, Any] = _THREAD.kept.objects
    except AttributeError:
        _THREAD.kept = _Kept()
        objects = _THREAD.kept.objects
    return objects
