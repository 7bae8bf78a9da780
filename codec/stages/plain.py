"""Stored, constant, zstd, two values, LZMA, lent: format_spec/stages/, numbers 0, 1, 4 to 6, 18, 20 to 23."""

from __future__ import annotations

from typing import Final

import numpy as np
import zstandard

from codec.errors import CorruptFileError
from codec.memory import kept
from codec.stages.geometry import Bytes, Geometry
from codec.wire import Cursor, varint

STORED: Final = 0
CONSTANT: Final = 1
ZSTD: Final = 4
PAIR: Final = 5
LZMA: Final = 6
#: Stages of a plane that lends bytes to 4, 16, 32, 64 or 128 rANS states: this plus the logarithm of that.
LENT: Final = 16
LENT_STAGES: Final = frozenset({18, 20, 21, 22, 23})
#: The first bytes of a zstd frame that announces neither its size nor a dictionary nor a checksum; behind them that of
#: the largest window, 2^27.
_NO_SIZE: Final = bytes.fromhex("28b52ffd00")
_WINDOW: Final = 17 << 3
#: The parameters of stage 6, as Python's lzma takes them.
_LZMA2: Final = 0x21
_FILTERS: Final = [{"id": _LZMA2, "preset": 9, "lc": 3, "lp": 0, "pb": 0, "dict_size": 1 << 20}]


def decode_stored(c: Cursor, body: Bytes, g: Geometry, tables: object, out: Bytes) -> int:
    """Where in the body the bytes lie; nothing is copied."""
    return c.skip(g.size)


def decode_lent(c: Cursor, stage: int, out: Bytes) -> Bytes:
    """Fill a plane but for the last bytes, which states of the next carry; those of ``out`` where they belong."""
    lent = 2 << (stage - LENT)
    if out.size < lent:
        raise c.bad(f"a plane of {out.size} bytes lends {lent}")
    out.data[: out.size - lent] = c.take(out.size - lent)
    return out[out.size - lent :]


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
        out.data[:] = unpack_zstd(frame, g.size)
    except CorruptFileError as error:
        raise c.bad(str(error)) from None
    return -1


def unpack_zstd(frame: bytes | memoryview, size: int) -> bytes:
    """The ``size`` bytes of a plane in a zstd frame. Raises CorruptFileError if it does not give exactly them."""
    decompressor: zstandard.ZstdDecompressor | None = kept().get("unzstd")
    if decompressor is None:
        decompressor = kept()["unzstd"] = zstandard.ZstdDecompressor()
    try:
        # most frames begin so, that announce no size and a window of 2^(10 + byte / 8) bytes: 2^27 at most
        if frame[:5] != _NO_SIZE or len(frame) < 6 or frame[5] > _WINDOW:
            told = zstandard.get_frame_parameters(frame)
            if told.content_size not in (size, zstandard.CONTENTSIZE_UNKNOWN):  # it would be allocated unseen
                raise CorruptFileError(f"zstd frame announces {told.content_size} bytes, the plane has {size}")
            if told.window_size > 1 << 27:
                raise CorruptFileError(f"zstd frame wants a window of {told.window_size} bytes")
        plain = decompressor.decompress(frame, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as e:
        raise CorruptFileError(f"zstd frame does not decode: {e}") from None
    if len(plain) != size:
        raise CorruptFileError(f"zstd frame decodes to {len(plain)} bytes, the plane has {size}")
    return plain


def encode_lzma(plane: Bytes) -> bytes:
    """Payload of stage 6."""
    import lzma

    stream = lzma.compress(plane.data, lzma.FORMAT_RAW, filters=_FILTERS)
    return varint(len(stream)) + stream


def decode_lzma(c: Cursor, body: Bytes, g: Geometry, tables: object, out: Bytes) -> int:
    """Decompress one stream that must give exactly the plane."""
    import lzma  # a Python may have been built without it

    stream = c.take(c.varint(c.end - c.at))
    try:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS)
        plain = decoder.decompress(stream, g.size + 1)
        while not decoder.eof and len(plain) <= g.size and not decoder.needs_input:
            more = decoder.decompress(b"", g.size + 1 - len(plain))
            if not more:
                break
            plain += more
    except (lzma.LZMAError, EOFError) as e:
        raise CorruptFileError(f"{c.what}: LZMA stream does not decode: {e}") from None
    if len(plain) != g.size or not decoder.eof or decoder.unused_data:
        raise c.bad(f"LZMA stream decodes to {len(plain)} bytes, the plane has {g.size}, or it does not end there")
    out.data[:] = plain
    return -1


def encode_pair(plane: Bytes) -> bytes | None:
    """Payload of stage 5, or None if the plane has not two values."""
    low, high = (int(plane.min()), int(plane.max())) if plane.size else (0, 0)
    if low == high or ((plane != low) & (plane != high)).any():
        return None
    return bytes((low, high)) + np.packbits(plane == high, bitorder="little").tobytes()


def decode_pair(c: Cursor, body: Bytes, g: Geometry, tables: object, out: Bytes) -> int:
    """Fill the plane with two values."""
    low, high = c.u8(), c.u8()
    if low >= high:
        raise c.bad(f"two values, {low} and {high}, are not in order")
    bits = np.unpackbits(np.frombuffer(c.take(-(-g.size // 8)), np.uint8), bitorder="little")
    if bits[g.size :].any():
        raise c.bad("unused bits are not 0")
    out[:] = np.where(bits[: g.size], high, low)
    return -1
