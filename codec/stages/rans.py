"""Stage 2: interleaved rANS, a table for each tile (format_spec/stages/2_rans.md)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codec.kernels import rans as kernel
from codec.kernels import tables as table_kernel
from codec.kernels.native import invoke, place
from codec.stages import choice as choices
from codec.stages.geometry import Bytes, Geometry, view, working
from codec.wire import Cursor

RANS: Final = 2
START: Final = 65536
#: Of tables that only encode.
_FREQUENCIES: Final = np.zeros((0, 256), np.int64)
_DECODER: Final = np.zeros(0, np.uint32)
_NO_BYTES: Final = np.zeros(0, np.uint8)
_STARTS: Final = START.to_bytes(4, "little") * 128
#: Planes of so many bytes say how many lanes they have.
WRITTEN: Final = 131072


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


def fit_planes(counts: NDArray[np.int64], groups: list[int], scale: int) -> list[RansTables]:
    """Tables of some planes, for encoding alone: ``decoder`` and ``frequencies`` are left empty.

    Plane k has groups[k] rows of counts (int64[sum of groups, 256], worked in), which are a sample of 1 in ``scale``.
    """
    rows = len(counts)
    encoder, ends = np.empty(rows * 256, np.uint32), np.empty((rows, 2), np.int64)
    raw = working("tables", rows * table_kernel.RAW_MAX)
    invoke(table_kernel.fit_address(), place(counts), rows, scale, place(encoder), place(raw), place(ends))
    out, at, first = [], 0, 0
    for count, rows in zip(groups, itertools.accumulate(groups), strict=True):
        written, tops = ends[first:rows].T.tolist()
        table = encoder[first * 256 : rows * 256]
        out.append(RansTables(raw[at : written[-1]].tobytes(), count, _FREQUENCIES, _DECODER, table, max(tops)))
        at, first = written[-1], rows
    return out


def fit_tables(counts: NDArray[np.int64], scale: int) -> RansTables:
    """Tables of one plane, as they are written and read."""
    rows = len(counts)
    return read_tables(Cursor(memoryview(fit_planes(counts.copy(), [rows], scale)[0].raw), "tables"), rows)


def lanes_for(size: int) -> int:
    """How many states share the stream of a plane of ``size`` bytes, where it does not say so itself."""
    return 64 if size >= 65536 else 16 if size >= 16384 else 4 if size >= 2048 else 1


def read_states(c: Cursor, lanes: int) -> NDArray[np.uint32]:
    """The states to start with. Raises CorruptFileError."""
    start = c.at
    held = int.from_bytes(c.data[start : min(c.end, start + (35 * lanes + 7) // 8)], "little")
    states, at = np.empty(lanes, np.uint32), 0
    for lane in range(lanes):
        word = held >> at & (1 << 35) - 1
        n = word & 15
        states[lane] = START << n | word >> 4 & (START << n) - 1
        at += 20 + n
    c.skip(at + 7 >> 3)
    if c.data[c.at - 1] >> 8 - (-at & 7):
        raise c.bad("unused bits behind rANS states are not 0")
    return states


def end(c: Cursor, states: NDArray[np.uint32], lent: Bytes) -> None:
    """Compare the states with those that an encoder began with, and put what they carry into ``lent`` (empty: nothing,
    else as many bytes as they have). Raises CorruptFileError.
    """
    if lent.size:
        if lent.size != 2 * states.size:
            raise c.bad(f"a plane lends {lent.size} bytes to {states.size} states")
        lent.view(np.uint8)[:] = states.astype("<u2").view(np.uint8)
        states = states & ~np.uint32(65535)
    if states.tobytes() != _STARTS[: 4 * states.size]:
        raise c.bad("rANS stream does not end where it should")


def decode(c: Cursor, body: Bytes, g: Geometry, tables: RansTables, out: Bytes, lent: Bytes = _NO_BYTES) -> int:
    """Decode one plane into ``out``, and what its states carry into ``lent``. Raises CorruptFileError."""
    words = c.varint((c.end - c.at) // 2)
    lanes = c.u8() if g.size >= WRITTEN else lanes_for(g.size)
    if g.size >= WRITTEN and lanes not in (64, 128):
        raise c.bad(f"{lanes} rANS lanes, not 64 or 128")
    choice = choices.read(c, body, g.tiles, tables.count)
    states = read_states(c, lanes)
    at = c.skip(2 * words)
    behind = kernel.decode(body, at, c.at, lanes, tables.decoder, choice, g.tile, states, out, g.size)
    if behind != c.at:
        raise c.bad("rANS stream does not end where it should")
    end(c, states, lent)
    return -1
