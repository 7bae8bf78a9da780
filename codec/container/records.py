"""Header, records and trailer (FORMAT.md, sections 2, 3 and 8)."""

from __future__ import annotations

from typing import Any, Final

from xxhash import xxh3_64_intdigest

from codec.errors import CorruptFileError, NotWeftError, TruncatedFileError, UnsupportedVersionError
from codec.limits import INDEX_STORED_MAX, RECORD_BODY_MAX

MAGIC: Final = b"\x89WEFT\r\n\x1a"
END_MAGIC: Final = b"WEFT\r\n\x1a\x89"
MAJOR: Final = 1
MINOR: Final = 0
#: Flag of the header: there may be copies (transform 6).
COPIES: Final = 1
HEADER_BYTES: Final = 16
TRAILER_BYTES: Final = 32

SPAN: Final = 1
CHUNK: Final = 2
INDEX: Final = 3
_MOST: Final = {SPAN: RECORD_BODY_MAX, CHUNK: RECORD_BODY_MAX, INDEX: INDEX_STORED_MAX}

#: Bytes of a record before its body, and in all beside its body.
HEAD_BYTES: Final = 5
FRAME_BYTES: Final = 13


def header(copies: bool = False) -> bytes:
    """The first 16 bytes of a file. ``copies``: it may hold some."""
    front = MAGIC + bytes((MAJOR, MINOR, COPIES * copies, 0))
    return front + (xxh3_64_intdigest(front) & 0xFFFFFFFF).to_bytes(4, "little")


def check_header(data: bytes | memoryview, name: str) -> tuple[int, int]:
    """(major, minor) of a file that begins with ``data``.

    Raises NotWeftError, UnsupportedVersionError, TruncatedFileError or CorruptFileError.
    """
    data = bytes(data[:HEADER_BYTES])
    if data[:8] != MAGIC:
        if data and MAGIC.startswith(data):
            raise TruncatedFileError(f"{name}: ends after {len(data)} bytes, within the header")
        what = "is empty" if not data else f"begins with {data[:8].hex(' ')}"
        raise NotWeftError(f"{name}: not a weft file ({what}, expected {MAGIC.hex(' ')})")
    if len(data) > 8 and data[8] > MAJOR:
        raise UnsupportedVersionError(
            f"{name}: format version {data[8]}; this reader knows up to {MAJOR}: install a newer weft"
        )
    if len(data) < HEADER_BYTES:
        raise TruncatedFileError(f"{name}: ends after {len(data)} bytes, within the header")
    if not header_is_sound(data):
        raise CorruptFileError(f"{name}: header checksum does not match (damaged)")
    if data[8] < 1:
        raise CorruptFileError(f"{name}: format version 0 does not exist")
    if data[10] & ~COPIES or data[11]:
        raise UnsupportedVersionError(f"{name}: header flags {data[10:12].hex()}; this reader knows {COPIES:02x}00")
    return data[8], data[9]


def may_copy(data: bytes | memoryview) -> bool:
    """Whether the header of a file, which was checked, says that there may be copies."""
    return bool(data[10] & COPIES)


def header_is_sound(data: bytes) -> bool:
    """Whether the check of a header agrees, of whatever version it is."""
    return (
        len(data) == HEADER_BYTES and int.from_bytes(data[12:], "little") == xxh3_64_intdigest(data[:12]) & 0xFFFFFFFF
    )


def record(kind: int, *parts: bytes | bytearray | memoryview) -> bytes:
    """A whole record whose body is the parts one behind the other."""
    size = sum(len(p) for p in parts)
    if size > _MOST[kind]:
        raise ValueError(f"record body of {size} bytes, at most {_MOST[kind]} are allowed")
    front = b"".join((bytes((kind,)), size.to_bytes(4, "little"), *parts))
    return front + xxh3_64_intdigest(front).to_bytes(8, "little")


def seal(kind: int, data: Any, size: int) -> int:
    """Finish a record in place; bytes in it. ``data`` (uint8) holds 5 free bytes and the body, ``size`` in all."""
    if size - HEAD_BYTES > _MOST[kind]:
        raise ValueError(f"record body of {size - HEAD_BYTES} bytes, at most {_MOST[kind]} are allowed")
    view = memoryview(data)
    view[0:1] = bytes((kind,))
    view[1:HEAD_BYTES] = (size - HEAD_BYTES).to_bytes(4, "little")
    view[size : size + 8] = xxh3_64_intdigest(view[:size]).to_bytes(8, "little")
    return size + 8


def frame_size(head: bytes | memoryview, name: str, at: int) -> tuple[int, int]:
    """(kind, bytes of the whole record) from the first 5 bytes of a record at offset ``at``."""
    if len(head) < HEAD_BYTES:
        raise TruncatedFileError(f"{name}: ends at byte {at + len(head)}, where a record should begin")
    kind, size = head[0], int.from_bytes(head[1:5], "little")
    if kind not in _MOST:
        raise UnsupportedVersionError(f"{name}: record kind {kind} at byte {at}; this reader knows 1 to 3")
    if size > _MOST[kind]:
        raise CorruptFileError(f"{name}: record at byte {at} announces {size} bytes, at most {_MOST[kind]}")
    return kind, size + FRAME_BYTES


def body_of(data: memoryview, kind: int, name: str, at: int) -> memoryview:
    """The body of the whole record ``data``, which lies at offset ``at``, after checking kind, length and checksum."""
    found, size = frame_size(data[:HEAD_BYTES], name, at)
    if found != kind:
        raise CorruptFileError(f"{name}: record at byte {at} has kind {found}, expected {kind}")
    if size != len(data):
        raise CorruptFileError(f"{name}: record at byte {at} has {size} bytes, the index says {len(data)}")
    stored = int.from_bytes(data[-8:], "little")
    actual = xxh3_64_intdigest(data[:-8])
    if stored != actual:
        raise CorruptFileError(
            f"{name}: record at byte {at}: stored checksum {stored:#018x} but bytes hash to {actual:#018x} (damaged)"
        )
    return data[HEAD_BYTES:-8]


def trailer(position: int, length: int) -> bytes:
    """The last 32 bytes of a file whose index record lies at ``position``."""
    front = position.to_bytes(8, "little") + length.to_bytes(8, "little")
    return front + xxh3_64_intdigest(front).to_bytes(8, "little") + END_MAGIC


def check_trailer(data: bytes | memoryview, file_size: int, name: str) -> tuple[int, int]:
    """(position, length) of the index record of a file that ends with ``data`` (its last 32 bytes)."""
    data = bytes(data)
    if len(data) != TRAILER_BYTES or data[24:] != END_MAGIC:
        raise TruncatedFileError(f"{name}: does not end with a weft trailer; it is cut off at byte {file_size}")
    if int.from_bytes(data[16:24], "little") != xxh3_64_intdigest(data[:16]):
        raise CorruptFileError(f"{name}: trailer checksum does not match (damaged)")
    position, length = int.from_bytes(data[:8], "little"), int.from_bytes(data[8:16], "little")
    if position < HEADER_BYTES or length < FRAME_BYTES or position + length + TRAILER_BYTES != file_size:
        raise CorruptFileError(
            f"{name}: trailer places {length} bytes of index at {position} in a file of {file_size} bytes"
        )
    if length > INDEX_STORED_MAX + FRAME_BYTES:
        raise CorruptFileError(f"{name}: index of {length} bytes, at most {INDEX_STORED_MAX} are allowed")
    return position, length
