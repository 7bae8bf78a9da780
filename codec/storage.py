"""Originals to read, in memory or front to back, and output that appears only when it is complete."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from types import TracebackType
from typing import Any, BinaryIO, Final

import numpy as np

from codec.stages.geometry import Bytes, view

#: Written bytes after which a background thread asks the system to begin writing them to the disk.
_SYNC_EVERY: Final = 1 << 26


class BytesOriginal:
    """An original in memory."""

    def __init__(self, data: Any) -> None:
        self._data, self._at = view(data), 0
        self.size: int | None = self._data.size

    def peek(self, size: int) -> bytes:
        """See codec.writer.Original."""
        return self._data[:size].tobytes()

    def read(self, size: int) -> Bytes:
        """See codec.writer.Original."""
        out = self._data[self._at : self._at + size]
        self._at += out.size
        return out


class StreamOriginal:
    """An original read front to back from a binary file object; ``size`` None if it is not known."""

    def __init__(self, stream: BinaryIO, size: int | None = None) -> None:
        self._stream, self._ahead = stream, b""
        self.size = size

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


class AtomicFile:
    """A new file that appears under its name only when complete and on the disk.

    Until then it has a temporary name beside it, which is gone in the end, whatever happens.

    Raises FileExistsError if the name is taken and ``force`` is false, at the start and at the end.
    """

    def __init__(self, path: str | os.PathLike[str], *, force: bool = False, mode: int | None = None) -> None:
        self.path = os.fsdecode(path)
        self._force = force
        if not force and os.path.lexists(self.path):
            raise FileExistsError(17, "output exists; use --force (force=True) to replace it", self.path)
        if os.path.isdir(self.path):
            raise IsADirectoryError(21, "output is a folder", self.path)
        folder, base = os.path.split(self.path)
        self._folder = folder or "."
        # a long name must leave room for the suffix: file systems end at 255 bytes
        start = os.fsencode(base)[:80].decode("utf-8", "ignore")
        self._temporary = os.path.join(self._folder, f".{start}.{secrets.token_hex(6)}.tmp")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            self.fd = os.open(self._temporary, flags, 0o666)
        except OSError as e:
            raise type(e)(e.errno, e.strerror, self.path) from None
        self._unsynced = 0
        self._syncing: threading.Thread | None = None
        self._sync_error: OSError | None = None
        if mode is not None:
            with contextlib.suppress(OSError):
                os.fchmod(self.fd, mode & 0o777)

    def write(self, data: Any) -> None:
        """Append."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while len(rest):
            rest = rest[os.write(self.fd, rest) :]
        self._written(size)

    def write_at(self, data: Any, offset: int) -> None:
        """Write at an offset; from any thread."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while len(rest):
            done = os.pwrite(self.fd, rest, offset)
            rest, offset = rest[done:], offset + done
        self._written(size)

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
            os.replace(self._temporary, self.path)
        else:
            try:
                os.link(self._temporary, self.path)
            except FileExistsError:
                raise FileExistsError(17, "output appeared meanwhile; it was left alone", self.path) from None
            except OSError:  # no hard links here
                if os.path.lexists(self.path):
                    raise FileExistsError(17, "output appeared meanwhile; it was left alone", self.path) from None
                os.rename(self._temporary, self.path)
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
                self.commit()
        finally:
            # first what must not be left behind: a second Ctrl-C may cut the rest short
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)
            if self._syncing is not None:
                self._syncing.join()
            os.close(self.fd)
