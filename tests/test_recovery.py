"""Recovery: what is sound comes back, under the right name and at the right place; what is not is listed as lost."""

from __future__ import annotations

import io
import itertools
import json
import tracemalloc
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import safetensors
from hypothesis import given
from hypothesis import strategies as st

import codec
from codec.access import BytesSource
from codec.container import records
from codec.recovery.scan import scan
from tests.sources.headers import file_of
from tests.test_damage import bodies, resealed, weights

METADATA = {"format": "pt"}


class File(NamedTuple):
    """An original, what it is compressed to, the records of that as (kind, offset, bytes), and its tensors."""

    original: bytes
    blob: bytes
    records: list[tuple[int, int, int]]
    tensors: dict[str, tuple[int, int]]

    def place(self, kind: int, number: int = 0) -> tuple[int, int]:
        """(offset, bytes) of the record of a kind."""
        return [(at, size) for k, at, size in self.records if k == kind][number]


def bf16(rng: np.random.Generator, *shape: int) -> bytes:
    return (weights(rng, *shape) >> 16).astype(np.uint16).tobytes()


@cache
def file(name: str) -> File:
    makers = {"model": model, "stack": stack, "more": more, "opaque": opaque, "noise": noise, "empty": empty}
    original, tensors = makers[name]()
    out = io.BytesIO()
    codec.compress_file(io.BytesIO(original), out, threads=1)
    blob = out.getvalue()
    return File(original, blob, list(bodies(blob)), tensors)


def safetensors_file(tensors: list[tuple[str, str, list[int], bytes]]) -> tuple[bytes, dict[str, tuple[int, int]]]:
    header: dict[str, object] = {"__metadata__": METADATA}
    data = b""
    for name, dtype, shape, raw in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    original = file_of(json.dumps(header)) + data
    first = len(original) - len(data)
    offsets = itertools.accumulate((len(raw) for *_, raw in tensors), initial=first)
    return original, {name: (at, at + len(raw)) for at, (name, *_, raw) in zip(offsets, tensors, strict=False)}


def model() -> tuple[bytes, dict[str, tuple[int, int]]]:
    """Tensors of several types, one of three chunks, one without elements."""
    rng = np.random.default_rng(5)
    return safetensors_file(
        [
            ("a", "BF16", [64, 32], bf16(rng, 64, 32)),
            ("big", "BF16", [600, 1024], bf16(rng, 600, 1024)),
            ("b", "F32", [10], weights(rng, 10).tobytes()),
            ("none", "F16", [0, 4], b""),
            ("c", "U8", [77], bytes(range(77))),
            ("d", "BF16", [64, 32], bf16(rng, 64, 32)),
        ]
    )


def stack() -> tuple[bytes, dict[str, tuple[int, int]]]:
    """Layers of the same sizes."""
    rng = np.random.default_rng(6)
    sizes = {"attention": (16, 64), "bias": (8,), "mlp": (32, 64)}
    parts = [(f"{k}.{name}", shape) for k in range(6) for name, shape in sizes.items()]
    return safetensors_file([(name, "BF16", list(shape), bf16(rng, *shape)) for name, shape in parts])


def more() -> tuple[bytes, dict[str, tuple[int, int]]]:
    """Bytes behind the last tensor, as a stream may have: its length is not known when its header is read."""
    original, tensors = stack()
    return original + b"and more", tensors


def opaque() -> tuple[bytes, dict[str, tuple[int, int]]]:
    return b"".join(b"%d bottles of beer on the wall\n" % k for k in range(90_000)), {}


def noise() -> tuple[bytes, dict[str, tuple[int, int]]]:
    """Stored as it is, so that every chunk looks as good in any span."""
    return np.random.default_rng(7).bytes(2_500_000), {}


def empty() -> tuple[bytes, dict[str, tuple[int, int]]]:
    return b"", {}


FILES = ("model", "stack", "more", "opaque", "noise", "empty")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def recovered(blob: bytes, out: Path) -> tuple[codec.RecoveryReport, bytes]:
    report = codec.recover_file(io.BytesIO(blob), out, force=True)
    return report, out.read_bytes()


