"""Calling the command: in this process where its outputs are enough, in one of its own where more is at stake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from codec.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "codec.cli.main")


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def record(self) -> dict[str, Any]:
        """The one JSON object that standard output must be."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def complaint(self) -> str:
        """The one line that standard error must be."""
        lines = self.err.splitlines()
        assert len(lines) == 1 and self.err.endswith("\n"), self.err
        assert lines[0].startswith("codec: ")
        return lines[0].removeprefix("codec: ")


class Here:
    """Calls main() in this process and returns what it printed."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: object) -> Said:
        self._capture.readouterr()
        code = main([str(argument) for argument in arguments])
        return Said(code, *self._capture.readouterr())

    def well(self, *arguments: object) -> Said:
        """The same, for what must succeed."""
        said = self(*arguments)
        assert said.code == 0, said
        return said


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}


def spawn(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own, its outputs piped."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [*COMMAND, *map(os.fspath, arguments)]  # type: ignore[call-overload]
    return subprocess.Popen(command, env=environment(), **(streams | options))


def there(*arguments: object, given: bytes | None = None, **options: Any) -> tuple[int, bytes, str]:
    """Run the command in a process of its own: exit code, standard output, standard error."""
    if given is not None:
        options["stdin"] = subprocess.PIPE
    with spawn(*arguments, **options) as process:
        out, err = process.communicate(given, timeout=300)
    assert b"Traceback" not in (err or b""), err
    return process.returncode, out, (err or b"").decode()
