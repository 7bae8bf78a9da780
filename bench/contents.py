"""One file of every kind of content, in memory, for measuring how fast each decodes.

Weights are all-MiniLM-L6-v2's, or rounded from them, except where no real ones are to be had. Nothing here is for
comparing sizes.
"""

from __future__ import annotations

import io
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench import kinds, minilm, structured
from bench.gguf import BITS
from bench.inputs import float8, gaussian_f32, gaussian_f64, safetensors, words
from bench.integers import rounded
from codec.sources.gguf_types import BLOCKS, Field

SMALL_TENSORS = 1500
TEXT = 8 << 20
ROW = 1536  # of MiniLM's widest matrices, a multiple of the 256 weights of a block


def matrices() -> Iterator[tuple[str, np.ndarray]]:
    return ((name, values) for name, values in kinds.weights().items() if values.ndim == 2)


def each(dtype: str, change: Callable[[np.ndarray], np.ndarray]) -> bytes:
    """A safetensors file of the real matrices, changed."""
    return safetensors({name: (dtype, change(values)) for name, values in matrices()})


def eighths(values: np.ndarray) -> np.ndarray:
    """E4M3, each matrix scaled to its range."""
    return float8((values * np.float32(448 / np.abs(values).max())).astype(np.float32), 4, 3)


def int8(values: np.ndarray) -> np.ndarray:
    return np.clip(rounded(values, 0.04), -127, 127).astype(np.int8)


def nibbles(values: np.ndarray) -> np.ndarray:
    """Two weights a byte."""
    steps = (np.clip(rounded(values, 0.4), -8, 7) + 8).astype(np.uint8)
    return steps[:, 0::2] | steps[:, 1::2] << np.uint8(4)


