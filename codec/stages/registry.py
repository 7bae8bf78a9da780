"""Which stages there are. Adding one means a document, a module and an entry here; numbers are for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from codec.stages import columns, huffman, mixing, plain, rans
from codec.stages.geometry import Bytes, Geometry
from codec.wire import Cursor

#: decode(cursor at the payload, body, geometry, tables, out) -> where in the body the plane lies, or -1 if
#: it is in out.
Decode = Callable[[Cursor, Bytes, Geometry, Any, Bytes], int]

NAMES: Final = dict(
    enumerate(("stored", "constant", "rANS", "Huffman", "zstd", "two values", "LZMA", "rANS by columns", "mixing"))
) | dict.fromkeys(sorted(plain.LENT_STAGES), "lent")

DECODERS: Final[dict[int, Decode]] = {
    plain.STORED: plain.decode_stored,
    plain.CONSTANT: plain.decode_constant,
    rans.RANS: rans.decode,
    huffman.HUFFMAN: huffman.decode,
    plain.ZSTD: plain.decode_zstd,
    plain.PAIR: plain.decode_pair,
    plain.LZMA: plain.decode_lzma,
    mixing.MIXING: mixing.decode,
    columns.COLUMNS: columns.decode,
}

TABLE_READERS: Final[dict[int, Callable[[Cursor, int], Any]]] = {
    rans.RANS: rans.read_tables,
    huffman.HUFFMAN: huffman.read_tables,
    columns.COLUMNS: columns.read_tables,
}

#: Those whose states may carry bytes of the plane before.
CARRIERS: Final[dict[int, Callable[[Cursor, Bytes, Geometry, Any, Bytes, Bytes], int]]] = {
    rans.RANS: rans.decode,
    columns.COLUMNS: columns.decode,
}

#: Stages that may code the tiles' drops, and those that may code a plane.
DROP_STAGES: Final = frozenset({plain.STORED, plain.CONSTANT, plain.ZSTD, plain.PAIR})
PLANE_STAGES: Final = frozenset(DECODERS) - {plain.PAIR} | plain.LENT_STAGES


def known(stages: Iterable[int] = NAMES) -> str:
    """Stages of this reader, for messages."""
    return ", ".join(f"{k} {NAMES[k]}" for k in sorted(stages))
