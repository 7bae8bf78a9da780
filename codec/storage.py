"""Originals to read, in memory or front to back, and output that appears only when it is complete."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, BinaryIO, Final

import numpy as np

from codec.stages.geometry import Bytes, view

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

#: Written bytes after which a background thread asks the system to begin writing them to the disk.
_SYNC_EVERY: Final = 1 << 26


class BytesOriginal:
    """An original in memory."""

    def __init__(self, data: Any) -> None:
        self._data, self._at = view(data), 0
        self.size: int | None = self._data.size

    def at(self, offset: int, size: int) -> bytes:
        """See codec.writer.Original."""
        return self._data[offset : offset + size].tobytes()

    def peek(self, size: int) -> bytes:
        """See codec.writer.Original."""
        return self._data[:size].tobytes()

    def read(self, size: int) -> Bytes:
        """See codec.writer.Original."""
        out = self._data[self._at : self._at + size]
        self._at += out.size
        return out


class StreamOriginal:
    """An original read front to back from a binary file object; ``size`` None if it is not known.

    ``descriptor`` of the same file, where it is a regular one: then one can look ahead anywhere.
    """

    def __init__(self, stream: BinaryIO, size: int | None = None, descriptor: int | None = None) -> None:
        self._stream, self._ahead = stream, b""
        self.size, self._descriptor = size, descriptor
        seen = descriptor is not None and size is not None and hasattr(os, "pread")
        self.at: Callable[[int, int], bytes] | None = self._look if seen else None

    def _look(self, offset: int, size: int) -> bytes:
        assert self._descriptor is not None and self.size is not None
        size, parts = max(0, min(size, self.size - offset)), []
        while size and (part := os.pread(self._descriptor, size, offset)):
            parts.append(part)
            size, offset = size - len(part), offset + len(part)
        return b"".join(parts)

    def peek(self, size: int) -> bytes:
        """See codec.writer.Original."""
        if size > len(self._ahead):
            self._ahead += self._fill(size - len(self._ahead)).tobytes()
        return self._ahead[:size]

    def _fill(self, size: int) -> Bytes:
        """Up to ``size`` bytes, fewer only at the end of the stream; grows with what comes, not with what is asked."""
        out = np.empty(min(size, 1 << 23), np.uint8)
        at = 0
        while at < size:
            if at == out.size:
                out = np.concatenate([out, np.empty(min(size - at, at), np.uint8)])
            got = self._stream.readinto(out.data[at:])  # type: ignore[attr-defined]
            if got is None:  # which is not the end: taken for it, the rest would be lost without a word
                raise BlockingIOError(11, "input has no bytes now; it must be blocking", str(self._stream))
            if not got:
                break
            at += got
        return out[:at]

    def read(self, size: int) -> Bytes:
        """See codec.writer.Original."""
        if not self._ahead:
            return self._fill(size)
        first = np.frombuffer(self._ahead[:size], np.uint8)
        self._ahead = self._ahead[size:]
        return np.concatenate([first, self._fill(size - first.size)]) if first.size < size else first

    def read_bytes(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer only at the end."""
        return self.read(size).tobytes()


def differ(src: Any, target: Any) -> None:
    """Raise FileExistsError if an input would be replaced by its own output. ``src`` may be a file object."""
    if not hasattr(src, "read") and os.path.exists(target) and os.path.samefile(src, target):
        raise FileExistsError(17, "input and output are the same file", os.fsdecode(target))


