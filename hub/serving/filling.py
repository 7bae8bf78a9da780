"""An original on its way into the store: one thread decodes it into a file, and any number of clients follow."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

#: Bytes that are read at a time.
PIECE = 1 << 20


class Source(Protocol):
    """Bytes in order; raises at its end at the latest if they are not those that were announced."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None:
        """Let go of where they come from."""


class Filling:
    """``size`` bytes of ``source``, written to ``path``.

    Invariants: bytes 0..written of the file are final. Readers are given no more than all but one of them until the
    source has come to its end without an error: so a body that turns out to be wrong is never complete. When the last
    reader leaves early, decoding stops.
    """

    def __init__(
        self, path: Path, file: BinaryIO, size: int, source: Source, finished: Callable[[Filling, bool], None]
    ) -> None:
        """``finished`` is called at the end, from the thread, with whether the file is whole and right."""
        self.path, self.size, self.written = path, size, 0
        self._file, self._source, self._finished = file, source, finished
        self._changed = threading.Condition()
        self._readers = 0
        self._closed = False  # nobody may join any more, and nothing more is written
        self._right = False
        self._error: BaseException | None = None

    def start(self) -> None:
        """Begin. A reader must have joined."""
        threading.Thread(target=self._run, daemon=True, name="weft-fill").start()

    def join(self, rest: Callable[[int], Source]) -> Following | None:
        """A reader from the start; None if it is too late for that. ``rest`` gives the bytes from an offset on, for
        when the disk is full.
        """
        with self._changed:
            if self._closed:
                return None
            try:
                file = open(self.path, "rb", buffering=0)
            except OSError:
                return None
            self._readers += 1
        return Following(self, file, rest)

    def stop(self) -> None:
        """Let nobody join any more, and write no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def leave(self) -> None:
        """A reader is gone."""
        with self._changed:
            self._readers -= 1

    def wait(self, at: int) -> int:
        """The end of what can be read, once it lies behind ``at``; ``at`` itself if no more will be written.

        Raises what the source raised.
        """
        with self._changed:
            while True:
                end = self.written if self._right else min(self.written, self.size - 1)
                if end > at:
                    return end
                if self._error is not None:
                    raise self._error
                if self._closed:
                    return at
                self._changed.wait()

    def _run(self) -> None:
        try:
            self._copy()
        except BaseException as error:  # noqa: BLE001  # raised to whoever waits for these bytes
            self._error = error
        with contextlib.suppress(Exception):
            self._source.close()
        with self._changed:
            # what is whole can be joined until it has its name: to sync it may take seconds
            self._closed = not self._right
            self._changed.notify_all()
        try:
            self._finished(self, self._right)
        finally:
            self._file.close()
            self.stop()

    def _copy(self) -> None:
        for piece in self._source:
            try:
                rest = memoryview(piece)
                while rest:
                    rest = rest[self._file.write(rest) :]
            except OSError:  # no space, most likely: the readers go on without the file
                return
            with self._changed:
                self.written += len(piece)
                self._changed.notify_all()
                if self._readers == 0 or self._closed:
                    self._closed = True
                    return
        with self._changed:
            self._right = self.written == self.size


class Following:
    """The body for one client: what is in the file, as it grows, and the rest from elsewhere if it stops growing."""

    def __init__(self, filling: Filling, file: BinaryIO, rest: Callable[[int], Source]) -> None:
        self._filling, self._file, self._rest = filling, file, rest
        self._other: Source | None = None

    def __iter__(self) -> Iterator[bytes]:
        at, size = 0, self._filling.size
        while at < size:
            end = self._filling.wait(at)
            if end == at:
                self._other = self._rest(at)
                yield from self._other
                return
            piece = self._file.read(min(PIECE, end - at))
            if not piece:
                raise OSError(f"{self._filling.path.name}: ends at byte {at} of {end}")
            at += len(piece)
            yield piece

    def close(self) -> None:
        """Leave."""
        self._filling.leave()
        self._file.close()
        if self._other is not None:
            self._other.close()
