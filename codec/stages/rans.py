"""Stage 2: interleaved rANS, a table for each tile (format_spec/stages/2_rans.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codec.kernels import rans as kernel
from codec.kernels import tables as table_kernel
from codec.stages import choice as choices
from codec.stages.geometry import Bytes, Geometry, read_only, view
from codec.wire import Cursor, varint

RANS: Final = 2
START: Final = 65536
_STARTS: Final = START.to_bytes(4, "little") * 64


@dataclass(frozen=True, slots=True)
class RansTables:
    """The tables of one plane: as written, and laid out for the kernels; ``frequencies`` int64[count, 256]."""

    raw: bytes
    count: int
    frequencies: NDArray[np.int64]
    decoder: NDArray[np.uint32]
    encoder: NDArray[np.uint32]
    top: int
    stage: int = RANS


def _laid_out(raw: bytes, frequencies: NDArray[np.int64]) -> RansTables:
    count = len(frequencies)
    decoder, encoder = np.empty(count * 4096, np.uint32), np.empty(count * 256, np.uint32)
    top = int(table_kernel.lay_out(frequencies, decoder, encoder))
    return RansTables(raw, count, frequencies, decoder, encoder, top)


def read_tables(c: Cursor, count: int) -> RansTables:
    """Tables from a span record. Raises CorruptFileError."""
    frequencies = np.empty((count, 256), np.int64)
    start = c.at
    after = int(table_kernel.read_all(view(c.data), start, c.end, frequencies))
    if after < 0:
        raise c.bad("frequency table is corrupt")
    c.skip(after - start)
    return _laid_out(bytes(c.data[start:after]), frequencies)


def fit_tables(counts: NDArray[np.int64], scale: int) -> RansTables:
    """Tables for the counts of each group (int64[groups, 256]), a sample of 1 in ``scale`` symbols."""
    frequencies, raw = np.zeros(counts.shape, np.int64), []
    out = np.zeros(1024, np.uint8)
    for row, freq in zip(choices.at_least_two(counts), frequencies, strict=True):
        size = table_kernel.fit(row, scale, freq, out)
        raw.append(out[:size].tobytes())
    return _laid_out(b"".join(raw), frequencies)


def lanes_for(size: int) -> int:
    """How many states share the stream of a plane of ``size`` bytes."""
    return 64 if size >= 65536 else 16 if size >= 16384 else 4 if size >= 2048 else 1


def encode(plane: Bytes, tile: int, choice: Bytes, tables: RansTables, work: Bytes) -> list[bytes | memoryview] | None:
    """Payload, as parts; None if a byte occurs that its tile's table does not have.

    ``work`` is uint8[>= 2 * plane + 16]; the last part lies in it.
    """
    lanes = lanes_for(plane.size)
    states = np.full(lanes, START, np.uint32)
    at = kernel.encode(read_only(plane), plane.size, tile, choice, tables.encoder, lanes, states, work, tables.top)
    if at < 0:
        return None
    words = (work.size - at) // 2
    return [varint(words), choices.pack(choice, tables.count), states.tobytes(), work.data[at:]]


def decode(c: Cursor, body: Bytes, g: Geometry, tables: RansTables, out: Bytes) -> int:
    """Decode one plane into ``out``. Raises CorruptFileError."""
    words = c.varint((c.end - c.at) // 2)
    choice = choices.read(c, body, g.tiles, tables.count)
    lanes = lanes_for(g.size)
    states = np.frombuffer(bytearray(c.take(4 * lanes)), np.uint32)
    if int(states.min()) < START:
        raise c.bad("a rANS state is below 65536")
    at = c.skip(2 * words)
    end = kernel.decode(body, at, c.at, lanes, tables.decoder, choice, g.tile, states, out, g.size)
    if end != c.at or states.tobytes() != _STARTS[: 4 * lanes]:
        raise c.bad("rANS stream does not end where it should")
    return -1
