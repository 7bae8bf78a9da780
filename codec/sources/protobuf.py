"""Protocol buffers on the wire: the fields of a message, one after the other, without what they mean.

A message is fields; a field is a varint, number << 3 | wire type, and then its value: wire type 0 a varint, 1 eight
bytes, 2 a varint length and so many bytes (a string, a message, packed numbers), 5 four bytes. Groups (3 and 4) are
older than proto3 and refused. Nothing here calls itself: who goes into messages in messages counts how deep.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from codec.sources.segment import RefusedError
from codec.sources.window import Window

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

#: Messages in messages, at most: the limit of Google's own parsers.
DEPTH_MAX: Final = 100

_VARINT_BYTES_MAX: Final = 10
_FIXED: Final = {FIXED64: 8, FIXED32: 4}


class Field(NamedTuple):
    """A field of a message. ``start`` and ``stop`` of its value's bytes; ``value`` of a varint, else 0."""

    number: int
    wire: int
    start: int
    stop: int
    value: int


def fields(window: Window, start: int, stop: int) -> Iterator[Field]:
    """The fields of the message that bytes [start, stop) are.

    Raises RefusedError, from the iterator, for bytes that are none, and what ``window`` does.

    >>> from codec.sources.segment import Look
    >>> [tuple(f) for f in fields(Window(Look.of(b"\\x08\\x96\\x01\\x12\\x02hi")), 0, 7)]
    [(1, 0, 1, 3, 150), (2, 2, 5, 7, 0)]
    """
    at = start
    while at < stop:
        head = window.read(at, min(2 * _VARINT_BYTES_MAX, stop - at))
        tag, used = varint(head, 0)
        number, wire = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise RefusedError(f"field number {number} at byte {at}")
        value, first = 0, at + used
        if wire in (VARINT, BYTES):
            value, after = varint(head, used)
            at += after
            if wire == BYTES:
                first, at, value = at, at + value, 0
        elif wire in _FIXED:
            at = first + _FIXED[wire]
        else:
            raise RefusedError(f"wire type {wire} at byte {at}")
        if at > stop:
            raise RefusedError(f"field {number} ends at byte {at}, its message at {stop}")
        yield Field(number, wire, first, at, value)


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at ``at``, and where it ends. Raises RefusedError if it does not end, or is over 64 bits."""
    value = 0
    for shift, byte in enumerate(data[at : at + _VARINT_BYTES_MAX]):
        value |= (byte & 127) << 7 * shift
        if byte < 128:
            if value >> 64:
                break
            return value, at + shift + 1
    raise RefusedError("varint without end")


def packed(window: Window, field: Field, most: int) -> list[int]:
    """The varints of a packed field, or that of a plain one. Raises RefusedError for more than ``most``."""
    if field.wire == VARINT and most > 0:
        return [field.value]
    if field.stop - field.start > most * _VARINT_BYTES_MAX:
        raise RefusedError(f"more than {most} numbers at byte {field.start}")
    data, at, found = window.read(field.start, field.stop - field.start), 0, list[int]()
    while at < len(data):
        value, at = varint(data, at)
        found.append(value)
    if len(found) > most:
        raise RefusedError(f"more than {most} numbers at byte {field.start}")
    return found
