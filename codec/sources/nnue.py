"""NNUE: networks of chess engines, whose weights are packed as signed LEB128.

    u32 version, u32 hash, u32 n, n bytes of description, u32 hash of the first layer,
    "COMPRESSED_LEB128" u32 size, size bytes: biases, weights and the like of the first layer, one behind the other
    the layers behind it, whose sizes the file does not tell

The first block has a bias for each column of what follows. Of files that are not packed nothing is known: the number of
columns is in the engine alone. Layout: nnue/nnue_common.h and nnue_feature_transformer.h of Stockfish 16.
"""

from __future__ import annotations

from dataclasses import replace

from codec.sources.segment import Look, Packed, RefusedError, Segment, tiled

VERSION = (0x7AF32F20).to_bytes(4, "little")
MAGIC = b"COMPRESSED_LEB128"
#: Bytes of a description and of the biases that are looked at, and packed blocks in a file, at most.
DESCRIPTION_MAX = 1 << 16
BIASES_MAX = 1 << 20
BLOCKS_MAX = 64
#: Buckets of the material scores, which have as many columns.
_BUCKETS = 8
#: Bytes that end no integer.
_CONTINUED = bytes(range(128, 256))


def parse(look: Look) -> list[Segment]:
    """The packed blocks. Raises RefusedError for what is no NNUE file with packed weights."""
    if look.peek(4) != VERSION:
        raise RefusedError("does not begin with the version of an NNUE file")
    if look.at is None or look.size is None:
        raise RefusedError("nobody can look behind the front")
    length = int.from_bytes(look.peek(12)[8:], "little")
    if length > DESCRIPTION_MAX:
        raise RefusedError(f"a description of {length} bytes")
    at, columns, found = 12 + length + 4, 0, list[Segment]()
    while len(found) < BLOCKS_MAX:
        head = look.at(at, len(MAGIC) + 4)
        if head[: len(MAGIC)] != MAGIC or len(head) < len(MAGIC) + 4:
            break
        start = at + len(head)
        at = start + int.from_bytes(head[len(MAGIC) :], "little")
        if at == start or at > look.size or look.at(at - 1, 1)[0] > 127:
            raise RefusedError(f"packed bytes [{start}, {at}) end within an integer, or behind the file")
        if not found:
            columns = len(look.at(start, min(at - start, BIASES_MAX)).translate(None, _CONTINUED))
        found.append(Segment(start, at, packed=Packed(max(1, columns))))
    if not found:
        raise RefusedError("no packed weights behind the description")
    if len(found) > 2:  # the last are material scores
        found[-1] = replace(found[-1], packed=Packed(_BUCKETS))
    return tiled(found, look.size)
