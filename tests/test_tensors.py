"""safe_open, load_file and save_file against safetensors on the same tensors."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.numpy import save

import codec
from codec import tensors as module
from codec.reader import TAIL_BYTES

NUMPY = ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8"]
ML = ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float8_e4m3fnuz", "float8_e5m2fnuz"]
TYPES = [np.dtype(t) for t in NUMPY] + [np.dtype(getattr(ml_dtypes, t)) for t in ML]


def weft(original: bytes) -> io.BytesIO:
    out = io.BytesIO()
    codec.compress_file(io.BytesIO(original), out)
    return io.BytesIO(out.getvalue())


def filled(dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
    """Bytes of every kind, also those that make no number."""
    size = int(np.prod(shape)) * dtype.itemsize
    data = np.random.default_rng(size).integers(0, 2 if dtype.kind == "b" else 256, size, np.uint8)
    return data.view(dtype).reshape(shape)


def same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


TENSORS = {
    **{f"{t.name}.matrix": filled(t, (6, 5)) for t in TYPES},
    **{f"{t.name}.scalar": filled(t, ()) for t in TYPES},
    "b.empty": np.zeros((0, 3), np.int16),
    "a.empty": np.zeros((4, 0, 2), np.float32),
    "four": filled(np.dtype("f4"), (3, 2, 4, 5)),
    "é": filled(np.dtype("u1"), (7,)),
    "": filled(np.dtype("f8"), (1,)),
}
METADATA = {"format": "pt", "note": 'a "quoted" é'}
ORIGINAL = save(TENSORS, METADATA)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("pair") / "model.safetensors"
    path.write_bytes(ORIGINAL)
    codec.compress_file(path)
    with safetensors.safe_open(path, "np") as theirs, codec.safe_open(f"{path}.weft") as ours:
        yield theirs, ours


def test_names_and_metadata(pair: Any) -> None:
    theirs, ours = pair
    assert ours.keys() == theirs.keys() == sorted(TENSORS)
    assert sorted(ours.offset_keys()) == ours.keys()
    sized = [name for name in ours.offset_keys() if TENSORS[name].size]
    assert sized == [name for name in theirs.offset_keys() if TENSORS[name].size]
    assert ours.metadata() == theirs.metadata() == METADATA


@pytest.mark.parametrize("name", TENSORS)
def test_tensors(pair: Any, name: str) -> None:
    theirs, ours = pair
    found = ours.get_tensor(name)
    assert same(found, TENSORS[name])
    with contextlib.suppress(AttributeError):  # the library looks for 8-bit floats in numpy itself
        assert same(found, theirs.get_tensor(name))
    assert ours.get_slice(name).get_shape() == theirs.get_slice(name).get_shape() == list(TENSORS[name].shape)
    assert ours.get_slice(name).get_dtype() == theirs.get_slice(name).get_dtype()
    assert same(ours.get_slice(name)[...], TENSORS[name])
    found.reshape(-1)[:1] = found.reshape(-1)[-1:]  # it is the caller's own


def test_all_tensors(pair: Any) -> None:
    found = pair[1].get_tensors()
    assert list(found) == pair[1].offset_keys()
    assert all(same(found[name], tensor) for name, tensor in TENSORS.items())


BOUND = st.none() | st.integers(-7, 7)
ITEM = st.integers(-6, 6) | st.builds(slice, BOUND, BOUND, st.none() | st.integers(-1, 4)) | st.just(...)
INDEX = ITEM | st.lists(ITEM, max_size=5).map(tuple) | st.just([])


@given(
    st.sampled_from(["four", "bfloat16.matrix", "complex64.matrix", "uint8.scalar", "a.empty", "b.empty", "é"]), INDEX
)
def test_slices(name: str, index: Any) -> None:
    theirs, ours = SLICES[name]
    full = TENSORS[name]
    steps = [item.step for item in (index if isinstance(index, tuple) else (index,)) if isinstance(item, slice)]
    try:
        expected = full[(*index, ...) if isinstance(index, tuple) and ... not in index else index]
        possible = all(step is None or step > 0 for step in steps)
    except (IndexError, ValueError):
        possible = False
    if not possible:
        with pytest.raises(SafetensorError):
            ours[index]
        with pytest.raises((SafetensorError, OverflowError)):
            theirs[index]
        return
    found = ours[index]
    assert same(found, np.asarray(expected))
    assert found.flags.c_contiguous and found.flags.writeable
    with contextlib.suppress(SafetensorError, OverflowError):  # it refuses some bounds that numpy takes
        assert same(found, theirs[index])


@pytest.fixture(scope="module", autouse=True)
def _slices(pair: Any) -> None:
    SLICES.update({name: (pair[0].get_slice(name), pair[1].get_slice(name)) for name in TENSORS})


SLICES: dict[str, Any] = {}


@pytest.mark.parametrize(
    "index",
    [None, (0, None), "a", 1.5, [0, 1], [True], ([0], 0), np.array([0, 1]), (0, 0, 0, 0, 0), (..., ...), 1 << 70, -4],
)
def test_indexes_that_are_refused(index: Any) -> None:
    theirs, ours = SLICES["four"]
    for one in (theirs, ours):
        with pytest.raises(SafetensorError):
            one[index]


@pytest.mark.parametrize("index", [np.int64(1), True, (np.int8(-1), slice(np.int64(0), np.int64(1)))])
def test_whatever_is_an_integer(index: Any) -> None:
    theirs, ours = SLICES["four"]
    assert same(ours[index], theirs[index])


def test_unknown_names(pair: Any) -> None:
    for f in pair:
        for get in (f.get_tensor, f.get_slice):
            with pytest.raises(SafetensorError, match="does not contain tensor nope"):
                get("nope")
            with pytest.raises(TypeError):
                get(3)


def test_closed() -> None:
    file = weft(ORIGINAL)
    with codec.safe_open(file) as f:
        part = f.get_slice("four")
    for use in (f.keys, f.offset_keys, f.metadata, f.get_tensors, lambda: f.get_tensor("four"), lambda: part[0]):
        with pytest.raises(SafetensorError, match="File is closed"):
            use()
    f.close()
    assert not file.closed


@pytest.mark.parametrize("framework", ["np", "numpy"])
@pytest.mark.parametrize("device", ["cpu", None])
def test_frameworks(framework: str, device: str | None) -> None:
    assert same(codec.safe_open(weft(ORIGINAL), framework, device).get_tensor("four"), TENSORS["four"])


def test_frameworks_that_are_refused() -> None:
    for framework, device in [("foo", "cpu"), ("NumPy", "cpu"), ("mlx", "cpu"), ("np", "cuda"), ("np", 0)]:
        with pytest.raises(SafetensorError):
            codec.safe_open(weft(ORIGINAL), framework, device)
    with pytest.raises(TypeError):
        codec.safe_open(weft(ORIGINAL), None)  # type: ignore[arg-type]


def test_a_framework_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModuleNotFoundError, match="install it, or open with numpy"):
        codec.safe_open(weft(ORIGINAL), "pt")


def test_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    (tmp_path / "original").write_bytes(ORIGINAL)

    def held(tensor: Any) -> Any:
        return tensor.dtype, tensor.shape, tensor.reshape(-1).view(torch.uint8).tolist()

    with (
        codec.safe_open(weft(ORIGINAL), "pt", "cpu") as ours,
        safetensors.safe_open(tmp_path / "original", "pt") as theirs,
    ):
        for name in theirs.keys():
            assert held(ours.get_tensor(name)) == held(ours.get_slice(name)[...]) == held(theirs.get_tensor(name))
        assert held(ours.get_slice("four")[1, ..., ::2]) == held(theirs.get_slice("four")[1, ..., ::2])
    with codec.safe_open(weft(sub_byte()), "torch") as f:
        assert f.get_tensor("f4").dtype == torch.float4_e2m1fn_x2 and f.get_tensor("f4").shape == (3, 4)
        assert f.get_tensor("f6").dtype == torch.uint8 and f.get_tensor("f6").shape == (2, 2, 3)
    tensors = {"w": torch.ones(3, 2, dtype=torch.bfloat16)}
    codec.save_file(tensors, tmp_path / "w", METADATA)
    assert codec.decompress((tmp_path / "w").read_bytes())[-12:] == b"\x80\x3f" * 6


def test_without_ml_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    module._numpy_type.cache_clear()
    try:
        found = codec.load_file(weft(ORIGINAL))
        for name in ML:
            whole = TENSORS[f"{name}.matrix"]
            assert same(found[f"{name}.matrix"], whole.view(f"u{whole.itemsize}"))
    finally:
        module._numpy_type.cache_clear()


def sub_byte() -> bytes:
    data = np.arange(36, dtype=np.uint8)
    tensors = {
        "f4": {"dtype": "F4", "shape": [3, 8], "data_offsets": [0, 12]},
        "f6": {"dtype": "F6_E2M3", "shape": [2, 2, 4], "data_offsets": [12, 24]},
        "odd": {"dtype": "F4", "shape": [8, 3], "data_offsets": [24, 36]},
    }
    header = json.dumps(tensors).encode()
    return len(header).to_bytes(8, "little") + header + data.tobytes()


def test_types_below_a_byte() -> None:
    with codec.safe_open(weft(sub_byte())) as f:
        four, six, odd = (f.get_slice(name) for name in ("f4", "f6", "odd"))
        assert four.get_shape() == [3, 8] and four.get_dtype() == "F4" and six.get_dtype() == "F6_E2M3"
        whole = np.arange(36, dtype=np.uint8)
        assert same(f.get_tensor("f4"), whole[:12].reshape(3, 4)) and same(four[...], f.get_tensor("f4"))
        assert same(four[1:], whole[4:12].reshape(2, 4)) and same(four[-1], whole[8:12])
        assert same(six[1, :, :], whole[18:24].reshape(2, 3)) and same(six[0, 1], whole[15:18])
        assert same(odd[...], whole[24:]) and same(f.get_tensor("odd"), whole[24:])
        for part, index in [(four, (0, 1)), (four, (..., slice(2))), (six, (0, 0, 0)), (odd, 0), (odd, slice(2))]:
            with pytest.raises(SafetensorError, match="cuts within bytes"):
                part[index]


@pytest.mark.parametrize("data", [b"", b"not a model", pickle.dumps([1]), bytes(100_000)])
def test_opaque_files_have_no_tensors(data: bytes) -> None:
    with codec.safe_open(weft(data)) as f:
        assert f.keys() == f.offset_keys() == [] and f.get_tensors() == {} and f.metadata() is None
        with pytest.raises(SafetensorError):
            f.get_tensor("data")


def test_files_without_elements() -> None:
    for tensors, metadata in [({}, None), ({}, METADATA), ({"z": np.zeros((0, 2), "f4")}, METADATA)]:
        with codec.safe_open(weft(save(tensors, metadata))) as f:
            assert f.keys() == list(tensors) and (f.metadata() or None) == metadata


def test_an_array_in_memory() -> None:
    array = filled(np.dtype("i4"), (5, 3))
    with codec.safe_open(io.BytesIO(codec.compress(array))) as f:
        assert f.keys() == ["data"] and f.metadata() is None and same(f.get_tensor("data"), array)


def test_what_is_no_weft_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(ORIGINAL)
    with pytest.raises(codec.NotWeftError):
        codec.safe_open(path)
    gc.collect()  # a file left open would warn
    with pytest.raises(FileNotFoundError):
        codec.load_file(tmp_path / "none")
    with pytest.raises(codec.CodecError):
        codec.safe_open(io.BytesIO(weft(ORIGINAL).getvalue()[:-1]))


def test_a_file_that_is_never_closed(tmp_path: Path) -> None:
    codec.save_file({"w": np.zeros(3)}, tmp_path / "w")
    assert codec.safe_open(tmp_path / "w").get_slice("w")[1:].size == 2
    gc.collect()  # a file left open would warn


@pytest.mark.parametrize("kind", [str, Path, os.fsencode])
def test_save_and_load(tmp_path: Path, kind: Any) -> None:
    path = kind(str(tmp_path / "model.safetensors.weft"))
    report = codec.save_file(TENSORS, path, METADATA, level="fast", threads=2)
    assert report.original_bytes == len(ORIGINAL)
    assert report.stored_bytes == Path(os.fsdecode(path)).stat().st_size
    with codec.safe_open(path) as f:
        assert f.metadata() == METADATA
    found = codec.load_file(path)
    assert all(same(found[name], tensor) for name, tensor in TENSORS.items())
    codec.save_file({"only": np.ones(3)}, path)  # replaces
    assert list(codec.load_file(path)) == ["only"]
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors.weft"]


def test_saving_gives_what_safetensors_writes(tmp_path: Path) -> None:
    codec.save_file(TENSORS, tmp_path / "w")  # one key of metadata: the library has no order of its own
    assert codec.decompress((tmp_path / "w").read_bytes()) == save(TENSORS)
    codec.save_file({"w": np.ones(2)}, tmp_path / "w", {"format": "np"})
    assert codec.decompress((tmp_path / "w").read_bytes()) == save({"w": np.ones(2)}, {"format": "np"})


def test_arrays_that_are_not_contiguous(tmp_path: Path) -> None:
    x = np.arange(24, dtype="f4").reshape(4, 6)
    views = {"t": x.T, "f": np.asfortranarray(x), "s": x[::2, ::-1], "big": x.astype(">f4"), "n": np.float32(3)}
    codec.save_file(views, tmp_path / "w")
    for name, found in codec.load_file(tmp_path / "w").items():
        assert found.shape == views[name].shape and np.array_equal(found, views[name])


def test_saving_what_is_no_tensor(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'w'"):
        codec.save_file({"w": [1, 2]}, tmp_path / "w")
    with pytest.raises(SafetensorError):
        codec.save_file({"w": np.zeros(2, "U3")}, tmp_path / "w")
    with pytest.raises(ValueError, match="level"):
        codec.save_file({"w": np.zeros(2)}, tmp_path / "w", level="much")
    assert not list(tmp_path.iterdir())


class Counting(io.BytesIO):
    """Counts the bytes that are read."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


