"""Damage, by accident or on purpose, ends in a typed error or in the right bytes: cuts, flips, resealed records."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import codec
from codec.access import BytesSource
from codec.container import index as indexes
from codec.container import records
from codec.reader import WeftFile
from codec.streaming import decode_stream
from tests.sources.headers import file_of


def weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return (rng.standard_normal(shape, np.float32) / 9).view(np.uint32)


def small_original() -> bytes:
    """A safetensors file that makes use of windows, drops, Huffman or rANS tables, zstd, constants and tail bytes."""
    rng = np.random.default_rng(1)
    mixed = weights(rng, 8, 90)
    mixed[::2] &= 0xFFFFE000
    header: dict[str, object] = {}
    data = b""
    for name, dtype, shape, raw in [
        ("bf16", "BF16", [8, 90], (weights(rng, 8, 90) >> 16).astype(np.uint16).tobytes()),
        ("mixed", "F32", [8, 90], mixed.tobytes()),
        ("zeros", "F16", [30], bytes(60)),
        ("text", "U8", [200], b"again and " * 20),
    ]:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    return file_of(json.dumps(header)) + data + b"tail"


def large_original() -> np.ndarray:
    """Several chunks, with escapes."""
    rng = np.random.default_rng(2)
    x = (weights(rng, 560_000) >> 16).astype(np.uint16)
    x[::9973] = 0x7F7F
    return x


def stream(blob: bytes) -> bytes:
    out = io.BytesIO()
    decode_stream(io.BytesIO(blob).read, out.write, "f")
    return out.getvalue()


def refused_or_right(blob: bytes, original: bytes) -> None:
    """Both ways of reading end in a CodecError or in the original."""
    for read in (codec.decompress, stream):
        try:
            got = read(blob)
        except codec.CodecError:
            continue
        assert got == original


@pytest.mark.parametrize("level", ["fast", "default", "max"])
def test_every_truncation_is_an_error(level: str) -> None:
    blob = codec.compress(small_original(), level=level)
    assert stream(blob) == codec.decompress(blob) == small_original()
    for end in range(len(blob)):
        for read in (codec.decompress, stream):
            with pytest.raises(codec.CodecError):
                read(blob[:end])


def test_bytes_behind_the_end_are_an_error() -> None:
    blob = codec.compress(b"abc")
    for read in (codec.decompress, stream):
        for more in (b"\0", blob, records.trailer(16, 30), bytes(100)):
            with pytest.raises(codec.CodecError):
                read(blob + more)


@pytest.mark.parametrize("read", [codec.decompress, stream])
def test_every_flipped_bit_is_noticed(read: object) -> None:
    original = b"".join(bytes((n,)) * n for n in range(20))
    blob = bytearray(codec.compress(original))
    assert len(blob) < 600
    for bit in range(8 * len(blob)):
        blob[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(codec.CodecError):
            read(bytes(blob))  # type: ignore[operator]
        blob[bit >> 3] ^= 1 << (bit & 7)


def bodies(blob: bytes) -> Iterator[tuple[int, int, int]]:
    """(kind, offset, bytes) of each record."""
    at = records.HEADER_BYTES
    while at < len(blob) - records.TRAILER_BYTES:
        kind, size = records.frame_size(blob[at : at + 5], "f", at)
        yield kind, at, size
        at += size


def resealed(blob: bytes, at: int, size: int, body: bytes) -> bytes:
    return blob[:at] + records.record(blob[at], body) + blob[at + size :]


@pytest.mark.parametrize("level", ["fast", "default", "max"])
def test_every_flipped_bit_under_a_good_checksum(level: str) -> None:
    """An attacker computes checksums, too: only the hash of the decoded bytes is left as it was."""
    original = small_original()
    blob = codec.compress(original, level=level)
    rng = np.random.default_rng(3)
    for _, at, size in bodies(blob):
        body = bytearray(blob[at + 5 : at + size - 8])
        bits = range(8 * len(body)) if len(body) < 200 else rng.choice(8 * len(body), 800, replace=False)
        for bit in [*range(8 * min(40, len(body))), *bits]:
            body[bit >> 3] ^= 1 << (bit & 7)
            refused_or_right(resealed(blob, at, size, bytes(body)), original)
            body[bit >> 3] ^= 1 << (bit & 7)


@cache
def example(name: str) -> tuple[bytes, bytes]:
    """(blob, original)."""
    if name == "large":
        return codec.compress(large_original(), dtype="bfloat16"), large_original().tobytes()
    return codec.compress(small_original(), level=name), small_original()


@given(st.sampled_from(["fast", "default", "large"]), st.data())
def test_random_damage_under_good_checksums(name: str, data: st.DataObject) -> None:
    """Bytes of a record replaced, the length kept, so that everything behind it is still found."""
    blob, original = example(name)
    for _ in range(data.draw(st.integers(1, 3))):
        _, at, size = data.draw(st.sampled_from(list(bodies(blob))))
        body = bytearray(blob[at + 5 : at + size - 8])
        start = data.draw(st.integers(0, min(80, len(body) - 1)) | st.integers(0, len(body) - 1))
        new = data.draw(st.binary(min_size=1, max_size=8))[: len(body) - start]
        body[start : start + len(new)] = new
        blob = resealed(blob, at, size, bytes(body))
    refused_or_right(blob, original)


def test_chunks_that_changed_places_are_noticed() -> None:
    blob, _ = example("large")
    (_, a, m), (_, b, n) = [r for r in bodies(blob) if r[0] == records.CHUNK][:2]
    assert b == a + m
    swapped = blob[:a] + blob[b : b + n] + blob[a : a + m] + blob[b + n :]
    for read in (codec.decompress, stream):
        with pytest.raises(codec.CorruptFileError):
            read(swapped)


def test_a_forged_index_is_noticed_by_stream_and_file() -> None:
    blob, _ = example("large")
    file = WeftFile(BytesSource(blob))
    entry = file.index.spans[0]
    entry.chunks[0], entry.chunks[1] = entry.chunks[0] + 1, entry.chunks[1] - 1
    *_, (_, at, _) = bodies(blob)
    last = records.record(records.INDEX, indexes.encode(file.index))
    forged = blob[:at] + last + records.trailer(at, len(last))
    for read in (codec.decompress, stream):
        with pytest.raises(codec.CorruptFileError):
            read(forged)
