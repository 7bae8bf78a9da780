"""Reading ahead of a decoder that goes front to back: the wire is never idle while chunks are decoded."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Final

import codec
from hub.remote import RemoteFile

#: Bytes received before anyone asked for them, at most.
AHEAD: Final = 1 << 25
#: Bytes kept behind the last that were asked for: decoders on several threads ask a little out of order.
BEHIND: Final = 1 << 25
#: A gap up to this is read through; over a larger one, the stream begins anew behind it.
GAP: Final = 1 << 23
#: Bytes asked for at a time of those that are wanted a second time.
AGAIN: Final = 1 << 23


class Ahead:
    """A Source over a remote file: single ranges, or within :meth:`streaming` one stream that a thread receives.

    ``known``: ranges (offset, size) that were read before, by this or another reader of the same file; reads outside of
    :meth:`streaming`, which are those of header and index, are added to it.

    Invariant: ``_blocks`` holds bytes first..end without gaps, where ``_first`` is the offset of the first block.
    """

    def __init__(self, file: RemoteFile, known: dict[tuple[int, int], memoryview] | None = None) -> None:
        self._file, self.name, self.size = file, file.name, file.size
        self.known = {} if known is None else known
        self._changed = threading.Condition()
        self._streaming = False
        #: Of the thread that receives; any other number tells it to stop.
        self._number = 0
        self._blocks: deque[bytes | memoryview] | None = None
        self._first = self._end = self._wanted = 0
        self._error: BaseException | None = None
        self._behind = threading.Lock()
        self._block: tuple[int, memoryview] = 0, memoryview(b"")

    @contextmanager
    def streaming(self, begin: int) -> Iterator[None]:
        """Within this, reads come from one stream, which begins at this offset."""
        with self._changed:
            self._streaming = True
            self._begin(begin)
        try:
            yield
        finally:
            with self._changed:
                self._streaming = False
                self._number += 1
                self._blocks, self._wanted, self._error = None, 0, None
                self._changed.notify_all()

    def read_at(self, offset: int, size: int) -> memoryview:
        """Exactly ``size`` bytes. Raises codec.TruncatedFileError, and what the remote file raises."""
        if offset < 0 or offset + size > self.size:
            what = f"{self.name}: ends at byte {self.size}, bytes to {offset + size} were expected"
            raise codec.TruncatedFileError(what)
        if not self._streaming:
            if (offset, size) not in self.known:
                self.known[offset, size] = self._file.read_at(offset, size)
            return self.known[offset, size]
        with self._changed:
            if offset >= self._first:
                if offset > self._end + GAP:
                    self._begin(offset)
                self._wanted = max(self._wanted, offset + size)
                self._changed.notify_all()
                while self._end < offset + size:
                    if self._error is not None:
                        raise self._error
                    self._changed.wait()
                return self._cut(offset, size)
        return self._read_again(offset, size)

    def _read_again(self, offset: int, size: int) -> memoryview:
        """Bytes that the stream has passed, of what the original has twice: it goes on where it is."""
        with self._behind:
            at, held = self._block
            if not at <= offset <= offset + size <= at + len(held):
                # what comes next is likely to be wanted next; the tail is known
                at, held = self._block = offset, self._file.read_at(offset, min(max(size, AGAIN), self.size - offset))
            return held[offset - at : offset - at + size]

    def _begin(self, offset: int) -> None:
        self._blocks, self._first, self._end, self._error = deque(), offset, offset, None
        self._wanted = max(self._wanted, offset)
        self._number += 1
        threading.Thread(target=self._receive, args=(self._number, offset), daemon=True, name="weft-ahead").start()

    def _receive(self, number: int, offset: int) -> None:
        stream = self._blocks_from(offset)
        try:
            for block in stream:
                with self._changed:
                    while number == self._number and self._end - self._wanted > AHEAD:
                        self._changed.wait()
                    if number != self._number:
                        return
                    assert self._blocks is not None
                    self._blocks.append(block)
                    self._end += len(block)
                    while self._blocks and self._first + len(self._blocks[0]) < self._wanted - BEHIND:
                        self._first += len(self._blocks.popleft())
                    self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001  # raised to whoever waits for these bytes
            with self._changed:
                if number == self._number:
                    self._error = error
                    self._changed.notify_all()
        finally:
            stream.close()

    def _blocks_from(self, offset: int) -> Generator[bytes | memoryview]:
        """The rest of the file; its end, which was read with the index, is not asked for again."""
        ends = [start for start, size in self.known if start + size == self.size]
        tail = max(offset, min(ends, default=self.size))
        yield from self._file.stream(offset, tail)
        for (start, size), held in self.known.items():
            if start + size == self.size and start <= tail < self.size:
                yield held[tail - start :]
                return

    def _cut(self, offset: int, size: int) -> memoryview:
        assert self._blocks is not None
        parts, at = [], self._first
        for block in self._blocks:
            if at + len(block) > offset:
                parts.append(memoryview(block)[max(0, offset - at) : offset + size - at])
            at += len(block)
            if at >= offset + size:
                break
        return parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
