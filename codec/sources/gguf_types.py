"""Every element type of GGUF: those that are ours, and the blocks of those that are quantised.

Ids and sizes are those of the ``gguf`` package (0.19.0), layouts those of the structs of ggml (ggml-common.h) and of
the dequantisers of that package; tests/sources/test_gguf.py compares.

A block codes ``elements`` weights in ``size`` bytes. Its fields tile it; numbers in it are little-endian, scales of
weights are called d (and dmin or m: the value of weight 0 that is subtracted or added). Kinds of fields:

==========  ========================================================================================================
F16, F32    floats
E8M0        a power of two, 2^(x - 127)
UE4M3       E4M3 without a sign
I8, I16     integers
bits1       packed weights, or the high bits of weights, or signs: 1, 2 or 4 bits of each. The bytes are in runs of
bits2       ``run``; the lowest bits of the bytes of a run are those of ``run`` weights in order, the next bits
bits4       those of the next ``run`` weights, and so on.
scales2     the same of scales, or of the high bits of scales, of sub-blocks in order, in place of weights
scales4
grid1       the same of the high bits of numbers in a code book
grid2
scale|min   a byte per sub-block: 4 bits of its scale (low) and 4 of its min (high)
scales6     12 bytes: 16 scales of 6 bits; byte i < 8: low 4 bits of scales i and i + 8; byte 8 + i: high 2 bits of
            scales i, i + 4, i + 8, i + 12
mins6       12 bytes: 8 scales and 8 mins of 6 bits; bytes 0-3: scales 0-3, and above them the high 2 bits of scales
            4-7; bytes 4-7: the same of the mins; bytes 8-11: low 4 bits of scale 4 + i, above them those of min 4 + i
trits5      5 (4) weights of three values in a byte: 256/243 times their number in base 3, rounded up, of which the
trits4      highest digit is the first weight's; in runs of 32, then of 16 bytes (of 4), as above
grid        low 8 bits of the number of 8 (IQ3: 4) weights in a code book
grid9|sign  u16: 9 bits of that number, above them 7 of the number of their 8 signs
signs|scale u32: four times 7 bits of the number of 8 signs, above them 4 of the scale
grid3|scale u16: four times 3 high bits of a number in the code book, above them 3 of the scale, 1 of the shift
grid3|shift nibbles, low first: 3 high bits of a number in the code book, 1 of the shift
scales3|d   u16: four scales of 3 bits, above them 4 bits of d (an F16 in four parts, the lowest first)
==========  ========================================================================================================
"""

from __future__ import annotations

from typing import Final, NamedTuple

from codec.sources import segment as coded

#: Fields that a block may have as it is coded (FORMAT.md, transform 1).
FIELDS_MAX: Final = 16


class Field(NamedTuple):
    """Bytes [offset, offset + size) of a block. Fields of one name (IQ2_XXS has such) are pieces of one."""

    name: str
    offset: int
    size: int
    kind: str
    run: int = 0


class Block(NamedTuple):
    """A quantised type: its number in a file, elements and bytes of a block, and what lies where in it."""

    number: int
    elements: int
    size: int
    fields: tuple[Field, ...]


def _block(number: int, elements: int, *fields: tuple[str, int, str] | tuple[str, int, str, int]) -> Block:
    """Of fields (name, size, kind, run), one behind the other."""
    offset, placed = 0, []
    for name, size, kind, *run in fields:
        placed.append(Field(name, offset, size, kind, *run))
        offset += size
    return Block(number, elements, offset, tuple(placed))


_D: Final = ("d", 2, "F16")
_M: Final = ("m", 2, "F16")
_DMIN: Final = ("dmin", 2, "F16")

