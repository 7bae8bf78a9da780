"""Attack: a .pt or .bin file is a pickle, which runs what it likes when it is loaded.

Mitigation: weft never loads one. No module of it imports pickle, torch.load or marshal; what is no safetensors file is
bytes. (Numba keeps compiled kernels as pickles in the package's own __pycache__, as Python does .pyc files: whoever
can write there has the program already.)
"""

from __future__ import annotations

import ast
import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import codec

ROOT = Path(__file__).resolve().parents[2]


class Runs:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> object:
        return os.mkdir, (str(self._path),)


@pytest.fixture(params=["bare", "zip"])
def hostile(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file that makes the folder "executed" when it is unpickled."""
    data, path = pickle.dumps(Runs(tmp_path / "executed")), tmp_path / "model.pt"
    if request.param == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", data)
            archive.writestr("archive/../../../evil", b"x" * 70_000)
            archive.writestr("archive/data/0", bytes(70_000))
    else:
        path.write_bytes(data)
    return path


def test_it_would_execute(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Runs(tmp_path / "executed")))
    assert (tmp_path / "executed").is_dir()


def test_every_command_takes_it_for_bytes(hostile: Path, tmp_path: Path) -> None:
    original = hostile.read_bytes()
    for call in (
        ("compress", "model.pt"),
        ("inspect", "model.pt.weft", "--tensors"),
        ("estimate", "model.pt"),
        ("verify", "model.pt.weft", "--against", "model.pt"),
        ("decompress", "model.pt.weft", "-o", "back.pt"),
        ("recover", "model.pt.weft", "-o", "saved.pt"),
    ):
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "codec.cli.main", *call]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "executed").exists()
    assert (tmp_path / "back.pt").read_bytes() == (tmp_path / "saved.pt").read_bytes() == original
    assert sorted(p.name for p in tmp_path.iterdir()) == ["back.pt", "model.pt", "model.pt.weft", "saved.pt"]


def test_safe_open_gives_nothing_of_it(hostile: Path) -> None:
    out = io.BytesIO()
    codec.compress_file(hostile, out)
    with codec.safe_open(out) as file:
        assert file.keys() == [] and file.metadata() is None


@pytest.mark.parametrize("path", sorted((ROOT / "codec").rglob("*.py")), ids=lambda p: p.stem)
def test_nothing_here_could(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {n.split(".")[0] for n in names} & {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib"}
        called = node.func if isinstance(node, ast.Call) else None
        assert not (isinstance(called, ast.Name) and called.id in ("eval", "exec", "compile"))
        loads = isinstance(called, ast.Attribute) and called.attr == "load" and isinstance(called.value, ast.Name)
        assert not (loads and called.value.id in ("torch", "np", "numpy"))
