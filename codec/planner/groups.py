"""Groups of tiles: which tiles of a plane share a table (codec.kernels.groups says how they are found)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_BYTE: Final = np.arange(256, dtype=np.int64)

#: The ways to describe a tile, by a sum of weights (int64[256]): the byte itself; its distance from 0 as a signed
#: number; its distance from 128; it without its top bit (the magnitude of an 8-bit float).
WEIGHTS: Final[tuple[NDArray[np.int64], ...]] = (
    _BYTE,
    np.minimum(_BYTE, 256 - _BYTE),
    np.abs(_BYTE - 128),
    _BYTE & 127,
)
#: Weights that are of a plane's own.
OWN: Final = len(WEIGHTS)
#: All of them, as kernels take them: those of a plane's own are to be put into the last row.
TABLE: Final = np.stack((*WEIGHTS, np.zeros(256, np.int64)))


@dataclass(frozen=True, slots=True)
class Groups:
    """A rule that puts tiles into groups: sum of ``WEIGHTS[weights]`` against ascending limits.

    ``weights`` of -1 - b are the distances from byte b, round the circle; of OWN, those of this plane (``own``). The
    first group is number ``least``.
    """

    weights: int
    limits: NDArray[np.int64]
    least: int = 0
    own: NDArray[np.int64] | None = None
