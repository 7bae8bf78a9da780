"""What every source must do with any bytes: segments that tile them, or RefusedError; and the bytes come back."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable
from pathlib import Path

from hypothesis import strategies as st

import codec
from codec.dtypes import DTYPES
from codec.sources import segments_of
from codec.sources.segment import Look, RefusedError, Segment

Parse = Callable[[Look], list[Segment]]
#: Values that lengths, counts and offsets are set to, and the bytes that they take.
EXTREMES = (0, 1, 0x7F, 0xFF, 0xFFFF, 1 << 31, (1 << 32) - 1, 1 << 60, 1 << 63, (1 << 64) - 1)


@st.composite
def mutated(draw: st.DrawFn, original: bytes) -> bytes:
    """Bits flipped, bytes cut out or put in, numbers set to what no file has; the end cut off."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        how = draw(st.sampled_from(["flip", "extreme", "insert", "remove", "truncate", "copy"]))
        if how == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "extreme":
            size = draw(st.sampled_from([1, 2, 4, 8]))
            data[at : at + size] = (draw(st.sampled_from(EXTREMES)) & (256**size - 1)).to_bytes(size, "little")
        elif how == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=8))
        elif how == "remove":
            del data[at : at + draw(st.integers(1, 8))]
        elif how == "truncate":
            del data[at:]
        else:
            source = draw(st.integers(0, max(0, len(data) - 1)))
            data[at : at + 8] = data[source : source + 8]
    return bytes(data)


def checked(parse: Parse, data: bytes) -> list[Segment] | None:
    """The segments; None if refused. Anything else that is raised goes through."""
    try:
        found = parse(Look.of(data))
    except RefusedError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000  # noqa: PT017
        return None
    at = 0
    for s in found:
        assert s.start == at <= s.stop
        assert not s.is_tensor or math.prod(s.shape) * DTYPES[s.dtype].bits == 8 * s.size
        at = s.stop
    assert at == len(data)
    names = [s.name for s in found if s.is_tensor and s.listed]
    assert len(names) == len(set(names))
    return found


def taken(parsers: Iterable[Parse], data: bytes) -> bool:
    """Whether a parser takes the bytes. Each sees them, as a file and as a pipe."""
    found = False
    for parse in parsers:
        found |= checked(parse, data) is not None
        try:
            parse(Look(lambda n: data[:n], None))
        except RefusedError:
            pass
    return found


def round_trip(data: bytes) -> None:
    assert codec.decompress(codec.compress(data, level="fast", threads=1), threads=1) == data


def readable(path: Path, data: bytes, kind: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Through a file and back; every listed tensor is the bytes that lie there. Name -> element type and shape."""
    path.write_bytes(data)
    weft, back = io.BytesIO(), io.BytesIO()
    codec.compress_file(path, weft)
    codec.decompress_file(io.BytesIO(weft.getvalue()), back)
    assert back.getvalue() == data
    found, segments = segments_of(lambda n: data[:n], len(data), lambda at, n: data[at : at + n])
    assert found == codec.inspect_file(io.BytesIO(weft.getvalue())).source == kind
    listed = [s for s in segments if s.is_tensor and s.listed]
    with codec.safe_open(io.BytesIO(weft.getvalue())) as file:
        assert sorted(file.keys()) == sorted(s.name for s in listed)
        for s in listed:
            array = file.get_tensor(s.name)
            assert array.tobytes() == data[s.start : s.stop] and array.shape == s.shape
    return {s.name: (s.dtype, s.shape) for s in listed}
