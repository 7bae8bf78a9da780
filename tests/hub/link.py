"""The line to a server: how fast bytes go over it, and how they get into a socket."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_AT_ONCE = 64 << 20

# A transfer that was late by less than this catches up; a line that lay idle owes nothing.
_CATCH_UP = 0.02


@dataclass(frozen=True)
class FilePiece:
    """A stretch of a file."""

    path: Path
    offset: int
    length: int

    def __len__(self) -> int:
        return self.length

    def part(self, start: int, stop: int) -> FilePiece:
        return FilePiece(self.path, self.offset + start, stop - start)


class Body:
    """Bytes of an answer, some of them in files."""

    def __init__(self, *pieces: bytes | FilePiece) -> None:
        self.pieces = tuple(piece for piece in pieces if len(piece))

    def __len__(self) -> int:
        return sum(len(piece) for piece in self.pieces)

    def part(self, start: int, stop: int) -> Body:
        """The bytes from ``start`` up to ``stop``."""
        chosen: list[bytes | FilePiece] = []
        for piece in self.pieces:
            low, high = max(0, start), min(len(piece), stop)
            if low < high:
                chosen.append(piece[low:high] if isinstance(piece, bytes) else piece.part(low, high))
            start, stop = start - len(piece), stop - len(piece)
        return Body(*chosen)

    def read(self) -> bytes:
        """All of it, in memory."""
        return b"".join(piece if isinstance(piece, bytes) else _read(piece) for piece in self.pieces)

    def flipped(self, at: int) -> Body:
        """The same with one bit of the byte at ``at`` turned over."""
        wrong = bytes([self.part(at, at + 1).read()[0] ^ 1])
        return Body(*self.part(0, at).pieces, wrong, *self.part(at + 1, len(self)).pieces)


class Bucket:
    """One direction of a line, shared by all connections."""

    def __init__(self, rate: float | None) -> None:
        self.rate = rate
        self._free = 0.0
        self._lock = threading.Lock()

    @property
    def piece(self) -> int:
        """How many bytes go at a time."""
        return _AT_ONCE if self.rate is None else int(min(1 << 20, max(16 << 10, self.rate * 0.002)))

    def take(self, size: int, *, first: bool) -> None:
        """Return when the last of ``size`` bytes would have arrived."""
        if self.rate is None:
            return
        with self._lock:
            now = time.perf_counter()
            begin = max(self._free, now if first else now - _CATCH_UP)
            self._free = until = begin + size / self.rate
        if (left := until - time.perf_counter()) > 0:
            time.sleep(left)


class Link:
    """A line with a rate in bytes per second each way, and a time before each answer."""

    def __init__(self, bytes_per_second: float | None = None, latency: float = 0.0) -> None:
        self.latency = latency
        self.down = Bucket(bytes_per_second)
        self.up = Bucket(bytes_per_second)

    def send(self, sock: socket.socket, body: Body, sent: Callable[[int], None]) -> None:
        """Put a body into a socket; ``sent`` is told of what went."""
        first = True
        for piece in _pieces(body, self.down.piece):
            self.down.take(len(piece), first=first)
            first = False
            if isinstance(piece, bytes):
                sock.sendall(piece)
                sent(len(piece))
            else:
                _send_file(sock, piece, sent)


def _pieces(body: Body, size: int) -> Iterator[bytes | FilePiece]:
    for piece in body.pieces:
        if len(piece) <= size:
            yield piece
            continue
        for start in range(0, len(piece), size):
            yield from Body(piece).part(start, start + size).pieces


def _send_file(sock: socket.socket, piece: FilePiece, sent: Callable[[int], None]) -> None:
    offset, left = piece.offset, piece.length
    with piece.path.open("rb") as file:
        while left:
            count = os.sendfile(sock.fileno(), file.fileno(), offset, left)
            if not count:
                raise ConnectionError(f"{piece.path} is shorter than it was")
            sent(count)
            offset, left = offset + count, left - count


def _read(piece: FilePiece) -> bytes:
    with piece.path.open("rb") as file:
        return os.pread(file.fileno(), piece.length, piece.offset)
