"""Where the bits go: sums that are exact, and fields that are what the layouts say."""

from __future__ import annotations

import io
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save

import codec
from codec.anatomy import Anatomy, TensorAnatomy
from codec.bit_fields import BLOCKS, part_names, plane_fields
from codec.blocks import codes_of
from codec.dtypes import DTYPES
from codec.sources.gguf_types import BLOCKS as GGUF
from codec.sources.gguf_types import fields_of
from codec.sources.segment import Field, Segment
from codec.stages.codes import Codes, Held
from codec.stages.layout import Layout, Plane, made
from codec.stages.transforms import Fields
from codec.storage import BytesOriginal
from codec.writer import write
from tests.spec import SPEC

RNG = np.random.default_rng(5)


def weights(shape: tuple[int, ...], dtype: object) -> np.ndarray:
    return (RNG.standard_normal(shape) * 0.05).astype(dtype)


def anatomy(data: bytes, level: str = "default") -> Anatomy:
    out = io.BytesIO()
    codec.compress_file(io.BytesIO(data), out, level=level)
    return codec.anatomy_file(out)


def adds_up(found: Anatomy) -> None:
    for t in (*found.tensors, found.rest):
        assert sum(t.fields.values()) == t.stored_bytes, t.name
        assert list(t.fields.values()) == sorted(t.fields.values(), reverse=True)
        assert all(size > 0 for size in t.fields.values())
    total: dict[str, int] = {"index": found.fields["index"]}
    for t in (*found.tensors, found.rest):
        for name, size in t.fields.items():
            total[name] = total.get(name, 0) + size
    assert total == found.fields and sum(total.values()) == found.stored_bytes


@pytest.mark.parametrize("path", sorted((SPEC / "vectors" / "valid").glob("*.weft")), ids=lambda p: p.stem)
def test_all_that_is_stored_is_counted_once(path: Path) -> None:
    found, info = codec.anatomy_file(path), codec.inspect_file(path)
    adds_up(found)
    assert found.stored_bytes == path.stat().st_size and found.original_bytes == info.original_bytes
    assert [(t.name, t.dtype, t.shape, t.original_bytes, t.stored_bytes) for t in found.tensors] == [
        (t.name, t.dtype, t.shape, t.original_bytes, t.stored_bytes) for t in info.tensors
    ]


@pytest.mark.parametrize("level", ["fast", "default", "max"])
@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.float32, np.float64])
def test_planes_are_as_large_as_the_encoder_says(dtype: object, level: str) -> None:
    data, out = weights((500, 700), dtype).tobytes(), io.BytesIO()
    report = codec.compress_file(
        io.BytesIO(save({"w": np.frombuffer(data, dtype).reshape(500, 700)})), out, level=level
    )
    (w,) = codec.anatomy_file(out).tensors
    (bits,) = (fields for name, fields in report.bits.items() if name)
    planes = sum(size for name, size in w.fields.items() if name not in ("tables", "headers"))
    # the encoder counts escapes as headers: 6 bytes each
    assert 0 <= planes - (bits.get("symbol", 0) + bits.get("rest", 0)) // 8 <= bits["headers"] // 8
    assert w.fields.get("tables", 0) == bits["tables"] // 8


def test_floats() -> None:
    tensors = {"b": weights((300, 400), ml_dtypes.bfloat16), "f": weights((300, 400), np.float32)}
    f, b = anatomy(save(tensors)).tensors  # the widest first
    assert {"sign", "mantissa"} <= set(b.fields) and any(name.startswith("exponent") for name in b.fields)
    assert b.fields["sign"] == pytest.approx(120_000 / 8, rel=0.001)  # close to noise: a bit each
    assert f.fields["mantissa"] > 20 * 120_000 / 8 and f.fields["sign"] == pytest.approx(120_000 / 8, rel=0.02)
    assert b.bits_per_element == 8 * b.stored_bytes / 120_000


def test_structure() -> None:
    x = weights((300, 400), np.float32)
    tensors = {
        "palette": np.sinh(np.rint(x * 400) * 0.01).astype(np.float32),
        "scaled": np.rint(x * 400).astype(np.float32) * np.float32(0.01),
        "sparse": np.where(RNG.random(x.shape) < 0.6, 0, x).astype(np.float32),
        "zz": np.arange(9000),
    }
    found = {t.name: t for t in anatomy(save(tensors)).tensors}
    palette, scaled, sparse, ramp = (found[name] for name in tensors)
    assert set(palette.fields) <= {"palette", "indices", "tables", "headers"} and palette.fields["palette"]
    assert max(palette.fields, key=lambda name: palette.fields[name]) == "indices"
    assert set(scaled.fields) <= {"scales", "codes", "tables", "headers"} and scaled.fields["codes"] > 40_000
    assert sparse.fields["mask"] == pytest.approx(120_000 / 8, rel=0.05) and sparse.fields["mantissa"]
    assert set(ramp.fields) == {"headers"}


def test_blocks() -> None:
    blocks = np.zeros((4096, 18), np.uint8)
    blocks[:, :2] = weights((4096, 1), np.float16).view(np.uint8)
    blocks[:, 2:] = RNG.integers(0, 200, (4096, 16))
    data = blocks.tobytes()
    fields = (Field(2, "F16", "d"), Field(16, "U8", "qs"))
    segments = [Segment(0, len(data), "q", "U8", (64, 18 * 64), fields=fields)]
    out = io.BytesIO()
    write(BytesOriginal(data), out.write, level="default", segments=segments)
    found = codec.anatomy_file(out)
    adds_up(found)
    (q,) = found.tensors
    assert {"scales", "codes"} <= set(q.fields) <= {"scales", "codes", "tables", "headers"}
    assert 4096 < q.fields["scales"] <= 8192 + 8 < q.fields["codes"]


