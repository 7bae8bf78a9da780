"""An independent decoder of .weft files, written from FORMAT.md and stages/*.md and from nothing else.

It is the document over again, in the document's order, as a program: slow, simple, and with every rule that binds a
file checked where the document states it. Read it beside the document, or use it to judge another decoder.
It needs Python 3.11 or later, `zstandard` for Zstandard frames and `xxhash` for XXH3-64, and shares no code
with the codec it describes.

    decode(data)           the original, read front to back (section 10)
    decode_by_index(data)  the original, read by way of trailer and index (sections 7 and 8)
    tensors(data)          (name, dtype, shape, begin, end) of each tensor, from the index

Each either succeeds or raises a FormatError, whatever the bytes. From a shell:

    python reference_decoder.py FILE.weft [OUT]
"""

from __future__ import annotations

import hashlib
import lzma
import math
import struct
import sys
from collections.abc import Callable
from functools import wraps
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import xxhash
import zstandard

# ruff: noqa: N818 - errors have the document's names

Result = TypeVar("Result")

# ---- 1. What a file is ------------------------------------------------------------------------------------------

MAX_SPAN = 8_388_608  # original bytes
MAX_CHUNK = 524_288  # original bytes, without tail bytes


# ---- 1. Conventions ---------------------------------------------------------------------------------------------


def hash64(data: bytes | bytearray) -> int:
    return int(xxhash.xxh3_64_intdigest(data, seed=0))