def checked(f: File, blob: bytes, out: Path) -> codec.RecoveryReport:
    """Recover, and compare whatever is said to be sound with the original."""
    report, got = recovered(blob, out)
    if report.intact:
        # cut off in front of the index, a file with bytes behind its tensors looks like one without
        end = max((end for _, end in f.tensors.values()), default=0)
        assert got == f.original or (not report.index and got == f.original[:end] and got)
        assert not (report.lost or report.lost_ranges or report.pieces)
        assert report.saved == tuple(f.tensors) or not report.index
        return report
    assert report.lost_ranges
    if report.form == "bytes":
        whole = bytearray(got.ljust(len(f.original), b"\0"))
        for begin, end in report.lost_ranges:
            assert not any(got[begin:end])
            whole[begin:end] = f.original[begin:end]
        assert len(whole) == len(f.original) and whole == f.original
        return report
    assert report.form == "safetensors"
    found = dict(safetensors.deserialize(got))  # type: ignore[no-untyped-call]
    pieces = {piece.name for piece in report.pieces}
    assert set(found) == {*(report.saved if not pieces or report.saved else ()), *pieces}
    for name in report.saved:
        begin, end = f.tensors[name]
        assert bytes(found[name]["data"]) == f.original[begin:end], name
    for name in pieces:
        assert bytes(found[name]["data"]) in f.original
    for tensor in report.lost:
        assert (tensor.begin, tensor.end) == f.tensors[tensor.name] and tensor.gone
        assert tensor.name not in report.saved
    length = int.from_bytes(got[:8], "little")
    assert json.loads(got[8 : 8 + length]).get("__metadata__") in (None, METADATA)
    return report


def zeroed(blob: bytes, at: int, size: int) -> bytes:
    return blob[:at] + bytes(size) + blob[at + size :]


def flipped(blob: bytes, at: int) -> bytes:
    return blob[:at] + bytes([blob[at] ^ 16]) + blob[at + 1 :]


def without_index(f: File) -> bytes:
    return f.blob[: f.records[-1][1]]


def lost(report: codec.RecoveryReport) -> list[str]:
    return [tensor.name for tensor in report.lost]


@pytest.mark.parametrize("name", FILES)
def test_intact_is_the_original(name: str, out: Path) -> None:
    f = file(name)
    report = checked(f, f.blob, out)
    assert report.intact and report.index and report.sha256_matches and not report.notes
    assert report.recovered_bytes == report.original_bytes == len(f.original)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("gone", ["trailer", "index", "both", "cut", "header"])
