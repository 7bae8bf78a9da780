"""What goes in comes out, byte for byte, whatever it was; and the stored bytes depend on nothing but it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import codec
from codec.access import BytesSource
from codec.dtypes import DTYPES
from codec.kernels import cpu
from codec.limits import CHUNK_BYTES_MAX, SPAN_BYTES_MAX
from codec.reader import WeftFile
from tests.sources.headers import file_of

LEVELS = ("fast", "default", "max")
OPAQUE_SPAN = 1 << 20
#: Hashes that every kernel path must reproduce are computed over these.
PATHS = ("scalar", "avx2", "avx512", "gather")


def check(data: Any, dtype: Any = None, shape: tuple[int, ...] | None = None, level: str = "default") -> bytes:
    """Compress and give back; the blob."""
    original = np.ascontiguousarray(data).tobytes() if isinstance(data, np.ndarray) else bytes(data)
    blob = codec.compress(data, dtype=dtype, shape=shape, level=level)
    assert codec.decompress(blob) == original
    assert len(blob) <= len(original) * 1.001 + 4096
    return blob


def bits_of(dtype: str) -> int:
    return DTYPES[dtype].bits


def floats(dtype: str, n: int, seed: int = 0, scale: float = 0.03) -> np.ndarray:
    """Normal weights of a float type, as its bits."""
    x = (np.random.default_rng(seed).standard_normal(n) * scale).astype(np.float32)
    if dtype == "F16":
        return x.astype(np.float16).view(np.uint16)
    if dtype == "F64":
        return x.astype(np.float64).view(np.uint64)
    bits = x.view(np.uint32)
    return bits if dtype in ("F32", "C64") else (bits >> 16).astype(np.uint16)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", sorted(DTYPES))
@given(data=st.binary(max_size=300))
def test_any_bits_of_any_type(dtype: str, level: str, data: bytes) -> None:
    check(data, dtype, level=level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_patterns_of_any_type(dtype: str, level: str) -> None:
    """What models hold that random bits do not: some thousand elements of each."""
    n = 3001 * 8
    rng = np.random.default_rng(4)
    for data in (
        bytes(n),
        b"\xff" * n,
        b"\x12\x34\x56\x78\x9a\xbc\xde\xf0" * (n // 8),
        rng.choice(np.array([0, 1, 2**63, 2**64 - 1, 0x3F803F803F803F80], np.uint64), n // 8).tobytes(),
        rng.choice(rng.integers(0, 2**63, 13), n // 8).tobytes(),
        (rng.integers(0, 2**63, n // 8) * (rng.random(n // 8) < 0.1)).tobytes(),
        rng.integers(0, 256, n, dtype=np.uint8).tobytes(),
        rng.binomial(15, 0.5, n).astype(np.uint8).tobytes(),
        floats("F32", n // 4).tobytes(),
        floats("F16", n // 2).tobytes(),
        floats("BF16", n // 2).tobytes(),
        floats("F64", n // 8).tobytes(),
    ):
        check(data, dtype, level=level)


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64", "C64"])
def test_every_kind_of_float(dtype: str) -> None:
    """Denormals, infinities, NaN with any payload, and both zeros, alone and among weights."""
    d = DTYPES[dtype]
    bits, mantissa = (32, 23) if dtype == "C64" else (d.bits, d.mantissa_bits)
    kind = np.dtype(f"uint{bits}").type
    top = ((1 << (bits - 1)) - 1) >> mantissa << mantissa
    payloads = np.random.default_rng(1).integers(1, 1 << mantissa, 40)
    odd = [0, 1 << (bits - 1), 1, (1 << mantissa) - 1, top, top | 1 << (bits - 1)]
    odd += [top | int(p) for p in payloads] + [1 << (bits - 1) | top | int(p) for p in payloads]
    special = np.array(odd, np.uint64).astype(kind)
    special = np.resize(special, special.size // 2 * 2)
    mixed = floats(dtype, 20_000)
    mixed[np.random.default_rng(2).choice(mixed.size, special.size, replace=False)] = special
    for level in LEVELS:
        check(special.tobytes(), dtype, level=level)
        check(mixed.tobytes(), dtype, level=level)


def test_every_bit_pattern_of_16_bits() -> None:
    everything = np.arange(65536, dtype=np.uint16).tobytes()
    for dtype in ("F16", "BF16", "I16", "U16"):
        check(everything, dtype)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("value", [0x7F7F, 0x7FC1, 0x0001, 0x8000, 0xFF80, 0x0000])
def test_rare_elements_far_from_the_rest(level: str, value: int) -> None:
    """One in ten thousand is huge, tiny, or no number: escapes."""
    n = 1_200_000
    x = floats("BF16", n)
    x[np.random.default_rng(3).choice(n, n // 10_000, replace=False)] = value
    assert len(check(x.tobytes(), "BF16", level=level)) < 0.75 * x.nbytes


@pytest.mark.parametrize("outliers", [1, 2000, 60_000, 600_000])
def test_elements_that_a_sample_does_not_see(outliers: int) -> None:
    """Wild values all in one place, from a few to half of the tensor."""
    x = floats("F32", 1_200_000)
    x[500_001 : 500_001 + outliers] = np.random.default_rng(5).integers(0, 2**32, outliers, dtype=np.uint32)
    check(x.tobytes(), "F32")


@pytest.mark.parametrize("level", LEVELS)
def test_rows_of_fp16_among_rows_of_fp32(level: str) -> None:
    x = floats("F32", 3000 * 384).reshape(3000, 384)
    x[::3] = (x[::3].view(np.float32).astype(np.float16).astype(np.float32)).view(np.uint32)
    blob = check(x.view(np.float32), level=level)
    assert len(blob) < 0.83 * x.nbytes
    x[7] = 0
    check(x[:1001].view(np.float32), level=level)


@pytest.mark.parametrize("size", range(9))
@pytest.mark.parametrize("dtype", [None, "U8", "BF16", "F32", "F64", "C64", "F4", "F6_E2M3"])
def test_a_few_bytes(dtype: str | None, size: int) -> None:
    for level in LEVELS:
        check(bytes(range(100, 100 + size)), dtype, level=level)


def near(*sizes: int) -> list[int]:
    return [size + more for size in sizes for more in (-1, 0, 1)]


@pytest.mark.parametrize("n", near(1, 63, 64, 255, 256, 2048, 4096, 8192, 16384, 65536, 3 * 4096))
def test_sizes_around_tiles_and_lanes(n: int) -> None:
    for dtype in ("BF16", "F32", "U8"):
        x = floats(dtype if dtype != "U8" else "BF16", n).tobytes()
        for level in ("fast", "default"):
            check(x, dtype, level=level)


@pytest.mark.parametrize(("dtype", "size"), [("BF16", 2), ("F32", 4), ("U8", 1)])
def test_sizes_around_chunks_and_spans(dtype: str, size: int) -> None:
    chunk, span = CHUNK_BYTES_MAX // size, SPAN_BYTES_MAX // size
    x = floats(dtype if dtype != "U8" else "F16", span + 1).tobytes()
    for n in near(chunk, 2 * chunk, span):
        check(x[: n * size], dtype, level="fast" if n > 2 * chunk + 1 else "default")
    for rows, columns in ((1025, 513), (513, 1024), (129, 4096)):
        check(x[: rows * columns * size], dtype, (rows, columns))


def test_opaque_sizes_around_spans() -> None:
    rng = np.random.default_rng(6)
    x = np.concatenate([rng.integers(0, 256, OPAQUE_SPAN, dtype=np.uint8), rng.binomial(9, 0.5, OPAQUE_SPAN)])
    x = x.astype(np.uint8)
    for n in near(CHUNK_BYTES_MAX, OPAQUE_SPAN, 2 * OPAQUE_SPAN - 1):
        check(x[:n])
        check(x[-n:])


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
@pytest.mark.parametrize("level", LEVELS)
def test_opaque_floats_are_coded_as_what_they_are(dtype: str, level: str) -> None:
    """Within half a percent; and whatever lies among them comes back, too: other bytes, floats of any size, a tail."""
    x = floats(dtype, 150_000, 7).tobytes()
    assert len(check(x, level=level)) < len(check(x, dtype, level=level)) * 1.005
    wild = np.random.default_rng(8).integers(0, 256, 20_000, np.uint8).tobytes()
    check(x[:200_000] + wild + x[200_000:] + b"tail!", level=level)
    check(x[:100_000] + wild * 3, level=level)


@given(data=st.binary(max_size=300), level=st.sampled_from(LEVELS), dtype=st.sampled_from(["BF16", "F16", "F32"]))
def test_any_bits_among_opaque_floats(data: bytes, level: str, dtype: str) -> None:
    x = floats(dtype, 3000, 9).tobytes()
    check(x + data, level=level)
    check(data + x, level=level)


@pytest.mark.parametrize("dtype", ["BF16", "F32", "F64", "U8", "F4", None])
@pytest.mark.parametrize("start", [1, 2, 3, 5, 7])
def test_unaligned_buffers(dtype: str | None, start: int) -> None:
    held = bytearray(start) + floats("BF16", 4000).tobytes() + b"end"
    aligned = bytes(held[start:-3])
    blob = codec.compress(memoryview(held)[start:-3], dtype=dtype)
    assert blob == codec.compress(aligned, dtype=dtype)
    out = bytearray(len(held))
    assert codec.decompress_into(memoryview(blob), memoryview(out)[start:]) == len(aligned)
    assert out == bytes(start) + aligned + bytes(3)


def test_arrays_of_any_order() -> None:
    x = np.arange(60 * 70, dtype=np.float32).reshape(60, 70)
    for array in (x, x.T, x[::-1], x[:, ::3], x[5:50:2, 1:60:7], x[3, 4], np.asfortranarray(x), x.astype(">f4")[:0]):
        blob = check(np.asarray(array))
        assert blob == codec.compress(np.array(array, order="C"))
        info = WeftFile(BytesSource(blob)).info()
        assert [t.shape for t in info.tensors] == [np.asarray(array).shape]
    for kind in ("bool", "int8", "uint16", "int32", "int64", "float16", "float64", "complex64"):
        blob = check(np.arange(100).astype(kind))
        assert WeftFile(BytesSource(blob)).info().tensors[0].dtype == codec.dtypes.dtype_of(kind).name
    x.setflags(write=False)
    check(x)


def test_a_shape_or_type_or_buffer_that_does_not_fit() -> None:
    for wrong in ({"dtype": "BF17"}, {"dtype": "F32", "shape": (3, 5)}, {"level": "best"}, {"threads": 0}):
        with pytest.raises(ValueError):  # noqa: PT011
            codec.compress(bytes(16), **wrong)  # type: ignore[arg-type]
    blob = codec.compress(bytes(16))
    for out in (bytearray(15), bytes(16), np.zeros(32, np.uint8)[::2]):
        with pytest.raises(ValueError, match="writable, contiguous buffer of 16 bytes"):
            codec.decompress_into(blob, out)


@cache
def many_spans() -> bytes:
    """A safetensors file of several types and spans."""
    tensors = [("a", "BF16", (900, 5000)), ("b", "F32", (700, 999)), ("c", "F16", (3,)), ("d", "U8", (2_500_000,))]
    header: dict[str, Any] = {}
    data = b""
    for name, dtype, shape in tensors:
        n = int(np.prod(shape))
        raw = floats("F16" if dtype == "U8" else dtype, n, seed=n).tobytes()[: n * bits_of(dtype) // 8]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    return file_of(json.dumps(header)) + data


@pytest.mark.parametrize("level", LEVELS)
def test_threads_do_not_change_the_bytes(level: str) -> None:
    original = many_spans() if level != "max" else many_spans()[:2_000_000]
    blob = codec.compress(original, level=level, threads=1)
    assert codec.compress(original, level=level, threads=2) == blob
    assert codec.compress(original, level=level, threads=5) == blob
    assert codec.decompress(blob, threads=1) == codec.decompress(blob, threads=3) == original


def fingerprint() -> str:
    """SHA-256 over the blobs of inputs that use every kernel; also decodes them."""
    sha = hashlib.sha256()
    rows = floats("F32", 300 * 384).reshape(300, 384)
    rows[::3] &= 0xFFFFE000
    rare = floats("BF16", 600_000)
    rare[::9973] = 0x7F80
    inputs: list[tuple[bytes, str | None]] = [(rows.tobytes(), "F32"), (rare.tobytes(), "BF16"), (b"text " * 999, None)]
    inputs += [(floats(d, n, n).tobytes(), d) for d in ("F16", "BF16", "F32", "F64") for n in (1, 999, 17_000, 140_001)]
    inputs += [(np.random.default_rng(1).binomial(15, 0.4, 70_001).astype(np.uint8).tobytes(), "F8_E4M3")]
    for data, dtype in inputs:
        for level in LEVELS[: 2 if len(data) > 1 << 19 else 3]:
            blob = codec.compress(data, dtype=dtype, level=level)
            assert codec.decompress(blob) == data
            sha.update(blob)
    return sha.hexdigest()


def test_every_kernel_path_writes_the_same_bytes() -> None:
    here = fingerprint()
    code = "from tests.test_roundtrip import fingerprint; print(fingerprint())"
    for path in PATHS:
        if path == cpu.path():
            continue
        ran = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "CODEC_KERNELS": path},
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.stdout.strip() == here, (path, ran.stderr)


def span_bytes_of(blob: bytes, name: str) -> bytes:
    """The stored records of a tensor."""
    file = WeftFile(BytesSource(blob))
    t = next(t for t in file.index.tensors if t.name == name)
    return blob[file.offsets[t.first] : file.offsets[t.first + t.spans]]


@pytest.mark.parametrize("level", LEVELS)
def test_records_do_not_depend_on_name_or_place(level: str) -> None:
    n = 9 << 20 if level == "fast" else 1 << 20
    held = floats("BF16", n // 2).tobytes()

    def entry(start: int, raw: bytes, dtype: str = "BF16") -> dict[str, Any]:
        shape = (len(raw) // 256, 256 * 8 // bits_of(dtype))
        return {"dtype": dtype, "shape": shape, "data_offsets": [start, start + len(raw)]}

    other = floats("F32", 64 * 7).tobytes()
    first = file_of(json.dumps({"model.weight": entry(0, held)})) + held
    header = {"before": entry(0, other, "F32"), "x": entry(len(other), held), "z": entry(len(other) + n, other, "F32")}
    second = file_of(json.dumps(header)) + other + held + other
    blobs = [codec.compress(original, level=level) for original in (first, second)]
    records = span_bytes_of(blobs[0], "model.weight")
    assert len(records) > n // 2
    assert span_bytes_of(blobs[1], "x") == records
    assert span_bytes_of(blobs[1], "before") == span_bytes_of(blobs[1], "z")
    alone = codec.compress(held, dtype="BF16", shape=(n // 256, 128), level=level)
    assert span_bytes_of(alone, "data") == records


@pytest.mark.parametrize("size", [0, 1, 5000, 1 << 20, (1 << 20) + 5])
@pytest.mark.parametrize("dtype", [None, "U8", "BF16", "F32", "F64", "F8_E5M2", "F4"])
def test_noise_does_not_grow(dtype: str | None, size: int) -> None:
    noise = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8).tobytes()
    for level in LEVELS[: 3 if size < 9000 else 2]:
        check(noise, dtype, level=level)


def test_noise_behind_a_peaked_sample_does_not_grow() -> None:
    """Rows that the planner samples are peaked, all others are noise: what was planned must not cost space."""
    rng = np.random.default_rng(5)
    x = rng.integers(0, 1 << 16, (1024, 4096), dtype=np.uint16)
    x[::16] = (rng.standard_normal((64, 4096)) * 0.02).astype(np.float16).view(np.uint16)
    x[::16, ::12] = rng.integers(0, 1 << 16, (64, 342), dtype=np.uint16)
    data = x.tobytes()
    for level in ("fast", "default"):
        blob = codec.compress(data, dtype="F16", shape=x.shape, level=level)
        assert len(blob) <= len(data) * 1.001 + 4096
        assert codec.decompress(blob) == data


@pytest.mark.parametrize("shape", [(1,) * 65, (0, 1 << 70), (-2, -3)])
def test_shapes_that_no_reader_takes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        codec.compress(bytes(6 if -2 in shape else 1 if shape[0] else 0), dtype="uint8", shape=shape)


def test_repeats_are_found_wherever_they_are() -> None:
    block = np.random.default_rng(1).integers(0, 256, 1 << 16, dtype=np.uint8).tobytes()
    assert len(codec.compress(block * 16)) < len(block) * 2.1  # one copy for each chunk, which stand alone
    rows = np.frombuffer(block, np.int8).reshape(64, 1024)
    assert len(codec.compress(np.tile(rows, (8, 1)))) < len(block) * 1.1
