"""Any bytes as an index record with good checksums; what is read can be written again and says the same."""

from __future__ import annotations

import io
import sys

import codec
from codec.container import index as indexes
from tests.fuzz.engine import main
from tests.fuzz.inputs import enclosed, index_bodies, one_line

seeds = index_bodies


def check(data: bytes) -> None:
    for room in (None, 0, 1000):
        try:
            found = indexes.decode(data, "f", room)
        except codec.CodecError as error:
            one_line(error)
            continue
        assert indexes.decode(indexes.encode(found), "f", room) == found
    blob = enclosed(data)
    try:
        file = codec.inspect_file(io.BytesIO(blob))
    except codec.CodecError as error:
        one_line(error)
        return
    assert file.original_bytes == 0 and codec.decompress(blob) == b""


if __name__ == "__main__":
    sys.exit(main("index"))
