"""The planes of a chunk, coded in one call, against payloads put together one by one (tests/stages/payloads.py)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import config

from codec.kernels import coding, huffman, rans
from codec.kernels import columns as columns_kernel
from codec.stages import columns
from codec.stages import rans as rans_stage
from codec.stages.geometry import read_only
from tests.stages.payloads import FIT, PAYLOAD

BYTE = np.arange(256, dtype=np.int64)
WEIGHTS = np.stack([BYTE, np.minimum(BYTE, 256 - BYTE), np.abs(BYTE - 128), BYTE & 127])
GUARD = 64
#: Elements of a chunk; in plain Python each byte takes microseconds.
MOST = 800 if config.DISABLE_JIT else 3000
NO_BYTES = np.zeros(0, np.uint8)


@dataclass
class Plane:
    """One plane of a chunk, with what its plan says, and its bytes in tiles."""

    width: int
    tiles: list[np.ndarray]
    tile: int
    tables: Any = None
    weights: int = 0
    limits: tuple[int, ...] = ()
    raw: int = 0
    zstd: int = 0
    least: int = 0

    @property
    def data(self) -> np.ndarray:
        return np.concatenate([NO_BYTES, *self.tiles])

    @property
    def choice(self) -> np.ndarray:
        """How many limits are not above the sum of each tile, as if the last were full."""
        sums = sums_of(self.tiles, self.tile, self.weights)
        return np.array([self.least + sum(limit <= total for limit in self.limits) for total in sums], np.uint8)

    def stored(self, carried: bytes = b"") -> tuple[int, bytes]:
        """(stage, payload); ``carried``: bytes that states may take of the plane before."""
        data = self.data
        if data.size == 0 or data.min() == data.max():
            return 1, data[:1].tobytes() or b"\0"
        if self.tables is not None:
            more = (carried,) if carried else ()
            payload = PAYLOAD[self.tables.stage](data, self.tile, self.choice, self.tables, *more)
            if payload is not None and len(payload) + self.raw < data.size + len(carried):
                return self.tables.stage, payload
        return 0, data.tobytes()


def sums_of(tiles: list[np.ndarray], tile: int, weights: int) -> list[int]:
    every = WEIGHTS[weights] if weights >= 0 else np.minimum(BYTE - (-1 - weights) & 255, (-1 - weights) - BYTE & 255)
    return [int(every[t].sum()) * tile // t.size for t in tiles]


def plane_of(
    rng: np.random.Generator, width: int, tile: int, sizes: list[int], kind: str, stage: int, count: int, lacks: bool
) -> Plane:
    """A plane of tiles of ``sizes`` bytes, and up to ``count`` tables of a stage fitted to it (0: none).

    ``lacks``: the tables don't know one of its bytes.
    """
    tiles = []
    for size in sizes:
        if kind == "any":
            t = rng.integers(0, 256, size)
        elif kind == "normal":
            t = rng.normal(rng.integers(20, 230), 3, size).clip(0, 255)
        elif kind == "low":
            t = rng.binomial(100, 0.3, size)
        else:
            t = np.full(size, 7 if kind == "same" else rng.choice([7, 8]))
        tiles.append(t.astype(np.uint8))
    plane = Plane(width, tiles, tile)
    if not stage or not tiles:
        return plane
    plane.weights = int(rng.integers(4) if rng.integers(3) else -1 - rng.integers(256))
    sums = sorted(sums_of(tiles, tile, plane.weights))
    plane.limits = tuple(sorted({sums[k] for k in rng.integers(0, len(sums), count - 1)}))
    counts = np.zeros((len(plane.limits) + 1, 256), np.int64)
    for t, k in zip(tiles, plane.choice, strict=True):
        counts[k] += np.bincount(t, minlength=256)
    if lacks:
        counts[:, rng.choice(plane.data)] = 0
    if stage == columns.COLUMNS:
        plane.least = int(rng.integers(4))
        counts[:] = counts.sum(axis=0)  # any table may code any byte
        period = tile if tile <= 1 << 14 and rng.integers(2) and len(counts) > 1 else 1
        beside = rng.integers(60, 68, period, dtype=np.uint8) if period > 1 else None
        plane.tables = columns.fit_tables(counts, 1, beside)
    else:
        plane.tables = FIT[stage](counts, 1)
    return plane


@dataclass
class Chunk:
    elements: int
    tile: int
    drops: np.ndarray
    planes: list[Plane]


def chunk_of(
    rng: np.random.Generator, elements: int, tile: int, dropping: bool, plans: list[tuple[int, str, int, int, bool]]
) -> Chunk:
    """``plans``: width, kind, stage, count and lacks of each plane."""
    spans = [min(tile, elements - a) for a in range(0, elements, tile)]
    drops = rng.integers(0, len(plans) + 1, len(spans) if dropping else 0, dtype=np.uint8)
    planes = []
    for k, (width, *rest) in enumerate(plans):
        sizes = [-(-m * width // 8) for t, m in enumerate(spans) if not dropping or drops[t] <= k]
        planes.append(plane_of(rng, width, -(-tile * width // 8), sizes, *rest))
    return Chunk(elements, tile, drops, planes)


class Run:
    """A chunk as the kernel takes it, in arrays just large enough, with guards around those it writes to."""

    def __init__(self, chunk: Chunk, front: int) -> None:
        self.chunk, self.at, planes = chunk, front, chunk.planes
        self.table = np.zeros((len(planes), coding.COLUMNS), np.int64)
        rows, limits, beside = 0, 0, [NO_BYTES]
        for row, p in zip(self.table, planes, strict=True):
            row[coding.WIDTH], row[coding.ZSTD] = p.width, p.zstd
            if p.tables is not None:
                row[coding.TABLES], row[coding.STAGE], row[coding.ROW] = p.tables.count, p.tables.stage, rows
                row[coding.TOP], row[coding.RAW] = getattr(p.tables, "top", 255), p.raw
                row[coding.WEIGHTS], row[coding.LIMITS_AT], row[coding.LIMITS] = p.weights, limits, len(p.limits)
                row[coding.LEAST] = p.least
                if p.tables.stage == columns.COLUMNS:
                    beside.append(p.tables.beside(p.tile))
                    row[coding.BESIDE_AT] = sum(b.size for b in beside[:-1])
                    row[coding.BESIDE] = beside[-1].size
                rows += p.tables.count
                limits += len(p.limits)
        self.encoder = np.concatenate(
            [np.zeros(0, np.uint32), *(p.tables.encoder for p in planes if p.tables is not None)]
        )
        self.beside = read_only(np.concatenate(beside))
        self.limits = np.array([v for p in planes for v in p.limits], np.int64)
        self.pieces = read_only(np.concatenate([NO_BYTES, *(p.data for p in planes)]))
        self.starts = np.array([0, *itertools.accumulate(p.data.size for p in planes)], np.int64)
        tiles = -(-chunk.elements // chunk.tile)
        self.rooms: list[np.ndarray] = []
        self.out = self.guarded(front + self.pieces.size + 2 * len(planes))
        self.choice, self.sums = self.guarded(tiles), self.guarded(8 * tiles).view(np.int64)
        self.work = self.guarded(2 * max((p.data.size for p in planes), default=0) + 64)
        self.numbers = self.guarded(8 * coding.NUMBERS).view(np.int64)
        self.report = self.guarded(16 * len(planes)).view(np.int64).reshape(-1, 2)
        encoders = (rans.encode_address(), huffman.encode_address(), columns_kernel.encode_address())
        self.known = np.array(encoders, np.int64)

    def guarded(self, size: int) -> np.ndarray:
        self.rooms.append(np.full(size + 2 * GUARD, 0xA5, np.uint8))
        return self.rooms[-1][GUARD : GUARD + size]

    def code(self, p: int) -> int:
        """Code from plane p on; where it stopped."""
        stop = coding.encode(
            p, self.table, self.chunk.elements, self.chunk.tile, self.chunk.drops, self.pieces, self.starts,
            self.encoder, self.limits, WEIGHTS, self.beside, self.out, self.at, self.choice, self.sums, self.work,
            self.numbers, self.report, self.known,
        )  # fmt: skip
        for room in self.rooms:
            assert (room[:GUARD] == 0xA5).all() and (room[-GUARD:] == 0xA5).all()
        return int(stop)


def all_stored(planes: list[Plane]) -> list[tuple[int, bytes]]:
    """(stage, payload) of each: the plane before the last may lend bytes to the last."""
    found = [p.stored() for p in planes[:-1]]
    last = planes[-1]
    lanes = {2: rans_stage.lanes_for, 7: columns.lanes_for}.get(getattr(last.tables, "stage", 0), lambda _: 0)
    states = lanes(last.data.size)
    carried = b""
    if len(planes) > 1 and found[-1][0] == 0 and states >= 4 and len(found[-1][1]) >= 2 * states:
        carried = found[-1][1][-2 * states :]
    found.append(last.stored(carried))
    if carried and found[-1][0] in (2, 7):
        found[-2] = (15 + states.bit_length(), found[-2][1][: -2 * states])
    return found


def check(chunk: Chunk, front: int = 0) -> list[int]:
    """Code a chunk and compare; the stages of its planes."""
    run, planes = Run(chunk, front), chunk.planes
    final = all_stored(planes) if planes else []
    p = 0
    while p < len(planes):
        stop = next((k for k in range(p, len(planes)) if planes[k].zstd and final[k][0] != 1), len(planes))
        assert run.code(p) == stop
        last = min(stop, len(planes) - 1)
        wanted = final if last == len(planes) - 1 else [p.stored() for p in planes]
        ends = [front, *itertools.accumulate((1 + len(payload) for _, payload in wanted), initial=front)][1:]
        assert (run.numbers[coding.BEGIN], run.numbers[coding.END]) == (ends[last], ends[last + 1])
        for k in range(last + 1):
            stage, payload = wanted[k]
            assert run.report[k].tolist() == [stage, len(payload)]
            assert run.out[ends[k] : ends[k + 1]].tobytes() == bytes((stage,)) + payload
        run.at, p = ends[last + 1], stop + 1
    assert (run.out[:front] == 0xA5).all()
    return [stage for stage, _ in final]


PLAN = st.tuples(
    st.sampled_from([8, 8, 4, 2, 1]),
    st.sampled_from(["any", "normal", "normal", "low", "same", "two"]),
    st.sampled_from([0, 2, 2, 3, 3, 7, 7]),
    st.sampled_from([1, 2, 3, 4, 5, 16]),
    st.sampled_from([False, False, False, True]),
)


@given(
    seed=st.integers(0, 2**32),
    elements=st.integers(0, MOST),
    tile=st.integers(1, 300) | st.sampled_from([8, 64, 384]),
    dropping=st.booleans(),
    plans=st.lists(PLAN, min_size=1, max_size=4),
    raw=st.booleans(),
    zstd=st.integers(0, 15),
    front=st.integers(0, 9),
)
def test_any_chunk(
    seed: int, elements: int, tile: int, dropping: bool, plans: list[Any], raw: bool, zstd: int, front: int
) -> None:
    chunk = chunk_of(np.random.default_rng(seed), elements, tile, dropping, plans)
    for k, p in enumerate(chunk.planes):
        p.zstd = zstd >> k & 1
        p.raw = len(p.tables.raw) if raw and p.tables is not None else 0
    check(chunk, front)


@pytest.mark.parametrize("stage", [2, 3, 7])
@pytest.mark.parametrize("n", [2047, 2048, 16383, 16384, 65535, 65536, 70001])
@pytest.mark.skipif(config.DISABLE_JIT, reason="slow in plain Python")
def test_sizes_around_lanes(n: int, stage: int) -> None:
    for tile, count in ((384, 4), (4096, 1), (n, 1)):
        assert check(chunk_of(np.random.default_rng(n), n, tile, False, [(8, "normal", stage, count, False)])) == [
            stage
        ]


@pytest.mark.parametrize("stage", [2, 3, 7])
@pytest.mark.parametrize("weights", range(4))
def test_each_way_to_describe_a_tile(stage: int, weights: int) -> None:
    """Tiles of bytes around two values, which every description tells apart: two tables, each for half of them."""
    centres, rng = (20, 100), np.random.default_rng(weights)
    tiles = [rng.normal(centres[t % 2], 3, 50).clip(0, 255).astype(np.uint8) for t in range(7)] + [
        np.full(9, centres[1], np.uint8)
    ]
    plane = Plane(8, tiles, 50, weights=weights)
    sums = sums_of(tiles, 50, weights)
    plane.limits = (sorted(sums)[4],)
    counts = np.zeros((2, 256), np.int64)
    for t, k in zip(tiles, plane.choice, strict=True):
        counts[k] += np.bincount(t, minlength=256)
    plane.tables = FIT[stage](counts, 1)
    assert sorted(plane.choice.tolist()) == [0] * 4 + [1] * 4
    assert check(Chunk(359, 50, NO_BYTES, [plane])) == [stage]


@pytest.mark.parametrize("stage", [2, 3, 7])
def test_what_is_not_smaller_is_stored(stage: int) -> None:
    """A payload as large as the plane is not kept, nor one whose table makes it as large where that counts."""
    rng = np.random.default_rng(1)
    chunk = chunk_of(rng, 200, 64, False, [(8, "low", stage, 1, False)])
    (plane,) = chunk.planes
    size = len(plane.stored()[1])
    assert check(chunk) == [stage] and size < 199
    for plane.raw, kept in ((199 - size, stage), (200 - size, 0), (10**6, 0)):
        assert check(chunk) == [kept]
    chunk = chunk_of(rng, 256, 256, False, [(8, "any", stage, 1, False)])
    chunk.planes[0].tiles = [rng.permutation(256).astype(np.uint8)]
    chunk.planes[0].tables = FIT[stage](np.ones((1, 256), np.int64), 1)
    assert check(chunk) == [0]


@pytest.mark.parametrize("stage", [2, 3, 7])
@pytest.mark.parametrize("where", [0, 70, 199])
@pytest.mark.parametrize("byte", [0, 34, 255])
def test_a_byte_without_code_is_stored(stage: int, where: int, byte: int) -> None:
    rng = np.random.default_rng(2)
    data = (rng.binomial(40, 0.3, 200) + 10).astype(np.uint8)
    data[data == 34] = 33
    chunk = chunk_of(rng, 200, 200, False, [(8, "low", stage, 1, False), (8, "low", stage, 1, False)])
    plane = chunk.planes[0]
    plane.tables, plane.tiles = FIT[stage](np.bincount(data, minlength=256)[None], 1), [data]
    assert check(chunk) == [stage, stage]
    data[where] = byte
    assert check(chunk) == [0, stage]


def test_constant_and_empty_planes() -> None:
    """Also those with tables, and with zstd to be tried: nothing is smaller than one byte."""
    rng = np.random.default_rng(3)
    chunk = chunk_of(rng, 100, 10, False, [(8, "same", 2, 2, False), (8, "low", 3, 1, False), (4, "same", 0, 1, False)])
    chunk.planes[0].zstd = chunk.planes[2].zstd = 3
    assert check(chunk) == [1, 3, 1]
    for elements in (0, 1):
        chunk = chunk_of(rng, elements, 8, False, [(8, "any", 0, 1, False), (2, "any", 0, 1, False)])
        assert check(chunk) == [1, 1]
    chunk = chunk_of(rng, 40, 8, True, [(8, "any", 0, 1, False), (8, "any", 0, 1, False)])
    chunk.drops[:] = 1
    chunk.planes[0].tiles, chunk.planes[1].tiles = [], [np.arange(8, dtype=np.uint8)] * 5
    assert check(chunk) == [1, 0]
    almost = np.full(10_000, 9, np.uint8)  # one byte differs: also where blocks of the comparison end
    for k in (0, 1, 4095, 4096, 5000, 9998, 9999):
        almost[k] = 8
        assert check(Chunk(10_000, 10_000, NO_BYTES, [Plane(8, [almost], 10_000)])) == [0]
        almost[k] = 9
    assert check(Chunk(10_000, 10_000, NO_BYTES, [Plane(8, [almost], 10_000)])) == [1]


@pytest.mark.parametrize("stage", [2, 7])
@pytest.mark.parametrize("zstd", [0, 1])
def test_the_plane_before_the_last_lends(stage: int, zstd: int) -> None:
    """Its last bytes, to 4 states; where it is stored, whether or not zstd was tried for it."""
    elements = 2100
    chunk = chunk_of(
        np.random.default_rng(stage), elements, 70, False, [(8, "any", 0, 1, False), (8, "low", stage, 2, False)]
    )
    chunk.planes[0].zstd = zstd
    assert check(chunk, 5) == [18, stage]
    few = chunk_of(np.random.default_rng(9), 2040, 60, False, [(8, "any", 0, 1, False), (8, "low", stage, 2, False)])
    assert check(few) == [0, stage]
