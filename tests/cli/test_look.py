"""inspect, verify, estimate and bench."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.calls import ROOT, Here, environment


def test_inspect(codec: Here, packed: Path, model_bytes: bytes) -> None:
    said = codec.well("inspect", packed)
    assert said.err == ""
    facts = dict(line.split(maxsplit=1) for line in said.out.splitlines()[:6])
    assert facts["file"] == str(packed)
    assert facts["format"].startswith("weft 1.0, level default, from safetensors")
    assert f"{len(model_bytes):,} bytes" in facts["original"]
    assert f"{packed.stat().st_size:,} bytes" in facts["stored"]
    assert facts["sha256"] == hashlib.sha256(model_bytes).hexdigest()
    table = {line.split()[0]: line.split() for line in said.out.splitlines()[7:]}
    assert table["F32"][1:4] == ["1", "131", "kB"] and table["F16"][1] == "1"
    assert 16 < float(table["F32"][-1]) < 32 and 8 < float(table["F16"][-1]) < 16
    assert "layer.weight" not in said.out


def test_inspect_tensors(codec: Here, packed: Path) -> None:
    lines = codec.well("inspect", packed, "--tensors").out.splitlines()
    rows = {line.split()[0]: line.split() for line in lines if ".weight" in line}
    assert rows["layer.weight"][1:3] == ["F32", "256x128"]
    assert rows["half.weight"][1:3] == ["F16", "128x256"]


def test_inspect_json(codec: Here, packed: Path, model_bytes: bytes) -> None:
    record = codec.well("inspect", packed, "--json").record
    assert record["path"] == str(packed) and record["format_version"] == [1, 0]
    assert record["original_bytes"] == len(model_bytes) and record["stored_bytes"] == packed.stat().st_size
    assert record["tensor_count"] == 2 and "tensors" not in record
    assert record["dtypes"]["F32"]["elements"] == 256 * 128
    tensors = codec.well("inspect", packed, "--json", "--tensors").record["tensors"]
    assert {tensor["name"]: tensor["shape"] for tensor in tensors} == {
        "layer.weight": [256, 128],
        "half.weight": [128, 256],
    }


def test_inspect_of_nothing(codec: Here, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    codec.well("compress", tmp_path / "empty", "--quiet")
    assert "0 tensors" in codec.well("inspect", tmp_path / "empty.weft", "--tensors").out


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("inspect",), ("inspect", "--tensors")])
def test_headers_are_read_without_the_compiler(packed: Path, arguments: tuple[str, ...]) -> None:
    program = (
        "import sys; from codec.cli.main import main; code = main(sys.argv[1:]);"
        "sys.exit(code or [m for m in ('numba', 'llvmlite', 'torch', 'tqdm') if m in sys.modules] or 0)"
    )
    given = [*arguments, os.fspath(packed)] if arguments[0] == "inspect" else arguments
    ran = subprocess.run([sys.executable, "-c", program, *given], capture_output=True, env=environment(), cwd=ROOT)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_verify(codec: Here, packed: Path, model: Path) -> None:
    said = codec.well("verify", packed)
    assert said.out.startswith(f"{packed} : intact   (197 kB") and said.err == ""
    said = codec.well("verify", packed, "--against", model)
    assert f"intact, same as {model}" in said.out
    record = codec.well("verify", packed, "--against", model, "--json").record
    assert record["against"] == str(model) and record["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()


@pytest.mark.parametrize("change", ["byte", "shorter", "longer", "empty"])
def test_verify_against_another(codec: Here, packed: Path, model: Path, change: str) -> None:
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    changed = {"byte": content, "shorter": content[:-1], "longer": content + b"x", "empty": b""}
    model.write_bytes(changed[change])
    said = codec("verify", packed, "--against", model)
    assert said.code == 1 and said.out == "" and str(model) in said.complaint


def test_estimate(codec: Here, model: Path, packed: Path) -> None:
    said = codec.well("estimate", model)
    assert said.out.startswith(f"{model} : about ") and said.err == ""
    assert "F32" in said.out and "symbol" in said.out
    record = codec.well("estimate", model, "--json").record
    assert record["original_bytes"] == model.stat().st_size
    assert record["estimated_bytes"] == pytest.approx(packed.stat().st_size, rel=0.1)
    assert {path.name for path in model.parent.iterdir()} == {model.name, packed.name}


def test_estimate_of_nothing(codec: Here, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    codec.well("estimate", tmp_path / "empty")


def test_bench(codec: Here, model: Path) -> None:
    record = codec.well("bench", model, "--json", "--rounds", 1).record
    assert record["original_bytes"] == model.stat().st_size and record["dtype"] in ("F32", "F16")
    scores = {score["name"]: score for score in record["codecs"]}
    assert {"weft fast", "weft default", "zstd -3"} <= scores.keys()
    for score in scores.values():
        assert 0 < score["ratio"] < 1.01 and score["encode_seconds"] > 0 and score["decode_seconds"] > 0
    text = codec.well("bench", model, "--rounds", 1).out
    for name in scores:
        assert name in text
    for name in record["skipped"]:
        assert f"skipped {name}: " in text


def test_bench_of_nothing(codec: Here, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert codec("bench", tmp_path / "empty").code == 2
