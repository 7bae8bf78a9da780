"""Numbers on the wire: varints, and a cursor that cannot read past its end (FORMAT.md, "Conventions").

>>> varint(300).hex()
'ac02'
>>> Cursor(bytes.fromhex("ac0207"), "demo").varint()
300
"""

from __future__ import annotations

from typing import Final

from codec.errors import CorruptFileError

VARINT_BYTES_MAX: Final = 10


#: The spelling of small numbers, which most are.
_SMALL: Final = tuple(bytes((k,)) for k in range(128))


def varint(value: int) -> bytes:
    """Unsigned LEB128, shortest spelling."""
    if 0 <= value < 128:
        return _SMALL[value]
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value: str) -> bytes:
    """UTF-8 behind its length."""
    raw = value.encode("utf-8", "strict")
    return varint(len(raw)) + raw


class Cursor:
    """Reads fields from a buffer, front to back. Every read checks the end first.

    Raises CorruptFileError naming ``what`` and the offset when a field does not fit or is misspelt.
    """

    __slots__ = ("at", "data", "end", "what")

    def __init__(self, data: bytes | memoryview, what: str, at: int = 0) -> None:
        self.data, self.what, self.at, self.end = data, what, at, len(data)

    def bad(self, why: str) -> CorruptFileError:
        """The error to raise: where the cursor stands, and why."""
        return CorruptFileError(f"{self.what}: at byte {self.at}: {why}")

    def skip(self, size: int) -> int:
        """Move over ``size`` bytes; where they begin."""
        at = self.at
        if size < 0 or size > self.end - at:
            raise self.bad(f"needs {size} bytes, only {self.end - at} are left")
        self.at = at + size
        return at

    def take(self, size: int) -> bytes | memoryview:
        """The next ``size`` bytes."""
        at = self.skip(size)
        return self.data[at : at + size]

    def u8(self) -> int:
        """The next byte."""
        return self.data[self.skip(1)]

    def u32(self) -> int:
        """The next four bytes, as a number."""
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        """The next eight bytes, as a number."""
        return int.from_bytes(self.take(8), "little")

    def varint(self, most: int = (1 << 64) - 1) -> int:
        """An unsigned LEB128 that is at most ``most``."""
        data, at = self.data, self.at
        try:  # most are of one to three bytes, and an index has thousands
            value = data[at]
            if value < 128:
                if value <= most:
                    self.at = at + 1
                    return value
            elif (second := data[at + 1]) < 128:
                value += (second << 7) - 128
                if second and value <= most:
                    self.at = at + 2
                    return value
            elif 0 < (third := data[at + 2]) < 128:
                value += (second << 7) + (third << 14) - (128 + (128 << 7))
                if value <= most:
                    self.at = at + 3
                    return value
        except IndexError:
            pass
        value = shift = 0
        for at in range(self.at, min(self.end, self.at + VARINT_BYTES_MAX)):
            byte = data[at]
            value |= (byte & 127) << shift
            if byte < 128:
                self.at = at + 1
                if byte == 0 and shift:
                    raise self.bad("varint has a needless last byte")
                if value > most:
                    raise self.bad(f"number {value} is more than {most}")
                return value
            shift += 7
        if self.end - self.at < VARINT_BYTES_MAX:
            self.at = self.end
            raise self.bad("needs 1 bytes, only 0 are left")
        raise self.bad(f"varint is longer than {VARINT_BYTES_MAX} bytes")

    def text(self, most: int) -> str:
        """UTF-8 behind its length, which is at most ``most`` bytes."""
        size = self.varint(most)
        try:
            return bytes(self.take(size)).decode("utf-8", "strict")
        except UnicodeDecodeError:
            raise self.bad("text is not UTF-8") from None

    def done(self) -> None:
        """The buffer must end here."""
        if self.at != self.end:
            raise self.bad(f"{self.end - self.at} bytes too many")
