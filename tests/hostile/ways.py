"""Every way to read a weft file, and what each may give of a file that somebody damaged.

The contract. Of any bytes whatever, each way gives an error of codec.errors or the exact original. What is not in the
original but about it is in the index alone, so whoever can write checksums can change it: names of tensors; their
element types and shapes, as long as the bits stay as many; which spans of fitting size are a tensor (its bytes are the
bytes of the original from its offset on, in any case); what the writer took the original for, and the level; and the
SHA-256, which ways that read everything front to back compare. Nothing else can change unseen, as long as each
chunk's hash of the decoded bytes is left as it was. (Who writes these, too, writes another file.)
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import codec
from codec.streaming import decode_stream

#: Where whole files are written: in memory if there is such a place, since each is synced.
FOLDER: Final = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))


class OneWay:
    """A binary file object that cannot seek, and gives few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, 1000) if size >= 0 else -1)


def by_bytes(blob: bytes) -> bytes:
    return codec.decompress(blob)


def by_stream(blob: bytes) -> bytes:
    out = io.BytesIO()
    decode_stream(io.BytesIO(blob).read, out.write, "f")
    return out.getvalue()


def by_file_object(blob: bytes) -> bytes:
    out = io.BytesIO()
    codec.decompress_file(OneWay(blob), out)  # type: ignore[arg-type]
    return out.getvalue()


def by_file(blob: bytes) -> bytes:
    source, target = FOLDER / "a.weft", FOLDER / "a"
    source.write_bytes(blob)
    try:
        codec.decompress_file(source, target, force=True)
        return target.read_bytes()
    finally:
        left = [name for name in os.listdir(FOLDER) if name not in ("a.weft", "a")]
        target.unlink(missing_ok=True)
        assert not left, left


def by_verify(blob: bytes) -> None:
    codec.verify_file(io.BytesIO(blob))


def by_tensors(blob: bytes) -> list[tuple[int, bytes]]:
    """(offset in the original, bytes) of each tensor; that they have a type and a shape is seen on the way."""
    with codec.safe_open(io.BytesIO(blob)) as file:
        starts = {t.name: t.start for t in codec.inspect_file(io.BytesIO(blob)).tensors}
        file.metadata()
        found = []
        for name in file.offset_keys():
            part = file.get_slice(name)
            assert part.get_dtype()
            try:
                found.append((starts[name], file.get_tensor(name).tobytes()))
            except codec.LimitExceededError:  # of a shape that no array can have, in a sound file
                assert 0 in part.get_shape()
        assert sorted(file.keys()) == sorted(starts)
        return found


WAYS: Final[dict[str, Callable[[bytes], Any]]] = {
    "bytes": by_bytes,
    "stream": by_stream,
    "file object": by_file_object,
    "file": by_file,
    "verify": by_verify,
    "tensors": by_tensors,
}


def outcome(way: str, blob: bytes, original: bytes) -> bool:
    """Whether a way reads a file; what it gives is right, or the error one of codec.errors. Else AssertionError."""
    try:
        got = WAYS[way](blob)
    except codec.CodecError as error:
        assert str(error)  # noqa: PT017  # what it says is for people
        return False
    if way == "tensors":
        for start, data in got:
            assert original[start : start + len(data)] == data, "a tensor is not its bytes of the original"
    elif way != "verify":
        assert got == original, "other bytes than the original"
    return True
