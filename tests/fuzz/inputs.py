"""What the targets share: seeds, a mutator that keeps checksums right, and what counts as the same."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator

import codec
from codec.access import BytesSource
from codec.container import index as indexes
from codec.container import records
from codec.reader import WeftFile
from codec.streaming import decode_stream
from tests.hostile.forge import Parts, flipped, sealed, small_files, vectors

#: Original bytes that a target lets an input announce: what honestly announces more may take more memory.
ANNOUNCED = 1 << 23

Inner = Callable[[bytes], bytes]


class EnoughError(Exception):
    """More came out than a target cares to look at."""


def seeds() -> Iterator[bytes]:
    yield from small_files().values()
    yield from (blob for _, blob in vectors(2000))
    yield b""


def mutate(data: bytes, rng: random.Random, inner: Inner) -> bytes:
    """A record changed, dropped, doubled or moved, and all checksums right; or, of what is no file, any change."""
    try:
        parts = Parts.of(data)
    except (codec.CodecError, ValueError):
        return inner(data)
    mine, how = parts.records, rng.randrange(10)
    number = rng.randrange(len(mine)) if rng.random() < 0.8 else len(mine) - 1
    kind, body = mine[number]
    if how == 0:
        mine.insert(rng.randrange(len(mine)), mine[number])
    elif how == 1 and len(mine) > 1:
        del mine[number]
    elif how == 2:
        mine[number] = (rng.choice((1, 2, 3, 4)), body)
    elif how == 3 and body:
        mine[number] = (kind, flipped(body, rng.randrange(8 * len(body))))
    else:
        mine[number] = (kind, inner(body))
    if not mine:
        return data
    try:
        if rng.random() < 0.6 and mine[-1][0] == records.INDEX:
            return parts.relisted()
    except (codec.CodecError, StopIteration, ValueError):
        pass
    return parts.file() if how else inner(data)


def announced(data: bytes) -> int:
    """Original bytes by the index; 0 if there is no sound one."""
    try:
        return WeftFile(BytesSource(data)).index.original
    except codec.CodecError:
        return 0


def by_index(data: bytes) -> bytes | None:
    """The original; None if refused."""
    try:
        return codec.decompress(data, threads=1)
    except codec.CodecError as error:
        one_line(error)
        return None


def by_stream(data: bytes) -> bytes | None:
    out = io.BytesIO()

    def sink(part: memoryview) -> None:
        out.write(part)
        if out.tell() > ANNOUNCED:
            raise EnoughError

    try:
        decode_stream(io.BytesIO(data).read, sink, "f")
    except codec.CodecError as error:
        one_line(error)
        return None
    return out.getvalue()


def one_line(error: codec.CodecError) -> None:
    text = str(error)
    # A name in it may hold a line break today: tests/attacks/test_names.py knows of it.
    assert text


def enclosed(index: bytes) -> bytes:
    """A file of nothing but this index."""
    last = sealed(records.INDEX, index)
    return records.header() + last + records.trailer(records.HEADER_BYTES, len(last))


def index_bodies() -> Iterator[bytes]:
    """Bodies of index records: as they are, and not packed."""
    for blob in seeds():
        if blob:
            body = Parts.of(blob).records[-1][1]
            yield body
            plain = bytes(indexes._unpacked(body, "f"))
            yield b"\0" + indexes.varint(len(plain)) + plain
