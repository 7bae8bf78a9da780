"""Small inputs of every kind, the same bytes on any machine: what sizes.csv and tests compress.

Randomness is the raw output of PCG64, whose stream numpy promises to keep; everything made of it is integer
arithmetic, or one float operation that IEEE 754 rounds exactly. Nothing depends on a libm, on SIMD or on a
numpy version.

>>> import hashlib
>>> hashlib.sha256(make("gaussian-bf16")).hexdigest()[:16]
'2e6d0210f0bf821b'
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.minilm import header_bytes, to_bfloat16, to_float16

ROWS, COLUMNS = 256, 1024


def words(seed: int, count: int) -> np.ndarray:
    """Random 64-bit words."""
    return np.random.PCG64(seed).random_raw(count)


def gaussian_integers(seed: int, count: int) -> np.ndarray:
    """Integers of a bell curve around 0 with standard deviation 65536: sums of twelve uniform 16-bit ones."""
    halves = words(seed, 3 * count).view(np.uint16).reshape(count, 12)
    return halves.sum(axis=1, dtype=np.int64) - 6 * 65535


def finer(values: np.ndarray, seed: int) -> np.ndarray:
    """The same integers with 16 random bits below each, so that the floats made of them are full to the last bit."""
    return (values << 16) | (words(seed, values.size) >> np.uint64(48)).astype(np.int64)


def row_scales(seed: int, rows: int) -> np.ndarray:
    """A factor for each row, 2**-39 times something from [1, 4), with a random mantissa, in double precision."""
    random = words(seed, rows)
    mantissas = ((random >> np.uint64(12)) | np.uint64(1 << 52)).astype(np.float64)
    powers = np.where(random & np.uint64(1), 2.0**-90, 2.0**-91)
    return (mantissas * powers).reshape(rows, 1)


def gaussian_f64(seed: int, rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    """A matrix of Gaussian rows, each at its own scale, of about 0.01; one rounded product an element."""
    values = finer(gaussian_integers(seed, rows * columns), seed + 1)
    return values.astype(np.float64).reshape(rows, columns) * row_scales(seed + 2, rows)


def gaussian_f32(seed: int, rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    """The same, rounded to single precision."""
    return gaussian_f64(seed, rows, columns).astype(np.float32)


def float8(values: np.ndarray, exponent_bits: int, mantissa_bits: int) -> np.ndarray:
    """Float32 rounded half up to an 8-bit float; too small becomes 0, too large the largest finite one."""
    bits = values.view(np.uint32).astype(np.int64)
    dropped = 23 - mantissa_bits
    magnitude = ((bits & 0x7FFFFFFF) + (1 << (dropped - 1))) >> dropped
    magnitude -= (127 - (2 ** (exponent_bits - 1) - 1)) << mantissa_bits
    largest = 0x7E if exponent_bits == 4 else 0x7B
    magnitude = np.where(magnitude < (1 << mantissa_bits), 0, np.minimum(magnitude, largest))
    return (magnitude | ((bits >> 24) & 0x80)).astype(np.uint8)


def int8_rows(seed: int, divisor: int = 2400) -> np.ndarray:
    """Weights rounded to 8 bits: a bell curve about 27 steps wide."""
    return np.clip(gaussian_integers(seed, ROWS * COLUMNS) // divisor, -127, 127).astype(np.int8)


def packed_int4(seed: int) -> np.ndarray:
    """Two 4-bit weights a byte."""
    values = np.clip(gaussian_integers(seed, 2 * ROWS * COLUMNS) // 28000 + 8, 0, 15).astype(np.uint8)
    return values[0::2] | (values[1::2] << np.uint8(4))


def safetensors(tensors: dict[str, tuple[str, np.ndarray]]) -> bytes:
    """A safetensors file of named tensors, each with its type as such a file spells it."""
    header: dict[str, object] = {}
    at = 0
    for name, (dtype, values) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    parts = [np.ascontiguousarray(values).tobytes() for _, values in tensors.values()]
    return b"".join([header_bytes(header), *parts])


def matrix(dtype: str, values: np.ndarray) -> bytes:
    return safetensors({"weight": (dtype, values)})


def bf16(seed: int = 1) -> np.ndarray:
    return to_bfloat16(gaussian_f32(seed))


def sparse() -> np.ndarray:
    """Nine in ten weights are zero."""
    kept = (words(33, ROWS * COLUMNS) % np.uint64(10) == 0).reshape(ROWS, COLUMNS)
    return np.where(kept, bf16(31), np.uint16(0))


def dequantised() -> np.ndarray:
    """bf16 that takes 15 values in each row, as 4-bit weights do once they are unpacked."""
    steps = np.clip(gaussian_integers(41, ROWS * COLUMNS) // 24000, -7, 7).reshape(ROWS, COLUMNS)
    return to_bfloat16((steps * (2.0**31 * row_scales(42, ROWS))).astype(np.float32))


def half_upcast() -> np.ndarray:
    """fp32 where every other row still holds fp16 values, as when only some rows were trained further."""
    values = gaussian_f32(51)
    values[::2] = to_float16(values[::2]).view(np.float16).astype(np.float32)
    return values


def squares() -> np.ndarray:
    """fp32 like an optimiser's second moment: positive, and over a wide range."""
    values = gaussian_f32(61)
    return values * values


