"""Transform 10: the few elements that are not zero, and runs of zeros before each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from codec.kernels import runs as kernel
from codec.limits import CHUNK_BYTES_MAX
from codec.stages.geometry import Bytes, read_only
from codec.stages.numbers import at_least_one
from codec.wire import Cursor, varint

RUNS: Final = 10
#: What stands in for the width of elements that are bits.
OF_BITS: Final = 4


@dataclass(frozen=True, slots=True)
class Runs:
    """``others`` elements that are not zero, of 2^``code`` bytes (OF_BITS: bits, one each), behind runs of zeros that
    ``numbers`` numbers say, each of 2 bytes if ``long``, else of 1.
    """

    code: int
    long: bool
    numbers: int
    others: int
    number = RUNS

    @property
    def raw(self) -> bytes:
        """See codec.stages.transforms.Transform."""
        return bytes((self.code | self.long << 3,)) + varint(self.numbers) + varint(self.others)

    def parts(self, length: int) -> list[int]:
        """See codec.stages.transforms.Transform."""
        bits = self.code == OF_BITS
        if not bits and length & ((1 << self.code) - 1):
            raise ValueError(f"{length} bytes are no whole elements of {1 << self.code}")
        count, size = 8 * length if bits else length >> self.code, self.numbers << self.long
        if size > CHUNK_BYTES_MAX:
            raise ValueError(f"numbers of {size} bytes, more than {CHUNK_BYTES_MAX}")
        if self.others > min(count, self.numbers):
            raise ValueError(f"{self.others} elements of {count}, for which there are {self.numbers} numbers")
        return [size] if bits else [size, self.others << self.code]

    def make(self, parts: list[Bytes], out: Bytes) -> None:
        """See codec.stages.transforms.Transform."""
        numbers = read_only(parts[0]).view(np.uint16) if self.long else parts[0].astype(np.uint16)
        bits = self.code == OF_BITS
        values = np.zeros(self.others, np.uint8) if bits else parts[1]
        found = kernel.spread(
            read_only(numbers), top_of(self.long), read_only(values), 0 if bits else 1 << self.code, out
        )
        if found < 0:
            raise ValueError("numbers do not fit the elements" if found == -1 else "one of the others is zero")


def top_of(long: bool) -> int:
    """The largest number of 1 byte, or of 2: zeros without an element behind them."""
    return 65_535 if long else 255


def numbers_of(places: NDArray[np.int64], long: bool) -> NDArray[Any]:
    """The numbers for elements that are not zero at these ascending places.

    >>> numbers_of(np.array([0, 3, 600]), False).tolist()
    [0, 2, 255, 255, 86]
    """
    top, zeros = top_of(long), np.diff(places, prepend=-1) - 1
    far = np.flatnonzero(zeros >= top)  # few: a division takes longer than all else
    if not far.size:
        return zeros.astype(np.uint16 if long else np.uint8)
    tops = np.zeros(places.size, np.int64)
    tops[far] = zeros[far] // top
    found = np.full(places.size + int(tops.sum()), top, np.uint16 if long else np.uint8)
    found[np.cumsum(tops + 1) - 1] = zeros - top * tops
    return found


def read(c: Cursor) -> Runs:
    """The parameters. Raises CorruptFileError for what breaks a rule."""
    how = c.u8()
    if how > 15 or how & 7 > OF_BITS:
        raise c.bad(f"runs written as {how}")
    return Runs(how & 7, how > 7, at_least_one(c, CHUNK_BYTES_MAX), at_least_one(c, CHUNK_BYTES_MAX))
