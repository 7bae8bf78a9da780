"""recover, and what verify and inspect say of a damaged file with --json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.numpy

from codec.container import records
from tests.cli.calls import Here
from tests.cli.test_failures import left_in
from tests.test_damage import bodies


def damage(packed: Path, number: int) -> tuple[int, int]:
    """Damage the record of a number; where it lies."""
    content = bytearray(packed.read_bytes())
    _, at, size = list(bodies(bytes(content)))[number]
    content[at + size // 2] ^= 1
    packed.write_bytes(content)
    return at, size


def test_nothing_is_lost(codec: Here, packed: Path, tmp_path: Path, model_bytes: bytes) -> None:
    out = tmp_path / "saved"
    said = codec.well("recover", packed, "-o", out)
    assert said.out == "" and said.err == f"{packed} : nothing is lost   (197 kB)  {out}\n"
    assert out.read_bytes() == model_bytes
    packed.write_bytes(packed.read_bytes()[:-50])
    said = codec.well("recover", packed, "-o", out, "--force")
    assert said.err.splitlines() == [
        "note: the index is lost",
        f"{packed} : nothing is lost   (197 kB)  {out}",
    ]
    assert out.read_bytes() == model_bytes
    assert codec.well("recover", packed, "-o", out, "--force", "--quiet")[1:] == ("", "")


def test_a_lost_tensor(codec: Here, packed: Path, tmp_path: Path, model_bytes: bytes) -> None:
    out = tmp_path / "saved"
    damage(packed, 1)
    said = codec("recover", packed, "-o", out)
    length = int.from_bytes(model_bytes[:8], "little")
    header = json.loads(model_bytes[8 : 8 + length])
    first = min((name for name in header if name != "__metadata__"), key=lambda n: header[n]["data_offsets"])
    begin, end = (8 + length + offset for offset in header[first]["data_offsets"])
    shape = "x".join(map(str, header[first]["shape"]))
    assert said.code == 1 and said.out == ""
    assert said.err.splitlines() == [
        f"lost: {first}, {header[first]['dtype']} {shape}, bytes [{begin}, {end}) of [{begin}, {end}) of the original",
        f"codec: {packed}: 1 of 2 tensors is lost; what is sound (65.5 kB) is in {out}",
    ]
    original = safetensors.numpy.load(model_bytes)
    found = safetensors.numpy.load_file(out)
    assert found.keys() == original.keys() - {first}
    assert all((found[name] == original[name]).all() for name in found)
    with safetensors.safe_open(out, "numpy") as again:
        assert again.metadata() == {"format": "np"}
    said = codec("recover", packed, "-o", out, "--force", "--quiet")
    assert said.code == 1 and "1 of 2 tensors" in said.complaint


def test_json(codec: Here, packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "saved"
    record = codec.well("recover", packed, "-o", out, "--json").record
    assert record["path"] == str(packed) and record["output"] == str(out) and record["intact"] is True
    assert record["form"] == "original" and record["sha256_matches"] is True and len(record["saved"]) == 2
    damage(packed, 1)
    said = codec("recover", packed, "-o", out, "--json", "--force")
    assert said.code == said.record["exit_code"] == 1 and said.record["error"] == said.complaint
    assert said.record["form"] == "safetensors" and said.record["intact"] is False
    (lost,) = said.record["lost"]
    assert lost["name"] not in said.record["saved"] and lost["gone"] == [[lost["begin"], lost["end"]]]


def test_opaque_and_pieces(codec: Here, tmp_path: Path) -> None:
    path, packed, out = tmp_path / "text", tmp_path / "text.weft", tmp_path / "out"
    path.write_bytes(b"".join(b"some text, line %6d of it\n" % k for k in range(100_000)))
    codec.well("compress", path, "--quiet")
    damage(packed, 1)
    said = codec("recover", packed, "-o", out)
    assert said.code == 1 and "lost: bytes [0, 524288) of the original" in said.err
    assert "524 kB of the original are lost; what is sound (2.38 MB)" in said.err
    assert out.read_bytes() == bytes(1 << 19) + path.read_bytes()[1 << 19 :]
    packed.write_bytes(packed.read_bytes()[:-90])
    damage(packed, 0)
    said = codec("recover", packed, "-o", out, "--force")
    assert said.code == 1 and "where its bytes lay in the original is not known" in said.err
    assert "piece: recovered_0001, U8, 1048576 bytes, from the record at byte " in said.err


def test_nothing_to_save(codec: Here, packed: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    packed.write_bytes(packed.read_bytes()[:40])
    said = codec("recover", packed, "-o", out, "--json")
    assert said.code == 1 and str(packed) in said.complaint and said.record["error"] == said.complaint
    said = codec("recover", model, "-o", out)
    assert said.code == 1 and "not a weft file" in said.complaint
    assert left_in(tmp_path) == [model.name, packed.name]


def test_where_it_does_not_write(codec: Here, packed: Path, tmp_path: Path) -> None:
    before = packed.read_bytes()
    assert codec("recover", packed).code == 2
    assert codec("recover", packed, "-o", "-").code == 2
    assert codec("recover", packed, "-o", "/dev/null", "--force").code == 2
    said = codec("recover", packed, "-o", packed, "--force")
    assert said.code == 2 and "input itself" in said.complaint
    (tmp_path / "out").write_bytes(b"precious")
    said = codec("recover", packed, "-o", tmp_path / "out")
    assert said.code == 3 and "--force" in said.complaint and (tmp_path / "out").read_bytes() == b"precious"
    assert codec("recover", packed, "-o", tmp_path, "--force").code == 3
    assert codec("recover", tmp_path / "missing", "-o", tmp_path / "new").code == 3
    assert codec("recover", tmp_path, "-o", tmp_path / "new").code == 3
    assert packed.read_bytes() == before and not (tmp_path / "new").exists()


def test_verify_says_where(codec: Here, packed: Path) -> None:
    at, size = damage(packed, 2)
    said = codec("verify", packed, "--json")
    assert said.code == 1 and said.record["error"] == said.complaint and said.record["exit_code"] == 1
    found = said.record["damage"]
    assert (found["record"], found["record_end"]) == (at, at + size)
    assert said.complaint.startswith(
        f'{packed}: tensor "{found["tensor"]}", bytes [{found["begin"]}, {found["end"]}) of'
    )
    assert said.complaint.endswith('run "codec recover"')


@pytest.mark.parametrize("command", ["verify", "inspect", "estimate", "bench"])
def test_json_of_a_failure(codec: Here, tmp_path: Path, command: str) -> None:
    said = codec(command, tmp_path / "missing", "--json")
    assert said.code == said.record["exit_code"] == 3 and said.record["error"] == said.complaint
    if command in ("verify", "inspect"):
        (tmp_path / "bad").write_bytes(records.header())
        said = codec(command, tmp_path / "bad", "--json")
        assert said.code == said.record["exit_code"] == 1 and said.record["error"] == said.complaint
        assert said.record["path"] == str(tmp_path / "bad") and ("damage" in said.record) == (command == "verify")


def test_verify_against_what_is_no_file(codec: Here, packed: Path, tmp_path: Path) -> None:
    said = codec("verify", packed, "--against", tmp_path)
    assert said.code == 3 and said.complaint == f"{tmp_path}: is a directory"
    said = codec("verify", packed, "--against", tmp_path / "typo")
    assert said.code == 3 and said.complaint == f"{tmp_path / 'typo'}: no such file or directory; check the path"
