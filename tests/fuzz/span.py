"""Any bytes as a span record and its chunk records, with good checksums and an index that lists them.

The input is bodies of records, each behind two bytes of its length; the first is that of the span.
"""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Iterator

import codec
from codec.container import records
from codec.container.index import Index, SpanEntry
from codec.decode import SpanDecoder
from tests.fuzz import inputs
from tests.fuzz.engine import main
from tests.fuzz.inputs import ANNOUNCED, by_index, by_stream, one_line
from tests.hostile.forge import Parts, file_of_index, sealed


def joined(bodies: list[bytes]) -> bytes:
    return b"".join(len(body).to_bytes(2, "little") + body for body in bodies)


def parted(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at + 2 <= len(data) and len(found) < 50:
        size = int.from_bytes(data[at : at + 2], "little")
        found.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return found


def seeds() -> Iterator[bytes]:
    for blob in inputs.seeds():
        bodies = [body for kind, body in Parts.of(blob).records if kind != records.INDEX] if blob else []
        if bodies:
            yield joined(bodies)


def mutate(data: bytes, rng: random.Random, inner: inputs.Inner) -> bytes:
    bodies = parted(data)
    if not bodies:
        return inner(data)
    number = rng.randrange(len(bodies))
    bodies[number] = inner(bodies[number])
    return joined(bodies)


def check(data: bytes) -> None:
    bodies = parted(data)
    if not bodies:
        return
    try:
        length = SpanDecoder(bodies[0], "f").layout.length
    except codec.CodecError as error:
        one_line(error)
        length = 100
    chunks = bodies[1:] if len(bodies) > 2 else []
    kinds = [records.SPAN] + [records.CHUNK] * len(chunks)
    parts = [sealed(kind, body) for kind, body in zip(kinds, bodies, strict=False)]
    index = Index(length, b"", "", "", [SpanEntry(length, len(parts[0]), [len(p) for p in parts[1:]])])
    blob = file_of_index(index, *parts)
    original, again = by_index(blob), by_stream(blob) if length <= ANNOUNCED else None
    assert original == again, "the two ways to read do not agree"
    if original is not None:
        assert len(original) == length
        codec.verify_file(io.BytesIO(blob), threads=1)


if __name__ == "__main__":
    sys.exit(main("span"))
