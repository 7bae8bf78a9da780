"""The README runs: its commands and its Python, in order, in one folder with one small model in it.

A ``console`` block is run line by line where a line opens with ``$ ``, with the environment's commands
on the path; the lines between are output, which varies and is not compared. All ``python`` blocks share
one namespace. ``<!-- not run: REASON -->`` on the line above a fence leaves that block out. Blocks below
``<!-- hub -->`` run against a Hub on loopback, the Python ones as programs; a command that ends in `` &`` runs until
the end of the test.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.hub.remote import RemoteServer

README = Path(__file__).resolve().parents[1] / "README.md"
FENCE = re.compile(
    r"(?P<skip><!-- not run: [^\n]+ -->\n)?(?P<hub><!-- hub -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.M | re.S,
)


class Block(NamedTuple):
    language: str
    line: int  # of its first line of text, counted from 1
    text: str
    hub: bool


def blocks() -> list[Block]:
    readme = README.read_text(encoding="utf-8")
    return [
        Block(m["language"], readme.count("\n", 0, m.start("text")) + 1, m["text"], bool(m["hub"]))
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
        if block.hub:
            continue
        if block.language == "python":
            # Blank lines in front make a traceback point at the line of the README.
            exec(compile("\n" * (block.line - 1) + block.text, str(README), "exec"), namespace)
            continue
        for offset, line in enumerate(block.text.splitlines()):
            if line.startswith("$ "):
                ran = subprocess.run(line[2:], shell=True, capture_output=True, text=True, cwd=folder)
                where = f"README.md:{block.line + offset}: {line}"
                assert ran.returncode == 0, f"{where}\n{ran.stdout}{ran.stderr}"


PROGRAM = """
import hashlib, huggingface_hub
print(hashlib.sha256(open(huggingface_hub.hf_hub_download("me/model", "model.safetensors"), "rb").read()).hexdigest())
"""


def test_what_readme_says_of_the_hub(folder: Path) -> None:
    pytest.importorskip("uvicorn", reason="codec serve needs the extra 'serve'")
    pytest.importorskip("starlette", reason="codec serve needs the extra 'serve'")
    (folder / "my-model").mkdir()
    (folder / "model.safetensors").rename(folder / "my-model" / "model.safetensors")
    (folder / "my-model" / "config.json").write_text("{}")
    (folder / "program.py").write_text(PROGRAM)
    digest = hashlib.sha256((folder / "my-model" / "model.safetensors").read_bytes()).hexdigest()
    off = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    with RemoteServer(folder / "server") as server, free_port() as port:
        environment = {
            **os.environ,
            **off,
            "HF_ENDPOINT": server.url,
            "HF_TOKEN": "hf_w",
            "HF_HOME": str(folder / "home"),
        }
        background: list[subprocess.Popen[bytes]] = []
        try:
            for number, block in enumerate(b for b in blocks() if b.hub):
                text = block.text.replace("8800", str(port))
                lines = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
                if block.language == "python":
                    (folder / f"block{number}.py").write_text(text)
                    lines = [f"python block{number}.py"]
                for line in lines:
                    if line.endswith(" &"):
                        command = line.removesuffix(" &").split()
                        background.append(subprocess.Popen(command, env=environment, cwd=folder))
                        wait_for(port)
                        continue
                    home = {"HF_HOME": str(folder / f"home{len(background)}")}
                    ran = subprocess.run(
                        line, shell=True, env=environment | home, capture_output=True, text=True, cwd=folder
                    )
                    assert ran.returncode == 0, f"README.md:{block.line}: {line}\n{ran.stdout}{ran.stderr}"
                    if "program.py" in line:
                        assert ran.stdout.strip() == digest
        finally:
            for process in background:
                process.terminate()
                process.wait(20)
        found = list(folder.rglob("home*/hub/models--me--model/snapshots/*/model.safetensors"))
        assert len(found) == 2 and {hashlib.sha256(p.read_bytes()).hexdigest() for p in found} == {digest}
        assert server.bytes_sent("model.safetensors", "GET") < 200  # that it is not there


@contextmanager
def free_port() -> Iterator[int]:
    """A port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    yield port


def wait_for(port: int) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on port {port}")


def test_readme_has_blocks_of_both_kinds() -> None:
    assert {block.language for block in blocks()} == {"python", "console"}
