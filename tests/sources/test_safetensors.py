"""Safetensors headers: what a valid one says, and every rule that a bad one can break."""

from __future__ import annotations

import json
import re

import pytest
import safetensors

from codec.limits import SAFETENSORS_HEADER_MAX
from codec.sources import Segment
from codec.sources.safetensors import NotSafetensorsError, metadata_of, parse
from tests.sources.headers import entry, file_of, one, ours, segments, theirs


def test_no_tensors() -> None:
    assert segments(file_of("{}")) == [Segment(0, 10)]
    assert segments(file_of("{}      ")) == [Segment(0, 16)]


def test_scalar_and_tensors_without_elements_in_a_fixed_order() -> None:
    at_zero = {
        "z": entry("F32", [0], [0, 0]),
        "b": entry("F32", [], [0, 4]),
        "e": entry("F64", [3, 0], [0, 0]),
    }
    original = file_of(json.dumps({**at_zero, "y": entry("U8", [0], [4, 4])}), 4)
    start = len(original) - 4
    assert segments(original) == [
        Segment(0, start),
        Segment(start, start, "e", "F64", (3, 0)),
        Segment(start, start, "z", "F32", (0,)),
        Segment(start, start + 4, "b", "F32", ()),
        Segment(start + 4, start + 4, "y", "U8", (0,)),
    ]
    assert ours(original) == theirs(original)


def test_header_order_does_not_matter() -> None:
    fields = {name: entry("U8", [2], [2 * i, 2 * i + 2]) for i, name in enumerate("abc")}
    turned = dict(reversed(fields.items()))
    assert segments(file_of(json.dumps(fields), 6)) == segments(file_of(json.dumps(turned), 6))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("{}", None),
        ('{"__metadata__":null}', None),
        ('{"__metadata__":{}}', {}),
        ('{"__metadata__":{"format":"pt","\\u00e9\\ud83d\\ude00":"\\u0000"}}', {"format": "pt", "é😀": "\0"}),
        ('{"__met\\u0061data__":{"a":"\\\\ud800"}}', {"a": "\\ud800"}),
    ],
)
def test_metadata(header: str, expected: dict[str, str] | None) -> None:
    original = file_of(header)
    assert theirs(original) == {}
    assert segments(original) == [Segment(0, len(original))]
    assert metadata_of(original) == expected


@pytest.mark.parametrize("value", ["null", "1.5", "9" * 40, '"text"', "[]", "[" * 125 + "]" * 125])
def test_fields_that_the_format_does_not_know_are_ignored(value: str) -> None:
    original = file_of(one(more="value").replace('"value"', value), 2)
    assert ours(original) == theirs(original)


# Files that both refuse: each broken invariant, and the words that name it.

