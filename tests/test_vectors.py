"""The vectors of format_spec/: none missing or changed, and both decoders say of each what the manifest says."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import codec
from tests.spec import SPEC, load

reference = load("reference_decoder")

VECTORS = SPEC / "vectors"
MANIFEST: dict[str, list[dict[str, Any]]] = json.loads((VECTORS / "manifest.json").read_text(encoding="utf-8"))
CLASSES: dict[str, tuple[type[Exception], type[Exception]]] = {
    "NotWeft": (reference.NotWeft, codec.NotWeftError),
    "Truncated": (reference.Truncated, codec.TruncatedFileError),
    "Unsupported": (reference.Unsupported, codec.UnsupportedVersionError),
    "Corrupt": (reference.Corrupt, codec.CorruptFileError),
    "LimitExceeded": (reference.LimitExceeded, codec.LimitExceededError),
}
#: Originals beyond this are decoded by the reference decoder in one way only.
SLOW = 100_000


def sha256(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()


def path_of(kind: str, name: str) -> Path:
    return VECTORS / kind / f"{name}.weft"


# ---- The folder ---------------------------------------------------------------------------------------------------


def test_there_are_enough_and_they_are_small() -> None:
    assert len(MANIFEST["valid"]) >= 150
    assert len(MANIFEST["invalid"]) >= 80
    assert sum(path.stat().st_size for path in VECTORS.rglob("*") if path.is_file()) < 2_000_000


@pytest.mark.parametrize("kind", ["valid", "invalid"])
def test_manifest_and_folder_agree(kind: str) -> None:
    listed = {f"{entry['name']}.weft": (entry["bytes"], entry["sha256"]) for entry in MANIFEST[kind]}
    assert len(listed) == len(MANIFEST[kind])
    blobs = {path.name: path.read_bytes() for path in (VECTORS / kind).iterdir()}
    assert {name: (len(blob), sha256(blob)) for name, blob in blobs.items()} == listed


def test_no_two_vectors_are_the_same() -> None:
    assert len({entry["sha256"] for kind in MANIFEST.values() for entry in kind}) == sum(map(len, MANIFEST.values()))


# ---- Files that must be read --------------------------------------------------------------------------------------


def from_file(path: Path, folder: Path) -> bytes:
    codec.decompress_file(path, folder / "out")
    return (folder / "out").read_bytes()


def from_stream(blob: bytes) -> bytes:
    out = io.BytesIO()
    codec.decompress_file(io.BytesIO(blob), out)
    return out.getvalue()


def tensors_in(path: Path) -> dict[str, bytes]:
    """The bytes of those tensors whose shape an array of numpy can have."""
    with codec.safe_open(path) as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.offset_keys()}
        fit = [name for name, shape in shapes.items() if math.prod(filter(None, shape)) < 1 << 63]
        return {name: file.get_tensor(name).tobytes() for name in fit}


@pytest.mark.parametrize("entry", MANIFEST["valid"], ids=lambda entry: entry["name"])
def test_codec_reads(entry: dict[str, Any], tmp_path: Path) -> None:
    path = path_of("valid", entry["name"])
    blob = path.read_bytes()
    original = codec.decompress(blob)
    assert (len(original), sha256(original)) == (entry["original_bytes"], entry["original_sha256"])
    assert from_file(path, tmp_path) == original
    assert from_stream(blob) == original
    assert codec.verify_file(path).sha256 == entry["original_sha256"]
    info = codec.inspect_file(path)
    assert [[t.name, t.dtype, list(t.shape)] for t in info.tensors] == entry["tensors"]
    held = tensors_in(path)
    assert held == {t.name: original[t.start : t.start + t.original_bytes] for t in info.tensors if t.name in held}
    assert len(held) == len(info.tensors) or entry["name"] == "tensors-huge-product"


@pytest.mark.parametrize("entry", MANIFEST["valid"], ids=lambda entry: entry["name"])
def test_reference_decoder_reads(entry: dict[str, Any]) -> None:
    blob = path_of("valid", entry["name"]).read_bytes()
    assert [[name, dtype, list(shape)] for name, dtype, shape, _, _ in reference.tensors(blob)] == entry["tensors"]
    if entry.get("large"):
        return
    assert sha256(reference.decode(blob)) == entry["original_sha256"]
    if entry["original_bytes"] <= SLOW:
        assert sha256(reference.decode_by_index(blob)) == entry["original_sha256"]


# ---- Files that must be refused -----------------------------------------------------------------------------------

Decode = Callable[[Path, Path], Any]

#: (way of reading, which of the two decoders, how). A file is verified by its index, and what is wrong with it is then
#: looked for front to back.
ENTRIES: dict[str, tuple[str, int, Decode]] = {
    "reference decode": ("front_to_back", 0, lambda path, _: reference.decode(path.read_bytes())),
    "reference decode_by_index": ("by_index", 0, lambda path, _: reference.decode_by_index(path.read_bytes())),
    "decompress_file of a stream": ("front_to_back", 1, lambda path, _: from_stream(path.read_bytes())),
    "decompress": ("parts", 1, lambda path, _: codec.decompress(path.read_bytes())),
    "decompress_file": ("parts", 1, from_file),
    "verify_file": ("by_index front_to_back", 1, lambda path, _: codec.verify_file(path)),
    "safe_open": ("tensors", 1, lambda path, _: tensors_in(path)),
}


def expected_of(entry: dict[str, Any], ways: str) -> list[str] | None:
    """Names of the errors that these ways of reading may end in; None for no error."""
    found = [entry.get("otherwise", {}).get(way, entry["error"]) for way in ways.split()]
    return (
        None if None in found else [name for names in found for name in ([names] if isinstance(names, str) else names)]
    )


def outcome(decode: Decode, path: Path, folder: Path) -> Any:
    """What was read, or the error. Any other exception than those of the decoders goes through."""
    try:
        return decode(path, folder)
    except (reference.FormatError, codec.CodecError) as error:
        return error


@pytest.mark.parametrize("entry", MANIFEST["invalid"], ids=lambda entry: entry["name"])
def test_both_refuse(entry: dict[str, Any], tmp_path: Path) -> None:
    path = path_of("invalid", entry["name"])
    for name, (ways, decoder, decode) in ENTRIES.items():
        expected = expected_of(entry, ways)
        found = outcome(decode, path, tmp_path)
        if expected is None:
            assert not isinstance(found, Exception), name
            assert ways == "tensors" or sha256(found) == entry["original_sha256"], name
            (tmp_path / "out").unlink(missing_ok=True)
        else:
            assert type(found) in [CLASSES[error][decoder] for error in expected], f"{name}: {found!r}"
    assert not list(tmp_path.iterdir()), "an output was left behind"


# ---- What they cover ----------------------------------------------------------------------------------------------


def test_every_part_of_the_format_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noted by the reference decoder while it decodes the valid vectors of moderate size."""
    met: set[tuple[str, Any]] = set()
    read_span, read_stage, read_rans, read_index = (
        getattr(reference, name) for name in ("read_span", "read_stage", "rans", "read_index")
    )

    def span_of(body: Any) -> Any:
        span = read_span(body)
        met.update({("width", span.width), ("planes", len(span.planes)), ("chunks", min(span.chunks, 3))})
        features = {"fold": span.fold is not None, "window": span.window, "constant": span.constant}
        features |= {"drops": span.drops, "escapes": span.escapes, "tail": span.tail, "no elements": not span.elements}
        met.update(("feature", name) for name, there in features.items() if there)
        for plane in span.planes:
            met.add(("bits", plane.bits))
            met.add(("tables", (plane.stage, len(plane.tables))))
        return span

    def stage_of(body: Any, allowed: Any, sizes: list[int], plane: Any = None, carried: Any = None) -> bytes:
        met.add(("stage" if plane else "stage of drops", body.data[body.at]))
        return read_stage(body, allowed, sizes, plane, carried)

    def rans_of(payload: Any, sizes: list[int], tables: list[Any], columns: list[int] | None) -> bytes:
        if columns is not None:
            met.add(("columns", min(len(columns), 2)))
            return read_rans(payload, sizes, tables, columns)
        met.add(("lanes", next(k for k in (131_072, 65_536, 16_384, 2_048, 0) if sum(sizes) >= k)))
        if sum(sizes) >= 131_072:
            at = payload.at
            payload.varint()
            met.add(("written lanes", payload.data[payload.at]))
            payload.at = at
        return read_rans(payload, sizes, tables, None)

    def index_of(body: Any, room: int) -> Any:
        met.add(("encoding", body.data[0]))
        index = read_index(body, room)
        met.add(("digest", index.sha256 is not None))
        met.update(("type", dtype) for _, dtype, _, _, _ in index.tensors)
        return index

    for name, spy in (("read_span", span_of), ("read_stage", stage_of), ("rans", rans_of), ("read_index", index_of)):
        monkeypatch.setattr(reference, name, spy)
    for entry in MANIFEST["valid"]:
        if entry["original_bytes"] <= SLOW or entry["name"].startswith(("lanes-rans-13", "lanes-131072")):
            reference.decode(path_of("valid", entry["name"]).read_bytes())
    wanted: dict[str, Any] = {
        "type": reference.BITS,
        "stage": (*range(5), 7),
        "columns": (1, 2),
        "stage of drops": (0, 1, 4, 5),
        "width": (1, 2, 4, 8),
        "bits": (1, 2, 4, 8),
        "planes": (0, 1, 2, 64),
        "chunks": (1, 2, 3),
        "feature": ("fold", "window", "constant", "drops", "escapes", "tail", "no elements"),
        "tables": [(stage, count) for stage in (2, 3) for count in (1, 2, 3, 4, 5, 16)],
        "lanes": (0, 2_048, 16_384, 65_536, 131_072),
        "written lanes": (64, 128),
        "encoding": (0, 1),
        "digest": (False, True),
    }
    assert {(what, value) for what, values in wanted.items() for value in values} <= met
