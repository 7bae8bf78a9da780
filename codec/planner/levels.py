"""What the levels mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Level:
    """One level. All of them write the same format.

    ``mantissa``: how many mantissa bits may go into the symbol, by exponent bits. ``huffman``: Huffman
    instead of rANS. ``tables``: at most so many for a plane. ``sample``: elements to look at in a span.
    ``entropy_below``: a plane is worth coding if its order-0 entropy is below so many thousandths of its
    size. ``zstd``: level where zstd pays; ``zstd_small``: for planes up to ``zstd_always`` bytes, where it
    is always tried; ``lzma``: LZMA is tried, too, for bytes that are no floats. ``probe``: look for what zstd gains in
    all planes of floats, not only where symbols repeat; ``mixing``: stage 8 is tried for all planes that are worth it;
    ``columns``: stage 7 is tried for integers, and for floats whose rows and columns differ in scale.
    """

    name: str
    mantissa: dict[int, tuple[int, ...]]
    huffman: bool = False
    tables: int = 16
    sample: int = 1 << 18
    entropy_below: int = 994
    zstd: int = 3
    zstd_small: int = 19
    zstd_always: int = 1 << 13
    probe: bool = False
    lzma: bool = False
    mixing: bool = False
    columns: bool = True


#: By exponent bits: 5 fp16, 8 bf16 and fp32, 11 fp64. Choices without a vector layout
#: (codec.kernels.planes) are left out below max.
LEVELS: Final = {
    level.name: level
    for level in (
        Level("fast", {5: (3,), 8: (0,), 11: (3,)}, huffman=True, tables=2, entropy_below=980, zstd_small=3,
              columns=False),
        Level("default", {5: (1, 2, 3), 8: (0, 2), 11: (0, 3)}),
        Level("max", {5: (0, 1, 2, 3), 8: (0, 1, 2, 3), 11: (0, 1, 2, 3)}, sample=1 << 62, entropy_below=1000, zstd=19,
              zstd_always=1 << 20, probe=True, lzma=True, mixing=True),
    )
}  # fmt: skip


def level_of(name: str) -> Level:
    """The level of that name. Raises ValueError for another."""
    if name not in LEVELS:
        raise ValueError(f"level {name!r}: expected one of {', '.join(LEVELS)}")
    return LEVELS[name]
