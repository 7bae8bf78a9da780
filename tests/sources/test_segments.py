"""Segments of any content: they tile the original, and no content is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codec.sources import Segment, opaque, segments_of

HEADER = b'{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[0],"data_offsets":[4,4]}}'
FILE = len(HEADER).to_bytes(8, "little") + HEADER + b"\0\1\2\3"
ROOT = Path(__file__).resolve().parents[2]
START = len(FILE) - 4
TENSORS = [Segment(START, START + 4, "a", "F16", (2,)), Segment(START + 4, START + 4, "b", "U8", (0,))]


def of(original: bytes, *, size_known: bool = True) -> tuple[str, list[Segment]]:
    return segments_of(lambda n: original[:n], len(original) if size_known else None)


@st.composite
def damaged_files(draw: st.DrawFn) -> bytes:
    """A safetensors file, cut, extended, or with one byte changed."""
    cut = FILE[: draw(st.integers(0, len(FILE)))] + draw(st.binary(max_size=4))
    at = draw(st.integers(0, len(cut)))
    return cut[:at] + draw(st.binary(max_size=1)) + cut[at + 1 :]


@given(st.binary(max_size=64) | st.binary(max_size=64).map(lambda b: bytes([len(b)]) + bytes(7) + b) | damaged_files())
@example(b"")
@example(FILE)
def test_segments_tile_any_bytes(original: bytes) -> None:
    kind, segments = of(original)
    assert kind in ("safetensors", "opaque")
    position = 0
    for segment in segments:
        assert segment.start == position <= segment.stop
        position = segment.stop
    assert position == len(original)
    assert kind == "safetensors" or not any(segment.is_tensor for segment in segments)


@given(st.binary(max_size=64) | damaged_files())
def test_a_stream_has_the_segments_of_a_file_or_none(original: bytes) -> None:
    """A header cannot tell that its stream is cut or goes on; otherwise both are judged alike."""
    kind, segments = of(original, size_known=False)
    if kind == "opaque":
        assert segments == []
    else:
        end = segments[-1].stop
        assert segments[0].start == 0
        assert segments[0].stop <= len(original)
        assert of(original[:end].ljust(end, b"\0")) == (kind, segments)


def test_known_size_decides_where_unknown_size_believes_the_header() -> None:
    expected = ("safetensors", [Segment(0, START), *TENSORS])
    assert of(FILE) == of(FILE, size_known=False) == expected
    assert of(FILE + b"more", size_known=False) == of(FILE[:-1], size_known=False) == expected
    assert of(FILE + b"more") == ("opaque", [Segment(0, len(FILE) + 4)])
    assert of(FILE[:-1]) == ("opaque", [Segment(0, len(FILE) - 1)])


def test_a_file_that_shrank_since_its_size_was_taken_is_opaque() -> None:
    assert segments_of(lambda n: FILE[: min(n, 20)], len(FILE)) == ("opaque", [Segment(0, len(FILE))])


def test_errors_of_reading_go_through() -> None:
    def peek(n: int) -> bytes:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        segments_of(peek, 100)


def test_opaque() -> None:
    assert opaque.parse(5) == [Segment(0, 5)]
    assert opaque.parse(0) == opaque.parse(None) == []


def test_a_tensor_without_name_is_a_tensor() -> None:
    header = b'{"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}'
    kind, segments = of(len(header).to_bytes(8, "little") + header + b"x")
    assert kind == "safetensors"
    assert [(s.name, s.size, s.is_tensor) for s in segments] == [("", 8 + len(header), False), ("", 1, True)]


def test_importing_the_sources_loads_neither_numpy_nor_numba() -> None:
    code = "import sys, codec.sources; print(sorted({'numpy', 'numba', 'safetensors'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
