"""The pickle scan: what Python's pickle writes is described, bombs end soon, and what is cut or wrong is refused."""

from __future__ import annotations

import collections
import pickle
import re
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.sources import torch_tensors
from codec.sources.pickle_scan import (
    OBJECTS_MAX,
    OPCODES_MAX,
    OTHER,
    BadPickleError,
    CutPickleError,
    Global,
    Made,
    Pairs,
    scan,
)
from codec.sources.segment import RefusedError
from tests.sources import torch_files as made
from tests.sources.mutations import mutated

ROOT = Path(__file__).resolve().parents[2]
PLAIN: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 62), (1 << 63) - 1) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=5)
    ),
    max_leaves=20,
)


def plain(value: object) -> object:
    """Pairs as dictionaries again."""
    if isinstance(value, Pairs):
        return {key: plain(child) for key, child in value}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(child) for child in value)
    return value


@given(PLAIN, st.integers(2, 5))
def test_plain_values(value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    found = scan(b"xy" + data + b"more", 2)
    assert found.whole and found.stop == len(data) + 2 and plain(found.value) == value


@given(PLAIN)
def test_the_files_made_by_hand_are_pickles(value: object) -> None:
    assert pickle.loads(made.pickled(value)) == value == plain(scan(made.pickled(value)).value)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_is_not_asked_about_is_other(protocol: int) -> None:
    values = [1.5, b"bytes", 1 << 64, "x" * 5000, {1}, frozenset((1,)), 3 + 4j, bytearray(b"x")]
    found = scan(pickle.dumps(values, protocol)).value
    assert isinstance(found, list) and len(found) == len(values)
    assert all(v is OTHER or isinstance(v, (list, Made)) for v in found)


def test_objects_are_described() -> None:
    value = collections.OrderedDict(a=collections.deque([1]), b=collections.defaultdict(int, {"c": len}))
    found = scan(pickle.dumps(value, 2)).value
    assert isinstance(found, Made) and isinstance(found.items, Pairs)
    (_, deque), (_, default) = found.items
    assert isinstance(deque, Made) and deque.items == [1]
    assert isinstance(default, Made) and isinstance(default.items, Pairs)
    (key, function) = default.items[0]
    assert key == "c" and isinstance(function, Global) and (function.module, function.name) == ("__builtin__", "len")


def test_a_list_in_itself() -> None:
    value: list[object] = []
    value.append({"again": value, "t": 1})
    found = scan(pickle.dumps(value, 2)).value
    assert isinstance(found, list) and isinstance(found[0], Pairs) and found[0][0][1] is found
    assert list(torch_tensors.tensors(found)) == []


BAD = {
    b"": "cut short",
    b"\x80": "cut short",
    b"\x80\x02": "cut short",
    b"\x80\x02K": "cut short",
    b"\x80\x02X\xff\xff\xff\xff": "cut short",
    b"\x80\x02\x8d" + b"\xff" * 8: "cut short",
    b"\x80\x02ctorch\nFlo": "cut short",
    b"\x80\x01N.": "protocol 1",
    b"\x80\x06N.": "protocol 6",
    b"N N.": "opcode 0x20 at byte 1",
    b"NN.": "leaves 1 values",
    b".N": "takes a mark for a value",
    b"(.N": "takes a mark for a value",
    b"tN": "finds nothing",
    b"u..": "finds nothing",
    b"}(Nu.": "a key without a value",
    b"h\0.": "nothing in the memo",
    b"K\1K\2\x93.": "whose names are no strings",
    b"X\1\0\0\0\xff.": "not valid UTF-8",
    b"c" + b"x" * 5000 + b"\n": "a name at byte 1 that does not end",
    b"I1\n.": "opcode 0x49",
    b"P1\n.": "opcode 0x50",
    b"\x82\1.": "opcode 0x82",
    b"\x97.": "opcode 0x97",
}


@pytest.mark.parametrize("data", BAD, ids=list(BAD.values()))
def test_refused(data: bytes) -> None:
    with pytest.raises(BadPickleError, match=re.escape(BAD[data])) as error:
        scan(data)
    assert "\n" not in str(error.value)


def test_every_beginning_is_cut() -> None:
    data = made.pickled(made.checkpoint()[0])
    for size in range(len(data)):
        with pytest.raises(CutPickleError):
            scan(data[:size])


BOMBS: dict[str, Callable[[int], bytes]] = {
    "tuples in tuples": lambda n: b"N" + b"\x85" * n + b".",
    "lists in lists": lambda n: b"]" * n + b"a" * (n - 1) + b".",
    "dictionaries": lambda n: b"(" + b"}" * n + b"l.",
    "marks": lambda n: b"(" * n + b".",
    "memo": lambda n: b"N" + b"".join(b"r" + k.to_bytes(4, "little") for k in range(n)) + b".",
    "doubled": lambda n: b"]" + b"q\0h\0h\0\x86" * n + b".",  # 2 ** n leaves
    "grows in itself": lambda n: b"]q\0" + b"(h\0h\0h\0e" * n + b".",
    "calls of calls": lambda n: b"N" + b")R" * n + b".",
    "a number of 2 GiB": lambda n: b"\x8b\xff\xff\xff\x7f" + bytes(n),
    "long numbers": lambda n: (b"\x8a\xff" + b"\xff" * 255 + b"0") * (n // 99) + b"N.",
    "frames": lambda n: (b"\x95" + b"\xff" * 8) * n + b"N.",
    "persistent": lambda n: b"N" + b"Q" * n + b".",
    "types of types": lambda n: b"N" + b"(ctorch._tensor\n_rebuild_from_type_v2\n0ltR" * (n // 9) + b".",
}


def followed(data: bytes) -> None:
    try:
        found = scan(data)
        list(torch_tensors.tensors(found.value))
        torch_tensors.storages(found.persistent)
    except RefusedError as error:
        assert len(str(error)) < 300  # noqa: PT017


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end_soon(name: str) -> None:
    """In time that grows as the pickle does, until enough is enough; and in memory that does."""
    tracemalloc.start()
    followed(BOMBS[name](20_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000 * 600
    data, began = BOMBS[name](200_000), time.process_time()
    followed(data)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(("opcode", "most"), [(b"]", OBJECTS_MAX), (b"N", OPCODES_MAX)])
def test_there_is_an_end(opcode: bytes, most: int) -> None:
    found = scan(opcode * (most + 10) + b".")
    assert not found.whole and found.value is OTHER and found.stop <= most + 2


def test_long_ways_to_many_tensors() -> None:
    """Names of 3,000 characters a step, 200 steps deep, and at each of them 50 tensors."""
    of = made.whole("0", made.arrays()["0"])
    value: dict[str, object] = {}
    for _ in range(200):
        value = {"k" * 3000: value} | {f"t{n}": of for n in range(50)}
    found = scan(made.pickled(value))
    began = time.process_time()
    names = [t.name for t in torch_tensors.tensors(found.value)]
    assert len(names) == 10_000 and time.process_time() - began < 5
    assert sum(len(n) for n in names if n is not None) < 1 << 27


@given(mutated(made.pickled(made.checkpoint()[0])))
def test_mutations(data: bytes) -> None:
    try:
        found = scan(data)
        torch_tensors.storages(found.persistent)
        list(torch_tensors.tensors(found.value))
    except RefusedError as error:
        assert "\n" not in str(error) and len(str(error)) < 500  # noqa: PT017


def test_no_pickle_module_is_needed() -> None:
    code = "import sys, codec.sources; print(sorted({'pickle', 'pickletools', 'torch', 'zipfile'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