@pytest.mark.parametrize(
    ("dtype", "width", "planes", "fold", "window", "expected"),
    [
        ("BF16", 2, [(0, 8), (8, 8)], 7, 100, [{"mantissa": 7, "sign": 1}, {"exponent": 8}]),
        ("BF16", 2, [(0, 4), (4, 2), (6, 8)], 5, 1, [{"mantissa": 4}, {"mantissa": 1, "sign": 1},
                                                       {"exponent + 2 mantissa bits": 8}]),
        ("BF16", 2, [(8, 8)], None, None, [{"sign + 7 exponent bits": 7}]),
        ("F16", 2, [(0, 8), (8, 8)], 7, None, [{"mantissa": 7, "sign": 1}, {"exponent + 3 mantissa bits": 5}]),
        ("F32", 4, [(20, 1), (21, 8)], 20, 5, [{"sign": 1}, {"exponent + 3 mantissa bits": 8}]),
        ("C64", 4, [(23, 1), (24, 8)], 23, None, [{"sign": 1}, {"exponent": 8}]),
        ("F8_E4M3", 1, [(0, 8)], None, None, [{"sign + exponent + 3 mantissa bits": 4}]),
        ("F8_E8M0", 1, [(0, 8)], None, None, [{"exponent": 8}]),
        ("F4", 1, [(0, 8)], None, None, [{"packed floats": 1}]),
        ("I32", 4, [(0, 8), (16, 8)], None, None, [{"integers": 1}, {"integers": 1}]),
        ("F32", 1, [(0, 8)], None, None, [{"opaque bytes": 1}]),
        ("", 2, [(0, 8)], None, None, [{"opaque bytes": 1}]),
    ],
)  # fmt: skip
def test_bits_of_planes(
    dtype: str, width: int, planes: list[tuple[int, int]], fold: int | None, window: int | None,
    expected: list[dict[str, int]],
) -> None:  # fmt: skip
    code = DTYPES[dtype].code if dtype else 0
    lay = Layout(640, code, width, 8, 64, tuple(Plane(s, b) for s, b in planes), fold, window)
    assert plane_fields(lay) == expected


def test_blocks_are_those_of_gguf() -> None:
    found: dict[tuple[int, ...], tuple[str, ...]] = {}
    for name in GGUF:
        fields = fields_of(name)
        names = tuple(field.name for field in fields)
        assert found.setdefault(tuple(field.size for field in fields), names) == names, name
    assert found.keys() == BLOCKS.keys()
    for sizes, names in found.items():  # the minima among what is packed with the scales are told apart here
        assert all(ours == name or (name == "scales" and "minima" in ours)
                   for ours, name in zip(BLOCKS[sizes], names, strict=True)), sizes  # fmt: skip


def test_codes_of_blocks_are_called_as_what_has_their_low_bits() -> None:
    found = {}
    for name in GGUF:
        way = codes_of(fields_of(name))
        if way is not None:
            found[name] = part_names(made(way.block, DTYPES["U8"].code, way), [DTYPES["U8"].code] * len(way.codes))
    assert found == {
        "Q5_0": ["scales", "codes"],
        "Q5_1": ["scales", "minima", "codes"],
        "Q3_K": ["codes", "scales", "scales"],
        "Q5_K": ["scales", "minima", "scales", "minima", "scales and minima", "codes"],
        "Q6_K": ["codes", "scales", "scales"],
        "IQ4_XS": ["scales", "scales", "codes"],
    }
    f16, u8 = DTYPES["F16"].code, DTYPES["U8"].code
    unknown = Codes((Held(2, 0), Held(4, 1, 2, 4, 2), Held(3, 2), Held(8, 1, 4, 0, 1)))
    assert part_names(made(17 * 4, u8, unknown), [f16, u8, u8]) == ["scales", "codes", "other fields"]


def test_blocks_that_nobody_knows() -> None:
    f16, u8 = DTYPES["F16"].code, DTYPES["U8"].code
    lay = made(30 * 4, u8, Fields((2, 2, 5, 21)))
    assert part_names(lay, [f16, f16, u8, u8]) == ["scales", "minima", "other fields", "codes"]


def test_any_number_of_threads_and_a_path_or_a_file(tmp_path: Path) -> None:
    data = save({f"t{k}": weights((50 + k, 300), np.float32) for k in range(60)})
    path, told = tmp_path / "m.weft", []
    codec.compress_file(io.BytesIO(data), path)
    found = codec.anatomy_file(path, threads=1, progress=lambda done, total: told.append((done, total)))
    assert found == codec.anatomy_file(io.BytesIO(path.read_bytes()), threads=3)
    assert told[-1] == (len(data), len(data)) and len(told) > 1
    assert found.ratio == path.stat().st_size / len(data) and found.source == "safetensors"


def test_damage_is_an_error(tmp_path: Path) -> None:
    out = io.BytesIO()
    codec.compress_file(io.BytesIO(save({"w": weights((300, 400), np.float32)})), out)
    bad = bytearray(out.getvalue())
    bad[len(bad) // 2] ^= 1
    with pytest.raises(codec.CorruptFileError, match=r'"w"|record'):
        codec.anatomy_file(io.BytesIO(bad))
    with pytest.raises(codec.NotWeftError):
        codec.anatomy_file(io.BytesIO(b"no weft file at all, is it?" * 9))
    with pytest.raises(ValueError, match="threads"):
        codec.anatomy_file(io.BytesIO(out.getvalue()), threads=0)


def test_nothing() -> None:
    found = anatomy(b"")
    adds_up(found)
    assert found.ratio == 1 and not found.tensors and found.bits_per_element == 0
    assert TensorAnatomy("z", "F32", (0, 3), 0, 0).bits_per_element == 0
