"""HDF5: files made by hand and by h5py, old and new groups; what is not plain stays opaque."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from codec.sources import hdf5 as source
from codec.sources.segment import Look, RefusedError
from tests.sources.made import FLOAT32, INT8, NOISE, h5_file, u64
from tests.sources.mutations import checked, mutated, readable, round_trip

NO_PACKAGE = "h5py is not installed"

FILE = h5_file({"kernel:0": (FLOAT32, (3, 4), NOISE[:48]), "é": (INT8, (5,), NOISE[:5])}, "dense")


def refusal(data: bytes) -> str:
    with pytest.raises(RefusedError) as caught:
        source.parse(Look.of(data))
    round_trip(data)
    return str(caught.value)


def test_a_file_made_by_hand(tmp_path: Path) -> None:
    expected = {"dense/kernel:0": ("F32", (3, 4)), "dense/é": ("I8", (5,))}
    assert readable(tmp_path / "m.h5", FILE, "hdf5") == expected


def test_the_file_made_by_hand_is_one(tmp_path: Path) -> None:
    h5py: Any = pytest.importorskip("h5py", reason=NO_PACKAGE)
    path = tmp_path / "m.h5"
    path.write_bytes(FILE)
    with h5py.File(path) as file:
        assert file["dense/kernel:0"][()].tobytes() == NOISE[:48]
        assert file["dense/é"][()].tobytes() == NOISE[:5]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no HDF5"),
        (b"\0" * 512 + FILE, "no HDF5"),
        (FILE[:8] + b"\x09" + FILE[9:], "superblock of version 9"),
        (FILE[:13] + b"\4\4" + FILE[15:], "offsets of (4, 4) bytes"),
        (FILE[:24] + u64(512) + FILE[32:], "offsets of"),
        (FILE[:-1], "ends at byte"),
        (FILE[:64] + u64(1 << 60) + FILE[72:], "lie outside"),
        (FILE[:64] + u64(8) + FILE[72:], "no header of an object"),
        (FILE.replace(b"TREE", b"TREX"), "no node of a group"),
        (FILE.replace(b"SNOD", b"SNOX"), "no node of a group"),
        (FILE.replace(b"HEAP", b"HEAX"), "no heap"),
        (FILE.replace(u64(48), u64(47)), "47 bytes at byte"),
        (FILE.replace(u64(3) + u64(4), u64(3) + u64(1 << 60)), "bytes at byte"),
        (FILE.replace("é".encode(), b"\xff\xff"), "not UTF-8"),
    ],
)
def test_refused(data: bytes, words: str) -> None:
    assert words in refusal(data)


def test_a_group_that_holds_itself() -> None:
    """The root's name "dense" leads to the root: seen before, and done."""
    root = int.from_bytes(FILE[64:72], "little")
    header = FILE.index(b"SNOD", FILE.index(b"SNOD") + 1) + 16
    data = FILE[:header] + u64(root) + FILE[header + 8 :]
    assert not [s for s in source.parse(Look.of(data)) if s.is_tensor]
    round_trip(data)


def test_a_pipe_is_refused() -> None:
    with pytest.raises(RefusedError, match="stream"):
        source.parse(Look(lambda n: FILE[:n], None))


@given(mutated(FILE))
def test_mutations(data: bytes) -> None:
    if checked(source.parse, data) is not None:
        round_trip(data)


@pytest.mark.parametrize("version", ["earliest", "v110", "latest"])
def test_files_of_h5py(version: str, tmp_path: Path) -> None:
    h5py: Any = pytest.importorskip("h5py", reason=NO_PACKAGE)
    path = tmp_path / "made.h5"
    rng = np.random.default_rng(2)
    held = {
        "model_weights/dense/kernel:0": rng.normal(size=(30, 7)).astype("<f4"),
        "model_weights/dense/bias:0": rng.normal(size=7).astype("<f2"),
        "model_weights/step": np.array(7, "<i8"),
        "top": rng.normal(size=(2, 3, 4)),
        "flags": np.array([True, False]),
        "words": np.arange(9, dtype="<u2"),
    }
    with h5py.File(path, "w", libver=version) as file:
        file.attrs["keras_version"] = "2.2.4-tf"
        for name, array in held.items():
            file[name] = array
        file["top"].attrs["note"] = "x" * 500
        for number in range(100):  # more than a leaf of the tree holds, and than a group of links
            file[f"many/w{number:03}"] = np.full(3, number, "<i4")
        file["more/top"] = file["top"]
        file["more/soft"] = h5py.SoftLink("/top")
        if version != "earliest":
            file["more/elsewhere"] = h5py.ExternalLink("other.h5", "/top")
        other = file.create_group("other")
        other.create_dataset("chunked", data=np.arange(1000), chunks=(100,), compression="gzip")
        other.create_dataset("big-endian", data=np.arange(4, dtype=">f4"))
        other.create_dataset("complex", data=np.arange(4, dtype="<c8"))
        other.create_dataset("never written", shape=(5,), dtype="<f4")
        other.create_dataset("no elements", shape=(0, 5), dtype="<f4")
        other["strings"] = ["a", "b"]
        offsets = {name: file[name].id.get_offset() for name in held}
    data = path.read_bytes()
    found = readable(path, data, "hdf5")
    kinds = {"<f4": "F32", "<f2": "F16", "<i8": "I64", "<f8": "F64", "|b1": "I8", "<u2": "U16"}
    # Of two names of a dataset the first: old groups are in order of names, new ones in that of creation.
    first = {"top": "more/top"} if version == "earliest" else {}
    expected = {first.get(n, n): (kinds[a.dtype.str], a.shape) for n, a in held.items()}
    if version == "earliest":  # the others keep so many links in a heap of their own
        expected |= {f"many/w{number:03}": ("I32", (3,)) for number in range(100)}
    assert found == expected
    segments = {s.name: s for s in source.parse(Look.of(data)) if s.is_tensor}
    for name, array in held.items():
        s = segments[first.get(name, name)]
        assert s.start == offsets[name] and data[s.start : s.stop] == array.tobytes()


def test_a_keras_file_as_tensorflow_lays_it_out(tmp_path: Path) -> None:
    h5py: Any = pytest.importorskip("h5py", reason=NO_PACKAGE)
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        for layer in range(12):
            group = file.create_group(f"layers/dense_{layer}/vars")
            group.create_dataset("0", data=np.full((4, 8), layer, np.float32))
            group.create_dataset("1", data=np.zeros(8, np.float32))
    found = readable(path, path.read_bytes(), "hdf5")
    assert len(found) == 24 and found["layers/dense_11/vars/0"] == ("F32", (4, 8))
