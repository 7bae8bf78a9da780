"""How many elements share a table choice, and how many a chunk has."""

from __future__ import annotations

from math import prod

from codec.limits import CHUNK_BYTES_MAX

_SMALL = 256
_LARGE = 8192
_DEFAULT = 4096


def tile_for(shape: tuple[int, ...], elements: int) -> int:
    """Elements in a tile: a row (all that belongs to one index of the first dimension), some rows, or part of one.

    >>> tile_for((1024, 4096), 1024 * 4096), tile_for((64, 25, 3, 3), 64 * 225), tile_for((30000,), 30000)
    (4096, 1800, 4096)
    """
    row = prod(shape[1:]) if len(shape) > 1 else 0
    if len(shape) > 2 and row > _LARGE:
        row = shape[-1]
    if row < 2 or row >= elements:
        return max(1, min(_DEFAULT, elements))
    parts = 1
    while row % (2 * parts) == 0 and row // parts > _LARGE:
        parts *= 2
    row //= parts
    if row > _LARGE:
        return _DEFAULT
    rows = -(-_SMALL // row)
    while rows * row % 8 and rows < _SMALL:
        rows += 1
    return max(1, min(rows * row, elements, _LARGE if rows * row > 2 * _LARGE else rows * row))


def chunk_for(tile: int, width: int) -> int:
    """Elements in a chunk: as many whole tiles as fit."""
    return CHUNK_BYTES_MAX // width // tile * tile
