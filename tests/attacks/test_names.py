"""Attack: names of tensors chosen to hurt: to collide in a hash table, to appear twice, to be obeyed by a terminal.

Mitigation: Python hashes strings with a key that is new for every process; a name that appears twice is refused; all
that is printed is one line a thing, with control characters, line breaks and direction marks as escapes.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import codec
from codec.container import index as indexes
from codec.container import records
from codec.container.index import Index, TensorEntry
from codec.wire import text, varint
from tests.cli.calls import Here
from tests.hostile.forge import Parts, file_of_index, flipped

EVIL = [
    "\x1b]0;owned\x07",
    "\x1b[2J\x1b[1;1Hall is well",
    "a\rcodec: intact",
    "line\nbreak",
    "\u202egnp.exe",
    "\u2028\u2029\x85",
    "\x9b31m",
    "\0",
    "zero\u200bwidth",
    "",
]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)


def empty(names: list[str]) -> Index:
    return Index(0, b"", "", "", [], [TensorEntry(name, "F32", (0,), 0, 0) for name in names])


def harmless(said: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in said)


def test_names_are_printed_and_not_obeyed(command: Here, tmp_path: Path) -> None:
    path = tmp_path / "evil\x1b[31m\n.weft"
    path.write_bytes(file_of_index(empty(EVIL)))
    said = command.well("inspect", "--tensors", path)
    assert harmless(said.out + said.err)
    assert len(said.out.splitlines()) < 25
    record = command.well("inspect", "--tensors", "--json", path)
    assert harmless(record.out) and [t["name"] for t in json.loads(record.out)["tensors"]] == EVIL


def test_level_and_source_are_printed_and_not_obeyed(command: Here, tmp_path: Path) -> None:
    path = tmp_path / "a.weft"
    path.write_bytes(file_of_index(Index(0, b"", EVIL[1], EVIL[3])))
    said = command.well("inspect", path)
    assert harmless(said.out + said.err) and len(said.out.splitlines()) < 10


@pytest.mark.parametrize("name", EVIL)
def test_errors_name_them_and_are_one_line(command: Here, tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.weft"
    path.write_bytes(file_of_index(empty([name, name])))
    for call in (("inspect", path), ("verify", path), ("decompress", path, "-o", tmp_path / "b")):
        said = command(*call)
        assert said.code == 1 and harmless(said.err) and len(said.err.splitlines()) == 1, said
    damaged = bytearray(codec.compress(bytes(range(100)), "uint8"))
    damaged[40] ^= 1
    path.write_bytes(damaged)
    assert harmless(command("verify", path).complaint)


def test_exceptions_of_the_library_are_one_line() -> None:
    for name in EVIL:
        with pytest.raises(codec.CorruptFileError) as caught:
            codec.decompress(file_of_index(empty([name, name])))
        assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


def test_errors_of_a_damaged_tensor_are_one_line() -> None:
    """The command escapes what it prints; who logs str(error) does not."""
    parts = Parts.of(codec.compress(bytes(range(100)), "uint8"))
    index = parts.index
    index.tensors[0].name = EVIL[3] + EVIL[0]
    kind, body = parts.records[0]
    parts.records[:] = [(kind, flipped(body, 8 * len(body) - 1)), (records.INDEX, indexes.encode(index))]
    with pytest.raises(codec.CorruptFileError) as caught:
        codec.decompress(parts.file())
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


def test_twice_the_same_name() -> None:
    with pytest.raises(codec.CorruptFileError, match="two tensors are named 'a'"):
        codec.safe_open(io.BytesIO(file_of_index(empty(["a", "b", "a"]))))


def test_names_that_only_look_the_same() -> None:
    """Two spellings of one glyph are two names, here as in safetensors."""
    with codec.safe_open(io.BytesIO(file_of_index(empty(["\u00e9", "e\u0301"])))) as file:
        assert len(file.keys()) == 2


def test_hashes_of_names_are_keyed() -> None:
    """They differ from process to process, so nobody can prepare names that collide."""
    program = "print(hash('model.layers.0.weight'))"
    env = {k: v for k, v in os.environ.items() if k != "PYTHONHASHSEED"}
    found = {subprocess.run([sys.executable, "-c", program], env=env, capture_output=True).stdout for _ in range(3)}
    assert len(found) == 3


def test_names_that_would_collide_without_a_key() -> None:
    """Multiples of the Mersenne prime that Python's integers are hashed by, as names: no slower than others."""
    took = []
    for names in ([f"{k:020}" for k in range(4_000)], [f"{k * (2**61 - 1)}" for k in range(4_000)]):
        blob = file_of_index(empty(names))
        began = time.process_time()
        with codec.safe_open(io.BytesIO(blob)) as file:
            assert len(file.keys()) == 4_000
        took.append(time.process_time() - began)
    assert took[1] < 10 * took[0] + 1


def test_long_names(tmp_path: Path, command: Here) -> None:
    """65,536 bytes at most; a message with one is still one line."""
    name = "n" * 65_536
    with codec.safe_open(io.BytesIO(file_of_index(empty([name])))) as file:
        assert file.keys() == [name]
    body = varint(0) + b"\0" + text("") * 2 + varint(0) + varint(1) + text(name + "n") + b"\2\1\0\0\0"
    with pytest.raises(codec.CorruptFileError, match="65537 is more than 65536"):
        codec.decompress(file_of_index(b"\0" + varint(len(body)) + body))
