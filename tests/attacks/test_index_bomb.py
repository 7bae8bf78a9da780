"""Attack: an index that inflates, or lists so much that building it takes memory and time out of proportion.

Mitigation: the index may inflate to INDEX_RATIO_MAX times its stored size; spans and chunks must fit between header
and index; tensors are as many as spans, and a bounded number without bytes; lengths are bounded before they are used.
The figure to keep: reading a file of less than 1 MB that announces no large original takes less than 64 MB and 5 s.
"""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest
import zstandard

import codec
from codec.container.index import Index, TensorEntry
from codec.limits import EMPTY_TENSORS_MAX, INDEX_FREE_BYTES, INDEX_RATIO_MAX
from codec.wire import text, varint
from tests.attacks.cost import cost
from tests.hostile.forge import file_of_index

#: Bytes between header and index that are no records: what an index lists must have room, but is not looked at yet.
ROOM = bytes(100)


def noise(size: int) -> str:
    return "".join(map(chr, random.Random(1).choices(range(33, 127), k=size)))


def packed(plain: bytes) -> bytes:
    """The body of an index record: what need not be small for the ratio's sake is compressed, the rest is raw."""
    whole = zstandard.ZstdCompressor(level=9).compress(plain)
    need = max(0, -(-(len(plain) - INDEX_FREE_BYTES) // INDEX_RATIO_MAX)) + 100
    if len(whole) >= need:
        return b"\1" + varint(len(plain)) + whole
    blocks = [plain[at : min(at + (1 << 17), need)] for at in range(0, need, 1 << 17)]
    rest = zstandard.ZstdCompressor(level=9).compress(plain[need:])
    frame = bytes.fromhex("28b52ffda0") + len(plain).to_bytes(4, "little")
    frame += b"".join((len(block) << 3).to_bytes(3, "little") + block for block in blocks)
    frame += rest[zstandard.frame_header_size(rest) :]
    assert zstandard.ZstdDecompressor().decompress(frame) == plain
    return b"\1" + varint(len(plain)) + frame


def empty_tensors(entries: list[bytes]) -> bytes:
    return b"".join([varint(0), b"\0", text(""), text(""), varint(0), varint(len(entries)), *entries])


def test_zeros(tmp_path: Path) -> None:
    """A gigabyte in 32 KB is refused for its ratio, before it is inflated."""
    plain = zstandard.ZstdCompressor(level=1).compress(bytes(1 << 28))
    spent = cost("inspect", file_of_index(b"\1" + varint(1 << 28) + plain), tmp_path)
    assert spent.outcome.startswith("CorruptFileError") and spent.grown < 8 and spent.seconds < 1, spent


def test_a_frame_that_announces_more_than_the_index(tmp_path: Path) -> None:
    frame = zstandard.ZstdCompressor(level=1, write_content_size=False).compress(bytes(1 << 28))
    for told in (b"", (1 << 45).to_bytes(8, "little")):
        lie = bytes.fromhex("28b52ffd e0") + told + frame[6:] if told else frame
        spent = cost("inspect", file_of_index(b"\1" + varint(1000) + lie), tmp_path)
        assert spent.outcome.startswith("CorruptFileError") and spent.grown < 8 and spent.seconds < 1, spent


@pytest.mark.parametrize("count", [1 << 17, 1 << 24, (1 << 64) - 1])
def test_many_spans_or_tensors_that_are_not_there(count: int, tmp_path: Path) -> None:
    for body in (
        varint(0) + b"\0" + text("") * 2 + varint(count),
        varint(0) + b"\0" + text("") * 2 + varint(0) + varint(count),
        varint(1) + b"\0" + text("") * 2 + varint(1) + varint(1) + varint(20) + varint(count),
    ):
        plain = body + bytes(min(count, 1 << 16))
        spent = cost("inspect", file_of_index(b"\0" + varint(len(plain)) + plain, ROOM), tmp_path)
        assert spent.outcome.startswith("CorruptFileError") and spent.grown < 8 and spent.seconds < 1, spent


def wide_names() -> bytes:
    """One character beyond the basic plane makes a Python string of four bytes a character."""
    name = "\U0001f600" + "a" * 65_500
    return empty_tensors([text(f"{k:06}{name}") + b"\2\1\0\0\0" for k in range(110)])


def many_dimensions() -> bytes:
    """64 dimensions, one of them 0, so that their product is: 260,000 numbers."""
    shape = varint(64) + varint(300) * 63 + varint(0)
    return empty_tensors([text(f"{k:x}") + b"\2" + shape + b"\0\0" for k in range(EMPTY_TENSORS_MAX)])


def large_dimensions() -> bytes:
    """The same with products of thousands of bits."""
    shape = varint(64) + varint((1 << 64) - 1) * 63 + varint(0)
    return empty_tensors([text(f"{k:x}") + b"\2" + shape + b"\0\0" for k in range(EMPTY_TENSORS_MAX)])


def many_chunks() -> bytes:
    """2 million chunks of one span, listed before anyone adds their lengths up."""
    front = varint(1) + b"\0" + text(noise(65536)) + text(noise(65536)) + varint(1)
    return front + varint(1) + varint(300) + varint(1 << 21) + varint(300) * (1 << 21)


BOMBS = {f.__name__: f for f in (wide_names, many_dimensions, large_dimensions, many_chunks)}


@pytest.mark.parametrize(("name", "call"), [*((name, "inspect") for name in BOMBS), ("many_chunks", "verify")])
def test_the_figure(name: str, call: str, tmp_path: Path) -> None:
    blob = file_of_index(packed(BOMBS[name]()), *([ROOM] if name == "many_chunks" else []))
    assert len(blob) < 1_000_000
    spent = cost(call, blob, tmp_path)
    assert spent.grown < 64 and spent.seconds < 5, spent


def test_as_many_tensors_as_an_index_may_list_are_read(tmp_path: Path) -> None:
    entries = [text(f"{k:x}") + b"\2\1\0\0\0" for k in range(EMPTY_TENSORS_MAX)]
    spent = cost("inspect", file_of_index(packed(empty_tensors(entries))), tmp_path)
    assert spent.outcome == f"{EMPTY_TENSORS_MAX} tensors" and spent.grown < 64 and spent.seconds < 5, spent


def test_a_shape_that_numpy_has_no_array_for() -> None:
    """A tensor without elements may have any other dimensions: an error of codec.errors, or an array."""
    blob = file_of_index(Index(0, tensors=[TensorEntry("a", "F32", ((1 << 64) - 1, 0), 0, 0)]))
    with codec.safe_open(io.BytesIO(blob)) as file:
        try:
            assert file.get_slice("a")[...].size == 0
        except codec.CodecError:
            pass


def test_an_index_that_is_not_at_the_end() -> None:
    """A trailer that points into the file's own trailer, or beyond the file."""
    blob = codec.compress(b"abc")
    from codec.container import records

    for position, length in ((len(blob) - 32, 32), (16, 1 << 62), ((1 << 64) - 1, 13), (0, len(blob) - 32)):
        with pytest.raises(codec.CodecError):
            codec.decompress(blob[:-32] + records.trailer(position, length))
