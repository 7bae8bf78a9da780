"""The command line itself: help, versions, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from codec import __version__
from codec.cli.main import COMMANDS
from tests.cli.calls import Here


def test_version(codec: Here) -> None:
    assert codec("--version") == (0, f"weft {__version__}\n", "")


def test_help_names_every_command(codec: Here) -> None:
    said = codec("--help")
    assert said.code == 0 and said.err == ""
    assert all(f"\n    {name} " in said.out for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(codec: Here, command: str) -> None:
    said = codec(command, "--help")
    assert said.code == 0 and said.err == ""
    assert f"codec {command}" in said.out and "exit codes:" in said.out and "examples:" in said.out


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--wrong",),
        ("wrong",),
        ("recover", "x"),
        *((command,) for command in COMMANDS if command != "serve"),
        *((command, "x.weft", "--wrong") for command in COMMANDS if command != "run"),
        ("push", "org/name"),
        ("push", "org/name", "x", "--from-repo", "org/other"),
        ("run", "--"),
        ("serve", "--port", "65536"),
        ("serve", "--cache-size", "many"),
        ("compress", "x", "--level", "best"),
        ("compress", "x", "--threads", "0"),
        ("compress", "x", "--threads", "-1"),
        ("compress", "x", "--threads", "1e3"),
        ("compress", "x", "--thr", "1"),
        ("compress", "x", "-o"),
        ("inspect", "x", "y"),
        ("compress", "\udcff\n\x1b[31m", "--wrong"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line(codec: Here, arguments: tuple[str, ...]) -> None:
    said = codec(*arguments)
    assert said.code == 2 and said.out == ""
    assert "--help" in said.complaint


def test_paths_may_stand_behind_options(codec: Here, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(b"x")
    codec.well("compress", tmp_path / "a", "--level", "fast", tmp_path / "b", "--quiet")
    assert (tmp_path / "b.weft").exists()
