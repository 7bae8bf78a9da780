"""Bytes that an original has twice: found, stored once, and given back by every way of reading."""

from __future__ import annotations

import io
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

import codec
from codec.access import BytesSource
from codec.earlier import Spool
from codec.errors import CorruptFileError
from codec.reader import WeftFile
from codec.repeats import LARGE, LEAST, Repeats
from codec.streaming import decode_stream
from tests.kernels.test_leb128 import packed
from tests.sources.made import u32
from tests.sources.test_nnue import MAGIC, block, network
from tests.spec import load

reference = load("reference_decoder")
RANDOM = np.random.default_rng(7).integers(0, 256, 3 << 20, np.uint8)


def floats(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.02, shape).astype(np.float32)


def copies(blob: bytes) -> list[tuple[int, int, int]]:
    """(begin, bytes, distance) of each copy in a file."""
    file = WeftFile(BytesSource(blob))
    found = []
    for k, entry in enumerate(file.index.spans):
        transform = None if entry.chunks else file.decoder(k).layout.transform
        if transform is not None and transform.number == 6:
            found.append((file.starts[k], entry.original, transform.distance))  # type: ignore[attr-defined]
    return found


def by_stream(blob: bytes) -> bytes:
    out = io.BytesIO()
    decode_stream(io.BytesIO(blob).read, out.write, "f")
    return out.getvalue()


def by_pieces(blob: bytes) -> bytes:
    """As one who keeps what was decoded."""
    held = bytearray()

    def again(offset: int, out: np.ndarray) -> bool:
        if offset + out.size > len(held):
            return False
        out[:] = np.frombuffer(held[offset : offset + out.size], np.uint8)
        return True

    with codec.open_original(io.BytesIO(blob)) as file:
        for piece in file.pieces(again=again, threads=1):
            held += piece
    return bytes(held)


def by_readers(blob: bytes) -> bytes:
    with codec.open_original(io.BytesIO(blob)) as file:
        return b"".join(file.pieces())


WAYS: list[Callable[[bytes], bytes]] = [codec.decompress, by_stream, by_pieces, by_readers, reference.decode]


def check(original: bytes, blob: bytes) -> list[tuple[int, int, int]]:
    """Every way of reading gives the original; the copies in the file."""
    for way in WAYS:
        assert way(blob) == original, way
    assert codec.verify_file(io.BytesIO(blob)).original_bytes == len(original)
    found = codec.anatomy_file(io.BytesIO(blob))
    assert sum(found.fields.values()) == len(blob)
    return copies(blob)


@pytest.mark.parametrize("level", ["fast", "default", "max"])
def test_a_tied_tensor_is_stored_once(level: str) -> None:
    embedding = floats(1, 300, 128)
    original = save({"embed": embedding, "head": embedding, "other": floats(2, 90, 128)})
    alone = save({"embed": embedding, "other": floats(2, 90, 128)})
    blob = codec.compress(original, level=level)
    found = check(original, blob)
    assert [size for _, size, _ in found] == [embedding.nbytes]
    assert len(blob) < len(codec.compress(alone, level=level)) + 200
    with codec.safe_open(io.BytesIO(blob)) as f:
        assert np.array_equal(f.get_tensor("head"), embedding)
        assert np.array_equal(f.get_slice("head")[250:, 3:9], embedding[250:, 3:9])


def test_many_layers_that_are_one(tmp_path: Path) -> None:
    """Small tensors too, but not the smallest; a copy of a copy is a copy of the first."""
    layer = {"w": floats(1, 200, 96), "norm": floats(2, 1200), "tiny": floats(3, 96)}
    original = save({f"layers.{k}.{name}": x for k in range(5) for name, x in layer.items()})
    blob = codec.compress(original)
    found = check(original, blob)
    assert sorted({size for _, size, _ in found}) == [4800, 76800]
    assert len(found) == 8
    starts = {begin - distance for begin, _, distance in found}
    assert len(starts) == 2 and starts.isdisjoint({begin for begin, _, _ in found})


@pytest.mark.parametrize("shift", [0, 4, 4096, 4108, 12344])
def test_a_part_that_lies_elsewhere(shift: int) -> None:
    """At any distance that is a multiple of 4."""
    original = RANDOM[: 1 << 20].tobytes() + RANDOM[shift : shift + (700 << 10)].tobytes() + RANDOM[2 << 20 :].tobytes()
    blob = codec.compress(original, "U8")
    found = check(original, blob)
    assert sum(size for _, size, _ in found) == 700 << 10
    assert len(blob) < len(original) - (690 << 10)


def test_a_tensor_with_a_period() -> None:
    period = RANDOM[: 100 << 10].tobytes()
    original = period * 20
    blob = codec.compress(original, "U8")
    found = check(original, blob)
    assert sum(size for _, size, _ in found) == 19 * len(period)
    assert len(blob) < len(period) + 2500


