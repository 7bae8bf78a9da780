"""Files and streams: output that is whole or absent, and every way in and out."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codec
from codec.access import BytesSource
from codec.container import index as indexes
from codec.container import records
from codec.reader import WeftFile

ROOT = Path(__file__).resolve().parents[1]
DATA = np.random.default_rng(1).binomial(40, 0.5, 2_300_001).astype(np.uint8).tobytes()


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(DATA)
    return path


def only(folder: Path, *names: str) -> None:
    """Nothing else lies there: no temporary file stays behind."""
    assert sorted(os.listdir(folder)) == sorted(names)


@pytest.mark.parametrize("level", ["fast", "default", "max"])
def test_there_and_back(original: Path, level: str) -> None:
    calls: list[tuple[int, int | None]] = []
    report = codec.compress_file(original, level=level, progress=lambda *a: calls.append(a))
    stored = original.with_name("weights.bin.weft")
    sha = hashlib.sha256(DATA).hexdigest()
    assert (report.original_bytes, report.stored_bytes) == (len(DATA), stored.stat().st_size)
    assert report.sha256 == sha and report.ratio < 0.7
    assert sum(sum(d.values()) for d in report.bits.values()) <= 8 * report.stored_bytes
    assert calls[-1] == (len(DATA), len(DATA)) and calls == sorted(calls)
    info = codec.inspect_file(stored)
    assert (info.sha256, info.level, info.source, info.original_bytes) == (sha, level, "opaque", len(DATA))
    assert info.format_version == (1, 0) and info.stored_bytes == report.stored_bytes and info.spans == 3
    original.unlink()
    calls.clear()
    back = codec.decompress_file(stored, progress=lambda *a: calls.append(a))
    assert original.read_bytes() == DATA
    assert (back.original_bytes, back.stored_bytes, back.sha256) == (len(DATA), report.stored_bytes, sha)
    assert calls[-1] == (len(DATA), len(DATA)) and calls == sorted(calls)
    only(original.parent, "weights.bin", "weights.bin.weft")


@pytest.mark.parametrize("data", [b"", b"a", bytes(1 << 20)])
def test_smallest_files(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    codec.compress_file(tmp_path / "a")
    codec.decompress_file(tmp_path / "a.weft", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == data
    assert codec.verify_file(tmp_path / "a.weft", against=tmp_path / "b").sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "name",
    ["with spaces and 'quotes'", "ünïcödé 模型 😀", "-o", "n" * 243, "ш" * 120, "模" * 80, "new\nline", "a.weft"],
)
def test_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"abc" * 99)
    codec.compress_file(path)
    path.unlink()
    codec.decompress_file(str(path) + ".weft")
    assert path.read_bytes() == b"abc" * 99
    only(tmp_path, name, name + ".weft")


def test_relative_names(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(original.parent)
    codec.compress_file("weights.bin")
    codec.decompress_file("weights.bin.weft", "back")
    assert Path("back").read_bytes() == DATA


def test_without_a_suffix_the_output_must_be_named(original: Path) -> None:
    for name in ("stored", ".weft"):
        codec.compress_file(original, original.with_name(name))
        with pytest.raises(ValueError, match="say where the output goes"):
            codec.decompress_file(original.with_name(name))
    with pytest.raises(ValueError, match="a stream has no name"):
        codec.compress_file(io.BytesIO(DATA))


def test_what_stands_there_is_kept(original: Path) -> None:
    target = original.with_name("weights.bin.weft")
    target.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        codec.compress_file(original)
    assert target.read_bytes() == b"mine"
    codec.compress_file(original, force=True)
    with pytest.raises(FileExistsError):
        codec.decompress_file(target)
    assert original.read_bytes() == DATA
    codec.decompress_file(target, force=True)
    assert original.read_bytes() == DATA
    (original.parent / "folder").mkdir()
    (original.parent / "dangling").symlink_to("nowhere")
    for name, force in (("folder", True), ("folder", False), ("dangling", False)):
        with pytest.raises(OSError, match=name):
            codec.compress_file(original, original.with_name(name), force=force)
    only(original.parent, "dangling", "folder", "weights.bin", "weights.bin.weft")


def test_what_appears_meanwhile_is_kept(original: Path) -> None:
    target = original.with_name("weights.bin.weft")

    def progress(done: int, total: int | None) -> None:
        target.write_bytes(b"mine")

    with pytest.raises(FileExistsError, match="appeared meanwhile"):
        codec.compress_file(original, progress=progress)
    assert target.read_bytes() == b"mine"
    only(original.parent, "weights.bin", "weights.bin.weft")


@pytest.mark.parametrize("old", [None, b"the old file"])
def test_a_damaged_input_leaves_no_output(original: Path, old: bytes | None) -> None:
    stored = original.with_name("weights.bin.weft")
    codec.compress_file(original)
    blob = bytearray(stored.read_bytes())
    blob[len(blob) * 2 // 3] ^= 1
    stored.write_bytes(blob)
    target = original.with_name("back")
    if old is not None:
        target.write_bytes(old)
    for source in (stored, io.BytesIO(blob)):
        with pytest.raises(codec.CorruptFileError):
            codec.decompress_file(source, target, force=old is not None)
        assert (target.read_bytes() if target.exists() else None) == old
    with pytest.raises(codec.CorruptFileError):
        codec.verify_file(stored)
    blob[len(blob) * 2 // 3] ^= 1
    for cut in (0, 5, 16, 40, len(blob) - 1):
        stored.write_bytes(blob[:cut])
        for read in (codec.inspect_file, codec.verify_file, lambda p: codec.decompress_file(p, target, force=True)):
            with pytest.raises((codec.TruncatedFileError, codec.NotWeftError)):
                read(stored)
    only(original.parent, "weights.bin", "weights.bin.weft", *(["back"] if old is not None else []))


class Full(io.RawIOBase):
    """A disk that is full after some bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.room <= 0:
            raise OSError(28, "No space left on device")
        done = min(len(data), self.room)
        self.room -= done
        return done


