"""Stage 7: interleaved rANS, a table for each element (format_spec/stages/7_columns.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codec.kernels import columns as kernel
from codec.kernels import numbers, round_tables
from codec.kernels import tables as table_kernel
from codec.kernels.native import invoke, place
from codec.limits import COLUMNS_MAX
from codec.stages import rans
from codec.stages.geometry import Bytes, Geometry, view
from codec.wire import Cursor, varint

_NO_BYTES: Final = np.zeros(0, np.uint8)

COLUMNS: Final = 7
ZERO: Final = kernel.ZERO
#: Bytes that a lane costs, about.
LANE_BYTES: Final = 3


@dataclass(frozen=True, slots=True)
class ColumnTables:
    """The tables of one plane, as RansTables, and the number of each column (uint8[period])."""

    raw: bytes
    count: int
    frequencies: NDArray[np.int64]
    decoder: NDArray[np.uint32]
    encoder: NDArray[np.uint32]
    columns: Bytes
    top: int = 255
    stage: int = COLUMNS

    def fits(self, tile: int, chunk: int | None) -> bool:
        """Whether tiles of so many elements, and chunks if there are several, begin where a row of columns may."""
        period = self.columns.size
        return (tile % period == 0 or period % tile == 0) and (chunk is None or chunk % period == 0)

    def beside(self, tile: int) -> Bytes:
        """The numbers of columns, as often as a tile has them."""
        times = tile // self.columns.size
        return np.tile(self.columns, times) if times > 1 else self.columns


def read_tables(c: Cursor, count: int) -> ColumnTables:
    """Tables from a span record. Raises CorruptFileError."""
    frequencies, start = np.empty((count, 256), np.int64), c.at
    after = int(round_tables.read_all(view(c.data), start, c.end, frequencies))
    if after < 0:
        raise c.bad("frequency table is corrupt")
    c.skip(after - start)
    period = c.varint(COLUMNS_MAX if count > 1 else 1)
    if period < 1:
        raise c.bad("no columns")
    columns = np.full(1, ZERO, np.uint8) if period == 1 else _read_numbers(c, view(c.data), period)
    return laid_out(bytes(c.data[start : c.at]), frequencies, columns)


def laid_out(raw: bytes, frequencies: NDArray[np.int64], columns: Bytes) -> ColumnTables:
    """Tables for both ways; ``raw`` is what is written of them."""
    count = len(frequencies)
    decoder, encoder = np.empty(count * 4096, np.uint32), np.empty(count * 256, np.uint32)
    table_kernel.lay_out(frequencies, decoder, encoder)
    return ColumnTables(raw, count, frequencies, decoder, encoder, columns)


def fit_tables(
    counts: NDArray[np.int64], scale: int, columns: Bytes | None = None, middle: int | None = None
) -> ColumnTables:
    """Tables for counts (int64[count, 256]), which are a sample of 1 in ``scale``; the numbers of ``columns``.

    Those that are nearly so are mirrored round the byte ``middle`` (None: the commonest).
    """
    middle = int(counts.sum(axis=0).argmax()) if middle is None else middle
    counts = counts.copy()
    frequencies, raw = np.empty(counts.shape, np.int64), np.zeros(len(counts) * table_kernel.RAW_MAX, np.uint8)
    after = int(round_tables.fit(counts, middle, scale, frequencies, raw))
    columns = np.full(1, ZERO, np.uint8) if columns is None else columns
    written = raw[:after].tobytes() + varint(columns.size) + (b"" if columns.size == 1 else write_numbers(columns))
    return laid_out(written, frequencies, columns)


def write_numbers(values: Bytes) -> bytes:
    """Numbers of rows or columns (at least one), in the fewest bytes, or nearly."""
    shape = int(numbers.shape(values))
    middle, low = shape >> 3, shape & 7
    out = np.zeros(int(numbers.size(values, middle, low)), np.uint8)
    numbers.write(values, middle, low, out, 0)
    return out.tobytes()


def _read_numbers(c: Cursor, body: Bytes, count: int) -> Bytes:
    if count > 8 * (c.end - c.at):
        raise c.bad(f"{count} numbers do not fit")
    values = np.empty(count, np.uint8)
    after = int(numbers.read(body, c.at, c.end, values))
    if after < 0:
        raise c.bad("numbers of rows or columns are corrupt")
    c.skip(after - c.at)
    return values


def lanes_for(size: int) -> int:
    """How many states share the stream of a plane of ``size`` bytes."""
    return min(32, rans.lanes_for(size))


def decode(c: Cursor, body: Bytes, g: Geometry, tables: ColumnTables, out: Bytes, lent: Bytes = _NO_BYTES) -> int:
    """Decode one plane into ``out``, and what its states carry into ``lent``. Raises CorruptFileError."""
    if not tables.fits(g.tile, None):
        raise c.bad(f"tiles of {g.tile} bytes do not fit {tables.columns.size} columns")
    words = c.varint((c.end - c.at) // 2)
    lanes = lanes_for(g.size)
    rows = _read_numbers(c, body, g.tiles) if tables.count > 1 else np.full(g.tiles, ZERO, np.uint8)
    states = rans.read_states(c, lanes)
    at = c.skip(2 * words)
    columns = tables.beside(g.tile)
    behind = invoke(
        kernel.decode_address(), place(body), at, c.at, lanes, place(tables.decoder), tables.count, place(rows),
        rows.size, place(columns), columns.size, g.tile, place(states), place(out), g.size,
    )  # fmt: skip
    if behind != c.at:
        raise c.bad("rANS stream does not end where it should")
    rans.end(c, states, lent)
    return -1
