"""Originals that were decoded before, on disk up to a limit: the least recently used go first."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from hub.serving.filling import PIECE, Filling, Following, Source

#: Share of the disk that is left free.
LEFT_FREE: Final = 0.05

_KEY: Final = re.compile(r"[0-9a-f]{64}-[0-9a-f]{32}")
_UNFINISHED: Final = re.compile(r"[0-9a-f]{64}-[0-9a-f]{32}\.[0-9a-f]{12}\.part")


def key_of(sha256: str, weft_etag: str) -> str:
    """What an original is kept under: its SHA-256, and which weft file it was decoded from. A weft file can record any
    SHA-256: with that alone, one that names another's private model would be answered with it.
    """
    return f"{sha256}-{hashlib.sha256(weft_etag.encode()).hexdigest()[:32]}"


class Store:
    """``limit``: bytes it may hold; 0 for none. What other servers left unfinished in ``folder`` is removed, unless
    they still work on it. For use from any thread.

    It gives out what it holds to whoever has its key: to ask whether a client may have it is the caller's business.
    Raises OSError if the folder can't be made.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self._lock = threading.Lock()
        self._served: Counter[str] = Counter()
        self._fillings: dict[str, Filling] = {}
        # what private repos hold is for this user only
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in folder.iterdir():
            if _UNFINISHED.fullmatch(path.name):
                _remove_abandoned(path)
        with self._lock:
            self._make_room(0)

    def body(
        self, key: str, size: int, begin: int, end: int, source: Source, rest: Callable[[int], Source]
    ) -> Held | Following | None:
        """Bytes begin..end of an original. From the file that is there; or else, if all of it is wanted, from the one
        that is being written, or that is begun now from ``source``. None if neither is possible: then ``source`` is
        still the caller's to read; otherwise it is closed.

        ``rest`` gives the bytes from an offset on, when writing fails on the way.
        """
        if not _KEY.fullmatch(key):
            return None
        with self._lock:
            body: Held | Following | None = self._held(key, size, begin, end)
            if body is None and (begin, end) == (0, size) and size > 0:
                if (filling := self._fillings.get(key)) is not None and filling.size == size:
                    body = filling.join(rest)
                if body is None:
                    return self._begin(key, size, source, rest)
        if body is not None:
            source.close()
        return body

    def close(self) -> None:
        """Remove what is unfinished."""
        with self._lock:
            fillings = list(self._fillings.values())
        for filling in fillings:
            filling.stop()
            with contextlib.suppress(OSError):
                filling.path.unlink()

    def _held(self, key: str, size: int, begin: int, end: int) -> Held | None:
        path = self.folder / key
        try:
            file = open(path, "rb", buffering=0)
        except OSError:
            return None
        if os.fstat(file.fileno()).st_size != size:
            file.close()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        self._served[key] += 1
        return Held(file, begin, end, lambda: self._let_go(key))

    def _let_go(self, key: str) -> None:
        with self._lock:
            self._served[key] -= 1
            if not self._served[key]:
                del self._served[key]

    def _begin(self, key: str, size: int, source: Source, rest: Callable[[int], Source]) -> Following | None:
        if not self._make_room(size):
            return None
        path = self.folder / f"{key}.{secrets.token_hex(6)}.part"
        try:
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b", buffering=0)
        except OSError:
            return None
        _lock_file(file)
        filling = Filling(path, file, size, source, lambda filling, right: self._finished(key, filling, right, file))
        if (reader := filling.join(rest)) is None:
            file.close()
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        self._fillings[key] = filling
        filling.start()
        return reader

    def _finished(self, key: str, filling: Filling, right: bool, file: BinaryIO) -> None:
        try:
            if right:
                # or a loss of power could leave a file of the right name and size, full of zeros
                os.fsync(file.fileno())
        except OSError:
            right = False
        with self._lock:  # so that nobody finds it in neither place
            with contextlib.suppress(OSError):
                if right:
                    os.replace(filling.path, self.folder / key)
                else:
                    filling.path.unlink()
            if self._fillings.get(key) is filling:
                del self._fillings[key]

    def _make_room(self, size: int) -> bool:
        """Whether so many bytes more fit, after removing what has not been used for longest. If not, all stays."""
        # The time of modification says when a file was last used: that of access is changed by whoever reads it
        held = []
        with contextlib.suppress(OSError):
            for entry in os.scandir(self.folder):
                with contextlib.suppress(OSError):
                    if _KEY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        held.append((entry.stat().st_mtime_ns, entry.name, entry.stat().st_size))
        coming = [(filling.size, filling.size - filling.written) for filling in self._fillings.values()]
        disk = shutil.disk_usage(self.folder)
        over = sum(size for _, _, size in held) + sum(whole for whole, _ in coming) + size - self.limit
        short = int(LEFT_FREE * disk.total) + size + sum(rest for _, rest in coming) - disk.free
        excess, victims = max(over, short), []
        for _, name, freed in sorted(held):
            if excess <= 0:
                break
            if name not in self._served:
                victims.append(name)
                excess -= freed
        if excess > 0 and size > 0:
            return False
        for name in victims:
            with contextlib.suppress(OSError):
                (self.folder / name).unlink()
        return True


class Held:
    """The body for one client, from a file that is whole."""

    def __init__(self, file: BinaryIO, begin: int, end: int, let_go: Callable[[], None]) -> None:
        self._file, self._begin, self._end, self._let_go = file, begin, end, let_go

    def __iter__(self) -> Iterator[bytes]:
        at = self._file.seek(self._begin)
        while at < self._end:
            piece = self._file.read(min(PIECE, self._end - at))
            if not piece:
                raise OSError(f"{self._file.name}: ends at byte {at} of {self._end}")
            at += len(piece)
            yield piece

    def close(self) -> None:
        """Let go of the file, which may then be removed to make room."""
        self._file.close()
        self._let_go()


def _lock_file(file: BinaryIO) -> bool:
    """Whether no other process has locked it. Systems without such locks refuse to remove what is open, instead."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_abandoned(path: Path) -> None:
    with contextlib.suppress(OSError), open(path, "r+b") as file:
        if not _lock_file(file):
            return
    with contextlib.suppress(OSError):
        path.unlink()
