"""Attack: a small file that decompresses to very much, to fill memory or disk of whoever opens it.

Constant planes are honest and the best ratio there is: a span record of some 40 bytes for 512 KiB, 13,000 to 1. What
is worse must be a lie, and is refused before anything is allocated.

Mitigation: the index says how much the original has, and every record must be there to pay for its span, so that
``codec inspect`` tells without decoding, at the cost of the file's own size; a stream and a file are decoded in pieces
of bounded size; no length is believed before it is bounded (codec/limits.py); a zstd frame may announce only what
the plane has, and is decompressed into no more.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import zstandard

import codec
from codec.container import records
from codec.container.index import Index, SpanEntry
from codec.stages import layout as layouts
from codec.stages.layout import Layout, Plane
from codec.wire import varint
from tests.attacks.cost import cost
from tests.hostile.forge import Parts, file_of_index, sealed


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """1 GiB of zeros in some 90 KB."""
    one = Parts.of(codec.compress(bytes(1 << 19)))
    span = sealed(*one.records[0])
    count = 1 << 11
    index = Index(count << 19, b"", "opaque", "default", [SpanEntry(1 << 19, len(span))] * count)
    return file_of_index(index, *[span] * count)


def test_what_it_says_costs_nothing(bomb: bytes, tmp_path: Path) -> None:
    assert len(bomb) < 120_000
    assert codec.inspect_file(io.BytesIO(bomb)).original_bytes == 1 << 30
    spent = cost("inspect", bomb, tmp_path)
    assert spent.seconds < 2 and spent.grown < 16, spent


@pytest.mark.parametrize("call", ["verify", "stream"])
def test_decoding_takes_memory_for_pieces_alone(call: str, bomb: bytes, tmp_path: Path) -> None:
    spent = cost(call, bomb, tmp_path)
    assert spent.outcome == f"{1 << 30} bytes"
    assert spent.grown < 64, spent


def test_decompress_into_takes_no_more_than_it_is_given(bomb: bytes) -> None:
    with pytest.raises(ValueError, match="need a writable, contiguous buffer of 1073741824 bytes"):
        codec.decompress_into(bomb, bytearray(1000))


def test_more_than_there_is_memory_for_is_refused(bomb: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    from codec import memory

    def none(size: int) -> None:
        raise MemoryError

    monkeypatch.setattr(memory, "Filling", none)
    with pytest.raises(codec.LimitExceededError, match="announces 1073741824 bytes"):
        codec.decompress(bomb)


@pytest.mark.parametrize("told", [1 << 45, 1 << 31, 0])
def test_a_zstd_frame_that_announces_much(told: int, tmp_path: Path) -> None:
    """In a plane: what it announces is compared first, and what comes out is cut off at the plane's size."""
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(200 << 20))
    if told:
        frame = bytes.fromhex("28b52ffd e0") + told.to_bytes(8, "little") + frame[6:]
    lay = Layout(4096, 0, 1, 4096, 4096, (Plane(0, 8),))
    body = layouts.encode(lay) + bytes(8) + b"\4" + varint(len(frame)) + frame
    span = sealed(records.SPAN, body)
    blob = file_of_index(Index(4096, b"", "", "", [SpanEntry(4096, len(span))]), span)
    spent = cost("decompress", blob, tmp_path)
    assert spent.outcome.startswith("CorruptFileError") and spent.grown < 16 and spent.seconds < 1, spent


@pytest.mark.parametrize("length", [1 << 23, (1 << 23) + 1, 1 << 40, (1 << 64) - 1])
def test_a_span_that_announces_much(length: int) -> None:
    """What its one chunk can't hold, and what no span may."""
    span = sealed(records.SPAN, varint(length) + bytes((0, 0)) + varint(1 << 14) + varint(1 << 19) + b"\0" + bytes(8))
    for said in (length, 1 << 19):
        blob = file_of_index(Index(said, b"", "", "", [SpanEntry(said, len(span))]), span)
        for read in (codec.decompress, lambda blob: codec.decompress_file(io.BytesIO(blob), io.BytesIO())):
            with pytest.raises(codec.CorruptFileError):
                read(blob)


def test_constants_do_not_grow_by_their_tiles() -> None:
    """Tiles of 8 elements and a plane of 1 bit take a byte each: the working memory stays that of a chunk."""
    lay = Layout(1 << 19, 0, 1, 8, 1 << 19, tuple(Plane(k, 1) for k in range(8)))
    zeros = np.zeros(1 << 19, np.uint8)
    from xxhash import xxh3_64_intdigest

    body = layouts.encode(lay) + xxh3_64_intdigest(zeros.data).to_bytes(8, "little") + b"\1\0" * 8
    span = sealed(records.SPAN, body)
    blob = file_of_index(Index(1 << 19, b"", "", "", [SpanEntry(1 << 19, len(span))]), span)
    assert codec.decompress(blob) == bytes(1 << 19)
