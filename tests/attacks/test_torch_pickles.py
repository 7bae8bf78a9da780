"""Attack: a PyTorch file whose pickle calls os.system when it is loaded, or never ends.

Mitigation: weft follows the opcodes of a pickle to see what it would build, and neither imports nor calls what it
names (codec/sources/pickle_scan.py). tests/sources/test_torch_pickles.py has the pickles that are bombs.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import codec
from tests.sources import torch_files as made

ROOT = Path(__file__).resolve().parents[2]
HELD = {"0": made.arrays()["0"]}


def hostile(sentinel: Path) -> object:
    """A checkpoint with a tensor, and calls in every place that has one."""
    call = made.Call(made.Name("os", "mkdir"), (str(sentinel),))
    shell = made.Call(made.Name("os", "system"), (f"mkdir {sentinel}",))
    other = made.Call(made.Name("builtins", "exec"), (f"import os; os.mkdir({str(sentinel)!r})",), {"state": call})
    return [call, shell, {"w": made.whole("0", HELD["0"]), "more": other}, made.Call(shell, (call,))]


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_nothing_is_executed(form: str, tmp_path: Path) -> None:
    sentinel, path = tmp_path / "executed", tmp_path / "model.pt"
    make = made.zipped if form == "zip" else made.legacy
    path.write_bytes(make(hostile(sentinel), HELD))
    for call in (
        ("compress", "model.pt"),
        ("inspect", "model.pt.weft", "--tensors"),
        ("estimate", "model.pt"),
        ("verify", "model.pt.weft", "--against", "model.pt"),
        ("decompress", "model.pt.weft", "-o", "back.pt"),
    ):
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "codec.cli.main", *call]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    assert not sentinel.exists()
    assert (tmp_path / "back.pt").read_bytes() == path.read_bytes()
    with codec.safe_open(tmp_path / "model.pt.weft") as file:
        assert file.keys() == ["2.w"]


def test_it_would_execute(tmp_path: Path) -> None:
    import pickle

    pickle.loads(made.pickled(made.Call(made.Name("os", "mkdir"), (str(tmp_path / "executed"),))))
    assert (tmp_path / "executed").is_dir()


def test_names_of_globals_are_not_looked_up() -> None:
    """That of a module which would be imported; and that of a function which torch would call."""
    before = set(sys.modules)
    value = [made.Call(made.Name("antigravity", "geohash"), ()), made.whole("0", HELD["0"])]
    data = made.zipped(value, HELD)
    assert codec.decompress(codec.compress(data, level="fast")) == data
    assert not {"antigravity", "webbrowser"} & (set(sys.modules) - before)


def test_a_tensor_of_a_function_with_that_name_from_elsewhere() -> None:
    """Takes no harm: what it says is a guess at how to compress, and the bytes come back."""
    call = made.tensor(made.storage("0", "float32", 24), (24,))
    value = {"w": made.Call(made.Name("evil", "_rebuild_tensor_v2"), call.arguments)}
    data = made.zipped(value, HELD)
    blob = codec.compress(data)
    assert codec.decompress(blob) == data
    with codec.safe_open(io.BytesIO(blob)) as file:
        assert file.keys() in ([], ["w"])
