"""Safetensors files to test with: built by hand, so that they can be as wrong as a test needs them."""

from __future__ import annotations

import json
import random
from typing import Any

import safetensors
from hypothesis import strategies as st

from codec.dtypes import DTYPES
from codec.sources import Segment
from codec.sources.safetensors import parse

#: Name -> dtype, shape, bytes. What both parsers make of a file.
Tensors = dict[str, tuple[str, tuple[int, ...], bytes]]

NOISE = random.Random(20250101).randbytes(1 << 16)


def file_of(header: str | bytes, size: int = 0) -> bytes:
    """A file with this header and so many bytes of data."""
    text = header.encode() if isinstance(header, str) else header
    return len(text).to_bytes(8, "little") + text + NOISE[:size]


def entry(dtype: Any = "U8", shape: Any = (2,), offsets: Any = (0, 2), **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


def one(dtype: Any = "U8", shape: Any = (2,), offsets: Any = (0, 2), **more: Any) -> str:
    return json.dumps({"a": entry(dtype, shape, offsets, **more)})


def segments(original: bytes) -> list[Segment]:
    return parse(lambda n: original[:n], len(original))


def ours(original: bytes) -> Tensors:
    tensors = segments(original)[1:]
    return {t.name: (t.dtype, t.shape, original[t.start : t.stop]) for t in tensors}


def theirs(original: bytes) -> Tensors:
    found = safetensors.deserialize(original)  # type: ignore[no-untyped-call]
    return {name: (t["dtype"], tuple(t["shape"]), bytes(t["data"])) for name, t in found}


# What JSON must escape, what it may, and one to four bytes of UTF-8.
_texts = st.text('ab./"\\\0\n\x7fé\u2028\uffff😀', max_size=6)


@st.composite
def tensors_of(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """The JSON of a valid header, its tensors in any order, and the size of their data."""
    fields: dict[str, Any] = {}
    position = 0
    for name in draw(st.lists(_texts, unique=True, max_size=5)):
        dtype = draw(st.sampled_from(sorted(DTYPES)))
        shape = draw(st.lists(st.integers(0, 3), max_size=3))
        if DTYPES[dtype].bits % 8:
            shape.append(4)
        size = DTYPES[dtype].bits
        for dimension in shape:
            size *= dimension
        fields[name] = entry(dtype, shape, [position, position + size // 8])
        position += size // 8
    if draw(st.booleans()):
        fields["__metadata__"] = draw(st.dictionaries(_texts, _texts, max_size=2))
    order = draw(st.permutations(sorted(fields)))
    return {name: fields[name] for name in order}, position


spellings = st.tuples(st.booleans(), st.sampled_from([None, 1]), st.text(" ", max_size=9))


def spell(fields: dict[str, Any], spelling: tuple[bool, int | None, str]) -> str:
    """As JSON: with or without escapes and line breaks, and with padding."""
    ascii_only, indent, padding = spelling
    return json.dumps(fields, ensure_ascii=ascii_only, indent=indent) + padding