def packed(codes: np.ndarray, field: Field) -> np.ndarray:
    """The bytes of a GGUF field, given the numbers in it, a row a block: the inverse of bench.gguf.unpacked."""
    bits = BITS[field.kind]
    held = codes.astype(np.uint8).reshape(len(codes), -1, 8 // bits, field.run)
    shifts = np.arange(0, 8, bits, dtype=np.uint8).reshape(1, 1, -1, 1)
    return np.bitwise_or.reduce(held << shifts, axis=2).reshape(len(codes), -1)


def q4_k(values: np.ndarray) -> np.ndarray:
    """Blocks of Q4_K: eight sub-blocks, a scale and a minimum of 6 bits each. (Rounded simply: llama.cpp searches.)"""
    parts = values.reshape(-1, 8, 32)
    low = np.minimum(parts.min(axis=2), 0)
    scale = np.maximum((parts.max(axis=2) - low) / 15, 1e-9)
    d, dmin = (np.maximum(x.max(axis=1, keepdims=True) / 63, 1e-9) for x in (scale, -low))
    scales, minima = np.rint(scale / d).clip(1, 63), np.rint(-low / dmin)
    codes = np.rint((parts + (minima * dmin)[..., None]) / (scales * d)[..., None]).clip(0, 15)
    s, m = scales.astype(np.uint8), minima.astype(np.uint8)
    sixes = [s[:, :4] | s[:, 4:] >> 4 << 6, m[:, :4] | m[:, 4:] >> 4 << 6, s[:, 4:] & 15 | (m[:, 4:] & 15) << 4]
    floats = [x.astype(np.float16).view(np.uint8) for x in (d, dmin)]
    return np.concatenate([*floats, *sixes, packed(codes.reshape(-1, 256), BLOCKS["Q4_K"].fields[3])], axis=1)


def q6_k(values: np.ndarray) -> np.ndarray:
    """Blocks of Q6_K: sixteen sub-blocks, a scale of 8 bits each. (Rounded simply.)"""
    parts = values.reshape(-1, 16, 16)
    scale = np.maximum(np.abs(parts).max(axis=2) / 31, 1e-9)
    d = scale.max(axis=1, keepdims=True) / 127
    scales = np.rint(scale / d).clip(1, 127)
    codes = (np.rint(parts / (scales * d)[..., None]).clip(-32, 31) + 32).astype(np.uint8).reshape(-1, 256)
    low, high = (packed(x, f) for x, f in zip((codes & 15, codes >> 4), BLOCKS["Q6_K"].fields[:2], strict=True))
    ends = [scales.astype(np.int8).view(np.uint8), d.astype(np.float16).view(np.uint8)]
    return np.concatenate([low, high, *ends], axis=1)


def k_quants(name: str, quantise: Callable[[np.ndarray], np.ndarray]) -> bytes:
    """A GGUF file of the real matrices in rows of ROW, as blocks."""
    import gguf

    kind = gguf.GGMLQuantizationType[name]
    with TemporaryDirectory() as folder:
        writer = gguf.GGUFWriter(f"{folder}/file.gguf", "bert")
        for tensor, values in matrices():
            rows = quantise(values).reshape(values.size // ROW, -1)
            writer.add_tensor(tensor, np.ascontiguousarray(rows), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return Path(folder, "file.gguf").read_bytes()


def small_tensors() -> bytes:
    """A torch file of many small tensors, as adapters and recurrent or convolutional models have them."""
    import torch

    file = io.BytesIO()
    made = gaussian_f32(300, 4 * SMALL_TENSORS, 640).reshape(SMALL_TENSORS, 4, 640)
    torch.save({f"layer.{k}.lora_down.weight": torch.from_numpy(values.copy()) for k, values in enumerate(made)}, file)
    return file.getvalue()


def text() -> bytes:
    """Sources of this Python's own library."""
    found = b""
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("**/*.py")):
        if len(found) >= TEXT:
            break
        if "site-packages" not in path.parts:
            found += path.read_bytes()
    return found[:TEXT]


def kind(name: str) -> Callable[[], bytes]:
    return lambda: kinds.make(name).read_bytes()


def near() -> bytes:
    """Weights and their moving average, which differs by a thousandth of each."""
    weights = gaussian_f32(301, 2048, 1024)
    average = weights * (1 + np.float32(1e-3) * gaussian_f32(302, 2048, 1024) / np.float32(0.02))
    return safetensors({"weight": ("F32", weights), "average": ("F32", average.astype(np.float32))})


def few() -> bytes:
    """int8 of which one in 100 is not zero."""
    random = np.random.default_rng(303)
    values = np.where(random.random((2048, 4096)) < 0.01, random.integers(-9, 10, (2048, 4096)), 0)
    return safetensors({"update": ("I8", values.astype(np.int8))})


def ramp() -> bytes:
    return safetensors({"position_ids": ("I64", np.arange(1 << 20, dtype=np.int64).reshape(1, -1))})


CONTENTS: dict[str, Callable[[], bytes]] = {
    "bf16": lambda: each("BF16", minilm.to_bfloat16),
    "fp16": lambda: each("F16", minilm.to_float16),
    "fp32": lambda: each("F32", lambda values: values),
    "f64": lambda: safetensors({"weight": ("F64", gaussian_f64(7, 1536))}),
    "fp8 e4m3": lambda: each("F8_E4M3", eighths),
    "int8": lambda: each("I8", int8),
    "int16": lambda: each("I16", lambda values: rounded(values, 0.002)),
    "int32": lambda: each("I32", lambda values: np.rint(values * np.float32(1 << 20)).astype(np.int32)),
    "int4, packed": lambda: each("U8", nibbles),
    "palette fp32": lambda: structured.content("int4", "fp32"),
    "palette bf16": lambda: structured.content("int8", "bf16"),
    "sparse bf16": lambda: structured.content("sparse", "bf16"),
    "sparse fp32": lambda: structured.content("sparse", "fp32"),
    "fp32 and its average": near,
    "int8 of 99 % zeros": few,
    "ramp int64": ramp,
    "GGUF Q4_0": kind("gguf-Q4_0.gguf"),
    "GGUF Q5_0": kind("gguf-Q5_0.gguf"),
    "GGUF Q8_0": kind("gguf-Q8_0.gguf"),
    "GGUF Q4_K": lambda: k_quants("Q4_K", q4_k),
    "GGUF Q6_K": lambda: k_quants("Q6_K", q6_k),
    "small tensors .pt": small_tensors,
    "text": text,
    "random bytes": lambda: words(95, 1 << 20).tobytes(),
    "zero bytes": lambda: bytes(8 << 20),
}
