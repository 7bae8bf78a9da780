"""Attack: another user of a shared folder swaps the output, or its temporary file, for a link while it is written.

Mitigation: the temporary file has an unguessable name and is made with O_EXCL, which follows no link; all writing goes
through its descriptor; it gets its name by link() or rename(), which replace a link and never follow it, and without
--force only if the name is still free.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

import codec
from codec.storage import AtomicFile


class Swaps(io.BytesIO):
    """A source that does something after its first bytes were read."""

    def __init__(self, data: bytes, act: object) -> None:
        super().__init__(data)
        self._act = act

    def readinto(self, out: object) -> int:
        act, self._act = self._act, None
        if act is not None:
            act()  # type: ignore[operator]
        return super().readinto(out)  # type: ignore[arg-type]


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_bytes(b"mine")
    return path


def test_the_output_appears_as_a_link_meanwhile(tmp_path: Path, victim: Path) -> None:
    target = tmp_path / "out.weft"
    with pytest.raises(FileExistsError, match="appeared meanwhile"):
        codec.compress_file(Swaps(bytes(1000), lambda: target.symlink_to(victim)), target)  # type: ignore[arg-type]
    assert victim.read_bytes() == b"mine" and target.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["out.weft", "victim"]


def test_with_force_the_link_is_replaced(tmp_path: Path, victim: Path) -> None:
    target = tmp_path / "out.weft"
    source = Swaps(bytes(1000), lambda: target.symlink_to(victim))
    codec.compress_file(source, target, force=True)  # type: ignore[arg-type]
    assert victim.read_bytes() == b"mine" and not target.is_symlink()
    assert codec.decompress(target.read_bytes()) == bytes(1000)


def test_a_link_to_nowhere_counts_as_there(tmp_path: Path) -> None:
    target = tmp_path / "out.weft"
    target.symlink_to(tmp_path / "created")
    with pytest.raises(FileExistsError):
        codec.compress_file(io.BytesIO(b"x"), target)
    codec.compress_file(io.BytesIO(b"x"), target, force=True)
    assert not (tmp_path / "created").exists() and not target.is_symlink()


def test_the_temporary_name_is_new_and_cannot_be_foreseen(tmp_path: Path, victim: Path) -> None:
    names = set()
    for number in range(5):
        with AtomicFile(tmp_path / f"out{number}") as out:
            (mine,) = [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]
            names.add(mine.split(".")[-2])
            assert len(mine.split(".")[-2]) >= 12
            out.write(b"x")
    assert len(names) == 5


def test_the_temporary_file_swapped_for_a_link(tmp_path: Path, victim: Path) -> None:
    """Who may write to the folder can swap anything; what is written still never reaches the link's target."""
    target = tmp_path / "out.weft"

    def swap() -> None:
        (mine,) = tmp_path.glob(".*.tmp")
        mine.unlink()
        mine.symlink_to(victim)

    try:
        codec.compress_file(Swaps(bytes(1000), swap), target, force=True)  # type: ignore[arg-type]
    except OSError:
        pass
    assert victim.read_bytes() == b"mine"


def test_an_output_in_place_of_its_input(tmp_path: Path) -> None:
    source = tmp_path / "a"
    source.write_bytes(b"original")
    (tmp_path / "same").symlink_to(source)
    os.link(source, tmp_path / "hard")
    for target in ("a", "same", "hard"):
        with pytest.raises(FileExistsError):
            codec.compress_file(source, tmp_path / target, force=True)
    assert source.read_bytes() == b"original"
