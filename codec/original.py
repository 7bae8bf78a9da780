"""The original of a weft file as a file of its own: read anywhere, or front to back by several threads."""

from __future__ import annotations

import bisect
import contextlib
import io
import os
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from codec.access import FileSource, opened
from codec.engine import in_order, thread_count
from codec.reader import TASK_BYTES, Source, Task, WeftFile
from codec.report import FileInfo

if TYPE_CHECKING:
    from codec.stages.geometry import Bytes

Again = Callable[[int, Any], bool]


def open_original(path: str | os.PathLike[str] | BinaryIO | Source) -> OriginalFile:
    """Open the original of a weft file for reading, decoding what is read when it is read.

    ``path``: a path, a URL that fsspec knows ("hf://org/repo/model.safetensors.weft"), a seekable binary file object,
    or anything with ``name``, ``size`` and ``read_at(offset, size)``, which several threads may call at once: that is
    all it takes to read from a storage system. Objects are left open.

    Raises OSError and the errors of codec.errors.

    >>> import codec, io
    >>> with codec.open_original(io.BytesIO(codec.compress(bytes(range(200))))) as file:
    ...     _ = file.seek(100)
    ...     file.size, file.read(3)
    (200, b'def')
    """
    return OriginalFile(path)


class OriginalFile(io.RawIOBase):
    """A read-only, seekable binary file; every chunk that is read is checked. Use from one thread at a time, but for
    :meth:`pieces`, which may be called from any.

    ``size``: bytes of the original. ``sha256``: of the whole original as the writer recorded it, in hex; empty where it
    did not. Reading does not compare it: who reads all of it can.
    """

    def __init__(self, path: str | os.PathLike[str] | BinaryIO | Source) -> None:
        with contextlib.ExitStack() as stack:
            source: Any = path
            if not hasattr(path, "read_at"):
                source = FileSource(*stack.enter_context(opened(path)))
            self._file = WeftFile(source)
            self._release = weakref.finalize(self, stack.pop_all().close)
        self.size, self.sha256 = self._file.index.original, self._file.index.sha256.hex()
        self._at = 0
        self._last: tuple[Task, Bytes] | None = None

    @property
    def info(self) -> FileInfo:
        """What header and index say."""
        return self._file.info()

    def pieces(
        self, begin: int = 0, end: int | None = None, *, threads: int | None = None, again: Again | None = None,
    ) -> Iterator[memoryview]:  # fmt: skip
        """Bytes begin..end of the original, in order, in pieces of some MiB at most, decoded by several threads ahead.

        The stored bytes are asked for in the order in which they lie in the weft file, a few MiB apart at most; but for
        those of bytes that the original has twice, which are asked for again where the second time comes. Who keeps
        what was decoded says so with ``again(offset, out)``, from any thread: it fills ``out`` (uint8) with the bytes
        of the original from ``offset`` on if they are at hand, and returns whether they were.

        >>> import codec, io
        >>> file = codec.open_original(io.BytesIO(codec.compress(b"weights" * 9)))
        >>> b"".join(file.pieces(56))
        b'weights'
        """
        import numpy as np

        end = self.size if end is None else min(end, self.size)
        file = self._file if again is None else self._file.with_decoded(again)

        def work(task: Task) -> tuple[Task, Bytes]:
            out = np.empty(task.end - task.begin, np.uint8)
            file.run(task, out)
            return task, out

        if begin < end:
            for task, out in in_order(file.tasks(begin, end), work, thread_count(threads)):
                yield out[max(0, begin - task.begin) : end - task.begin].data

    def stored_offset(self, begin: int = 0) -> int:
        """Where in the weft file lies the first byte that :meth:`pieces` asks for: who reads ahead begins there."""
        k = bisect.bisect_right(self._file.starts, min(max(begin, 0), self.size)) - 1
        return int(self._file.offsets[min(k, len(self._file.offsets) - 1)])

    @property
    def repeats(self) -> bool:
        """Whether the original may have bytes twice that are stored once: see ``again`` of :meth:`pieces`."""
        return self._file.copies

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Say where the next read begins. Raises ValueError for a place before the start."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}.get(whence)
        if base is None or base + offset < 0:
            raise ValueError(f"seek to {offset} from {whence}: no such place")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; fewer bytes than asked for come only at the end."""
        if self.closed:
            raise ValueError("file is closed")
        out = memoryview(buffer).cast("B")
        at, end = self._at, min(self._at + len(out), self.size)
        pieces = self.pieces(at, end) if end - at >= TASK_BYTES else self._held(at, end)
        for piece in pieces:
            out[at - self._at : at - self._at + len(piece)] = piece
            at += len(piece)
        done, self._at = max(0, at - self._at), max(at, self._at)
        return done

    def _held(self, at: int, end: int) -> Iterator[memoryview]:
        """As pieces, for small reads: what was decoded for the last one is kept for the next."""
        import numpy as np

        for task in self._file.tasks(at, end) if at < end else ():
            if self._last is None or self._last[0] != task:
                out = np.empty(task.end - task.begin, np.uint8)
                self._file.run(task, out)
                self._last = task, out
            yield self._last[1][max(0, at - task.begin) : end - task.begin].data

    def close(self) -> None:
        """Close the file (not an object that came from the caller). Again is no error."""
        if not self.closed:
            self._last = None
            self._release()
        super().close()
