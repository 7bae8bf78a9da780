"""The system calls that make a file appear, each failing; and temporary files: whose they are, and who removes them."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codec
from codec import storage
from codec.cli.main import main
from codec.storage import AtomicFile
from tests.cli.calls import spawn
from tests.faults.inputs import make_folder, model, tree

DATA = model(1 << 20)
posix = pytest.mark.skipif(storage.fcntl is None, reason="no locks here")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with an original, its compressed file and a folder for outputs."""
    (tmp_path / "a.bin").write_bytes(DATA)
    codec.compress_file(tmp_path / "a.bin", tmp_path / "a.weft")
    (tmp_path / "out").mkdir()
    return tmp_path


def compress(place: Path) -> None:
    codec.compress_file(place / "a.bin", place / "out" / "b", threads=1)


def decompress(place: Path) -> None:
    codec.decompress_file(place / "a.weft", place / "out" / "b", threads=2)


def decompress_stream(place: Path) -> None:
    with (place / "a.weft").open("rb") as file:
        codec.decompress_file(file, place / "out" / "b")


def save(place: Path) -> None:
    codec.save_file({"w": np.arange(100_000, dtype="float32")}, place / "out" / "b")


RUNS = [compress, decompress, decompress_stream, save]


class Failing:
    """Functions of the system, one of whose calls fails: that of number ``moment``."""

    def __init__(self, names: tuple[str, ...], error: int, moment: int, before: Callable[[], object] | None) -> None:
        self.error, self.moment, self.before, self.calls = error, moment, before, 0
        self.patch = pytest.MonkeyPatch()
        for name in names:
            self.patch.setattr(os, name, self.wrapped(getattr(os, name)))

    def wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls == self.moment:
                if self.before is None:
                    raise OSError(self.error, os.strerror(self.error))
                self.before()
            return function(*arguments, **named)

        return call

    def __enter__(self) -> Failing:
        return self

    def __exit__(self, *_: object) -> None:
        self.patch.undo()


def at_every_call(
    run: Callable[[Path], None],
    place: Path,
    names: tuple[str, ...],
    error: int,
    before: Callable[[], object] | None = None,
) -> list[OSError | None]:
    """What came of a run each of whose calls fails in turn; the last is undisturbed."""
    came: list[OSError | None] = []
    given = {name: content for name, content in tree(place).items() if not name.startswith("out")}
    reached = True
    while reached:
        with Failing(names, error, len(came) + 1, before) as failing:
            try:
                run(place)
                came.append(None)
            except OSError as e:
                came.append(e)
        reached = failing.calls >= failing.moment
        held = tree(place)
        assert given.items() <= held.items()
        extra = held.keys() - given.keys() - {"out", "b", "out/b"}
        assert not extra
        assert ("out/b" in held) == (came[-1] is None)
        shutil.rmtree(place / "out", ignore_errors=True)
        (place / "out").mkdir(exist_ok=True)
    assert came[-1] is None
    return came


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG], ids=errno.errorcode.get)
def test_a_write_that_fails(run: Callable[[Path], None], error: int, place: Path) -> None:
    came = at_every_call(run, place, ("write", "pwrite"), error)
    assert len(came) > 1 and {e.errno for e in came[:-1] if e} == {error} and None not in came[:-1]


@pytest.mark.parametrize("run", RUNS)
def test_writes_that_take_little(run: Callable[[Path], None], place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(place)
    whole = (place / "out" / "b").read_bytes()
    (place / "out" / "b").unlink()
    write, pwrite = os.write, os.pwrite
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7001]))
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:7001], offset))
    run(place)
    assert (place / "out" / "b").read_bytes() == whole


@pytest.mark.parametrize("run", RUNS)
def test_a_sync_that_fails(run: Callable[[Path], None], place: Path) -> None:
    """That of the file says that it may not be on the disk; that of the folder has no say: some have none."""
    came = at_every_call(run, place, ("fsync",), errno.EIO)
    assert [e.errno if e else 0 for e in came] == [errno.EIO, 0, 0]


