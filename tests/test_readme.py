"""The README runs: its commands and its Python, in order, in one folder with one small model in it.

A ``console`` block is run line by line where a line opens with ``$ ``, with the environment's commands
on the path; the lines between are output, which varies and is not compared. All ``python`` blocks share
one namespace. ``<!-- not run: REASON -->`` on the line above a fence leaves that block out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from safetensors.numpy import save_file

README = Path(__file__).resolve().parents[1] / "README.md"
FENCE = re.compile(r"(?P<skip><!-- not run: [^\n]+ -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    language: str
    line: int  # of its first line of text, counted from 1
    text: str


def blocks() -> list[Block]:
    readme = README.read_text(encoding="utf-8")
    return [
        Block(m["language"], readme.count("\n", 0, m.start("text")) + 1, m["text"])
        for m in FENCE.finditer(readme)
        if not m["skip"] and m["language"] in ("python", "console")
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder but for ``model.safetensors``, with this environment's commands on the path."""
    rng = np.random.default_rng(1)
    tensors = {
        "embeddings.weight": rng.normal(0, 0.05, (512, 64)).astype(np.float32),
        "encoder.weight": rng.normal(0, 0.02, (64, 256)).astype(np.float16),
    }
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "np"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    return tmp_path


def test_readme_runs(folder: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "readme"}
    for block in blocks():
        if block.language == "python":
            # Blank lines in front make a traceback point at the line of the README.
            exec(compile("\n" * (block.line - 1) + block.text, str(README), "exec"), namespace)
            continue
        for offset, line in enumerate(block.text.splitlines()):
            if line.startswith("$ "):
                ran = subprocess.run(line[2:], shell=True, capture_output=True, text=True, cwd=folder)
                where = f"README.md:{block.line + offset}: {line}"
                assert ran.returncode == 0, f"{where}\n{ran.stdout}{ran.stderr}"


def test_readme_has_blocks_of_both_kinds() -> None:
    assert {block.language for block in blocks()} == {"python", "console"}
