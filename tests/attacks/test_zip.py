"""Attack: a zip archive that says one thing in its directory and another in its headers, or lies about sizes.

Mitigation: codec/sources/zip_directory.py takes an archive only if directory, headers and file agree, and if nothing
overlaps; anything else is compressed as opaque bytes, which come back exactly. Memory for what an archive announces is
never reserved, and a storage is looked for in the file only.
"""

from __future__ import annotations

import io
import re
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest

import codec
from codec.sources.segment import Look, RefusedError
from codec.sources.torch_zip import parse
from codec.sources.zip_directory import MEMBERS_MAX, members, payload
from tests.sources import torch_files as made

VALUE, HELD = made.checkpoint()
SOUND = made.zipped(VALUE, HELD)
END = len(SOUND) - 22
COUNT, LENGTH, START = struct.unpack_from("<H2I", SOUND, END + 10)
FIRST = SOUND[START : SOUND.index(b"PK\1\2", START + 1)]
SECOND = START + len(FIRST)


def changed(at: int, new: bytes, data: bytes = SOUND) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def entry(at: int, new: int, size: int = 4) -> bytes:
    """The first entry of the directory, a field of it changed."""
    return changed(START + at, new.to_bytes(size, "little"))


def zip64(count: int, length: int, start: int, narrow: tuple[int, int, int, int] | None = None) -> bytes:
    """With the end of archives that are too large for 32 bits."""
    end = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, length, start)
    end += struct.pack("<4sIQI", b"PK\6\7", 0, END, 1)
    short = narrow or (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    return SOUND[:END] + end + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, *short, 0)


def test_zip64_of_a_small_archive() -> None:
    assert [s.stop for s in parse(Look.of(zip64(COUNT, LENGTH, START)))][:-1] == [
        s.stop for s in parse(Look.of(SOUND))
    ][:-1]


