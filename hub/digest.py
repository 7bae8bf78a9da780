"""SHA-256 on a thread of its own: beside decoding, receiving and writing, of which each takes about as long."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

#: Pieces that wait to be hashed, at most; they are some MiB each.
WAITING: Final = 4


class Digest:
    """SHA-256 of pieces, which must not change after they were given."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self._pieces: queue.Queue[Any] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, daemon=True, name="weft-sha256")
        self._thread.start()

    def update(self, piece: Any) -> None:
        """Add bytes. Waits while too many wait already."""
        self._pieces.put(piece)

    def hexdigest(self) -> str:
        """Of all that was added; nothing can be added afterwards."""
        self.close()
        return self._sha.hexdigest()

    def close(self) -> None:
        """End the thread, once it has hashed what it was given. Again is no error."""
        if self._thread.is_alive():
            self._pieces.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._sha.update(piece)


@contextmanager
def hashing() -> Iterator[Digest]:
    """A digest whose thread ends with the block.

    >>> with hashing() as digest:
    ...     digest.update(b"weights")
    ...     digest.hexdigest()[:8]
    '9a129038'
    """
    digest = Digest()
    try:
        yield digest
    finally:
        digest.close()
