"""Test vectors of made spans (FORMAT.md, section 4a)."""

from __future__ import annotations

from collections.abc import Iterator

import naive_writer as w
import numpy as np
from naive_writer import made_body, plain_part, varint

BLOCKS = bytes(range(1, 31))  # 3 blocks of 10: fields of 2, 1 and 7 bytes
FIELDS = b"\3\2\1\7"


def field_parts(data: bytes = BLOCKS, sizes: tuple[int, ...] = (2, 1, 7)) -> list[bytes]:
    """The fields of some blocks, each as a part."""
    block, at, parts = sum(sizes), 0, []
    for size in sizes:
        parts.append(plain_part(b"".join(data[k + at : k + at + size] for k in range(0, len(data), block))))
        at += size
    return parts


def one(original: bytes, transform: int, parameters: bytes, parts: list[bytes], length: int = -1) -> bytes:
    """A file of one made span."""
    body = made_body(original, transform, parameters, parts, length)
    return w.weft([(len(original) if length < 0 else length, [body])], original)


def palette(width: int, values: list[int], numbers: list[int]) -> tuple[bytes, bytes, list[bytes]]:
    """(the original, the parameters, the parts) of a palette."""
    code = width.bit_length() - 1
    written = [value.to_bytes(width, "little") for value in values]
    size = 1 if len(values) <= 256 else 2
    parts = [plain_part(b"".join(written)), plain_part(b"".join(k.to_bytes(size, "little") for k in numbers))]
    return b"".join(written[k] for k in numbers), bytes((code,)) + varint(len(values)), parts


def sparse(width: int, elements: list[int]) -> tuple[bytes, bytes, list[bytes]]:
    """(the original, the parameters, the parts) of mostly zeros."""
    others = [x.to_bytes(width, "little") for x in elements if x]
    mask = np.packbits([x != 0 for x in elements], bitorder="little").tobytes()
    original = b"".join(x.to_bytes(width, "little") for x in elements)
    code = width.bit_length() - 1
    return original, bytes((code,)) + varint(len(others)), [plain_part(mask), plain_part(b"".join(others))]