def lora() -> bytes:
    """Many small fp16 tensors, the up and down projections of rank 4."""
    tensors = {}
    for layer in range(48):
        down, up = gaussian_f32(100 + 8 * layer, 4, 640), gaussian_f32(104 + 8 * layer, 640, 4)
        tensors[f"layers.{layer}.lora_down.weight"] = ("F16", to_float16(down))
        tensors[f"layers.{layer}.lora_up.weight"] = ("F16", to_float16(up))
    return safetensors(tensors)


def mixed() -> bytes:
    """A small model: an embedding that is the output too, a matrix, a norm, a counter; types of all widths."""
    embedding = bf16(71)
    return safetensors(
        {
            "embed.weight": ("BF16", embedding),
            "norm.weight": ("BF16", to_bfloat16(gaussian_f32(73, 1, COLUMNS) + np.float32(1))),
            "position_ids": ("I64", np.arange(512, dtype=np.int64).reshape(1, 512)),
            "layer.weight": ("F32", gaussian_f32(75, 64)),
            "lm_head.weight": ("BF16", embedding),
        }
    )


def text() -> bytes:
    """Words drawn unevenly from a small vocabulary, as in a tokenizer's or a README's file."""
    vocabulary = [
        "the",
        "model",
        "of",
        "weights",
        "a",
        "and",
        "layer",
        "is",
        "token",
        "to",
        "in",
        "attention",
    ]
    draws = words(81, 20000)
    chosen = np.minimum(draws % np.uint64(12), (draws >> np.uint64(32)) % np.uint64(12))
    return " ".join(vocabulary[int(index)] for index in chosen).encode()


def gguf_q4_0() -> bytes:
    """A GGUF file, version 3, of one Q4_0 tensor: blocks of an fp16 scale and 32 packed 4-bit weights."""
    name = b"blk.0.ffn_up.weight"
    count = ROWS * COLUMNS // 32
    head = b"GGUF" + (3).to_bytes(4, "little") + (1).to_bytes(8, "little") + bytes(8)
    head += len(name).to_bytes(8, "little") + name + (2).to_bytes(4, "little")
    head += COLUMNS.to_bytes(8, "little") + ROWS.to_bytes(8, "little") + (2).to_bytes(4, "little") + bytes(8)
    scales = (row_scales(91, ROWS) * 2.0**31).astype(np.float32)
    blocks = np.empty((count, 18), np.uint8)
    blocks[:, :2] = to_float16(np.repeat(scales, COLUMNS // 32)).view(np.uint8).reshape(count, 2)
    blocks[:, 2:] = packed_int4(92)[: count * 16].reshape(count, 16)
    return head + bytes(-len(head) % 32) + blocks.tobytes()


@dataclass(frozen=True)
class Input:
    """Bytes to compress, and the element type to tell, where they are not a file that says it."""

    make: Callable[[], bytes]
    dtype: str | None = None


INPUTS: dict[str, Input] = {
    "gaussian-bf16": Input(lambda: matrix("BF16", bf16())),
    "gaussian-bf16-array": Input(lambda: bf16().tobytes(), "bfloat16"),
    "gaussian-fp16": Input(lambda: matrix("F16", to_float16(gaussian_f32(3)))),
    "gaussian-fp32": Input(lambda: matrix("F32", gaussian_f32(5))),
    "gaussian-f64": Input(lambda: matrix("F64", gaussian_f64(7, ROWS // 2))),
    "fp8-e4m3": Input(lambda: matrix("F8_E4M3", float8(gaussian_f32(11) * np.float32(1024), 4, 3))),
    "fp8-e5m2": Input(lambda: matrix("F8_E5M2", float8(gaussian_f32(13) * np.float32(1024), 5, 2))),
    "int8": Input(lambda: matrix("I8", int8_rows(15).reshape(ROWS, COLUMNS))),
    "int4-packed": Input(lambda: matrix("U8", packed_int4(17).reshape(ROWS, COLUMNS))),
    "sparse-bf16": Input(lambda: matrix("BF16", sparse())),
    "dequantised-bf16": Input(lambda: matrix("BF16", dequantised())),
    "fp32-from-bf16": Input(lambda: matrix("F32", bf16(21).astype(np.uint32) << np.uint32(16))),
    "fp32-half-from-fp16": Input(lambda: matrix("F32", half_upcast())),
    "fp32-squares": Input(lambda: matrix("F32", squares())),
    "constant-bf16": Input(lambda: matrix("BF16", np.full((ROWS, COLUMNS), 0x3F80, np.uint16))),
    "mixed-model": Input(mixed),
    "lora-fp16": Input(lora),
    "gguf-q4_0": Input(gguf_q4_0),
    "text": Input(text),
    "random-bytes": Input(lambda: words(95, 1 << 15).tobytes()),
    "zero-bytes": Input(lambda: bytes(1 << 18)),
    "one-byte": Input(lambda: b"w"),
    "empty": Input(lambda: b""),
}


def make(name: str) -> bytes:
    """The bytes of an input."""
    return INPUTS[name].make()
