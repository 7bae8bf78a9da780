"""Real weights, where a folder of them lies beside the project: as small as the scheme can make them, and exact."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import pytest

import codec

DATA = Path(os.environ.get("WEFT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def manifest() -> list[tuple[str, float]]:
    """(file, the fraction that the manifest calls reachable)."""
    path = DATA / "MANIFEST.md"
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if len(cells) == 11 and cells[0].endswith(".safetensors") and cells[10]:
            rows.append((cells[0], float(cells[10])))
    return rows


@pytest.mark.parametrize(
    ("name", "reachable"), manifest() or [pytest.param("", 0.0, marks=pytest.mark.skip("no data"))]
)
def test_reachable_sizes_are_reached(name: str, reachable: float) -> None:
    path, out, back = DATA / name, io.BytesIO(), io.BytesIO()
    report = codec.compress_file(path, out)
    out.seek(0)
    codec.decompress_file(out, back)
    assert hashlib.sha256(back.getvalue()).hexdigest() == report.sha256
    assert back.getvalue() == path.read_bytes()
    assert report.ratio <= reachable * 1.005
