"""What a copy or a delta may look at (FORMAT.md, transforms/6_copy.md): checked the same way by whoever reads."""

from __future__ import annotations

import bisect
import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from codec.errors import CorruptFileError

#: Chunks that the source of a copy may lie in, and how many times its bytes they may have.
CHUNKS_MAX: Final = 16
BYTES_MAX: Final = 64
#: Bytes that a Spool holds in memory.
_SPOOLED: Final = 1 << 24


@dataclass(frozen=True, slots=True)
class Shape:
    """A span: bytes of each chunk but the last, how many chunks, and whether it is a copy, or a delta."""

    chunk: int
    chunks: int
    copied: bool


def source_of(what: str, allowed: bool, here: int, distance: int, length: int) -> int:
    """Where the source of a copy of ``length`` bytes begins in the original, in which the copy lies at ``here``.

    ``allowed``: by the header. Raises CorruptFileError for one that does not lie before it.
    """
    if not allowed:
        raise CorruptFileError(f"{what}: a copy, in a file whose header says that there are none")
    if not length <= distance <= here:
        raise CorruptFileError(f"{what}: a copy of {length} bytes from {distance} before byte {here}")
    return here - distance


def check_source(
    what: str, starts: Sequence[int], span: int, begin: int, length: int, shape: Callable[[int], Shape]
) -> None:
    """Raise CorruptFileError for a source of a copy, span ``span``, in copies, or in too many or too large chunks.

    ``starts``: where the spans begin, that one at least to its own. ``shape(k)``: of span k.
    """
    stop = begin + length
    k, chunks, held = bisect.bisect_right(starts, begin, 0, span + 1) - 1, 0, 0
    while k < span and starts[k] < stop:
        found = shape(k)
        if found.copied:
            raise CorruptFileError(f"{what}: a copy of what is itself a copy, at byte {starts[k]}")
        low, high = max(begin, starts[k]) - starts[k], min(stop, starts[k + 1]) - 1 - starts[k]
        a, b = (min(at // found.chunk, found.chunks - 1) for at in (low, high))
        chunks += b - a + 1
        held += (starts[k + 1] - starts[k] if b == found.chunks - 1 else (b + 1) * found.chunk) - a * found.chunk
        if chunks > CHUNKS_MAX or held > BYTES_MAX * length:
            raise CorruptFileError(f"{what}: a copy of {length} bytes in {chunks} chunks of {held}, or more")
        k += 1


class Spool:
    """What went by, to be read again: in memory, and from 16 MiB on in a temporary file that has no name.

    Raises OSErrors that name the folder for temporary files: it is neither the input nor the output.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._file: Any = None
        self._size = 0

    def write(self, data: Any) -> None:
        """Append."""
        if self._file is None and self._size + len(data) <= _SPOOLED:
            self._held += data
        else:
            with _named():
                if self._file is None:
                    # without a buffer: what does not fit shows here, and not when it is closed
                    self._file = tempfile.TemporaryFile(buffering=0)
                    self._append(self._held)
                    self._held = bytearray()
                self._append(data)
        self._size += len(data)

    def _append(self, data: Any) -> None:
        rest = memoryview(data).cast("B")
        self._file.seek(0, os.SEEK_END)
        while len(rest):
            rest = rest[self._file.write(rest) :]

    def read(self, offset: int, out: Any) -> None:
        """Fill ``out`` (uint8) with the bytes from an offset on, which were written."""
        if self._file is None:
            out[:] = memoryview(self._held)[offset : offset + out.size]
            return
        rest = memoryview(out)
        with _named():
            self._file.seek(offset)
            while len(rest):
                got = self._file.readinto(rest)
                if not got:
                    raise OSError(errno.EIO, "what was written is not there")
                rest = rest[got:]

    def close(self) -> None:
        """Give memory and disk back."""
        self._held = bytearray()
        if self._file is not None:
            self._file.close()


@contextlib.contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except OSError as e:
        why = f"{e.strerror}, and what repeats in the file has to be kept here; name another folder in TMPDIR"
        raise type(e)(e.errno, why, tempfile.gettempdir()) from None
