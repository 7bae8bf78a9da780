"""NumPy's files: every type, order and version, what is refused, and damage."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import codec
from codec.sources.numpy_files import NotNumpyError, parse_npy, parse_npz
from codec.sources.segment import Look, RefusedError, Segment
from tests.sources.mutations import mutated


def npy(array: Any, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), version)
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def tensors(segments: list[Segment]) -> list[tuple[str, str, tuple[int, ...], bool]]:
    return [(s.name, s.dtype, s.shape, s.listed) for s in segments if s.is_tensor]


ARRAYS = {t: (np.arange(24) % 2).reshape(4, 6).astype(t) for t in "?bBhHiIlLqQefdF"}


@pytest.mark.parametrize("kind", ARRAYS)
def test_types(kind: str) -> None:
    array = ARRAYS[kind]
    data = npy(array)
    blob = codec.compress(data)
    assert codec.decompress(blob) == data and codec.inspect_file(io.BytesIO(blob)).source == "npy"
    found = codec.load_file(io.BytesIO(blob))["array"]
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("shape", [(), (0,), (5,), (3, 0, 2), (1, 2, 3, 4)])
def test_versions_and_shapes(version: tuple[int, int], shape: tuple[int, ...]) -> None:
    data = npy(np.zeros(shape, np.float32), version)
    segments = parse_npy(Look.of(data))
    assert tensors(segments) == [("array", "F32", shape, True)]
    assert segments[-1].stop == len(data)
    assert parse_npy(Look(lambda n: data[:n], None)) == segments  # out of a pipe


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.asfortranarray(np.zeros((2, 3), np.float32)), ("array", "F32", (3, 2), False)),
        (np.asfortranarray(np.zeros((1, 3, 1), np.float32)), ("array", "F32", (1, 3, 1), True)),
        (np.zeros((2, 3), np.complex128), ("array", "F64", (2, 3, 2), False)),
        (np.zeros(3, "M8[ns]"), ("array", "I64", (3,), False)),
        (np.zeros(3, "m8[25s]"), ("array", "I64", (3,), False)),
        (np.zeros(3, "V2"), ("array", "BF16", (3,), False)),
    ],
)
def test_typed_but_not_listed(array: Any, expected: tuple[str, str, tuple[int, ...], bool]) -> None:
    data = npy(array)
    assert tensors(parse_npy(Look.of(data))) == [expected]
    assert codec.decompress(codec.compress(data)) == data


def headed(text: bytes, data: bytes = bytes(24), version: int = 1) -> bytes:
    return b"\x93NUMPY" + bytes((version, 0)) + len(text).to_bytes(2 if version == 1 else 4, "little") + text + data


GOOD = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"
assert tensors(parse_npy(Look.of(headed(GOOD))))
REFUSED = {
    b"": "not the first bytes",
    b"\x93NUMPY\1\0": "not the first bytes",
    headed(GOOD, version=4): "not the first bytes",
    headed(GOOD).replace(b"\1\0", b"\1\1", 1): "not the first bytes",
    headed(GOOD)[:40]: "a header that numpy does not write",
    headed(GOOD) + b"x": "the file at byte",
    headed(GOOD)[:-1]: "the file at byte",
    headed(GOOD.replace(b"<", b">")): "a header that numpy does not write",
    headed(GOOD.replace(b"<f4", b"|O")): "a header that numpy does not write",
    headed(GOOD.replace(b"<f4", b"<U4")): "an array of",
    headed(GOOD.replace(b"'<f4'", b"[('a', '<f4')]")): "a header that numpy does not write",
    headed(GOOD.replace(b"2, 3", b"-2, 3")): "a header that numpy does not write",
    headed(GOOD.replace(b"2, 3", b"9" * 19 + b",")): "with 1 dimensions",
    headed(GOOD.replace(b"2, 3", b"1, " * 65)): "with 65 dimensions",
    headed(GOOD.replace(b"2, 3", b"9" * 18 + b"," + b"9" * 18)): "the file at byte",
    headed(GOOD.replace(b"2, 3", b"(" * 9000)): "a header that numpy does not write",
    headed(GOOD.replace(b"False", b"__import__('os')")): "a header that numpy does not write",
    headed(GOOD + b" " * (1 << 14), version=2): "a header of",
    b"\x93NUMPY\2\0\xff\xff\xff\xff": "a header of 4294967295 bytes",
}


@pytest.mark.parametrize("data", REFUSED, ids=range(len(REFUSED)))
def test_refused(data: bytes) -> None:
    with pytest.raises(NotNumpyError, match=REFUSED[data]):
        parse_npy(Look.of(data))
    assert codec.decompress(codec.compress(data, level="fast")) == data


def test_headers_of_python_2() -> None:
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }  \n"
    assert tensors(parse_npy(Look.of(headed(text)))) == [("array", "F32", (2, 3), True)]


def test_archives() -> None:
    arrays = {"a": ARRAYS["f"], "b.c": ARRAYS["e"][0], "none": np.zeros((0, 2)), "one": np.array(3)}
    data = npz(**arrays, text=np.array(["words"]), turned=ARRAYS["f"].T)
    blob = codec.compress(data)
    assert codec.decompress(blob) == data and codec.inspect_file(io.BytesIO(blob)).source == "npz"
    found = codec.load_file(io.BytesIO(blob))
    assert sorted(found) == sorted(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_archives_written_into_a_pipe_and_members_that_are_deflated() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise OSError

        def tell(self) -> int:
            raise OSError

    file = Pipe()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.npy", npy(ARRAYS["f"]))
        archive.writestr("b.npy", npy(ARRAYS["d"]), zipfile.ZIP_DEFLATED)
    assert tensors(parse_npz(Look.of(file.getvalue()))) == [("a", "F32", (4, 6), True)]
    deflated = io.BytesIO()
    np.savez_compressed(deflated, a=ARRAYS["f"])
    with pytest.raises(NotNumpyError, match="without stored arrays"):
        parse_npz(Look.of(deflated.getvalue()))


def test_an_array_shorter_than_its_member_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.npy", npy(ARRAYS["f"]) + b"x")
    with pytest.raises(NotNumpyError, match=re.escape("its member at byte")):
        parse_npz(Look.of(file.getvalue()))


SOUND = npy(ARRAYS["f"])
ARCHIVE = npz(a=ARRAYS["f"], b=ARRAYS["l"])


@given(mutated(SOUND))
def test_mutations(data: bytes) -> None:
    survives(parse_npy, data)


@given(mutated(ARCHIVE))
def test_mutations_of_archives(data: bytes) -> None:
    survives(parse_npz, data)


def survives(parse: Any, data: bytes) -> None:
    try:
        parse(Look.of(data))
    except RefusedError as error:
        assert "\n" not in str(error)  # noqa: PT017
    assert codec.decompress(codec.compress(data, level="fast", threads=1), threads=1) == data