def test_nothing_of_the_original_was_hit(name: str, gone: str, out: Path) -> None:
    f = file(name)
    at, size = f.place(records.INDEX)
    damaged = {
        "trailer": zeroed(f.blob, len(f.blob) - 32, 32),
        "index": flipped(f.blob, at + size // 2),
        "both": flipped(flipped(f.blob, at + size // 2), len(f.blob) - 1),
        "cut": f.blob[: at + size // 2],
        "header": zeroed(f.blob, 0, 16),
    }[gone]
    report = checked(f, damaged, out)
    assert report.intact and report.notes and report.original_bytes == len(f.original)
    assert report.index == (gone in ("trailer", "header"))


@pytest.mark.parametrize("kind", ["zeroed", "flipped", "removed"])
@pytest.mark.parametrize("name", ["model", "stack"])
def test_each_record_with_an_index(name: str, kind: str, out: Path) -> None:
    f = file(name)
    for k, at, size in f.records[:-1]:
        if kind == "removed":
            blob = f.blob[:at] + f.blob[at + size :]
        else:
            blob = zeroed(f.blob, at, size) if kind == "zeroed" else flipped(f.blob, at + size // 2)
        report = checked(f, blob, out)
        assert report.index and not report.intact and not report.pieces
        assert len(report.lost) == (at != 16) and report.lost_ranges
        # two tensors of one size lie side by side nowhere, so that what is missing is always clear
        assert len(report.saved) == len(f.tensors) - len(report.lost), (k, at)


@pytest.mark.parametrize("kind", ["zeroed", "flipped"])
@pytest.mark.parametrize("index", ["damaged", "gone"])
@pytest.mark.parametrize("name", ["model", "stack"])
def test_each_record_without_an_index(name: str, index: str, kind: str, out: Path) -> None:
    f = file(name)
    first = f.place(records.SPAN)[1] + 16
    for _, at, size in f.records[:-1]:
        blob = zeroed(f.blob, at, size) if kind == "zeroed" else flipped(f.blob, at + size // 2)
        end, length = f.place(records.INDEX)
        blob = flipped(blob, end + length // 2) if index == "damaged" else blob[:end]
        report = checked(f, blob, out)
        assert not report.index and not report.intact
        if at < first:  # nothing tells what the bytes belong to
            assert not report.saved and len(report.pieces) == len([r for r in f.records if r[0] == records.SPAN]) - 1
        else:
            assert len(report.lost) == 1 and len(report.saved) == len(f.tensors) - 1 and not report.pieces


@pytest.mark.parametrize("name", FILES)
def test_cut_at_every_record_and_elsewhere(name: str, out: Path) -> None:
    f = file(name)
    cuts = [at for _, at, _ in f.records[1:]]
    cuts += np.random.default_rng(1).integers(16, len(f.blob), 12).tolist()
    cuts += [at + more for _, at, _ in f.records for more in (1, 5, 13)]
    for cut in cuts:
        before = sum(at + size <= cut for _, at, size in f.records)
        if before == 0 and cut < f.records[-1][1] + 6:
            with pytest.raises(codec.CorruptFileError, match="nothing to save"):
                recovered(f.blob[:cut], out)
            continue
        report = checked(f, f.blob[:cut], out)
        assert not report.pieces and (report.intact or report.form == ("safetensors" if f.tensors else "bytes"))


def test_cut_off_tensors_are_lost_and_those_before_are_not(out: Path) -> None:
    f = file("model")
    at, _ = f.place(records.CHUNK, 2)
    report = checked(f, f.blob[: at + 1000], out)
    assert report.saved == ("a", "none") and lost(report) == ["big", "b", "c", "d"]
    assert report.lost[0].gone == ((f.tensors["big"][0] + 2 * (1 << 19), f.tensors["big"][1]),)
    with safetensors.safe_open(out, "numpy") as again:
        assert again.metadata() == METADATA and again.keys() == ["a", "none"]


def test_a_chunk_of_the_middle(out: Path) -> None:
    f = file("model")
    at, size = f.place(records.CHUNK, 1)
    report = checked(f, flipped(f.blob, at + size // 2), out)
    begin, end = f.tensors["big"]
    gone = ((begin + (1 << 19), begin + (1 << 20)),)
    assert report.lost == (codec.LostTensor("big", "BF16", (600, 1024), begin, end, gone),)
    assert report.lost_ranges == report.lost[0].gone and report.original_bytes == len(f.original)


def test_the_header_of_the_original_is_lost(out: Path) -> None:
    f = file("model")
    report = checked(f, zeroed(f.blob, *f.place(records.SPAN)), out)
    assert len(report.saved) == 6 and not report.lost and report.lost_ranges == ((0, f.tensors["a"][0]),)
    with safetensors.safe_open(out, "numpy") as again:
        assert again.metadata() is None


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("name", ["opaque", "noise"])
def test_opaque_originals_keep_their_length(name: str, index: bool, out: Path) -> None:
    f = file(name)
    at, _ = f.place(records.CHUNK, 2)  # the first chunk of the second span
    blob = zeroed(f.blob if index else without_index(f), at + 20, 5000)
    report = checked(f, blob, out)
    assert report.form == "bytes" and report.index == index
    if index:
        assert report.lost_ranges == ((1 << 20, (1 << 20) + (1 << 19)),) and report.original_bytes == len(f.original)
    else:
        assert report.lost_ranges[-1] == (len(f.original), None) and report.original_bytes is None
        assert report.recovered_bytes == len(f.original) - (1 << 19)


def test_opaque_pieces_without_a_place(out: Path) -> None:
    f = file("noise")
    blob = zeroed(without_index(f), *f.place(records.SPAN, 1))
    report = checked(f, blob, out)
    assert report.form == "safetensors" and [piece.size for piece in report.pieces] == [1 << 20, 2_500_000 - (2 << 20)]
    assert {piece.dtype for piece in report.pieces} == {"U8"} and report.lost_ranges[-1][1] is None


def test_swapped_chunks(out: Path) -> None:
    f = file("model")
    (a, m), (b, n) = f.place(records.CHUNK, 0), f.place(records.CHUNK, 1)
    swapped = f.blob[:a] + f.blob[b : b + n] + f.blob[a : a + m] + f.blob[b + n :]
    assert checked(f, swapped, out).intact  # the index knows how long each was
    report = checked(f, swapped[: f.records[-1][1]], out)
    assert lost(report) == ["big"]


@pytest.mark.parametrize("name", ["model", "noise"])
def test_garbage_between_records(name: str, out: Path) -> None:
    f = file(name)
    garbage = np.random.default_rng(2).bytes(3000)
    for _, at, _ in f.records:
        assert checked(f, f.blob[:at] + garbage + f.blob[at:], out).intact
    blob = f.blob
    for _, at, _ in reversed(f.records[1::3]):
        blob = blob[:at] + garbage[: at % 2000 + 1] + blob[at:]
    assert checked(f, blob, out).intact == (name == "model")  # of noise, all chunks have the same length
    assert checked(f, garbage + f.blob + garbage, out).intact


@pytest.mark.parametrize("name", ["stack", "noise"])
def test_records_taken_out_neatly_with_the_index(name: str, out: Path) -> None:
    """Nothing lies between those that are left; but the trailer knows how long the file was."""
    f = file(name)
    (a, m), (b, _) = f.place(records.SPAN, 1), f.place(records.SPAN, 2)
    blob = flipped(f.blob, f.place(records.INDEX)[0] + 20)
    report = checked(f, blob[:a] + blob[b:], out)
    assert not report.saved and report.pieces and b >= a + m


def test_several_damages(out: Path) -> None:
    f = file("stack")
    spans = [r for r in f.records if r[0] == records.SPAN]
    blob = f.blob
    for k in (2, 9, 10, 15):
        blob = flipped(blob, spans[k][1] + spans[k][2] // 2)
    names = [list(f.tensors)[k - 1] for k in (2, 9, 10, 15)]
    assert lost(checked(f, blob, out)) == names
    report = checked(f, flipped(blob, f.records[-1][1] + 30), out)
    assert lost(report) == names and not report.pieces
    # without kind and length of what is lost, it is clear only in part where the rest lay: never is it wrong
    for k in (2, 9, 10, 15):
        blob = zeroed(blob, *spans[k][1:])
    assert lost(checked(f, blob, out)) == names
    checked(f, blob[: f.records[-1][1]], out)


@pytest.mark.parametrize(
    ("name", "to", "start", "size"),
    [("stack", 3, 17, 300_000), ("stack", 1, 4653, 4096), ("stack", 4, -40, 4096), ("opaque", 2, 1820, 300_000)],
)
@pytest.mark.parametrize("index", [True, False])
def test_blocks_written_to_a_wrong_place(name: str, to: int, start: int, size: int, index: bool, out: Path) -> None:
    """Layers are alike, and chunks of stored bytes are: what is there twice must not be taken for something else."""
    f = file(name)
    at = f.records[to + 1][1]
    piece = f.blob[start % len(f.blob) :][:size][: f.records[-1][1] - at]
    blob = f.blob[:at] + piece + f.blob[at + len(piece) :]
    for cut in (None, 2 * at, 2 * at + 99):
        damaged = blob if cut is None else blob[:cut] + b"!" + blob[cut:]
        checked(f, damaged if index else damaged[: f.records[-1][1]], out)


def test_a_tensor_of_a_type_of_its_own_is_found_anywhere(out: Path) -> None:
    """The span record of the large tensor is lost, with the index: of what follows, types and sizes tell the place."""
    f = file("model")
    report = checked(f, zeroed(without_index(f), *f.place(records.SPAN, 2)), out)
    assert lost(report) == ["big"] and report.saved == ("a", "b", "none", "c", "d")


@given(st.sampled_from(FILES), st.data())
def test_random_damage_never_gives_wrong_bytes(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    f, blob = file(name), file(name).blob
    edges = [at for _, at, _ in f.records]
    if data.draw(st.booleans(), "without index"):
        blob = flipped(blob, f.records[-1][1] + 9)
    for number in range(data.draw(st.integers(1, 4), "damages")):
        at = data.draw(st.sampled_from(edges) | st.integers(0, len(f.blob)), "at") + data.draw(st.integers(-3, 20))
        at = min(max(at, 0), len(blob))
        size = data.draw(st.sampled_from([1, 7, 512, 4096, 300_000]), "size")
        match data.draw(st.sampled_from(["flip", "zero", "noise", "insert", "delete", "copy", "cut"]), "damage"):
            case "flip" if at < len(blob):
                blob = flipped(blob, at)
            case "zero":
                blob = blob[:at] + bytes(len(blob[at : at + size])) + blob[at + size :]
            case "noise":
                blob = blob[:at] + np.random.default_rng(at).bytes(len(blob[at : at + size])) + blob[at + size :]
            case "insert":
                blob = blob[:at] + np.random.default_rng(at).bytes(size) + blob[at:]
            case "delete" if at not in edges or at + size not in edges:
                blob = blob[:at] + blob[at + size :]
            case "copy" if number == 0:  # a block written to a wrong place, but not records where records were
                other = data.draw(st.integers(0, len(blob)), "from")
                if not {e + at - other for e in edges if other <= e < other + size} & set(edges):
                    piece = blob[other : other + size][: len(blob) - at]
                    blob = blob[:at] + piece + blob[at + len(piece) :]
            case "cut":
                blob = blob[: max(at, len(blob) - size)]
    out = tmp_path_factory.mktemp("random") / "out"
    if blob != f.blob:
        with pytest.raises(codec.CodecError):
            codec.verify_file(io.BytesIO(blob), threads=1)
    try:
        checked(f, blob, out)
    except codec.CodecError:
        assert not out.exists()


@given(st.data())
def test_records_that_lie_under_good_checksums(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """An attacker can seal what he changed. The hash of the decoded bytes is what tells."""
    f = file(data.draw(st.sampled_from(["model", "stack"])))
    blob = f.blob
    for _ in range(data.draw(st.integers(1, 3))):
        _, at, size = data.draw(st.sampled_from(f.records[:-1]))
        body = bytearray(blob[at + 5 : at + size - 8])
        body[data.draw(st.integers(0, min(60, len(body) - 1)))] ^= data.draw(st.integers(1, 255))
        blob = resealed(blob, at, size, bytes(body))
    if data.draw(st.booleans()):
        blob = blob[: f.records[-1][1]]
    try:
        recovered(blob, tmp_path_factory.mktemp("sealed") / "out")
    except codec.CodecError:
        pass


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_give_an_error_or_a_result(tmp_path_factory: pytest.TempPathFactory, data: bytes, weft: bool) -> None:
    out = tmp_path_factory.mktemp("any") / "out"
    with pytest.raises((codec.NotWeftError, codec.CorruptFileError, codec.UnsupportedVersionError)):
        recovered(records.header() * weft + data, out)
    assert not out.exists()


def test_a_newer_version_is_refused(out: Path) -> None:
    from xxhash import xxh3_64_intdigest

    head = records.MAGIC + bytes((2, 0, 0, 0))
    head += (xxh3_64_intdigest(head) & 0xFFFFFFFF).to_bytes(4, "little")
    with pytest.raises(codec.UnsupportedVersionError):
        recovered(head + file("model").blob[16:], out)
    assert recovered(flipped(file("model").blob, 8), out)[0].intact  # no version, but damage


class Counting(BytesSource):
    """Counts the bytes that are read."""

    given = 0

    def read_at(self, offset: int, size: int) -> memoryview:
        self.given += size
        return super().read_at(offset, size)


@pytest.mark.parametrize("pattern", ["span", "index", "tiny"])
def test_what_looks_like_records_everywhere_takes_linear_time(pattern: str) -> None:
    one = {
        "span": b"\1\0\0\x08\0\0\0\0",
        "index": b"\3\0\0\x08\0\0\0\0",
        "tiny": b"\2\6\0\0\0",
    }[pattern]
    source = Counting(records.header() + one * (2_000_000 // len(one)))
    found = scan(source)
    assert not found.kinds.size and source.given < 10 * source.size + (1 << 27)
    assert (found.given_up is not None) == (pattern != "index")


def test_records_are_found_in_noise() -> None:
    f, rng = file("model"), np.random.default_rng(3)
    shifts = [rng.bytes(int(n)) for n in rng.integers(1, 200_000, len(f.records))]
    blob = b"".join(gap + f.blob[at : at + size] for gap, (_, at, size) in zip(shifts, f.records, strict=True))
    found = scan(BytesSource(blob + f.blob[-32:]))
    assert found.kinds.tolist() == [kind for kind, _, _ in f.records]
    assert found.sizes.tolist() == [size for _, _, size in f.records]


def test_span_records_that_announce_much_cost_little(out: Path) -> None:
    """A million chunks of 8 bytes in each, none of which is there."""
    span = b"\x80\x80\x80\x04" + bytes((0, 0, 8, 8, 0))
    blob = records.header() + records.record(records.SPAN, span) * 5000
    tracemalloc.start()
    report, _ = recovered(blob, out)
    assert tracemalloc.get_traced_memory()[1] < 1 << 25
    tracemalloc.stop()
    assert report.recovered_bytes == 0 and report.form == "bytes"


def test_names_that_are_taken(out: Path) -> None:
    rng = np.random.default_rng(8)
    tensors = [(f"recovered_{k:04}", "BF16", [64, 64], bf16(rng, 64, 64)) for k in range(1, 6)]
    original, places = safetensors_file(tensors)
    stored = io.BytesIO()
    codec.compress_file(io.BytesIO(original), stored)
    blob = stored.getvalue()
    f = File(original, blob, list(bodies(blob)), places)
    for number in (2, 4):
        blob = zeroed(blob, *f.place(records.SPAN, number))
    report = checked(f, blob[: f.records[-1][1] - 1], out)
    assert [piece.name for piece in report.pieces] == ["_recovered_0001"]


def test_what_recover_leaves_alone(tmp_path: Path) -> None:
    source, out = tmp_path / "a.weft", tmp_path / "out"
    source.write_bytes(file("stack").blob)
    out.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        codec.recover_file(source, out)
    with pytest.raises(FileExistsError):
        codec.recover_file(source, source, force=True)
    with pytest.raises(IsADirectoryError):
        codec.recover_file(source, tmp_path, force=True)
    assert out.read_bytes() == b"precious" and source.read_bytes() == file("stack").blob
    seen: list[tuple[int, int | None]] = []
    codec.recover_file(source, out, force=True, progress=lambda done, total: seen.append((done, total)))
    assert out.read_bytes() == file("stack").original
    assert seen == sorted(seen) and seen[-1][0] == seen[-1][1] == 3 * len(file("stack").blob)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.weft", "out"]


def test_a_wrong_digest_is_told(out: Path) -> None:
    from codec.container import index as indexes
    from codec.reader import WeftFile

    f = file("stack")
    held = WeftFile(BytesSource(f.blob))
    held.index.sha256 = bytes(32)
    at = f.records[-1][1]
    last = records.record(records.INDEX, indexes.encode(held.index))
    report, got = recovered(f.blob[:at] + last + records.trailer(at, len(last)), out)
    assert got == f.original and report.form == "original" and report.sha256_matches is False and not report.intact
