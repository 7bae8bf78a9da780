"""A few of the random kills that ``make faults`` has many of, and an end at many a line where it matters."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from tests.cli.calls import ROOT, environment
from tests.faults.run import cases, storm

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")


def test_killed_at_random_moments() -> None:
    counts = storm(cases(rounds=1), 12, [signal.SIGKILL], seed=2)
    assert counts.faults == [] and set(counts.codes) <= {0, -signal.SIGKILL}
    assert sum(counts.landed.values()) >= 12


@pytest.mark.parametrize("kind", ["kill", "interrupt"])
def test_ended_at_lines_of_the_file_that_makes_files(kind: str) -> None:
    """At every fourth, in a process of its own, since it forks; ``make faults`` takes them all."""
    command = [sys.executable, "-m", "tests.faults.points", kind, "4"]
    ran = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    found = re.fullmatch(rf"{kind}: (\d+) moments, 0 faults\n", ran.stdout)
    assert found is not None, ran.stdout + ran.stderr
    assert int(found[1]) > 50 and ran.returncode == 0
