"""Whether integers are packed codes: what lies at all places of an element is then alike."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from codec.kernels.tables import POINT, entropy
from codec.stages.geometry import Bytes

#: Of so many places of the data, so many bytes are looked at.
_PLACES: Final = 4
_HALVES, _BYTES = 1 << 12, 1 << 14
#: What is alike takes by one distribution so many thousandths of what it takes by one of each place, at most: half
#: bytes of weights that were rounded by themselves take 1.04 or more, and halves of NF4's codes 1.005. The more values
#: there are, the less a sample says of them.
_ALIKE, _ALIKE_BITS = 1010, 1004
#: Of the bits that they have, noise takes more thousandths than so many.
_NOISE: Final = 995


def _sample(data: Bytes, width: int, each: int) -> NDArray[Any]:
    """Some whole elements of ``width`` bytes, a row each."""
    if data.size <= _PLACES * each:
        return data[: data.size // width * width].reshape(-1, width)
    starts = (k * (data.size - each) // (_PLACES - 1) // width * width for k in range(_PLACES))
    return np.concatenate([data[at : at + each] for at in starts]).reshape(-1, width)


def _alike(counts: NDArray[np.int64]) -> bool:
    """Whether those of a row are distributed as those of all, and are neither noise nor all one value."""
    apart, together = sum(int(entropy(row)) for row in counts), int(entropy(counts.sum(axis=0)))
    noise = int(counts.sum()) * (counts.shape[1].bit_length() - 1) << POINT
    most = _ALIKE if counts.shape[1] >= 16 else _ALIKE_BITS
    return together * 1000 <= apart * most and 0 < together and together * 1000 <= noise * _NOISE


def _counts(codes: NDArray[np.uint8], bits: int) -> NDArray[np.int64]:
    """How often each code of so many bits is at each place of an element, int64[places, 2^bits]; of uint8[n, width]."""
    mask = np.uint8((1 << bits) - 1)
    places = [column >> np.uint8(shift) & mask for column in codes.T for shift in range(0, 8, bits)]
    return np.stack([np.bincount(place, minlength=1 << bits) for place in places]).astype(np.int64)


def code_bits(data: Bytes, width: int) -> tuple[int, ...]:
    """How many bits a code may have, of 4, 2 and 1, if elements of ``width`` bytes are packed codes: none if not.

    Halves of codes are not alike, but the bits of ternary ones may be.
    """
    sample = _sample(data, width, _HALVES)
    if not sample.size or not _alike(_counts(sample, 4)):
        return ()
    if not _alike(_counts(sample, 2)):
        return (4,)
    return (2, 1) if _alike(_counts(sample, 1)) else (2,)


def bytes_alike(data: Bytes, width: int) -> bool:
    """Whether the bytes of integers of ``width`` had better have one table of all than one for each place."""
    sample = _sample(data, width, _BYTES)
    return sample.size > 0 and _alike(_counts(sample, 8))
