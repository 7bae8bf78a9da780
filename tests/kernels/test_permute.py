"""rANS decoding with tables in registers, against the oracle and against the tables that codec.kernels.rans takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codec.kernels import cpu, permute, rans, registers, tables
from tests import naive
from tests.kernels.inner import build, spell_out

needs_vbmi = pytest.mark.skipif(
    not cpu.permutes(), reason="the processor has no byte permutes, or they are not asked for"
)


def freqs_for(rng: np.random.Generator, symbols: int, wild: bool) -> np.ndarray:
    """Frequencies of a bell over neighbouring symbols, or of any."""
    weights = rng.pareto(1, symbols) if wild else np.exp(-(np.linspace(-3, 3, symbols) ** 2))
    found = np.maximum(1, (weights / weights.sum() * (4096 - symbols)).astype(np.int64))
    found[int(found.argmax())] += 4096 - found.sum()
    out = np.zeros(256, np.int64)
    out[rng.choice(256, symbols, replace=False) if wild else np.arange(symbols) + rng.integers(0, 257 - symbols)] = (
        found
    )
    return out


def in_words(freq: np.ndarray) -> list[tuple[int, int, int]]:
    """(symbol, frequency, place in the symbol) of each slot: the document's words."""
    return [(s, int(f), k) for s, f in enumerate(freq) for k in range(int(f))]


def looked_up(table: np.ndarray, slot: int) -> tuple[int, int, int]:
    """What the kernel finds for a slot, step by step."""
    bucket, place = slot >> 5, slot & 31
    base, limit = int(table[registers.BASE + bucket]), int(table[registers.LIMIT + bucket])
    rank = int(table[registers.DIRECT + base + place]) if limit == 255 else base + (place > limit)
    f = int(table[registers.FREQ_LOW + rank]) | int(table[registers.FREQ_HIGH + rank]) << 8
    start = int(table[registers.START_LOW + rank]) | int(table[registers.START_HIGH + rank]) << 8
    return int(table[registers.SYMBOL + rank]), f, slot - start


