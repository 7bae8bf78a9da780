"""Stages 0, 1 and 4: stored, constant, zstd (format_spec/stages/0_stored.md, 1_constant.md, 4_zstd.md)."""

from __future__ import annotations

from typing import Final

import zstandard

from codec.errors import CorruptFileError
from codec.memory import kept
from codec.stages.geometry import Bytes, Geometry
from codec.wire import Cursor, varint

STORED: Final = 0
CONSTANT: Final = 1
ZSTD: Final = 4


def decode_stored(c: Cursor, body: Bytes, g: Geometry, tables: object, out: Bytes) -> int:
    """Where in the body the bytes lie; nothing is copied."""
    return c.skip(g.size)


def decode_constant(c: Cursor, body: Bytes, g: Geometry, tables: object, out: Bytes) -> int:
    """Fill the plane with one byte."""
    out[:] = c.u8()
    return -1


def compressor(level: int) -> zstandard.ZstdCompressor:
    """This thread's compressor of a level: making one takes longer than compressing a small plane."""
    held: zstandard.ZstdCompressor | None = kept().get(("zstd", level))
    if held is None:
        held = kept()["zstd", level] = zstandard.ZstdCompressor(level=level, write_content_size=False)
    return held


def encode_zstd(plane: Bytes, level: int) -> bytes:
    """Payload of stage 4."""
    frame = compressor(level).compress(plane.data)
    return varint(len(frame)) + frame


def decode_zstd(c: Cursor, body: Bytes, g: Geometry, tables: object, out: Bytes) -> int:
    """Decompress one frame that must give exactly the plane."""
    frame = c.take(c.varint(c.end - c.at))
    try:
        told = zstandard.get_frame_parameters(frame)
        if told.content_size not in (g.size, zstandard.CONTENTSIZE_UNKNOWN):  # it would be allocated unseen
            raise c.bad(f"zstd frame announces {told.content_size} bytes, the plane has {g.size}")
        if told.window_size > 1 << 27:
            raise c.bad(f"zstd frame wants a window of {told.window_size} bytes")
        plain = zstandard.ZstdDecompressor().decompress(frame, max_output_size=g.size, allow_extra_data=False)
    except zstandard.ZstdError as e:
        raise CorruptFileError(f"{c.what}: zstd frame does not decode: {e}") from None
    if len(plain) != g.size:
        raise c.bad(f"zstd frame decodes to {len(plain)} bytes, the plane has {g.size}")
    out.data[:] = plain
    return -1
