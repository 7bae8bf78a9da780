"""PyTorch's zip files, made by hand: what is found in them, and what is refused."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import codec
from codec.sources import Segment, segments_of
from codec.sources.segment import Look, RefusedError
from codec.sources.torch_zip import parse
from tests.sources import torch_files as made
from tests.sources.mutations import mutated

VALUE, HELD = made.checkpoint()
FILE = made.zipped(VALUE, HELD)


def found(data: bytes) -> list[Segment]:
    """All but the opaque, and that segments tile the file."""
    at, segments = 0, parse(Look.of(data))
    for s in segments:
        assert s.start == at <= s.stop
        at = s.stop
    assert at == len(data)
    return [s for s in segments if s.is_tensor]


def told(data: bytes) -> list[tuple[str, str, tuple[int, ...], bool]]:
    return [(s.name, s.dtype, s.shape, s.listed) for s in found(data)]


def test_what_is_found() -> None:
    assert told(FILE) == [
        ("model.w", "F32", (4, 6), True),
        ("parts.0", "F16", (2, 2), True),
        ("", "F16", (4,), False),
        ("parts.1", "F16", (2,), True),
        ("model.step", "I64", (3,), True),
        ("1", "U8", (50,), True),
    ]
    starts = {s.name: s for s in found(FILE)}
    for name, array in (("model.w", HELD["0"]), ("model.step", HELD["2"]), ("1", HELD["3"])):
        assert FILE[starts[name].start : starts[name].stop] == array.tobytes()


def test_comes_back_and_by_name() -> None:
    blob = codec.compress(FILE)
    assert codec.decompress(blob) == FILE and codec.inspect_file(io.BytesIO(blob)).source == "torch"
    with codec.safe_open(io.BytesIO(blob)) as file:
        assert file.offset_keys() == ["model.w", "parts.0", "parts.1", "model.step", "1"]
        np.testing.assert_array_equal(file.get_tensor("model.w"), HELD["0"])
        np.testing.assert_array_equal(file.get_tensor("parts.1"), HELD["1"][8:])
        np.testing.assert_array_equal(file.get_tensor("parts.0"), HELD["1"][:4].reshape(2, 2))


def test_no_more_is_read_than_needed() -> None:
    big = np.zeros(1 << 20, np.uint8)
    data = made.zipped({"a": made.whole("0", big)}, {"0": big})
    read = 0

    def at(offset: int, size: int) -> bytes:
        nonlocal read
        got = data[offset : offset + size]
        read += len(got)
        return got

    parse(Look(lambda n: at(0, n), len(data), at))
    assert read < 2000


def test_out_of_a_pipe_it_is_opaque() -> None:
    assert segments_of(lambda n: FILE[:n], None) == ("opaque", [])
    assert segments_of(lambda n: FILE[:n], len(FILE))[0] == "opaque"


@pytest.mark.parametrize(
    ("shape", "stride", "told_shape", "listed"),
    [
        ((6, 4), (1, 6), (4, 6), False),  # transposed
        ((4, 6), (6, 1), (4, 6), True),
        ((24,), (1,), (24,), True),
        ((1, 24, 1), (7, 1, 9), (1, 24, 1), True),  # what has one element has any stride
        ((2, 3, 2, 2), (12, 1, 6, 3), (2, 2, 2, 3), False),  # channels last
        ((4, 3), (6, 2), (24,), False),  # every second
        ((4, 6), (0, 1), (24,), False),  # expanded
        ((25,), (1,), (24,), False),  # beyond the end
        ((1 << 62, 1 << 62), (1, 1), (24,), False),
    ],
)
def test_views(shape: tuple[int, ...], stride: tuple[int, ...], told_shape: tuple[int, ...], listed: bool) -> None:
    view = made.tensor(made.storage("0", "float32", 24), shape, 0, stride)
    expected = ("t" if told_shape != (24,) or listed else "", "F32", told_shape, listed)
    assert told(made.zipped({"t": view}, {"0": HELD["0"]})) == [expected]


def test_the_first_of_two_names_is_taken_and_the_larger_of_two_views() -> None:
    of = made.storage("0", "float32", 24)
    views = {"half": made.tensor(of, (12,)), "all": made.tensor(of, (24,)), "again": made.tensor(of, (4, 6))}
    assert told(made.zipped(views, {"0": HELD["0"]})) == [("all", "F32", (24,), True)]


def test_tensors_without_elements_and_scalars() -> None:
    held = {"0": np.zeros(0, np.float32), "1": np.ones(1, np.float32)}
    value = {
        "none": made.tensor(made.storage("0", "float32", 0), (3, 0)),
        "one": made.tensor(made.storage("1", "float32", 1), (), 0, ()),
    }
    assert told(made.zipped(value, held)) == [("none", "F32", (3, 0), True), ("one", "F32", (), True)]


def test_a_tensor_alone_and_a_name_that_no_index_can_hold() -> None:
    held = {"0": HELD["0"]}
    of = made.whole("0", HELD["0"])
    assert told(made.zipped(of, held)) == [("tensor", "F32", (4, 6), True)]
    assert told(made.zipped({"\ud800": of}, held)) == [("", "F32", (4, 6), False)]
    assert told(made.zipped({"x" * 4000: {"y" * 5000: of}}, held)) == [("x" * 4000 + ".0", "F32", (4, 6), True)]


def test_a_module_has_the_names_of_its_state_dict() -> None:
    of = made.whole("0", HELD["0"])
    linear = made.Call(made.Name("torch.nn", "Linear"), (), {"training": True, "_parameters": {"weight": of}})
    module = made.Call(made.Name("mine", "Net"), (), {"_modules": {"fc": linear}, "extra": None})
    assert told(made.zipped(module, {"0": HELD["0"]})) == [("fc.weight", "F32", (4, 6), True)]


@pytest.mark.parametrize(("of", "dtype"), [("float8_e4m3fn", "F8_E4M3"), ("uint16", "U16"), ("complex128", "F64")])
def test_elements_that_the_tensor_alone_knows(of: str, dtype: str) -> None:
    raw = np.arange(48, dtype=np.uint8)
    width = {"F8_E4M3": 1, "U16": 2, "F64": 16}[dtype]
    pid = made.Pid(("storage", made.Name("torch.storage", "UntypedStorage"), "0", "cpu", 48))
    shape, hooks = (48 // width,), made.Call(made.Name("collections", "OrderedDict"), ())
    arguments = (pid, 0, shape, (1,), False, hooks, made.Name("torch", of))
    value = {"t": made.Call(made.Name("torch._utils", "_rebuild_tensor_v3"), arguments)}
    expected = ("t", dtype, shape, True) if dtype != "F64" else ("t", dtype, (3, 2), False)
    assert told(made.zipped(value, {"0": raw})) == [expected]


def test_torchscript_has_constants_too() -> None:
    constants = [made.whole("0", HELD["1"])]
    parts = {"constants.pkl": made.pickled(tuple(constants)), "constants/0": HELD["1"].tobytes(), "code/m.py": b"x"}
    model = made.Call(made.Name("__torch__", "Net"), (), {"w": made.whole("0", HELD["0"])})
    assert sorted(told(made.zipped(model, {"0": HELD["0"]}, **parts))) == [
        ("0", "F16", (10,), True),
        ("w", "F32", (4, 6), True),
    ]


W = made.whole("0", HELD["0"])
LONE = {"0": HELD["0"]}
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "big-endian": (lambda: made.zipped({"w": W}, LONE, byteorder=b"big"), "big-endian"),
    "no such storage": (lambda: made.zipped({"w": W}, {}), "no storage '0'"),
    "no storages": (lambda: made.zipped({"w": 1}, LONE), "no storage of a known type"),
    "other type": (lambda: made.zipped({"w": made.Pid("x")}, LONE), "stands for no storage"),
    "two types": (
        lambda: made.zipped([made.storage("0", "float32", 24), made.storage("0", "int64", 12)], LONE),
        "two descriptions of storage '0'",
    ),
    "count": (lambda: made.zipped([made.storage("0", "float32", 23)], LONE), "no storage of a known type"),
    "no pickle": (lambda: made.zipped(1, LONE, **{"data.pkl": b"no"}), "opcode 0x6e at byte 0"),
    "cut pickle": (lambda: made.zipped(1, LONE, **{"data.pkl": made.pickled(W)[:-1]}), "cut short"),
    "two folders": (lambda: made.zipped({"w": W}, LONE, **{"x/data.pkl": b""}), "found 2"),
    "in front": (lambda: b"x" + FILE, "no archive"),
    "behind": (lambda: FILE + b"x", "no end of a directory"),
    "cut": (lambda: FILE[:-1], "no end of a directory"),
    "empty": (lambda: b"", "no archive"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    make, fragment = REFUSED[name]
    with pytest.raises(RefusedError, match=re.escape(fragment)) as error:
        parse(Look.of(make()))
    assert "\n" not in str(error.value) and len(str(error.value)) < 300
    assert codec.decompress(codec.compress(make(), level="fast")) == make()


@given(mutated(FILE), st.sampled_from(["fast", "default"]))
def test_mutations(data: bytes, level: Any) -> None:
    try:
        found(data)
    except RefusedError as error:
        assert "\n" not in str(error)  # noqa: PT017
    assert codec.decompress(codec.compress(data, level=level, threads=1), threads=1) == data
