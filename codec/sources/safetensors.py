"""Safetensors files: a header that is checked against every rule of the format, then the tensors.

    8 bytes    n, unsigned little-endian
    n bytes    a JSON object, starting with "{", padded at its end with white space:
               {"__metadata__": {str: str, ...}, name: {"dtype", "shape", "data_offsets"}, ...}
    the rest   the elements of the tensors; data_offsets [begin, end) count from here

The rules are those of the safetensors library (0.8.0), and what it refuses is refused here. On purpose,
this parser also refuses some headers that the library reads, since no writer makes them and two readers
could understand them differently, or since a reader would have to take care of them for ever:

- white space before "{" (the format document forbids it, the library does not look);
- a key twice in one object (the library keeps the last one of two tensors of the same name);
- a tensor given as an array of three values, a dtype given as an object;
- shapes whose product overflows but for a dimension that is 0, and sizes of 2^63 bits or more;
- more dimensions, longer names, than :mod:`codec.limits` allows; numbers of hundreds of digits.

A file refused here is still compressed, as opaque bytes.
"""

from __future__ import annotations

import math
import reprlib
from typing import Final

from codec.dtypes import DTYPES
from codec.limits import DIMENSIONS_MAX, NAME_BYTES_MAX, SAFETENSORS_HEADER_MAX
from codec.sources import strict_json
from codec.sources.segment import Peek, RefusedError, Segment

_LENGTH_BYTES: Final = 8
_METADATA: Final = "__metadata__"
_TENSOR_FIELDS: Final = frozenset(("dtype", "shape", "data_offsets"))

#: A size in bits, a dimension and an offset stay below this.
_INTEGER_END: Final = 1 << 63

#: How a value of the file is shown in a message: on one line, and short whatever the file holds.
_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = 120
_show: Final = _SHORT.repr


class NotSafetensorsError(RefusedError):
    """The bytes break a rule of the safetensors format, which the message names."""


def parse(peek: Peek, size: int | None) -> list[Segment]:
    """The segments of a safetensors file: length and header as one opaque segment, then every tensor.

    Tensors are in order of offset; those without elements come before the one that starts where they lie,
    in order of name. If ``size`` is given the segments end there exactly. Otherwise the header alone says
    where the last tensor ends, and nobody has looked at whether the stream is that long, or longer.

    Raises :class:`NotSafetensorsError` if any rule of the format is broken.

    >>> header = b'{"b":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}'
    >>> original = len(header).to_bytes(8, "little") + header + b"x"
    >>> tensor = parse(lambda n: original[:n], len(original))[1]
    >>> tensor.start, tensor.stop, tensor.name, tensor.dtype, tensor.shape
    (60, 61, 'b', 'U8', ())
    """
    data_start, fields = _header(peek, size)
    _metadata(fields)
    tensors = [_tensor(name, entry, data_start) for name, entry in fields.items() if name != _METADATA]
    tensors.sort(key=lambda tensor: (tensor.start, tensor.stop, tensor.name))
    position = data_start
    for tensor in tensors:
        if tensor.start != position:
            what = "hole before" if tensor.start > position else "overlap at"
            raise NotSafetensorsError(
                f"{what} tensor {_show(tensor.name)}: it starts at byte {tensor.start}, "
                f"the one before ends at byte {position}"
            )
        position = tensor.stop
    if size is not None and position != size:
        raise NotSafetensorsError(f"the last tensor ends at byte {position}, but the file has {size} bytes")
    return [Segment(0, data_start), *tensors]


def metadata_of(header_bytes: bytes) -> dict[str, str] | None:
    """The ``__metadata__`` of a header, None if it has none.

    ``header_bytes`` are those of the first segment: the 8 length bytes, the JSON and its padding.
    The tensors are not looked at. Raises :class:`NotSafetensorsError`.

    >>> metadata_of(b'\\x20\\0\\0\\0\\0\\0\\0\\0{"__metadata__":{"format":"pt"}}')
    {'format': 'pt'}
    """
    _, fields = _header(lambda n: header_bytes[:n], len(header_bytes))
    return _metadata(fields)


