"""Every fuzz target for a second or so, from a fixed seed and by mutation alone; ``make fuzz`` runs them for long."""

from __future__ import annotations

import pytest

from tests.fuzz import engine

RUNS = {
    "recover": 800,
    "inspect": 400,
    "round_trip": 600,
    "header": 1000,
    "archives": 600,
    "containers": 600,
    "decompress": 800,
}


@pytest.mark.parametrize("name", engine.TARGETS)
def test_target(name: str) -> None:
    runs = RUNS.get(name, 3000)
    assert engine.plain(name, 0, runs, seed=1) == runs