@pytest.mark.parametrize("run", RUNS)
def test_a_sync_on_the_way_that_fails(
    run: Callable[[Path], None], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_SYNC_EVERY", 1000)
    name = "fdatasync" if hasattr(os, "fdatasync") else "fsync"
    with Failing((name,), errno.EIO, 1, None), pytest.raises(OSError, match=os.strerror(errno.EIO)):
        run(place)
    assert os.listdir(place / "out") == []


@pytest.mark.parametrize("run", RUNS[:3])
def test_without_hard_links(run: Callable[[Path], None], place: Path) -> None:
    """A file is renamed then."""
    assert at_every_call(run, place, ("link",), errno.EPERM) == [None, None]


@pytest.mark.parametrize("run", RUNS)
def test_a_rename_that_fails(run: Callable[[Path], None], place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    for name in ("link", "rename", "replace"):
        monkeypatch.setattr(os, name, refuse)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        run(place)
    assert os.listdir(place / "out") == []


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_target_folder_that_goes_away(run: Callable[[Path], None], call: str, place: Path) -> None:
    with (
        Failing((call, "pwrite"), 0, 1, lambda: shutil.rmtree(place / "out")),
        pytest.raises(FileNotFoundError),
    ):
        run(place)
    assert sorted(tree(place)) == ["a.bin", "a.weft"]


@pytest.mark.parametrize("run", RUNS)
def test_a_target_that_becomes_a_folder(run: Callable[[Path], None], place: Path) -> None:
    with (
        Failing(("fsync",), 0, 1, (place / "out" / "b").mkdir),
        pytest.raises((FileExistsError, IsADirectoryError)),
    ):
        run(place)
    assert sorted(tree(place)) == ["a.bin", "a.weft", "out", "out/b"] and (place / "out" / "b").is_dir()


CALLS = [("write", errno.EDQUOT), ("pwrite", errno.ENOSPC), ("fsync", errno.EIO), ("replace", errno.EIO)]


@pytest.mark.parametrize(("call", "error"), CALLS, ids=[call for call, _ in CALLS])
def test_the_command_says_so_in_one_line(
    call: str, error: int, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, source = ("decompress", "a.weft") if call == "pwrite" else ("compress", "a.bin")
    target = place / "out" / "b"
    with Failing((call,), error, 1, None):
        code = main([command, str(place / source), "-o", str(target), "--force"])
    out, err = capsys.readouterr()
    said = os.strerror(error)
    assert (code, out) == (3, "") and err.startswith(f"codec: {target}: {said[0].lower()}{said[1:]}")
    assert err.count("\n") == 1 and os.listdir(place / "out") == []


def test_the_command_on_a_folder_goes_on(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_folder(place / "model", 1 << 18)
    with Failing(("write",), errno.ENOSPC, 1, None):
        assert main(["compress", str(place / "model"), "--quiet"]) == 3
    err = capsys.readouterr().err
    failed = place / "model.weft" / "part-1.safetensors.weft"
    lines = err.splitlines()
    assert [str(place / "model.weft") in line for line in lines] == [True] and "no space left" in lines[0]
    assert main(["compress", str(place / "model"), "--quiet", "--force"]) == 0
    assert failed.exists()


# Temporary files.

NAMES = ["b", "a b", "new\nline", "ünïcödé 模型", "n" * 255, "ш" * 127, "a+[b](c)*.$^", "\udcff.bin", ".hidden"]


def abandon(target: Path) -> Path:
    """A temporary file as a killed process leaves it: there, and held by nobody."""
    held = AtomicFile(target, force=True)
    held.write(b"half")
    left = Path(held.temporary)
    os.close(held.fd)
    held.fd, held.temporary = -1, ""
    return left


@posix
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("force", [False, True])
def test_what_is_abandoned_is_removed(name: str, force: bool, place: Path) -> None:
    target = place / "out" / name
    left = abandon(target)
    assert left.exists()
    codec.compress_file(place / "a.bin", target, force=force)
    assert os.listdir(place / "out") == [name]
    assert target.read_bytes() == (place / "a.weft").read_bytes()


@posix
def test_even_if_there_is_nothing_else_to_do(place: Path) -> None:
    target = place / "out" / "b"
    target.write_bytes(b"mine")
    left = abandon(target)
    with pytest.raises(FileExistsError):
        codec.compress_file(place / "a.bin", target)
    assert not left.exists() and target.read_bytes() == b"mine"


@posix
def test_nothing_else_is_removed(place: Path) -> None:
    out = place / "out"
    (place / "outside").write_bytes(b"precious")
    for name in (".c.0123456789ab.tmp", ".b.0123456789abc.tmp", ".b.0123456789aB.tmp", ".b.tmp", "b.0123456789ab.tmp",
                 ".b.0123456789ab.tmp.x", ".b2.0123456789ab.tmp"):  # fmt: skip
        (out / name).write_bytes(b"mine")
    (out / ".b.0123456789ab.tmp").mkdir()
    os.mkfifo(out / ".b.0123456789ac.tmp")
    (out / ".b.0123456789ad.tmp").symlink_to(place / "outside")
    before = sorted(os.listdir(out))
    compress(place)
    assert sorted(os.listdir(out)) == sorted([*before, "b"])
    assert (place / "outside").read_bytes() == b"precious"


def test_two_at_once_leave_each_other_alone(place: Path) -> None:
    target = place / "out" / "b"
    with AtomicFile(target, force=True) as first:
        first.write(b"first")
        with AtomicFile(target, force=True) as second:
            second.write(b"second")
            assert os.path.samestat(os.fstat(first.fd), os.stat(first.temporary))
            assert os.path.samestat(os.fstat(second.fd), os.stat(second.temporary))
        assert target.read_bytes() == b"second"
        assert os.path.exists(first.temporary)
    assert target.read_bytes() == b"first" and os.listdir(place / "out") == ["b"]


@posix
def test_two_processes_leave_each_other_alone(place: Path) -> None:
    """One waits for its input while another makes the same file; then it goes on."""
    out = place / "out"
    with spawn("compress", "-", "-o", out / "b", "--force", "--quiet", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(DATA[:5000])
        process.stdin.flush()
        while not os.listdir(out) and process.poll() is None:
            pass
        other = os.listdir(out)
        assert len(other) == 1 and process.poll() is None
        compress(place)
        codec.compress_file(place / "a.bin", out / "b", force=True)
        assert sorted(os.listdir(out)) == sorted([*other, "b"])
        process.stdin.write(DATA[5000:])
        process.stdin.close()
        assert process.wait(120) == 0
    assert os.listdir(out) == ["b"] and (out / "b").read_bytes() == (place / "a.weft").read_bytes()


@posix
@pytest.mark.parametrize("still_looking", [False, True])
def test_taken_for_abandoned_before_it_was_locked(
    still_looking: bool, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its creation and its lock a file looks like nobody's. Whoever loses it makes another."""
    flock, turns = storage.fcntl.flock, []
    held = contextlib.ExitStack()

    def slow(fd: int, operation: int) -> None:
        if operation & storage.fcntl.LOCK_EX and not turns:
            turns.append(fd)
            if still_looking:
                [name] = os.listdir(place / "out")
                other = held.enter_context((place / "out" / name).open("rb"))
                flock(other.fileno(), storage.fcntl.LOCK_SH)
            else:
                storage._remove_abandoned(str(place / "out"), "b")
                assert os.listdir(place / "out") == []
        flock(fd, operation)

    monkeypatch.setattr(storage.fcntl, "flock", slow)
    with held:
        compress(place)
    assert turns and os.listdir(place / "out") == ["b"]


@posix
@pytest.mark.parametrize("how", ["no fcntl", "no locks on this file system"])
def test_where_there_are_no_locks_nothing_is_removed(how: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = abandon(place / "out" / "b")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    if how == "no fcntl":
        monkeypatch.setattr(storage, "fcntl", None)
    else:
        monkeypatch.setattr(storage.fcntl, "flock", refuse)
    compress(place)
    assert sorted(os.listdir(place / "out")) == sorted(["b", left.name])


def test_a_forked_child_removes_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = AtomicFile(place / "out" / "b")
    name, fd, mine = held.temporary, held.fd, os.getpid()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: mine + 1)
        del held
        assert os.path.exists(name)
    os.close(fd)
