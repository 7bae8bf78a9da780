"""Huffman kernels against the oracle: lengths, codes, tables, streams; and streams that no encoder wrote."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.kernels import huffman
from tests import naive

SLOTS = 1 << huffman.LIMIT


def lengths_for(counts: list[int]) -> np.ndarray:
    out = np.full(256, 99, np.uint8)
    row = np.zeros(256, np.int64)
    row[: len(counts)] = counts
    total = huffman.lengths(row, out)
    assert total == int((row * out).sum())
    return out


def cost_without_limit(counts: list[int]) -> tuple[int, int]:
    """Bits of a Huffman code, and its longest code."""
    heap = [(c, 0) for c in counts if c]
    heapq.heapify(heap)
    total = 0
    while len(heap) > 1:
        (a, deep), (b, deeper) = heapq.heappop(heap), heapq.heappop(heap)
        total += a + b
        heapq.heappush(heap, (a + b, max(deep, deeper) + 1))
    return total, heap[0][1]


def cost_with_limit(counts: list[int], limit: int) -> int:
    """Bits of the best code of at most ``limit`` bits: package-merge on plain lists of weights."""
    leaves = sorted(c for c in counts if c)
    row: list[int] = []
    for _ in range(limit):
        row = sorted(leaves + [row[i] + row[i + 1] for i in range(0, len(row) - 1, 2)])
    return sum(row[: 2 * len(leaves) - 2])


def is_complete(lengths: np.ndarray) -> bool:
    present = lengths[lengths > 0].astype(int)
    return present.max() <= huffman.LIMIT and int((SLOTS >> present).sum()) == SLOTS


def assert_best(counts: list[int]) -> None:
    lengths = lengths_for(counts)
    assert is_complete(lengths)
    assert all((length > 0) == (count > 0) for length, count in zip(lengths, counts, strict=False))
    got = sum(int(length) * count for length, count in zip(lengths, counts, strict=False))
    free, longest = cost_without_limit(counts)
    assert got == cost_with_limit(counts, huffman.LIMIT)
    assert got == free or longest > huffman.LIMIT


@given(
    counts=st.lists(st.integers(0, 9) | st.integers(0, 2**40), min_size=2, max_size=256).filter(
        lambda c: sum(map(bool, c)) > 1
    )
)
def test_lengths_are_the_best(counts: list[int]) -> None:
    assert_best(counts)


def fibonacci(n: int) -> list[int]:
    row = [1, 1]
    while len(row) < n:
        row.append(row[-1] + row[-2])
    return row


SKEWED = {
    "fibonacci": fibonacci(60),
    "powers": [2**i for i in range(50)],
    "one giant": [2**49] + [1] * 255,
    "falling": [2**40 // (i + 1) ** 4 for i in range(256)],
    "equal": [7] * 256,
    "just too deep": fibonacci(13),
    "just not too deep": fibonacci(12),
    "two": [0] * 254 + [1, 2**49],
}


@pytest.mark.parametrize("name", SKEWED)
def test_skewed_counts(name: str) -> None:
    assert_best(SKEWED[name])


@pytest.mark.parametrize(("symbol", "neighbour"), [(0, 1), (100, 101), (254, 255), (255, 254)])
def test_a_lone_symbol_gets_a_neighbour(symbol: int, neighbour: int) -> None:
    lengths = lengths_for([0] * symbol + [5])
    assert sorted(np.flatnonzero(lengths)) == sorted((symbol, neighbour))
    assert is_complete(lengths)


def test_no_symbols_have_no_code() -> None:
    assert not lengths_for([]).any()
    assert huffman.table(np.zeros(256, np.uint8), np.zeros(SLOTS, np.uint64)) == -1


def random_lengths(rng: np.random.Generator) -> np.ndarray:
    """A complete code of any shape: few symbols or many, flat or steep."""
    counts = np.zeros(256, np.int64)
    size = int(rng.choice([2, 3, 5, 20, 70, 256]))
    steep = float(rng.choice([0, 0.1, 0.7, 3]))
    counts[rng.choice(256, size, replace=False)] = (1 + 2.0**40 * np.exp(-steep * np.arange(size))).astype(np.int64)
    return lengths_for(counts.tolist())


@given(seed=st.integers(0, 2**32))
def test_codes_and_tables_are_canonical(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = random_lengths(rng)
    codes = naive.huffman_codes(lengths.tolist())
    entries = np.full(256, 99, np.uint32)
    huffman.codes(lengths, entries)
    assert entries.tolist() == [
        int(codes[s][::-1], 2) << 8 | len(codes[s]) if s in codes else 1 << 30 for s in range(256)
    ]

    symbols = {code: s for s, code in codes.items()}
    table = np.zeros(SLOTS, np.uint64)
    assert huffman.table(lengths, table) == 0
    for slot in rng.integers(0, SLOTS, 50).tolist():
        bits = format(slot, "011b")[::-1]
        found, at, size = [], 0, 1
        while at + size <= 11 and len(found) < 6:
            if bits[at : at + size] in symbols:
                found.append(symbols[bits[at : at + size]])
                at, size = at + size, 0
            size += 1
        first = len(codes[found[0]])
        packed = sum(s << 8 * i for i, s in enumerate(found, 1))
        assert int(table[slot]) == at | packed | first << 56 | len(found) << 61


@given(seed=st.integers(0, 2**32))
def test_incomplete_codes_have_no_table(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = random_lengths(rng)
    lengths[rng.integers(0, 256)] ^= rng.integers(1, 256, dtype=np.uint8)
    if lengths.max() > huffman.LIMIT or not is_complete(lengths):
        assert huffman.table(lengths, np.zeros(SLOTS, np.uint64)) == -1


def case(rng: np.random.Generator, n: int, tile: int, k: int, alike: bool) -> dict[str, Any]:
    """k tables, a choice for each tile, and n bytes that have codes in them, frequent ones the shorter."""
    lengths = [random_lengths(rng) for _ in range(k)]
    tables, codes = np.zeros(k * SLOTS, np.uint64), np.zeros(k * 256, np.uint32)
    for i, row in enumerate(lengths):
        assert huffman.table(row, tables[i * SLOTS : (i + 1) * SLOTS]) == 0
        huffman.codes(row, codes[i * 256 : (i + 1) * 256])
    tiles = naive.tiles_of(n, tile)
    choice = rng.integers(0, k, len(tiles), dtype=np.uint8)
    if alike:
        choice.sort()
    data = np.zeros(n, np.uint8)
    for r, c in zip(tiles, choice, strict=True):
        chance = np.where(lengths[c] > 0, 0.5 ** lengths[c].astype(float), 0)
        data[r.start : r.stop] = rng.choice(256, len(r), p=chance / chance.sum())
    rows = [row.tolist() for row in lengths]
    return {"data": data, "choice": choice, "tables": tables, "codes": codes, "lengths": rows}


def encoded(c: dict[str, Any], tile: int) -> list[bytes]:
    n = c["data"].size
    out, sizes = np.zeros(2 * n + 64, np.uint8), np.zeros(4, np.int64)
    total = huffman.encode(c["data"], n, tile, c["choice"], c["codes"], out, sizes)
    ends = np.cumsum(sizes)
    assert total == ends[-1]
    return [out[e - s : e].tobytes() for s, e in zip(sizes, ends, strict=True)]


def decoded(streams: list[bytes], n: int, tile: int, choice: np.ndarray, tables: np.ndarray) -> list[int] | None:
    """What the kernel makes of the streams, which lie with a byte between them; nothing around the output changes."""
    src = np.frombuffer(b"\xff".join([b"", *streams]), np.uint8)
    sizes = np.array([len(s) for s in streams], np.int64)
    ends = np.cumsum(sizes + 1)
    room = np.full(n + 128, 0xA5, np.uint8)
    status = huffman.decode(src, ends - sizes, ends, tables, choice, tile, room[64 : 64 + n], n, 0, 0)
    assert (room[:64] == 0xA5).all() and (room[64 + n :] == 0xA5).all()
    assert status in (0, -1)
    return room[64 : 64 + n].tolist() if status == 0 else None


SHAPES = {
    "seed": st.integers(0, 2**32),
    "n": st.integers(0, 1500),
    "tile": st.integers(1, 40) | st.integers(1, 900),
    "k": st.integers(1, 4),
    "alike": st.booleans(),
}


@given(**SHAPES)
def test_same_streams_as_the_oracle(seed: int, n: int, tile: int, k: int, alike: bool) -> None:
    c = case(np.random.default_rng(seed), n, tile, k, alike)
    data, choice = c["data"].tolist(), c["choice"].tolist()
    streams = encoded(c, tile)
    assert streams == naive.huffman_encode(data, tile, choice, c["lengths"])
    assert naive.huffman_decode(streams, n, tile, choice, c["lengths"]) == data
    assert decoded(streams, n, tile, c["choice"], c["tables"]) == data


@pytest.mark.parametrize("tile", [37, 384, 5000])
def test_many_tiles(tile: int) -> None:
    c = case(np.random.default_rng(tile), 30_001, tile, 4, alike=False)
    assert decoded(encoded(c, tile), 30_001, tile, c["choice"], c["tables"]) == c["data"].tolist()


@given(**SHAPES, how=st.sampled_from(["cut", "longer", "bit", "bytes", "choice"]))
def test_malformed_streams_like_the_oracle(seed: int, n: int, tile: int, k: int, alike: bool, how: str) -> None:
    """Whatever was done to them, they decode as the oracle says, or are refused as it says."""
    rng = np.random.default_rng(seed)
    c = case(rng, n, tile, k, alike)
    streams, choice, j = encoded(c, tile), c["choice"].copy(), int(rng.integers(0, 4))
    broken = bytearray(streams[j])
    if how == "cut":
        del broken[int(rng.integers(0, len(broken) + 1)) :]
    elif how == "longer":
        broken += bytes(int(rng.integers(1, 20)))
    elif how == "bit" and broken:
        broken[int(rng.integers(0, len(broken)))] ^= 1 << int(rng.integers(0, 8))
    elif how == "bytes":
        broken = bytearray(rng.bytes(int(rng.integers(0, 2 * n + 1))))
    elif how == "choice":
        choice = rng.integers(0, k, choice.size, dtype=np.uint8)
    streams[j] = bytes(broken)
    expected = naive.huffman_decode(streams, n, tile, choice.tolist(), c["lengths"])
    assert decoded(streams, n, tile, choice, c["tables"]) == expected


def test_streams_may_overlap_and_share_bytes() -> None:
    """Places are the caller's to give; four equal streams may be one."""
    c = case(np.random.default_rng(1), 4 * 384, 384, 1, alike=True)
    c["data"][:] = np.tile(c["data"][:384], 4)
    stream = np.frombuffer(encoded(c, 384)[0], np.uint8)
    starts, ends = np.zeros(4, np.int64), np.full(4, stream.size)
    out = np.zeros(4 * 384, np.uint8)
    assert huffman.decode(stream, starts, ends, c["tables"], c["choice"], 384, out, out.size, 0, 0) == 0
    assert (out == c["data"]).all()


def test_output_that_is_too_small_is_refused() -> None:
    c = case(np.random.default_rng(0), 1000, 100, 1, alike=True)
    out = np.zeros(2 * 1000 + 63, np.uint8)
    assert huffman.encode(c["data"], 1000, 100, c["choice"], c["codes"], out, np.zeros(4, np.int64)) == -1
    assert not out.any()