def runs(code: int, size: int, elements: list[int]) -> tuple[bytes, bytes, list[bytes]]:
    """(the original, the parameters, the parts) of very few elements that are not zero; ``size``: bytes of a number."""
    top, numbers, zeros = 256**size - 1, [], 0
    for x in elements:
        zeros += x == 0
        if x:
            numbers += [top] * (zeros // top) + [zeros % top]
            zeros = 0
    others = [x for x in elements if x]
    if code == 4:
        original, values = np.packbits(elements, bitorder="little").tobytes(), []
    else:
        original = b"".join(x.to_bytes(1 << code, "little") for x in elements)
        values = [plain_part(b"".join(x.to_bytes(1 << code, "little") for x in others))]
    parameters = bytes((code | (size - 1) << 3,)) + varint(len(numbers)) + varint(len(others))
    return original, parameters, [plain_part(b"".join(k.to_bytes(size, "little") for k in numbers)), *values]


def ramp(width: int, start: int, step: int, count: int) -> tuple[bytes, bytes, list[bytes]]:
    """(the original, the parameters, no parts) of an arithmetic progression."""
    original = b"".join(((start + k * step) % 256**width).to_bytes(width, "little") for k in range(count))
    parameters = bytes((width.bit_length() - 1,)) + start.to_bytes(width, "little") + step.to_bytes(width, "little")
    return original, parameters, []


def offset(width: int, narrow: int, start: int, elements: list[int]) -> tuple[bytes, bytes, list[bytes]]:
    """(the original, the parameters, the part) of integers plus a number."""
    original = b"".join(((start + x) % 256**width).to_bytes(width, "little") for x in elements)
    parameters = bytes((width.bit_length() - 1, narrow.bit_length() - 1)) + start.to_bytes(width, "little")
    return original, parameters, [plain_part(b"".join(x.to_bytes(narrow, "little") for x in elements))]


def leb128(width: int, values: list[int], unsigned: bool = False) -> tuple[bytes, bytes, list[bytes]]:
    """(the original, the parameters, the part) of signed LEB128."""
    original = bytearray()
    for value in values:
        v = value
        while not (v < 128 if unsigned else -64 <= v < 64):
            original.append(v & 127 | 128)
            v >>= 7
        original.append(v & 127)
    least = min(values)
    how = width.bit_length() - 1 | unsigned << 2
    parameters = bytes((how,)) + varint(len(values)) + (least % 2**64).to_bytes(8, "little")
    return bytes(original), parameters, [plain_part(b"".join((v - least).to_bytes(width, "little") for v in values))]


def scaled(dtype: int, how: int, group: int, offset: int, scales: list[float], codes: list[int]) -> tuple[bytes, ...]:
    """(the original, the parameters, the scales, the codes) of integers times scales. By numpy."""
    factors = np.repeat(np.array(scales, np.float32), group)[: len(codes)]
    with np.errstate(over="ignore", under="ignore"):
        x = (np.array(codes, np.int32) + offset).astype(np.float32) * factors
        x[(np.array(codes) == 255) & bool(how & 1)] = -0.0
        if dtype == 12:
            original = x.tobytes()
        elif dtype == 10:
            original = x.astype(np.float16).tobytes()
        else:
            bits = x.view(np.uint32)
            bits = bits if how & 2 else bits + 0x7FFF + (bits >> 16 & 1)
            original = (bits >> 16).astype(np.uint16).tobytes()
    parameters = bytes((dtype, how)) + varint(group) + (offset % 2**32).to_bytes(4, "little")
    return original, parameters, np.array(scales, np.float32).tobytes(), bytes(codes)


Held = tuple[int, ...]  # a field: its bytes, its part, bits, shift and run; and the bytes of a word, if not 1

#: A float, a bit of each code in runs of 1, four in runs of 16, as GGUF's Q5_0.
FIVES: list[Held] = [(2, 0, 8, 0, 1), (4, 1, 1, 4, 1), (16, 1, 4, 0, 16)]


def codes_raw(fields: list[Held]) -> bytes:
    """The parameters of transform 9."""
    out = bytes((len(fields),))
    for size, part, bits, shift, run, *word in fields:
        out += varint(size) + bytes((part | bits.bit_length() - 1 << 4 | 64 * len(word),))
        out += b"" if bits == 8 else bytes((shift,)) + varint(run)
        out += bytes(word)
    return out


def codes_parts(fields: list[Held], blocks: int, extra: int = 0) -> tuple[bytes, list[bytes]]:
    """(the original, the parts) of some blocks, whose codes take all values; ``extra`` is added to all codes."""
    counts = {part: size * 8 // bits for size, part, bits, *_ in fields}
    top = {part: sum(f[2] for f in fields if f[1] == part) for part in counts}
    parts = [
        bytes((7 * k + 11 * part) % 2 ** top[part] for k in range(blocks * counts[part])) for part in sorted(counts)
    ]
    original = bytearray()
    for i in range(blocks):
        for size, part, bits, shift, run, *words in fields:
            word, held = words[0] if words else 1, bytearray(size)
            for k in range(counts[part]):
                code = parts[part][i * counts[part] + k]
                if bits == 8:
                    held[k] = code
                    continue
                group, j = divmod(k, run * word * 8 // bits)
                low = bits * (j // run)  # of the word
                held[(group * run + j % run) * word + low // 8] |= (code >> shift) % 2**bits << low % 8
            original += held
    shown = [bytes(x + extra for x in part) if top[number] < 8 else part for number, part in enumerate(parts)]
    return bytes(original), [plain_part(part) for part in shown]


CODES: dict[str, tuple[str, list[Held]]] = {
    "5": ("nibbles in runs of 16, their high bits in runs of 1", FIVES),
    "6": (
        "nibbles in runs of 64, two high bits in runs of 32",
        [(128, 0, 4, 0, 64), (64, 0, 2, 4, 32), (16, 1, 8, 0, 1)],
    ),
    "3": (
        "high bits before low ones, and scales of two fields",
        [(32, 0, 1, 2, 32), (64, 0, 2, 0, 32), (8, 1, 4, 0, 8), (4, 1, 2, 4, 4), (2, 2, 8, 0, 1)],
    ),
    "8": (
        "codes of eight bits, in three fields",
        [(6, 0, 2, 4, 3), (3, 1, 8, 0, 1), (6, 0, 2, 6, 2), (12, 0, 4, 0, 6)],
    ),
    "7": ("three widths in runs of 1", [(8, 0, 4, 3, 1), (2, 0, 1, 2, 1), (4, 0, 2, 0, 1)]),
    "1": ("bits of one field alone", [(1, 0, 8, 0, 1), (16, 1, 1, 0, 8)]),
    "one": ("a field alone", [(12, 0, 4, 0, 1)]),
    "words": ("nibbles of words of four bytes, in runs of three", [(24, 0, 4, 0, 3, 4)]),
    "words-2": (
        "words of two and of eight bytes, among others",
        [(12, 0, 4, 0, 2, 2), (3, 1, 8, 0, 1), (16, 2, 2, 0, 2, 8), (8, 2, 1, 2, 1, 4)],
    ),
    "2": ("two parts of codes", [(6, 0, 2, 0, 6), (6, 1, 4, 0, 2)]),
}
MANY = list(range(5, 3005, 10))  # 300 values


def valid() -> Iterator[tuple[str, str, bytes, bytes]]:
    """(name, what it shows, the file, its original)."""
    yield "made-fields", "blocks of three fields", one(BLOCKS, 1, FIELDS, field_parts()), BLOCKS
    two = bytes(range(256)) * 2
    yield "made-fields-2", "blocks of two bytes", one(two, 1, b"\2\1\1", field_parts(two, (1, 1))), two
    sixteen = bytes(range(136)) * 3
    sizes = tuple(range(1, 17))
    shown = one(sixteen, 1, b"\x10" + bytes(sizes), field_parts(sixteen, sizes))
    yield "made-fields-16", "blocks of sixteen fields", shown, sixteen
    for width in (1, 2, 4, 8):
        top = 256**width - 1
        values = [0, 1, top // 3, top - 1, top]
        original, parameters, parts = palette(width, values, [4, 0, 3, 3, 1, 2, 0])
        yield f"made-palette-{width}", f"five values of {width} bytes", one(original, 2, parameters, parts), original
        original, parameters, parts = ramp(width, top - 2, 3, 9)
        yield (
            f"made-ramp-{width}",
            f"a ramp of {width} bytes that overflows",
            one(original, 3, parameters, parts),
            original,
        )
        original, parameters, parts = sparse(width, [0, 0, top, 0, 1, 0, 0, 0, 0, top - 1, 0])
        yield f"made-sparse-{width}", f"three of eleven, {width} bytes", one(original, 4, parameters, parts), original
    for width, narrow in ((1, 1), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 4), (8, 8)):
        original, parameters, parts = offset(width, narrow, 256**width - 3, [0, 1, 2, 3, 4, 256**narrow - 1])
        shows = f"integers of {width} bytes, {narrow} in the part, across zero"
        yield f"made-offset-{width}-{narrow}", shows, one(original, 5, parameters, parts), original
    for width in (1, 2, 4, 8):
        top = 256**width // 2
        values = [v for v in (0, -1, 63, 64, -64, -65, 127, 8191, 8192, -8192, -8193, top - 1, -top) if -top <= v < top]
        original, parameters, parts = leb128(width, values)
        shows = f"integers of {width} bytes in as few as each needs"
        yield f"made-leb128-{width}", shows, one(original, 7, parameters, parts), original
        values = [v for v in (0, 1, 127, 128, 255, 16383, 16384, 2**32, 2 * top - 1) if v < 2 * top]
        original, parameters, parts = leb128(width, values, True)
        yield f"made-leb128-{width}-unsigned", shows, one(original, 7, parameters, parts), original
    codes = [0, 1, 2, 3, 7, 100, 127, 128, 200, 254, 255]
    for dtype, name in ((10, "f16"), (11, "bf16"), (12, "f32")):
        for how in range(4 if dtype == 11 else 2):
            found = scaled(dtype, how, 4, -127, [0.0123, 3.0e-7, 700.0], codes)
            parts = [plain_part(part) for part in found[2:]]
            shows = f"{name} that were integers, {'with -0' if how & 1 else 'without -0'}{', rounded down' * (how > 1)}"
            yield f"made-scaled-{name}-{how}", shows, one(found[0], 8, found[1], parts), found[0]
    extremes = scaled(10, 0, 1, 1023, [0.0, -0.0, -2.5, 1e38, -3.0e38, 1e-40, 6e-8], [255, 0, 9, 9, 9, 9, 9])
    parts = [plain_part(part) for part in extremes[2:]]
    shows = "scales of 0, below it, and products that are infinite or denormal"
    yield "made-scaled-extremes", shows, one(extremes[0], 8, extremes[1], parts), extremes[0]
    for name, (shows, held) in CODES.items():
        original, parts = codes_parts(held, 3)
        yield f"made-codes-{name}", shows, one(original, 9, codes_raw(held), parts), original
    yield from valid_runs()
    original, parameters, parts = palette(2, [7], [0] * 5)
    yield "made-palette-one", "a palette of one value", one(original, 2, parameters, parts), original
    for count in (256, 257):
        values = list(range(3, 3 + 2 * count, 2))
        original, parameters, parts = palette(4, values, [*range(count), 0, count - 1])
        yield f"made-palette-{count}-values", f"{count} values", one(original, 2, parameters, parts), original
    original, parameters, parts = sparse(2, [9] * 8)
    yield "made-sparse-none-zero", "a mask of ones, to the last bit", one(original, 4, parameters, parts), original
    original, parameters, parts = ramp(4, 5, 0, 1)
    yield "made-ramp-one", "a ramp of one element", one(original, 3, parameters, parts), original


def valid_runs() -> Iterator[tuple[str, str, bytes, bytes]]:
    """Those of transform 10, as of ``valid``."""
    for code in range(5):
        top = 1 if code == 4 else 256 ** (1 << code) - 1
        for size in (1, 2):
            far = [0, top, 1, *[0] * 254, top, *[0] * 255, 1, *[0] * 256, top, *[0] * 600, 1, 0, 0, 0, 0, 0]
            original, parameters, parts = runs(code, size, far + [0] * (-len(far) % 8))
            shows = f"elements of {1 << code} bytes" if code < 4 else "bits"
            shows += f" far apart, numbers of {size}"
            yield f"made-runs-{code}-{size}", shows, one(original, 10, parameters, parts), original
    for code, elements in ((0, [5]), (0, [5] * 9), (3, [0, 0, 5]), (4, [1] * 8), (4, [0] * 7 + [1])):
        original, parameters, parts = runs(code, 1, elements)
        name = f"made-runs-{code}-{'all' if all(elements) else 'last'}-{len(elements)}"
        yield name, "no zeros behind the last", one(original, 10, parameters, parts), original
    original, parameters, parts = runs(0, 2, [0] * 65_534 + [1] + [0] * 65_535 + [2] + [0] * 131_070 + [3] + [0] * 9)
    yield "made-runs-long", "65,534, 65,535 and 131,070 zeros", one(original, 10, parameters, parts), original


def invalid_runs() -> Iterator[tuple[str, str, bytes, str]]:
    """Those of transform 10, as of ``invalid``."""
    original, parameters, parts = runs(1, 1, [0, 5, 0, 0, 7, 0])
    numbers, values = b"\1\2", b"\5\0\7\0"

    def broken(name: str, breaks: str, parameters: bytes, held: list[bytes] = parts, data: bytes = original):
        return f"made-runs-{name}", breaks, one(data, 10, parameters, held), "Corrupt"

    def with_numbers(name: str, breaks: str, numbers: bytes, others: int = 2, data: bytes = original):
        return broken(
            name, breaks, b"\1" + varint(len(numbers)) + varint(others), [plain_part(numbers), parts[1]], data
        )

    for how in (5, 7, 16, 128):
        yield broken(f"how-{how}", "a width or a bit that means nothing", bytes((how,)) + parameters[1:])
    yield broken("odd", "no whole number of elements", parameters, parts, original[:-1])
    yield broken("numbers-0", "no numbers", b"\1\0\2", [plain_part(b""), parts[1]])
    yield broken("others-0", "no elements", b"\1\2\0", [parts[0], plain_part(b"")])
    yield broken("others-3", "more elements than numbers", b"\1\2\3", [parts[0], plain_part(values + b"\1\0")])
    yield broken("others-1", "fewer elements than numbers below the top", b"\1\2\1", [parts[0], plain_part(values[:2])])
    yield broken("all", "more elements than there are", b"\1\3\3", [plain_part(bytes(3))] * 2, original[:4])
    yield with_numbers("top-last", "zeros behind the last element", b"\1\2\xff", 2, original + bytes(512))
    yield with_numbers("top-first", "zeros for more elements than there are", b"\xff\1\2")
    yield with_numbers("many", "an element behind the end", b"\1\4")
    yield with_numbers("two-tops", "fewer numbers below the top than elements", b"\xff\1", 2, original + bytes(512))
    zero = [parts[0], plain_part(b"\5\0\0\0")]
    yield broken("zero", "an element that is zero", parameters, zero, b"\0\0\5" + bytes(9))
    yield broken("part-missing", "no elements' part", parameters, parts[:1])
    bits, how, held = runs(4, 1, [0, 0, 1, 0, 0, 0, 0, 1])
    yield broken("bits-more", "a part of bits", how, [*held, plain_part(b"\1\1")], bits)
    yield broken("bits-many", "a bit behind the end", how, [plain_part(b"\2\5")], b"\4")
    yield broken("hash", "the hash of the bytes", parameters, [plain_part(numbers[::-1]), parts[1]])
    long = plain_part(bytes(8))
    yield broken("numbers-long", "numbers of 524,290 bytes", b"\x0c" + varint(262_145) + b"\1", [long], bits)


def invalid() -> Iterator[tuple[str, str, bytes, str]]:
    """(name, the rule that it breaks, the file, the error)."""
    corrupt, unsupported = "Corrupt", "Unsupported"

    def fields(
        name: str, breaks: str, parameters: bytes = FIELDS, parts: list[bytes] | None = None, data: bytes = BLOCKS
    ):
        found = one(data, 1, parameters, field_parts() if parts is None else parts)
        return f"made-{name}", breaks, found, corrupt

    for number in (0, 12, 127):
        yield f"made-transform-{number}", f"transform {number}", one(BLOCKS, number, FIELDS, field_parts()), unsupported
    parts = field_parts()
    yield fields("fields-1", "one field", b"\1\x0a", [plain_part(BLOCKS)])
    yield fields("fields-17", "17 fields", b"\x11" + b"\1" * 17, [plain_part(b"ab")] * 17, b"ab" * 17)
    yield fields("field-0", "a field without bytes", b"\3\2\0\x08")
    yield fields("field-65537", "a field of 65,537 bytes", b"\2\1\x81\x80\4")
    yield fields("no-blocks", "no whole number of blocks", b"\3\2\1\6")
    yield fields("part-missing", "the last part is missing", parts=parts[:2])
    yield fields("part-more", "a part more", parts=[*parts, parts[0]])
    yield fields("part-length", "a part of another length", parts=[parts[0], plain_part(b"abcd"), parts[2]])
    yield fields("part-short", "a part that ends within its plane", parts=[parts[0][:-1], *parts[1:]])
    yield fields("part-long", "a byte behind the plane of a part", parts=[parts[0] + b"\0", *parts[1:]])
    yield fields("part-hash", "the hash of a part", parts=[parts[0][:-1] + b"!", *parts[1:]])
    nested = made_body(b"abcdef", 3, b"\0\1\1", [])
    yield fields("part-made", "a part that is made of parts", parts=[nested, *parts[1:]])
    several = b"\x1e\0\0" + b"\x08\x08\1\xc0\0"
    long = one(BLOCKS * 2, 1, b"\2\5\5", [several, plain_part(bytes(30))])
    yield "made-part-chunks", "a part of several chunks", long, corrupt
    good = one(BLOCKS, 1, FIELDS, parts)
    at = good.index(w.hash64(BLOCKS))
    damaged = w.weft([(30, [made_body(BLOCKS, 1, FIELDS, parts)[:-1] + b"?"])], BLOCKS)
    assert at
    yield "made-hash", "the hash of the made bytes", damaged, corrupt
    behind = w.weft([(30, [made_body(BLOCKS, 1, FIELDS, parts) + b"\0"])], BLOCKS)
    yield "made-byte-behind", "a byte behind the hash", behind, corrupt
    chunk = w.weft([(30, [made_body(BLOCKS, 1, FIELDS, parts), b"\0" + bytes(8), b"\1" + bytes(8)])], BLOCKS)
    yield "made-chunk-records", "chunk records behind a made span", chunk, corrupt
    long_ramp = ramp(1, 0, 0, 524_289)
    yield "made-length", "a made span of 524,289 bytes", one(long_ramp[0], 3, *long_ramp[1:]), corrupt

    original, parameters, held = palette(4, [3, 5, 9], [0, 1, 2, 2])
    yield "made-width", "elements of 16 bytes", one(original, 2, b"\4" + parameters[1:], held), corrupt
    yield "made-elements", "no whole number of elements", one(original[:-1], 2, parameters, held), corrupt
    yield "made-palette-0", "a palette without values", one(original, 2, b"\2\0", held), corrupt
    yield "made-palette-65537", "a palette of 65,537 values", one(original, 2, b"\2\x81\x80\4", held), corrupt
    yield (
        "made-palette-number",
        "a number that no value has",
        one(original, 2, parameters, [held[0], plain_part(b"\0\1\2\3")]),
        corrupt,
    )
    for name, order in (("equal", [3, 3, 9]), ("order", [5, 3, 9]), ("last", [3, 9, 5])):
        _, _, wrong = palette(4, order, [0, 1, 2, 2])
        given = b"".join(order[k].to_bytes(4, "little") for k in (0, 1, 2, 2))
        yield f"made-palette-{name}", "values that do not ascend", one(given, 2, parameters, wrong), corrupt

    original, parameters, _ = ramp(4, 1, 2, 3)
    yield (
        "made-ramp-short",
        "a ramp without its step",
        w.weft([(12, [varint(12) + b"\2\x83" + parameters[:5]])], original),
        corrupt,
    )
    yield "made-ramp-part", "a part of a ramp", one(original, 3, parameters, [plain_part(b"a")]), corrupt

    original, parameters, held = sparse(2, [0, 5, 0, 0, 7, 0, 0, 0, 0, 0])
    yield (
        "made-sparse-0",
        "no element that is not zero",
        one(bytes(20), 4, b"\1\0", [plain_part(bytes(2)), held[1]]),
        corrupt,
    )
    yield "made-sparse-more", "more others than elements", one(original, 4, b"\1\x0b", held), corrupt
    for name, mask in (("few", b"\2\0"), ("many", b"\x13\0"), ("behind", b"\2\4"), ("padding", b"\x12\x80")):
        yield (
            f"made-sparse-mask-{name}",
            "a mask that does not fit",
            one(original, 4, parameters, [plain_part(mask), held[1]]),
            corrupt,
        )
    zero = b"\0\0\0\0" + bytes(4) + b"\0\0\7\0" + bytes(8)
    yield (
        "made-sparse-zero",
        "a masked element that is zero",
        one(zero, 4, parameters, [held[0], plain_part(b"\0\0\7\0")]),
        corrupt,
    )

    original, parameters, held = offset(4, 2, 7, [1, 2, 3, 400])
    shows = "a part of wider elements than the span has"
    yield "made-offset-wider", shows, one(original, 5, b"\2\3" + parameters[2:], held), corrupt
    shows = "a part of another width than is said"
    yield "made-offset-part", shows, one(original, 5, b"\2\0" + parameters[2:], held), corrupt
    yield (
        "made-offset-short",
        "an offset cut short",
        w.weft([(16, [varint(16) + b"\2\x85" + parameters[:4]])], original),
        corrupt,
    )

    yield from invalid_codes()
    yield from invalid_runs()

    original, parameters, held = leb128(2, [5, 300, -7])
    yield "made-leb128-width", "a bit that means nothing", one(original, 7, b"\x09" + parameters[1:], held), corrupt
    yield "made-leb128-0", "no integers", one(original, 7, b"\1\0" + bytes(8), [plain_part(b"")]), corrupt
    many = [plain_part(bytes(10))]
    yield "made-leb128-many", "more integers than bytes", one(original, 7, b"\1\5" + bytes(8), many), corrupt
    for name, values, breaks in (("short", [5, 300], "fewer"), ("long", [5, 300, -700], "more")):
        _, other, wrong = leb128(2, values)
        yield (
            f"made-leb128-{name}",
            f"integers of {breaks} bytes than the span",
            one(original, 7, other, wrong),
            corrupt,
        )
    padded, given, more = b"\5\x80\0", *leb128(2, [5, 0], True)[1:]
    yield "made-leb128-padded", "an unsigned integer of more bytes than it needs", one(padded, 7, given, more), corrupt
    wordy = b"\5\xac\2\xf9\x7f"
    yield "made-leb128-wordy", "an integer of more bytes than it needs", one(wordy, 7, parameters, held), corrupt

    original, parameters, scales, codes = scaled(12, 0, 2, -5, [0.5, 0.25], [1, 2, 3, 4])
    held = [plain_part(scales), plain_part(codes)]

    def wrong(name: str, breaks: str, parameters: bytes, parts: list[bytes] = held) -> tuple[str, str, bytes, str]:
        return f"made-scaled-{name}", breaks, one(original, 8, parameters, parts), corrupt

    for dtype in (0, 9, 13, 15, 200):
        yield wrong(f"type-{dtype}", "another type", bytes((dtype,)) + parameters[1:])
    yield wrong("how-4", "a bit that means nothing", b"\x0c\4" + parameters[2:])
    yield wrong("how-2", "F32 rounded towards zero", b"\x0c\2" + parameters[2:])
    yield wrong("group-0", "groups of nothing", b"\x0c\0\0" + parameters[3:])
    yield wrong("group-5", "a group of more elements than there are", b"\x0c\0\5" + parameters[3:])
    yield wrong("group-1", "fewer scales than groups", b"\x0c\0\1" + parameters[3:])
    for added in (1024, -1025, -(2**31)):
        raw = (added % 2**32).to_bytes(4, "little")
        yield wrong(f"offset-{added % 2**32}", "an offset out of range", parameters[:3] + raw)
    for bits, name in ((0x7F800000, "infinite"), (0xFF800000, "minus-infinite"), (0x7FC00000, "nan")):
        parts = [plain_part(scales[:4] + bits.to_bytes(4, "little")), held[1]]
        yield wrong(f"scale-{name}", "a scale that is no number", parameters, parts)
    yield wrong("codes-missing", "no codes", parameters, held[:1])
    odd = one(original[:-1], 8, parameters, held)
    yield "made-scaled-odd", "no whole number of elements", odd, corrupt


def invalid_codes() -> Iterator[tuple[str, str, bytes, str]]:
    """Those of transform 9, as of ``invalid``."""
    original, parts = codes_parts(FIVES, 2)

    def broken(name: str, breaks: str, parameters: bytes, held: list[bytes] = parts, data: bytes = original):
        return f"made-codes-{name}", breaks, one(data, 9, parameters, held), "Corrupt"

    def changed(name: str, breaks: str, number: int, field: Held):
        return broken(name, breaks, codes_raw([*FIVES[:number], field, *FIVES[number + 1 :]]))

    yield broken("fields-0", "no fields", codes_raw([]), [])
    many = [plain_part(bytes(4))] + [plain_part(bytes(2))] * 16
    yield broken("fields-17", "17 fields", codes_raw([(1, k, 8 if k else 4, 0, 1) for k in range(17)]), many, bytes(34))
    yield changed("field-0", "a field without bytes", 0, (0, 0, 8, 0, 1))
    yield changed("field-65537", "a field of 65,537 bytes", 0, (65_537, 0, 8, 0, 1))
    yield broken("place", "bits above the width of a field's codes", codes_raw(FIVES).replace(b"\2\x30", b"\2\x70"))
    yield changed("shift", "four bits from bit 5 of a code on", 2, (16, 1, 4, 5, 16))
    yield changed("run-0", "a run of no bytes", 2, (16, 1, 4, 0, 0))
    yield changed("run-3", "a field that is no whole number of runs", 2, (16, 1, 4, 0, 3))
    yield changed("run-32", "a run longer than its field", 2, (16, 1, 4, 0, 32))
    yield changed("words-8", "words of a field of bytes", 0, (2, 0, 8, 0, 1, 2))
    for word in (0, 1, 3, 16):
        yield changed(f"words-of-{word}", f"words of {word} bytes", 2, (16, 1, 4, 0, 1, word))
    yield changed("words-run", "a field that is no whole number of runs of words", 2, (16, 1, 4, 0, 8, 4))
    yield changed("part", "a number of a part before the one below it", 0, (2, 2, 8, 0, 1))
    yield changed("overlap", "two fields with the same bit of a code", 1, (4, 1, 1, 3, 1))
    yield changed("gap", "codes that lack a bit", 1, (4, 1, 1, 5, 1))
    lifted = codes_raw([FIVES[0], (4, 1, 1, 5, 1), (16, 1, 4, 1, 16)])
    yield broken("low", "codes that lack their lowest bit", lifted)
    yield changed("count", "fields of a part with unequally many codes", 1, (2, 1, 1, 4, 1))
    yield changed("blocks", "no whole number of blocks", 0, (3, 0, 8, 0, 1))
    bytes_only = [(2, 0, 8, 0, 1), (20, 1, 8, 0, 1)]
    whole = [plain_part(original[:2] + original[22:24]), plain_part(original[2:22] + original[24:])]
    yield broken("none", "no field with less than a byte of its codes", codes_raw(bytes_only), whole)
    yield broken("part-missing", "the last part is missing", codes_raw(FIVES), parts[:1])
    yield broken("part-more", "a part more", codes_raw(FIVES), [*parts, parts[0]])
    yield broken("part-length", "a part of too few codes", codes_raw(FIVES), [parts[0], plain_part(bytes(63))])
    _, high = codes_parts(FIVES, 2, 32)
    yield broken("bits", "a code with a bit that none of its fields has", codes_raw(FIVES), [parts[0], high[1]])
    last = [parts[0], plain_part(bytes(63) + b"\x20")]
    yield broken("bits-last", "the last code alone has such a bit", codes_raw(FIVES), last, bytes(44))
    ones = [(1, 0, 1, 0, 1), (1, 1, 8, 0, 1)]
    data = bytes(2 * 65_537)
    zeros = [
        varint(n) + b"\0\0\x08" + varint(n + 7 & ~7) + b"\1\xc0\0" + w.hash64(bytes(n)) + b"\1\0"
        for n in (8 * 65_537, 65_537)
    ]
    long = one(data, 9, codes_raw(ones), zeros)
    yield "made-codes-long", "a part of 524,296 codes", long, "Corrupt"
