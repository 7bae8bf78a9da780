"""Runs of records: what the quick way takes, what it leaves to the careful one, and that the bytes are right."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import config

from codec import bulk
from codec.container import records
from codec.decode import SpanDecoder
from codec.dtypes import DTYPES
from codec.encode import encode_span
from codec.errors import CodecError, CorruptFileError
from codec.kernels import chunks
from codec.planner.levels import level_of
from codec.sources.gguf_types import fields_of
from codec.sources.segment import Field
from codec.stages import layout as layouts
from codec.structure import encode_fields, encode_structured
from codec.wire import Cursor
from tests.spans import (
    KINDS,
    Span,
    bf16,
    carefully,
    chunked,
    damaged,
    floats,
    hash_of,
    made,
    made_spans,
    of_planes,
    of_tables,
    rare_body,
    span_of,
    spans,
    spoilt_spans,
)

pytestmark = pytest.mark.skipif(config.DISABLE_JIT, reason="everything goes the careful way")
GUARD, FILL = 64, 0xA5


class Run:
    """Records one behind the other, with bytes between them that belong to none, and the jobs that decode them."""

    def __init__(
        self, bodies: list[bytes], lengths: list[int], numbers: list[int] | None = None, shift: int = 0
    ) -> None:
        self.bodies, self.jobs, parts, at, begin = bodies, [], [], 0, GUARD + shift
        for k, (body, length) in enumerate(zip(bodies, lengths, strict=True)):
            number = numbers[k] if numbers else -1
            record = records.record(records.SPAN if number < 0 else records.CHUNK, body)
            parts.append(bytes((k & 255,)) * (k % 5) + record)
            at += len(parts[-1])
            self.jobs.append((at - len(record), at, begin, begin + length, number))
            begin += length
        self.stored, self.end = b"".join(parts) + b"more", begin
        self.out = np.full(begin + GUARD, FILL, np.uint8)
        self.left: list[int] = []

    def decode(self, span: bulk.SpanTables | None = None, careful: Callable[[int], None] | None = None) -> list[int]:
        """The jobs that were left to the careful way."""

        def note(k: int) -> None:
            self.left.append(k)
            if careful is not None:
                careful(k)

        bulk.decode(self.stored, self.jobs, self.out, span, note)
        begin = self.jobs[0][chunks.FIRST]
        assert (self.out[:begin] == FILL).all() and (self.out[self.end :] == FILL).all()
        return self.left

    def careful(self, k: int) -> None:
        """As codec.reader does."""
        SpanDecoder(self.bodies[k], "test").decode_inline(self.room(k))

    def room(self, k: int) -> np.ndarray:
        return self.out[self.jobs[k][chunks.FIRST] : self.jobs[k][chunks.STOP]]

    def bytes_of(self, k: int) -> bytes:
        return self.room(k).tobytes()


def run_of(found: list[Span], shift: int = 0) -> Run:
    return Run([s.body for s in found], [len(s.original) for s in found], shift=shift)


def with_zstd() -> Span:
    return span_of(np.frombuffer(b"again and again, " * 40, np.uint8), None, ())


def test_all_kinds_in_one_run() -> None:
    found = [made(kind, level, 9, 304, seed=k) for k, kind in enumerate(KINDS) for level in ("default", "fast")]
    run = run_of([s for s in found for _ in range(3)])
    assert run.decode() == []
    assert [run.bytes_of(k) for k in range(len(run.jobs))] == [s.original for s in found for _ in range(3)]


def weights(dtype: str, rows: int, level: str) -> tuple[bytes, list[bytes]]:
    """(original, body of each record)."""
    x = floats(np.random.default_rng(0), rows, 320, 10)
    data = bf16(x) if dtype == "BF16" else x.astype({"F16": np.float16, "F32": np.float32, "F64": np.float64}[dtype])
    coded = encode_span(data.tobytes(), DTYPES[dtype], data.shape, level_of(level))
    bodies, at = [], 0
    for size in (coded.entry.record, *coded.entry.chunks):
        bodies.append(coded.stored[at + records.HEAD_BYTES : at + size - 8].tobytes())
        at += size
    return data.tobytes(), bodies


DTYPE = pytest.mark.parametrize("dtype", ["BF16", "F16", "F32", "F64"])
LEVEL = pytest.mark.parametrize("level", ["fast", "default"])


@DTYPE
@LEVEL
def test_weights_in_one_record_go_the_quick_way(dtype: str, level: str) -> None:
    for rows in (1, 2, 50, 200):
        original, (body,) = weights(dtype, rows, level)
        run = Run([body], [len(original)])
        assert run.decode() == [] and run.bytes_of(0) == original


@DTYPE
@LEVEL
def test_chunk_records_of_weights_go_the_quick_way(dtype: str, level: str) -> None:
    """All of them in order, all of them backwards, and one alone."""
    original, (head, *bodies) = weights(dtype, 3000, level)
    assert len(bodies) > 2
    span, decoder = bulk.span_tables(head), SpanDecoder(head, "test")
    assert span is not None
    assert (span.length, span.chunks) == (len(original), len(bodies))
    assert span.chunk_bytes == decoder.layout.chunk_bytes
    places = [decoder.layout.chunk_range(k) for k in range(span.chunks)]
    for numbers in (list(range(span.chunks)), list(range(span.chunks))[::-1]):
        run = Run([bodies[k] for k in numbers], [places[k][1] - places[k][0] for k in numbers], numbers)
        assert run.decode(span) == []
        assert [run.bytes_of(i) for i in range(span.chunks)] == [original[slice(*places[k])] for k in numbers]
    first, stop = places[1]
    out = np.zeros(stop - first, np.uint8)
    bulk.decode_chunk(memoryview(bodies[1]), 1, out, span, lambda: pytest.fail("left to the careful way"))
    assert out.tobytes() == original[first:stop]
    out[:] = 0
    bulk.decode_chunk(memoryview(bodies[1]), 1, out, None, lambda: decoder)  # without its tables
    assert out.tobytes() == original[first:stop]


@given(st.lists(st.tuples(spoilt_spans(), st.booleans()), min_size=1, max_size=8))
def test_spoilt_records_in_a_run(drawn: list[tuple[tuple[Span, bytes], bool]]) -> None:
    """What is not left to the careful way, the careful way takes, and gives the same; what it refuses, it gets."""
    bodies = [body if spoilt else span.body for (span, body), spoilt in drawn]
    lengths = [len(span.original) for (span, _), _ in drawn]
    for k, (body, length) in enumerate(zip(bodies, lengths, strict=True)):
        found = carefully(body, length)
        if found is not None:  # with the right hash
            cursor = Cursor(body, "test")
            layouts.decode(cursor)
            bodies[k] = body[: cursor.at] + hash_of(found) + body[cursor.at + 8 :]
    run = Run(bodies, lengths)
    left = run.decode()
    assert left == sorted(set(left))
    for k, (body, length) in enumerate(zip(bodies, lengths, strict=True)):
        out = np.zeros(length, np.uint8)
        try:
            decoder = SpanDecoder(body, "test")
            if decoder.layout.length != length:
                raise CorruptFileError("not of this length")
            decoder.decode_inline(out)
        except CodecError:
            assert k in left
        else:
            assert k in left or run.bytes_of(k) == out.tobytes()


@given(spans(), st.data())
def test_damaged_records_end_in_an_error_or_in_the_right_bytes(span: Span, data: st.DataObject) -> None:
    body = damaged(data.draw, span.body, len(span.head))
    run = Run([span.body, body, span.body], [len(span.original)] * 3)

    def careful(k: int) -> None:
        if SpanDecoder(run.bodies[k], "test").layout.length != len(span.original):
            raise CorruptFileError("another length")
        run.careful(k)

    try:
        run.decode(careful=careful)
    except CodecError:
        assert 1 in run.left
    else:
        assert [run.bytes_of(k) for k in (0, 2)] == [span.original] * 2
        assert run.bytes_of(1) == span.original or hash_of(span.original) not in body


def test_only_what_is_wrong_is_left() -> None:
    """A hash that does not match, zstd that is wrong, a cut, more planes than are taken; the rest is done."""
    good, zstd, many = made("bf16", "default", 9, 304), with_zstd(), of_planes(16)
    wrong = replace(good, chunk=bytes((good.chunk[0] ^ 1,)) + good.chunk[1:])
    short = replace(good, chunk=good.chunk[:-1])
    bad = replace(zstd, chunk=zstd.chunk[:-9] + bytes((zstd.chunk[-9] ^ 64,)) + zstd.chunk[-8:])
    run = run_of([good, wrong, zstd, bad, short, many, good, zstd, many])
    assert run.decode() == [1, 3, 4, 5, 8]
    assert [run.bytes_of(k) for k in (0, 2, 6, 7)] == [good.original, zstd.original] * 2
    run = run_of([wrong, good])
    assert run.decode() == [0]
    run = run_of([good, zstd, many, good, of_tables((16, 16, 16, 16)), many])
    assert run.decode(careful=run.careful) == [2, 4, 5]
    assert [run.bytes_of(k) for k in range(6)] == [
        good.original, zstd.original, many.original, good.original, of_tables((16, 16, 16, 16)).original, many.original,
    ]  # fmt: skip
    run = run_of([good, good, wrong, good])
    with pytest.raises(CorruptFileError, match="stored checksum"):
        run.decode(careful=run.careful)


def big_made() -> list[tuple[bytes, bytes]]:
    """(original, body) of made spans whose parts have 64 lanes and more, or have several such parts, and of others."""
    rng, out = np.random.default_rng(8), []
    fields = [Field(size, "U8", "codes") for size in (64, 2, 64)]
    blocks = rng.binomial(40, 0.5, (3000, 130)).astype(np.uint8)
    few = np.unique(rng.standard_normal(200).astype(np.float32))[rng.binomial(150, 0.5, 98_304)]
    whole = rng.binomial(99, 0.5, 98_304).astype(np.int32) - 50
    sparse = np.where(rng.random(98_304) < 0.5, 0, rng.standard_normal(98_304)).astype(np.float32)
    coded = encode_fields(blocks.reshape(-1), tuple(fields), DTYPES["U8"], 1, level_of("default"))
    found = [(blocks, coded)]
    fives = rng.integers(0, 256, (9000, 22)).astype(np.uint8)
    fives[:, 2:] = rng.binomial(8, 0.5, (9000, 20))
    spans_ = encode_fields(fives.reshape(-1), fields_of("Q5_0"), DTYPES["U8"], 12, level_of("default"))
    found.append((fives, spans_))
    for x, dtype in ((few, "F32"), (whole, "I32"), (sparse, "F32"), (few, "F32")):
        spans = encode_structured(x.view(np.uint8), DTYPES[dtype], x.shape, level_of("default"))
        assert spans is not None
        found.append((x, spans))
    for x, spans in found:
        assert len(spans) == 1
        out.append((x.tobytes(), spans[0].stored[records.HEAD_BYTES : -8].tobytes()))
        assert SpanDecoder(out[-1][1], "test").layout.transform is not None
    return out


@pytest.mark.parametrize("shift", [0, 3])
def test_made_spans_in_a_run(shift: int) -> None:
    """One after the other, with others between them, each as good as the last."""
    plain = made("bf16", "default", 600, 384)
    found = [*big_made(), (plain.original, plain.body), (with_zstd().original, with_zstd().body)]
    order = [int(k) for k in np.random.default_rng(3).integers(0, len(found), 40)]
    run = Run([found[k][1] for k in order], [len(found[k][0]) for k in order], shift=shift)
    assert run.decode() == []
    assert [run.bytes_of(i) for i in range(len(order))] == [found[k][0] for k in order]
    bodies = [found[k][1] for k in order]
    bad = {2, 3, 9, 17, 39}
    for i in bad:  # a byte in the middle, of a part or of the words of a plane
        bodies[i] = (
            bodies[i][: len(bodies[i]) // 2]
            + bytes((bodies[i][len(bodies[i]) // 2] ^ 4,))
            + bodies[i][len(bodies[i]) // 2 + 1 :]
        )
    run = Run(bodies, [len(found[k][0]) for k in order], shift=shift)
    assert set(run.decode()) == bad
    assert all(run.bytes_of(i) == found[k][0] for i, k in enumerate(order) if i not in bad)


@given(st.lists(st.tuples(made_spans(), st.booleans()), min_size=1, max_size=8), st.data())
def test_spoilt_made_spans_in_a_run(drawn: list[tuple[tuple[bytes, bytes], bool]], data: st.DataObject) -> None:
    """What is not left to the careful way, the careful way takes, and gives the same."""
    bodies = [damaged(data.draw, body, len(body) // 2) if spoilt else body for (_, body), spoilt in drawn]
    run = Run(bodies, [len(original) for (original, _), _ in drawn])
    left = run.decode()
    for k, ((original, body), spoilt) in enumerate(drawn):
        out = np.zeros(len(original), np.uint8)
        try:
            decoder = SpanDecoder(bodies[k], "test")
            if decoder.layout.length != len(original):
                raise CorruptFileError("not of this length")
            decoder.decode_inline(out)
        except CodecError:
            assert k in left and spoilt
        else:
            assert k in left or run.bytes_of(k) == out.tobytes()
            assert (k in left) <= rare_body(body) or spoilt


def test_more_zstd_than_is_asked_for_at_once() -> None:
    found = [with_zstd(), made("bf16", "default", 9, 304)] * 1500
    run = run_of(found)
    assert run.decode() == []
    assert [run.bytes_of(k) for k in range(len(found))] == [s.original for s in found]


def test_what_is_stored_is_checked_first() -> None:
    """A byte of a record that is another: kind, length, body or checksum. The span's bytes may still be right."""
    good = made("bf16", "default", 9, 304)
    size = len(run_of([good]).stored)
    for at in (0, 1, 2, 4, 5, 20, size - 13, size - 5):  # four bytes lie behind the record
        run = run_of([good, good])
        run.stored = run.stored[:at] + bytes((run.stored[at] ^ 64,)) + run.stored[at + 1 :]
        assert run.decode() == [0], at
        assert run.bytes_of(1) == good.original
    run = run_of([good])
    run.jobs[0] = (run.jobs[0][0], run.jobs[0][1] - 1, *run.jobs[0][2:])
    assert run.decode() == [0]


