"""compress and decompress of files: what comes back, where it goes, what is said."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.cli.calls import Here


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_there_and_back(codec: Here, model: Path, model_bytes: bytes) -> None:
    said = codec.well("compress", model)
    assert said.out == ""
    line = r"\S+model\.safetensors : \d+\.\d\d%   \(197 kB => 1\d\d kB, .+/s\)  \S+model\.safetensors\.weft\n"
    assert re.fullmatch(line, said.err)
    packed = model.with_name("model.safetensors.weft")
    assert packed.stat().st_size < len(model_bytes)

    model.unlink()
    said = codec.well("decompress", packed)
    assert said.out == ""
    assert re.fullmatch(r"\S+\.weft : 197 kB, .+/s  \S+model\.safetensors\n", said.err)
    assert model.read_bytes() == model_bytes
    assert names(model.parent) == ["model.safetensors", "model.safetensors.weft"]


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 100_000, b"not a model at all\n" * 999], ids=len)
@pytest.mark.parametrize("level", ["fast", "default", "max"])
def test_any_content(codec: Here, tmp_path: Path, content: bytes, level: str) -> None:
    (tmp_path / "any").write_bytes(content)
    codec.well("compress", tmp_path / "any", "--level", level)
    codec.well("verify", tmp_path / "any.weft", "--against", tmp_path / "any")
    codec.well("decompress", tmp_path / "any.weft", "-o", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content


@pytest.mark.parametrize("name", ["a b.bin", "ü.bin", "-", "--force", "a\nb\x1b[31m.bin", os.fsdecode(b"\xff.bin")])
def test_any_name(codec: Here, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"content")
    shown = "./-" if name == "-" else name
    said = codec.well("compress", "--", shown)
    assert said.err.count("\n") == 1 and "\x1b" not in said.err
    Path(name).unlink()
    assert codec.well("decompress", "--json", "--", f"{shown}.weft").record["output"] == shown
    assert Path(name).read_bytes() == b"content"


def test_one_thread_and_many_write_the_same(codec: Here, model: Path) -> None:
    codec.well("compress", model, "-o", model.with_name("one"), "--threads", 1)
    codec.well("compress", model, "-o", model.with_name("two"), "--threads", 2)
    assert model.with_name("one").read_bytes() == model.with_name("two").read_bytes()


def test_output_that_exists_stays_without_force(codec: Here, model: Path) -> None:
    packed = model.with_name("model.safetensors.weft")
    packed.write_bytes(b"precious")
    said = codec("compress", model)
    assert said.code == 3
    assert "exists" in said.complaint and "--force" in said.complaint and packed.name in said.complaint
    assert packed.read_bytes() == b"precious"

    codec.well("compress", model, "--force")
    said = codec("decompress", packed)
    assert said.code == 3 and str(model) in said.complaint
    codec.well("decompress", packed, "--force")


@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_input_never_becomes_the_output(codec: Here, packed: Path, command: str) -> None:
    before = packed.read_bytes()
    said = codec(command, packed, "-o", packed, "--force")
    assert said.code == 2 and "input itself" in said.complaint
    assert packed.read_bytes() == before


def test_output_into_a_folder(codec: Here, packed: Path, tmp_path: Path, model_bytes: bytes) -> None:
    (tmp_path / "folder").mkdir()
    codec.well("decompress", packed, "-o", tmp_path / "folder")
    assert (tmp_path / "folder" / "model.safetensors").read_bytes() == model_bytes
    said = codec("decompress", packed, "-o", f"{tmp_path}/missing/")
    assert said.code == 3 and "missing" in said.complaint


def test_several_paths_each_on_its_own(codec: Here, tmp_path: Path) -> None:
    for name in ("a", "c"):
        (tmp_path / name).write_bytes(name.encode() * 1000)
    said = codec("compress", *(tmp_path / name for name in "abc"), "--quiet")
    assert said.code == 3 and said.complaint.startswith(str(tmp_path / "b"))
    assert names(tmp_path) == ["a", "a.weft", "c", "c.weft"]

    # Of a bad input (1) and a missing one (3), the higher code is reported.
    (tmp_path / "bad.weft").write_bytes(b"bad")
    said = codec("decompress", tmp_path / "bad.weft", tmp_path / "missing.weft")
    assert said.code == 3
    said = codec("decompress", tmp_path / "bad.weft", tmp_path / "a.weft", "--force")
    assert said.code == 1 and "1 decompressed, 1 failed" in said.err


def test_several_paths_need_a_folder(codec: Here, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x").write_bytes(folder.encode())
    both = tmp_path / "one" / "x", tmp_path / "two" / "x"
    assert codec("compress", *both, "-o", tmp_path / "none").code == 2
    (tmp_path / "out").mkdir()
    # Two outputs of one name: the second is refused, even with --force.
    said = codec("compress", *both, "-o", tmp_path / "out", "--force", "--quiet")
    assert said.code == 2 and "rename one" in said.complaint
    codec.well("decompress", tmp_path / "out" / "x.weft")
    assert (tmp_path / "out" / "x").read_bytes() == b"one"


def test_quiet_prints_nothing(codec: Here, model: Path) -> None:
    packed = model.with_name("model.safetensors.weft")
    for arguments in (("compress", model), ("decompress", packed, "--force"), ("verify", packed)):
        assert codec.well(*arguments, "--quiet")[1:] == ("", "")


def test_json_of_one_and_of_several(codec: Here, model: Path, model_bytes: bytes) -> None:
    said = codec.well("compress", model, "--json", "--threads", 1)
    packed, record = model.with_name("model.safetensors.weft"), said.record
    assert said.err == ""
    assert record["path"] == str(model) and record["output"] == str(packed)
    assert record["action"] == "compressed" and record["threads"] == 1
    assert record["original_bytes"] == len(model_bytes) and record["stored_bytes"] == packed.stat().st_size
    assert record["ratio"] == record["stored_bytes"] / record["original_bytes"]
    assert record["seconds"] >= 0 and len(record["sha256"]) == 64
    total = sum(bits for fields in record["bits"].values() for bits in fields.values())
    assert {"F32", "F16"} <= record["bits"].keys() and 0 < total <= 8 * record["stored_bytes"]

    said = codec("compress", model, model.with_name("missing"), "--json", "--force")
    done, missing = said.record["files"]
    assert said.code == 3 and done["path"] == str(model)
    assert missing == {"path": str(model.with_name("missing")), "error": said.complaint, "exit_code": 3}


def test_json_of_a_failure(codec: Here, model: Path) -> None:
    said = codec("decompress", model, "-o", model.with_name("out"), "--json")
    assert said.code == said.record["exit_code"] == 1
    assert said.record["error"] == said.complaint


def test_name_without_the_suffix_needs_an_output(codec: Here, packed: Path, model_bytes: bytes) -> None:
    packed = packed.rename(packed.with_name("packed"))
    said = codec("decompress", packed)
    assert said.code == 2 and "-o" in said.complaint
    codec.well("decompress", packed, "-o", packed.with_name("back"))
    assert packed.with_name("back").read_bytes() == model_bytes
