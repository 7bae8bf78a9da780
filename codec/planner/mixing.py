"""Parameters of stage 8 for a plane: found by coding the beginning of it in some ways."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from codec.kernels import mixing as kernel
from codec.kernels.tables import POINT, entropy
from codec.stages.geometry import Bytes, read_only, working
from codec.stages.mixing import Parameters, encode

#: Smaller planes are left alone.
LEAST: Final = 128
#: Bytes that are coded to compare parameters, and how many thousandths of their entropy of order 0 they may take at
#: most, turned upside down: normal random numbers take 1.007 of it, and what pays in a long plane 1.006 or less.
_SAMPLE: Final = 16384
_SLACK: Final = 994
_RATES: Final = (6, 14)
#: Where no shape tells, distances are looked for among so many, and rows among so many; so many elements are compared.
_FAR: Final = 1 << 18
_ROW: Final = 1 << 13
_SAMPLES: Final = 512
#: And so many bytes are coded behind the farthest, to see whether it helps.
_REST: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known of a plane: which framings are worth a try, whether its numbers may be signed, and distances of
    elements that may be alike, from near to far (none: to be found).
    """

    framings: tuple[int, ...]
    signed: bool
    distances: tuple[int, ...]


def distances(shape: tuple[int, ...], elements: int) -> tuple[int, ...]:
    """Elements between those that differ by 1 in one dimension but the last: up to four, from near to far.

    >>> distances((64, 32, 3, 3), 64 * 288), distances((384,), 384)
    ((3, 9, 288), ())
    """
    found, step = [], 1
    for d in reversed(shape[1:]):
        step *= d
        if 1 < step < min(elements, kernel.ROW_MAX + 1) and step not in found:
            found.append(step)
    return tuple(found[:2] + found[2:][-2:])


def choose(plane: Bytes, hints: Hints) -> Parameters | None:
    """The best parameters for a plane, or None if the beginning takes about as much as its entropy of order 0 says."""
    sample = plane[:_SAMPLE]
    how: Parameters | None = None
    size, steps = 0, hints.distances
    for framing in hints.framings:
        if framing or _varied(sample):
            its_steps = hints.distances or _look(plane, framing)
            its = _start(sample, framing, hints.signed, its_steps[0] if its_steps else 1)
            tried = _size(sample, its)
            if how is None or tried < size:
                how, size, steps = its, tried, its_steps
    bits = int(entropy(np.bincount(sample, minlength=256)))
    if how is None or size * 8 * _SLACK << POINT > bits * 1000 or size * 1000 > sample.size * 998:
        return None
    return _refine(plane, sample, how, size, steps)[0]


def _varied(sample: Bytes) -> bool:
    """Whether some bytes go on and most do not, as in LEB128."""
    on = int(np.count_nonzero(sample & 128))
    return sample.size < 50 * on < 30 * sample.size


def _start(sample: Bytes, framing: int, signed: bool, step: int) -> Parameters:
    signed = signed or not framing
    centre = _centre(sample, framing) if signed and framing else 0
    return Parameters(framing, signed, centre, _RATES[0], min(step, kernel.ROW_MAX), 2 * step)


def _refine(plane: Bytes, sample: Bytes, how: Parameters, size: int, steps: tuple[int, ...]) -> tuple[Parameters, int]:
    """Try other distances, then another rate, and levels instead of signed numbers."""
    if steps:
        other = max(steps[0], steps[-1])
        rows = [s for s in steps if s <= kernel.ROW_MAX]
        how, size = _least(
            sample, [replace(how, row=r, far=other if other != r else steps[0]) for r in rows], how, size
        )
        fars = [replace(how, far=far) for far in (1, 2 * how.row, *steps) if far not in (how.far, how.row)]
        reach = max(f.far for f in (how, *fars)) * max(how.framing, 1)
        if 2 * reach > sample.size < plane.size:  # a far one helps only in what lies behind it
            part = plane[: reach + _REST]
            found, _ = _least(part, [how, *fars])
            if found != how:
                how, size = found, _size(sample, found)
        else:
            how, size = _least(sample, fars, how, size)
    tries = [replace(how, rate=_RATES[1])]
    if how.framing == 1 and how.signed:
        tries.append(replace(how, signed=False, centre=0))
    return _least(sample, tries, how, size)


def _least(
    sample: Bytes, tries: list[Parameters], how: Parameters | None = None, size: int = -1
) -> tuple[Parameters, int]:
    """The parameters that take the fewest bytes, of those tried and of ``how``, which takes ``size``."""
    for other in tries:
        its = _size(sample, other)
        if how is None or its < size:
            how, size = other, its
    assert how is not None
    return how, size


def _size(sample: Bytes, how: Parameters) -> int:
    payload = encode(sample, how, sample.size)
    return sample.size if payload is None else len(payload)


def _centre(sample: Bytes, framing: int) -> int:
    """The most frequent byte; of longer elements 0, or 128 if that is nearer to their last bytes."""
    usual = int(np.bincount(sample[framing - 1 :: framing], minlength=256).argmax())
    return usual if framing == 1 else 128 if 64 <= usual < 192 else 0


def _look(plane: Bytes, framing: int) -> tuple[int, ...]:
    """Distances that may be a row, where elements differ little, and a far one, from near to far."""
    values = working("mixing elements", 2 * plane.size)[: 2 * plane.size].view(np.int16)
    count = kernel.elements(read_only(plane), framing, values)
    most = min(int(count) // 2, _FAR)
    if most < 2:
        return ()
    scores = working("mixing scores", 4 * most)[: 4 * most].view(np.int32)
    kernel.differences(values[:count], 8 * _SAMPLES, scores[: min(_ROW, most)])
    near = np.argsort(scores[: min(_ROW, most)], kind="stable")[:2] + 1
    near = np.unique([*near, max(1, int(near[0]) // 2)])
    kernel.differences(values[:count], _SAMPLES, scores)
    far = int(scores.argmin()) + 1
    if int(scores[far - 1]) * most * 4 > int(scores.sum(dtype=np.int64)) * 3:  # the least of so many, by chance
        far = 2 * int(near[-1])
    return tuple(dict.fromkeys([*near.tolist(), far]))
