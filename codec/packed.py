"""Integers that are packed codes of 1, 2 or 4 bits, as GPTQ, AWQ, bitsandbytes and BitNet have them (transform 9).

No name says what they are: codes of so many bits that are alike wherever they stand in an element are.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod
from typing import Final

import numpy as np

from codec.blocks import CODES_MAX
from codec.dtypes import DTYPES, DType
from codec.encode import EncodedSpan, encode_span
from codec.limits import FIELD_BYTES_MAX
from codec.making import Code, made
from codec.planner.levels import Level
from codec.planner.packed import code_bits
from codec.stages.codes import Codes, Held
from codec.stages.geometry import Bytes, read_only
from codec.ways import Part

#: Fewer bytes are left alone: their order says too little.
LEAST: Final = 4096
#: Bytes on which ways are tried, about.
_TRIED: Final = 1 << 16
#: Codes of a row, where none is known: scales of bitsandbytes are for 64.
_ROW: Final = 64


@dataclass(frozen=True, slots=True)
class _Way:
    """A field of ``size`` bytes, alone in its block, and codes of a row of its part."""

    bits: int
    size: int
    run: int
    word: int
    columns: int

    @property
    def each(self) -> int:
        """Bytes of a span, at most."""
        return CODES_MAX * self.bits // 8 // self.size * self.size

    def coded(self, data: Bytes, dtype: DType, level: Level, code: Code) -> EncodedSpan:
        """Some whole blocks as a span."""
        way = Codes((Held(self.size, 0, self.bits, 0, self.run, self.word),))
        codes = np.zeros(way.parts(data.size)[0], np.uint8)
        way.split(data, [codes])
        shape = (codes.size // self.columns, self.columns) if codes.size % self.columns == 0 else (codes.size,)
        return made(data, dtype, way, [Part(codes, DTYPES["U8"], shape, "codes")], level, code)


def encode_packed(
    data: Bytes, dtype: DType, shape: tuple[int, ...], level: Level, code: Code = encode_span
) -> list[EncodedSpan] | None:
    """Code packed codes one by one; None if integers are none, or take less as bytes, or stage 8 is not to be tried.

    By tables, at half the speed of bytes or less, codes take 0.2 to 0.9 % less (bench.packed), which is not worth it.
    """
    width = dtype.bits // 8
    if not level.mixing or data.size < LEAST or data.size % width or not (bits := code_bits(data, width)):
        return None
    row = prod(shape[1:]) * width if len(shape) > 1 else 0
    row = row if row >= 16 and data.size % row == 0 else 0
    best, chosen = 1000, None
    plain: dict[tuple[int, int], int] = {}
    for way in _ways(data.size, width, row, bits):
        size = max(1, min(_TRIED, way.each) // way.size) * way.size
        at = (data.size - size) // 2 // way.size * way.size if size < data.size else 0
        piece = read_only(data[at : at + size])
        if (at, piece.size) not in plain:
            rows = (piece.size // row, *shape[1:]) if row and piece.size % row == 0 else ()
            plain[at, piece.size] = code(piece, dtype, rows, level).stored.size
        took = way.coded(piece, dtype, level, code).stored.size * 1000 // plain[at, piece.size]
        if took < best:
            best, chosen = took, way
    if chosen is None:
        return None
    return [
        chosen.coded(read_only(data[at : at + chosen.each]), dtype, level, code)
        for at in range(0, data.size, chosen.each)
    ]


def _ways(length: int, width: int, row: int, widths: tuple[int, ...]) -> list[_Way]:
    """Codes in the order of columns, as GPTQ's words have them and BitNet's rows; and as they lie, as AWQ's."""
    found, size = [], row
    for parts in range(2, 64):
        if size > FIELD_BYTES_MAX // 2 and row % (parts * width) == 0:
            size = row // parts
    if not 0 < size <= FIELD_BYTES_MAX // 2:
        size = gcd(length, 1 << 12)
    for bits in widths:
        if row:
            found.append(_Way(bits, size, size // width, width, size // width))
        columns = size * 8 // bits if row else _ROW
        found.append(_Way(bits, size, 1, 1, columns))
    return found
