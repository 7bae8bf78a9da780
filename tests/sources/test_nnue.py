"""NNUE: networks made by hand, and what leads astray."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import codec
from codec.sources import nnue as source
from codec.sources.segment import Look, RefusedError
from tests.kernels.test_leb128 import packed
from tests.sources.made import NOISE, u32
from tests.sources.mutations import checked, mutated, readable, round_trip

MAGIC = source.MAGIC


def block(values: list[int] | np.ndarray) -> bytes:
    data = packed([int(v) for v in values])
    return source.MAGIC + u32(len(data)) + data


def network(*blocks: bytes, text: bytes = b"a small one") -> bytes:
    return source.VERSION + NOISE[:4] + u32(len(text)) + text + NOISE[4:8] + b"".join(blocks) + NOISE[:300]


def weights(seed: int, rows: int, columns: int, scale: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.round(rng.normal(0, scale, (rows, columns)) * rng.uniform(0.3, 3, (rows, 1))).astype(int).ravel()


FILE = network(block(weights(1, 1, 32, 90)), block(weights(2, 40, 32, 40)), block(weights(3, 40, 8, 9000)))


def refusal(data: bytes) -> str:
    with pytest.raises(RefusedError) as caught:
        source.parse(Look.of(data))
    round_trip(data)
    return str(caught.value)


def test_a_network_made_by_hand(tmp_path: Path) -> None:
    assert readable(tmp_path / "n.nnue", FILE, "nnue") == {}
    found = source.parse(Look.of(FILE))
    assert [s.packed.columns if s.packed else 0 for s in found] == [0, 32, 0, 32, 0, 8, 0]
    assert FILE[found[1].start - 4 : found[1].start] == u32(found[1].size)
    assert found[-1].size == 300


@pytest.mark.parametrize("level", ["fast", "default", "max"])
def test_it_is_coded_as_integers(level: str) -> None:
    """Below the entropy of the integers at their whole, let alone of the bytes."""
    held = weights(5, 4000, 64, 40)
    data = network(block(weights(1, 1, 64, 90)), block(held))
    stored = len(codec.compress(data, level=level, threads=1))
    assert codec.decompress(codec.compress(data, level=level, threads=1)) == data
    _, counts = np.unique(held, return_counts=True)
    entropy = float(-(counts * np.log2(counts / counts.sum())).sum()) / 8
    assert stored < entropy * {"fast": 1.05, "default": 1.0, "max": 1.0}[level] + 1500


@pytest.mark.parametrize("rows", [1, 7, 30_000])
def test_pieces_that_end_within_an_integer(rows: int) -> None:
    """Blocks of over 1 MiB are read in several pieces."""
    values = np.concatenate([np.full(64, 70), np.tile([300, -5, 8192, 1, -64, 63, 1 << 20], rows)])
    data = network(block(values[:64]), block(values))
    assert codec.decompress(codec.compress(data, threads=1)) == data


def test_bytes_that_are_no_leb128_after_all() -> None:
    data = network(block([1, 2, 3]), source.MAGIC + u32(9000) + b"\x80\x00" * 4500)
    assert len(source.parse(Look.of(data))) == 5
    round_trip(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "does not begin"),
        (b"NNUE" + FILE[4:], "does not begin"),
        (FILE[:8] + u32(1 << 31) + FILE[12:], "a description of"),
        (FILE[:8] + u32(12) + FILE[12:], "no packed weights"),
        (network(), "no packed weights"),
        (network(source.MAGIC + u32(0)), "end within"),
        (network(source.MAGIC + u32(1) + b"\x80"), "end within"),
        (FILE[:200], "behind the file"),
    ],
)
def test_refused(data: bytes, words: str) -> None:
    assert words in refusal(data)


def test_a_pipe_is_refused() -> None:
    with pytest.raises(RefusedError, match="behind the front"):
        source.parse(Look(lambda n: FILE[:n], None))


@given(mutated(FILE))
def test_mutations(data: bytes) -> None:
    if checked(source.parse, data) is not None:
        round_trip(data)


@given(st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=50)), max_size=5))
def test_any_bytes_in_blocks(blocks: list[tuple[bool, bytes]]) -> None:
    held = [source.MAGIC + u32(len(data)) + (data[:-1] + b"\x01" if ends else data) for ends, data in blocks]
    data = network(*held)
    if checked(source.parse, data) is not None:
        round_trip(data)
