"""Attack: an original whose safetensors header claims to be huge, or lists tensors that overlap, repeat or lie.

Mitigation: the header is capped at 100 MB, as by the safetensors library, and is read only once it begins with "{";
every rule of that format is checked, no holes and no overlaps among them; what breaks one is compressed as opaque
bytes, which come back exactly, and no tensor is listed.
"""

from __future__ import annotations

import io
import json
import tracemalloc
from pathlib import Path

import pytest

import codec
from codec.limits import SAFETENSORS_HEADER_MAX


def original(header: object, data: bytes = bytes(8)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(begin: int, end: int, dtype: str = "U8", shape: list[int] | None = None) -> dict[str, object]:
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


HOSTILE = {
    "overlap": original({"a": tensor(0, 6), "b": tensor(2, 8)}),
    "same bytes twice": original({"a": tensor(0, 8), "b": tensor(0, 8)}),
    "hole": original({"a": tensor(0, 2), "b": tensor(4, 8)}),
    "backwards": original({"a": tensor(8, 0, shape=[8])}),
    "outside": original({"a": tensor(0, 1 << 40)}),
    "shape of another size": original({"a": tensor(0, 8, "F32", [1 << 31, 1 << 31])}),
    "overflow": original({"a": tensor(0, 0, "F64", [1 << 32, 1 << 32, 0])}),
    "name twice": original(b'{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{}}'),
    "deep": original(b'{"a":' + b"[" * 90_000 + b"]" * 90_000 + b"}"),
    "number": original(b'{"a":' + b"9" * 90_000 + b"}"),
    "half a character": original(b'{"\\ud800":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}'),
    "metadata": original({"__metadata__": {"a": [1]}, "b": tensor(0, 8)}),
    "no UTF-8": original(b'{"\xff":1}'),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_opaque_and_exact(name: str) -> None:
    blob = codec.compress(HOSTILE[name])
    assert codec.decompress(blob) == HOSTILE[name]
    info = codec.inspect_file(io.BytesIO(blob))
    assert info.source == "opaque" and not info.tensors


@pytest.mark.parametrize("claim", [SAFETENSORS_HEADER_MAX, SAFETENSORS_HEADER_MAX + 1, (1 << 64) - 1])
def test_a_header_that_claims_to_be_huge(claim: int, tmp_path: Path) -> None:
    """Of a file that ends before: what is there is read, no more is allocated."""
    data = claim.to_bytes(8, "little") + b'{"a":' + b" " * 1000
    path = tmp_path / "m.safetensors"
    path.write_bytes(data)
    codec.compress_file(path, io.BytesIO())  # the first call compiles
    for source in (path, io.BytesIO(data)):
        out = io.BytesIO()
        tracemalloc.start()
        codec.compress_file(source, out)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert codec.decompress(out.getvalue()) == data and peak < 64 << 20, peak


def test_a_weft_file_that_lies_about_its_original() -> None:
    """It says "safetensors" of bytes that are not: the metadata are refused, the tensors of the index are there."""
    from codec.container import index as indexes
    from codec.container import records
    from tests.hostile.forge import Parts

    for data in (b"", b"x", (1 << 60).to_bytes(8, "little") + b"{", HOSTILE["overlap"][:-8], bytes(30)):
        parts = Parts.of(codec.compress(data))
        index = parts.index
        index.source = "safetensors"
        parts.records[-1] = (records.INDEX, indexes.encode(index))
        with codec.safe_open(io.BytesIO(parts.file())) as file:
            assert file.keys() == []
            try:
                file.metadata()
            except codec.CorruptFileError as error:
                assert "safetensors" in str(error)  # noqa: PT017  # it may also be read
