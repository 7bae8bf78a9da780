"""How a chart of a weft file is drawn: a colour for each family of fields, rows for the largest tensors, short names.

>>> family_of("exponent + 3 mantissa bits").label, shortened("model.layers.0.self_attn.q_proj.weight", 21)
('exponent', 'model.laye…roj.weight')
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from codec.anatomy import Anatomy, TensorAnatomy


#: Bytes, or a part of some.
N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True)
class Family:
    """Fields of one kind: a label, and a colour on a light and on a dark ground."""

    key: str
    label: str
    light: str
    dark: str


#: In the order in which a bar shows them. Neighbours differ in lightness, too, for who sees no hues.
FAMILIES: Final = (
    Family("sign", "sign", "#7a1f5c", "#c86aa8"),
    Family("exponent", "exponent", "#1d4f91", "#5b9bea"),
    Family("mantissa", "mantissa", "#8fb8de", "#2f5f8f"),
    Family("integers", "integers", "#2a9d8f", "#3cc2b0"),
    Family("codes", "codes", "#2f7d4f", "#57b87e"),
    Family("packed", "packed floats", "#74a57f", "#86c796"),
    Family("scales", "scales", "#e07a1f", "#f0994a"),
    Family("minima", "minima", "#f2c14e", "#e8c766"),
    Family("palette", "palette", "#a4508b", "#cf7fb8"),
    Family("indices", "indices", "#d39bc4", "#8d5a80"),
    Family("mask", "mask", "#c8553d", "#e58a76"),
    Family("other", "other fields", "#b08968", "#c9a383"),
    Family("opaque", "opaque bytes", "#6c757d", "#98a1a9"),
    Family("tables", "tables", "#3d405b", "#c3c6dd"),
    Family("headers", "headers", "#a8a29e", "#78716c"),
    Family("index", "index", "#d6d3d1", "#57534e"),
)

_BY_KEY: Final = {family.key: family for family in FAMILIES}
#: The families of fields that do not begin with their names.
_IN: Final = {"high bits": "codes", "signs": "codes"}


def family_of(field: str) -> Family:
    """The family of a field."""
    if "exponent" in field:
        return _BY_KEY["exponent"]
    return _BY_KEY.get(_IN.get(field) or field.split()[0]) or _BY_KEY["other"]


def by_family(fields: Mapping[str, N]) -> list[tuple[Family, N, str]]:
    """(family, bytes, what is in it) of a bar, in the order of the families; of ``fields`` the largest first."""
    held: dict[str, list[tuple[str, N]]] = {}
    for field, size in fields.items():
        held.setdefault(family_of(field).key, []).append((field, size))
    return [
        (family, _total(size for _, size in held[family.key]), ", ".join(field for field, _ in held[family.key]))
        for family in FAMILIES
        if family.key in held
    ]


def _total(sizes: Iterable[N]) -> N:
    return sum(sizes)


def shortened(name: str, most: int) -> str:
    """A name of at most so many characters: of a longer one the middle is left out."""
    if len(name) <= most:
        return name
    back = (most - 1) // 2
    return name[: most - 1 - back] + "…" + name[len(name) - back :]


def rows_of(found: Anatomy, most: int) -> tuple[list[TensorAnatomy], TensorAnatomy | None, int]:
    """The largest tensors, the sum of the others (None if there are none), and how many those are."""
    largest = sorted(found.tensors, key=lambda t: -t.original_bytes)
    shown, others = largest[:most], largest[most:]
    if len(others) == 1:
        return largest, None, 0
    return shown, summed(others) if others else None, len(others)


def summed(tensors: Sequence[TensorAnatomy]) -> TensorAnatomy:
    """Tensors as one without a name, of as many elements."""
    from codec.anatomy import TensorAnatomy

    fields: dict[str, int] = {}
    for tensor in tensors:
        for field, size in tensor.fields.items():
            fields[field] = fields.get(field, 0) + size
    dtypes = {tensor.dtype for tensor in tensors}
    return TensorAnatomy(
        "",
        dtypes.pop() if len(dtypes) == 1 else "",
        (sum(tensor.elements for tensor in tensors),),
        sum(tensor.original_bytes for tensor in tensors),
        sum(tensor.stored_bytes for tensor in tensors),
        dict(sorted(fields.items(), key=lambda item: -item[1])),
    )
