"""Folders: file by file there, exactly back, and never outside the output."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from codec.names import SMALL, is_model_name
from tests.cli.calls import Here

Tree = dict[str, bytes | str | None]


def tree(root: Path) -> Tree:
    """Everything in a folder: bytes of files, texts of links, None for folders."""
    found: Tree = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = os.readlink(path)  # a Path would turn ./a into a
        else:
            found[name] = None if path.is_dir() else path.read_bytes()
    return found


@pytest.fixture
def folder(tmp_path: Path, model_bytes: bytes) -> Path:
    root = tmp_path / "my model"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "model.safetensors").write_bytes(model_bytes)
    (root / "deep" / "er" / "part.BIN").write_bytes(model_bytes)
    (root / "config.json").write_bytes(b"{}")
    (root / "small.bin").write_bytes(b"\0" * (SMALL - 1))
    (root / "notes.txt").write_bytes(b"\0" * 100_000)
    return root


@pytest.fixture
def round_trip(codec: Here, folder: Path) -> Callable[[], Tree]:
    def run() -> Tree:
        """Compress the folder, decompress it elsewhere, compare; return what the compressed one holds."""
        packed, back = folder.with_name("my model.weft"), folder.with_name("back")
        codec.well("compress", folder)
        codec.well("decompress", packed, "-o", back)
        assert tree(back) == tree(folder)
        return tree(packed)

    return run


def test_there_and_back(round_trip: Callable[[], Tree], folder: Path) -> None:
    packed, original = round_trip(), tree(folder)
    compressed = {"model.safetensors", "deep/er/part.BIN"}
    assert packed.keys() == {f"{name}.weft" if name in compressed else name for name in original}
    for name in ("config.json", "small.bin", "notes.txt"):
        assert packed[name] == original[name]


def test_default_outputs(codec: Here, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = tree(folder)
    monkeypatch.chdir(folder)
    codec.well("compress", ".")
    folder.rename(folder.with_name("moved"))
    codec.well("decompress", f"{folder}.weft/")
    assert tree(folder) == original


def test_files_called_weft_already(round_trip: Callable[[], Tree], folder: Path, packed: Path) -> None:
    (folder / "real.weft").write_bytes(packed.read_bytes())
    (folder / "fake.weft").write_bytes(b"fake")
    (folder / "folder.weft").mkdir()
    (folder / ".weft").write_bytes(b"no name")
    assert {"real.weft.weft", "fake.weft.weft", "folder.weft", ".weft.weft"} <= round_trip().keys()


def test_links_that_stay_inside(round_trip: Callable[[], Tree], folder: Path) -> None:
    links = {
        "latest.safetensors": "model.safetensors",
        "deep/again": "../latest.safetensors",
        "config": "./config.json",
        "to a folder": "deep/er",
        "dangling": "not there yet",
        "dangling.weft": "nor this",
        "round": "round",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    packed = round_trip()
    # A link to a compressed file leads to it there too.
    assert packed["latest.safetensors.weft"] == "model.safetensors.weft"
    assert packed["deep/again.weft"] == "../latest.safetensors.weft"
    assert packed["config"] == "./config.json"
    assert packed["dangling.weft"] == "nor this"


@pytest.mark.parametrize("target", ["..", "../outside", "deep/../../outside", "../my model/config.json", "absolute"])
def test_links_that_leave_are_refused(codec: Here, folder: Path, target: str) -> None:
    (folder.parent / "outside").write_bytes(b"secret")
    says = str(folder / "config.json") if target == "absolute" else target
    (folder / "link").symlink_to(says)
    said = codec("compress", folder, "--quiet")
    assert said.code == 1 and "link" in said.complaint
    packed = tree(folder.with_name("my model.weft"))
    assert "link" not in packed and "model.safetensors.weft" in packed


def test_link_hidden_behind_a_link_is_refused(codec: Here, folder: Path) -> None:
    (folder.parent / "outside").mkdir()
    (folder / "deep" / "door").symlink_to("../../outside")
    (folder / "through").symlink_to("deep/door/secret")
    said = codec("compress", folder)
    assert said.code == 1 and "2 failed" in said.err


@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_nothing_is_written_through_a_link(codec: Here, folder: Path, command: str) -> None:
    outside, output = folder.parent / "outside", folder.parent / "output"
    outside.mkdir()
    output.mkdir()
    (output / "deep").symlink_to(outside)
    (output / "config.json").symlink_to(outside / "made")
    said = codec(command, folder, "-o", output, "--force", "--quiet")
    assert said.code == 3 and "deep" in said.complaint
    assert tree(outside) == {}
    assert (output / "config.json").read_bytes() == b"{}" and not (output / "config.json").is_symlink()


def test_what_exists_stays_without_force(codec: Here, folder: Path) -> None:
    codec.well("compress", folder)
    output = folder.with_name("my model.weft")
    before = tree(output)
    said = codec("compress", folder, "--quiet")
    files = sum(content is not None for content in before.values())
    assert said.code == 3 and said.err.count("--force") == len(said.err.splitlines()) == files
    assert tree(output) == before
    codec.well("compress", folder, "--force")
    assert tree(output) == before


def test_one_bad_file_does_not_stop_the_others(codec: Here, folder: Path) -> None:
    original = tree(folder)
    codec.well("compress", folder)
    packed, back = folder.with_name("my model.weft"), folder.with_name("back")
    (packed / "model.safetensors.weft").write_bytes(b"broken")
    said = codec("decompress", packed, "-o", back, "--quiet")
    assert said.code == 1 and "model.safetensors.weft" in said.complaint
    assert tree(back) == {name: content for name, content in original.items() if name != "model.safetensors"}


def test_output_inside_the_input_is_refused(codec: Here, folder: Path) -> None:
    before = tree(folder)
    for output in (folder, folder / "deep", folder / "new"):
        said = codec("compress", folder, "-o", output)
        assert said.code == 2 and "lies inside" in said.err
    assert tree(folder) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_neither_file_nor_folder_is_refused(codec: Here, folder: Path) -> None:
    os.mkfifo(folder / "pipe.bin")
    said = codec("compress", folder, "--quiet")
    assert said.code == 1 and "pipe.bin" in said.complaint


def test_json_lists_every_file(codec: Here, folder: Path) -> None:
    (folder / "link").symlink_to("config.json")
    record = codec.well("compress", folder, "--json").record
    actions = {Path(entry["path"]).name: entry["action"] for entry in record["files"]}
    assert actions == {
        "config.json": "copied",
        "link": "linked",
        "model.safetensors": "compressed",
        "notes.txt": "copied",
        "part.BIN": "compressed",
        "small.bin": "copied",
    }


def test_summary(codec: Here, folder: Path) -> None:
    last = codec.well("compress", folder).err.splitlines()[-1]
    assert last.startswith("2 compressed, 3 copied : ")


def test_copies_keep_times_and_permissions(codec: Here, folder: Path) -> None:
    (folder / "config.json").chmod(0o640)
    os.utime(folder / "config.json", (1e9, 1e9))
    codec.well("compress", folder)
    copied = (folder.with_name("my model.weft") / "config.json").stat()
    assert copied.st_mtime == 1e9 and copied.st_mode & 0o777 == 0o640


def test_names_of_models() -> None:
    yes = ("a.safetensors", "PYTORCH_MODEL.BIN", "model.onnx_data", "variables.data-00000-of-00001")
    no = ("tokenizer.json", "safetensors", "a.safetensors.index.json", "a.py")
    assert all(map(is_model_name, yes)) and not any(map(is_model_name, no))
