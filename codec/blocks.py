"""How blocks of fields are coded: each field by itself, or the codes that fields have together; the parts of both."""

from __future__ import annotations

from typing import Final

import numpy as np

from codec.dtypes import DTYPES, DType
from codec.kernels import tables
from codec.kernels import transforms as kernel
from codec.limits import CHUNK_BYTES_MAX, TILE_ELEMENTS_MAX
from codec.sources.segment import Field
from codec.stages.codes import Codes, Held
from codec.stages.geometry import Bytes
from codec.stages.transforms import Fields

#: Codes of a part, at most: it is one chunk, of whole tiles.
CODES_MAX: Final = CHUNK_BYTES_MAX - TILE_ELEMENTS_MAX


def codes_of(fields: tuple[Field, ...]) -> Codes | None:
    """The transform of blocks whose codes are packed; None if no field says that it has any, or they are too many."""
    if not any(field.share for field in fields):
        return None
    held: list[Held] = []
    names: dict[str, int] = {}  # of parts of codes -> their numbers
    count = 0
    for field in fields:
        share = field.share
        part = names.get(share.name, count) if share else count
        count = max(count, part + 1)
        if share:
            names[share.name] = part
            held.append(Held(field.size, part, share.bits, share.shift, share.run))
        else:
            held.append(Held(field.size, part))
    found = Codes(tuple(held))
    return found if max(found.codes) <= CODES_MAX else None


def parts_of(
    data: Bytes, fields: tuple[Field, ...], way: Fields | Codes, row: int
) -> list[tuple[Bytes, DType, tuple[int, ...], str]]:
    """The parts of some whole blocks, as (bytes, element type, shape, name); ``row``: blocks in a row of the tensor."""
    sizes = way.parts(data.size)
    count = data.size // sum(field.size for field in fields)
    parts = [np.zeros(size, np.uint8) for size in sizes]
    if isinstance(way, Codes):
        way.split(data, parts)
        first = {held.part: field for held, field in zip(reversed(way.fields), reversed(fields), strict=True)}
        kinds = [(f.share.name, "U8") if (f := first[k]).share else (f.name, f.dtype) for k in range(len(parts))]
    else:
        offset = 0
        for size, part in zip(way.sizes, parts, strict=True):
            kernel.collect(data, offset, size, sum(way.sizes), part)
            offset += size
        kinds = [(field.name, field.dtype) for field in fields]
    found: list[tuple[Bytes, DType, tuple[int, ...], str]] = []
    for part, (name, dtype) in zip(parts, kinds, strict=True):
        kind = DTYPES[dtype]
        found.append((part, kind, (-(-count // row), row * (part.size // count) * 8 // kind.bits), name))
    return found


def saved_by_counts(data: Bytes, way: Codes, stored: int) -> int:
    """Bytes that blocks, which took ``stored`` as codes, would have taken more as fields, as far as counts of symbols
    say it; 0 if they don't: where that is less than 1 %, or repeats or constants show in what was stored.
    """
    codes = [np.zeros(size, np.uint8) for size in way.parts(data.size)]
    way.split(data, codes)
    together = {held.part for held in way.fields if held.bits < 8}
    bits, apart = sum(_bits(codes[part]) for part in sorted(together)), 0
    for offset, held in way.placed():
        if held.bits < 8:
            out = np.empty(data.size // way.block * held.size, np.uint8)
            kernel.collect(data, offset, held.size, way.block, out)
            apart += _bits(out)
    one = 8 << tables.POINT
    more = (apart - bits) // one
    return more if more * 100 > stored and stored * one * 10 > bits * 9 else 0


def _bits(part: Bytes) -> int:
    """Those that bytes take at their own entropy, times 2^POINT."""
    return int(tables.entropy(np.bincount(part, minlength=256)))
