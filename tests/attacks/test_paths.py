"""Attack: a folder to compress or decompress whose entries lead out of it: links, "..", absolute paths, odd names.

Mitigation: names in the output come from the folder's own listing, never from inside a file; links are made, not
followed, and refused if they are absolute or lead outside; a folder of the output must be a real one; every file is
made under a new name with O_EXCL and put in its place in one step.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.calls import Here


@pytest.fixture
def codec(capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file that nobody may read or change."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "secret.bin").write_bytes(b"secret" * 20_000)
    return place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    root.mkdir()
    (root / "weights.bin").write_bytes(bytes(100_000))
    return root


def everything(root: Path) -> bytes:
    return b"".join(p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file())


@pytest.mark.parametrize("to", ["../outside/secret.bin", "../outside", "sub/../../outside/secret.bin", "..", "."])
def test_links_that_lead_outside(codec: Here, folder: Path, outside: Path, to: str) -> None:
    (folder / "sub").mkdir()
    (folder / "link.bin").symlink_to(to)
    said = codec("compress", folder, "--quiet")
    packed = folder.with_name("model.weft")
    assert (said.code == 1) == (to != "."), said
    assert b"secretsecret" not in everything(packed)
    assert (packed / "weights.bin.weft").is_file()


def test_absolute_links(codec: Here, folder: Path, outside: Path) -> None:
    (folder / "link.bin").symlink_to(outside / "secret.bin")
    (folder / "inside.bin").symlink_to(folder / "weights.bin")
    said = codec("compress", folder)
    assert said.code == 1 and said.err.count("absolute path") == 2


def test_links_to_links(codec: Here, folder: Path, outside: Path) -> None:
    """Each stays inside as it is spelled, but the first is a folder outside as the disk has it."""
    (folder / "a").symlink_to("../outside")
    (folder / "b.bin").symlink_to("a/secret.bin")
    (folder / "loop").symlink_to("loop")
    said = codec("compress", folder, "--quiet")
    packed = folder.with_name("model.weft")
    assert said.code == 1 and b"secretsecret" not in everything(packed)
    assert not os.path.lexists(packed / "a") and not os.path.lexists(packed / "b.bin.weft")


def test_a_folder_of_the_output_that_is_a_link(codec: Here, folder: Path, outside: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "x.bin").write_bytes(bytes(70_000))
    packed = folder.with_name("model.weft")
    packed.mkdir()
    (packed / "sub").symlink_to(outside)
    for force in ((), ("--force",)):
        said = codec("compress", folder, "--quiet", *force)
        assert said.code == 3 and sorted(os.listdir(outside)) == ["secret.bin"]


def test_an_output_file_that_is_a_link(codec: Here, folder: Path, outside: Path) -> None:
    """With --force the link is replaced, not what it leads to."""
    packed = folder.with_name("model.weft")
    packed.mkdir()
    (packed / "weights.bin.weft").symlink_to(outside / "secret.bin")
    before = (outside / "secret.bin").read_bytes()
    assert codec("compress", folder, "--quiet").code == 3
    codec.well("compress", folder, "--quiet", "--force")
    assert (outside / "secret.bin").read_bytes() == before
    assert not (packed / "weights.bin.weft").is_symlink()


def test_names_in_a_file_are_no_paths(codec: Here, tmp_path: Path) -> None:
    """Tensors may be called what they like: no command makes a file of a tensor's name."""
    import numpy as np
    from safetensors.numpy import save

    work = tmp_path / "work"
    work.mkdir()
    names = ["../../escaped", "/etc/escaped", "a\0b", "..", "con", "x" * 5000, "-o"]
    (work / "m.safetensors").write_bytes(save({name: np.zeros(2, np.float32) for name in names}))
    codec.well("compress", work / "m.safetensors", "--quiet")
    codec.well("inspect", work / "m.safetensors.weft", "--tensors")
    codec.well("decompress", work / "m.safetensors.weft", "--quiet", "--force")
    codec.well("recover", work / "m.safetensors.weft", "-o", work / "saved", "--quiet")
    assert sorted(os.listdir(work)) == ["m.safetensors", "m.safetensors.weft", "saved"]
    assert sorted(os.listdir(tmp_path)) == ["work"]


@pytest.mark.parametrize("name", ["a\nb.bin", "\x1b[31mred.bin", "-o.bin", "--force", "a\\..\\b.bin", "\udcff.bin"])
def test_odd_names_in_a_folder(codec: Here, folder: Path, name: str) -> None:
    (folder / name).write_bytes(bytes(70_000))
    said = codec("compress", folder)
    assert said.code == 0 and "\x1b" not in said.err + said.out
    assert all(
        line.startswith(("[", "2 ", "1 ", str(folder))) or "compressed" in line for line in said.err.splitlines()
    )
    codec.well("decompress", folder.with_name("model.weft"), "-o", folder.with_name("back"), "--quiet")
    assert (folder.with_name("back") / name).read_bytes() == bytes(70_000)


def test_decompressing_two_names_into_one(codec: Here, folder: Path) -> None:
    """ "a.bin" beside "a.bin.weft": the second to claim the output is refused."""
    (folder / "a.bin").write_bytes(bytes(70_000))
    codec.well("compress", folder / "a.bin", "--quiet")
    (folder / "a.bin").write_bytes(b"other")
    said = codec("decompress", folder, "-o", folder.with_name("back"), "--force")
    assert said.code == 2 and "its output" in said.err