def test_a_full_disk_behind_a_file_object(original: Path) -> None:
    stored = original.with_name("weights.bin.weft")
    codec.compress_file(original)
    for room in (0, 3, 100_000):
        with pytest.raises(OSError, match="No space left"):
            codec.compress_file(original, Full(room), threads=2)  # type: ignore[arg-type]
        with pytest.raises(OSError, match="No space left"):
            codec.decompress_file(stored, Full(room))  # type: ignore[arg-type]


#: Compresses and decompresses where no file may grow beyond 300,000 bytes; prints what each ends with.
LIMITED = """
import resource, signal, sys, codec
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
for run, source in (codec.compress_file, sys.argv[1]), (codec.decompress_file, sys.argv[1] + ".weft"):
    try:
        run(source, sys.argv[2])
    except OSError as e:
        print(e.errno)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on file sizes here")
def test_a_full_disk(original: Path) -> None:
    codec.compress_file(original)
    target = original.with_name("out")
    arguments = [sys.executable, "-c", LIMITED, str(original), str(target)]
    ran = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["27", "27"], ran.stderr
    only(original.parent, "weights.bin", "weights.bin.weft")


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shorten(path: Path) -> None:
    os.truncate(path, 1_500_000)


def rewrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [append, shorten, rewrite])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_source_that_changes_is_refused(original: Path, change: Callable[[Path], None], threads: int) -> None:
    path = original.with_name("large.bin")
    path.write_bytes(DATA * 3)
    done: list[int] = []

    def progress(*_: int | None) -> None:
        if not done:
            change(path)
            done.append(1)

    with pytest.raises(codec.SourceChangedError, match="changed while being read"):
        codec.compress_file(path, progress=progress, threads=threads)
    only(original.parent, "large.bin", "weights.bin")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_modes(original: Path) -> None:
    stored = original.with_name("weights.bin.weft")
    for mode in (0o600, 0o640, 0o444):
        original.chmod(mode)
        codec.compress_file(original, force=True)
        assert stored.stat().st_mode & 0o7777 == mode
        back = original.with_name("back")
        codec.decompress_file(stored, back, force=True)
        assert back.stat().st_mode & 0o7777 == mode


class Trickle(io.RawIOBase):
    """Gives few bytes at a time, and takes few, as a socket may."""

    def __init__(self, data: bytes = b"") -> None:
        self.data, self.at, self.out, self.turn = data, 0, bytearray(), 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        self.turn += 1
        part = self.data[self.at :][: min(len(target), 1 + self.turn * 7919 % 50_000)]
        target[: len(part)] = part
        self.at += len(part)
        return len(part)

    def write(self, data: Any) -> int:
        self.turn += 1
        part = bytes(data[: 1 + self.turn * 7919 % 50_000])
        self.out += part
        return len(part)


class OnlyRead:
    """The least that one may call a file: read and write."""

    def __init__(self, data: bytes = b"") -> None:
        self.held, self.out = io.BytesIO(data), bytearray()

    def read(self, size: int = -1) -> bytes:
        return self.held.read(min(size, 70_000))

    def write(self, data: Any) -> None:
        self.out += data


def test_file_objects_both_ways(original: Path) -> None:
    """The same bytes, whoever gives them and takes them."""
    stored = original.with_name("weights.bin.weft")
    codec.compress_file(original)
    blob = stored.read_bytes()
    source: Any
    sink: Any
    for source in (original, io.BytesIO(DATA), Trickle(DATA), OnlyRead(DATA), original.open("rb")):
        for sink in (io.BytesIO(), OnlyRead(), Trickle()) if not hasattr(source, "read") else (io.BytesIO(),):
            codec.compress_file(source, sink)
            assert (sink.getvalue() if isinstance(sink, io.BytesIO) else bytes(sink.out)) == blob
        if hasattr(source, "close"):
            source.close()
    for source in (stored, io.BytesIO(blob), Trickle(blob), OnlyRead(blob), stored.open("rb")):
        for sink in (io.BytesIO(), OnlyRead(), Trickle()) if not hasattr(source, "read") else (io.BytesIO(),):
            report = codec.decompress_file(source, sink)
            assert report.original_bytes == len(DATA) and report.stored_bytes == len(blob)
            assert (sink.getvalue() if isinstance(sink, io.BytesIO) else bytes(sink.out)) == DATA
        if hasattr(source, "close"):
            source.close()
    back = original.with_name("back")
    codec.decompress_file(io.BytesIO(blob), back)
    codec.compress_file(io.BytesIO(DATA), original.with_name("again"))
    assert back.read_bytes() == DATA and original.with_name("again").read_bytes() == blob
    assert codec.verify_file(io.BytesIO(blob)).sha256 == hashlib.sha256(DATA).hexdigest()
    assert codec.inspect_file(io.BytesIO(blob)).original_bytes == len(DATA)
    with stored.open("rb") as file:
        assert codec.inspect_file(file).stored_bytes == len(blob)


def test_pipes_both_ways() -> None:
    read, write = os.pipe()
    out_read, out_write = os.pipe()
    blobs: list[bytes] = []

    def give() -> None:
        with open(write, "wb") as sink:
            sink.write(DATA)

    def take() -> None:
        with open(out_read, "rb") as source:
            blobs.append(source.read())

    threads = [threading.Thread(target=give, daemon=True), threading.Thread(target=take, daemon=True)]
    for thread in threads:
        thread.start()
    with open(read, "rb") as source, open(out_write, "wb") as sink:
        codec.compress_file(source, sink)
    for thread in threads:
        thread.join()
    out = io.BytesIO()
    codec.decompress_file(io.BytesIO(blobs[0]), out)
    assert out.getvalue() == DATA


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_a_source(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    thread = threading.Thread(target=pipe.write_bytes, args=(DATA,), daemon=True)
    thread.start()
    codec.compress_file(pipe, tmp_path / "out.weft")
    thread.join()
    assert codec.decompress((tmp_path / "out.weft").read_bytes()) == DATA


def test_verify_against(original: Path) -> None:
    codec.compress_file(original)
    stored, other = original.with_name("weights.bin.weft"), original.with_name("other")
    assert codec.verify_file(stored, against=original).original_bytes == len(DATA)
    assert codec.verify_file(stored, against=io.BytesIO(DATA), threads=2).original_bytes == len(DATA)
    changed = bytearray(DATA)
    changed[2_222_222] ^= 1
    for data, words in (
        (bytes(changed), "from byte 2222222 on"),
        (DATA + b"!", "has more"),
        (DATA[:-1], "ends at byte 2300000"),
        (b"", "ends at byte 0"),
    ):
        other.write_bytes(data)
        with pytest.raises(codec.MismatchError, match=words):
            codec.verify_file(stored, against=other)


def test_a_wrong_digest_is_noticed(original: Path) -> None:
    """Every chunk is good, only SHA-256 differs: verify and streams say so."""
    out = io.BytesIO()
    codec.compress_file(original, out)
    blob = out.getvalue()
    file = WeftFile(BytesSource(blob))
    file.index.sha256 = bytes(32)
    last = records.record(records.INDEX, indexes.encode(file.index))
    forged = blob[: file.offsets[-1]] + last + records.trailer(file.offsets[-1], len(last))
    with pytest.raises(codec.CorruptFileError, match="SHA-256"):
        codec.verify_file(io.BytesIO(forged))
    with pytest.raises(codec.CorruptFileError, match="SHA-256"):
        codec.decompress_file(io.BytesIO(forged), io.BytesIO())


def test_not_a_weft_file(original: Path) -> None:
    for read in (codec.inspect_file, codec.verify_file, lambda p: codec.decompress_file(p, original.with_name("o"))):
        with pytest.raises(codec.NotWeftError, match=r"weights\.bin: not a weft file"):
            read(original)
        with pytest.raises(FileNotFoundError):
            read(original.with_name("absent"))
    with pytest.raises(FileNotFoundError):
        codec.compress_file(original.with_name("absent"))
    with pytest.raises(IsADirectoryError):
        codec.compress_file(original.parent)
    only(original.parent, "weights.bin")
