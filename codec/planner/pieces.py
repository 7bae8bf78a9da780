"""The planes of some elements of a span: all of them, or every so-manieth tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codec.kernels import planes as plane_kernel
from codec.stages.geometry import Bytes, plane_bytes, plane_geometry, read_only, working
from codec.stages.layout import Layout

NO_ESCAPES: Final = np.zeros(0, np.uint32)
NO_VALUES: Final = np.zeros(0, np.uint16)
#: Up to so many elements the kernel for any layout will do: it takes some microseconds more, but compiling the one for
#: a layout that only small tensors have takes half a second.
_PLAIN: Final = 1 << 12


@dataclass(slots=True)
class Pieces:
    """The planes of a whole span, without drops: plane k is data[starts[k]:starts[k + 1]]; and its escapes.

    ``data`` is working space of the thread: the next plan overwrites it.
    """

    data: Bytes
    starts: list[int]
    at: NDArray[np.uint32]
    values: NDArray[np.uint16]


def step_of(elements: int, tile: int, most: int) -> tuple[int, int]:
    """(take every so-manieth tile, elements in those): whole tiles only, or all there is in steps of 1."""
    step, tiles = max(1, elements // most), elements // tile
    if step == 1 or tiles < 2:
        return 1, elements
    return step, -(-tiles // step) * tile


def sampled(x: NDArray[np.unsignedinteger], tile: int, step: int, size: int) -> NDArray[np.unsignedinteger]:
    """Every so-manieth tile, ``size`` elements together."""
    if size == x.size:
        return x
    tiles = x.size // tile
    out: NDArray[np.unsignedinteger] = working("gather", size * x.itemsize)[: size * x.itemsize].view(x.dtype)
    np.copyto(out.reshape(-1, tile), x[: tiles * tile].reshape(tiles, tile)[::step])
    return out


def split(
    layout: Layout, span: int, x: NDArray[np.unsignedinteger], drops: Bytes, out: Bytes, room: int
) -> Pieces | None:
    """Planes of some elements, and their escapes; None if there are more than ``room``. ``out`` is working space.

    The escapes, too, are in working space, until the next split. Whole bytes need no kernel: numpy copies them, and
    nothing has to be compiled.
    """
    planes, tile, starts = layout.planes, layout.tile, [0]
    for k, p in enumerate(planes):
        if drops.size:
            starts.append(starts[-1] + plane_geometry(x.size, tile, p.width, drops <= k).size)
        else:
            starts.append(starts[-1] + plane_bytes(x.size, tile, p.width))
    if layout.fold is None and not drops.size and all(p.width == 8 and p.shift % 8 == 0 for p in planes):
        rows = x.view(np.uint8).reshape(-1, layout.width)
        for p, a, b in zip(planes, starts, starts[1:], strict=False):
            out[a:b] = rows[:, p.shift // 8]
        return Pieces(out, starts, NO_ESCAPES, NO_VALUES)
    at = working("escapes", 4 * room)[: 4 * room].view(np.uint32)
    values = working("values", 2 * room)[: 2 * room].view(np.uint16)
    widths = tuple([p.width for p in planes])
    places = np.array([[p.shift for p in planes], widths, starts[:-1]], np.int64)
    fold = 8 * layout.width - 1 if layout.fold is None else layout.fold
    ints = plane_kernel.numbers(tile, fold, layout.window or 0, span, layout.constant)
    kernel = plane_kernel.kernels_for(widths if x.size > _PLAIN else ()).split
    found = kernel(read_only(x), ints, drops, places, out, working("spare", tile), at, values)
    return None if found < 0 else Pieces(out, starts, at[:found], values[:found])


def room_for(layout: Layout, elements: int) -> int:
    """Bytes that the planes of so many elements can take."""
    tiles = -(-elements // layout.tile)
    return sum(elements * p.width // 8 + tiles for p in layout.planes) + 64
