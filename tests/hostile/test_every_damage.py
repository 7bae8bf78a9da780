"""Every truncation and every flipped bit of small files ends in an error or the original, whichever way it is read.

The contract and the ways are in tests/hostile/ways.py. With HOSTILE_ALL=1 (``make fuzz``) all positions are tried,
else those of the smallest files and a sample of the others.
"""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable, Iterator
from functools import cache

import pytest

import codec
from codec.container import records
from tests.hostile.forge import Parts, flipped, small_files, vectors
from tests.hostile.ways import WAYS, outcome

ALL = bool(os.environ.get("HOSTILE_ALL"))
#: Positions tried of a file, for each way; a way that writes to the disk is slow.
MOST = {"bytes": 1500, "stream": 1000, "file object": 500, "file": 200, "verify": 300, "tensors": 600}


@cache
def files() -> dict[str, tuple[bytes, bytes]]:
    """(file, original) by name."""
    found = small_files() | {f"vector {name}": blob for name, blob in vectors(400)}
    return {name: (blob, codec.decompress(blob)) for name, blob in found.items()}


def sample(count: int, way: str, name: str) -> list[int]:
    """Positions below ``count``, the same on every run."""
    most = MOST[way] if not name.startswith("vector") else 6 if way in ("file", "verify", "file object") else 25
    if ALL or count <= most:
        return list(range(count))
    return random.Random(f"{way} {name}").sample(range(count), most)


def check(way: str, name: str, blobs: Iterator[tuple[str, bytes]], original: bytes) -> list[str]:
    """Which damage was read as if it were none; AssertionError that tells which broke the contract."""
    unseen = []
    for what, blob in blobs:
        try:
            if outcome(way, blob, original):
                unseen.append(what)
        except Exception as error:  # whatever it is, it is not what the contract says
            raise AssertionError(f"{way}: {name}, {what}: {error!r} of {blob.hex()[:2000]}") from error
    return unseen


Damage = Callable[[bytes, Callable[[int], list[int]]], Iterator[tuple[str, bytes]]]


def cuts(blob: bytes, some: Callable[[int], list[int]]) -> Iterator[tuple[str, bytes]]:
    yield from ((f"cut at {end}", blob[:end]) for end in some(len(blob)))


def flips(blob: bytes, some: Callable[[int], list[int]]) -> Iterator[tuple[str, bytes]]:
    yield from ((f"bit {bit}", flipped(blob, bit)) for bit in some(8 * len(blob)))


def sealed_flips(blob: bytes, some: Callable[[int], list[int]]) -> Iterator[tuple[str, bytes]]:
    """A bit of a record's kind or body, and all checksums computed again."""
    parts = Parts.of(blob)
    places = [(k, bit) for k, (_, body) in enumerate(parts.records) for bit in range(-8, 8 * len(body))]
    for place in some(len(places)):
        number, bit = places[place]
        kind, body = parts.records[number]
        if bit < 0:
            kind ^= 1 << (bit + 8)
            yield f"kind of record {number}, bit {bit + 8}", _kinds(parts, number, kind).file()
        else:
            yield f"record {number}, bit {bit}", parts.with_body(number, flipped(body, bit)).file()


def _kinds(parts: Parts, number: int, kind: int) -> Parts:
    mine = list(parts.records)
    mine[number] = (kind, mine[number][1])
    return Parts(parts.header, mine)


def sealed_cuts(blob: bytes, some: Callable[[int], list[int]]) -> Iterator[tuple[str, bytes]]:
    """A record's body cut, all checksums computed again, and the lengths in the index put right."""
    parts = Parts.of(blob)
    places = [(k, end) for k, (_, body) in enumerate(parts.records[:-1]) for end in range(1, len(body))]
    for place in some(len(places)):
        number, end = places[place]
        yield f"record {number} cut at {end}", parts.with_body(number, parts.records[number][1][:end]).relisted()
    number = len(parts.records) - 1
    for end in some(len(parts.records[-1][1])):
        yield f"index cut at {end}", parts.with_body(number, parts.records[-1][1][:end]).file()


DAMAGES: dict[str, Damage] = {"cuts": cuts, "flips": flips, "sealed flips": sealed_flips, "sealed cuts": sealed_cuts}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage(damage: str, way: str) -> None:
    """An error or the original; and what nobody computed new checksums for, or cut, is always an error."""
    tried = 0
    for name, (blob, original) in files().items():
        assert outcome(way, blob, original)

        def some(count: int, name: str = name) -> list[int]:
            nonlocal tried
            found = sample(count, way, name)
            tried += len(found)
            return found

        unseen = check(way, name, DAMAGES[damage](blob, some), original)
        if damage != "sealed flips" and way != "tensors":  # which does not read what is in no tensor
            assert unseen == [], f"{way}: {name}"
    print(f"{damage}, {way}: {tried} tried")
    assert tried > 100


def test_what_a_flip_under_good_checksums_may_change() -> None:
    """Only fields of the index, or of a span record, that are about the original and not of it."""
    blob, original = files()["safetensors"]
    parts = Parts.of(blob)
    last = len(parts.records) - 1
    for what, other in sealed_flips(blob, lambda count: list(range(count))):
        try:
            found = codec.decompress(other)
        except codec.CodecError:
            continue
        assert found == original
        assert what.startswith((f"record {last},", "record")) and "kind" not in what
        index = codec.inspect_file(io.BytesIO(other))
        before = codec.inspect_file(io.BytesIO(blob))
        assert (index.original_bytes, index.spans, index.chunks) == (
            before.original_bytes,
            before.spans,
            before.chunks,
        )
        for a, b in zip(index.tensors, before.tensors, strict=True):
            assert (a.original_bytes, a.start) == (b.original_bytes, b.start) or a.original_bytes == 0


def test_the_header_under_good_checksums() -> None:
    """A minor version may be any, and there may be copies; a later major version and other flags are refused."""
    from xxhash import xxh3_64_intdigest

    blob, original = files()["text"]
    for bit in range(8 * 12):
        front = flipped(blob[:12], bit)
        other = front + (xxh3_64_intdigest(front) & 0xFFFFFFFF).to_bytes(4, "little") + blob[records.HEADER_BYTES :]
        for way in WAYS:
            assert outcome(way, other, original) == (bit // 8 == 9 or bit == 80), (way, bit)
