"""Transform 11: elements near those that the original had before (format_spec/transforms/11_delta.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from codec.stages.geometry import Bytes
from codec.wire import Cursor, varint

DELTA: Final = 11
_UINT: Final[tuple[Any, ...]] = (np.uint8, np.uint16, np.uint32, np.uint64)


@dataclass(frozen=True, slots=True)
class Delta:
    """Elements of 2^code bytes near those ``distance`` bytes before the span. ``signed``: of sign and magnitude.

    >>> source = np.array([1.0, -1.0], np.float32).view(np.uint8)
    >>> near = np.array([1.0000001, -1.0000002], np.float32).view(np.uint8)
    >>> Delta(2, 8, True).differences(near, source).view(np.uint32).tolist()
    [2, 3]
    """

    code: int
    distance: int
    signed: bool
    number = DELTA

    @property
    def raw(self) -> bytes:
        """See codec.stages.transforms.Transform."""
        return varint(self.distance) + bytes((self.code | self.signed << 2,))

    def parts(self, length: int) -> list[int]:
        """See Transform."""
        if length & ((1 << self.code) - 1):
            raise ValueError(f"{length} bytes are no whole elements of {1 << self.code}")
        return [length]

    def make(self, parts: list[Bytes], out: Bytes) -> None:
        """See Transform. ``out`` holds the source."""
        kind = _UINT[self.code]
        x: Any = out.view(kind)
        z: Any = parts[0].view(kind)
        one = kind(1)
        self._order(x)
        x += (z >> one) ^ (kind(0) - (z & one))
        self._order(x)

    def differences(self, data: Bytes, source: Bytes) -> Bytes:
        """The part of a span of these bytes."""
        kind = _UINT[self.code]
        x: Any = data.view(kind).copy()
        y: Any = source.view(kind).copy()
        self._order(x)
        self._order(y)
        x -= y
        sign = x >> kind(8 * x.itemsize - 1)
        x <<= kind(1)
        x ^= kind(0) - sign
        out: Bytes = x.view(np.uint8)
        return out

    def _order(self, x: Any) -> None:
        """Numbers of sign and magnitude <-> numbers that ascend as those do."""
        if self.signed:
            kind = x.dtype.type
            x ^= (kind(0) - (x >> kind(8 * x.itemsize - 1))) >> kind(1)


def read_delta(c: Cursor) -> Delta:
    """The parameters, as they are written."""
    distance, kind = c.varint(), c.u8()
    if kind > 7:
        raise c.bad(f"elements of kind {kind}")
    return Delta(kind & 3, distance, kind > 3)
