"""Any bytes to ``codec inspect --tensors``: exit code 0 or 1, and nothing printed that a terminal would obey."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path

from codec.cli.main import main as command
from tests.fuzz.engine import main
from tests.fuzz.inputs import mutate, seeds

__all__ = ["check", "mutate", "seeds"]

_HOME = tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)


def check(data: bytes) -> None:
    path = Path(_HOME.name) / "f.weft"
    path.write_bytes(data)
    for options in (("--tensors",), ("--json", "--tensors")):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = command(["inspect", *options, str(path)])
        said = out.getvalue() + err.getvalue()
        assert code in (0, 1), (code, err.getvalue())
        assert "internal error" not in said and "Traceback" not in said, said
        assert all(c.isprintable() or c == "\n" for c in said), repr(said)
        assert code == 0 or err.getvalue().count("\n") == 1, err.getvalue()


if __name__ == "__main__":
    sys.exit(main("inspect"))
