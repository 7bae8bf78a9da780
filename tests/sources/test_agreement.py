"""The released safetensors library and we read the same files alike, and refuse the same ones.

The differences that are on purpose, all of them refusals, are in ``STRICTER``, each with an example
that the library reads.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from codec.dtypes import DTYPES
from codec.limits import DIMENSIONS_MAX, NAME_BYTES_MAX
from codec.sources.safetensors import NotSafetensorsError, metadata_of
from tests.sources.headers import (
    NOISE,
    entry,
    file_of,
    one,
    ours,
    segments,
    spell,
    spellings,
    tensors_of,
    theirs,
)


@given(tensors_of(), spellings)
def test_valid_files_are_read_as_the_library_reads_them(
    file: tuple[dict[str, Any], int], spelling: tuple[bool, int | None, str]
) -> None:
    fields, size = file
    original = file_of(spell(fields, spelling), size)
    assert ours(original) == theirs(original)
    assert metadata_of(original[: segments(original)[0].stop]) == fields.get("__metadata__")


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_element_type(dtype: str) -> None:
    size = 4 * DTYPES[dtype].bits // 8
    original = file_of(json.dumps({"t": entry(dtype, [2, 2], [0, size])}), size)
    assert ours(original) == theirs(original) == {"t": (dtype, (2, 2), NOISE[:size])}


def test_a_file_that_the_library_wrote() -> None:
    arrays = {
        "bias": np.arange(3, dtype="f4"),
        "empty": np.ones((0, 7), "i8"),
        "step": np.array(0.5, "f2"),
    }
    original = safetensors.numpy.save(arrays, {"format": "np"})
    assert metadata_of(original) == {"format": "np"}
    assert {name: data for name, (_, _, data) in ours(original).items()} == {
        name: array.tobytes() for name, array in arrays.items()
    }
    assert ours(original) == theirs(original)


# Files that the library reads and we refuse, on purpose; the pattern is that of our message.

STRICTER = [
    (file_of("  {}"), r"does not start with '\{'"),
    (file_of('{"a":' + json.dumps(entry()) + ',"a":' + json.dumps(entry()) + "}", 2), r"duplicate key"),
    (file_of('{"__metadata__":{"a":"1","a":"2"}}'), r"duplicate key"),
    (file_of('{"a":["U8",[2],[0,2]]}', 2), r"expected an object, found \["),
    (file_of(one(dtype={"U8": None}), 2), r"unknown dtype \{"),
    (file_of(one(shape=[0, 1 << 62, 1 << 62], offsets=[0, 0])), r"size overflows"),
    (file_of(one(shape=[0, 1 << 63], offsets=[0, 0])), r"has \d{19,20}, not an integer"),
    (file_of(one(shape=[1] * (DIMENSIONS_MAX + 1), offsets=[0, 1]), 1), r"65 dimensions, the limit is 64"),
    (file_of(json.dumps({"é" * (NAME_BYTES_MAX // 2 + 1): entry()}), 2), r"name is longer than 65536 bytes"),
    (file_of(one(more=0.5).replace("0.5", "0.5" + "0" * 400), 2), r"a number of 403 characters"),
]


@pytest.mark.parametrize(("original", "pattern"), STRICTER, ids=[pattern for _, pattern in STRICTER])
def test_stricter_than_the_library_on_purpose(original: bytes, pattern: str) -> None:
    theirs(original)
    with pytest.raises(NotSafetensorsError, match=pattern):
        segments(original)


def agree(original: bytes) -> None:
    """Both read the file alike, or we refuse it: since the library does, or on purpose."""
    try:
        read = ours(original)
    except NotSafetensorsError as refusal:
        if not any(re.search(pattern, str(refusal)) for _, pattern in STRICTER):
            with pytest.raises(safetensors.SafetensorError):
                theirs(original)
    else:
        assert read == theirs(original)


ODD: list[Any] = [
    None,
    True,
    0,
    1,
    2,
    -1,
    1 << 63,
    1 << 64,
    0.0,
    2.0,
    1e30,
    "",
    "U8",
    "F4",
    "F64",
    [],
    {},
    [0, 0],
    [0, 2],
]
odd_values = st.sampled_from([*ODD, [1, 1], [2, 2], [0, 1 << 62, 4], [True], ["2"], {"a": "b"}, {"a": 1}])


@given(tensors_of(), st.data())
def test_headers_with_odd_values_are_judged_alike(file: tuple[dict[str, Any], int], data: st.DataObject) -> None:
    fields, size = file
    name = data.draw(st.sampled_from([*fields, "__metadata__", "new"]))
    field = data.draw(st.sampled_from(["dtype", "shape", "data_offsets", "new", None]))
    value = data.draw(odd_values)
    if field is None:
        fields[name] = value
    else:
        fields[name] = {**fields.get(name, {}), field: value}
    agree(file_of(json.dumps(fields), size))


@given(tensors_of(), spellings, st.data())
def test_headers_with_changed_characters_are_judged_alike(
    file: tuple[dict[str, Any], int], spelling: tuple[bool, int | None, str], data: st.DataObject
) -> None:
    fields, size = file
    header = spell(fields, spelling).encode()
    characters = st.sampled_from([bytes([c]) for c in b'0129-+.eE,:[]{}"\\ux \t\n\0\x7f\xc3\xff'])
    for _ in range(data.draw(st.integers(1, 2))):
        start = data.draw(st.integers(0, len(header)))
        stop = data.draw(st.integers(start, min(start + 2, len(header))))
        header = header[:start] + data.draw(characters | st.just(b"")) + header[stop:]
    agree(file_of(header, size))