def test_long_runs() -> None:
    found = [made(kind, "fast", 600, 384, seed=k) for k, kind in enumerate(["bf16", "bytes", "fp16", "bf16"] * 2)]
    run = run_of(found)
    assert run.decode() == []
    assert [run.bytes_of(k) for k in range(8)] == [s.original for s in found]
    found[3] = replace(found[3], chunk=bytes(8) + found[3].chunk[8:])
    run = run_of(found)
    assert run.decode() == [3]
    assert [run.bytes_of(k) for k in range(8)] == [s.original for s in found]


def test_a_layout_is_compiled_when_it_is_first_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = bulk._Addresses()
    monkeypatch.setattr(bulk, "_ADDRESSES", addresses)
    one, two = made("bf16", "fast", 20, 304), made("fp32, some rows fp16", "default", 20, 304)
    assert len(addresses.get()) == 5
    run = run_of([one, two, made("bytes", "default", 9, 304), one, two])
    assert run.decode() == []
    assert [run.bytes_of(k) for k in (0, 1, 3, 4)] == [one.original, two.original] * 2
    assert addresses.get()[5:].reshape(-1, 3)[:, :2].tolist() == [[0x88, 2], [0x88148, 4]]
    run = run_of([two, of_planes(3), of_planes(15), one, two])
    assert run.decode() == []
    assert [run.bytes_of(k) for k in range(5)] == [
        two.original, of_planes(3).original, of_planes(15).original, one.original, two.original,
    ]  # fmt: skip
    assert len(addresses.get()) == 5 + 3 * 4
    several = chunked(made("fp16", "default", 60, 304), 3)  # seen first in a chunk record
    assert several is not None
    span, lengths = bulk.span_tables(several[0]), [len(several[2]) // 3] * 3
    run = Run(several[1], lengths, [0, 1, 2])
    assert run.decode(span) == []
    assert run.out[GUARD : run.end].tobytes() == several[2]
    assert len(addresses.get()) == 5 + 3 * 5


@pytest.mark.parametrize("shift", range(1, 9))
def test_output_at_any_address(shift: int) -> None:
    found = [made(kind, "default", 5, 30) for kind in ("bf16", "fp32", "fp64", "bytes", "fp16")]
    run = run_of(found, shift)
    assert run.decode() == []
    assert [run.bytes_of(k) for k in range(5)] == [s.original for s in found]


def test_what_span_tables_leaves_to_the_careful_way() -> None:
    for span in (of_planes(16), of_tables((16, 16, 16, 16))):
        several = chunked(span, 2)
        assert several is not None
        head, bodies, original = several
        assert bulk.span_tables(head) is None
        decoder = SpanDecoder(head, "test")
        assert carefully(decoder, len(original) // 2, 1, bodies[1]) == original[len(original) // 2 :]
        run = Run(bodies, [len(original) // 2] * 2, [0, 1])
        assert run.decode(None) == [0, 1]
        assert bulk.span_tables(head[:-1]) is None and bulk.span_tables(head + b"\0") is None
        assert bulk.span_tables(span.body) is None  # its chunk is in it


def test_from_many_threads() -> None:
    """One span's tables, and runs of spans, each thread in its own room."""
    several = chunked(made("fp32, some rows fp16", "fast", 9, 304), 4)
    assert several is not None
    head, bodies, original = several
    span, size = bulk.span_tables(head), len(original) // 4
    found = [made(kind, level, 9, 304) for kind in ("bf16", "fp16", "bytes") for level in ("fast", "default")]

    def work(n: int) -> bool:
        if n % 2:
            run = Run(bodies, [size] * 4, [0, 1, 2, 3])
            return run.decode(span) == [] and run.out[GUARD : run.end].tobytes() == original
        run = run_of(found)
        return run.decode() == [] and [run.bytes_of(k) for k in range(6)] == [s.original for s in found]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(60)))


def test_the_decoder_of_stage_7_is_compiled_when_it_is_first_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = bulk._Addresses()
    monkeypatch.setattr(bulk, "_ADDRESSES", addresses)
    rng = np.random.default_rng(5)
    x = np.round(rng.normal(0, 9, (200, 300)) * 2.0 ** rng.normal(0, 0.7, (200, 300))[:, :1]).clip(-127, 127)
    coded = encode_span(x.astype(np.int8).tobytes(), DTYPES["I8"], x.shape, level_of("default"))
    out = np.zeros(x.size, np.uint8)
    bf16 = made("bf16", "fast", 20, 304)
    assert run_of([bf16]).decode() == []
    assert addresses.get()[4] == 0
    jobs = [(0, coded.stored.size, 0, out.size, -1)]
    bulk.decode(coded.stored, jobs, out, None, lambda k: pytest.fail(f"record {k} went the careful way"))
    assert out.tobytes() == x.astype(np.int8).tobytes()
    assert addresses.get()[4] != 0
