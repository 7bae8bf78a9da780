"""PyTorch files of before 1.6, made by hand."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given

import codec
from codec.sources.segment import Look, RefusedError
from codec.sources.torch_legacy import parse
from tests.sources import torch_files as made
from tests.sources.mutations import mutated

VALUE, HELD = made.checkpoint((None,))  # their persistent ids say, too, that the storage is no view of another
FILE = made.legacy(VALUE, HELD)


def test_what_is_found() -> None:
    segments = parse(Look.of(FILE))
    assert [(s.name, s.dtype, s.shape, s.listed) for s in segments if s.is_tensor] == [
        ("model.w", "F32", (4, 6), True),
        ("parts.0", "F16", (2, 2), True),
        ("", "F16", (4,), False),
        ("parts.1", "F16", (2,), True),
        ("model.step", "I64", (3,), True),
        ("1", "U8", (50,), True),
    ]
    assert segments[0].start == 0 and segments[-1].stop == len(FILE)


def test_comes_back_and_by_name() -> None:
    blob = codec.compress(FILE)
    assert codec.decompress(blob) == FILE and codec.inspect_file(io.BytesIO(blob)).source == "torch-legacy"
    with codec.safe_open(io.BytesIO(blob)) as file:
        np.testing.assert_array_equal(file.get_tensor("model.w"), HELD["0"])
        np.testing.assert_array_equal(file.get_tensor("1"), HELD["3"])


def test_a_module_pickled_with_its_source() -> None:
    name = made.Pid(("module", made.Name("mine", "Net"), "mine.py", "class Net: ..."))
    weight = made.whole("0", HELD["0"], None)
    module = made.Call(name, (), {"_parameters": {"w": weight}})
    found = [s for s in parse(Look.of(made.legacy(module, {"0": HELD["0"]}))) if s.is_tensor]
    assert [(s.name, s.shape) for s in found] == [("w", (4, 6))]


def test_long_pickles_are_read_in_steps() -> None:
    words = [f"word {n}" for n in range(20_000)]
    data = made.legacy({"words": words, "w": made.whole("0", HELD["0"], None)}, {"0": HELD["0"]})
    asked: list[int] = []

    def at(offset: int, size: int) -> bytes:
        asked.append(size)
        return data[offset : offset + size]

    names = [s.name for s in parse(Look(lambda n: data[:n], len(data), at)) if s.is_tensor]
    assert names == ["w"] and asked == [1 << 16, min(1 << 19, len(data)), 8]


W = made.whole("0", HELD["0"], None)
LONE = {"0": HELD["0"]}
SOUND = made.legacy(W, LONE)
COUNT = len(SOUND) - HELD["0"].nbytes - 8
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "big-endian": (lambda: made.legacy(W, LONE, little=False), "big-endian"),
    "version": (lambda: made.legacy(W, LONE, version=1002), "no version"),
    "no keys": (lambda: made.legacy(W, {}), "no list of the keys of 1 storages"),
    "other key": (lambda: made.legacy(W, {"1": HELD["0"]}), "a key of no storage"),
    "view of a storage": (
        lambda: made.legacy(made.whole("0", HELD["0"], ("1", 0, 4)), LONE),
        "stands for no storage",
    ),
    "unknown type": (
        lambda: made.legacy(made.Pid(("storage", made.Name("torch", "OddStorage"), "0", "cpu", 24, None)), LONE),
        "no known width",
    ),
    "count": (lambda: SOUND[:COUNT] + (25).to_bytes(8, "little") + SOUND[COUNT + 8 :], "has not 24 elements"),
    "negative": (lambda: SOUND[:COUNT] + b"\xff" * 8 + SOUND[COUNT + 8 :], "has not 24 elements"),
    "cut": (lambda: SOUND[:-1], "has not 24 elements"),
    "behind": (lambda: SOUND + b"x", "the file at byte"),
    "magic alone": (lambda: made.pickled(made.MAGIC), "cut short"),
    "tar": (lambda: b"sys_info\0".ljust(1024, b"\0"), "no magic number"),
    "huge": (lambda: made.legacy(made.whole("0", HELD["0"], None), LONE)[:100], "cut short"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    make, fragment = REFUSED[name]
    with pytest.raises(RefusedError, match=re.escape(fragment)):
        parse(Look.of(make()))
    assert codec.decompress(codec.compress(make(), level="fast")) == make()


def test_out_of_a_pipe_it_is_refused() -> None:
    with pytest.raises(RefusedError, match="pipe"):
        parse(Look(lambda n: FILE[:n], None))


@given(mutated(FILE))
def test_mutations(data: bytes) -> None:
    try:
        parse(Look.of(data))
    except RefusedError as error:
        assert "\n" not in str(error)  # noqa: PT017
    assert codec.decompress(codec.compress(data, level="fast", threads=1), threads=1) == data
