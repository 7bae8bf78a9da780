"""What every source hands to the encoder: byte ranges of the original, in order, and what they hold.

>>> embedding = Segment(128, 640, "wte.weight", "BF16", (4, 64))
>>> embedding.size, embedding.is_tensor, Segment(0, 128).is_tensor
(512, True, False)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: ``peek(n)`` is the first ``n`` bytes of the original; fewer only if the original ends before.
#: It may be called several times, with any ``n``, and does not consume anything.
Peek = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Segment:
    """A byte range [start, stop) of the original, and what is known of it.

    ``name`` is the tensor's name, "" for bytes that belong to no tensor (and for a tensor whose name is
    empty, which safetensors allows: ask ``is_tensor``, not ``name``). ``dtype`` is a name of
    :data:`codec.dtypes.DTYPES`, "" for opaque bytes. ``shape`` counts elements, slowest dimension first;
    () is both the shape of a scalar and that of an opaque segment.
    """

    start: int
    stop: int
    name: str = ""
    dtype: str = ""
    shape: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Bytes in the range; 0 for a tensor without elements."""
        return self.stop - self.start

    @property
    def is_tensor(self) -> bool:
        """Whether the bytes are the elements of a tensor of a known type."""
        return self.dtype != ""
