"""The original of a weft file as a file of its own."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import codec

ORIGINAL = np.random.default_rng(5).normal(0, 1, 1_600_000).astype(np.float32).tobytes()
BLOB = codec.compress(ORIGINAL, dtype="float32", threads=1)


class Counted:
    """A source of ranges, as a storage system gives them."""

    name, size = "counted", len(BLOB)

    def __init__(self) -> None:
        self.reads: list[tuple[int, int]] = []

    def read_at(self, offset: int, size: int) -> memoryview:
        self.reads.append((offset, size))
        return memoryview(BLOB)[offset : offset + size]


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(ORIGINAL) + 9),
            st.sampled_from([0, 1, 2, 7, 4096, 300_000, 2_000_000, 3_000_001, 9_000_000]),
        ),
        max_size=6,
    )
)
def test_any_reads_give_the_bytes_there(reads: list[tuple[int, int]]) -> None:
    with codec.open_original(io.BytesIO(BLOB)) as file:
        for begin, size in reads:
            assert file.seek(begin) == begin
            assert file.read(size) == ORIGINAL[begin : begin + size]
            assert file.tell() == max(begin, min(begin + size, len(ORIGINAL)))


@given(st.integers(0, len(ORIGINAL)), st.integers(0, len(ORIGINAL) + 9), st.sampled_from([1, 2, 3]))
def test_pieces_of_any_range(begin: int, end: int, threads: int) -> None:
    with codec.open_original(io.BytesIO(BLOB)) as file:
        assert b"".join(file.pieces(begin, end, threads=threads)) == ORIGINAL[begin:end]


def test_as_a_file() -> None:
    file = codec.open_original(io.BytesIO(BLOB))
    assert file.readable() and file.seekable() and not file.writable()
    assert file.size == len(ORIGINAL) and file.sha256 == "" and file.info.original_bytes == len(ORIGINAL)
    assert file.readall() == ORIGINAL and file.read(1) == b""
    assert file.seek(-4, os.SEEK_END) == len(ORIGINAL) - 4 and file.read(9) == ORIGINAL[-4:]
    assert file.seek(-8, os.SEEK_CUR) == len(ORIGINAL) - 8
    for offset, whence in ((-1, os.SEEK_SET), (0, 9)):
        with pytest.raises(ValueError, match="no such place"):
            file.seek(offset, whence)
    buffered = io.BufferedReader(file)
    buffered.seek(1000)
    assert buffered.read(77) == ORIGINAL[1000:1077]
    file.close()
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


@pytest.mark.parametrize("begin", [0, 1, 4_500_000, len(ORIGINAL) - 1])
def test_stored_bytes_are_asked_for_in_order_from_the_offset_named(begin: int) -> None:
    source = Counted()
    file = codec.open_original(source)
    source.reads.clear()
    assert b"".join(file.pieces(begin, threads=1)) == ORIGINAL[begin:]
    assert min(offset for offset, _ in source.reads) == file.stored_offset(begin)
    assert source.reads == sorted(source.reads)
    assert sum(size for _, size in source.reads) <= len(BLOB)


def test_the_first_stored_byte_of_ends() -> None:
    empty = codec.open_original(io.BytesIO(codec.compress(b"")))
    assert empty.read() == b"" and list(empty.pieces()) == [] and empty.stored_offset() >= 0
    file = codec.open_original(io.BytesIO(BLOB))
    assert 0 < file.stored_offset(0) <= file.stored_offset(file.size) < len(BLOB)


def test_small_reads_in_a_row_decode_once() -> None:
    source = Counted()
    file = codec.open_original(source)
    for _ in range(100):
        assert file.read(10)
    assert len(source.reads) < 10


def test_damage_is_found(tmp_path: Path) -> None:
    damaged = bytearray(BLOB)
    damaged[len(BLOB) // 2] ^= 1
    path = tmp_path / "x.weft"
    path.write_bytes(damaged)
    with codec.open_original(path) as file, pytest.raises(codec.CorruptFileError):
        file.readall()
    with pytest.raises(codec.NotWeftError):
        codec.open_original(io.BytesIO(ORIGINAL))
