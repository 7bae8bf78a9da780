"""File objects that fail, or give and take less than they could, at any one of their calls."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import codec
from tests.faults.inputs import model

DATA = model(180_000)
BLOB = codec.compress(DATA)
#: Most bytes that a call gives or takes, so that there are some calls.
STEP = 1 << 14


class Faulty(io.RawIOBase):
    """A file in memory. ``fault`` answers call number ``moment`` (of read, write and seek), from 1 on."""

    def __init__(self, data: bytes, moment: int, fault: Callable[[Faulty, str, Any], Any]) -> None:
        self.held, self.moment, self.fault, self.calls = io.BytesIO(data), moment, fault, 0
        self.ended = False

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def _call(self, name: str, argument: Any) -> Any:
        self.calls += 1
        if self.calls == self.moment:
            return self.fault(self, name, argument)
        return self.answer(name, argument, STEP)

    def answer(self, name: str, argument: Any, most: int) -> Any:
        if name == "write":
            return self.held.write(argument[:most])
        if name == "readinto":
            return 0 if self.ended else self.held.readinto(argument[:most])
        if name == "read":
            return b"" if self.ended else self.held.read(min(argument, most) if argument >= 0 else most)
        return self.held.seek(*argument)

    def readinto(self, out: Any) -> Any:
        return self._call("readinto", memoryview(out))

    def read(self, size: int = -1) -> Any:
        return self._call("read", size)

    def write(self, data: Any) -> Any:
        return self._call("write", memoryview(data))

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._call("seek", (offset, whence)))


def fails(number: int) -> Callable[[Faulty, str, Any], Any]:
    def fault(file: Faulty, name: str, argument: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fault


def is_interrupted(file: Faulty, name: str, argument: Any) -> Any:
    raise KeyboardInterrupt


def is_short(file: Faulty, name: str, argument: Any) -> Any:
    return file.answer(name, argument, 1)


def has_nothing_now(file: Faulty, name: str, argument: Any) -> Any:
    return None if name != "seek" else file.answer(name, argument, STEP)


def ends(file: Faulty, name: str, argument: Any) -> Any:
    file.ended = True
    return file.answer(name, argument, STEP)


def get_tensors(file: Any) -> bytes:
    with codec.safe_open(file) as opened:
        opened.metadata()
        parts = [opened.get_tensor(name).tobytes() for name in opened.offset_keys()]
        rows = opened.get_slice("a")[3:9].tobytes()
    assert rows == parts[0][3 * 1024 : 9 * 1024]
    return b"".join(parts)


class Way:
    """One use of a file object: its input (None if it is written to), and what comes out if all goes well."""

    def __init__(self, given: bytes | None, out: bytes, run: Callable[[Any, Path], bytes]) -> None:
        self.given, self.out, self.run = given, out, run


def into_file(run: Callable[[Any, Path], Any]) -> Callable[[Any, Path], bytes]:
    def done(file: Any, folder: Path) -> bytes:
        run(file, folder / "out")
        return (folder / "out").read_bytes()

    return done


def from_file(run: Callable[[Path, Any], Any], content: bytes) -> Callable[[Any, Path], bytes]:
    def done(file: Any, folder: Path) -> bytes:
        (folder / "in").write_bytes(content)
        run(folder / "in", file)
        return bytes(file.held.getvalue())

    return done


def _packed() -> bytes:
    out = io.BytesIO()
    codec.compress_file(io.BytesIO(DATA), out)
    return out.getvalue()


PACKED = _packed()
TENSORS = DATA[8 + int.from_bytes(DATA[:8], "little") :]
WAYS = {
    "compress from": Way(DATA, PACKED, into_file(codec.compress_file)),
    "compress to": Way(None, PACKED, from_file(codec.compress_file, DATA)),
    "decompress from": Way(PACKED, DATA, into_file(codec.decompress_file)),
    "decompress to": Way(None, DATA, from_file(codec.decompress_file, PACKED)),
    "verify": Way(PACKED, b"", lambda file, _: bytes(codec.verify_file(file).original_bytes - len(DATA))),
    "verify against": Way(
        DATA, b"", lambda f, _: bytes(codec.verify_file(io.BytesIO(PACKED), against=f).original_bytes - len(DATA))
    ),
    "inspect": Way(PACKED, b"", lambda file, _: bytes(codec.inspect_file(file).original_bytes - len(DATA))),
    "safe_open": Way(PACKED, TENSORS, lambda file, _: get_tensors(file)),
    "load_file": Way(PACKED, TENSORS, lambda file, _: b"".join(t.tobytes() for t in codec.load_file(file).values())),
}


def at_every_call(way: Way, fault: Callable[[Faulty, str, Any], Any], folder: Path) -> list[bytes | BaseException]:
    """What came of each run; the last one is undisturbed. Nothing lies in the folder but what should."""
    came: list[bytes | BaseException] = []
    reached = True
    while reached:
        file = Faulty(way.given or b"", len(came) + 1, fault)
        try:
            came.append(way.run(file, folder))
        except (OSError, codec.CodecError, KeyboardInterrupt) as error:
            came.append(error)
        reached = file.calls >= file.moment
        left = set(os.listdir(folder))
        assert left <= ({"in", "out"} if isinstance(came[-1], bytes) else {"in"}), (len(came), left)
        (folder / "out").unlink(missing_ok=True)
        if way.given is None:
            assert (folder / "in").read_bytes() in (DATA, PACKED)
    assert came[-1] == way.out and len(came) > 2
    return came


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EINTR], ids=errno.errorcode.get)
def test_a_call_that_fails(way: Way, number: int, tmp_path: Path) -> None:
    for error in at_every_call(way, fails(number), tmp_path)[:-1]:
        assert isinstance(error, OSError) and error.errno == number


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_call_that_is_interrupted(way: Way, tmp_path: Path) -> None:
    for error in at_every_call(way, is_interrupted, tmp_path)[:-1]:
        assert isinstance(error, KeyboardInterrupt)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_call_that_gives_or_takes_one_byte(way: Way, tmp_path: Path) -> None:
    assert set(at_every_call(way, is_short, tmp_path)) == {way.out}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_call_that_would_have_to_wait(way: Way, tmp_path: Path) -> None:
    """None is what a file that does not block says where it has nothing yet: never the end, never lost bytes."""
    for came in at_every_call(way, has_nothing_now, tmp_path)[:-1]:
        assert came == way.out or isinstance(came, OSError | codec.CodecError)


@pytest.mark.parametrize("name", [name for name, way in WAYS.items() if way.given == PACKED])
def test_a_weft_file_that_ends_early(name: str, tmp_path: Path) -> None:
    for came in at_every_call(WAYS[name], ends, tmp_path)[:-1]:
        assert came == WAYS[name].out or isinstance(came, codec.TruncatedFileError | codec.NotWeftError)


def test_an_original_that_ends_early_is_what_came(tmp_path: Path) -> None:
    """A stream has no size to compare with: what it gave is the original."""
    for came in at_every_call(WAYS["compress from"], ends, tmp_path):
        assert isinstance(came, bytes)
        assert DATA.startswith(codec.decompress(came))


def test_a_pipe_that_does_not_block() -> None:
    read, write = os.pipe()
    os.write(write, DATA[:1000])
    os.set_blocking(read, False)
    with open(read, "rb") as source, pytest.raises(BlockingIOError, match="must be blocking"):
        codec.compress_file(source, io.BytesIO())
    os.close(write)
