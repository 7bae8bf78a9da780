"""Compiled kernels are used as long as no kernel is another than it was, and no longer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba import config

from codec.kernels import sources

#: A kernel whose constants are another file's; one that is called by its address; and how often the cache was of use.
PROGRAM = """
from codec.kernels import native, near
print(near.scaled(3), native.invoke(near.address, 3), sum(near.scaled.stats.cache_hits.values()))
"""
NEAR = """
from numba import types
from codec.kernels.cached import jit
from codec.kernels.far import TIMES, more
from codec.kernels.native import address_of
@jit(nogil=True)
def scaled(x):
    return more(x * TIMES)
def at(x):
    return more(x * TIMES)
address = address_of(at, types.int64(types.int64))
"""
FAR = """
from numba import njit
TIMES = {}
@njit
def more(x):
    return x + {}
"""


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")
@pytest.mark.parametrize("writable", [True, False])
def test_a_constant_of_another_file_is_seen(tmp_path: Path, writable: bool) -> None:
    kernels = tmp_path / "codec" / "kernels"
    kernels.mkdir(parents=True)
    (tmp_path / "codec" / "__init__.py").touch()
    for name in ("__init__", "cached", "native", "sources"):
        shutil.copy(Path(sources.__file__).with_name(f"{name}.py"), kernels)
    (kernels / "near.py").write_text(NEAR)
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("NUMBA_CACHE_DIR", None)
    if not writable:  # numba looks whether it may write there, which a superuser always may
        (kernels / "__pycache__").touch()

    def printed(times: int, plus: int) -> str:
        (kernels / "far.py").write_text(FAR.format(times, plus))
        command = [sys.executable, "-c", PROGRAM]
        return subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert printed(10, 1).split() == ["31", "31", "0"]
    assert printed(10, 1).split() == ["31", "31", "1"]
    assert printed(20, 1).split() == ["61", "61", "0"]
    assert printed(20, 5).split() == ["65", "65", "0"]
    assert printed(20, 5).split() == ["65", "65", "1"]
    assert any((tmp_path / "cache").rglob("near.scaled-*.nbi")) is not writable


def test_every_kernel_that_is_kept_is_kept_so() -> None:
    """numba's own cache does not see what another file holds."""
    for path in Path(sources.__file__).parent.glob("*.py"):
        assert "cache=True" not in path.read_text().replace("njit(cache=True)", ""), path.name


def test_the_digest_is_of_names_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def digest(files: dict[str, str]) -> bytes:
        for old in tmp_path.glob("*.py"):
            old.unlink()
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        sources.digest.cache_clear()
        return sources.digest()

    monkeypatch.setattr(sources, "__file__", str(tmp_path / "sources.py"))
    try:
        found = [digest(f) for f in ({"a.py": "x"}, {"a.py": "y"}, {"b.py": "x"}, {"a.py": "x", "b.py": ""})]
        assert len({*found}) == 4
        assert digest({"a.py": "x"}) == found[0]
        assert digest({}) == b""
    finally:
        sources.digest.cache_clear()
