"""Files that change while they are read, at any one of the reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import codec
from codec.cli.main import main
from codec.storage import StreamOriginal
from tests.faults.inputs import model, tree

DATA = model(3 << 20)


def grows(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrinks(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 3)


def is_emptied(path: Path) -> None:
    os.truncate(path, 0)


def is_rewritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    os.utime(path, ns=(1, 1))  # another time for sure, however coarse the clock of the file system


def is_replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"another file")
    other.replace(path)


def is_removed(path: Path) -> None:
    path.unlink()


CHANGES = [grows, shrinks, is_emptied, is_rewritten]


@contextmanager
def at_read(moment: int, owner: Any, name: str, act: Callable[[], None]) -> Iterator[list[int]]:
    """Act before the read of that number."""
    calls: list[int] = []
    read = getattr(owner, name)

    def reading(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == moment:
            act()
        return read(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, reading)
        yield calls


def moments(run: Callable[[int], int]) -> int:
    """Call run(1), run(2), ... until there are fewer reads than that."""
    number = 1
    while run(number) >= number:
        number += 1
        assert number < 1000
    assert number > 2
    return number


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("threads", [1, 2])
def test_an_original_that_changes(
    change: Callable[[Path], None], threads: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "a.safetensors"

    def run(moment: int) -> int:
        source.write_bytes(DATA)
        with at_read(moment, StreamOriginal, "read", lambda: change(source)) as calls:
            code = main(["compress", str(source), "--threads", str(threads), "--quiet"])
        out, err = capsys.readouterr()
        if len(calls) >= moment:
            assert (code, out) == (1, "") and err.startswith(f"codec: {source}: ") and err.count("\n") == 1
            assert "changed while being read" in err and os.listdir(tmp_path) == [source.name]
        else:
            assert code == 0 and codec.verify_file(f"{source}.weft", against=source)
        return len(calls)

    moments(run)


@pytest.mark.parametrize("change", [is_replaced, is_removed])
def test_an_original_whose_name_goes_to_another_file(change: Callable[[Path], None], tmp_path: Path) -> None:
    """What was opened is what is compressed."""
    source = tmp_path / "a.safetensors"
    source.write_bytes(DATA)
    with at_read(2, StreamOriginal, "read", lambda: change(source)):
        codec.compress_file(source)
    assert codec.decompress((tmp_path / "a.safetensors.weft").read_bytes()) == DATA


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("packed") / "a"
    path.write_bytes(DATA)
    codec.compress_file(path)
    return path.with_name("a.weft").read_bytes()


@pytest.mark.skipif(not hasattr(os, "pread"), reason="no positioned reads here")
@pytest.mark.parametrize("change", [shrinks, is_emptied, is_rewritten])
@pytest.mark.parametrize("command", ["decompress", "verify"])
def test_a_weft_file_that_changes(
    change: Callable[[Path], None], command: str, packed: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = tmp_path / "a.weft"

    def run(moment: int) -> int:
        stored.write_bytes(packed)
        (tmp_path / "a").unlink(missing_ok=True)
        with at_read(moment, os, "pread", lambda: change(stored)) as calls:
            code = main([command, str(stored), "--quiet"])
        out, err = capsys.readouterr()
        assert out == ""
        if len(calls) >= moment:
            assert code == 1 and err.startswith(f"codec: {stored}") and err.count("\n") == 1
            assert tree(tmp_path).keys() == {"a.weft"}
        else:
            assert (code, err) == (0, "") and ("a" in tree(tmp_path)) == (command == "decompress")
        return len(calls)

    moments(run)
    if command == "decompress":
        assert (tmp_path / "a").read_bytes() == DATA


@pytest.mark.skipif(not hasattr(os, "pread"), reason="no positioned reads here")
@pytest.mark.parametrize("change", [shrinks, is_emptied, is_rewritten])
def test_a_weft_file_that_changes_while_it_is_open(
    change: Callable[[Path], None], packed: bytes, tmp_path: Path
) -> None:
    stored = tmp_path / "a.weft"
    wanted = codec.decompress(packed)

    def run(moment: int) -> int:
        stored.write_bytes(packed)
        with at_read(moment, os, "pread", lambda: change(stored)) as calls:
            try:
                with codec.safe_open(stored) as file:
                    parts = [file.get_tensor(name).tobytes() for name in file.offset_keys()]
            except codec.CodecError:
                assert len(calls) >= moment
            else:
                assert len(calls) < moment and wanted.endswith(b"".join(parts))
        return len(calls)

    moments(run)


@pytest.mark.parametrize("cut", [0, 1, 1000, -40, -1])
def test_a_stream_that_ends_early(cut: int, packed: bytes, tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(packed[:cut])
    with (tmp_path / "cut").open("rb") as file, pytest.raises((codec.TruncatedFileError, codec.NotWeftError)):
        codec.decompress_file(file, tmp_path / "out")
    assert os.listdir(tmp_path) == ["cut"]
