"""How many bytes a plane has, and in which tiles: what a stage is told before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.memory import kept

Bytes = NDArray[np.uint8]


def view(data: Any) -> Bytes:
    """Any bytes-like as a read-only uint8 array (one type for all inputs, so that each kernel is compiled once)."""
    array = np.frombuffer(data, np.uint8)
    array.flags.writeable = False
    return array


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, read-only: kernels are compiled for inputs of that kind alone."""
    out = array[:]
    out.flags.writeable = False
    return out


def working(name: str, size: int) -> Bytes:
    """At least ``size`` working bytes of this thread, kept under ``name`` from one call to the next.

    What they hold is gone at the next call with the same name.
    """
    held: Bytes | None = kept().get(name)
    if held is None or held.size < size:
        held = kept()[name] = np.empty(size, np.uint8)
    return held


@dataclass(frozen=True, slots=True)
class Geometry:
    """One plane of one chunk: ``size`` bytes in ``tiles`` tiles of ``tile`` bytes, of which the last may be shorter."""

    size: int
    tile: int
    tiles: int


def plane_bytes(elements: int, tile: int, width: int) -> int:
    """Bytes of a plane of ``width`` bits over ``elements`` in tiles of ``tile`` elements."""
    return elements // tile * (tile * width + 7 >> 3) + (elements % tile * width + 7 >> 3)


def plane_geometry(elements: int, tile: int, width: int, kept: NDArray[np.bool_] | None) -> Geometry:
    """Geometry of a plane of ``width`` bits over ``elements`` in tiles of ``tile`` elements.

    ``kept`` says for each tile whether the plane has it (None: all).
    """
    full = -(-tile * width // 8)
    whole, rest = divmod(elements, tile)
    tail = -(-rest * width // 8)
    if kept is None:
        return Geometry(whole * full + tail, full, whole + (rest > 0))
    tiles = int(np.count_nonzero(kept))
    short = rest > 0 and bool(kept[-1])
    return Geometry((tiles - short) * full + (tail if short else 0), full, tiles)
