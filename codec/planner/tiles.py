"""How many elements share a table choice, and how many a chunk has."""

from __future__ import annotations

from math import gcd, prod

from codec.limits import CHUNK_BYTES_MAX, COLUMNS_MAX

_SMALL = 256
_LARGE = 8192
_DEFAULT = 4096
_SHORT, _LOSSY = 16, 128


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


def row_for(shape: tuple[int, ...], tile: int) -> int:
    """Elements in a row that is several tiles, so that chunks may have whole ones; 1 where it is not.

    >>> row_for((100, 28672), 7168), row_for((100, 4096), 4096), row_for((4, 1 << 20), 8192)
    (28672, 1, 1)
    """
    row = prod(shape[1:]) if len(shape) > 1 else 0
    return row if tile < row <= COLUMNS_MAX and row % tile == 0 else 1


def columns_for(shape: tuple[int, ...]) -> int:
    """Elements of a row of floats for which stage 7 may be tried; 0 if there are too few, or too many.

    >>> columns_for((100, 3, 3, 3)), columns_for((100, 4)), columns_for((30000,))
    (27, 0, 0)
    """
    row = prod(shape[1:]) if len(shape) > 1 else 0
    return row if 8 <= row <= COLUMNS_MAX else 0


def short_tiles(shape: tuple[int, ...], elements: int) -> tuple[int, ...]:
    """Elements in a tile for stage 7, the choices: a row, if it is not too long, or a few; and if planes of less than 8
    bits lose much by tiles that end within a byte, as many rows as fill bytes.

    >>> short_tiles((100, 3, 3, 16), 14400), short_tiles((100, 9), 900), short_tiles((100, 28672), 100 * 28672)
    ((144,), (18, 72), (7168,))
    """
    row = columns_for(shape)
    if not row or row > _LARGE:
        return (tile_for(shape, elements),)
    tile = -(-_SHORT // row) * row
    whole = row * (8 // gcd(row, 8))
    return tuple(dict.fromkeys(max(1, min(t, elements)) for t in ((tile, whole) if tile < _LOSSY else (tile,))))


def periods_for(shape: tuple[int, ...], tile: int, chunk: int, elements: int) -> tuple[int, ...]:
    """How many columns stage 7 may take a row to have: those of a row, of the last dimension, and none (1).

    >>> periods_for((1024, 4096), 4096, 1 << 19, 1 << 22), periods_for((64, 3, 3, 32), 288, 288, 64 * 288)
    ((4096, 1), (288, 32, 1))
    """
    row = prod(shape[1:]) if len(shape) > 1 else 1
    wanted = dict.fromkeys((row, shape[-1] if len(shape) > 2 else row, 1))
    return tuple(
        p
        for p in wanted
        if 0 < p <= COLUMNS_MAX and (tile % p == 0 or p % tile == 0) and (chunk % p == 0 or elements <= chunk)
    )
