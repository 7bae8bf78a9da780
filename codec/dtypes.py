"""Element types: the names safetensors gives them, their widths, and how their bits divide.

>>> dtype_of("bfloat16").name
'BF16'
>>> DTYPES["F32"].bits, DTYPES["F32"].exponent_bits
(32, 8)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class DType:
    """One element type.

    ``code`` is the number that stands for it on the wire (FORMAT.md, "Element types") and is stable for
    ever. ``bits`` is the width of one element in a file. ``exponent_bits`` and ``mantissa_bits`` are 0 for
    types that are coded as whole bytes. ``numpy`` names the numpy type of the same width: the type itself
    where numpy has it, and otherwise the unsigned integer; ``ml_dtypes`` names the type in that package, or
    is empty.
    """

    name: str
    code: int
    bits: int
    numpy: str
    ml_dtypes: str = ""
    exponent_bits: int = 0
    mantissa_bits: int = 0


_ALL: Final = (
    DType("BOOL", 1, 8, "bool"),
    DType("U8", 2, 8, "uint8"),
    DType("I8", 3, 8, "int8"),
    DType("U16", 4, 16, "uint16"),
    DType("I16", 5, 16, "int16"),
    DType("U32", 6, 32, "uint32"),
    DType("I32", 7, 32, "int32"),
    DType("U64", 8, 64, "uint64"),
    DType("I64", 9, 64, "int64"),
    DType("F16", 10, 16, "float16", "", 5, 10),
    DType("BF16", 11, 16, "uint16", "bfloat16", 8, 7),
    DType("F32", 12, 32, "float32", "", 8, 23),
    DType("F64", 13, 64, "float64", "", 11, 52),
    DType("C64", 14, 64, "complex64", "", 8, 23),
    DType("F8_E4M3", 15, 8, "uint8", "float8_e4m3fn"),
    DType("F8_E5M2", 16, 8, "uint8", "float8_e5m2"),
    DType("F8_E8M0", 17, 8, "uint8", "float8_e8m0fnu"),
    DType("F8_E4M3FNUZ", 18, 8, "uint8", "float8_e4m3fnuz"),
    DType("F8_E5M2FNUZ", 19, 8, "uint8", "float8_e5m2fnuz"),
    DType("F6_E2M3", 20, 6, "uint8"),
    DType("F6_E3M2", 21, 6, "uint8"),
    DType("F4", 22, 4, "uint8"),
)

#: Safetensors name -> element type.
DTYPES: Final[dict[str, DType]] = {d.name: d for d in _ALL}

#: Wire code -> element type.
BY_CODE: Final[dict[int, DType]] = {d.code: d for d in _ALL}

#: Floats of a byte with a sign -> bits of exponent and mantissa. They are coded as whole bytes, mostly.
SMALL_FLOATS: Final = {
    "F8_E4M3": (4, 3),
    "F8_E5M2": (5, 2),
    "F8_E4M3FNUZ": (4, 3),
    "F8_E5M2FNUZ": (5, 2),
}

_ALIASES: Final[dict[str, str]] = {
    **{d.name.lower(): d.name for d in _ALL},
    "bfloat16": "BF16",
    "float16": "F16",
    "half": "F16",
    "float32": "F32",
    "float": "F32",
    "float64": "F64",
    "double": "F64",
    "complex64": "C64",
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e4m3": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e8m0fnu": "F8_E8M0",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
}


def dtype_of(name: object) -> DType:
    """Element type for a name as safetensors, numpy, ml_dtypes or torch spells it.

    Raises ``ValueError`` for a name that is none of these.
    """
    text = str(getattr(name, "name", name))
    text = text.removeprefix("torch.")
    found = DTYPES.get(text) or DTYPES.get(_ALIASES.get(text.lower(), ""))
    if found is None:
        known = ", ".join(sorted(DTYPES))
        raise ValueError(f"unknown element type {text!r}; known are {known} and their numpy names")
    return found
