"""Stage 3: Huffman in four streams, a table for each tile (format_spec/stages/3_huffman.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codec.kernels import huffman as kernel
from codec.kernels import tables as table_kernel
from codec.stages import choice as choices
from codec.stages.geometry import Bytes, Geometry, read_only, view
from codec.wire import Cursor, varint

HUFFMAN: Final = 3
SLOTS: Final = 2048


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


def fit_tables(counts: NDArray[np.int64], scale: int) -> HuffmanTables:
    """Tables for the counts of each group (int64[groups, 256]); ``scale`` does not matter to Huffman codes."""
    lengths, raw = np.zeros(counts.shape, np.uint8), []
    for row, length in zip(choices.at_least_two(counts), lengths, strict=True):
        kernel.lengths(row, length)
        out = np.zeros(1024, np.uint8)
        raw.append(out[: table_kernel.write_lengths(length, out)].tobytes())
    return _laid_out(b"".join(raw), lengths)


def encode(
    plane: Bytes, tile: int, choice: Bytes, tables: HuffmanTables, work: Bytes
) -> list[bytes | memoryview] | None:
    """Payload, as parts; None if a byte occurs that its tile's table does not have.

    ``work`` is uint8[>= 2 * plane + 64]; the last part lies in it.
    """
    sizes = np.zeros(4, np.int64)
    total = kernel.encode(read_only(plane), plane.size, tile, choice, tables.encoder, work, sizes)
    if total < 0:
        return None
    return [b"".join(varint(int(s)) for s in sizes), choices.pack(choice, tables.count), work.data[:total]]


def decode(c: Cursor, body: Bytes, g: Geometry, tables: HuffmanTables, out: Bytes) -> int:
    """Decode one plane into ``out``. Raises CorruptFileError."""
    sizes = [c.varint(c.end - c.at) for _ in range(4)]
    choice = choices.read(c, body, g.tiles, tables.count)
    start = c.skip(sum(sizes))
    ends = start + np.cumsum(np.array(sizes, np.int64))
    starts = np.array([start, *ends[:3]], np.int64)
    if kernel.decode(body, starts, ends, tables.decoder, choice, g.tile, out, g.size) < 0:
        raise c.bad("Huffman streams are corrupt")
    return -1