class Cursor:
    """Takes one field after the other from the front of some bytes; `short` is the error for running out of them."""

    def __init__(self, data: bytes, at: int = 0, short: type[FormatError] | None = None) -> None:
        self.data, self.at, self.short = data, at, short or Corrupt

    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        if count > self.left():
            raise self.short(f"{count} bytes expected at {self.at}, {self.left()} left")
        self.at += count
        return self.data[self.at - count : self.at]

    def integer(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def varint(self) -> int:
        value = 0
        for place in range(10):
            byte = self.integer(1)
            value |= (byte & 127) << 7 * place
            if byte < 128:
                check(byte != 0 or place == 0, "a varint is longer than it need be")
                check(value < 2**64, "a varint is 2^64 or more")
                return value
        raise Corrupt("a varint has more than 10 bytes")

    def text(self) -> str:
        length = self.varint()
        check(length <= 65_536, f"a text of {length} bytes")
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise Corrupt("a text is not UTF-8") from None

    def end(self) -> None:
        check(self.left() == 0, f"{self.left()} bytes too many")


class Bits:
    """Takes bits from a cursor, the low bit of each byte first."""

    def __init__(self, source: Cursor) -> None:
        self.source, self.byte, self.count = source, 0, 0

    def bit(self) -> int:
        if self.count == 0:
            self.byte, self.count = self.source.integer(1), 8
        bit = self.byte & 1
        self.byte >>= 1
        self.count -= 1
        return bit

    def low_first(self, count: int) -> int:
        return sum(self.bit() << i for i in range(count))

    def high_first(self, count: int) -> int:
        return sum(self.bit() << i for i in reversed(range(count)))

    def pad(self) -> None:
        check(self.byte == 0, "padding bits are not 0")
        self.count = 0


# ---- 1. Errors --------------------------------------------------------------------------------------------------


class FormatError(Exception):
    """The bytes are not a file that this decoder can decode."""


class NotWeft(FormatError): ...


class Truncated(FormatError): ...


class Unsupported(FormatError): ...


class Corrupt(FormatError): ...


class LimitExceeded(FormatError): ...


def check(rule: bool, otherwise: str) -> None:
    """Report a corrupt file where a rule that binds writers is broken."""
    if not rule:
        raise Corrupt(otherwise)


def known(number: int, numbers: Any, what: str) -> int:
    """Report a file as unsupported where a number has no meaning yet."""
    if number not in numbers:
        raise Unsupported(f"{what} {number}")
    return number


def within_memory(read: Callable[[bytes], Result]) -> Callable[[bytes], Result]:
    """A reader that reports what there is no memory for."""

    @wraps(read)
    def reader(data: bytes) -> Result:
        try:
            return read(data)
        except MemoryError:
            raise LimitExceeded("more than there is memory for") from None

    return reader


# ---- 2. Header --------------------------------------------------------------------------------------------------

MAGIC = bytes.fromhex("89 57 45 46 54 0D 0A 1A")


def read_header(file: Cursor) -> bool:
    """Whether the file may hold copies and deltas."""
    if not file.data or file.data[:8] != MAGIC[: len(file.data)]:
        raise NotWeft("the file does not begin with the magic of a weft file")
    file.take(8)
    major = known(file.integer(1), range(2), "format version")
    file.integer(1)  # minor: any
    flags = file.integer(2)
    check(file.integer(4) == hash64(file.data[:12]) % 2**32, "the check of the header does not match")
    check(major == 1, "format version 0")
    return known(flags, [0, 1], "header flags") == 1


# ---- 3. Records -------------------------------------------------------------------------------------------------

SPAN, CHUNK, INDEX = 1, 2, 3
LENT = (18, 20, 21, 22, 23)  # stages of planes that lend bytes to states
MAX_BODY = {SPAN: 655_360, CHUNK: 655_360, INDEX: 2**28}


def read_record(file: Cursor) -> tuple[int, Cursor]:
    """Kind and body of the record at the cursor."""
    start = file.at
    kind = known(file.integer(1), MAX_BODY, "record kind")
    length = file.integer(4)
    check(length <= MAX_BODY[kind], f"a record of kind {kind} with {length} bytes")
    body = file.take(length)
    check(hash64(file.data[start : file.at]) == file.integer(8), f"the check of the record at {start} does not match")
    return kind, Cursor(body)


# ---- 4. Span record ---------------------------------------------------------------------------------------------


class Plane(NamedTuple):
    shift: int
    bits: int
    stage: int  # of its tables
    tables: list[Any]
    columns: list[int]  # stages/7_columns.md


class Span(NamedTuple):
    length: int
    width: int  # bytes in an element
    fold: int | None
    window: int
    constant: int
    drops: bool
    escapes: bool
    tile: int
    chunk: int
    planes: list[Plane]
    elements: int
    tail: int
    chunks: int
    made: "Made | None" = None  # section 4a


def read_span(body: Cursor) -> Span:
    """The body of a span record, without that of its only chunk."""
    length = body.varint()
    check(1 <= length <= MAX_SPAN, f"a span of {length} bytes")
    known(body.integer(1), [0, *DTYPES], "element type")
    layout = body.integer(1)
    if layout >= 128:
        return read_made_span(body, length, layout - 128)
    width = 1 << (layout & 3)
    has_fold, has_window, has_constant, drops, escapes = (bool(layout >> bit & 1) for bit in (2, 3, 4, 5, 6))
    fold = body.integer(1) if has_fold else None
    check(fold is None or fold < 8 * width, f"fold {fold}")
    window = body.varint() if has_window else 0
    check(window < 2**16, f"window {window}")
    constant = body.integer(width) if has_constant else 0
    elements, tail = divmod(length, width)
    tile = body.varint()
    check(max(1, min(8, elements)) <= tile <= 16_384, f"tiles of {tile} elements")
    chunk = body.varint()
    check(chunk > 0 and chunk % tile == 0 and chunk * width <= MAX_CHUNK, f"chunks of {chunk} elements")
    count = body.integer(1)
    check(count <= 64, f"{count} planes")
    check(count > 0 or not (has_window or escapes), "a window or escapes without planes")
    planes: list[Plane] = []
    for number in range(count):
        windowed = has_window and number == count - 1
        planes.append(read_plane(body, planes, 8 * width, windowed))
        if planes[-1].stage == 7:
            check_columns(planes[-1], tile, chunk, elements, drops)
    return Span(
        length, width, fold, window, constant, drops, escapes, tile, chunk, planes,
        elements, tail, max(1, math.ceil(elements / chunk)),
    )  # fmt: skip


def read_plane(body: Cursor, before: list[Plane], bits_of_element: int, windowed: bool) -> Plane:
    place = body.integer(1)
    shift, bits = place & 63, 1 << (place >> 6)
    check(shift < bits_of_element, f"a plane at bit {shift}")
    check(not before or before[-1].shift + before[-1].bits <= shift, "planes overlap or are out of order")
    check(bits == 8 if windowed else shift + bits <= bits_of_element, f"a plane of {bits} bits at bit {shift}")
    described = body.integer(1)
    count, stage = described & 31, described >> 5
    check(count <= 16 and count + sum(len(plane.tables) for plane in before) <= 128, "too many tables")
    check(count > 0 or stage == 0, f"no tables, but of stage {stage}")
    if count:
        known(stage, (2, 3, 7), "tables of stage")
    tables = [{2: rans_table, 3: huffman_table, 7: column_table}[stage](body) for _ in range(count)]
    columns = read_columns(body, count) if stage == 7 else [64]
    return Plane(shift, bits, stage, tables, columns)


# ---- 4a. Made spans ---------------------------------------------------------------------------------------------


class Made(NamedTuple):
    transform: int
    parameters: list[Any]
    sizes: list[int]  # original bytes of each part


def read_made_span(body: Cursor, length: int, transform: int) -> Span:
    """The body of a span record that is made of parts, up to the first part."""
    check(length <= MAX_CHUNK, f"a made span of {length} bytes")
    known(transform, (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11), "transform")
    if transform == 11:
        parameters, sizes = [body.varint(), body.integer(1)], [length]
        check(parameters[1] < 8, "a kind of delta")
        check(length % (1 << parameters[1] % 4) == 0, f"{length} bytes are no whole elements")
    elif transform == 6:
        parameters, sizes = [body.varint()], []
    elif transform == 1:
        parameters, sizes = read_fields(body, length)
    elif transform == 7:
        parameters, sizes = read_integers(body, length)
    elif transform == 8:
        parameters, sizes = read_scaled(body, length)
    elif transform == 9:
        parameters, sizes = read_codes(body, length)
    elif transform == 10:
        parameters, sizes = read_runs(body, length)
    else:
        parameters, sizes = read_elements(body, length, transform)
    return Span(
        length, 1, None, 0, 0, False, False, length, length, [], length, 0, 1, Made(transform, parameters, sizes)
    )


def read_fields(body: Cursor, length: int) -> tuple[list[int], list[int]]:
    count = body.integer(1)
    check(2 <= count <= 16, f"{count} fields")
    fields = [body.varint() for _ in range(count)]
    check(all(1 <= field <= 65_536 for field in fields), "a field of no or too many bytes")
    check(length % sum(fields) == 0, "no whole number of blocks")
    return fields, [length // sum(fields) * field for field in fields]


class Packed(NamedTuple):
    """A field of a block that has some bits of the codes of a part."""

    size: int
    part: int
    bits: int
    shift: int
    run: int
    word: int


def read_codes(body: Cursor, length: int) -> tuple[list[Packed], list[int]]:
    count = body.integer(1)
    check(1 <= count <= 16, f"{count} fields")
    fields: list[Packed] = []
    held: list[list[int]] = []  # of each part, the bits that its fields have
    codes: list[int] = []  # and how many codes are in a block
    for _ in range(count):
        size, place = body.varint(), body.integer(1)
        check(1 <= size <= 65_536, f"a field of {size} bytes")
        part, bits, words = place & 15, 1 << (place >> 4 & 3), place >> 6
        check(words == 0 or (words == 1 and bits < 8), "unused bits of the place of a field")
        shift, run = (0, 1) if bits == 8 else (body.integer(1), body.varint())
        word = body.integer(1) if words else 1
        check(not words or word in (2, 4, 8), f"words of {word} bytes")
        check(shift + bits <= 8, f"{bits} bits from bit {shift} of a code on")
        check(run >= 1 and size % (run * word) == 0, f"a field of {size} bytes in runs of {run} words of {word}")
        check(part <= len(held), "parts are not numbered in order")
        if part == len(held):
            held.append([])
            codes.append(size * 8 // bits)
        check(size * 8 // bits == codes[part], "fields of a part have unequally many codes")
        held[part] += range(shift, shift + bits)
        fields.append(Packed(size, part, bits, shift, run, word))
    check(all(sorted(bits) == list(range(len(bits))) for bits in held), "a code has a bit twice, or lacks one")
    check(any(field.bits < 8 for field in fields), "no field has less than a byte of its codes")
    block = sum(field.size for field in fields)
    check(length % block == 0, "no whole number of blocks")
    sizes = [length // block * count for count in codes]
    check(max(sizes) <= MAX_CHUNK, "a part of too many codes")
    return fields, sizes


def read_integers(body: Cursor, length: int) -> tuple[list[int], list[int]]:
    how, count = body.integer(1), body.varint()
    check(how <= 7, f"integers written as {how}")
    check(1 <= count <= length, f"{count} integers in {length} bytes")
    return [1 << how % 4, how >> 2, body.integer(8)], [count << how % 4]


def read_scaled(body: Cursor, length: int) -> tuple[list[int], list[int]]:
    dtype, how, group, offset = body.integer(1), body.integer(1), body.varint(), body.integer(4)
    check(dtype in (10, 11, 12), f"scaled elements of type {dtype}")
    check(how <= 3 and (how < 2 or dtype == 11), f"elements rounded as {how}")
    width = 4 if dtype == 12 else 2
    n = length // width
    check(length % width == 0 and 1 <= group <= n, f"groups of {group} elements")
    offset -= 2**32 if offset >= 2**31 else 0
    check(-1024 <= offset < 1024, f"an offset of {offset}")
    return [dtype, how, group, offset], [4 * math.ceil(n / group), n]


def read_runs(body: Cursor, length: int) -> tuple[list[int], list[int]]:
    how, numbers, others = body.integer(1), body.varint(), body.varint()
    code, size = how & 7, 1 + (how >> 3)
    check(how < 16 and code <= 4, f"runs written as {how}")
    check(code == 4 or length % (1 << code) == 0, "no whole number of elements")
    n = 8 * length if code == 4 else length >> code
    check(1 <= numbers and numbers * size <= MAX_CHUNK, f"{numbers} numbers of {size} bytes")
    check(1 <= others <= min(numbers, n), f"{others} of {n} elements are not zero")
    parts = [] if code == 4 else [others << code]
    return [code, size, n, others], [numbers * size, *parts]


def read_elements(body: Cursor, length: int, transform: int) -> tuple[list[int], list[int]]:
    """The parameters of transforms 2 to 5: log2 of the width, and others; the sizes of the parts."""
    code = body.integer(1)
    check(code <= 3, f"elements of 2^{code} bytes")
    width = 1 << code
    check(length % width == 0, "no whole number of elements")
    n = length // width
    if transform == 2:
        values = body.varint()
        check(1 <= values <= 65_536, f"{values} values")
        return [width, values], [values * width, n if values <= 256 else 2 * n]
    if transform == 3:
        return [width, body.integer(width), body.integer(width)], []
    if transform == 5:
        narrow = body.integer(1)
        check(narrow <= code, f"a part of elements of 2^{narrow} bytes")
        return [width, 1 << narrow, body.integer(width)], [n << narrow]
    others = body.varint()
    check(1 <= others <= n, f"{others} of {n} elements are not zero")
    return [width, others], [math.ceil(n / 8), others * width]


class Before(NamedTuple):
    """What a copy or a delta may look at: the original so far, and (begin, span) of its spans."""

    original: bytearray
    spans: list[tuple[int, Span]]
    copies: bool  # whether the header allows any

    def add(self, span: Span, decoded: bytes) -> None:
        self.spans.append((len(self.original), span))
        self.original.extend(decoded)


def copied(before: Before, distance: int, length: int) -> bytes:
    """The bytes of a copy, or the source of a delta."""
    check(before.copies, "a copy in a file whose header knows of none")
    check(length <= distance <= len(before.original), f"a copy of {length} bytes from {distance} before")
    first = len(before.original) - distance
    stop, chunks, size = first + length, 0, 0
    for begin, span in before.spans:
        end = begin + span.length
        if begin < stop and first < end:
            check(span.made is None or span.made.transform not in (6, 11), "a copy of a copy or a delta")
            inside = [
                min((at - begin) // (span.chunk * span.width), span.chunks - 1)
                for at in (max(first, begin), min(stop, end) - 1)
            ]
            chunks += inside[1] - inside[0] + 1
            last = inside[1] == span.chunks - 1
            size += span.length if last else (inside[1] + 1) * span.chunk * span.width
            size -= inside[0] * span.chunk * span.width
    check(chunks <= 16, f"a copy of bytes in {chunks} chunks")
    check(size <= 64 * length, f"a copy of {length} bytes in chunks of {size}")
    return bytes(before.original[first:stop])


def read_parts(body: Cursor, span: Span, made: Made, before: Before) -> bytes:
    """Decode the parts of a made span, and make its bytes."""
    parts = []
    for size in made.sizes:
        part = Cursor(body.take(body.varint()))
        inner = read_span(part)
        check(inner.made is None and inner.length == size and inner.chunks == 1, "not the part that belongs here")
        parts.append(read_chunk(part, inner, 0))
    expected = body.integer(8)
    body.end()
    if made.transform == 6:
        decoded = copied(before, made.parameters[0], span.length)
    elif made.transform == 11:
        decoded = make_delta(made.parameters[1], parts[0], copied(before, made.parameters[0], span.length))
    else:
        decoded = MAKERS[made.transform](made.parameters, parts, span.length)
    check(hash64(decoded) == expected, "the hash of a made span does not match")
    return decoded


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def make_fields(fields: list[int], parts: list[bytes], _: int) -> bytes:
    blocks = zip(*(cut(part, field) for part, field in zip(parts, fields, strict=True)), strict=True)
    return b"".join(b"".join(block) for block in blocks)


def make_codes(fields: list[Packed], parts: list[bytes], length: int) -> bytes:
    bits = [sum(field.bits for field in fields if field.part == number) for number in range(len(parts))]
    check(all(max(part) < 2**b for part, b in zip(parts, bits, strict=True)), "a code has a bit that no field has")
    blocks = length // sum(field.size for field in fields)
    out = bytearray()
    for i in range(blocks):
        for size, part, b, shift, run, word in fields:
            n = len(parts[part]) // blocks
            held = [0] * size
            for k, code in enumerate(parts[part][i * n : (i + 1) * n]):
                if b == 8:
                    held[k] = code
                else:
                    group, j = divmod(k, run * word * 8 // b)
                    byte, place = divmod(j // run, 8 // b)
                    held[(group * run + j % run) * word + byte] |= (code >> shift) % 2**b << b * place
            out += bytes(held)
    return bytes(out)


def make_palette(parameters: list[int], parts: list[bytes], _: int) -> bytes:
    width, count = parameters
    values = cut(parts[0], width)
    check(all(a[::-1] < b[::-1] for a, b in pairwise(values)), "the values of a palette do not ascend")
    numbers = [int.from_bytes(number, "little") for number in cut(parts[1], 1 if count <= 256 else 2)]
    check(max(numbers) < count, "a number that no value has")
    return b"".join(values[number] for number in numbers)


def make_ramp(parameters: list[int], _: list[bytes], length: int) -> bytes:
    width, start, step = parameters
    elements = ((start + i * step) % 2 ** (8 * width) for i in range(length // width))
    return b"".join(x.to_bytes(width, "little") for x in elements)


def make_sparse(parameters: list[int], parts: list[bytes], length: int) -> bytes:
    width, others = parameters
    mask = [parts[0][i // 8] >> i % 8 & 1 for i in range(8 * len(parts[0]))]
    check(not any(mask[length // width :]), "unused bits of a mask are not 0")
    check(sum(mask) == others, "a mask does not have as many bits as there are elements")
    check(all(any(x) for x in cut(parts[1], width)), "a masked element is zero")
    rest = iter(cut(parts[1], width))
    return b"".join(next(rest) if bit else bytes(width) for bit in mask[: length // width])


def make_runs(parameters: list[int], parts: list[bytes], length: int) -> bytes:
    code, size, n, others = parameters
    top = 256**size - 1
    numbers = [int.from_bytes(number, "little") for number in cut(parts[0], size)]
    check(numbers[-1] < top, "zeros behind the last element")
    check(sum(number < top for number in numbers) == others, "not as many numbers as there are elements")
    check(sum(numbers) + others <= n, "numbers for more elements than there are")
    places, at = [], 0
    for number in numbers:
        at += number
        if number < top:
            places.append(at)
            at += 1
    if code == 4:
        out = bytearray(length)
        for place in places:
            out[place // 8] |= 1 << place % 8
        return bytes(out)
    elements = [bytes(1 << code)] * n
    for place, element in zip(places, cut(parts[1], 1 << code), strict=True):
        check(any(element), "one of the elements that are not zero is")
        elements[place] = element
    return b"".join(elements)


def make_offset(parameters: list[int], parts: list[bytes], _: int) -> bytes:
    width, narrow, offset = parameters
    elements = (int.from_bytes(x, "little") + offset for x in cut(parts[0], narrow))
    return b"".join((x % 2 ** (8 * width)).to_bytes(width, "little") for x in elements)


def make_leb128(parameters: list[int], parts: list[bytes], length: int) -> bytes:
    width, unsigned, offset = parameters
    out = bytearray()
    for held in cut(parts[0], width):
        x = (int.from_bytes(held, "little") + offset) % 2**64
        x -= 2**64 if x >= 2**63 and not unsigned else 0
        while not (x < 128 if unsigned else -64 <= x < 64):
            out.append(x & 127 | 128)
            x >>= 7
        out.append(x & 127)
    check(len(out) == length, f"integers of {len(out)} bytes in a span of {length}")
    return bytes(out)


def make_scaled(parameters: list[int], parts: list[bytes], _: int) -> bytes:
    dtype, how, group, offset = parameters
    scales = struct.unpack(f"<{len(parts[0]) // 4}f", parts[0])
    check(all(map(math.isfinite, scales)), "a scale that is no number")
    out = []
    for i, code in enumerate(parts[1]):
        # Python's floats hold the exact product
        x = -0.0 if how & 1 and code == 255 else single((code + offset) * scales[i // group])
        bits = struct.pack("<f", x)
        if dtype == 12:
            out.append(bits)
        elif dtype == 11:
            high = int.from_bytes(bits, "little")
            high += 0 if how & 2 else 0x7FFF + (high >> 16 & 1)
            out.append((high >> 16).to_bytes(2, "little"))
        else:
            try:
                out.append(struct.pack("<e", x))
            except OverflowError:
                out.append(struct.pack("<e", math.copysign(math.inf, x)))
    return b"".join(out)


def single(x: float) -> float:
    """Rounded to F32."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", x))[0])
    except OverflowError:
        return math.copysign(math.inf, x)


def make_delta(kind: int, part: bytes, source: bytes) -> bytes:
    width = 1 << kind % 4
    most = (1 << 8 * width) - 1

    def ordered(x: int) -> int:
        return x ^ most >> 1 if kind > 3 and x > most >> 1 else x

    out = bytearray()
    for z, x in zip(cut(part, width), cut(source, width), strict=True):
        n = int.from_bytes(z, "little")
        y = ordered(int.from_bytes(x, "little")) + (-(n // 2) - 1 if n % 2 else n // 2)
        out += ordered(y & most).to_bytes(width, "little")
    return bytes(out)


MAKERS = {
    1: make_fields, 2: make_palette, 3: make_ramp, 4: make_sparse, 5: make_offset, 7: make_leb128, 8: make_scaled,
    9: make_codes, 10: make_runs
}  # fmt: skip


# ---- 5. From planes to elements ---------------------------------------------------------------------------------


def unfold(y: int, f: int, bits: int) -> int:
    """Move the sign from bit f to the top."""
    low, sign, high = y & (1 << f) - 1, y >> f & 1, y >> f + 1
    return low | high << f | sign << bits - 1


def size_of_tile(elements: int, bits: int) -> int:
    """Bytes of a tile of so many elements in a plane of so many bits."""
    return math.ceil(elements * bits / 8)


def unpack(data: bytes, elements: int, bits: int) -> list[int]:
    """The values in one tile of one plane."""
    q = len(data)
    values = [data[i % q] >> bits * (i // q) & 2**bits - 1 for i in range(q * 8 // bits)]
    check(not any(values[elements:]), "unused bits of a tile are not 0")
    return values[:elements]


# ---- 6. Chunk body ----------------------------------------------------------------------------------------------


def read_chunk(body: Cursor, span: Span, number: int) -> bytes:
    """Decode the chunk of that number from its body, without the number."""
    count = min(span.chunk, span.elements - number * span.chunk)
    tiles = [min(span.tile, count - begin) for begin in range(0, count, span.tile)]  # elements of each
    expected = body.integer(8)

    drops = read_stage(body, (0, 1, 4, 5), [len(tiles)]) if span.drops else bytes(len(tiles))
    check(max(drops, default=0) <= len(span.planes), "a tile drops more planes than there are")

    escapes: dict[int, int] = {}
    if span.escapes:
        listed = body.varint()
        check(listed <= count, f"{listed} escapes in {count} elements")
        positions, next_one = [], 0
        for _ in range(listed):
            positions.append(next_one + body.varint())
            check(positions[-1] < count, "an escape beyond the chunk")
            next_one = positions[-1] + 1
        escapes = {position: body.varint() for position in positions}
        check(all(1 <= value < 2**16 for value in escapes.values()), "an escape with value 0, or too large")
        check(all(drops[i // span.tile] < len(span.planes) for i in escapes), "an escape in a tile without planes")

    planes: list[bytes] = []
    lent = 0  # bytes that the plane before the last lends to states: stages/18_lent.md
    for p, plane in enumerate(span.planes):
        sizes, carried = [size_of_tile(tiles[t], plane.bits) for t in range(len(tiles)) if drops[t] <= p], bytearray()
        if body.left() and body.data[body.at] in LENT:
            check(p == len(span.planes) - 2, "a plane lends bytes, but is not the one before the last")
            lent = 2 << (body.integer(1) - 16)
            check(sum(sizes) >= lent, "a plane lends more bytes than it has")
            planes.append(body.take(sum(sizes) - lent))
            continue
        planes.append(read_stage(body, (0, 1, 2, 3, 4, 6, 7, 8), sizes, plane, carried))
        if lent:
            check(len(carried) == lent, "a plane lends bytes to other lanes than the last has")
            planes[-2] += carried
        else:
            check(not any(carried), "a state does not end as 65,536")
    elements = [0] * count  # the y of section 5
    for p, plane in enumerate(span.planes):
        last = p == len(span.planes) - 1
        here = [t for t in range(len(tiles)) if drops[t] <= p]
        sizes = [size_of_tile(tiles[t], plane.bits) for t in here]
        data = Cursor(planes[p])
        for t, size in zip(here, sizes, strict=True):
            for i, v in enumerate(unpack(data.take(size), tiles[t], plane.bits), t * span.tile):
                check(not (last and v and i in escapes), "an escape whose v in the last plane is not 0")
                if last and v:
                    v += span.window  # 0 if there is none
                elements[i] |= v << plane.shift

    bits = 8 * span.width
    decoded = bytearray()
    for i, y in enumerate(elements):
        y |= span.constant
        if i in escapes:
            y |= escapes[i] << span.planes[-1].shift
        y %= 2**bits
        x = y if span.fold is None else unfold(y, span.fold, bits)
        decoded += x.to_bytes(span.width, "little")
    if number == span.chunks - 1:
        decoded += body.take(span.tail)
    body.end()
    check(hash64(decoded) == expected, "the hash of a chunk does not match")
    return bytes(decoded)


def read_stage(
    body: Cursor, allowed: Any, sizes: list[int], plane: Plane | None = None, carried: bytearray | None = None
) -> bytes:
    """Decode tiles of these sizes in bytes, one behind the other. ``carried`` gets what rANS states carry."""
    stage = known(body.integer(1), allowed, "stage")
    total = sum(sizes)
    if total == 0:
        check(stage == 1 and body.integer(1) == 0, "a plane without bytes is not constant 0")
        return b""
    if stage == 0:  # stages/0_stored.md
        return body.take(total)
    if stage == 1:  # stages/1_constant.md
        return body.take(1) * total
    if stage == 4:  # stages/4_zstd.md
        return unzstd(body.take(body.varint()), total)
    if stage == 6:  # stages/6_lzma.md
        return unlzma(body.take(body.varint()), total)
    if stage == 8:  # stages/8_mixing.md
        return unmix(body, total)
    if stage == 5:  # stages/5_pair.md
        low, high = body.integer(1), body.integer(1)
        check(low < high, "two values are not in order")
        bits = Bits(body)
        values = bytes((low, high)[bits.bit()] for _ in range(total))
        bits.pad()
        return values
    assert plane is not None
    check(plane.stage == stage, f"stage {stage} without tables for it")
    if stage == 3:
        return huffman(body, sizes, plane.tables)
    data, held = rans(body, sizes, plane.tables, plane.columns if stage == 7 else None)
    if carried is not None:
        carried += held
    return data


# ---- stages/2_rans.md -------------------------------------------------------------------------------------------


def difference(bits: Bits) -> int:
    """0 -> 0 ones, +1 -> 1, -1 -> 2, +2 -> 3, -2 -> 4, and so on, closed by a 0 bit."""
    ones = 0
    while bits.bit():
        ones += 1
        check(ones <= 24, "a difference has more than 24 ones")
    return (ones + 1) // 2 if ones % 2 else -ones // 2


def rans_table(source: Cursor) -> tuple[list[int], list[int], list[int]]:
    """The symbol that owns each slot; the frequency of each symbol; and its first slot."""
    bits = Bits(source)
    first, span, filler, precision = (bits.low_first(size) for size in (8, 8, 8, 4))
    check(span >= 1 and first + span <= 255, "the range of a table")
    check(filler <= span, "the filler of a table is outside its range")
    frequency = [0] * 256
    length = 1
    for s in range(first, first + span + 1):
        if s == first + filler:
            continue
        length += difference(bits)
        check(0 <= length <= 12, "the bit length of a frequency")
        if length > 0:
            given = min(precision, length - 1)
            frequency[s] = (1 << given | bits.high_first(given)) << length - 1 - given
    bits.pad()
    rest = 4096 - sum(frequency)
    check(1 <= rest <= 4095, f"a table leaves {rest} for its filler")
    frequency[first + filler] = rest
    symbol = [s for s in range(256) for _ in range(frequency[s])]
    start = [sum(frequency[:s]) for s in range(256)]
    return symbol, frequency, start


def read_choice(payload: Cursor, tiles: int, tables: int) -> list[int]:
    """Which table each tile uses."""
    if tables == 1:
        return [0] * tiles
    bits = Bits(payload)
    c = min(c for c in (1, 2, 4) if 2**c >= tables)
    choice = [bits.low_first(c) for _ in range(tiles)]
    bits.pad()
    check(max(choice) < tables, "a tile uses a table that there is not")
    return choice


def rans(payload: Cursor, sizes: list[int], tables: list[Any], columns: list[int] | None) -> tuple[bytes, bytes]:
    """Stage 2, and with ``columns`` stage 7: what is decoded, and what the states carry."""
    words = payload.varint()
    n = sum(sizes)
    lanes = 64 if n >= 65_536 else 16 if n >= 16_384 else 4 if n >= 2_048 else 1
    if columns is not None:
        lanes = min(lanes, 32)
    elif n >= 131_072:
        lanes = payload.integer(1)
        check(lanes in (64, 128), f"{lanes} lanes")
    if columns is None:
        choice = read_choice(payload, len(sizes), len(tables))
    else:
        choice = read_numbers(payload, len(sizes)) if len(tables) > 1 else [64] * len(sizes)
    bits, states = Bits(payload), []
    for _ in range(lanes):
        top = 16 + bits.low_first(4)
        states.append(1 << top | bits.low_first(top))
    bits.pad()
    stream = Cursor(payload.take(2 * words))
    out = bytearray()
    for size, number in zip(sizes, choice, strict=True):
        for i in range(size):
            table = number
            if columns is not None:
                table = min(max(number + columns[len(out) % len(columns)] - 64, 0), len(tables) - 1)
            symbol, frequency, start = tables[table]
            x = states[i % lanes]
            slot = x % 4096
            s = symbol[slot]
            out.append(s)
            x = frequency[s] * (x // 4096) + slot - start[s]
            if x < 65_536:
                x = x * 65_536 + stream.integer(2)
            states[i % lanes] = x
    stream.end()
    check(all(65_536 <= x < 131_072 for x in states), "a state does not end as 65,536, or with 16 bits that it carries")
    return bytes(out), b"".join((x - 65_536).to_bytes(2, "little") for x in states)


# ---- stages/3_huffman.md ----------------------------------------------------------------------------------------


def huffman_table(source: Cursor) -> dict[tuple[int, int], int]:
    """The symbol of each code; a code is its length and its bits, the first of them the highest."""
    bits = Bits(source)
    first, span = bits.low_first(8), bits.low_first(8)
    check(span >= 1 and first + span <= 255, "the range of a table")
    lengths = {}
    length = 5
    for s in range(first, first + span + 1):
        length += difference(bits)
        check(0 <= length <= 11, "the length of a code")
        lengths[s] = length
    bits.pad()
    check(sum(2 ** (11 - n) for n in lengths.values() if n > 0) == 2048, "a code is not complete")
    codes = {}
    code = 0
    for n in range(1, 12):
        code *= 2
        for s in (s for s in lengths if lengths[s] == n):
            codes[n, code] = s
            code += 1
    return codes


def huffman(payload: Cursor, sizes: list[int], tables: list[Any]) -> bytes:
    lengths = [payload.varint() for _ in range(4)]
    t = len(sizes)
    choice = read_choice(payload, t, len(tables))
    out = bytearray()
    for j, length in enumerate(lengths):
        stream = Cursor(payload.take(length))
        bits = Bits(stream)
        for tile in range(j * t // 4, (j + 1) * t // 4):
            codes = tables[choice[tile]]
            for _ in range(sizes[tile]):
                n = code = 0
                while (n, code) not in codes:  # the code is complete: some 11 bits at the latest are one of its codes
                    n, code = n + 1, code * 2 + bits.bit()
                out.append(codes[n, code])
        bits.pad()
        stream.end()
    return bytes(out)


# ---- stages/4_zstd.md -------------------------------------------------------------------------------------------


def unzstd(frame: bytes, size: int) -> bytes:
    """Decode one frame of exactly so many bytes."""
    check(frame[:4] == bytes.fromhex("28 B5 2F FD"), "not a Zstandard frame")
    try:
        about = zstandard.get_frame_parameters(frame)
        check(about.dict_id == 0, "a Zstandard frame with a dictionary")
        check(about.window_size <= 2**27, f"a Zstandard frame with a window of {about.window_size} bytes")
        check(about.content_size in (size, zstandard.CONTENTSIZE_UNKNOWN), "the content size of a Zstandard frame")
        decoded = zstandard.ZstdDecompressor().decompress(frame, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Corrupt(f"Zstandard: {error}") from None
    check(len(decoded) == size, "a Zstandard frame decodes to another number of bytes")
    return decoded


def unlzma(stream: bytes, size: int) -> bytes:
    """Decode one raw LZMA2 stream of exactly so many bytes."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**20, "lc": 3, "lp": 0, "pb": 0}]
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
    try:
        decoded = decoder.decompress(stream, size + 1)
    except (lzma.LZMAError, EOFError) as error:
        raise Corrupt(f"LZMA: {error}") from None
    check(len(decoded) == size, "an LZMA stream decodes to another number of bytes")
    check(decoder.eof and not decoder.unused_data, "an LZMA stream does not end where it should")
    return decoded


# ---- stages/7_columns.md ----------------------------------------------------------------------------------------


def column_table(source: Cursor) -> tuple[list[int], list[int], list[int]]:
    """As rans_table."""
    bits = Bits(source)
    first, span, precision, mirrored = (bits.low_first(size) for size in (8, 8, 4, 1))
    filler = 0 if mirrored else bits.low_first(8)
    check(1 <= span <= (127 if mirrored else 255), "the range of a table")
    check(filler <= span, "the filler of a table is outside its range")
    frequency = [0] * 256
    length = 1
    for k in range(span + 1):
        if k == filler:
            continue
        length += difference(bits)
        check(0 <= length <= 12, "the bit length of a frequency")
        if length > 0:
            given = min(precision, length - 1)
            frequency[(first + k) % 256] = (1 << given | bits.high_first(given)) << length - 1 - given
            if mirrored:
                frequency[(first - k) % 256] = frequency[(first + k) % 256]
    bits.pad()
    rest = 4096 - sum(frequency)
    check(1 <= rest <= 4095, f"a table leaves {rest} for its filler")
    frequency[(first + filler) % 256] = rest
    symbol = [s for s in range(256) for _ in range(frequency[s])]
    start = [sum(frequency[:s]) for s in range(256)]
    return symbol, frequency, start


def read_numbers(source: Cursor, count: int) -> list[int]:
    middle, low = source.integer(1), source.integer(1)
    check(middle <= 127 and low <= 6, f"numbers around {middle}, of {low} low bits")
    bits = Bits(source)
    numbers = []
    for _ in range(count):
        ones = 0
        while bits.bit():
            ones += 1
            check(ones < 256, "a number of more ones than any has")
        u = ones << low | bits.low_first(low)
        numbers.append(middle + ((u + 1) // 2 if u % 2 else -u // 2))
        check(0 <= numbers[-1] <= 127, f"number {numbers[-1]}")
    bits.pad()
    return numbers


def read_columns(body: Cursor, tables: int) -> list[int]:
    """The number of each column."""
    period = body.varint()
    check(1 <= period <= (65_536 if tables > 1 else 1), f"{period} columns")
    return read_numbers(body, period) if period > 1 else [64]


def check_columns(plane: Plane, tile: int, chunk: int, elements: int, drops: bool) -> None:
    period = len(plane.columns)
    check(plane.bits == 8 and not drops, "columns of a plane that is not of 8 bits, or has drops")
    check(tile % period == 0 or period % tile == 0, f"tiles of {tile} elements and {period} columns")
    check(chunk % period == 0 or elements <= chunk, f"chunks of {chunk} elements and {period} columns")


# ---- stages/8_mixing.md -----------------------------------------------------------------------------------------

_KNOTS = (
    1,
    1,
    1,
    2,
    3,
    5,
    8,
    13,
    22,
    36,
    60,
    98,
    162,
    267,
    439,
    720,
    1179,
    1921,
    3108,
    4971,
    7812,
    11955,
    17625,
    24743,
)
KNOTS = [*_KNOTS, 32768, *(65536 - knot for knot in reversed(_KNOTS))]


def clamp(v: int, least: int, most: int) -> int:
    return max(least, min(most, v))


def squash(d: int) -> int:
    i, w = divmod(d + 3072, 128)
    return (KNOTS[i] * (128 - w) + KNOTS[i + 1] * w + 64) >> 7


STRETCH: list[int] = []
for _d in range(-3071, 3072):
    STRETCH += [_d] * ((squash(_d) >> 4) + 1 - len(STRETCH))
STRETCH += [3071] * (4096 - len(STRETCH))


class Slot:
    """A probability that learns."""

    def __init__(self, limit: int) -> None:
        self.limit, self.p, self.n = limit, 2**21, 0

    def stretched(self) -> int:
        return STRETCH[self.p >> 10]

    def learn(self, p: int, n: int, bit: int) -> None:
        """From what it was before the bit."""
        self.p = p + ((((bit * (2**22 - 1) - p) >> 4) * (8192 // (2 * n + 3))) >> 8)
        self.n = min(n + 1, self.limit)


class Elements:
    """What the bytes so far say of elements."""

    def __init__(self, data: bytearray, framing: int, signed: int, centre: int, row: int, far: int) -> None:
        self.data, self.framing, self.signed, self.centre, self.row, self.far = data, framing, signed, centre, row, far
        self.starts, self.near, self.slow = [0], 0, 0
        self.columns: dict[int, tuple[int, int]] = {}
        self.describe()

    def e(self) -> int:
        return len(self.starts) - 1

    def j(self) -> int:
        return len(self.data) - self.starts[-1]

    def describe(self) -> None:
        """At the start of an element."""
        quick, steady = self.columns.get(self.e() % self.row, (self.near, self.slow))
        x = 3 * steady + self.slow
        if self.signed:
            self.nearby, self.above, self.expected = self.coarse(self.near), self.coarse(quick), self.fine(x >> 2)
            self.set = (self.nearby + self.above) >> 2
        else:
            self.nearby, self.above, self.expected = self.near >> 6, quick >> 6, x >> 7
            self.set = min((self.nearby + self.above) >> 3, 63)

    @staticmethod
    def coarse(y: int) -> int:
        k = max(0, y.bit_length() - 3)
        return y >> 5 if y < 64 else min(4 * k + (y >> k) - 14, 63)

    @staticmethod
    def fine(y: int) -> int:
        k = max(0, y.bit_length() - 4)
        return y >> 3 if y < 64 else 8 * k + (y >> k) - 8

    def over(self, d: int) -> int:
        if self.e() < d:
            return 0
        place = self.starts[self.e() - d] + self.j()
        return self.data[place] + 1 if place < len(self.data) else 0

    def size(self) -> int:
        whole = self.data[self.starts[-1] :]
        if self.framing == 0:
            v = sum((byte & 127) << 7 * i for i, byte in enumerate(whole))
            v = abs(v - (2 ** (7 * len(whole)) if whole[-1] & 64 else 0))
        else:
            v = int.from_bytes(whole, "little")
            if self.signed:
                w = 256**self.framing
                u = (v - self.centre * w // 256) % w
                v = min(u, w - u)
        return min(v, 65535) * 256

    def advance(self) -> None:
        """After each byte."""
        done = self.j() == self.framing if self.framing else self.data[-1] < 128 or self.j() == 8
        if not done:
            return
        m, column = self.size(), self.e() % self.row
        if self.e() == 0:
            self.near = self.slow = m
        self.near += (m - self.near) >> 4
        self.slow += (m - self.slow) >> 6
        if column in self.columns:
            quick, steady = self.columns[column]
            self.columns[column] = quick + ((m - quick) >> 3), steady + ((m - steady) >> 5)
        else:
            self.columns[column] = (m + 3 * self.near) >> 2, (m + 3 * self.slow) >> 2
        self.starts.append(len(self.data))
        self.describe()


A, B, C, M = 0x2F0B4C47, 0x2C1B3C6D, 0x1E35A7BD, 2**32


class Match:
    """The last place where the same bytes stood."""

    def __init__(self, data: bytearray, bits: int) -> None:
        self.data, self.shift, self.places = data, 38 - bits, dict[int, int]()
        self.at: int | None = None
        self.length = 0
        self.slots = [Slot(127) for _ in range(64)]

    def slot(self, c: int, b: int) -> Slot | None:
        """What predicts the bit behind b bits, which are c behind a 1."""
        if self.at is None or (self.data[self.at] | 256) >> (8 - b) != c:
            return None
        return self.slots[2 * min(self.length, 31) + (self.data[self.at] >> (7 - b) & 1)]

    def advance(self) -> None:
        data, i = self.data, len(self.data) - 1
        if self.at is not None and data[self.at] == data[i]:
            self.at, self.length = self.at + 1, self.length + 1
        else:
            self.at = None
        if i < 5:
            return
        h = 0
        for byte in reversed(data[i - 5 : i + 1]):
            h = (h * A + byte + 1) % M
        place = (h * C % M) >> self.shift
        f = self.places.get(place)
        if self.at is None and f is not None:
            same = 0
            while same < min(32, f) and data[f - 1 - same] == data[i - same]:
                same += 1
            if same >= 6:
                self.at, self.length = f, same
        self.places[place] = i + 1


class Contexts:
    """The slots of ten contexts."""

    def __init__(self, bits: int) -> None:
        self.shift, self.buckets = 36 - bits, dict[int, tuple[int, list[Slot]]]()

    def enter(self, data: bytearray, elements: Elements) -> None:
        """Before a byte."""
        b1, b2, b3 = (data[-k] if len(data) >= k else 0 for k in (1, 2, 3))
        j = elements.j()
        inside = 4 * j + b1 // 64 + 1 if j else 0
        far, column = elements.far, elements.e() % elements.row
        pairs = [(0, inside), (b1, j), (b1 + 256 * b2, j), (b1 + 256 * b2 + 65536 * b3, j)]
        pairs += [(elements.over(elements.row), inside), (elements.over(far), inside), (elements.nearby, inside)]
        pairs += [(elements.above, inside), (column, inside), (elements.expected, inside)]
        self.hashes = []
        for k, (x, y) in enumerate(pairs):
            h = (16 * x + k) * A % M
            h = ((h ^ (h >> 15)) + y) * B % M
            self.hashes.append(h ^ (h >> 13))

    def take(self, c: int) -> None:
        """Before the first and the fifth bit."""
        numbers = []
        for h in self.hashes:
            g = (h + c) * C % M
            g ^= g >> 16
            owner, number = g % 2**14 + 1, g >> self.shift
            if number not in self.buckets or self.buckets[number][0] != owner:
                self.buckets[number] = owner, [Slot(255) for _ in range(16)]
            numbers.append(number)
        self.held = [self.buckets[number][1] for number in numbers]


class Model:
    """Says how likely a 1 is, bit after bit."""

    def __init__(self, size: int, framing: int, signed: int, centre: int, rate: int, row: int, far: int) -> None:
        bits = clamp((size - 1).bit_length() + 3, 12, 22)
        self.data, self.rate = bytearray(), rate
        self.elements = Elements(self.data, framing, signed, centre, row, far)
        self.contexts, self.match = Contexts(bits), Match(self.data, bits)
        self.sets = [[6000] * 12 for _ in range(256 + 512)]
        self.estimates = [[squash(clamp(192 * (q - 16), -3071, 3071)) for q in range(33)] for _ in range(256)]
        self.c, self.b = 1, 0

    def probability(self) -> int:
        c, b = self.c, self.b
        if b == 0:
            self.contexts.enter(self.data, self.elements)
        if b % 4 == 0:
            self.contexts.take(c)
        node = 2 ** (b % 4) + c % 2 ** (b % 4)
        self.slots = [slots[node] for slots in self.contexts.held]
        self.inputs = [(slot.stretched() * min(2 * slot.n + 3, 16)) >> 4 for slot in self.slots]
        self.guess = self.match.slot(c, b)
        self.inputs += [self.guess.stretched() if self.guess else 0, 256]
        self.both = self.sets[c], self.sets[256 + 8 * self.elements.set + b]
        sums = [sum(w * s for w, s in zip(weights, self.inputs, strict=True)) for weights in self.both]
        self.d = [clamp(total >> 16, -3071, 3071) for total in sums]
        mixed = sum(self.d) >> 1
        self.q, self.w = divmod(mixed + 3072, 192)
        two = self.estimates[c][self.q : self.q + 2]
        return clamp((squash(mixed) + (two[0] * (192 - self.w) + two[1] * self.w) // 192) >> 1, 16, 65520)

    def learn(self, bit: int) -> None:
        for weights, d in zip(self.both, self.d, strict=True):
            r = ((65536 * bit - squash(d)) * self.rate) >> 4
            for k, s in enumerate(self.inputs):
                weights[k] = clamp(weights[k] + ((s * r + 2**13) >> 14), -(2**20), 2**20 - 1)
        nearer = self.q + 1 if self.w >= 96 else self.q
        self.estimates[self.c][nearer] += (65535 * bit - self.estimates[self.c][nearer]) >> 6
        seen = [(slot.p, slot.n) for slot in self.slots]
        for slot, (p, n) in zip(self.slots, seen, strict=True):
            slot.learn(p, n, bit)
        if self.guess:
            self.guess.learn(self.guess.p, self.guess.n, bit)
        self.c, self.b = 2 * self.c + bit, self.b + 1
        if self.b == 8:
            self.data.append(self.c % 256)
            self.match.advance()
            self.elements.advance()
            self.c, self.b = 1, 0


def split_at(low: int, high: int, p: int) -> int:
    return low + ((high - low) >> 16) * p + ((((high - low) % 65536) * p) >> 16)


def shortest(low: int, high: int) -> tuple[int, int]:
    """The fewest bytes that reach between the two, and the number of four bytes that they make."""
    for k in range(5):
        step = 2 ** (32 - 8 * k)
        if -(-low // step) * step <= high:
            return k, -(-low // step) * step
    raise AssertionError


def unmix(body: Cursor, size: int) -> bytes:
    """Decode so many bytes, at least one."""
    framing, signed = body.integer(1), body.integer(1)
    check(framing <= 4 and signed <= 1 and (framing > 0 or signed == 1), "no such elements")
    centre = body.integer(1) if signed and framing else 0
    rate, row, far = body.integer(1), body.varint(), body.varint()
    check(1 <= rate <= 32 and 1 <= row <= 65_536 and 1 <= far <= 524_288, "a rate, a row or a distance out of bounds")
    stream = body.take(body.varint())
    check(size <= 32 * len(stream), "a stream is too short for its plane")
    model = Model(size, framing, signed, centre, rate, row, far)
    low, high, taken = 0, M - 1, 4
    x = int.from_bytes((stream + bytes(4))[:4], "big")
    for _ in range(8 * size):
        middle = split_at(low, high, model.probability())
        bit = int(x <= middle)
        low, high = (low, middle) if bit else (middle + 1, high)
        while low >> 24 == high >> 24:
            follows = stream[taken] if taken < len(stream) else 0
            low, high, x, taken = low * 256 % M, high * 256 % M + 255, x * 256 % M + follows, taken + 1
        model.learn(bit)
    k, last = shortest(low, high)
    check(len(stream) == taken - 4 + k and x == last, "a mixed stream does not end where it should")
    return bytes(model.data)


# ---- 7. Index record --------------------------------------------------------------------------------------------


class Listed(NamedTuple):
    """A span in the index."""

    original: int
    stored: int  # bytes of the span record
    chunks: list[int]  # and of each chunk record


Tensor = tuple[str, str, tuple[int, ...], int, int]


class Index(NamedTuple):
    original: int
    sha256: bytes | None
    spans: list[Listed]
    tensors: list[Tensor]


def read_index(body: Cursor, room: int) -> Index:
    """The index; `room` is how many bytes lie between header and index."""
    encoding = known(body.integer(1), (0, 1), "encoding of the index")
    size = body.varint()
    stored = body.left()
    check(size <= 2**30 and size <= 8 * stored + 2**20, f"an index of {size} bytes")
    index = Cursor(body.take(stored) if encoding == 0 else unzstd(body.take(stored), size))
    check(index.left() == size, "the size of the index")

    original = index.varint()
    digest = known(index.integer(1), (0, 1), "digest")
    sha256 = index.take(32) if digest else None
    index.text()  # source
    index.text()  # level

    spans: list[Listed] = []
    ends = [0]  # in the original, of each span; the first is before all
    for _ in range(index.varint()):
        listed = Listed(index.varint(), index.varint(), [])
        check(1 <= listed.original <= MAX_SPAN, f"a span of {listed.original} bytes in the index")
        chunks = index.varint()
        check(chunks != 1, "a span with a single chunk record in the index")
        room -= listed.stored
        for _ in range(chunks):
            listed.chunks.append(index.varint())
            room -= listed.chunks[-1]
        check(listed.stored > 0 and 0 not in listed.chunks and room >= 0, "the lengths of records in the index")
        spans.append(listed)
        ends.append(ends[-1] + listed.original)
    check(room == 0, "the records in the index end before the index begins")
    check(ends[-1] == original, "the spans in the index do not add up to the original")

    tensors: list[Tensor] = []
    names = set()
    free = 0  # the first span behind those of the tensors so far
    count = index.varint()
    check(count <= min(2**24, len(spans) + 4_096), f"{count} tensors")
    for _ in range(count):
        name = index.text()
        check(name not in names, f"two tensors {name!r}")
        names.add(name)
        dtype, bits = DTYPES[known(index.integer(1), DTYPES, "element type")]
        dimensions = index.varint()
        check(dimensions <= 64, f"{dimensions} dimensions")
        shape = tuple(index.varint() for _ in range(dimensions))
        first, used = index.varint(), index.varint()
        check(free <= first and first + used <= len(spans), f"the spans of tensor {name!r}")
        free = first + used
        begin, end = ends[first], ends[free]
        check(8 * (end - begin) == math.prod(shape) * bits, f"the bytes of tensor {name!r}")
        tensors.append((name, dtype, shape, begin, end))
    index.end()
    return Index(original, sha256, spans, tensors)


# ---- 8. Trailer -------------------------------------------------------------------------------------------------


def read_trailer(file: Cursor) -> tuple[int, int]:
    """Offset and length of the index record."""
    trailer = Cursor(file.take(32))
    position, length, expected = (trailer.integer(8) for _ in range(3))
    if trailer.take(8) != bytes.fromhex("57 45 46 54 0D 0A 1A 89"):
        raise Truncated("no trailer where one should be")
    check(hash64(trailer.data[:16]) == expected, "the check of the trailer does not match")
    file.end()
    return position, length


# ---- 9. Element types -------------------------------------------------------------------------------------------

BITS = {  # of an element; the types are numbered from 1 in this order
    **{"BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64},
    **{"F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8},
    **{"F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4},
}
DTYPES = dict(enumerate(BITS.items(), 1))


# ---- 10. Reading without an index, and with one -----------------------------------------------------------------


def decode_span(file: Cursor, start: int, span: Span, body: Cursor, before: Before) -> tuple[bytes, Listed]:
    """Decode the span whose record began at `start`, behind the original so far; also what the index should say of it.

    The cursor is behind the record, where chunk records are if there are any; `body` at what the record has left.
    """
    listed = Listed(span.length, file.at - start, [])
    if span.made:
        return read_parts(body, span, span.made, before), listed
    if span.chunks == 1:
        return read_chunk(body, span, 0), listed
    body.end()
    original = bytearray()
    for number in range(span.chunks):
        start = file.at
        kind, body = read_record(file)
        check(kind == CHUNK, "no chunk record where one should be")
        check(body.varint() == number, "a chunk is not in its place")
        original += read_chunk(body, span, number)
        listed.chunks.append(file.at - start)
    return bytes(original), listed


@within_memory
def decode(data: bytes) -> bytes:
    """The original, decoded front to back."""
    file = Cursor(data, 0, Truncated)
    before = Before(bytearray(), [], read_header(file))
    seen: list[Listed] = []
    while True:
        start = file.at
        kind, body = read_record(file)
        if kind == INDEX:
            break
        check(kind == SPAN, "a chunk record without a span")
        span = read_span(body)
        piece, listed = decode_span(file, start, span, body, before)
        before.add(span, piece)
        seen.append(listed)
    length = file.at - start
    check(read_trailer(file) == (start, length), "the trailer does not say where the index is")
    index = read_index(body, start - 16)
    check(index.spans == seen, "the index does not list what the file holds")
    return compared(before.original, index)


def find_index(data: bytes) -> Index:
    read_header(Cursor(data, 0, Truncated))
    if len(data) < 16 + 32:
        raise Truncated("no room for a trailer")
    position, length = read_trailer(Cursor(data, len(data) - 32))
    check(position >= 16 and position + length == len(data) - 32, "the index does not lie before the trailer")
    file = Cursor(data[: len(data) - 32], position)
    kind, body = read_record(file)
    check(kind == INDEX, "the trailer does not say where the index is")
    file.end()
    return read_index(body, position - 16)


@within_memory
def decode_by_index(data: bytes) -> bytes:
    """The original, decoded span by span from where the index says that they are."""
    index = find_index(data)
    before = Before(bytearray(), [], read_header(Cursor(data)))
    position = 16
    for listed in index.spans:
        file = Cursor(data, position)
        kind, body = read_record(file)
        check(kind == SPAN, "no span record where one should be")
        span = read_span(body)
        check(span.length == listed.original, "a span is not as long as the index says")
        check(span.chunks == max(1, len(listed.chunks)), "a span has not the chunks that the index says")
        piece, found = decode_span(file, position, span, body, before)
        check(found == listed, "the index does not list what the file holds")
        before.add(span, piece)
        position = file.at
    return compared(before.original, index)


@within_memory
def tensors(data: bytes) -> list[Tensor]:
    """Name, element type, shape, begin and end in the original of each tensor."""
    return find_index(data).tensors


def compared(original: bytearray, index: Index) -> bytes:
    check(len(original) == index.original, "the length of the original")
    check(index.sha256 in (None, hashlib.sha256(original).digest()), "the SHA-256 of the original")
    return bytes(original)


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2):
        print("usage: reference_decoder.py FILE.weft [OUT]", file=sys.stderr)
        return 2
    try:
        original = decode(Path(arguments[0]).read_bytes())
        if len(arguments) == 2:
            Path(arguments[1]).write_bytes(original)
        else:
            sys.stdout.buffer.write(original)
    except (FormatError, OSError) as error:
        print(f"{arguments[0]}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
