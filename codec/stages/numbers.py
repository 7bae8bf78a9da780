"""Transforms whose part has integers that are written otherwise: as LEB128, or times a scale (transforms/7 and 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from codec.dtypes import BY_CODE, DTYPES
from codec.kernels import leb128, scaled
from codec.stages.geometry import Bytes, read_only, working
from codec.wire import Cursor, varint

LEB128, SCALED = 7, 8
#: Of scaled codes.
OFFSET_MAX: Final = 1024
_UINT: Final = (np.uint8, np.uint16, np.uint32, np.uint64)


@dataclass(frozen=True, slots=True)
class Leb128:
    """``count`` integers, each in as few bytes as LEB128 needs: elements of 2^``code`` bytes, plus ``offset`` (modulo
    2^64).
    """

    code: int
    count: int
    offset: int
    signed: bool = True
    number = LEB128

    @property
    def raw(self) -> bytes:
        """See codec.stages.transforms.Transform."""
        how = self.code | (not self.signed) << 2
        return bytes((how,)) + varint(self.count) + self.offset.to_bytes(8, "little")

    def parts(self, length: int) -> list[int]:
        """See codec.stages.transforms.Transform."""
        if self.count > length:
            raise ValueError(f"{self.count} integers in {length} bytes")
        return [self.count << self.code]

    def make(self, parts: list[Bytes], out: Bytes) -> None:
        """See codec.stages.transforms.Transform."""
        offset = self.offset - (1 << 64 if self.offset >> 63 else 0)
        if leb128.write(read_only(parts[0]).view(_UINT[self.code]), offset, self.signed, out) < 0:
            raise ValueError(f"{self.count} integers do not take {out.size} bytes")


@dataclass(frozen=True, slots=True)
class Scaled:
    """Codes plus ``offset``, times the scale of their group of ``group``, as ``dtype`` (F16, BF16 or F32).

    ``minus``: code 255 stands for -0. ``down``: BF16 are rounded towards zero.
    """

    dtype: str
    minus: bool
    down: bool
    group: int
    offset: int
    number = SCALED

    @property
    def raw(self) -> bytes:
        """See codec.stages.transforms.Transform."""
        head = bytes((DTYPES[self.dtype].code, self.minus | self.down << 1))
        return head + varint(self.group) + (self.offset & 0xFFFFFFFF).to_bytes(4, "little")

    def parts(self, length: int) -> list[int]:
        """See codec.stages.transforms.Transform."""
        count, rest = divmod(length, DTYPES[self.dtype].bits // 8)
        if rest or not 1 <= self.group <= count:
            raise ValueError(f"{length} bytes of {self.dtype} in groups of {self.group}")
        return [-(-count // self.group) * 4, count]

    def make(self, parts: list[Bytes], out: Bytes) -> None:
        """See codec.stages.transforms.Transform."""
        scales, codes = read_only(parts[0]).view(np.float32), read_only(parts[1])
        if not np.isfinite(scales).all():
            raise ValueError("a scale that is no number")
        single = self.dtype == "F32"
        target = out.view(np.float32) if single else working("scaled", codes.size * 4).view(np.float32)[: codes.size]
        scaled.multiply(codes, scales, self.group, self.offset, 255 if self.minus else -1, target)
        if self.dtype == "BF16":
            scaled.shorten(target.view(np.uint32), self.down, out.view(np.uint16))
        elif not single:
            scaled.halve(target, out.view(np.uint16))


def read_leb128(c: Cursor) -> Leb128:
    """Their parameters."""
    how = c.u8()
    if how > 7:
        raise c.bad(f"integers written as {how}")
    return Leb128(how & 3, at_least_one(c, 1 << 63), c.u64(), not how & 4)


def read_scaled(c: Cursor) -> Scaled:
    """Their parameters."""
    dtype, how = BY_CODE.get(c.u8()), c.u8()
    if dtype is None or dtype.name not in ("F16", "BF16", "F32") or how & ~3 or (how & 2 and dtype.name != "BF16"):
        raise c.bad(f"scaled elements of type {dtype.name if dtype else None}, rounded as {how}")
    group = at_least_one(c, 1 << 63)
    offset = int.from_bytes(c.take(4), "little", signed=True)
    if not -OFFSET_MAX <= offset < OFFSET_MAX:
        raise c.bad(f"codes with an offset of {offset}")
    return Scaled(dtype.name, bool(how & 1), bool(how & 2), group, offset)


def element_code(c: Cursor) -> int:
    """log2 of the bytes of an element, 0 to 3."""
    code = c.u8()
    if code > 3:
        raise c.bad(f"elements of 2^{code} bytes")
    return code


def at_least_one(c: Cursor, most: int) -> int:
    """A count, which is not 0."""
    count = c.varint(most)
    if not count:
        raise c.bad("a count of 0")
    return count