def test_rows_are_not_cut_apart() -> None:
    rows = floats(3, 600, 100)
    original = np.concatenate([rows, floats(4, 7, 100), rows[13:]])
    blob = codec.compress(original)
    found = check(original.tobytes(), blob)
    assert found and all(begin % 400 == 0 for begin, _, _ in found)
    assert sum(size for _, size, _ in found) == 587 * 400


def test_what_is_not_worth_a_copy() -> None:
    """Zeros, short periods, small tensors."""
    zeros = save({"a": np.zeros(5000, np.float32), "b": np.zeros(5000, np.float32), "c": np.ones((300, 300))})
    assert copies(codec.compress(zeros)) == []
    assert copies(codec.compress(RANDOM[:3000].tobytes() * 60, "U8")) == []
    small = floats(5, 1000)
    assert copies(codec.compress(save({"a": small, "b": small}))) == []


def test_the_same_bytes_from_files_and_into_pipes(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    embedding = floats(1, 300, 128)
    path.write_bytes(save({"a": embedding, "b": embedding}))
    out = tmp_path / "m.weft"
    blobs = []
    for threads in (1, 2):
        codec.compress_file(path, out, threads=threads, force=True)
        blobs.append(out.read_bytes())
        pipe = io.BytesIO()
        codec.compress_file(path, pipe, threads=threads)
        blobs.append(pipe.getvalue())
    assert len(set(blobs)) == 1 and copies(blobs[0])
    codec.save_file({"a": embedding, "b": embedding}, out)
    assert out.read_bytes() == blobs[0]
    for threads in (1, 2):
        codec.decompress_file(out, tmp_path / "back", threads=threads, force=True)
        assert (tmp_path / "back").read_bytes() == path.read_bytes()
    back = io.BytesIO()
    codec.decompress_file(out, back)
    assert back.getvalue() == path.read_bytes()
    with out.open("rb") as file:
        codec.decompress_file(file, tmp_path / "back", force=True)
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


def test_what_comes_out_of_a_pipe_has_no_copies() -> None:
    original = save({"a": floats(1, 300, 128), "b": floats(1, 300, 128)})
    pipe = io.BytesIO()
    codec.compress_file(io.BytesIO(original), pipe)
    assert pipe.getvalue()[10:12] == b"\0\0"
    assert check(original, pipe.getvalue()) == []


class Made(bytes):
    """Bytes that are not spelt out when a test fails."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


@st.composite
def patched(draw: st.DrawFn) -> Made:
    """Some new bytes, and some that were there before, from anywhere."""
    out = bytearray()
    for k in range(draw(st.integers(1, 6))):
        size = draw(st.sampled_from([1, 8, 100, 5000, 70_000, 200_000, 600_000])) + draw(st.integers(0, 9))
        if out and draw(st.booleans()):
            at = draw(st.integers(0, len(out) - 1))
            out += out[at : at + size]
        else:
            out += RANDOM[k * 400_000 :][:size].tobytes()
    return Made(out)


@given(patched(), st.sampled_from(["U8", "F16", "F32", "C64", None]), st.integers(1, 70_000))
def test_any_repeats_come_back(original: bytes, dtype: str | None, columns: int) -> None:
    size = {"U8": 1, "F16": 2, "F32": 4, "C64": 8, None: 1}[dtype]
    original = original[: len(original) // size * size]
    rows = max(1, len(original) // size // columns)
    original = original[: rows * columns * size] if dtype is not None and rows > 1 else original
    shape = (rows, columns) if dtype is not None and rows > 1 else None
    blob = codec.compress(original, dtype, shape)
    for way in (codec.decompress, by_stream, by_pieces):
        assert way(blob) == original


@given(patched(), st.lists(st.integers(1, 500_000), max_size=6), st.sampled_from([1, 2, 8, 18, 400]))
def test_cuts_are_what_they_say(original: bytes, sizes: list[int], unit: int) -> None:
    """They tile each piece; a copy equals bytes before it, of one cut that is no copy, and cuts no unit apart."""
    data = np.frombuffer(original, np.uint8)
    repeats = Repeats(lambda offset, size: original[offset : offset + size], len(original))
    begin, new = 0, list[tuple[int, int]]()
    for size in [*sizes, len(original)]:
        piece = data[begin : begin + size]
        if not piece.size:
            continue
        cuts = repeats.cuts(piece, begin, unit)
        assert cuts[0].first == 0 and cuts[-1].stop == piece.size
        assert all(a.stop == b.first and a.first < a.stop for a, b in itertools.pairwise(cuts))
        for c in cuts:
            if not c.distance:
                new.append((begin + c.first, begin + c.stop))
                continue
            assert c.first % unit == 0 or piece.size < LARGE
            assert c.stop % unit == 0 or c.stop == piece.size
            assert c.stop - c.first <= min(c.distance, 1 << 19)
            first = begin + c.first - c.distance
            assert np.array_equal(piece[c.first : c.stop], data[first : first + c.stop - c.first])
            assert any(a <= first and first + c.stop - c.first <= b for a, b in new)
        begin += piece.size


def test_keys_that_repeat_nothing_cost_little() -> None:
    """What looks like a repeat at every place and is none anywhere."""
    block = RANDOM[:32].tobytes()
    data = b"".join(block + int(k).to_bytes(8, "little") for k in range(200_000))
    looked = 0

    def at(offset: int, size: int) -> bytes:
        nonlocal looked
        looked += size
        return data[offset : offset + size]

    cuts = Repeats(at, len(data)).cuts(np.frombuffer(data, np.uint8), 0, 1)
    assert len(cuts) == 1
    assert looked < len(data) // 4


def test_large_originals_have_fewer_keys() -> None:
    """The table is bounded, whatever the size that is announced."""
    held = Repeats(lambda offset, size: RANDOM[offset : offset + size].tobytes(), 1 << 44)
    held.cuts(RANDOM, 0, 1)
    assert held._step * (1 << 20) >= 1 << 44
    assert held._keys.size <= 1 << 21


def test_an_original_that_can_no_longer_be_read() -> None:
    """Shorter than it said: nothing is taken for a repeat that was not seen."""
    repeats = Repeats(lambda offset, size: b"", 2 << 20)
    repeats.cuts(RANDOM[: 1 << 20], 0, 1)
    assert [c.distance for c in repeats.cuts(RANDOM[: 1 << 20], 1 << 20, 1)] == [0]
    repeats = Repeats(lambda offset, size: b"", 2 << 20)
    repeats.cuts(RANDOM[:LEAST], 0, 1)
    assert [c.distance for c in repeats.cuts(RANDOM[:LEAST], LEAST, 1)] == [0]


def damaged(blob: bytes, begin: int) -> bytes:
    """With a bit of the span changed that holds this byte of the original."""
    file = WeftFile(BytesSource(blob))
    span = max(k for k, start in enumerate(file.starts[:-1]) if start <= begin)
    out = bytearray(blob)
    out[file.offsets[span] + file.index.spans[span].record - 20] ^= 1
    return bytes(out)


def test_damage_of_the_source_damages_its_copies(tmp_path: Path) -> None:
    weights = floats(1, 300, 128)
    original = save({"a": weights, "b": floats(2, 50, 128), "c": weights})
    blob = codec.compress(original)
    ((begin, _, distance),) = check(original, blob)
    bad = damaged(blob, begin - distance)
    with codec.safe_open(io.BytesIO(bad)) as f:
        assert f.get_tensor("b").shape == (50, 128)
        for name in "ac":
            with pytest.raises(CorruptFileError):
                f.get_tensor(name)
    with pytest.raises(CorruptFileError, match='tensor "a"') as error:
        codec.verify_file(io.BytesIO(bad))
    assert error.value.damage is not None and error.value.damage.begin == begin - distance
    (tmp_path / "bad").write_bytes(bad)
    for name, data in (("index", bad), ("none", bad[:-40])):
        (tmp_path / "bad").write_bytes(data)
        report = codec.recover_file(tmp_path / "bad", tmp_path / name)
        assert [t.name for t in report.lost] == ["a", "c"]
        assert list(codec_load(tmp_path / name)) == ["b"]


def codec_load(path: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return dict(load_file(path))


def test_damage_of_a_copy_leaves_the_source(tmp_path: Path) -> None:
    weights = floats(1, 300, 128)
    original = save({"a": weights, "b": floats(2, 50, 128), "c": weights})
    blob = codec.compress(original)
    ((begin, _, _),) = copies(blob)
    bad = damaged(blob, begin)
    with pytest.raises(CorruptFileError, match='tensor "c"'):
        codec.verify_file(io.BytesIO(bad))
    (tmp_path / "bad").write_bytes(bad)
    report = codec.recover_file(tmp_path / "bad", tmp_path / "out")
    assert [t.name for t in report.lost] == ["c"]
    assert np.array_equal(codec_load(tmp_path / "out")["a"], weights)


@pytest.mark.parametrize("cut", [0, 33, 100])
def test_what_is_whole_is_recovered_without_an_index(tmp_path: Path, cut: int) -> None:
    weights = floats(1, 300, 128)
    original = save({"a": weights, "b": floats(2, 50, 128), "c": weights})
    blob = codec.compress(original)
    (tmp_path / "bad").write_bytes(blob[: len(blob) - cut])
    report = codec.recover_file(tmp_path / "bad", tmp_path / "out")
    assert report.form == "original"
    assert (tmp_path / "out").read_bytes() == original


def test_damage_behind_copies_is_found_without_an_index() -> None:
    """The walk that says where has to decode the copies, too."""
    weights = floats(1, 300, 128)
    original = save({"a": weights, "b": weights, "c": floats(2, 50, 128)})
    blob = codec.compress(original)
    bad = damaged(blob, len(original) - 1)[:-1]
    with pytest.raises(codec.CodecError, match='tensor "c"'):
        codec.verify_file(io.BytesIO(bad))


@pytest.mark.parametrize("first", [10, 20 << 20])
def test_a_spool_gives_what_it_was_given(first: int) -> None:
    """In memory, and from 16 MiB on in a file."""
    spool = Spool()
    data = np.resize(RANDOM, first)
    spool.write(data.data)
    spool.write(RANDOM[:1000].data)
    out = np.zeros(900, np.uint8)
    for offset in (0, first // 2, first, first + 100):
        size = min(900, first + 1000 - offset)
        spool.read(offset, out[:size])
        assert np.array_equal(out[:size], np.concatenate([data, RANDOM[:1000]])[offset : offset + size])
    spool.close()


def test_a_full_disk_names_the_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("codec.earlier.tempfile.TemporaryFile", lambda **_: Full())
    spool = Spool()
    with pytest.raises(OSError, match="No space") as error:
        spool.write(bytes(17 << 20))
    assert error.value.filename == tempfile.gettempdir()
    spool.close()


def test_copies_that_a_reader_would_refuse_are_not_written() -> None:
    """Blocks that become many small spans: what repeats one lies in too many chunks for a copy."""
    values = np.random.default_rng(3).integers(-60, 60, 400_000)
    values[::20_000] = 1 << 40
    data = packed([int(v) for v in values])
    original = network(block([1] * 25_000), MAGIC + u32(len(data)) + data, MAGIC + u32(len(data)) + data)
    for level in ("fast", "default"):
        blob = codec.compress(original, level=level, threads=1)
        assert codec.decompress(blob) == original and by_stream(blob) == original


def test_copies_cost_a_reader_no_more_than_a_multiple_of_their_bytes() -> None:
    """A short tensor that is a part of a large one's chunk is stored again."""
    large = RANDOM[: 1 << 19]
    short = large[40_000:46_000]
    blob = codec.compress(save({"a": large, "b": short, "c": large[100_000:200_000]}))
    assert check(save({"a": large, "b": short, "c": large[100_000:200_000]}), blob) != []
    assert all(size * 64 >= 1 << 19 for _, size, _ in copies(blob))


@pytest.mark.parametrize(("kind", "columns", "chunk"), [("F64", 3278, 419_584), ("BF16", 7716, 493_824)])
def test_the_end_of_a_span_whose_chunks_are_odd(kind: str, columns: int, chunk: int) -> None:
    """A repeat that ends with the last chunk of a tensor, near the bound of what it may have: the writer knows it."""
    width = {"F64": 8, "BF16": 2}[kind]
    rows = 2 * chunk // (columns * width)
    rng = np.random.default_rng(0)
    first = rng.standard_normal(rows * columns, np.float32).view(np.uint32)
    a = (first >> 16).astype(np.uint16) if width == 2 else rng.standard_normal(rows * columns)
    size = (2 * chunk - 524_288 + 63) // 64 // 8 * 8 + 64
    b = RANDOM[:160_000].tobytes()
    c = RANDOM[200_000:200_256].tobytes() + a.tobytes()[-size:] + b[:100_000] + RANDOM[300_000:380_000].tobytes()
    tensors = {"a": a.reshape(rows, columns), "b": np.frombuffer(b, np.uint8), "c": np.frombuffer(c, np.uint8)}
    if width == 2:
        tensors["a"] = tensors["a"].view(ml_dtypes.bfloat16)
    original = save(tensors)
    check(original, codec.compress(original))


def test_many_copies_in_one_task() -> None:
    """Their sources are not decoded for each of them: what the task has decoded is at hand."""
    spans = [RANDOM[k * 5000 : k * 5000 + 5000].tobytes() for k in range(20)]
    original = save({f"{k:03}": np.frombuffer(spans[k % 20], np.uint8) for k in range(120)})
    blob = codec.compress(original)
    assert len(copies(blob)) == 100

    class Counting(WeftFile):
        ran = 0

        def run(self, task: Any, out: Any) -> None:
            self.ran += 1
            super().run(task, out)

    file = Counting(BytesSource(blob))
    assert file.read(0, len(original)).tobytes() == original
    assert file.ran == 1
