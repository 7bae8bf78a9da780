"""What torch's pickles say of its storages: their element types, and the tensors that lie in them.

A tensor is pickled as a call, ``_rebuild_tensor_v2(storage, offset, size, stride, ...)``, and a storage as the
persistent id ``("storage", its class, key, device, elements)``. Both are only looked at; nothing is called.

Tensors are named by the keys and attributes that lead to them, joined by dots. Those of a module that was pickled
whole have the names of its ``state_dict``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from codec.dtypes import DTYPES
from codec.limits import DIMENSIONS_MAX, EMPTY_TENSORS_MAX, NAME_BYTES_MAX
from codec.sources.pickle_scan import Global, Made, Pairs, Persistent
from codec.sources.segment import RefusedError, Segment

#: The name of a tensor that was saved alone.
ALONE: Final = "tensor"

#: Characters in all names on the way to the tensors, at most. (A short pickle can lead along long ways to many.)
_NAMES_MAX: Final = 1 << 26
_INTEGER_END: Final = 1 << 63

#: Torch's element types -> ours, and how many of ours one of torch's is. Those with two are not listed: real and
#: imaginary part of a complex128 are coded best as the doubles that they are, but a reader asking for the tensor would
#: get twice the elements. Quantised types are the integers that they are stored as. Types below 8 bits are left out:
#: their storages are opaque.
_TYPES: Final[dict[str, tuple[str, int]]] = {
    "bool": ("BOOL", 1),
    "uint8": ("U8", 1),
    "int8": ("I8", 1),
    "uint16": ("U16", 1),
    "int16": ("I16", 1),
    "uint32": ("U32", 1),
    "int32": ("I32", 1),
    "uint64": ("U64", 1),
    "int64": ("I64", 1),
    "float16": ("F16", 1),
    "bfloat16": ("BF16", 1),
    "float32": ("F32", 1),
    "float64": ("F64", 1),
    "complex32": ("F16", 2),
    "complex64": ("C64", 1),
    "complex128": ("F64", 2),
    "float8_e4m3fn": ("F8_E4M3", 1),
    "float8_e5m2": ("F8_E5M2", 1),
    "float8_e8m0fnu": ("F8_E8M0", 1),
    "float8_e4m3fnuz": ("F8_E4M3FNUZ", 1),
    "float8_e5m2fnuz": ("F8_E5M2FNUZ", 1),
    "qint8": ("I8", 1),
    "quint8": ("U8", 1),
    "qint32": ("I32", 1),
}
#: The classes of storages, but for the end of their names.
_CLASSES: Final = {
    "Bool": "bool",
    "Byte": "uint8",
    "Char": "int8",
    "Short": "int16",
    "Int": "int32",
    "Long": "int64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Float": "float32",
    "Double": "float64",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
    "QInt8": "qint8",
    "QUInt8": "quint8",
    "QInt32": "qint32",
    "Untyped": "",
}
_STORAGE: Final = "Storage"

#: Functions whose first argument is the tensor, and those whose first arguments are storage, offset, size, stride.
_AROUND: Final = frozenset(("_rebuild_parameter", "_rebuild_parameter_with_state"))
_REBUILD: Final = frozenset(("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_qtensor"))
#: Attributes of a module that ``state_dict`` looks through.
_TRANSPARENT: Final = frozenset(("_parameters", "_buffers", "_modules"))


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage, as a persistent id has it. ``type``: a name of torch, "" for one of mere bytes, None if not known."""

    key: str
    type: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """Elements of a storage. ``name`` is None if there is none that can be used."""

    name: str | None
    key: str
    type: str | None
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def storages(found: Iterable[Persistent]) -> dict[str, Storage]:
    """By key. Raises RefusedError for a persistent id that is no storage, or two that contradict each other."""
    held: dict[str, Storage] = {}
    for persistent in found:
        if isinstance(persistent.id, tuple) and persistent.id[:1] == ("module",):  # a class, with its source
            continue
        s = _storage(persistent)
        if s is None:
            raise RefusedError("a persistent id that stands for no storage")
        if held.setdefault(s.key, s) != s:
            raise RefusedError(f"two descriptions of storage {s.key!r:.99}")
    return held


