"""Any bytes front to back: an error of codec.errors, or the original, which the index gives, too."""

from __future__ import annotations

import sys

from tests.fuzz.engine import main
from tests.fuzz.inputs import EnoughError, by_index, by_stream, mutate, seeds

__all__ = ["check", "mutate", "seeds"]


def check(data: bytes) -> None:
    try:
        original = by_stream(data)
    except EnoughError:
        return
    if original is not None:
        assert by_index(data) == original


if __name__ == "__main__":
    sys.exit(main("stream"))
