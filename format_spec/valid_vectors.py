"""The vectors that a decoder must read: what today's encoder writes of all kinds of originals, and files by hand.

Each is a Valid; make_vectors.py writes them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import NamedTuple

import column_vectors
import copy_vectors
import delta_vectors
import lent_vectors
import made_vectors
import naive_writer as w
import numpy as np
import originals as o
from naive_writer import Chunk, Plane, Span

import codec
from codec import structure

LEVELS = ("fast", "default", "max")
TYPES = (
    "BOOL U8 I8 U16 I16 U32 I32 U64 I64 F16 BF16 F32 F64 C64 F8_E4M3 F8_E5M2 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ "
    "F6_E2M3 F6_E3M2 F4"
).split()


class Valid(NamedTuple):
    """One file and what it decodes to. ``large``: too much for a decoder in plain Python."""

    name: str
    shows: str
    blob: bytes
    original: bytes
    large: bool = False


def slug(dtype: str) -> str:
    return dtype.lower().replace("_", "-")


def array(
    name: str,
    shows: str,
    data: bytes,
    dtype: str | None,
    shape: tuple[int, ...] | None = None,
    level: str = "default",
    large: bool = False,
) -> Valid:
    """Made in memory: no digest."""
    return Valid(name, shows, codec.compress(data, dtype, shape, level), data, large)


def file(name: str, shows: str, original: bytes, level: str = "default") -> Valid:
    """Written as to a pipe: with its SHA-256."""
    out = io.BytesIO()
    codec.compress_file(io.BytesIO(original), out, level=level)
    return Valid(name, shows, out.getvalue(), original)


# ---- Element types and numbers ------------------------------------------------------------------------------------


def weights() -> Iterator[Valid]:
    for dtype, count in (("BF16", 3000), ("F16", 2500), ("F32", 1500), ("F64", 700), ("C64", 600)):
        for level in LEVELS:
            data = o.floats(dtype, 2 * count if dtype == "C64" else count, 10, 50)
            yield array(
                f"weights-{slug(dtype)}-{level}", f"{dtype} like weights, level {level}", data, dtype, None, level
            )


def types() -> Iterator[Valid]:
    for k, dtype in enumerate(TYPES):
        bits = o.bits_of(dtype)
        if dtype in o.FLOATS:
            data = o.floats(dtype, 280 if dtype == "C64" else 140, 20 + k)
        elif dtype == "BOOL":
            data = o.steps(140, 20 + k, 8, 1)
        elif bits < 8 or dtype == "F8_E8M0":
            data = o.geometric(140 * bits // 8, 20 + k, 7)
        else:
            data = o.steps(140, 20 + k, bits, 9 if bits == 8 else 300)
        made = o.safetensors({"w": (dtype, (7, 20), data)})
        level = LEVELS[k % 3]
        yield file(f"type-{slug(dtype)}", f"a safetensors file with a tensor of {dtype}, level {level}", made, level)


def special_numbers() -> Iterator[Valid]:
    for dtype in ("BF16", "F16", "F32", "F64"):
        exponent, mantissa = o.FLOATS[dtype]
        bits, one = 1 + exponent + mantissa, 1 << mantissa
        top, sign = (1 << exponent) - 1, 1 << exponent + mantissa
        name, infinity = slug(dtype), top << mantissa
        nans = [infinity | p for p in (1, 2, 3, one // 2, one // 2 + 1, one - 1)]
        tiny = [1, 2, one - 1, one, one + 1]
        all_of = [0, infinity, infinity - 1, *nans, *tiny]
        special = o.numbers([x | s for x in all_of for s in (0, sign)], bits)
        data = o.floats(dtype, 400, 60) + special + o.floats(dtype, 400, 61)
        for level in ("fast", "max"):
            what = "NaN payloads of both signs, infinities, denormals, -0.0 among weights"
            yield array(f"special-{name}-{level}", f"{dtype}: {what}", data, dtype, None, level)
        yield array(
            f"nans-{name}",
            f"{dtype}: nothing but NaNs, of many payloads",
            o.numbers([infinity | 1 + 7 * k % (one - 1) | sign * (k % 3 == 0) for k in range(200)], bits),
            dtype,
        )
        yield array(
            f"denormals-{name}",
            f"{dtype}: nothing but denormals",
            o.numbers([1 + 11 * k % (one - 1) | sign * (k % 2) for k in range(200)], bits),
            dtype,
        )
        yield array(
            f"zeros-{name}",
            f"{dtype}: 0.0 and -0.0",
            o.numbers([sign * (x > 2) for x in o.geometric(300, 62)], bits),
            dtype,
        )
        yield array(
            f"constant-{name}",
            f"{dtype}: 1,000 times -0.5",
            o.numbers([sign | (1 << exponent - 1) - 2 << mantissa] * 1000, bits),
            dtype,
        )
        yield array(f"negative-zero-{name}", f"{dtype}: nothing but -0.0", o.numbers([sign] * 100, bits), dtype)


def all_patterns() -> Iterator[Valid]:
    for dtype in ("BF16", "F16"):
        for level in LEVELS:
            yield array(
                f"patterns-{slug(dtype)}-{level}",
                f"all 65,536 patterns of {dtype}, in order, level {level}",
                o.patterns(16),
                dtype,
                (256, 256),
                level,
            )
        yield array(
            f"patterns-{slug(dtype)}-shuffled",
            f"all 65,536 patterns of {dtype}, shuffled",
            o.shuffled(o.patterns(16), 2, 70),
            dtype,
        )
    for dtype in ("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "U8", "F4", "F6_E2M3", "F6_E3M2"):
        data = o.patterns(8) + (o.shuffled(o.patterns(8), 1, 71) + bytes(256) if o.bits_of(dtype) != 8 else b"")
        yield array(f"patterns-{slug(dtype)}", f"{dtype}: all 256 bytes", data, dtype)


def integers() -> Iterator[Valid]:
    for k, (dtype, most) in enumerate((("I8", 20), ("U16", 3000), ("I32", 100_000), ("I64", 5_000_000))):
        bits = o.bits_of(dtype)
        data = o.steps(400, 80 + k, bits, most)
        yield array(f"integers-{slug(dtype)}", f"{dtype}: small numbers, so that upper bytes are constant", data, dtype)
    yield array(
        "integers-negative",
        "I32: -1 and -2: upper bytes are constant, not 0",
        o.numbers([-1 - x for x in o.steps(200, 85, 8, 1)], 32),
        "I32",
    )
    yield array(
        "integers-i64-constant", "I64: one number, so no planes at all", o.numbers([-123456789012] * 99, 64), "I64"
    )


# ---- Sizes ------------------------------------------------------------------------------------------------------


def sizes() -> Iterator[Valid]:
    yield array("empty", "an empty original, no digest", b"", None)
    yield file("empty-file", "an empty original, with its SHA-256", b"")
    for dtype in ("BF16", "F32"):
        yield array(f"empty-{slug(dtype)}", f"a tensor of {dtype} without elements", b"", dtype)
    for n in (1, 2, 3):
        yield array(f"opaque-{n}-bytes", f"opaque, {n} bytes", bytes(range(65, 65 + n)), None)
    for dtype in ("U8", "BF16", "F32", "F64", "C64"):
        one = o.noise(o.bits_of(dtype) // 8, 90)
        yield array(f"one-{slug(dtype)}", f"one element of {dtype}, 1 dimension", one, dtype, (1,))
        yield array(f"scalar-{slug(dtype)}", f"one element of {dtype}, no dimensions", one, dtype, ())
    for dtype, extra in (("BF16", 1), ("F32", 3), ("F64", 7), ("C64", 4), ("F6_E2M3", 2)):
        whole = o.noise(3 if o.bits_of(dtype) == 6 else 2 * o.bits_of(dtype) // 8, 91)
        yield array(
            f"ragged-{slug(dtype)}",
            f"{dtype}, with {extra} bytes behind the last element",
            whole + b"\1\2\3\4\5\6\7"[:extra],
            dtype,
        )
        less = b"\1\2\3\4\5\6\7"[:extra]
        yield array(f"less-than-one-{slug(dtype)}", f"{extra} bytes, less than one element of {dtype}", less, dtype)
    for n in (7, 8, 9):
        yield array(f"tile-least-{n}", f"{n} elements: a tile has at least 8", o.floats("BF16", n, 92), "BF16")
    for n in (4095, 4096, 4097, 8191, 8192, 8193):
        yield array(
            f"tile-{n}",
            f"{n} elements of BF16 in tiles of 4,096",
            o.shuffled(o.numbers([0x3F80] * (n - 300) + [0xBF80] * 200 + [0x3F00] * 100, 16), 2, 93),
            "BF16",
        )
    for shape in ((3, 257), (40, 9), (2, 5000), (3, 5, 7, 3), (1, 1, 500)):
        n = 1
        for d in shape:
            n *= d
        written = "-".join(map(str, shape))
        yield array(
            f"rows-{written}",
            f"F16 of shape {shape}: tiles of rows",
            o.numbers([0x3C00 - x - 512 * (k * shape[0] // n % 3) for k, x in enumerate(o.geometric(n, 94))], 16),
            "F16",
            shape,
        )


def lanes() -> Iterator[Valid]:
    for n in (2047, 2048, 2049, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073):
        data = o.rare(n, 100, 16)
        yield array(f"lanes-rans-{n}", f"U8, a plane of {n} bytes in stage 2: 1, 4, 16, 64 or 128 lanes", data, "U8")
        yield array(f"lanes-huffman-{n}", f"U8, a plane of {n} bytes in stage 3", o.rare(n, 101, 8), "U8", None, "fast")
    for n in (2047, 2048, 16_383, 16_384, 65_535, 65_536, 131_072):  # the last says that it has 64
        tile = 8 if n < 65_000 else 4096
        data = o.rare(n, 102, 64)
        tables = [w.fitted(2, data)]
        span = Span(
            [Plane(0, 8, 2, tables)], [Chunk([list(data)], [2])], tile=tile, chunk=max(n, 65_536) // tile * tile
        )
        yield by_hand(f"lanes-{n}-tiles-of-{tile}", f"{n} bytes in stage 2, in tiles of {tile}", span)
    # Of 16,400 bytes one tile is dropped, so that 4 lanes are left.
    values = [o.rare(16_400, 103, 64), o.rare(16_400, 104, 64)]
    drops = [0] * 1025
    drops[7], drops[8] = 1, 1
    planes = [Plane(8 * p, 8, 2, [w.fitted(2, v)]) for p, v in enumerate(values)]
    chunk = Chunk([list(v) for v in values], [2, 2], drops, 4)
    yield by_hand(
        "lanes-after-drops",
        "16,400 elements; a plane of 16 lanes, and one of 4, since it lacks two tiles",
        Span(planes, [chunk], width=2, tile=16, drops=True),
    )


def chunks_and_spans() -> Iterator[Valid]:
    for n in (524_287, 524_288, 524_289):
        yield array(f"chunk-u8-{n}", f"U8, {n} bytes: one chunk, or one and a byte", o.rare(n, 110, 256), "U8")
    for n in (262_143, 262_144, 262_145):
        data = bytearray(o.numbers([0x3F80], 16) * n)
        data[-2:] = b"\1\2"
        what = f"BF16, {n} elements: one chunk, or one and an element"
        yield array(f"chunk-bf16-{n}", what, bytes(data), "BF16", None, "fast")
    for n in (65_535, 65_536, 65_537):
        data = o.numbers([1 << 62], 64) * (n - 1) + o.numbers([n], 64)
        yield array(f"chunk-i64-{n}", f"I64, {n} elements: one chunk, or one and an element", data, "I64")
    data = b"\0\x3f" * 600_000 + b"\x41\x7f" * 3
    yield array("chunks-3", "BF16 in three chunks, with escapes in one", data, "BF16")
    data = o.numbers([0x3F800000], 32) * 140_000 + o.numbers([0xBF800000], 32) * 140_000
    yield array("chunks-f32-rows", "F32 of shape (400, 700) in three chunks of whole rows", data, "F32", (400, 700))
    for n in ((1 << 20) - 1, 1 << 20, (1 << 20) + 1):
        yield array(f"span-{n}", f"I64, {n} elements: a span has 8 MiB at most", o.numbers([7], 64) * n, "I64")
    data = bytes((8 << 20) + 6)
    yield array("span-bf16-zeros", "BF16, 8 MiB and 3 elements, all 0.0", data, "BF16", large=True)
    what = "F32 of shape (2100, 1000): a span ends with a row"
    yield array("span-rows", what, bytes(8_400_000), "F32", (2100, 1000), large=True)
    data = o.numbers([0xBFE << 52], 64) * ((2 << 20) + 1)
    yield array("spans-3", "F64, 16 MiB and an element: three spans", data, "F64", large=True)
    yield file("spans-opaque", "opaque, 1 MiB and 5 bytes: two spans", b"\x55" * ((1 << 20) + 5))


# ---- What an encoder makes use of ---------------------------------------------------------------------------------


def features() -> Iterator[Valid]:
    outliers = {}
    for dtype, count, huge in (("BF16", 2000, b"\x41\x7f"), ("F64", 400, b"\1\2\3\4\5\6\7\x7f")):
        data = bytearray(o.floats(dtype, count, 120))
        for k in range(300 * len(huge), len(data), 400 * len(huge)):
            data[k : k + len(huge)] = huge
        outliers[dtype] = bytes(data)
    bf16 = o.floats("BF16", 1000, 121)
    wide = b"".join(b"\0\0" + bf16[k : k + 2] for k in range(0, len(bf16), 2))
    x = np.frombuffer(o.floats("F32", 11 * 256, 122), "<u4").reshape(11, 256)
    mixed = np.where(np.arange(11)[:, None] % 3 > 0, x & np.uint32(0xFFFFE000), x).tobytes()
    for level in LEVELS:
        what = "BF16 with a few huge numbers, which the window reaches"
        yield array(f"outliers-bf16-{level}", what, outliers["BF16"], "BF16", None, level)
        what = "F64 with a huge number, more than a window away"
        yield array(f"outliers-f64-{level}", what, outliers["F64"], "F64", None, level)
        yield array(f"f32-from-bf16-{level}", "F32 that holds BF16: constant bits", wide, "F32", None, level)
        what = "F32; two rows in three hold F16: drops"
        yield array(f"drops-rows-{level}", what, mixed, "F32", (11, 256), level)
    palette = [int.from_bytes(o.noise(4, 123 + k), "little") for k in range(16)]
    yield array(
        "palette", "F32: 16 different numbers", o.numbers([palette[x] for x in o.geometric(900, 130, 15)], 32), "F32"
    )
    pruned = bytearray(o.floats("F16", 2000, 131))
    for k, x in enumerate(o.geometric(2000, 132)):
        if x == 0:
            pruned[2 * k : 2 * k + 2] = bytes(2)
    yield array("pruned", "F16, half of it 0.0", bytes(pruned), "F16")
    for level in LEVELS:
        scales = b"".join(
            o.numbers([0x3F80 - 600 * (r * r % 16) - 128 * x for x in o.geometric(512, 140 + r)], 16) for r in range(32)
        )
        yield array(f"scales-{level}", "BF16, 32 rows of many scales: several tables", scales, "BF16", (32, 512), level)
    yield array("repeats", "F32 that repeats: zstd", o.floats("F32", 100, 150) * 20, "F32", None, "max")


def opaque() -> Iterator[Valid]:
    text = b"again and again, " * 60 + b"and not quite again. " * 20
    for level in LEVELS:
        yield file(f"text-{level}", f"opaque text, level {level}", text, level)
    yield file("noise", "opaque, incompressible", o.noise(3000, 160))
    yield file("zeros", "opaque, 100,000 zero bytes", bytes(100_000))
    yield file("bytes", "opaque, all 256 bytes", o.patterns(8))
    for width, extra in ((2, 1), (4, 3), (4, 1)):
        data = o.steps(3000, 161, 8 * width, 200) + bytes(range(extra))
        yield file(
            f"opaque-width-{width}-{extra}",
            f"opaque, coded in elements of {width} bytes; {extra} behind the last",
            data,
        )
    yield file("weft-in-weft", "the original is itself a weft file", codec.compress(b"inner" * 9))


def safetensors_files() -> Iterator[Valid]:
    a, b = o.floats("BF16", 300, 170), o.floats("F32", 50, 171)
    two: o.Tensors = {"a": ("BF16", (15, 20), a), "b": ("F32", (50,), b)}
    yield file("st-metadata", "safetensors with metadata", o.safetensors(two, {"format": "pt", "é": "ü\n"}))
    yield file("st-header-order", "the header lists the tensors in another order", o.safetensors(two, None, ["b", "a"]))
    yield file("st-none", "safetensors without tensors", o.safetensors({}))
    yield file("st-none-metadata", "safetensors with metadata alone", o.safetensors({}, {"only": "this"}))
    yield file(
        "st-empty-tensors",
        "tensors without elements before, between and behind others",
        o.safetensors(
            {
                "0": ("F32", (0,), b""),
                "a": two["a"],
                "m": ("U8", (3, 0, 4), b""),
                "b": two["b"],
                "z": ("I64", (0, 0), b""),
            }
        ),
    )
    yield file(
        "st-scalars",
        "tensors without dimensions",
        o.safetensors({"f": ("F32", (), b"\0\0\x80\x3f"), "i": ("I64", (), bytes(8)), "b": ("BOOL", (), b"\1")}),
    )
    names = ["", " ", "a/b", "..", "层.0.权重", "🧵" * 20, "x" * 300, "tab\there", 'quote"\\', "\u0000nul"]
    yield file(
        "st-names",
        "names: empty, of Unicode, of control characters, long",
        o.safetensors({n: ("U8", (2,), bytes((k, k))) for k, n in enumerate(names)}),
    )
    yield file(
        "st-many",
        "120 tensors of a few numbers; the index is coded by zstd",
        o.safetensors({f"layer.{k}.weight": ("F16", (4, 4), o.floats("F16", 16, 200 + k)) for k in range(120)}),
    )
    yield file("st-tied", "two tensors of the same bytes", o.safetensors({"in": two["a"], "out": two["a"]}))
    sound = o.safetensors(two)
    yield file("st-not-parsed", "a header with a key twice: opaque", sound.replace(b'"b":{', b'"a":{'))
    yield file("st-trailing", "bytes behind the last tensor: opaque", sound + b"more")
    yield file("st-cut", "a safetensors file cut off within a tensor", sound[:-7])
    yield file("st-header-alone", "a header whose tensors are missing", sound[: len(sound) - len(a) - len(b)])


# ---- By hand: what the format allows, whether an encoder writes it or not -----------------------------------------


def by_hand(name: str, shows: str, *spans: Span, **options: object) -> Valid:
    original = b"".join(w.original_of(span, chunk) for span in spans for chunk in span.chunks)
    blob = w.weft([w.bodies(span) for span in spans], original, **options)  # type: ignore[arg-type]
    return Valid(name, shows, blob, original)


def below(count: int, seed: int, most: int) -> list[int]:
    """Values 0 to ``most``, small ones likelier."""
    return list(o.steps(count, seed, 8, most))


def planes_by_hand() -> Iterator[Valid]:
    for bits in (1, 2, 4, 8):
        for stage, name in enumerate(("stored", "constant", "rans", "huffman", "zstd")):
            values = [(1 << bits) - 1] * 96 if stage == 1 else below(100, 300 + bits, (1 << bits) - 1)
            tile = 32 if stage == 1 else 33
            plane = Plane(8 - bits, bits)
            span = Span([plane], [Chunk([values], [stage])], tile=tile, chunk=tile * 4)
            if stage in (2, 3):
                plane.stage = stage
                plane.tables = [w.fitted(stage, b"".join(w.plane_tiles(span, span.chunks[0], 0)))]
            yield by_hand(
                f"plane-{bits}-{name}", f"a plane of {bits} bits, {name}; its tiles have {tile} elements", span
            )
    for width in (1, 2, 4, 8):
        bits = 8 * width
        values = [below(20, 310 + p, 255) for p in range(width)]
        for name, fold in (("0", 0), ("middle", bits // 2 - 1), ("top", bits - 1)):
            yield by_hand(
                f"fold-{bits}-{name}",
                f"elements of {bits} bits, the sign at bit {fold}",
                Span([Plane(8 * p) for p in range(width)], [Chunk(values, [0] * width)], width, fold=fold),
            )
    for bits in (1, 2, 4, 8):
        count = 64 // bits
        values = [below(19, 320 + p, (1 << bits) - 1) for p in range(count)]
        yield by_hand(
            f"planes-{count}-of-{bits}",
            f"{count} planes of {bits} bits: an element of 64",
            Span([Plane(bits * p, bits) for p in range(count)], [Chunk(values, [0] * count)], 8, tile=9, chunk=27),
        )
    values = [below(40, 330, 1), below(40, 331, 3), below(40, 332, 15), below(40, 333, 255)]
    planes = [Plane(1, 1), Plane(5, 2), Plane(9, 4), Plane(20, 8)]
    for name, constant in (("gaps", None), ("gaps-constant", 0xE0000003), ("constant-over-planes", 0x00F00222)):
        yield by_hand(
            f"planes-{name}",
            "planes of all widths with gaps between them; "
            + ("those bits are 0" if constant is None else f"constant {constant:08x}"),
            Span(planes, [Chunk(values, [0] * 4)], 4, tile=16, chunk=48, constant=constant),
        )
    for width in (1, 2, 4, 8):
        nothing = Chunk([], [], elements=50)
        yield by_hand(
            f"no-planes-{8 * width}",
            f"no planes, and constant bits of {8 * width}",
            Span([], [nothing], width, constant=0x8877665544332211 % (1 << 8 * width)),
        )
    yield by_hand(
        "no-planes-no-bits", "neither planes nor constant bits: zeros", Span([], [Chunk([], [], elements=50)])
    )
    chunk = Chunk([], [], elements=524_288 // 8)
    yield by_hand(
        "no-planes-chunk",
        "no planes, a whole chunk of 524,288 bytes and 7 of tail",
        Span(
            [],
            [Chunk([], [], elements=65_536, tail=b"7 bytes")],
            8,
            constant=1 << 63,
            tile=16_384,
            chunk=chunk.elements,
        ),
    )
    yield by_hand(
        "other-width",
        "the layout's element is not that of the type: F4 in elements of 4 bytes",
        Span([Plane(0, 8), Plane(16, 8)], [Chunk([below(9, 334, 9), below(9, 335, 9)], [0, 0])], 4, dtype=22),
        tensors=w.listed_tensors([("packed", 22, (8, 9), 0, 1)]),
    )


def windows_by_hand() -> Iterator[Valid]:
    values = below(40, 340, 9)
    for name, window, width, shift, what in (
        ("0", 0, 1, 0, "a window of 0"),
        ("1", 1, 1, 0, "a window of 1"),
        ("top", 250, 2, 8, "9 + 250 is more than 8 bits: what lies above the element is discarded"),
        ("65535", 65_535, 4, 8, "the largest window: its bits reach above the plane's 8"),
        ("beyond", 100, 2, 12, "the last plane begins 4 bits below the end of the element"),
        ("beyond-1", 3, 1, 7, "the last plane begins at the element's last bit"),
    ):
        yield by_hand(f"window-{name}", what, Span([Plane(shift)], [Chunk([values], [0])], width, window=window))
    yield by_hand(
        "window-fold",
        "window and fold, as for floats",
        Span(
            [Plane(0, 4), Plane(4, 2), Plane(6, 1), Plane(8)],
            [Chunk([below(40, 341, 15), below(40, 342, 3), below(40, 343, 1), values], [0] * 4)],
            2,
            tile=8,
            fold=7,
            window=110,
        ),
    )
    yield by_hand(
        "window-constant",
        "constant bits under the field that the window moves",
        Span([Plane(8)], [Chunk([values], [0])], 2, window=16, constant=0x0180),
    )


def escapes_by_hand() -> Iterator[Valid]:
    rest, symbols = below(30, 350, 255), [1 + x for x in below(30, 351, 6)]

    def span(escapes: dict[int, int], **more: object) -> Span:
        held = [0 if k in escapes else v for k, v in enumerate(symbols)]
        return Span(
            [Plane(0), Plane(8)],
            [Chunk([rest, held], [0, 0], escapes=escapes)],
            2,
            tile=8,
            chunk=32,
            escapes=True,
            **more,
        )  # type: ignore[arg-type]

    yield by_hand("escapes-none", "escapes are announced, and there are none", span({}))
    yield by_hand("escapes-ends", "the first and the last element escape", span({0: 200, 29: 255}))
    yield by_hand("escapes-all", "every element escapes", span({k: 1 + 8 * k for k in range(30)}))
    yield by_hand(
        "escapes-window", "escapes beside a window, to which it is not added", span({3: 1, 4: 255}, window=100)
    )
    yield by_hand("escapes-beyond", "an escape of 65,535: what lies above the element is discarded", span({7: 65_535}))
    yield by_hand(
        "escapes-constant", "an escape over constant bits, and a fold", span({7: 0x81}, constant=0x4200, fold=7)
    )
    yield by_hand(
        "escapes-one-plane",
        "one plane, and escapes into it",
        Span([Plane(2, 2)], [Chunk([[1, 2, 3, 0, 1, 0, 2, 3, 3]], [0], escapes={3: 9, 5: 63})], tile=9, escapes=True),
    )
    two = [Chunk([rest[:8], [0, *symbols[1:8]]], [0, 0], escapes={0: 77}), Chunk([rest[8:13], symbols[8:13]], [0, 0])]
    yield by_hand(
        "escapes-chunks",
        "escapes in the first of two chunks",
        Span([Plane(0), Plane(8)], two, 2, tile=8, chunk=8, escapes=True),
    )
    yield by_hand(
        "escapes-drops",
        "escapes in tiles that lack the lowest plane",
        Span(
            [Plane(0), Plane(8)],
            [
                Chunk(
                    [rest, [0 if k in (2, 20) else v for k, v in enumerate(symbols)]],
                    [0, 0],
                    [1, 0, 1, 2],
                    escapes={2: 9, 20: 300},
                )
            ],
            2,
            tile=8,
            chunk=32,
            escapes=True,
            drops=True,
        ),
    )


def drops_by_hand() -> Iterator[Valid]:
    values = [below(50, 360, 1), below(50, 361, 15), below(50, 362, 255)]
    planes = [Plane(0, 1), Plane(4, 4), Plane(8)]
    for name, drops, stage, what in (
        ("none", [0, 0, 0, 0], 1, "drops of 0, constant"),
        ("constant", [2, 2, 2, 2], 1, "all tiles lack two planes, constant"),
        ("stored", [0, 3, 1, 2], 0, "of each number, stored"),
        ("zstd", [1, 0, 0, 2], 4, "by zstd"),
        ("pair", [3, 0, 0, 3], 5, "two values, 0 and 3"),
        ("pair-others", [1, 2, 2, 1], 5, "two values, 1 and 2"),
        ("last", [0, 0, 0, 3], 0, "the last tile, which is shorter, lacks all"),
        ("but-last", [3, 3, 3, 0], 0, "only the last tile, which is shorter, is there"),
    ):
        yield by_hand(
            f"drops-{name}",
            f"drops: {what}",
            Span(
                planes,
                [Chunk(values, [int(min(drops) > p) for p in range(3)], drops, stage)],
                2,
                tile=13,
                chunk=52,
                drops=True,
            ),
        )
    yield by_hand(
        "drops-all",
        "every tile lacks every plane",
        Span(planes, [Chunk(values, [1, 1, 1], [3, 3, 3, 3], 1)], 2, tile=13, chunk=52, drops=True, constant=0x4000),
    )
    yield by_hand(
        "drops-no-planes",
        "drops where there are no planes",
        Span([], [Chunk([], [], [0, 0], 1, elements=16)], 2, tile=8, drops=True),
    )
    for stage, name in ((2, "rans"), (3, "huffman")):
        coded = [below(90, 363, 7), below(90, 364, 7)]
        tables: list[w.Table | tuple[w.Table, bytes]] = [
            w.fitted(stage, bytes(range(8))),
            w.fitted(stage, b"\0\0\0\0\0\1\2\3\4\5\6\7"),
        ]
        two = [Plane(0, 8, stage, tables), Plane(8, 8, stage, tables)]
        yield by_hand(
            f"drops-choice-{name}",
            f"{name}: dropped tiles have no choice of table",
            Span(two, [Chunk(coded, [stage, stage], [0, 1, 1, 0, 2, 0, 1, 0, 0])], 2, tile=10, chunk=90, drops=True),
        )


def tails_by_hand() -> Iterator[Valid]:
    for width in (2, 4, 8):
        planes = [Plane(8 * p) for p in range(width)]
        tail = b"tail..."[: width - 1]
        yield by_hand(
            f"tail-{width}",
            f"elements of {width} bytes and {width - 1} of tail",
            Span(planes, [Chunk([below(9, 370 + p, 99) for p in range(width)], [0] * width, tail=tail)], width),
        )
        yield by_hand(
            f"tail-{width}-alone",
            f"no element of {width} bytes, only {width - 1} of tail",
            Span(planes, [Chunk([[] for _ in planes], [1] * width, tail=tail)], width, tile=1),
        )
    yield by_hand(
        "tail-no-tiles",
        "no elements, so drops without tiles and no escapes: only a tail",
        Span(
            [Plane(0), Plane(8)],
            [Chunk([[], []], [1, 1], drops_stage=1, tail=b"t")],
            2,
            tile=8,
            drops=True,
            escapes=True,
        ),
    )
    parts = [Chunk([below(8, 380 + k, 9)] * 4, [0] * 4) for k in range(3)]
    parts[-1].tail = b"123"
    yield by_hand(
        "tail-chunks",
        "three chunks; the last has the tail",
        Span([Plane(8 * p) for p in range(4)], parts, 4, tile=8, chunk=8),
    )


def tiles_by_hand() -> Iterator[Valid]:
    for n, tile, chunk in ((1, 1, 1), (7, 7, 7), (7, 8, 8), (3, 8, 524_288), (8, 8, 8), (9, 8, 16), (20, 9, 27)):
        yield by_hand(
            f"tiles-{n}-{tile}-{chunk}",
            f"{n} elements, tiles of {tile}, chunks of {chunk}",
            Span(
                [Plane(0, 4), Plane(4, 2)],
                [Chunk([below(n, 390, 15), below(n, 391, 3)], [0, 0])],
                tile=tile,
                chunk=chunk,
            ),
        )
    yield by_hand(
        "tiles-16384",
        "the largest tile, and one element",
        Span([Plane(0)], [Chunk([[7] * 16_385], [1])], tile=16_384, chunk=32_768),
    )
    many = [Chunk([below(8, 400 + k, 9)], [0]) for k in range(130)]
    yield by_hand("chunks-130", "130 chunks of 8 bytes: a number of two bytes", Span([Plane(0)], many, tile=8, chunk=8))
    coded: w.Table = {1: 2048, 2: 1024, 3: 1024}
    for stage, table in ((2, coded), (3, {1: 1, 2: 2, 3: 2})):
        data = [[1 + x for x in below(24, 410 + k, 2)] for k in range(4)]
        held = [Chunk([data[0]], [stage]), Chunk([data[1]], [0]), Chunk([[2] * 24], [1]), Chunk([data[3][:5]], [4])]
        yield by_hand(
            f"chunks-stages-{stage}",
            f"chunks of one plane in stages {stage}, 0, 1 and 4",
            Span([Plane(0, 8, stage, [table])], held, tile=24, chunk=24),
        )
    yield by_hand(
        "chunks-whole",
        "a chunk of 524,288 bytes in each of two, and a tail",
        Span(
            [Plane(8 * p) for p in range(8)],
            [Chunk([[k] * 65_536] * 8, [1] * 8, tail=b"tail" * k) for k in range(2)],
            8,
            tile=16_384,
            chunk=65_536,
        ),
    )


def tables_by_hand() -> Iterator[Valid]:
    for stage, name in ((2, "rans"), (3, "huffman")):
        for count in (1, 2, 3, 4, 5, 16):
            data = [x + k // 9 % count for k, x in enumerate(below(9 * 20, 420, 5))]
            tables = [w.fitted(stage, bytes(range(t, t + 6)) + bytes([t] * 9)) for t in range(count)]
            yield by_hand(
                f"tables-{count}-{name}",
                f"{name}, {count} tables: a choice for each tile",
                Span([Plane(0, 8, stage, [*tables])], [Chunk([data], [stage])], tile=9, chunk=180),
            )
        planes = [Plane(8 * p, 8, stage, [w.fitted(stage, bytes((t, t + p + 1))) for t in range(16)]) for p in range(8)]
        data8 = [[k // 8 % 16 + (p + 1) * (k % 3 == p % 3) for k in range(128)] for p in range(8)]
        yield by_hand(
            f"tables-128-{name}", f"{name}, 8 planes of 16 tables", Span(planes, [Chunk(data8, [stage] * 8)], 8, tile=8)
        )
    a, b = below(60, 430, 7), below(60, 431, 7)
    yield by_hand(
        "tables-both",
        "one plane by rANS, the next by Huffman",
        Span(
            [Plane(0, 8, 2, [w.fitted(2, bytes(a))]), Plane(8, 8, 3, [w.fitted(3, bytes(b))])],
            [Chunk([a, b], [2, 3])],
            2,
            tile=20,
        ),
    )
    yield by_hand(
        "tables-unused",
        "tables that no chunk uses",
        Span(
            [Plane(0, 8, 2, [w.fitted(2, bytes(a))]), Plane(8, 8, 3, [w.fitted(3, bytes(b))] * 16)],
            [Chunk([a, b], [0, 0])],
            2,
            tile=20,
        ),
    )


def rans_by_hand() -> Iterator[Valid]:
    def coded(name: str, shows: str, data: list[int], table: w.Table, written: bytes | None = None) -> Valid:
        tables: list[w.Table | tuple[w.Table, bytes]] = [(table, written) if written is not None else table]
        return by_hand(f"rans-{name}", f"rANS: {shows}", Span([Plane(0, 8, 2, tables)], [Chunk([data], [2])]))

    yield coded("no-words", "one byte of frequency 4095: no word is read", [9], {9: 4095, 10: 1})
    yield coded("rarest", "bytes of frequency 1", [10] * 9, {9: 4095, 10: 1})
    yield coded("ends", "symbols 0 and 255, nothing between them", [0, 255, 255, 0] * 5, {0: 1000, 255: 3096})
    yield coded(
        "all-symbols",
        "256 symbols of frequency 16",
        list(o.shuffled(o.patterns(8), 1, 440)),
        dict.fromkeys(range(256), 16),
    )
    table = {3: 2048, 4: 1024, 5: 512, 6: 256, 7: 256}
    data = [3, 3, 4, 5, 3, 6, 7, 3, 4, 3]
    for filler in (3, 5, 7):
        yield coded(
            f"filler-{filler}",
            f"the filler is symbol {filler} of 3 to 7",
            data,
            table,
            w.rans_table(table, filler, 11, 3, 7),
        )
    for precision in (0, 1, 15):
        yield coded(
            f"precision-{precision}",
            f"precision {precision}, powers of two",
            data,
            table,
            w.rans_table(table, 3, precision, 3, 7),
        )
    odd = {3: 2731, 4: 1001, 5: 301, 6: 60, 7: 3}
    for precision in (11, 12):
        yield coded(
            f"precision-{precision}",
            f"precision {precision}, frequencies that need all bits",
            data,
            odd,
            w.rans_table(odd, 3, precision, 3, 7),
        )
    yield coded(
        "wider-range",
        "the range has symbols of frequency 0 at both ends",
        data,
        table,
        w.rans_table(table, 4, 11, 0, 255),
    )
    steep = {3: 2048, 5: 2047, 6: 1}
    yield coded(
        "steepest", "differences of +11 and -12 bits: 24 ones", [3, 5, 3, 5, 6], steep, w.rans_table(steep, 5, 11, 3, 6)
    )


def huffman_by_hand() -> Iterator[Valid]:
    def coded(name: str, shows: str, tiles: list[list[int]], table: w.Table, written: bytes | None = None) -> Valid:
        tables: list[w.Table | tuple[w.Table, bytes]] = [(table, written) if written is not None else table]
        data = [s for tile in tiles for s in tile]
        span = Span(
            [Plane(0, 8, 3, tables)], [Chunk([data], [3])], tile=len(tiles[0]), chunk=len(tiles[0]) * len(tiles)
        )
        return by_hand(f"huffman-{name}", f"Huffman: {shows}", span)

    deep = {s: min(s + 1, 11) for s in range(12)}
    yield coded("deepest", "codes of 1 to 11 bits", [[*range(12), 11, 11, 0]] * 2, deep)
    yield coded(
        "deepest-first",
        "the longest codes to the smallest symbols",
        [[*range(12)]],
        {11 - s: n for s, n in deep.items()},
    )
    yield coded("ends", "symbols 0 and 255, of 1 bit", [[0, 255, 255, 0, 0, 0, 0, 255, 255]], {0: 1, 255: 1})
    yield coded(
        "all-symbols", "256 symbols of 8 bits", [list(o.shuffled(o.patterns(8), 1, 450))], dict.fromkeys(range(256), 8)
    )
    for t in (1, 2, 3, 4, 5, 9):
        yield coded(
            f"tiles-{t}",
            f"{t} tiles in four streams",
            [below(8, 451 + k, 3) for k in range(t)],
            dict.fromkeys(range(4), 2),
        )
    yield coded(
        "wider-range",
        "the range has absent symbols at both ends",
        [[3, 4, 5, 3, 3, 4, 5, 3]],
        {3: 1, 4: 2, 5: 2},
        w.huffman_table({3: 1, 4: 2, 5: 2}, 0, 255),
    )
    yield coded("whole-byte", "a stream that needs no padding", [[1, 1, 2, 2, 1, 2, 1, 2]], {1: 1, 2: 1})


TEXT = b"to be or not to be or to be, or not, or not to be"


def zstd_by_hand() -> Iterator[Valid]:
    def framed(name: str, shows: str, frame: bytes, data: bytes = TEXT) -> Valid:
        stage = b"\4" + w.varint(len(frame)) + frame
        return by_hand(f"zstd-{name}", f"zstd: {shows}", Span([Plane(0)], [Chunk([list(data)], [stage])]))

    yield framed("content-size", "the frame states its content size", w.zstd(TEXT))
    yield framed("no-content-size", "it does not", w.zstd(TEXT, write_content_size=False))
    yield framed("checksum", "the frame has a checksum", w.zstd(TEXT, write_checksum=True))
    front = bytes.fromhex("28b52ffd 00 00")  # no content size; a window of 1 KiB
    raw = bytes.fromhex("190000")  # the last block, raw, 3 bytes
    yield framed("raw", "a raw block", front + raw + b"abc", b"abc")
    yield framed("rle", "a block of one byte repeated", front + bytes.fromhex("430100") + b"z", b"z" * 40)
    yield framed(
        "blocks",
        "a raw block, a repeated byte, an empty last block",
        front + bytes.fromhex("180000 616263 520000 7a 010000"),
        b"abc" + b"z" * 10,
    )
    yield framed(
        "window-2-27",
        "the largest window that may be asked for",
        bytes.fromhex("28b52ffd 00 88") + raw + b"abc",
        b"abc",
    )
    yield framed(
        "single-segment", "content size of one byte, no window", bytes.fromhex("28b52ffd 20 03") + raw + b"abc", b"abc"
    )
    yield framed("long", "20,000 bytes", w.zstd(TEXT * 400, level=19), TEXT * 400)


def mixed_by_hand() -> Iterator[Valid]:
    def mixed(name: str, shows: str, data: bytes, **options: int) -> Valid:
        stage = b"\10" + w.mixed(data, w.Mixed(**options))
        return by_hand(f"mixed-{name}", f"mixing: {shows}", Span([Plane(0)], [Chunk([list(data)], [stage])]))

    rng = np.random.default_rng(88)
    scales = 1 + 30 * rng.random(24)
    rows = np.round(rng.normal(0, 1, (40, 24)) * scales).clip(-127, 127).astype(np.int8).tobytes()
    for framing in (1, 2, 3, 4):
        yield mixed(f"levels-{framing}", f"levels of {framing} bytes", rows, framing=framing, row=24, far=48)
        yield mixed(
            f"signed-{framing}", f"signed, {framing}", rows, framing=framing, signed=1, row=24 // framing, far=5
        )
    yield mixed("centre", "bytes around 131", bytes(b + 131 & 255 for b in rows), signed=1, centre=131, row=24, far=1)
    numbers = np.round(rng.normal(0, 1, (60, 8)) * [3, 20, 90, 400, 5, 9000, 70, 2]).astype(np.int64).ravel()
    leb = b"".join(o.sleb128(int(v)) for v in numbers)
    yield mixed("leb128", "elements that end behind a byte below 128", leb, framing=0, signed=1, row=8, far=16)
    yield mixed("leb128-long", "and some that go on beyond eight bytes", rows + bytes(128 | k for k in range(90)),
                framing=0, signed=1, row=3, far=7)  # fmt: skip
    yield mixed("text", "text, whose matches grow long", TEXT * 9, rate=14)
    for size in (1, 2, 3, 5, 6, 7):
        yield mixed(f"bytes-{size}", f"a plane of {size}", TEXT[:size])
    yield mixed(
        "rates", "the fastest rate, rows and distances longer than the plane", rows, rate=32, row=65_536, far=524_288
    )
    yield mixed("slow", "the slowest rate", rows, rate=1, signed=1, row=24, far=24)
    yield mixed(
        "ratio", "32 bytes of the plane for one of the stream", bytes(32 * len(w.mixed_stream(bytes(128), w.Mixed())))
    )
    noise = rng.integers(0, 256, 700, dtype=np.uint8).tobytes()
    yield mixed("noise", "bytes that take more than they are", noise, rate=20)


def mixed_by_codec() -> Iterator[Valid]:
    rng = np.random.default_rng(89)
    columns = (rng.normal(0, 0.02, (60, 64)) * np.exp(rng.normal(0, 1.5, 64))).astype(np.float32)
    high = (columns.view(np.uint32) >> 16).astype(np.uint16)
    yield array("mixed-bf16-max", "columns of different sizes, BF16", high.tobytes(), "BF16", (60, 64), "max")
    whole = np.round(rng.normal(0, 1, (60, 64)) * np.exp(rng.normal(3, 1.5, 64))).clip(-30000, 30000).astype(np.int16)
    yield array("mixed-i16-max", "the same in I16, whose bytes are one plane", whole.tobytes(), "I16", (60, 64), "max")


def containers_by_hand() -> Iterator[Valid]:
    span = Span([Plane(0)], [Chunk([list(b"spanspan")], [0])])
    body = w.bodies(span)
    original = b"spanspan"
    yield Valid(
        "minor-7", "minor version 7: to be accepted", w.weft([body], original, front=w.header(minor=7)), original
    )
    yield Valid("minor-255", "minor version 255", w.weft([body], original, front=w.header(minor=255)), original)
    yield Valid("index-least", "the least index", w.weft([], None, index=bytes(6)), b"")
    yield Valid("digest-none", "no digest", w.weft([body], None), original)
    proper = w.index_proper([body], w.listed_tensors([("t", 2, (8,), 0, 1)]), original, "opaque", "default")
    for name, options in (
        ("content-size", {}),
        ("no-content-size", {"write_content_size": False}),
        ("checksum", {"write_checksum": True}),
    ):
        packed = b"\1" + w.varint(len(proper)) + w.zstd(proper, **options)
        yield Valid(
            f"index-zstd-{name}", f"the index by zstd: {name}", w.weft([body], original, index_body=packed), original
        )
    yield Valid(
        "index-texts", "source and level in Unicode", w.weft([body], original, source="été", level="最大"), original
    )
    yield Valid("index-texts-empty", "source and level empty", w.weft([body], original, source="", level=""), original)
    long = w.index_proper([body], w.listed_tensors([("n" * 65_536, 2, (8,), 0, 1)]), original, "s", "l")
    packed = b"\1" + w.varint(len(long)) + w.zstd(long, level=19)
    yield Valid("name-65536", "a name of 65,536 bytes", w.weft([body], original, index_body=packed), original)

    def held(name: str, shows: str, tensors: list[w.Tensor], spans: int = 3) -> Valid:
        made = [w.bodies(Span([Plane(0)], [Chunk([[k, k + 1, k + 2, k]], [0])])) for k in range(spans)]
        whole = b"".join(bytes((k, k + 1, k + 2, k)) for k in range(spans))
        return Valid(f"tensors-{name}", shows, w.weft(made, whole, tensors=w.listed_tensors(tensors)), whole)

    yield held("none", "spans of no tensor", [])
    yield held("each", "a tensor for each span", [("a", 2, (4,), 0, 1), ("b", 11, (2,), 1, 1), ("c", 12, (), 2, 1)])
    yield held("over-spans", "a tensor of two spans", [("a", 12, (2, 1), 1, 2)])
    yield held(
        "gap", "spans of no tensor before, between and behind", [("b", 2, (2, 2), 1, 1), ("d", 2, (4,), 3, 1)], 5
    )
    yield held(
        "empty",
        "tensors without bytes at every place",
        [
            ("a", 12, (0,), 0, 0),
            ("b", 2, (4,), 0, 1),
            ("c", 9, (5, 0), 1, 0),
            ("d", 2, (8,), 1, 2),
            ("e", 22, (0,), 3, 0),
        ],
    )
    yield held("packed", "F4 and F6 in whole bytes", [("a", 22, (8,), 0, 1), ("b", 20, (2, 8), 1, 3)], 4)
    yield held("64-dimensions", "64 dimensions", [("a", 2, (1,) * 63 + (4,), 0, 1)])
    yield held("huge-and-empty", "a dimension of 2^63 - 1, and one of 0", [("a", 2, (2**63 - 1, 0), 0, 0)])
    what = "dimensions of 2^64 - 1, which few arrays can have, and one of 0"
    yield held("huge-product", what, [("a", 2, (2**64 - 1, 2**64 - 1, 0), 0, 0)])
    yield held(
        "names",
        "names: empty, of Unicode, of control characters, like paths",
        [(n, 2, (4,), k, 1) for k, n in enumerate(("", "🧵", "\0", "../../etc/passwd", "A", "a", "é", "e\u0301"))],
        8,
    )
    yield held(
        "types",
        "every element type, each 24 bytes in six spans",
        [(t, k + 1, (192 // o.bits_of(t),), 6 * k, 6) for k, t in enumerate(TYPES)],
        6 * len(TYPES),
    )


def lzma_by_hand() -> Iterator[Valid]:
    text = "".join(f"{k * k % 89:02d} {'the quick brown fox'[k % 7 : k % 19]}; " for k in range(400)).encode()
    stage = b"\6" + w.varint(len(w.lzma2(text))) + w.lzma2(text)
    yield by_hand("lzma-text", "text in a stream of stage 6", Span([Plane(0)], [Chunk([list(text)], [stage])]))


def made_by_hand() -> Iterator[Valid]:
    for found in (*made_vectors.valid(), *copy_vectors.valid()):
        yield Valid(*found)


def columns_by_hand() -> Iterator[Valid]:
    for found in (*column_vectors.valid(), *lent_vectors.valid(), *delta_vectors.valid()):
        yield Valid(*found)


def columns_by_codec() -> Iterator[Valid]:
    rng = np.random.default_rng(45)
    scales = np.exp(rng.normal(0, 0.5, (96, 1)) + rng.normal(0, 0.4, (1, 256)))
    whole = np.round(rng.normal(0, 6, (96, 256)) * scales).clip(-127, 127).astype(np.int8)
    yield array("columns-i8", "I8 whose rows and columns differ in scale", whole.tobytes(), "I8", (96, 256))
    above = (whole.view(np.uint8) ^ 0x80).tobytes()
    yield array("columns-u8", "the same as U8 around 128", above, "U8", (96, 256))


def made_by_codec() -> Iterator[Valid]:
    rng = np.random.default_rng(44)
    whole = np.round(rng.normal(0, 20, 6000)).clip(-127, 127).astype(np.float32)
    few = whole * np.float32(0.0017)
    yield array("made-dequantised-f32", "integers times a scale, F32", few.tobytes(), "F32", (60, 100))
    high = (few.view(np.uint32) >> 16).astype(np.uint16)
    yield array("made-dequantised-bf16", "the same in BF16", high.tobytes(), "BF16", (60, 100))
    pruned = np.where(rng.random(6000) < 0.7, 0, rng.normal(0, 0.02, 6000)).astype(np.float32)
    yield array("made-pruned-f32", "seven tenths are zero, F32", pruned.tobytes(), "F32", (60, 100))
    ids = np.arange(512, dtype=np.int64)
    yield array("made-position-ids", "position ids", ids.tobytes(), "I64", (1, 512))


def in_planes(group: Callable[[], Iterator[Valid]]) -> Iterator[Valid]:
    """Vectors that show planes, whose data would show a structure to the encoder, too."""
    least, structure.LEAST = structure.LEAST, 1 << 62
    try:
        yield from group()
    finally:
        structure.LEAST = least


def vectors() -> Iterator[Valid]:
    for group in (sizes, chunks_and_spans, features):
        yield from in_planes(group)
    for group in (
        weights,
        types,
        special_numbers,
        all_patterns,
        integers,
        lanes,
        opaque,
        safetensors_files,
        planes_by_hand,
        windows_by_hand,
        escapes_by_hand,
        drops_by_hand,
        tails_by_hand,
        tiles_by_hand,
        tables_by_hand,
        rans_by_hand,
        huffman_by_hand,
        zstd_by_hand,
        containers_by_hand,
        lzma_by_hand,
        mixed_by_hand,
        mixed_by_codec,
        columns_by_hand,
        columns_by_codec,
        made_by_hand,
        made_by_codec,
    ):
        yield from group()
