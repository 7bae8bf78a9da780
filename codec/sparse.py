"""Bytes of which few are not zero, or few of whose bits are: int8 updates, masks (FORMAT.md, transform 10)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from codec.dtypes import DType
from codec.encode import EncodedSpan, encode_span
from codec.limits import CHUNK_BYTES_MAX
from codec.making import Code, made
from codec.planner.levels import Level
from codec.stages.geometry import Bytes, read_only
from codec.ways import RUNS_LEAST, runs_of

#: Fewer bytes are left alone: two parts cost as much as what they could save.
_LEAST: Final = 512
#: About so many bytes are looked at first.
_LOOKED: Final = 1 << 12
#: One in so many bits may be set, at most: then they may need as many numbers as a part of _MANY bytes can hold.
_BITS_LEAST: Final = 8
_MANY: Final = CHUNK_BYTES_MAX // 4
#: One in so many, and a span may be as long as any.
_RARE: Final = 64


def encode_sparse(
    data: Bytes, dtype: DType, shape: tuple[int, ...], level: Level, code: Code = encode_span
) -> list[EncodedSpan] | None:
    """Code elements of a byte as runs of zeros and what is between them; None if few are zero, or that saves nothing.

    What is not zero is taken as it is or, where that has few bits, bit by bit: whichever is smaller.
    """
    if data.size < _LEAST or not (ways := _worth_a_try(data)):
        return None
    row = int(np.prod(shape[1:], dtype=object)) if len(shape) > 1 else 1
    quick = replace(level, mixing=False)  # which takes twenty times as long to say which is the smaller
    tried = []
    for bits, each in ways:  # on a piece from the middle
        each = each // row * row or each
        piece = read_only(data[(data.size - 1) // each // 2 * each :][:each])
        most = few(code(piece, dtype, shape, quick).stored.size, level)
        for long in (False, True):
            way = runs_of(piece, dtype, long, bits)
            if way is not None and (size := made(piece, dtype, *way, quick, code).stored.size) < most:
                tried.append((size / piece.size, bits, long, each))
    if not tried:
        return None
    _, bits, long, each = min(tried)
    spans = []
    for at in range(0, data.size, each):
        piece = read_only(data[at : at + each])
        way = runs_of(piece, dtype, long, bits) or runs_of(piece, dtype, False, bits)
        spans.append(code(piece, dtype, (), level) if way is None else made(piece, dtype, *way, level, code))
    if not level.mixing and data.size > each:
        return spans
    return spans if sum(span.stored.size for span in spans) < code(data, dtype, shape, level).stored.size else None


def few(size: int, level: Level) -> int:
    """Bytes that runs may take of what else takes ``size``: they decode at two thirds of the speed at worst, which 1 %
    is worth.
    """
    return size if level.mixing else size * 99 // 100


def _worth_a_try(data: Bytes) -> list[tuple[bool, int]]:
    """(by bits, bytes of a span) of each way that may pay, by a look at some bytes; by all of them if most are zero."""
    looked = data[:: data.size // _LOOKED | 1]
    others = looked[looked != 0]
    ways = [(False, CHUNK_BYTES_MAX)] if others.size * RUNS_LEAST <= looked.size else []
    if others.size * 64 < looked.size:
        others = data[np.flatnonzero(data)[: 1 << 16]]
    if not others.size:
        return []
    ones = int(np.unpackbits(looked).sum())
    together = int(np.unpackbits(others).sum())
    several = bool((others != others[0]).any())  # or else it is a mask of bytes
    if several and 2 * together <= 5 * others.size and ones * _BITS_LEAST <= 8 * looked.size:
        ways.append((True, CHUNK_BYTES_MAX if ones * _RARE <= 8 * looked.size else _MANY))
    return ways