#: Name of a quantised type -> its block.
BLOCKS: Final[dict[str, Block]] = {
    "Q1_0": _block(41, 128, _D, ("qs", 16, "bits1", 1)),
    "Q4_0": _block(2, 32, _D, ("qs", 16, "bits4", 16)),
    "Q4_1": _block(3, 32, _D, _M, ("qs", 16, "bits4", 16)),
    "Q5_0": _block(6, 32, _D, ("qh", 4, "bits1", 1), ("qs", 16, "bits4", 16)),
    "Q5_1": _block(7, 32, _D, _M, ("qh", 4, "bits1", 1), ("qs", 16, "bits4", 16)),
    "Q8_0": _block(8, 32, _D, ("qs", 32, "I8")),
    # The package's size. In ggml d and s are F16 today (36 bytes); activations have this type, no file does.
    "Q8_1": _block(9, 32, ("d", 4, "F32"), ("s", 4, "F32"), ("qs", 32, "I8")),
    "Q2_K": _block(10, 256, ("scales", 16, "scale|min"), ("qs", 64, "bits2", 32), _D, _DMIN),
    "Q3_K": _block(11, 256, ("hmask", 32, "bits1", 32), ("qs", 64, "bits2", 32), ("scales", 12, "scales6"), _D),
    "Q4_K": _block(12, 256, _D, _DMIN, ("scales", 12, "mins6"), ("qs", 128, "bits4", 32)),
    "Q5_K": _block(13, 256, _D, _DMIN, ("scales", 12, "mins6"), ("qh", 32, "bits1", 32), ("qs", 128, "bits4", 32)),
    "Q6_K": _block(14, 256, ("ql", 128, "bits4", 64), ("qh", 64, "bits2", 32), ("scales", 16, "I8"), _D),
    "Q8_K": _block(15, 256, ("d", 4, "F32"), ("qs", 256, "I8"), ("bsums", 32, "I16")),
    "IQ2_XXS": _block(16, 256, _D, *(("qs", 4, "grid"), ("signs", 4, "signs|scale")) * 8),
    "IQ2_XS": _block(17, 256, _D, ("qs", 64, "grid9|sign"), ("scales", 8, "scales4", 1)),
    "IQ2_S": _block(
        22, 256, _D, ("qs", 32, "grid"), ("signs", 32, "bits1", 1), ("qh", 8, "grid2", 1), ("scales", 8, "scales4", 1)
    ),
    "IQ3_XXS": _block(18, 256, _D, ("qs", 64, "grid"), ("signs", 32, "signs|scale")),
    "IQ3_S": _block(
        21, 256, _D, ("qs", 64, "grid"), ("qh", 8, "grid1", 1), ("signs", 32, "bits1", 1), ("scales", 4, "scales4", 1)
    ),
    "IQ1_S": _block(19, 256, _D, ("qs", 32, "grid"), ("qh", 16, "grid3|scale")),
    "IQ1_M": _block(29, 256, ("qs", 32, "grid"), ("qh", 16, "grid3|shift"), ("scales", 8, "scales3|d")),
    "IQ4_NL": _block(20, 32, _D, ("qs", 16, "bits4", 16)),
    "IQ4_XS": _block(
        23, 256, _D, ("scales_h", 2, "scales2", 1), ("scales_l", 4, "scales4", 1), ("qs", 128, "bits4", 16)
    ),
    "TQ1_0": _block(34, 256, ("qs", 48, "trits5"), ("qh", 4, "trits4"), _D),
    "TQ2_0": _block(35, 256, ("qs", 64, "bits2", 32), _D),
    "MXFP4": _block(39, 32, ("e", 1, "E8M0"), ("qs", 16, "bits4", 16)),
    "NVFP4": _block(40, 64, ("d", 4, "UE4M3"), ("qs", 32, "bits4", 8)),
}

#: How a field of a kind is coded: its bytes in pieces, each alike, and their element type. What is not here is bytes.
_CODED: Final[dict[str, tuple[tuple[int, ...], str]]] = {
    "F16": ((), "F16"),
    "F32": ((), "F32"),
    "I16": ((), "I16"),
    "E8M0": ((), "F8_E8M0"),
    "mins6": ((4, 4, 4), "U8"),
    "scales6": ((8, 4), "U8"),
}
#: Bits of a kind of packed numbers.
_BITS: Final = {"bits1": 1, "bits2": 2, "bits4": 4, "scales2": 2, "scales4": 4}
#: Fields that have the low and the high bits of the same numbers, and what those are called.
_TOGETHER: Final = (("codes", ("qs", "ql"), ("qh", "hmask")), ("scales", ("scales_l",), ("scales_h",)))
#: What fields are called in reports.
_CALLED: Final = {
    **dict.fromkeys(("d", "e", "scales", "scales_h", "scales_l"), "scales"),
    **dict.fromkeys(("m", "dmin", "s", "bsums"), "minima"),
    **dict.fromkeys(("qs", "ql"), "codes"),
    **dict.fromkeys(("qh", "hmask"), "high bits"),
    "signs": "signs",
}


def fields_of(name: str) -> tuple[coded.Field, ...]:
    """The fields of a quantised type's blocks, as they are coded.

    >>> [(f.size, f.dtype, f.name) for f in fields_of("Q4_0")]
    [(2, 'F16', 'scales'), (16, 'U8', 'codes')]
    """
    found: list[coded.Field] = []
    for field in BLOCKS[name].fields:
        sizes, dtype = _CODED.get(field.kind, ((), "U8"))
        called, pieces = (
            _CALLED.get(field.name, field.name),
            zip(sizes or (field.size,), _share(name, field), strict=True),
        )
        found += [coded.Field(size, dtype, called, share) for size, share in pieces]
    if len(found) > FIELDS_MAX:  # IQ2_XXS, whose codes and signs alternate
        found[1:] = [coded.Field(sum(f.size for f in found[1:]), "U8", "codes")]
    return tuple(found)


def _share(name: str, field: Field) -> tuple[coded.Share | None, ...]:
    """What each piece of a field has of the numbers that another one has bits of, too: high bits by themselves cost
    nearly a bit each. (Nibbles, which are whole, cost 0.2 % more apart than in pairs.)
    """
    if field.kind == "scales6":
        return coded.Share("scales", 4, 0, 8), coded.Share("scales", 2, 4, 4)
    for called, *names in _TOGETHER:
        low, high = ([f for f in BLOCKS[name].fields if f.name in of and f.kind in _BITS] for of in names)
        if low and high and field in low + high:
            shift = 0 if field in low else _BITS[low[0].kind]
            return (coded.Share(called, _BITS[field.kind], shift, field.run),)
    return (None,) * max(1, len(_CODED.get(field.kind, ((), ""))[0]))


#: Number of a type in a file -> its name; those of which an element is whole bytes, by our names.
BLOCK_NAMES: Final[dict[int, str]] = {block.number: name for name, block in BLOCKS.items()}
PLAIN: Final[dict[int, str]] = {
    0: "F32",
    1: "F16",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    30: "BF16",
}
