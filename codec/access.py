"""Where stored bytes come from: memory, files, file objects. Imports no numpy, so that describing a file is quick."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import stat
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from codec.errors import TruncatedFileError

#: What a path never begins with that anyone would give a file.
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(::[a-z0-9]+)*://")


class BytesSource:
    """A weft file in memory."""

    def __init__(self, data: Any, name: str = "blob") -> None:
        self._data = memoryview(data).cast("B")
        self.name, self.size = name, len(self._data)

    def read_at(self, offset: int, size: int) -> memoryview:
        """See codec.reader.Source."""
        if offset < 0 or offset + size > self.size:
            raise TruncatedFileError(f"{self.name}: ends at byte {self.size}, bytes to {offset + size} were expected")
        return self._data[offset : offset + size]


class FileSource:
    """A weft file on disk, or any seekable binary file object."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self.name = file, name
        self._lock = threading.Lock()
        #: Bytes that were read.
        self.received = 0
        # only of these is it sure that the descriptor gives the bytes that read() gives: not of gzip's files, for one
        plain = type(file) in (io.FileIO, io.BufferedReader) and hasattr(os, "pread")
        self._fd = file.fileno() if plain else -1
        if self._fd >= 0 and not stat.S_ISREG(os.fstat(self._fd).st_mode):
            self._fd = -1
        try:
            self.size = os.fstat(self._fd).st_size if self._fd >= 0 else file.seek(0, os.SEEK_END)
        except OSError as e:
            why = "cannot seek, and the index of a weft file is at its end: save it to a file first"
            raise type(e)(e.errno, why, name) from None

    def read_at(self, offset: int, size: int) -> memoryview:
        """See codec.reader.Source."""
        if offset < 0 or offset + size > self.size:
            raise TruncatedFileError(f"{self.name}: ends at byte {self.size}, bytes to {offset + size} were expected")
        parts, at = [], offset
        while at < offset + size:
            if self._fd >= 0:
                part = os.pread(self._fd, offset + size - at, at)
            else:
                with self._lock:
                    self._file.seek(at)
                    part = self._file.read(offset + size - at)
            if not part:
                raise TruncatedFileError(f"{self.name}: gave no bytes at {at}; it became shorter while being read")
            parts.append(part)
            at += len(part)
        with self._lock:
            self.received += size
        return memoryview(parts[0] if len(parts) == 1 else b"".join(parts))


@contextlib.contextmanager
def opened(path: Any) -> Iterator[tuple[BinaryIO, str]]:
    """A binary file object and its name for messages, from a path, a URL that fsspec knows ("hf://org/repo/file"), or a
    file object (which is left open).
    """
    if hasattr(path, "read"):
        yield path, str(getattr(path, "name", "stream"))
        return
    name = os.fspath(path)
    if isinstance(name, str) and _URL.match(name):
        import fsspec

        # no cache: the reader knows what it needs, and asks for nothing twice
        try:
            system, place = fsspec.url_to_fs(name)
        except (ValueError, ImportError) as error:
            raise OSError(errno.EINVAL, f"no URL that can be read here: {error}", name) from None
        with system.open(place, "rb", cache_type="none") as file:
            yield file, name
        return
    with open(name, "rb", buffering=0) as file:
        yield file, os.fsdecode(name)