class AtomicFile:
    """A new file that appears under its name only when complete and on the disk.

    Until then it has a temporary name beside it, which is gone in the end, whatever happens. A process that is killed
    can't see to that: what it left is removed when a file of the same name is made next. A temporary file is locked for
    as long as its owner lives, so one that can be locked is nobody's; where there are no locks, nothing is removed.

    Raises FileExistsError if the name is taken and ``force`` is false, at the start and at the end.
    """

    def __init__(self, path: str | os.PathLike[str], *, force: bool = False, mode: int | None = None) -> None:
        self.path = os.fsdecode(path)
        self._force = force
        self.fd, self.temporary, self._owner = -1, "", os.getpid()
        self._unsynced = 0
        self._syncing: threading.Thread | None = None
        self._sync_error: OSError | None = None
        folder, base = os.path.split(self.path)
        self._folder = folder or "."
        # a long name must leave room for the suffix: file systems end at 255 bytes
        start = os.fsencode(base)[:80].decode("utf-8", "ignore")
        _remove_abandoned(self._folder, start)
        if not force and os.path.lexists(self.path):
            raise FileExistsError(17, "output exists; use --force (force=True) to replace it", self.path)
        if os.path.isdir(self.path):
            raise IsADirectoryError(21, "output is a folder", self.path)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        while True:
            self.temporary = os.path.join(self._folder, f".{start}.{secrets.token_hex(6)}.tmp")
            try:
                self.fd = os.open(self.temporary, flags, 0o666)
            except OSError as e:
                raise type(e)(e.errno, e.strerror, self.path) from None
            if _held(self.fd, self.temporary):
                break
            self._remove()
        if mode is not None:
            with contextlib.suppress(OSError):
                os.fchmod(self.fd, mode & 0o777)

    def write(self, data: Any) -> None:
        """Append."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        with _named(self.path):
            while len(rest):
                rest = rest[os.write(self.fd, rest) :]
        self._written(size)

    def write_at(self, data: Any, offset: int) -> None:
        """Write at an offset; from any thread."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        with _named(self.path):
            while len(rest):
                done = os.pwrite(self.fd, rest, offset)
                rest, offset = rest[done:], offset + done
        self._written(size)

    def read_at(self, offset: int, out: Bytes) -> None:
        """Fill ``out`` (uint8) with what was written from an offset on; from any thread."""
        at = 0
        with _named(self.path):
            while at < out.size:
                part = os.pread(self.fd, out.size - at, offset + at)
                if not part:
                    raise OSError(5, "what was written is not there", self.path)
                out[at : at + len(part)] = np.frombuffer(part, np.uint8)
                at += len(part)

    def _written(self, size: int) -> None:
        self._unsynced += size
        if self._unsynced >= _SYNC_EVERY and (self._syncing is None or not self._syncing.is_alive()):
            self._unsynced = 0
            self._syncing = threading.Thread(target=self._sync, daemon=True)
            self._syncing.start()

    def _sync(self) -> None:
        try:
            os.fdatasync(self.fd) if hasattr(os, "fdatasync") else os.fsync(self.fd)
        except OSError as e:
            self._sync_error = e

    def commit(self) -> None:
        """Put the file under its name."""
        if self._syncing is not None:
            self._syncing.join()
        if self._sync_error is not None:
            raise self._sync_error
        os.fsync(self.fd)
        if self._force:
            os.replace(self.temporary, self.path)
        else:
            try:
                os.link(self.temporary, self.path)
            except FileExistsError:
                raise FileExistsError(17, "output appeared meanwhile; it was left alone", self.path) from None
            except OSError:  # no hard links here
                if os.path.lexists(self.path):
                    raise FileExistsError(17, "output appeared meanwhile; it was left alone", self.path) from None
                os.rename(self.temporary, self.path)
        with contextlib.suppress(OSError):
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def __enter__(self) -> AtomicFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with _named(self.path):
                    self.commit()
        finally:
            self._remove()

    def __del__(self) -> None:
        """Remove what an interrupt between two instructions left: before the block begins, or while it ends."""
        if getattr(self, "temporary", "") and self._owner == os.getpid():
            self._remove()

    def _remove(self) -> None:
        # first what must not be left behind: a second Ctrl-C may cut the rest short
        with contextlib.suppress(OSError):
            os.unlink(self.temporary)
        if self._syncing is not None:
            self._syncing.join()
        fd, self.fd, self.temporary = self.fd, -1, ""
        if fd >= 0:
            os.close(fd)


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Give errors of a descriptor the name of its file: a disk that fails under the output is not the input's."""
    try:
        yield
    except OSError as e:
        if e.filename is not None or e.errno is None:
            raise
        raise type(e)(e.errno, e.strerror, path) from None


def _held(fd: int, path: str) -> bool:
    """Lock a new temporary file. False if it was taken for abandoned before it was locked."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # this file system has no locks, so nothing is removed there
        return True
    return _is_at(fd, path)


def _is_at(fd: int, path: str) -> bool:
    """Whether an open file still has this name."""
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def _remove_abandoned(folder: str, start: str) -> None:
    """Remove the temporary files of outputs whose names begin so, where no living process holds them."""
    if fcntl is None:
        return
    name_of_one = re.compile(rf"\.{re.escape(start)}\.[0-9a-f]{{12}}\.tmp", re.DOTALL)
    try:
        found = [name for name in os.listdir(folder) if name_of_one.fullmatch(name)]
    except OSError:  # which whoever makes a file there will be told
        return
    for name in found:
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError):
            if not stat.S_ISREG(os.lstat(path).st_mode):
                continue
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                # shared, as a file opened for reading can be locked everywhere; an owner's lock excludes it
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                if _is_at(fd, path):
                    os.unlink(path)
            finally:
                os.close(fd)
