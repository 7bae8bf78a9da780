"""Kernels on hostile input with every buffer against an unreadable page: see tests/hostile/guard.py.

Each run is a process of its own, so that a byte read or written outside a buffer is a failed test with a seed in its
message. ``GUARD_SCALE=100`` in the environment runs a hundred times as many iterations, from other seeds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile import guard

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pages are protected with mprotect of Linux")

ROOT = Path(__file__).resolve().parents[2]
ITERATIONS = 1500 * int(os.environ.get("GUARD_SCALE", "1"))


def run(tmp_path: Path, kernels: str, *arguments: object) -> str:
    """Run iterations in another process; what is wrong with them ("": nothing)."""
    progress = tmp_path / "progress"
    progress.touch()
    env = os.environ | {"CODEC_KERNELS": kernels, "PYTHONPATH": str(ROOT), "NUMBA_DISABLE_JIT": "0"}
    command = [sys.executable, "-m", "tests.hostile.guard", *map(str, arguments), str(progress)]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=3600, check=False)
    if done.returncode == 0:
        return ""
    name, seed, number, *_ = progress.read_text().split() or ["nothing", "-", "-"]
    why = done.stderr.strip().splitlines()[-1:] if done.returncode > 0 else [signal.Signals(-done.returncode).name]
    again = f"CODEC_KERNELS={kernels} {sys.executable} -m tests.hostile.guard {name} {seed} {number} {int(number) + 1}"
    return f"{''.join(why)}: {again}"


@pytest.mark.parametrize("kernels", ["auto", "portable", "scalar"])
def test_no_kernel_leaves_its_buffers(kernels: str, tmp_path: Path) -> None:
    seed = 1 if ITERATIONS == 1500 else 2
    assert run(tmp_path, kernels, "all", seed, 0, ITERATIONS) == ""


def test_a_byte_too_far_is_noticed(tmp_path: Path) -> None:
    assert run(tmp_path, "auto", "overrun", 7, 3, 5).startswith("SIGSEGV: ")
    assert run(tmp_path, "auto", "overrun", 7, 3, 5).endswith("guard overrun 7 3 4")


def test_every_kind_is_run() -> None:
    assert len(guard.KINDS) == 12
