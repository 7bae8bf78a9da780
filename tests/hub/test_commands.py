"""codec push, pull and run, as commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.hub.access import Tokens
from tests.hub.models import compressed, sha256, weights
from tests.hub.server import HubServer

MODEL = weights(1)
NAME = "model.safetensors"


class Said(NamedTuple):
    code: int
    out: str
    err: str


class Command:
    """Runs ``codec`` against a server, in a home of its own."""

    def __init__(self, url: str, home: Path) -> None:
        self.home = home
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("HF_")},
            "HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "writer",
        }  # fmt: skip

    def __call__(self, *arguments: object, **environment: str) -> Said:
        command = [sys.executable, "-m", "codec.cli.main", *map(str, arguments)]
        ran = subprocess.run(
            command, env={**self.environment, **environment}, capture_output=True, text=True, timeout=120, check=False
        )
        return Said(ran.returncode, ran.stdout, ran.stderr)


@pytest.fixture
def server(make_hub_server: Callable[..., HubServer]) -> HubServer:
    return make_hub_server(tokens=Tokens(write=("writer",), read=("reader",)))


@pytest.fixture
def codec_of(server: HubServer, tmp_path: Path) -> Command:
    return Command(server.url, tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "my model"
    folder.mkdir()
    (folder / NAME).write_bytes(MODEL)
    (folder / "config.json").write_text("{}")
    return folder


def test_there_and_back(server: HubServer, codec_of: Command, folder: Path) -> None:
    said = codec_of("push", "org/m", folder, "--dry-run")
    assert said.code == 0 and said.out == "" and "would be compressed" in said.err and f"{NAME} : " in said.err
    assert server.store.find("org/m") is None
    said = codec_of("push", "org/m", folder)
    assert said.code == 0 and said.out == "" and "1 of 3 files compressed" in said.err
    assert said.err.count("\n") == 4  # a line for each file, and one for all
    said = codec_of("push", "org/m", folder, "--json")
    assert said.code == 0 and said.err == ""
    assert {f["action"] for f in json.loads(said.out)["files"]} == {"skipped"}
    said = codec_of("pull", "org/m")
    found = Path(said.out.strip())
    assert said.code == 0 and (found / NAME).read_bytes() == MODEL and f"{NAME} : " in said.err
    said = codec_of("pull", "org/m", "--local-dir", folder.parent / "d", "--include", "*.safetensors", "--quiet")
    assert said.code == 0 and said.err == "" and (folder.parent / "d" / NAME).read_bytes() == MODEL
    said = codec_of("push", "org/twin", "--from-repo", "org/m@main", "--private", "--quiet")
    assert said == (0, "", "")
    repo = server.store.find("org/twin")
    assert repo is not None and repo.private


PROGRAM = """
import sys
assert "hub" not in sys.modules and "huggingface_hub" not in sys.modules
import hashlib, huggingface_hub
path = huggingface_hub.hf_hub_download("org/m", "model.safetensors")
print(hashlib.sha256(open(path, "rb").read()).hexdigest(), *sys.argv[1:])
sys.exit(7)
"""


def test_a_program_with_the_hook_on(server: HubServer, codec_of: Command, tmp_path: Path) -> None:
    server.add_repo("org/m", {f"{NAME}.weft": compressed(MODEL, tmp_path)})
    (tmp_path / "program.py").write_text(PROGRAM)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "sitecustomize.py").write_text("print('mine runs, too')")
    for dashes in (["--"], []):
        said = codec_of("run", *dashes, sys.executable, tmp_path / "program.py", "--flag", "a b", PYTHONPATH=str(mine))
        # once in codec itself, once in the program
        assert said.code == 7
        assert said.out.splitlines() == ["mine runs, too"] * 2 + [f"{sha256(MODEL)} --flag a b"]
    plain = {**codec_of.environment, "HF_HOME": str(tmp_path / "other")}
    ran = subprocess.run([sys.executable, tmp_path / "program.py"], env=plain, capture_output=True, check=False)
    assert ran.returncode == 1 and b"EntryNotFound" in ran.stderr


def test_who_looks_for_huggingface_hub_first_gets_the_hook_too(codec_of: Command) -> None:
    script = (
        "import importlib.util as u; assert u.find_spec('huggingface_hub'); import huggingface_hub, hub, sys;"
        "print(hub.is_enabled(), [f for f in sys.meta_path if 'Watched' in type(f).__name__])"
    )
    assert codec_of("run", "--", sys.executable, "-c", script) == (0, "True []\n", "")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["pull", "org/none"], 3, "org/none: no such repo"),
        (["pull", "org/m", "--revision", "none"], 3, "org/m: has no such revision"),
        (["pull", "not a repo/at/all"], 2, "no name of a repo"),
        (["pull", "org/m", "HF_HUB_OFFLINE"], 3, "offline mode"),
        (["pull", "org/m", "HF_ENDPOINT"], 3, "failed"),
        (["pull", "org/bad"], 1, "damaged"),
        (["push", "org/m", "FOLDER", "reader"], 3, "write access"),
        (["push", "org/m", "FOLDER", "stranger"], 3, "token"),
        (["push", "org/m", "nowhere"], 3, "nowhere: no such file"),
        (["inspect", "nosuch://x"], 3, "nosuch://x: no URL that can be read here"),
        (["serve", "--upstream", "http://user:word@nowhere", "--port", "0"], 2, "serve: "),
        (["serve", "--upstream", "ftp://x", "--port", "0"], 2, "serve: "),
        (["run", "--", "no-such-program"], 3, "no-such-program: no such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_errors_are_one_line(
    server: HubServer, codec_of: Command, folder: Path, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    weft = bytearray(compressed(MODEL, tmp_path))
    server.add_repo("org/m", {f"{NAME}.weft": bytes(weft)})
    weft[len(weft) // 2] ^= 1
    server.add_repo("org/bad", {f"{NAME}.weft": bytes(weft)})
    environment: dict[str, str] = {}
    given = [str(folder) if a == "FOLDER" else a for a in arguments]
    match given[-1]:
        case "HF_HUB_OFFLINE":
            environment["HF_HUB_OFFLINE"] = "1"
        case "HF_ENDPOINT":
            environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
        case "reader" | "stranger":
            environment["HF_TOKEN"] = given[-1]
    if environment:
        given.pop()
    said = codec_of(*given, **environment)
    assert said.code == code and said.out == "" and says in said.err and "word@" not in said.err
    assert said.err.startswith("codec: ") and said.err.count("\n") == 1 and "Traceback" not in said.err