def bytes_of(storage: Storage) -> int | None:
    """In one element of a storage, None if the type is not known.

    >>> bytes_of(Storage("0", "complex128", 3)), bytes_of(Storage("0", "", 3)), bytes_of(Storage("0", None, 3))
    (16, 1, None)
    """
    if storage.type == "":
        return 1
    dtype, times = _TYPES.get(storage.type or "", ("", 0))
    return DTYPES[dtype].bits // 8 * times if times else None


def tensors(root: object) -> Iterator[Tensor]:
    """All in what a pickle gives, each once: of the names that lead to it, the first that is met.

    >>> function, size = Global("torch._utils", "_rebuild_tensor_v2"), (2, 3)
    >>> storage = Persistent(("storage", Global("torch", "HalfStorage"), "7", "cpu", 6))
    >>> [t] = tensors(Pairs([("w", Made(function, (storage, 0, size, (3, 1))))]))
    >>> t.name, t.key, t.type, t.shape
    ('w', '7', 'float16', (2, 3))
    """
    ways: list[tuple[str | None, object]] = [("", root)]
    seen, left = {id(root)}, _NAMES_MAX  # by id: all of it lives as long as the root
    while ways:
        name, value = ways.pop()
        if isinstance(value, Made) and (tensor := _tensor(value, ALONE if name == "" else name)) is not None:
            yield tensor
            continue
        steps: list[tuple[str | None, object]] = []
        for step, child in _children(value):
            if isinstance(child, (list, tuple, Made)) and id(child) not in seen:
                seen.add(id(child))
                way = _joined(name, step) if left > 0 else None
                left -= len(way or "")
                steps.append((way, child))
        ways.extend(reversed(steps))


