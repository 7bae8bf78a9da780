"""Stage 8: mixing (format_spec/stages/8_mixing.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from codec.kernels import mixing as kernel
from codec.stages.geometry import Bytes, Geometry, read_only, working
from codec.wire import Cursor, varint

MIXING: Final = 8
#: Bytes of a plane for one of the stream, at most.
RATIO_MAX: Final = 32
_NONE: Final = read_only(np.zeros(0, np.uint8))
_NO_ROOM: Final = np.zeros(0, np.uint8)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the payload says of the plane: bytes of an element (0: each ends behind a byte below 128), whether elements
    are signed and what then counts as 0, how fast weights learn, elements in a row, distance of another element.
    """

    framing: int
    signed: bool
    centre: int
    rate: int
    row: int
    far: int

    @property
    def raw(self) -> bytes:
        """As they are written."""
        centre = bytes((self.centre,)) if self.signed and self.framing else b""
        return b"".join(
            (bytes((self.framing, self.signed)), centre, bytes((self.rate,)), varint(self.row), varint(self.far))
        )


def _code(decoding: bool, stored: Bytes, out: Bytes, plane: Bytes, how: Parameters) -> int:
    bits = kernel.bits_for(plane.size)

    def room(name: str, kind: Any, count: int) -> Any:
        return working(f"mixing {name}", count * np.dtype(kind).itemsize)[: count * np.dtype(kind).itemsize].view(kind)

    numbers = (how.framing, how.signed, how.centre, how.rate, how.row, how.far)
    return int(
        kernel.code(
            decoding, stored, out, plane, plane.size, np.array(numbers, np.int64), bits,
            room("table", np.uint32, 1 << bits), room("weights", np.int32, kernel.SETS * kernel.LANES),
            room("estimates", np.int32, kernel.ESTIMATES), room("starts", np.int32, plane.size),
            room("columns", np.int32, 2 * how.row), room("places", np.int32, 1 << (bits - 6)),
            room("lengths", np.uint32, kernel.LENGTHS), room("seen", np.uint32, kernel.LANES),
            room("lanes", np.int32, 2 * kernel.LANES).reshape(2, -1), room("wide", np.int64, 2 * kernel.LANES + 2),
        )
    )  # fmt: skip


def encode(plane: Bytes, how: Parameters, most: int) -> bytes | None:
    """Payload of at most so many bytes for a plane that is not empty, or None."""
    out = working("mixing stream", most)[:most]
    source = np.array(plane)  # the kernel takes it as it takes what it fills: writable
    size = _code(False, _NONE, out, source, how)
    if size < 0 or size * RATIO_MAX < plane.size:
        return None
    payload = how.raw + varint(size) + out[:size].tobytes()
    return payload if len(payload) <= most else None


def decode(c: Cursor, body: Bytes, g: Geometry, tables: object, out: Bytes) -> int:
    """Decode a stream that must give exactly the plane."""
    framing, signed = c.u8(), c.u8()
    if framing > kernel.FRAMING_MAX or signed > 1 or (not framing and not signed):
        raise c.bad(f"elements of framing {framing} and kind {signed}")
    centre = c.u8() if signed and framing else 0
    rate, row, far = c.u8(), c.varint(kernel.ROW_MAX), c.varint(kernel.FAR_MAX)
    if not 1 <= rate <= kernel.RATE_MAX or not row or not far:
        raise c.bad(f"rate {rate}, row {row}, distance {far}")
    stored = read_only(np.frombuffer(c.take(c.varint(c.end - c.at)), np.uint8))
    if g.size > RATIO_MAX * stored.size:
        raise c.bad(f"{stored.size} bytes of stream for {g.size} of a plane")
    if _code(True, stored, _NO_ROOM, out, Parameters(framing, signed == 1, centre, rate, row, far)) < 0:
        raise c.bad("the stream does not end as it should")
    return -1
