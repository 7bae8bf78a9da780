"""Payloads of the stages with tables, put together field by field as their documents lay them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from codec.kernels import columns as columns_kernel
from codec.kernels import huffman as huffman_kernel
from codec.kernels import rans as rans_kernel
from codec.kernels import tables as table_kernel
from codec.kernels.native import invoke, place
from codec.stages import choice as choices
from codec.stages import columns, huffman, rans
from codec.stages.geometry import Bytes, read_only
from codec.wire import varint
from tests import naive


def pack(choice: Bytes, tables: int) -> bytes:
    """Choices as bytes, tile 0 in the low bits of the first."""
    bits = choices.bits_for(tables)
    if not bits:
        return b""
    out = np.zeros(-(-choice.size * bits // 8), np.uint8)
    table_kernel.pack_choice(choice, bits, out)
    return out.tobytes()


def start_of(lanes: int, carried: bytes) -> np.ndarray:
    """States that an encoder begins with, which carry 2 bytes each, or nothing."""
    return rans.START + np.frombuffer(carried or bytes(2 * lanes), "<u2").astype(np.uint32)


def rans_payload(plane: Bytes, tile: int, choice: Bytes, tables: rans.RansTables, carried: bytes = b"") -> bytes | None:
    """Stage 2; None if a byte occurs that its tile's table does not have."""
    lanes, work = rans.lanes_for(plane.size), np.zeros(2 * plane.size + 16, np.uint8)
    states = start_of(lanes, carried)
    entries = tables.encoder
    at = rans_kernel.encode(read_only(plane), plane.size, tile, choice, entries, lanes, states, work, tables.top)
    if at < 0:
        return None
    words = (work.size - at) // 2
    return b"".join((varint(words), pack(choice, tables.count), naive.write_states(states), work[at:].tobytes()))


def huffman_payload(plane: Bytes, tile: int, choice: Bytes, tables: huffman.HuffmanTables) -> bytes | None:
    """Stage 3; None if a byte occurs that its tile's table does not have."""
    sizes, work = np.zeros(4, np.int64), np.zeros(2 * plane.size + 64, np.uint8)
    total = huffman_kernel.encode(read_only(plane), plane.size, tile, choice, tables.encoder, work, sizes)
    if total < 0:
        return None
    return b"".join([*(varint(int(s)) for s in sizes), pack(choice, tables.count), work[:total].tobytes()])


def columns_payload(
    plane: Bytes, tile: int, choice: Bytes, tables: columns.ColumnTables, carried: bytes = b""
) -> bytes | None:
    """Stage 7; ``choice`` are the numbers of the rows. None if a byte occurs that its table does not have."""
    lanes, work = columns.lanes_for(plane.size), np.zeros(2 * plane.size + 16, np.uint8)
    states, rows = start_of(lanes, carried), choice
    beside = tables.beside(tile)
    at = invoke(
        columns_kernel.encode_address(), place(plane), plane.size, tile, place(rows), rows.size, place(beside),
        beside.size, place(tables.encoder), tables.count, lanes, place(states), place(work), work.size,
    )  # fmt: skip
    if at < 0:
        return None
    words = (work.size - at) // 2
    numbers = columns.write_numbers(rows) if tables.count > 1 else b""
    return b"".join((varint(words), numbers, naive.write_states(states), work[at:].tobytes()))


#: By stage: fit(counts of each group, scale) -> tables; payload(plane, tile, choice, tables).
FIT: Final[dict[int, Callable[..., Any]]] = {
    rans.RANS: rans.fit_tables,
    huffman.HUFFMAN: huffman.fit_tables,
    columns.COLUMNS: columns.fit_tables,
}
PAYLOAD: Final[dict[int, Callable[..., bytes | None]]] = {
    rans.RANS: rans_payload,
    huffman.HUFFMAN: huffman_payload,
    columns.COLUMNS: columns_payload,
}
