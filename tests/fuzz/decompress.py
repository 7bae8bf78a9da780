"""Any bytes to ``codec.decompress``: an error of codec.errors, or what the stream decoder and verify say, too."""

from __future__ import annotations

import io
import sys

import codec
from tests.fuzz.engine import main
from tests.fuzz.inputs import ANNOUNCED, announced, by_index, by_stream, mutate, seeds

__all__ = ["check", "mutate", "seeds"]


def check(data: bytes) -> None:
    if announced(data) > ANNOUNCED:
        return
    original = by_index(data)
    if original is None:
        return
    again = by_stream(data)
    if again is not None:
        assert again == original
        assert codec.verify_file(io.BytesIO(data), threads=1).original_bytes == len(original)
        return
    try:  # the stream decoder compares the SHA-256, the index decoder does not; nothing else tells them apart
        codec.verify_file(io.BytesIO(data), threads=1)
    except codec.CorruptFileError as error:
        assert "SHA-256" in str(error), error  # noqa: PT017
    else:
        raise AssertionError("verify and the index decoder accept what the stream decoder refuses")


if __name__ == "__main__":
    sys.exit(main("decompress"))