def _header(peek: Peek, size: int | None) -> tuple[int, dict[str, object]]:
    """Where the header ends, and its JSON object. Asks for all of it only once it looks like one."""
    start = peek(_LENGTH_BYTES + 1)
    if len(start) < _LENGTH_BYTES:
        raise NotSafetensorsError(f"no header length: expected {_LENGTH_BYTES} bytes, found {len(start)}")
    length = int.from_bytes(start[:_LENGTH_BYTES], "little")
    if length > SAFETENSORS_HEADER_MAX:
        raise NotSafetensorsError(f"header length {length} is over the limit of {SAFETENSORS_HEADER_MAX}")
    stop = _LENGTH_BYTES + length
    if size is not None and stop > size:
        raise NotSafetensorsError(f"header ends at byte {stop}, but the file has {size} bytes")
    if length == 0 or start[_LENGTH_BYTES:] != b"{":
        raise NotSafetensorsError("header does not start with '{'")
    content = peek(stop)
    if len(content) < stop:
        raise NotSafetensorsError(f"header ends at byte {stop}, but the file has {len(content)} bytes")
    try:
        fields = strict_json.loads(content[_LENGTH_BYTES:stop].decode("utf-8"))
    except UnicodeDecodeError as error:
        at = _LENGTH_BYTES + error.start
        raise NotSafetensorsError(f"header is not valid UTF-8 at byte {at}") from None
    except ValueError as error:
        raise NotSafetensorsError(f"header is not valid JSON: {error}") from None
    assert isinstance(fields, dict)  # it starts with "{"
    return stop, fields


def _metadata(fields: dict[str, object]) -> dict[str, str] | None:
    """The checked ``__metadata__``; null is read as absent, as the library does."""
    metadata = fields.get(_METADATA)
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise NotSafetensorsError(f"{_METADATA} is not an object of strings: found {_show(metadata)}")
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise NotSafetensorsError(f"{_METADATA} key {_show(key)} is not a string: found {_show(value)}")
    return metadata


def _tensor(name: str, entry: object, data_start: int) -> Segment:
    """One tensor, at its place in the file; all rules checked that concern this tensor alone."""
    if len(name.encode("utf-8")) > NAME_BYTES_MAX:
        raise NotSafetensorsError(f"tensor {_show(name)}: name is longer than {NAME_BYTES_MAX} bytes")
    if not isinstance(entry, dict):
        raise NotSafetensorsError(f"tensor {_show(name)}: expected an object, found {_show(entry)}")
    if missing := _TENSOR_FIELDS - entry.keys():
        raise NotSafetensorsError(f"tensor {_show(name)}: no {', no '.join(sorted(missing))}")
    dtype = entry["dtype"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise NotSafetensorsError(f"tensor {_show(name)}: unknown dtype {_show(dtype)}")
    shape = _integers(name, "shape", entry["shape"])
    offsets = _integers(name, "data_offsets", entry["data_offsets"])
    if len(shape) > DIMENSIONS_MAX:
        raise NotSafetensorsError(f"tensor {_show(name)}: {len(shape)} dimensions, the limit is {DIMENSIONS_MAX}")
    if len(offsets) != 2:
        raise NotSafetensorsError(f"tensor {_show(name)}: data_offsets has {len(offsets)} values, expected 2")
    begin, end = offsets
    if begin > end:
        raise NotSafetensorsError(f"tensor {_show(name)}: data_offsets end at {end}, before their begin at {begin}")
    bits = DTYPES[dtype].bits
    if math.prod(dimension for dimension in shape if dimension) * bits >= _INTEGER_END:
        raise NotSafetensorsError(f"tensor {_show(name)}: size overflows, shape {_show(shape)} of {dtype}")
    size, rest = divmod(math.prod(shape) * bits, 8)
    if rest:
        raise NotSafetensorsError(
            f"tensor {_show(name)}: shape {_show(shape)} of {dtype} is not a whole number of bytes"
        )
    if size != end - begin:
        raise NotSafetensorsError(
            f"tensor {_show(name)}: shape {_show(shape)} of {dtype} takes {size} bytes, data_offsets span {end - begin}"
        )
    return Segment(data_start + begin, data_start + end, name, dtype, shape)


def _integers(name: str, field: str, values: object) -> tuple[int, ...]:
    if not isinstance(values, list):
        raise NotSafetensorsError(f"tensor {_show(name)}: {field} is not an array: found {_show(values)}")
    for value in values:
        if type(value) is not int or not 0 <= value < _INTEGER_END:  # True is an int, but not of this type
            raise NotSafetensorsError(f"tensor {_show(name)}: {field} has {_show(value)}, not an integer in [0, 2^63)")
    return tuple(values)
