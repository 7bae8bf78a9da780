"""Every stage of the registry: round trips, and payloads that lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from codec.errors import CodecError, CorruptFileError
from codec.stages import choice as choices
from codec.stages import huffman, mixing, plain, rans, registry
from codec.stages.geometry import Bytes, Geometry, view
from codec.wire import Cursor, varint
from tests.stages.payloads import FIT, PAYLOAD, pack

STAGES = sorted(registry.DECODERS)
TABLED = sorted(registry.TABLE_READERS)
GUARD = 64


def test_every_stage_has_a_name() -> None:
    assert sorted(registry.NAMES) == [*STAGES, *sorted(plain.LENT_STAGES)]
    assert sorted(FIT) == sorted(PAYLOAD) == TABLED
    assert set(STAGES) - set(TABLED) - {6, 8} == registry.DROP_STAGES
    assert set(STAGES) - {5} | plain.LENT_STAGES == registry.PLANE_STAGES
    assert registry.known() == (
        "0 stored, 1 constant, 2 rANS, 3 Huffman, 4 zstd, 5 two values, 6 LZMA, 7 rANS by columns, 8 mixing, 18 lent, "
        "20 lent, 21 lent, 22 lent, 23 lent"
    )


@st.composite
def planes(draw: st.DrawFn) -> tuple[Bytes, Geometry]:
    """Bytes of some kind, and tiles."""
    n = draw(st.integers(1, 300) | st.sampled_from([2047, 2048, 5000, 16383, 16384, 65535, 65536, 70001]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["any", "normal", "few", "same"]))
    if kind == "any":
        data = rng.integers(0, 256, n, dtype=np.uint8)
    elif kind == "normal":
        data = np.clip(rng.normal(100, draw(st.floats(0.3, 30)), n), 0, 255).astype(np.uint8)
    elif kind == "few":
        data = rng.choice(np.array([0, 3, 255], np.uint8), n)
    else:
        data = np.full(n, draw(st.sampled_from([0, 7, 255])), np.uint8)
    tile = draw(st.sampled_from([1, 3, 64, 384, 1000, 4096])) if n < 400 else draw(st.sampled_from([64, 385, 4096]))
    return data, Geometry(n, tile, -(-n // tile))


def tables_and_choice(stage: int, data: Bytes, g: Geometry, count: int, seed: int) -> tuple[Any, Bytes]:
    """Tables that know every byte of the tiles that choose them."""
    choice = np.random.default_rng(seed).integers(0, count, g.tiles, dtype=np.uint8)
    counts = np.zeros((count, 256), np.int64)
    for t, k in enumerate(choice):
        counts[k] += np.bincount(data[t * g.tile : (t + 1) * g.tile], minlength=256)
    return FIT[stage](counts, 1), choice


def fitting(stage: int, data: Bytes) -> Bytes:
    """The bytes made to what the stage can code: all the same, or two values."""
    if stage == plain.CONSTANT:
        return np.full_like(data, data[0])
    if stage == plain.PAIR:
        return np.where(data > np.median(data), 200, 7).astype(np.uint8)
    if stage == mixing.MIXING:  # no more than 32 times the stream's bytes
        return np.where(
            np.arange(data.size) % 16 < 2, np.random.default_rng(1).integers(0, 256, data.size), data
        ).astype(np.uint8)
    return data


def encoded(stage: int, data: Bytes, g: Geometry, count: int = 1, seed: int = 0) -> tuple[Any, bytes]:
    """(tables, payload) of a plane."""
    if stage == plain.STORED:
        return None, data.tobytes()
    if stage == plain.CONSTANT:
        return None, data[:1].tobytes()
    if stage == plain.ZSTD:
        return None, plain.encode_zstd(data, 3)
    if stage == plain.LZMA:
        return None, plain.encode_lzma(data)
    if stage == mixing.MIXING:
        framing = seed % 5
        how = mixing.Parameters(
            framing, framing == 0 or seed % 2 == 1, seed if framing and seed % 2 else 0, 6, g.tile, 9
        )
        return None, mixing.encode(fitting(stage, data), how, 2 * data.size + 64) or b""
    if stage == plain.PAIR:
        return None, plain.encode_pair(fitting(stage, data)) or bytes((7, 8, *[0] * -(-data.size // 8)))
    tables, choice = tables_and_choice(stage, data, g, count, seed)
    payload = PAYLOAD[stage](data, g.tile, choice, tables)
    assert payload is not None
    return tables, payload


def decoded(stage: int, payload: bytes, g: Geometry, tables: Any, before: int = 0) -> tuple[Bytes, int]:
    """(the plane, where the payload ended), with guards around the output that must not change."""
    body = bytes(before) + payload
    c = Cursor(memoryview(body), "test", before)
    room = np.full(g.size + 2 * GUARD, 0xA5, np.uint8)
    out = room[GUARD : GUARD + g.size]
    try:
        where = registry.DECODERS[stage](c, view(body), g, tables, out)
    finally:
        assert (room[:GUARD] == 0xA5).all() and (room[GUARD + g.size :] == 0xA5).all()
    return (out if where < 0 else view(body)[where : where + g.size]), c.at - before


@pytest.mark.parametrize("stage", STAGES)
@given(planes(), st.integers(1, 16), st.integers(0, 99), st.integers(0, 7))
def test_round_trip(stage: int, plane: tuple[Bytes, Geometry], count: int, seed: int, before: int) -> None:
    data, g = plane
    data = fitting(stage, data)
    tables, payload = encoded(stage, data, g, count, seed)
    back, end = decoded(stage, payload + b"behind it", g, tables, before)
    assert end == len(payload)
    assert back.tobytes() == data.tobytes()


@pytest.mark.parametrize("stage", TABLED)
@given(st.integers(1, 16), st.integers(0, 2**32), st.sampled_from([0, 1, 2, 17, 255]), st.integers(1, 500))
def test_tables_read_back_as_they_were_fitted(stage: int, count: int, seed: int, absent: int, scale: int) -> None:
    rng = np.random.default_rng(seed)
    counts = (rng.pareto(0.5, (count, 256)) * 3).astype(np.int64).clip(0, 1 << 22)
    counts[:, rng.choice(256, absent, replace=False)] = 0
    fitted = FIT[stage](counts, scale)
    c = Cursor(memoryview(b"\xff" + fitted.raw + b"behind"), "test", 1)
    read = registry.TABLE_READERS[stage](c, count)
    assert c.at == 1 + len(fitted.raw)
    assert (read.raw, read.count, read.stage) == (fitted.raw, count, stage)
    for field in ("frequencies", "lengths", "decoder", "encoder"):
        if hasattr(read, field):
            assert (getattr(read, field) == getattr(fitted, field)).all()
    present = fitted.lengths > 0 if stage == huffman.HUFFMAN else fitted.frequencies > 0
    assert (present | (counts == 0)).all()


@pytest.mark.parametrize("stage", TABLED)
@given(st.binary(max_size=80), st.integers(1, 16))
def test_tables_of_any_bytes(stage: int, data: bytes, count: int) -> None:
    c = Cursor(memoryview(data), "test")
    try:
        tables = registry.TABLE_READERS[stage](c, count)
    except CorruptFileError:
        return
    assert c.at <= len(data)
    if stage != huffman.HUFFMAN:
        assert (tables.frequencies.sum(axis=1) == 4096).all() and tables.frequencies.max() < 4096
    else:
        present = tables.lengths > 0
        assert ((present << (11 - tables.lengths.astype(np.int64) * present)).sum(axis=1) == 2048).all()


@pytest.mark.parametrize("stage", STAGES)
@given(planes(), st.binary(max_size=300), st.integers(1, 5))
def test_random_payloads(stage: int, plane: tuple[Bytes, Geometry], payload: bytes, count: int) -> None:
    data, g = plane
    tables, _ = encoded(stage, data, g, count)
    try:
        decoded(stage, payload, g, tables)
    except CodecError:
        pass


@pytest.mark.parametrize("stage", STAGES)
@given(planes(), st.integers(1, 5), st.data())
def test_damaged_payloads(stage: int, plane: tuple[Bytes, Geometry], count: int, data: st.DataObject) -> None:
    """Bits flipped, bytes cut off, and geometry that belongs to another plane."""
    original, g = plane
    tables, payload = encoded(stage, original, g, count)
    damaged = bytearray(payload)
    for _ in range(data.draw(st.integers(0, 3))):
        bit = data.draw(st.integers(0, min(8 * len(damaged), 400) - 1) | st.integers(0, 8 * len(damaged) - 1))
        damaged[bit >> 3] ^= 1 << (bit & 7)
    size = max(1, g.size + data.draw(st.sampled_from([0, 0, 1, -1, 64, 5000])))
    other = Geometry(size, g.tile, -(-size // g.tile))
    try:
        decoded(stage, bytes(damaged[: data.draw(st.just(len(damaged)) | st.integers(0, len(damaged)))]), other, tables)
    except CodecError:
        pass


@pytest.mark.parametrize("stage", STAGES)
def test_every_cut_of_a_payload_is_an_error(stage: int) -> None:
    data = np.random.default_rng(5).binomial(20, 0.5, 300).astype(np.uint8)
    g = Geometry(300, 64, 5)
    tables, payload = encoded(stage, data, g, 3)
    for end in range(len(payload)):
        with pytest.raises(CorruptFileError):
            decoded(stage, payload[:end], g, tables)


@given(st.lists(st.integers(0, 255), max_size=40))
def test_two_values_and_nothing_else(values: list[int]) -> None:
    plane = np.array(values, np.uint8)
    payload = plain.encode_pair(plane)
    assert (payload is not None) == (len(set(values)) == 2)
    if payload is None:
        return
    assert decoded(plain.PAIR, payload, Geometry(plane.size, 1, plane.size), None)[0].tolist() == values
    for wrong in (payload[1:2] + payload[:1] + payload[2:], payload[:1] * 2 + payload[2:]):
        with pytest.raises(CorruptFileError, match="not in order"):
            decoded(plain.PAIR, wrong, Geometry(plane.size, 1, plane.size), None)
    if plane.size % 8:
        with pytest.raises(CorruptFileError, match="unused bits"):
            decoded(plain.PAIR, payload[:-1] + bytes((payload[-1] | 128,)), Geometry(plane.size, 1, plane.size), None)


HUGE = bytes.fromhex("28b52ffd e0 000000000020 0000 010000")  # announces 2^45 bytes


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (b"", "does not decode"),
        (b"no frame at all", "does not decode"),
        (zstandard.compress(bytes(99)), "announces 99 bytes, the plane has 100"),
        (zstandard.ZstdCompressor(write_content_size=False).compress(bytes(99)), "decodes to 99 bytes"),
        (zstandard.ZstdCompressor(write_content_size=False).compress(bytes(101)), "does not decode"),
        (zstandard.compress(bytes(100)) + b"!", "does not decode"),
        (HUGE, "announces 35184372088832 bytes"),
        (bytes.fromhex("28b52ffd 00 90 010000"), "window"),
        (bytes.fromhex("502a4d18 00000000"), "announces 0 bytes"),
    ],
)
def test_zstd_frames_that_lie(frame: bytes, words: str) -> None:
    with pytest.raises(CorruptFileError, match=words):
        decoded(plain.ZSTD, varint(len(frame)) + frame, Geometry(100, 10, 10), None)


def test_rans_states_that_are_none() -> None:
    data = np.arange(100, dtype=np.uint8)
    g = Geometry(100, 100, 1)
    tables, payload = encoded(rans.RANS, data, g)
    with pytest.raises(CorruptFileError, match="unused bits"):
        decoded(rans.RANS, payload[:1] + bytes.fromhex("0000f0") + payload[4:], g, tables)
    lent = np.empty(8, np.uint8)
    with pytest.raises(CorruptFileError, match="lends 8 bytes to 1 states"):
        rans.decode(Cursor(memoryview(payload), "test"), view(payload), g, tables, np.empty(100, np.uint8), lent)
    with pytest.raises(CorruptFileError, match="does not end where it should"):
        decoded(rans.RANS, bytes((payload[0] + 1,)) + payload[1:] + b"ab", g, tables)


MIXED = mixing.Parameters(1, False, 0, 6, 3, 5)


@pytest.mark.parametrize(
    ("front", "words"),
    [
        ("05 00 06 03 05", "framing 5 and kind 0"),
        ("00 00 06 03 05", "framing 0 and kind 0"),
        ("01 02 00 06 03 05", "framing 1 and kind 2"),
        ("01 00 00 03 05", "rate 0, row 3, distance 5"),
        ("01 00 21 03 05", "rate 33, row 3, distance 5"),
        ("01 00 06 00 05", "rate 6, row 0, distance 5"),
        ("01 00 06 03 00", "rate 6, row 3, distance 0"),
        ("01 00 06 81 80 04 05", "number 65537 is more than 65536"),
        ("01 00 06 03 81 80 20", "number 524289 is more than 524288"),
    ],
)
def test_mixing_parameters_out_of_bounds(front: str, words: str) -> None:
    with pytest.raises(CorruptFileError, match=words):
        decoded(mixing.MIXING, bytes.fromhex(front) + b"\4abcd", Geometry(20, 20, 1), None)


def test_a_mixed_stream_has_one_spelling() -> None:
    data = np.random.default_rng(4).integers(0, 50, 400, dtype=np.uint8)
    payload = mixing.encode(data, MIXED, 1000)
    assert payload is not None
    head, stream = payload[: len(MIXED.raw)], payload[len(MIXED.raw) + 2 :]
    for wrong in (stream + b"\0", stream + b"!", stream + stream):
        with pytest.raises(CorruptFileError, match="does not end as it should"):
            decoded(mixing.MIXING, head + varint(len(wrong)) + wrong, Geometry(400, 400, 1), None)


def test_a_mixed_stream_pays_for_its_plane() -> None:
    plane = np.zeros(4000, np.uint8)
    assert mixing.encode(plane, MIXED, 4000) is None
    with pytest.raises(CorruptFileError, match="3 bytes of stream for 97 of a plane"):
        decoded(mixing.MIXING, MIXED.raw + b"\3abc", Geometry(97, 97, 1), None)


def test_mixing_has_no_more_room_than_it_is_given() -> None:
    data = np.random.default_rng(4).integers(0, 256, 400, dtype=np.uint8)
    whole = mixing.encode(data, MIXED, 1000)
    assert whole is not None
    assert mixing.encode(data, MIXED, len(whole)) == whole
    assert all(mixing.encode(data, MIXED, len(whole) - k) is None for k in range(1, len(whole)))


@given(st.integers(1, 16), st.lists(st.integers(0, 15), max_size=50))
def test_choices_round_trip(tables: int, values: list[int]) -> None:
    choice = np.array([v % tables for v in values], np.uint8)
    packed = pack(choice, tables)
    assert len(packed) == -(-choice.size * choices.bits_for(tables) // 8)
    c = Cursor(packed, "test")
    assert choices.read(c, view(packed), choice.size, tables).tolist() == choice.tolist()
    c.done()


@pytest.mark.parametrize(
    ("packed", "tiles", "tables", "words"),
    [
        (b"\x02", 1, 2, "unused bits are not 0"),
        (b"\x03", 1, 3, "beyond the 3 there are"),
        (b"\x10", 1, 9, "unused bits are not 0"),
        (b"\x0f", 1, 15, "beyond the 15 there are"),
        (b"", 1, 2, "needs 1 bytes"),
    ],
)
def test_bad_choices(packed: bytes, tiles: int, tables: int, words: str) -> None:
    with pytest.raises(CorruptFileError, match=words):
        choices.read(Cursor(packed, "test"), view(packed), tiles, tables)
