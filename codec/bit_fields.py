"""What the stored bytes of a span are: which bits of an element each plane holds, by the names that people use.

>>> plane_fields(Layout(64, 11, 2, 32, 64, (Plane(0, 8), Plane(8, 8)), fold=7))
[{'sign': 1, 'mantissa': 7}, {'exponent': 8}]
"""

from __future__ import annotations

from typing import Final

from codec.dtypes import BY_CODE, SMALL_FLOATS
from codec.stages.codes import Codes
from codec.stages.delta import Delta
from codec.stages.layout import Layout, Plane
from codec.stages.numbers import Leb128, Scaled
from codec.stages.runs import Runs
from codec.stages.transforms import Fields, Offset, Palette

#: Bytes that belong to no plane.
TABLES: Final = "tables"
HEADERS: Final = "headers"
INDEX: Final = "index"
OPAQUE: Final = "opaque bytes"
INTEGERS: Final = "integers"

#: Floats that are coded as whole bytes or packed: bits of exponent and mantissa.
_SMALL_FLOATS: Final = {**SMALL_FLOATS, "F8_E8M0": (8, 0)}
_PACKED: Final = ("F6_E2M3", "F6_E3M2", "F4")

#: Sizes of the fields of GGUF's blocks -> what they are: a file does not say it. A test compares with
#: codec.sources.gguf_types, which only an encoder may import.
BLOCKS: Final[dict[tuple[int, ...], tuple[str, ...]]] = {
    (2, 16): ("scales", "codes"),
    (2, 2, 16): ("scales", "minima", "codes"),
    (2, 4, 16): ("scales", "high bits", "codes"),
    (2, 2, 4, 16): ("scales", "minima", "high bits", "codes"),
    (2, 32): ("scales", "codes"),
    (4, 4, 32): ("scales", "minima", "codes"),
    (16, 64, 2, 2): ("scales and minima", "codes", "scales", "minima"),
    (32, 64, 8, 4, 2): ("high bits", "codes", "scales", "scales", "scales"),
    (2, 2, 4, 4, 4, 128): ("scales", "minima", "scales", "minima", "scales and minima", "codes"),
    (2, 2, 4, 4, 4, 32, 128): ("scales", "minima", "scales", "minima", "scales and minima", "high bits", "codes"),
    (128, 64, 16, 2): ("codes", "high bits", "scales", "scales"),
    (4, 256, 32): ("scales", "codes", "minima"),
    (2, 64): ("scales", "codes"),
    (2, 64, 8): ("scales", "codes", "scales"),
    (2, 32, 32, 8, 8): ("scales", "codes", "signs", "high bits", "scales"),
    (2, 64, 32): ("scales", "codes", "signs"),
    (2, 64, 8, 32, 4): ("scales", "codes", "high bits", "signs", "scales"),
    (2, 32, 16): ("scales", "codes", "high bits"),
    (32, 16, 8): ("codes", "high bits", "scales"),
    (2, 2, 4, 128): ("scales", "scales", "scales", "codes"),
    (48, 4, 2): ("codes", "high bits", "scales"),
    (64, 2): ("codes", "scales"),
    (1, 16): ("scales", "codes"),
    (4, 32): ("scales", "codes"),
}


def plane_fields(layout: Layout) -> list[dict[str, int]]:
    """For each plane: field -> how many parts of its bytes belong to it.

    Sign and mantissa share the bytes of a plane by their bits, for both are close to noise. What shares a plane with
    the exponent, which is not, has no size of its own: then the field is named for all that it holds, as in "exponent
    + 3 mantissa bits".
    """
    dtype = BY_CODE.get(layout.dtype)
    if dtype is None:
        return [{OPAQUE: 1} for _ in layout.planes]
    width = 4 if dtype.name == "C64" else dtype.bits // 8
    exponent, mantissa = _SMALL_FLOATS.get(dtype.name, (dtype.exponent_bits, dtype.mantissa_bits))
    if dtype.name in _PACKED:
        return [{"packed floats": 1} for _ in layout.planes]
    if not exponent and layout.width in (1, width):
        return [{INTEGERS: 1} for _ in layout.planes]
    if layout.width != width:
        return [{OPAQUE: 1} for _ in layout.planes]
    return [_float_fields(_bits(layout, p), exponent, mantissa) for p in layout.planes]


def _bits(layout: Layout, plane: Plane) -> range | list[int]:
    """Bits of the element that a plane holds; with a window, the last holds all from its shift on."""
    last = plane is layout.planes[-1]
    bits = 8 * layout.width
    found = range(plane.shift, bits if last and layout.window is not None else min(bits, plane.shift + plane.width))
    fold = layout.fold
    return found if fold is None else [k if k < fold else bits - 1 if k == fold else k - 1 for k in found]


def _float_fields(bits: range | list[int], exponent: int, mantissa: int) -> dict[str, int]:
    low = sum(k < mantissa for k in bits)
    high = sum(mantissa <= k < mantissa + exponent for k in bits)
    sign = len(bits) - low - high
    if not high:
        return {name: count for name, count in (("sign", sign), ("mantissa", low)) if count}
    names = ["sign"] if sign else []
    names.append("exponent" if high == exponent else _counted(high, "exponent bit"))
    if low:
        names.append(_counted(low, "mantissa bit"))
    return {" + ".join(names): high}


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + "s" * (count != 1)


def part_names(layout: Layout, dtypes: list[int]) -> list[str]:
    """What each part of a made span is, "" for elements of the tensor's own type. ``dtypes`` are those of the parts.

    The blocks of GGUF are known by the sizes of their fields; of others the floats are taken for scales and minima, and
    the largest of the rest for the codes. Codes that several fields have are called as the one with the lowest bits.
    """
    transform = layout.transform
    if isinstance(transform, Palette):
        return ["palette", "indices"]
    if isinstance(transform, Offset | Leb128):
        return ["integers"]
    if isinstance(transform, Scaled):
        return ["scales", "codes"]
    if isinstance(transform, Delta):
        return ["differences"]
    if isinstance(transform, Runs):
        return ["mask", ""][: len(dtypes)]
    if isinstance(transform, Codes):
        known = BLOCKS.get(tuple(field.size for field in transform.fields))
        if known is not None:
            called = {f.part: name for f, name in zip(transform.fields, known, strict=True) if f.shift == 0}
            return [called[part] for part in range(len(called))]
        sizes = tuple(transform.codes)
    elif isinstance(transform, Fields):
        known, sizes = BLOCKS.get(transform.sizes), transform.sizes
        if known is not None:
            return list(known)
    else:
        return ["mask", ""]
    if len(sizes) == 1:
        return ["codes"]
    floats = [(d := BY_CODE.get(code)) is not None and d.name[:2] in ("F1", "BF", "F3", "F8") for code in dtypes]
    codes = max((size for size, is_float in zip(sizes, floats, strict=True) if not is_float), default=0)
    names, scales = [], iter(("scales", "minima"))
    for size, is_float in zip(sizes, floats, strict=True):
        names.append(next(scales, "other fields") if is_float else "codes" if size == codes else "other fields")
    return names
