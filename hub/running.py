"""Run a program with the download hook on, in it and in every Python that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

#: Set to 1, together with the PYTHONPATH of :func:`environment`, it turns the hook on.
VARIABLE: Final = "CODEC_HUB"


def environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a program that is to run with the hook on.

    It says so in CODEC_HUB, and puts a ``sitecustomize`` in front of PYTHONPATH that every Python runs at its start
    (unless started with -I, -E or -S), which needs weft to be installed for that Python.

    >>> environment({"PATH": "x"})["CODEC_HUB"]
    '1'
    """
    base = os.environ if base is None else base
    folder = str(Path(__file__).parent / "startup")
    path = [folder, *(entry for entry in base.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != folder)]
    return {**base, VARIABLE: "1", "PYTHONPATH": os.pathsep.join(path)}


def run(command: Sequence[str]) -> NoReturn:
    """Become the program (elsewhere than on POSIX: run it, and exit as it does). Raises OSError if there is none."""
    if os.name == "posix":
        sys.stdout.flush()
        os.execvpe(command[0], list(command), environment())
    sys.exit(subprocess.call(list(command), env=environment()))