def segments(held: Mapping[str, Storage], places: Mapping[str, tuple[int, int]], root: object) -> Iterator[Segment]:
    """Where the elements of storages lie that begin and end at ``places``, as tensors as far as ``root`` names them.

    A storage whose elements are not as many as it says, or of an unknown type, is left out, and so is what one has
    behind its last element.
    """
    inside: dict[str, list[Tensor]] = {key: [] for key in held}
    for tensor in tensors(root):
        if tensor.key in inside:
            inside[tensor.key].append(tensor)
    empty = EMPTY_TENSORS_MAX
    for key, (start, stop) in places.items():
        storage, mine = held[key], inside[key]
        types = {t.type for t in mine} if storage.type == "" else {storage.type}
        of = types.pop() if len(types) == 1 else None
        if of not in _TYPES:
            continue
        dtype, times = _TYPES[of]
        width = DTYPES[dtype].bits // 8
        if storage.count != (stop - start) // (width * times if storage.type else 1):
            continue
        for found in _laid_out([t for t in mine if t.type == of], start, (stop - start) // width, dtype, times):
            empty -= found.size == 0
            if found.size or empty >= 0:
                yield found


def _laid_out(mine: list[Tensor], start: int, count: int, dtype: str, times: int) -> Iterator[Segment]:
    """The ``count`` elements of one storage, cut into the tensors that lie in it, the larger of two first.

    Tensors whose dimensions lie in another order, as those of transposed ones do, give the elements their shape but
    not their name, and only where no other tensor lies there.
    """
    width, at = DTYPES[dtype].bits // 8, 0
    as_they_are: list[tuple[int, int, str, tuple[int, ...]]] = []
    others: list[tuple[int, int, str, tuple[int, ...]]] = []
    for t in mine:
        offset, elements, shape = t.offset * times, math.prod(t.shape) * times, _shape(t)
        if elements == 0:
            if t.name is not None:
                yield Segment(start, start, t.name, dtype, t.shape)
        elif shape is not None and offset + elements <= count:
            listed = t.name is not None and shape == t.shape and times == 1
            shape = shape if times == 1 else (*shape, times)
            (as_they_are if listed else others).append((offset, offset + elements, t.name or "", shape))
    for offset, end, name, shape in sorted(as_they_are or others, key=lambda f: (f[0], -f[1])):
        if offset < at:  # a view of what is there already
            continue
        if offset > at:
            yield Segment(start + at * width, start + offset * width, "", dtype, (offset - at,), listed=False)
        at = end
        yield Segment(start + offset * width, start + end * width, name, dtype, shape, bool(as_they_are))
    if at < count:
        yield Segment(start + at * width, start + count * width, "", dtype, (count - at,), listed=False)


def _shape(t: Tensor) -> tuple[int, ...] | None:
    """The dimensions in the order in which the elements lie; None if they don't lie close together."""
    if _dense(t.shape, t.stride):
        return t.shape
    order = sorted(range(len(t.shape)), key=lambda d: -t.stride[d])
    shape, stride = tuple(t.shape[d] for d in order), tuple(t.stride[d] for d in order)
    return shape if _dense(shape, stride) else None


def _dense(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    step = 1
    for size, found in zip(reversed(shape), reversed(stride), strict=True):
        if size != 1 and found != step:
            return False
        step *= size
    return True


def _storage(value: object) -> Storage | None:
    if not isinstance(value, Persistent):
        return None
    match value.id:
        # the sixth is of files before torch 0.4, whose storages could be views of others: then it is not None
        case ("storage", Global(name=of), str(key), _, int(count), *more) if more in ([], [None]) and count >= 0:
            return Storage(key, _CLASSES.get(of.removesuffix(_STORAGE)) if of.endswith(_STORAGE) else None, count)
    return None


def _tensor(made: Made, name: str | None) -> Tensor | None:
    """The tensor that a call would make; None if it makes something else."""
    for _ in range(4):  # a parameter of a class of its own is three calls deep
        match made.function, made.arguments:
            case Global(name=function), (Made() as inner, *_) if function in _AROUND:
                made = inner
            case Global(name="_rebuild_from_type_v2"), (Global() as function, _, tuple(arguments), *_):
                made = Made(function, arguments)
            case Global(name=function), (source, int(offset), tuple(shape), tuple(stride), *more) if (
                function in _REBUILD
            ):
                storage = _storage(source)
                if storage is None or offset < 0 or not _sizes(shape, stride):
                    return None
                of: str | None = storage.type
                if function == "_rebuild_tensor_v3" and len(more) > 2 and isinstance(more[2], Global):
                    of = more[2].name
                return Tensor(_usable(name), storage.key, of, offset, shape, stride)
            case _:
                return None
    return None


def _sizes(shape: tuple[object, ...], stride: tuple[object, ...]) -> bool:
    """Whether they can be those of a tensor."""
    if len(shape) != len(stride) or len(shape) > DIMENSIONS_MAX:
        return False
    return all(type(n) is int and 0 <= n < _INTEGER_END for n in (*shape, *stride))


def _children(value: object) -> Iterator[tuple[str, object]]:
    """What lies in it, and the step of the name that leads there: "" for none."""
    if isinstance(value, Pairs):
        for number, (key, child) in enumerate(value):
            yield str(key if isinstance(key, (str, int)) else number), child
    elif isinstance(value, Made):
        if value.items is not None:
            yield "", value.items
        yield from _attributes(value.state)
        if value.arguments != ():
            yield "", value.arguments
    elif isinstance(value, (list, tuple)):
        for number, child in enumerate(value):
            yield str(number), child


def _attributes(state: object) -> Iterator[tuple[str, object]]:
    if not isinstance(state, Pairs):
        yield "", state
        return
    for key, child in state:
        if isinstance(key, str):
            yield "" if key in _TRANSPARENT else key, child


def _joined(name: str | None, step: str) -> str | None:
    """None for what is too long."""
    if name is None or not step:
        return name
    return (f"{name}.{step}" if name else step) if len(name) + len(step) < NAME_BYTES_MAX else None


def _usable(name: str | None) -> str | None:
    """None for a name that has no UTF-8."""
    return None if name is None or any("\ud800" <= c <= "\udfff" for c in name) else name
