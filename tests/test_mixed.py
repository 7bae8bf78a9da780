"""Level max codes with mixed predictions what gains by it, and is exact and the same with any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

import codec
from codec.container import records
from codec.encode import encode_span
from codec.planner import levels, mixing
from codec.stages.mixing import MIXING, Parameters
from tests.spec import load

reference = load("reference_decoder")
originals = load("originals")
RNG = np.random.default_rng(11)


def columns(rows: int, width: int, spread: float) -> np.ndarray:
    """Numbers of another size in each column."""
    return RNG.normal(0, 1, (rows, width)) * np.exp(RNG.normal(2, spread, width))


def bf16() -> bytes:
    return (columns(120, 96, 1.5).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()


def i16() -> bytes:
    return np.round(columns(120, 96, 1.2)).clip(-30_000, 30_000).astype(np.int16).tobytes()


def i8() -> bytes:
    return np.round(columns(200, 96, 0.8)).clip(-127, 127).astype(np.int8).tobytes()


def leb128() -> bytes:
    near = np.round(np.cumsum(columns(300, 64, 1.0), axis=0) / 3).astype(int)
    return b"".join(originals.sleb128(v) for v in near.ravel().tolist())


CASES = {
    "bf16": (bf16(), "BF16", (120, 96)),
    "i16": (i16(), "I16", (120, 96)),
    "i16, flat": (i16(), "I16", None),
    "i8": (i8(), "I8", (200, 96)),
    "opaque i16": (i16(), None, None),
    "leb128": (leb128(), None, None),
    "text": (" ".join(f"{k} bottles of {k % 7} on {k * k % 11} walls" for k in range(900)).encode(), None, None),
}


def compressed(name: str, level: str = "max", threads: int = 1) -> bytes:
    data, dtype, shape = CASES[name]
    return codec.compress(data, dtype, shape, level, threads=threads)


@pytest.mark.parametrize("name", CASES)
def test_it_is_smaller_and_exact(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data, _, _ = CASES[name]
    blob = compressed(name)
    assert codec.decompress(blob) == data
    monkeypatch.setattr(mixing, "choose", lambda *_: None)
    known = name in ("i16", "i8", "bf16")  # numbers of another size in each column are what stage 7 is for
    assert len(blob) <= (1 if known else 0.98) * len(compressed(name))


@pytest.mark.parametrize("name", ["i16", "leb128"])
def test_the_reference_decoder_reads_it(name: str) -> None:
    assert reference.decode(compressed(name)) == CASES[name][0]


def test_threads_write_the_same_bytes() -> None:
    data = b"".join(CASES[name][0] for name in ("i16", "leb128", "text", "i8")) * 20
    assert codec.compress(data, level="max", threads=1) == codec.compress(data, level="max", threads=3)


def test_other_levels_do_not_use_it() -> None:
    for name, (_, dtype, _) in CASES.items():
        for level in ("fast", "default"):
            fields = codec.compress(CASES[name][0], dtype, CASES[name][2], level)
            assert codec.decompress(fields) == CASES[name][0]
    assert [level.mixing for level in levels.LEVELS.values()] == [False, False, True]


def test_noise_and_normal_numbers_are_not_coded_to_find_it_out() -> None:
    noise = RNG.integers(0, 256, 100_000, dtype=np.uint8)
    normal = np.round(RNG.normal(0, 20, 100_000)).astype(np.int8).view(np.uint8)
    for plane in (noise, normal):
        assert mixing.choose(plane, mixing.Hints((1,), True, (384,))) is None


def test_elements_and_distances_are_found() -> None:
    leb = np.frombuffer(leb128(), np.uint8)
    found = mixing.choose(leb, mixing.Hints((1, 0, 2, 4), True, ()))
    assert isinstance(found, Parameters) and found.framing == 0 and found.row % 64 == 0
    whole = np.frombuffer(i16(), np.uint8)
    found = mixing.choose(whole, mixing.Hints((1, 0, 2, 4), True, ()))
    assert isinstance(found, Parameters) and found.framing == 2


def test_integers_become_one_plane_of_whole_elements() -> None:
    span = encode_span(CASES["i16"][0], codec.dtypes.DTYPES["I16"], (120, 96), levels.level_of("max"))
    body = span.stored[records.HEAD_BYTES :].tobytes()
    assert body[4] & 3 == 0  # elements of one byte, behind a length of three and the type
    assert bytes((MIXING, 2, 1)) in body  # the stage, elements of two bytes, signed


@pytest.mark.parametrize("size", [0, 1, 2, 127, 128, 129, 255, 4097])
@pytest.mark.parametrize("dtype", [None, "U8", "I16", "I32", "BF16", "F32", "F8_E4M3"])
def test_odd_sizes(size: int, dtype: str | None) -> None:
    data = (b"\1\2\3\4\0\xff" * 800)[:size]
    blob = codec.compress(data, dtype, None, "max") if dtype else codec.compress(data, level="max")
    assert codec.decompress(blob) == data
