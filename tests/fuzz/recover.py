"""Any bytes to ``codec.recover_file``: an error of codec.errors, or a file; all of the original if nothing is lost."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path

import codec
from tests.fuzz.engine import main
from tests.fuzz.inputs import ANNOUNCED, announced, by_index, mutate, one_line, seeds

__all__ = ["check", "mutate", "seeds"]

_HOME = tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)


def check(data: bytes) -> None:
    if announced(data) > ANNOUNCED or _spans(data) > ANNOUNCED:
        return
    target = Path(_HOME.name) / "saved"
    try:
        report = codec.recover_file(io.BytesIO(data), target, force=True)
        saved = target.read_bytes()
    except codec.CodecError as error:
        one_line(error)
        assert not target.exists(), "an error, and yet an output"
        return
    finally:
        target.unlink(missing_ok=True)
        assert not os.listdir(_HOME.name), "a temporary file is left"
    if report.form == "original":
        original = by_index(data)
        assert original is None or original == saved


def _spans(data: bytes) -> int:
    """Original bytes that the input's records announce, wherever they are: about, from above."""
    return (data.count(b"\x01") // 40) << 19


if __name__ == "__main__":
    sys.exit(main("recover"))
