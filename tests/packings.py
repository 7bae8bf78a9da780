"""Any parameters of transform 9."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st

from codec.stages.codes import Codes, Held


@st.composite
def packings(draw: st.DrawFn, words: bool = True) -> Codes:
    """Any parameters that are valid: parts of bytes, and parts of codes in one to five fields, in any order.

    ``words``: codes may be in words of several bytes.
    """
    unplaced: list[tuple[int, Held]] = []
    parts = draw(st.integers(1, 4))
    for number in range(parts):
        widths = draw(
            st.sampled_from([[8], [4], [1], [2, 4], [1, 4], [2, 1], [4, 4], [1, 2, 1], [2, 2, 1, 1, 2], [1, 1]])
        )
        count = 8 * draw(st.integers(1, 6)) * draw(st.sampled_from([1, 1, 8]))
        shift = 0
        for bits in widths:
            size = count * bits // 8
            word = (
                1 if bits == 8 or not words else draw(st.sampled_from([k for k in (1, 1, 1, 2, 4, 8) if size % k == 0]))
            )
            runs = [k for k in range(1, size // word + 1) if size % (k * word) == 0]
            run = 1 if bits == 8 else draw(st.sampled_from(runs))
            unplaced.append((number, Held(size, number, bits, shift if bits < 8 else 0, run, word)))
            shift += bits
    order = [field for _, field in draw(st.permutations(unplaced))]
    numbers = {part: k for k, part in enumerate(dict.fromkeys(field.part for field in order))}
    fields = tuple(field._replace(part=numbers[field.part]) for field in order)
    assume(1 <= len(fields) <= 16 and any(field.bits < 8 for field in fields))
    return Codes(fields)
