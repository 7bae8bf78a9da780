"""Compiling in two processes: what the first command on a machine does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from numba import config

from codec import warm
from codec.kernels.sources import digest
from tests.cli.calls import ROOT


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The processes that would be started; they do nothing."""
    calls: list[list[str]] = []

    def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        calls.append(command)
        return real([sys.executable, "-c", "raise SystemExit(3)"], **options)

    real = subprocess.Popen
    monkeypatch.setattr(warm.subprocess, "Popen", start)
    monkeypatch.setattr(warm.os, "cpu_count", lambda: 2)
    return calls


@pytest.mark.parametrize("work", ["compress", "decompress"])
def test_nothing_is_started_for_what_is_cached(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    monkeypatch.setattr(warm, "_cached", lambda kernel: True)
    warm.compile_kernels(work)
    assert started == []


@pytest.mark.parametrize("work", ["compress", "decompress"])
def test_another_process_that_fails_does_no_harm(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    monkeypatch.setattr(warm, "_cached", lambda kernel: False)
    warm.compile_kernels(work, "fast")
    assert started == [[sys.executable, "-P", "-m", "codec.warm", work, "fast"]]


def test_no_second_process_where_there_is_one_processor(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "_cached", lambda kernel: False)
    monkeypatch.setattr(warm.os, "cpu_count", lambda: 1)
    warm.compile_kernels("compress")
    assert started == []


@pytest.mark.parametrize(("name", "value"), [("executable", ""), ("executable", None), ("frozen", True)])
def test_nothing_is_started_that_is_not_python(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    monkeypatch.setattr(warm, "_cached", lambda kernel: False)
    monkeypatch.setattr(sys, name, value, raising=False)
    warm.compile_kernels("compress")
    assert started == []


def test_the_cache_of_another_python_or_of_other_kernels_is_not_this_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    (tmp_path / "kernels_abc").mkdir()
    (tmp_path / "kernels_abc" / "spans.encode-7.py39.nbi").write_bytes(b"version" + digest() + b"functions")
    assert not warm._cached("spans.encode")
    ours = tmp_path / "kernels_abc" / "spans.encode-7.py{}{}.nbi".format(*sys.version_info)
    ours.write_bytes(b"version" + bytes(32) + b"functions")
    assert not warm._cached("spans.encode")
    ours.write_bytes(b"version" + digest() + b"functions")
    assert warm._cached("spans.encode")


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")
def test_the_first_command_fills_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an empty cache there and back; afterwards the kernels are found there, of each kind."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    source, stored, back = (tmp_path / name for name in ("a b.bin", "a b.bin.weft", "back.bin"))
    source.write_bytes(bytes(range(256)) * 40)
    for name in ("codec", "numpy", "json"):  # what lies in the current folder is not imported
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write({name!r})")
    for command in (["compress", source, "-o", stored], ["decompress", stored, "-o", back]):
        start = [sys.executable, "-P", "-m", "codec.cli.main", *map(str, command)]
        subprocess.run(start, env=environment, cwd=tmp_path, check=True)
    assert not (tmp_path / "imported").exists()
    assert back.read_bytes() == source.read_bytes()
    found = {path.name.partition("-")[0] for path in (tmp_path / "cache").rglob("*.nbi")}
    assert set(warm._SIGNS.values()) <= found
    monkeypatch.setenv("NUMBA_CACHE_DIR", environment["NUMBA_CACHE_DIR"])
    assert all(map(warm._cached, warm._SIGNS.values()))
