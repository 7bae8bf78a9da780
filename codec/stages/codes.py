"""Transform 9: blocks of fields in which codes are packed, of which several fields may have bits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np

from codec.kernels import codes as kernel
from codec.limits import CHUNK_BYTES_MAX, FIELD_BYTES_MAX, FIELDS_MAX
from codec.stages.geometry import Bytes, read_only
from codec.wire import Cursor, varint

CODES: Final = 9


class Held(NamedTuple):
    """A field: its bytes, the number of its part, and which bits of a code it has, from ``shift`` on.

    With 8 bits it is bytes, as they are; otherwise see codec.kernels.codes about ``run``, which counts words of so many
    bytes (``word``: 1, 2, 4 or 8).
    """

    size: int
    part: int
    bits: int = 8
    shift: int = 0
    run: int = 1
    word: int = 1

    @property
    def codes(self) -> int:
        """Of how many codes it has bits."""
        return self.size * 8 // self.bits


@dataclass(frozen=True, slots=True)
class Codes:
    """Blocks of ``fields``, which are as ``read`` lets them pass."""

    fields: tuple[Held, ...]
    number = CODES

    @property
    def raw(self) -> bytes:
        """See Transform."""
        out = [bytes((len(self.fields),))]
        for size, part, bits, shift, run, word in self.fields:
            out += [varint(size), bytes((part | bits.bit_length() - 1 << 4 | (word > 1) << 6,))]
            out += [bytes((shift,)), varint(run)] if bits < 8 else []
            out += [bytes((word,))] if word > 1 else []
        return b"".join(out)

    @property
    def block(self) -> int:
        """Bytes of a block."""
        return sum(field.size for field in self.fields)

    @property
    def codes(self) -> list[int]:
        """Codes of a block in each part."""
        found = {field.part: field.codes for field in self.fields}
        return [found[part] for part in range(len(found))]

    def parts(self, length: int) -> list[int]:
        """See Transform."""
        blocks, rest = divmod(length, self.block)
        if rest:
            raise ValueError(f"{length} bytes are no whole blocks of {self.block}")
        sizes = [blocks * count for count in self.codes]
        if max(sizes) > CHUNK_BYTES_MAX:
            raise ValueError(f"a part of {max(sizes)} codes, more than {CHUNK_BYTES_MAX}")
        return sizes

    def make(self, parts: list[Bytes], out: Bytes) -> None:
        """See Transform."""
        for number, part in enumerate(parts):
            held = sum((1 << f.bits) - 1 << f.shift for f in self.fields if f.part == number)
            if held < 255 and (found := int(kernel.every(read_only(part)))) & ~held:
                raise ValueError(f"codes of part {number} have bits {found:#04x}, its fields {held:#04x}")
        for offset, (size, number, bits, shift, run, word) in self.placed():
            codes = read_only(parts[number])
            if word == 1:
                kernel.pack(codes, offset, size, self.block, bits, shift, run, out)
            else:
                turned = np.empty(out.size // self.block * size, np.uint8)
                kernel.pack(codes, 0, size, size, bits, shift, run, turned)
                words = turned.reshape(-1, word, run).swapaxes(1, 2).reshape(-1, size)
                out.reshape(-1, self.block)[:, offset : offset + size] = words

    def split(self, data: Bytes, parts: list[Bytes]) -> None:
        """The inverse of ``make``: fill the parts, which are zeros."""
        for offset, (size, number, bits, shift, run, word) in self.placed():
            if word == 1:
                kernel.unpack(data, offset, size, self.block, bits, shift, run, parts[number])
            else:
                words = data.reshape(-1, self.block)[:, offset : offset + size].reshape(-1, run, word)
                turned = np.ascontiguousarray(words.swapaxes(1, 2)).reshape(-1)
                kernel.unpack(read_only(turned), 0, size, size, bits, shift, run, parts[number])

    def placed(self) -> list[tuple[int, Held]]:
        """(offset in the block, field) of each field."""
        return list(zip(accumulate((field.size for field in self.fields), initial=0), self.fields, strict=False))


def read(c: Cursor) -> Codes:
    """The parameters. Raises CorruptFileError for what breaks a rule."""
    count = c.u8()
    if not 1 <= count <= FIELDS_MAX:
        raise c.bad(f"{count} fields, expected 1 to {FIELDS_MAX}")
    fields: list[Held] = []
    bits_of: list[int] = []  # of each part, those that its fields have so far
    for _ in range(count):
        field = _read_field(c)
        if field.part == len(bits_of):
            bits_of.append(0)
        elif field.part > len(bits_of):
            raise c.bad(f"part {field.part} comes before part {len(bits_of)}")
        bits = (1 << field.bits) - 1 << field.shift
        if bits_of[field.part] & bits:
            raise c.bad(f"two fields have the same bits of part {field.part}")
        if any(f.codes != field.codes for f in fields if f.part == field.part):
            raise c.bad(f"fields of part {field.part} have unequally many codes")
        bits_of[field.part] |= bits
        fields.append(field)
    if any(bits & (bits + 1) for bits in bits_of):
        raise c.bad("a part has codes that lack a bit")
    if all(field.bits == 8 for field in fields):
        raise c.bad("no codes are packed: these are fields of transform 1")
    return Codes(tuple(fields))


def _read_field(c: Cursor) -> Held:
    size, place = c.varint(FIELD_BYTES_MAX), c.u8()
    if not size:
        raise c.bad("a field without bytes")
    part, bits, words = place & 15, 1 << (place >> 4 & 3), place >> 6
    if words > (bits < 8):
        raise c.bad(f"bits {words} above the width of codes")
    if bits == 8:
        return Held(size, part)
    shift, run = c.u8(), c.varint(size)
    word = c.u8() if words else 1
    if words and word not in (2, 4, 8):
        raise c.bad(f"words of {word} bytes")
    if shift + bits > 8:
        raise c.bad(f"{bits} bits from bit {shift} of a code on")
    if not run or size % (run * word):
        raise c.bad(f"a field of {size} bytes in runs of {run} words of {word}")
    return Held(size, part, bits, shift, run, word)