BAD_JSON = {
    "{": "not valid JSON",
    "{}\0\0": "not valid JSON: Extra data",
    "{}\u00a0": "not valid JSON: Extra data",
    "{}{}": "not valid JSON: Extra data",
    '{"a":"\x01"}': "not valid JSON: Invalid control character",
    '{"a":"\\x"}': "not valid JSON: Invalid \\escape",
    '{"__metadata__":{"a":"\\ud800"}}': "half a surrogate pair",
    '{"\\uDC00":1}': "half a surrogate pair",
    '{"a":NaN}': "NaN is not a JSON value",
    '{"a":-Infinity}': "-Infinity is not a JSON value",
    '{"a":1e999}': "out of range",
    '{"a":' + "9" * 399 + "}": "out of range",
    '{"a":' + "9" * 1_000_000 + "}": "a number of 1000000 characters",
    '{"a":' + "[" * 126 + "]" * 126 + "}": "expected an object, found [[[",
    '{"a":' + "[" * 127 + "]" * 127 + "}": "nested deeper than 127",
    '{"a":' * 1_000_000: "nested deeper than 127",
    "[" * 1_000_000: "does not start with '{'",
    '{"a":1,"a":1}': "duplicate key 'a'",
}
BAD_TENSORS = {
    '{"__metadata__":[]}': "__metadata__ is not an object of strings: found []",
    '{"__metadata__":{"a":1}}': "__metadata__ key 'a' is not a string: found 1",
    '{"__metadata__":{"a":null}}': "__metadata__ key 'a' is not a string: found None",
    '{"a":1}': "tensor 'a': expected an object, found 1",
    '{"a":null}': "expected an object, found None",
    '{"a":{"shape":[2],"data_offsets":[0,2]}}': "no dtype",
    '{"a":{"dtype":"U8","data_offsets":[0,2]}}': "no shape",
    '{"a":{"dtype":"U8","shape":[2]}}': "no data_offsets",
    one(dtype="u8"): "unknown dtype 'u8'",
    one(dtype=None): "unknown dtype None",
    one(dtype=["U8"]): "unknown dtype ['U8']",
    one(shape=2): "shape is not an array: found 2",
    one(shape=None): "shape is not an array",
    one(shape="2"): "shape is not an array",
    one(shape=[2.0]): "shape has 2.0, not an integer",
    one(shape=[True, 2]): "shape has True, not an integer",
    one(shape=["2"]): "shape has '2', not an integer",
    one(shape=[-1, -2]): "shape has -1, not an integer",
    one(shape=[2, 0]).replace("0", "-0", 1): "shape has -0.0, not an integer",
    one(shape=[1 << 64]): "shape has 18446744073709551616, not an integer",
    one(shape=[10**400 - 1]): "out of range",
    one(shape=[1 << 62, 1 << 62]): "size overflows",
    one(shape=[1 << 62, 1 << 62, 1 << 62, 0], offsets=[0, 0]): "size overflows",
    one(dtype="F64", shape=[1 << 60]): "size overflows",
    one(dtype="F4", shape=[3]): "is not a whole number of bytes",
    one(dtype="F6_E2M3", shape=[2]): "is not a whole number of bytes",
    one(shape=[3]): "shape (3,) of U8 takes 3 bytes, data_offsets span 2",
    one(dtype="F16", shape=[]).replace("2]", "1]"): "takes 2 bytes, data_offsets span 1",
    one(offsets=[0, 2, 2]): "data_offsets has 3 values, expected 2",
    one(offsets=[2]): "data_offsets has 1 values, expected 2",
    one(offsets=None): "data_offsets is not an array",
    one(offsets={"begin": 0, "end": 2}): "data_offsets is not an array",
    one(offsets=[False, 2]): "data_offsets has False, not an integer",
    one(offsets=[-2, 0]): "data_offsets has -2, not an integer",
    one(offsets=[0.0, 2]): "data_offsets has 0.0, not an integer",
    one(offsets=[2, 0]): "data_offsets end at 0, before their begin at 2",
    one(offsets=[1, 3]): "hole before tensor 'a'",
    json.dumps({"b": entry(offsets=[3, 5]), "a": entry()}): "hole before tensor 'b'",
    json.dumps({"b": entry(offsets=[1, 3]), "a": entry()}): "overlap at tensor 'b'",
    json.dumps({"b": entry(), "a": entry()}): "overlap at tensor 'b'",
    json.dumps({"b": entry(), "a": entry(shape=[0], offsets=[1, 1])}): "overlap at tensor 'a'",
    json.dumps({"b": entry(), "a": entry(shape=[0], offsets=[3, 3])}): "hole before tensor 'a'",
}
FILES = [
    (b"", "no header length: expected 8 bytes, found 0"),
    (b"1234567", "no header length: expected 8 bytes, found 7"),
    (bytes(8), "does not start with '{'"),
    (bytes(8) + b"{}", "does not start with '{'"),
    ((SAFETENSORS_HEADER_MAX + 1).to_bytes(8, "little") + b"{}", "over the limit of 100000000"),
    (b"\xff" * 8 + b"{}", "header length 18446744073709551615 is over the limit"),
    ((3).to_bytes(8, "little") + b"{}", "header ends at byte 11, but the file has 10 bytes"),
    (file_of("[]"), "does not start with '{'"),
    (file_of("\ufeff{}"), "does not start with '{'"),
    (file_of(b'{"\xff":1}'), "not valid UTF-8 at byte 10"),
    (file_of(b'{"__metadata__":{"\xed\xa0\x80":"1"}}'), "not valid UTF-8"),
    (file_of("{}", 1), "the last tensor ends at byte 10, but the file has 11 bytes"),
    (file_of(one(), 1), "but the file has"),
    (file_of(one(), 3), "but the file has"),
    *((file_of(header, 2), fragment) for header, fragment in {**BAD_JSON, **BAD_TENSORS}.items()),
]


@pytest.mark.parametrize(("original", "fragment"), FILES, ids=[fragment for _, fragment in FILES])
def test_every_broken_invariant_is_refused_by_name(original: bytes, fragment: str) -> None:
    with pytest.raises(safetensors.SafetensorError):
        theirs(original)
    with pytest.raises(NotSafetensorsError, match=re.escape(fragment)) as refusal:
        segments(original)
    assert len(str(refusal.value)) < 500
    assert "\n" not in str(refusal.value)


def test_header_is_not_asked_for_before_it_looks_like_one() -> None:
    asked: list[int] = []

    def peek(n: int) -> bytes:
        asked.append(n)
        return (SAFETENSORS_HEADER_MAX.to_bytes(8, "little") + b"[")[:n]

    with pytest.raises(NotSafetensorsError):
        parse(peek, None)
    assert max(asked) <= 9