def test_only_what_is_needed_is_read() -> None:
    big = np.random.default_rng(5).integers(0, 256, (20_000, 1024), np.uint8)
    stored = Counting(weft(save({"small": np.ones(7), "big": big})).getvalue())
    with codec.safe_open(stored) as f:
        opening = stored.taken
        assert opening <= TAIL_BYTES + 16
        part = f.get_slice("big")
        assert stored.taken == opening
        few: list[Any] = [
            slice(9000, 9010),
            19_999,
            (5, slice(3, 9)),
            (slice(512, 514), 7),
            slice(3, 3),
            (..., slice(0, 0)),
        ]
        for index in few:
            before = stored.taken
            assert same(part[index], big[index])
            assert stored.taken - before < 2 * (1 << 19) + 10_000, index
        before = stored.taken
        assert f.get_tensor("small").sum() == 7 and stored.taken - before < 1000
        before = stored.taken
        assert same(part[::4, 10:20], big[::4, 10:20])
        assert same(f.get_tensor("big"), big)  # more than 8 MiB: over threads


def test_damage_names_the_tensor() -> None:
    data = bytearray(weft(save({"w": filled(np.dtype("u1"), (3000,)), "v": np.ones(3)})).getvalue())
    data[2000] ^= 1
    with codec.safe_open(io.BytesIO(data)) as f:
        assert f.get_tensor("v").tolist() == [1, 1, 1]
        with pytest.raises(codec.CorruptFileError):
            f.get_tensor("w")


def test_a_shape_that_no_array_can_have() -> None:
    """Valid: it holds nothing, since one dimension is 0."""
    vector = Path(__file__).resolve().parents[1] / "format_spec" / "vectors" / "valid" / "tensors-huge-product.weft"
    with codec.safe_open(vector) as f:
        for read in (lambda: f.get_tensor("a"), lambda: f.get_slice("a")[:]):
            with pytest.raises(codec.LimitExceededError, match="more than an array can have"):
                read()
