"""Attack: spans or tensors that overlap, share bytes, leave holes, or go back, so that two readers see two files.

Mitigation: the index cannot say where a span lies: spans lie one behind the other from byte 16 on and must end where
the index begins. Tensors are runs of spans in order, none before the end of the one before, each with exactly the bits
of its shape. Chunks carry their number. A stream reader compares the index with the records it has seen.
"""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

import codec
from codec.container import records
from codec.container.index import Index, SpanEntry, TensorEntry
from tests.hostile.forge import Parts, file_of_index, sealed


def spans(*originals: bytes) -> list[bytes]:
    return [sealed(*Parts.of(codec.compress(original)).records[0]) for original in originals]


def refused(blob: bytes, *, opened: bool = True) -> None:
    """By whoever decodes it all, and, if ``opened``, by whoever only looks at the index."""
    for read in (codec.decompress, lambda b: codec.decompress_file(io.BytesIO(b), io.BytesIO()), _open):
        if opened or read is not _open:
            with pytest.raises((codec.CorruptFileError, codec.UnsupportedVersionError)):
                read(blob)


def _open(blob: bytes) -> None:
    codec.safe_open(io.BytesIO(blob))


A, B = spans(b"a" * 8, b"bcdefghi")
ENTRIES = [SpanEntry(8, len(A)), SpanEntry(8, len(B))]
SOUND = Index(16, b"", "", "", ENTRIES, [TensorEntry("a", "U8", (8,), 0, 1), TensorEntry("b", "U8", (8,), 1, 1)])


def test_the_sound_one() -> None:
    assert codec.decompress(file_of_index(SOUND, A, B)) == b"a" * 8 + b"bcdefghi"


@pytest.mark.parametrize(
    "tensors",
    [
        [("a", (8,), 0, 1), ("b", (8,), 0, 1)],  # both have the first span
        [("a", (16,), 0, 2), ("b", (8,), 1, 1)],  # one within the other
        [("b", (8,), 1, 1), ("a", (8,), 0, 1)],  # back
        [("a", (8,), 1, 1), ("b", (8,), 2, 1)],  # behind the last
        [("a", (9,), 0, 1)],
        [("a", (4,), 0, 1)],
        [("a", (1 << 63, 2), 0, 0)],
        [("a", (), 0, 1)],
    ],
)
def test_tensors(tensors: list[tuple[str, tuple[int, ...], int, int]]) -> None:
    entries = [TensorEntry(name, "U8", shape, first, count) for name, shape, first, count in tensors]
    refused(file_of_index(replace(SOUND, tensors=entries), A, B))


@pytest.mark.parametrize(
    "entries",
    [
        [SpanEntry(8, len(A)), SpanEntry(8, len(A)), SpanEntry(8, len(B))],  # one record, two spans
        [SpanEntry(8, len(A))],  # a record that no span has
        [SpanEntry(16, len(A) + len(B))],
        [SpanEntry(8, len(A) + 1), SpanEntry(8, len(B) - 1)],
        [SpanEntry(8, len(A)), SpanEntry(8, len(B) + 43)],  # into the index
    ],
)
def test_spans(entries: list[SpanEntry]) -> None:
    original = sum(e.original for e in entries)
    refused(file_of_index(replace(SOUND, spans=entries, original=original, tensors=[]), A, B), opened=False)


def test_a_file_within_a_file() -> None:
    """Stored bytes may be a weft file, too: only the trailer at the end counts, and it must lead to the last record."""
    inner = file_of_index(SOUND, A, B)
    outer = codec.compress(np.random.default_rng(1).bytes(100) + inner)
    assert codec.decompress(outer)[100:] == inner
    if (at := outer.find(inner)) >= 0:
        refused(outer[: at + len(inner)])
        refused(outer[:-32] + records.trailer(at + len(A) + len(B) + 16, len(inner) - len(A) - len(B) - 48))


def test_an_empty_record_between_header_and_spans() -> None:
    refused(file_of_index(SOUND, bytes(13), A, B))


def test_chunks_of_another_tensor() -> None:
    """A chunk is not bound to its tensor: its hash is of its bytes. Changed for another of its number, it is another
    original, which its SHA-256 tells: verify and streams compare it."""
    x = np.zeros((2, 1 << 20), np.uint8)
    x[1] = 7
    out = io.BytesIO()
    codec.compress_file(io.BytesIO(x.tobytes()), out)
    parts = Parts.of(out.getvalue())
    kinds = [kind for kind, _ in parts.records]
    if kinds.count(records.CHUNK) >= 2:
        first, second = [k for k, kind in enumerate(kinds) if kind == records.CHUNK][:2]
        parts.records[first], parts.records[second] = parts.records[second], parts.records[first]
    else:
        parts.records[0], parts.records[1] = parts.records[1], parts.records[0]
    blob = parts.relisted()
    for read in (codec.verify_file, lambda b: codec.decompress_file(b, io.BytesIO())):
        with pytest.raises(codec.CorruptFileError):
            read(io.BytesIO(blob))
