"""Stage 3: Huffman in four streams, a table for each tile (format_spec/stages/3_huffman.md)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codec.kernels import huffman as kernel
from codec.kernels import huffman_codes as code_kernel
from codec.kernels import tables as table_kernel
from codec.kernels.native import invoke, place
from codec.stages import choice as choices
from codec.stages.geometry import Bytes, Geometry, view, working
from codec.wire import Cursor

HUFFMAN: Final = 3
SLOTS: Final = 2048
#: Of tables that only encode.
_LENGTHS: Final = np.zeros((0, 256), np.uint8)
_DECODER: Final = np.zeros(0, np.uint64)


@dataclass(frozen=True, slots=True)
class HuffmanTables:
    """The tables of one plane: as written, and laid out for the kernels; ``lengths`` uint8[count, 256]."""

    raw: bytes
    count: int
    lengths: NDArray[np.uint8]
    decoder: NDArray[np.uint64]
    encoder: NDArray[np.uint32]
    stage: int = HUFFMAN


def _laid_out(raw: bytes, lengths: NDArray[np.uint8]) -> HuffmanTables:
    count = len(lengths)
    decoder, encoder = np.zeros(count * SLOTS, np.uint64), np.zeros(count * 256, np.uint32)
    for k in range(count):
        kernel.table(lengths[k], decoder[k * SLOTS :][:SLOTS])
        kernel.codes(lengths[k], encoder[k * 256 :][:256])
    return HuffmanTables(raw, count, lengths, decoder, encoder)


def read_tables(c: Cursor, count: int) -> HuffmanTables:
    """Tables from a span record. Raises CorruptFileError."""
    lengths = np.zeros((count, 256), np.uint8)
    start, source = c.at, view(c.data)
    for row in lengths:
        after = table_kernel.read_lengths(source, c.at, c.end, row)
        if after < 0:
            raise c.bad("code lengths are corrupt")
        c.skip(after - c.at)
    return _laid_out(bytes(c.data[start : c.at]), lengths)


def fit_planes(counts: NDArray[np.int64], groups: list[int], scale: int) -> list[HuffmanTables]:
    """Tables of some planes, for encoding alone: ``decoder`` and ``lengths`` are left empty.

    Plane k has groups[k] rows of counts (int64[sum of groups, 256], worked in). ``scale`` does not matter to Huffman.
    """
    rows = len(counts)
    encoder, ends = np.empty(rows * 256, np.uint32), np.empty((rows, 2), np.int64)
    raw = working("tables", rows * table_kernel.RAW_MAX)
    invoke(code_kernel.fit_address(), place(counts), rows, scale, place(encoder), place(raw), place(ends))
    out, at, first = [], 0, 0
    for count, rows in zip(groups, itertools.accumulate(groups), strict=True):
        end = int(ends[rows - 1, 0])
        out.append(HuffmanTables(raw[at:end].tobytes(), count, _LENGTHS, _DECODER, encoder[first * 256 : rows * 256]))
        at, first = end, rows
    return out


def fit_tables(counts: NDArray[np.int64], scale: int) -> HuffmanTables:
    """Tables of one plane, as they are written and read."""
    rows = len(counts)
    return read_tables(Cursor(memoryview(fit_planes(counts.copy(), [rows], scale)[0].raw), "tables"), rows)


def decode(c: Cursor, body: Bytes, g: Geometry, tables: HuffmanTables, out: Bytes) -> int:
    """Decode one plane into ``out``. Raises CorruptFileError."""
    sizes = [c.varint(c.end - c.at) for _ in range(4)]
    choice = choices.read(c, body, g.tiles, tables.count)
    start = c.skip(sum(sizes))
    ends = start + np.cumsum(np.array(sizes, np.int64))
    starts = np.array([start, *ends[:3]], np.int64)
    if kernel.decode(body, starts, ends, tables.decoder, choice, g.tile, out, g.size, 0, 0) < 0:
        raise c.bad("Huffman streams are corrupt")
    return -1