HOSTILE: dict[str, Callable[[], bytes]] = {
    "two members in one place": lambda: changed(SECOND + 42, bytes(4)),
    "a member within another": lambda: entry(20, 9999, 4),
    "size beyond the directory": lambda: entry(20, 1 << 30),
    "sizes differ": lambda: entry(24, 5),
    "stored, but smaller than it is": lambda: changed(22, b"\1\0\0\0"),
    "offset outside": lambda: entry(42, 1 << 31),
    "offset within a member": lambda: entry(42, 1),
    "zip64 without its field": lambda: entry(20, 0xFFFFFFFF),
    "encrypted": lambda: entry(8, 1, 2),
    "on another disk": lambda: entry(34, 1, 2),
    "no entry": lambda: entry(0, 0),
    "name too long": lambda: entry(28, 0xFFFF, 2),
    "other name in the header": lambda: changed(30, b"x"),
    "no header": lambda: changed(SOUND.index(b"PK\3\4", 1), b"PK\3\5"),
    "other flags in the header": lambda: changed(6, b"\2\0"),
    "deflated in the header": lambda: changed(8, b"\x08\0"),
    "long extra fields in the header": lambda: changed(28, b"\xff\xff"),
    "more members": lambda: changed(END + 8, struct.pack("<2H", COUNT + 1, COUNT + 1)),
    "fewer members": lambda: changed(END + 8, struct.pack("<2H", COUNT - 1, COUNT - 1)),
    "members here and elsewhere": lambda: changed(END + 8, struct.pack("<2H", COUNT - 1, COUNT)),
    "longer directory": lambda: changed(END + 12, struct.pack("<I", LENGTH + 1)),
    "directory outside": lambda: changed(END + 16, struct.pack("<I", 1 << 31)),
    "directory in front of itself": lambda: changed(END + 16, struct.pack("<I", START - 1)),
    "two disks": lambda: changed(END + 4, struct.pack("<2H", 0, 1)),
    "comment": lambda: changed(END + 20, b"\5\0") + b"hello",
    "comment with an end": lambda: changed(END + 20, b"\x16\0") + SOUND[END:],
    "zip64 count": lambda: zip64(1 << 62, LENGTH, START),
    "zip64 length": lambda: zip64(COUNT, (1 << 64) - 1, START),
    "zip64 start": lambda: zip64(COUNT, LENGTH, 1 << 63),
    "zip64 against zip": lambda: zip64(COUNT, LENGTH, START, (COUNT, COUNT, LENGTH, 0)),
    "zip64 in another place": lambda: zip64(COUNT, LENGTH, START).replace(struct.pack("<Q", END), struct.pack("<Q", 0)),
    "two ends": lambda: SOUND + SOUND,
    "nothing but an end": lambda: b"PK\5\6" + bytes(18),
    "nothing but a signature": lambda: b"PK\3\4",
    "one name twice": lambda: SOUND.replace(b"archive/data/1", b"archive/data/0"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_opaque_and_exact(name: str) -> None:
    data = HOSTILE[name]()
    assert data != SOUND
    with pytest.raises(RefusedError) as error:
        parse(Look.of(data))
    assert "\n" not in str(error.value) and len(str(error.value)) < 400
    blob = codec.compress(data)
    assert codec.decompress(blob) == data
    info = codec.inspect_file(io.BytesIO(blob))
    assert info.source == "opaque" and not info.tensors


@pytest.mark.parametrize("where", range(len(FIRST)))
def test_every_bit_of_an_entry(where: int) -> None:
    """Whatever it says: refused, or what is found lies in the file, in order."""
    for bit in range(8):
        data = changed(START + where, bytes((SOUND[START + where] ^ 1 << bit,)))
        try:
            at = 0
            for s in parse(Look.of(data)):
                assert s.start == at <= s.stop
                at = s.stop
            assert at == len(data)
        except RefusedError:
            pass


def test_the_largest_offsets_in_a_zip64_field() -> None:
    for size, packed, offset in ((1 << 63, 1 << 63, 0), ((1 << 64) - 1, 1, 0), (10, 10, (1 << 64) - 1)):
        name = b"archive/data.pkl"
        field = struct.pack("<2H3Q", 1, 24, size, packed, offset)
        wide = struct.pack("<4s6H3I5H2I", b"PK\1\2", 45, 45, 0, 0, 0, 0, 0, *[0xFFFFFFFF] * 2, 16, 28, 0, 0, 0, 0,
                           0xFFFFFFFF)  # fmt: skip
        directory = wide + name + field
        end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(directory), 100, 0)
        data = (b"PK\3\4" + bytes(96)) + directory + end
        with pytest.raises(RefusedError, match="the directory begins at byte 100"):
            members(Look.of(data))


def test_many_members() -> None:
    """65,535 fit into the end; a zip64 end that announces more than a limit is not believed, nor read."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for n in range(65_000):
            archive.writestr(zipfile.ZipInfo(f"a/{n}"), b"")
    data, began = file.getvalue(), time.process_time()
    assert len(members(Look.of(data))) == 65_000
    with pytest.raises(RefusedError, match="found 0"):
        parse(Look.of(data))
    assert time.process_time() - began < 10
    asked: list[int] = []
    big = zip64(MEMBERS_MAX + 1, LENGTH, START)

    def at(offset: int, size: int) -> bytes:
        asked.append(size)
        return big[offset : offset + size]

    with pytest.raises(RefusedError, match="too many"):
        members(Look(lambda n: big[:n], len(big), at))
    assert max(asked) < 100


def test_nothing_is_reserved_for_what_is_announced() -> None:
    """A pickle that announces storages of exabytes, in a file of some hundred bytes."""
    count = 1 << 60
    value = {"w": made.tensor(made.storage("0", "float32", count), (count,))}
    data = made.zipped(value, {"0": HELD["0"]})
    tracemalloc.start()
    with pytest.raises(RefusedError, match="no storage of a known type"):
        parse(Look.of(data))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
    assert codec.decompress(codec.compress(data)) == data


def test_a_file_that_changes_while_it_is_looked_at() -> None:
    for shorter in (0, 10, START, END):

        def at(offset: int, size: int, end: int = shorter) -> bytes:
            return SOUND[: max(offset, end)][offset : offset + size]

        with pytest.raises(RefusedError):
            parse(Look(lambda n: SOUND[:n], len(SOUND), at))


def test_a_header_that_is_not_what_the_directory_says_is_named() -> None:
    look = Look.of(SOUND)
    member = members(look)[0]
    with pytest.raises(RefusedError, match=re.escape("local header of 'archive/data.pkl' at byte 0")):
        payload(Look.of(b"x" + SOUND[1:]), member)
