"""Zip archives: where their members lie. Only the directory at the end is read, then a header for each one asked for.

    members    local header (30 bytes, name, extra fields), payload, maybe a data descriptor; one behind the other
    directory  46 bytes, name, extra fields and comment for each member
    end        zip64: 56 bytes that say where the directory lies, 20 bytes that say where those lie; then 22 bytes

Strict, so that two readers never see two archives in one file: the first member begins at byte 0, members don't
overlap, the directory ends where the end begins and that is the end of the file (no comment), there is one disk,
nothing is encrypted, no name occurs twice, and a local header says what the directory says.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from codec.sources.segment import At, Look, RefusedError

#: Members, and bytes of the directory, at most: twenty times those of the largest checkpoints.
MEMBERS_MAX: Final = 1 << 18
DIRECTORY_BYTES_MAX: Final = 1 << 26

#: How the archives begin that have a member.
SIGNATURE: Final = b"PK\x03\x04"

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_ENTRY: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_END64: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR: Final = struct.Struct("<4sIQI")
_FULL16: Final = 0xFFFF
_FULL32: Final = 0xFFFFFFFF

#: Bits of a header's flags: how hard deflate tried (1, 2), sizes follow the payload (3), the name is UTF-8 (11).
_SIZES_BEHIND: Final = 1 << 3
_UTF8: Final = 1 << 11
_FLAGS: Final = 6 | _SIZES_BEHIND | _UTF8


class NotZipError(RefusedError):
    """The bytes break a rule of zip archives, which the message names."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member as the directory has it. ``at``: of its local header; ``end``: where the next one or the directory
    begins; ``packed``: bytes of its payload, ``size``: after decompression; ``stored``: it is not compressed."""

    name: str
    raw: bytes
    at: int
    end: int
    packed: int
    size: int
    stored: bool
    flags: int


def members(look: Look) -> list[Member]:
    """The members of an archive, in order of offset. Raises :class:`NotZipError` for what is none, or an odd one.

    >>> import io, zipfile
    >>> with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
    ...     archive.writestr("a", b"weights")
    >>> [(m.name, m.at, m.size, m.stored) for m in members(Look.of(file.getvalue()))]
    [('a', 0, 7, True)]
    """
    at, size = look.at, look.size
    if at is None or size is None or look.peek(4) != SIGNATURE:
        raise NotZipError("no archive, or one that comes out of a pipe")
    start, stop, count = _directory(at, size)
    found = sorted(_entries(at(start, stop - start), count, start), key=lambda m: m.at)
    if not found or found[0].at:
        raise NotZipError("no member begins at byte 0")
    ends = [m.at for m in found[1:]] + [start]
    for m, end in zip(found, ends, strict=True):
        if m.at + _LOCAL.size + len(m.raw) + m.packed > end:
            raise NotZipError(f"member {m.name!r:.99} at byte {m.at} reaches beyond byte {end}, where the next begins")
    if len({m.name for m in found}) < count:
        raise NotZipError("two members have one name")
    return [replace(m, end=end) for m, end in zip(found, ends, strict=True)]


def payload(look: Look, member: Member) -> tuple[int, int]:
    """Where the bytes of a stored member begin and end. Raises NotZipError if its local header says otherwise.

    >>> import io, zipfile
    >>> with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
    ...     archive.writestr("a", b"weights")
    >>> look = Look.of(file.getvalue())
    >>> payload(look, members(look)[0])
    (31, 38)
    """
    assert look.at is not None
    raw, where = member.raw, f"local header of {member.name!r:.99} at byte {member.at}"
    head = look.at(member.at, _LOCAL.size + len(raw))
    if len(head) < _LOCAL.size + len(raw):
        raise NotZipError(f"{where} is cut short")
    signature, _, flags, method, _, _, _, packed, size, name, extra = _LOCAL.unpack_from(head)
    if signature != SIGNATURE or flags != member.flags or method or name != len(raw) or head[_LOCAL.size :] != raw:
        raise NotZipError(f"{where} is not what the directory says")
    start = member.at + len(head) + extra
    if _FULL32 in (packed, size):
        fields = _zip64(look.at(start - extra, extra), (size, packed))
        size, packed = fields if len(fields) == 2 else (-1, -1)
    unknown = (0, 0) if flags & _SIZES_BEHIND else (member.size, member.packed)
    if not member.stored or (size, packed) not in ((member.size, member.packed), unknown):
        raise NotZipError(f"{where} says that it has {packed} bytes, the directory says {member.packed}")
    if start + member.size > member.end:
        raise NotZipError(f"{where} pushes its payload beyond byte {member.end}")
    return start, start + member.size


def _directory(at: At, size: int) -> tuple[int, int, int]:
    """Where the directory starts and stops, and how many members it has."""
    last = size - _END.size
    tail = at(max(0, last - _LOCATOR.size), _LOCATOR.size + _END.size)
    if last < 0 or len(tail) != min(size, _LOCATOR.size + _END.size):
        raise NotZipError("too short for an archive")
    signature, disk, first, here, count, length, start, comment = _END.unpack(tail[-_END.size :])
    if signature != b"PK\x05\x06" or comment or disk != first:
        raise NotZipError("no end of a directory in the last 22 bytes")
    stop = last
    if tail.startswith(b"PK\x06\x07"):
        _, first_disk, stop, disks = _LOCATOR.unpack_from(tail)
        if first_disk or disks > 1 or stop + _END64.size + _LOCATOR.size != last:
            raise NotZipError(f"the zip64 end is not at byte {last - _LOCATOR.size - _END64.size}")
        wide = _END64.unpack(at(stop, _END64.size).ljust(_END64.size, b"\0"))
        narrow = (here, count, length, start)
        here, count, length, start = wide[6:]
        if wide[:2] != (b"PK\x06\x06", _END64.size - 12) or wide[4:6] != (0, 0):
            raise NotZipError(f"no zip64 end at byte {stop}")
        for short, full, most in zip(narrow, wide[6:], (_FULL16, _FULL16, _FULL32, _FULL32), strict=True):
            if short not in (most, full):
                raise NotZipError("the two ends of the directory contradict each other")
    elif disk:
        raise NotZipError("several disks")
    if here != count or count > MEMBERS_MAX or length > DIRECTORY_BYTES_MAX:
        raise NotZipError(f"{count} members in a directory of {length} bytes: too many")
    if start + length != stop:
        raise NotZipError(f"the directory ends at byte {start + length}, its end begins at byte {stop}")
    return start, stop, count


def _entries(directory: bytes, count: int, start: int) -> Iterator[Member]:
    at = 0
    for _ in range(count):
        if at + _ENTRY.size > len(directory):
            raise NotZipError("the directory is cut short")
        signature, _, _, flags, method, _, _, _, packed, size, name, extra, comment, disk, _, _, offset = (
            _ENTRY.unpack_from(directory, at)
        )
        raw = directory[at + _ENTRY.size : at + _ENTRY.size + name]
        fields = directory[at + _ENTRY.size + name : at + _ENTRY.size + name + extra]
        at += _ENTRY.size + name + extra + comment
        if signature != b"PK\x01\x02" or at > len(directory) or flags & ~_FLAGS or disk:
            raise NotZipError("the directory has an entry that is none, or encrypted, or on another disk")
        if _FULL32 in (size, packed, offset):
            wide = _zip64(fields, (size, packed, offset))
            if len(wide) != 3:
                raise NotZipError("an entry without the zip64 field that it needs")
            size, packed, offset = wide
        if packed > start or offset > start or (method == 0 and packed != size):
            raise NotZipError(f"an entry of {packed} bytes at byte {offset}, the directory begins at byte {start}")
        try:
            text = raw.decode("utf-8" if flags & _UTF8 else "cp437")
        except UnicodeDecodeError:
            raise NotZipError("a name is not valid UTF-8") from None
        yield Member(text, raw, offset, 0, packed, size, method == 0, flags)
    if at != len(directory):
        raise NotZipError(f"{len(directory) - at} bytes behind the last entry of the directory")


def _zip64(fields: bytes, short: tuple[int, ...]) -> tuple[int, ...]:
    """The values, with those that are full replaced by those of the zip64 extra field; () without such a field."""
    at = 0
    while at + 4 <= len(fields):
        kind, length = struct.unpack_from("<HH", fields, at)
        at += 4
        if kind == 1:
            wide = fields[at : at + length]
            out, used = [], 0
            for value in short:
                if value == _FULL32:
                    if used + 8 > len(wide):
                        return ()
                    value = int.from_bytes(wide[used : used + 8], "little")
                    used += 8
                out.append(value)
            return tuple(out)
        at += length
    return ()