@given(symbols=st.integers(2, 140), wild=st.booleans(), seed=st.integers(0, 2**32))
@example(symbols=128, wild=False, seed=0)
@example(symbols=129, wild=False, seed=0)
def test_every_slot_leads_to_its_symbol(symbols: int, wild: bool, seed: int) -> None:
    freq = freqs_for(np.random.default_rng(seed), symbols, wild)
    table = np.full(registers.SIZE + 20, 9, np.uint8)
    found = build(freq, table, 10)
    assert (table[:10] == 9).all() and (table[-10:] == 9).all()
    inner = np.cumsum(freq[freq > 0])[:-1]
    dense = np.count_nonzero(np.bincount(inner[inner % 32 != 0] // 32, minlength=128) > 1)
    assert (found == 0) == (symbols <= 128 and dense <= 8)
    if found < 0:
        return
    assert [looked_up(table[10:], slot) for slot in range(4096)] == in_words(freq)
    spelled, decoder, encoder = np.zeros(4096, np.uint32), np.zeros(4096, np.uint32), np.zeros(256, np.uint32)
    spell_out(table, 10, spelled)
    tables.lay_out(freq.reshape(1, 256), decoder, encoder)
    assert (spelled == decoder).all()


def coded(n: int, tile: int, lanes: int, count: int, symbols: int, seed: int) -> tuple[np.ndarray, ...]:
    """(bytes, choice, tables, states, stream) of some data, by the oracle."""
    rng = np.random.default_rng(seed)
    freqs = [freqs_for(rng, symbols, wild=False) for _ in range(count)]
    room = np.zeros(count * registers.SIZE, np.uint8)
    for k, freq in enumerate(freqs):
        assert build(freq, room, k * registers.SIZE) == 0
    tiles = naive.tiles_of(n, tile)
    choice = rng.integers(0, count, len(tiles), dtype=np.uint8)
    data = np.zeros(n, np.uint8)
    for r, c in zip(tiles, choice, strict=True):
        data[r.start : r.stop] = rng.choice(256, len(r), p=freqs[c] / 4096)
    states, words = naive.rans_encode(data.tolist(), tile, choice.tolist(), [f.tolist() for f in freqs], lanes)
    return data, choice, room, np.array(states, np.uint32), np.array(words, "<u2").view(np.uint8)


def job_of(
    at: int,
    end: int,
    lanes: int,
    room: np.ndarray,
    choice: np.ndarray,
    tile: int,
    states: np.ndarray,
    out: np.ndarray,
    n: int,
) -> np.ndarray:
    where = [a.ctypes.data for a in (room, states, out)]
    return np.array([at, end, lanes, where[0], len(choice), tile, *where[1:], n, 0, 0, 0], np.int64)


def decode(
    src: np.ndarray, at: int, end: int, lanes: int, room: np.ndarray, choice: np.ndarray, tile: int,
    states: np.ndarray, out: np.ndarray, n: int, pad: np.ndarray,
) -> int:  # fmt: skip
    """One job alone."""
    job, none = job_of(at, end, lanes, room, choice, tile, states, out, n), np.zeros(permute.FIELDS, np.int64)
    permute.decode(src, pad, choice, job, src, pad, choice, none)
    return int(job[permute.FOUND])


@needs_vbmi
@given(
    n=st.integers(1, 2500),
    tile=st.integers(1, 900),
    lanes=st.sampled_from((64, 128)),
    count=st.integers(1, 4),
    symbols=st.integers(2, 60),
    seed=st.integers(0, 999),
)
def test_what_the_oracle_encodes(n: int, tile: int, lanes: int, count: int, symbols: int, seed: int) -> None:
    data, choice, room, states, words = coded(n, tile, lanes, count, symbols, seed)
    stream = np.concatenate([np.zeros(3, np.uint8), words])  # an odd address
    pad = np.full(permute.PAD, 7, np.uint8)
    for cut in (0, 2):  # without its last word the stream is too short
        back, left = np.full(n + 128, 5, np.uint8), states.copy()
        end = decode(stream, 3, stream.size - cut, lanes, room, choice, tile, left, back, n, pad)
        assert (back[n:] == 5).all()
        if words.size and cut:
            assert end == -1
            continue
        assert end == stream.size
        assert set(left.tolist()) == {65536}
        assert (back[:n] == data).all()
        if not words.size:
            break


@needs_vbmi
@given(seed=st.integers(0, 2**32), lanes=st.sampled_from((64, 128)), n=st.integers(0, 900), words=st.integers(0, 400))
def test_any_input_gives_what_the_other_kernel_gives(seed: int, lanes: int, n: int, words: int) -> None:
    """States and words are noise: both kernels stop, or fail, at the same place with the same bytes."""
    rng = np.random.default_rng(seed)
    freq, tile = freqs_for(rng, int(rng.integers(2, 90)), wild=False), int(rng.integers(1, 500))
    held, decoder, encoder = np.zeros(registers.SIZE, np.uint8), np.zeros(4096, np.uint32), np.zeros(256, np.uint32)
    if build(freq, held, 0) < 0:
        return
    tables.lay_out(freq.reshape(1, 256), decoder, encoder)
    choice = np.zeros(-(-n // tile), np.uint8)
    first = rng.integers(0, 2**32, lanes, dtype=np.uint32)
    src = rng.integers(0, 256, 2 * words, dtype=np.uint8)
    one, other, a, b = np.zeros(n, np.uint8), np.zeros(n, np.uint8), first.copy(), first.copy()
    pad = np.zeros(permute.PAD, np.uint8)
    end = decode(src, 0, src.size, lanes, held, choice, tile, a, one, n, pad)
    assert end == rans.decode(src, 0, src.size, lanes, decoder, choice, tile, b, other, n)
    if end >= 0:
        assert (one == other).all() and (a == b).all()


@needs_vbmi
@given(
    sizes=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    tiles=st.tuples(st.integers(1, 900), st.integers(1, 900)),
    lanes=st.sampled_from(((128, 128), (128, 128), (128, 64), (64, 64))),
    cut=st.sampled_from((0, 0, 2, 40)),
    seed=st.integers(0, 999),
)
@example(sizes=(3840, 3840), tiles=(384, 384), lanes=(128, 128), cut=0, seed=0)
def test_two_side_by_side(
    sizes: tuple[int, int], tiles: tuple[int, int], lanes: tuple[int, int], cut: int, seed: int
) -> None:
    """Whatever the other one is, each gives what it gives alone."""
    made = [coded(sizes[k], tiles[k], lanes[k], 1 + seed % 3, 40 + k, seed + k) for k in (0, 1)]
    pads = [np.zeros(permute.PAD, np.uint8) for _ in made]
    outs = [np.full(n + 128, 5, np.uint8) for n in sizes]
    left = [states.copy() for _, _, _, states, _ in made]
    ends = [made[0][4].size, max(0, made[1][4].size - cut)]
    jobs = [job_of(0, ends[k], lanes[k], made[k][2], made[k][1], tiles[k], left[k], outs[k], sizes[k]) for k in (0, 1)]
    arguments = [(made[k][4], pads[k], made[k][1], jobs[k]) for k in (0, 1)]
    permute.decode(*arguments[0], *arguments[1])
    for k in (0, 1):
        data, words = made[k][0], made[k][4]
        assert (outs[k][sizes[k] :] == 5).all()
        if k and cut and words.size:
            assert jobs[k][permute.FOUND] == -1
            continue
        assert jobs[k][permute.FOUND] == ends[k] == words.size
        assert set(left[k].tolist()) == {65536} and (outs[k][: sizes[k]] == data).all()
