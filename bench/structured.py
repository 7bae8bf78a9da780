"""Weights with structure, as z4ai 0.2.0 measures itself on them: repeats, ties, zeros, dequantised integers.

    python -m bench.structured [NAME ...]

writes them (default: all) as safetensors files into the cache folder, where `bench.run --files structured` finds them.

Settings are those of the generators in z4ai's repository (benchmarks/_data.py, bench_palette.py, bench_safetensors.py
and checkpoint_bench.py; its README shows the ratios), the code is not, and a file takes SIZE bytes, half of theirs. A
buffer of theirs is one flat tensor here, unless a name says otherwise.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from bench import minilm
from bench.inputs import safetensors

SIZE = 16_000_000
SEED = 0
STORED = {"bf16": ("BF16", 2), "fp32": ("F32", 4)}
Tensors = dict[str, tuple[str, np.ndarray]]


def normal(source: np.random.Generator, count: int, scale: float) -> np.ndarray:
    return source.standard_normal(count).astype(np.float32) * np.float32(scale)


def stored(values: np.ndarray, dtype: str) -> tuple[str, np.ndarray]:
    """Float32 values as they stand in a file."""
    return STORED[dtype][0], minilm.to_bfloat16(values) if dtype == "bf16" else values


def dense_values(source: np.random.Generator, count: int) -> np.ndarray:
    """Gaussians, each at one of four scales drawn for it."""
    scales = np.array([0.006, 0.02, 0.05, 0.15], np.float32)
    chosen = scales[source.integers(0, len(scales), count)]
    return source.standard_normal(count).astype(np.float32) * chosen


def sparse_values(source: np.random.Generator, count: int, scale: float = 0.02) -> np.ndarray:
    """Gaussians of which half are zeros."""
    values = normal(source, count, scale)
    values[source.random(count) < 0.5] = 0
    return values


def dense(count: int, dtype: str) -> Tensors:
    return {"weight": stored(dense_values(np.random.default_rng(SEED), count), dtype)}


def sparse(count: int, dtype: str) -> Tensors:
    return {"weight": stored(sparse_values(np.random.default_rng(SEED), count), dtype)}


def repeated(count: int, dtype: str) -> Tensors:
    """One block, forty times."""
    block = normal(np.random.default_rng(SEED), max(1, count // 40), 0.02)
    return {"weight": stored(np.resize(block, count), dtype)}


def repeated_tensors(count: int, dtype: str) -> Tensors:
    """The same with a tensor for each repeat, as layers that share their weights are saved."""
    block = stored(normal(np.random.default_rng(SEED), max(1, count // 40), 0.02), dtype)
    return {f"layers.{layer}.weight": block for layer in range(40)}


def dequantised(count: int, dtype: str, levels: int) -> Tensors:
    """Weights rounded to integers of at most `levels`, at one scale, and multiplied out again; bf16 truncated."""
    values = normal(np.random.default_rng(SEED), count, 1)
    scale = np.abs(values).max() / levels
    rounded = (np.round(values / scale) * scale).astype(np.float32)
    if dtype == "bf16":
        return {"weight": ("BF16", (rounded.view(np.uint32) >> np.uint32(16)).astype(np.uint16))}
    return {"weight": stored(rounded, dtype)}


def tied(count: int, dtype: str, width: int = 768, vocabulary: int = 4096) -> Tensors:
    """A small language model whose output layer is its embedding, and the two are next to each other."""
    source = np.random.default_rng(SEED)
    embedding = stored(normal(source, vocabulary * width, 0.02), dtype)
    tensors = {"model.embed_tokens.weight": embedding, "lm_head.weight": embedding}
    layers = max(1, round((count - 2 * vocabulary * width) / (11 * width**2)))
    for layer in range(layers):
        for name, factor in (("mlp.up", 4), ("mlp.down", 4), ("attn.qkv", 3)):
            tensors[f"model.layers.{layer}.{name}"] = stored(normal(source, factor * width**2, 0.02), dtype)
    return tensors


def checkpoint(count: int, dtype: str) -> Tensors:
    """A whole checkpoint: tied embeddings, four blocks, three copies of them, a pruned layer, Adam's v, padding."""
    source = np.random.default_rng(SEED)
    share = {name: max(512, int(count * part)) for name, part in SHARES.items()}
    embedding = stored(normal(source, share["embedding"], 0.04), dtype)
    tensors = {"embedding": embedding}
    blocks = [stored(dense_values(np.random.default_rng(SEED + 100 + i), share["block"]), dtype) for i in range(4)]
    tensors |= {f"block_{number}": block for number, block in enumerate(blocks)}
    tensors |= {f"shared_{place}": blocks[number] for place, number in enumerate((0, 1, 0))}
    tensors["output_projection"] = embedding
    tensors["pruned"] = stored(sparse_values(source, share["pruned"], 0.03), dtype)
    walk = np.cumsum(normal(source, share["adam_v"], 0.01))
    tensors["adam_v"] = stored((np.abs(walk) * np.float32(0.001) + np.float32(1e-6)).astype(np.float32), dtype)
    tensors["padding"] = stored(np.zeros(share["padding"], np.float32), dtype)
    return tensors


SHARES = {"embedding": 0.18, "block": 0.06, "pruned": 0.12, "adam_v": 0.12, "padding": 0.04}
INT4, INT8 = 7, 127

CASES: dict[str, Callable[[int, str], Tensors]] = {
    "dense": dense,
    "repeated": repeated,
    "repeated-tensors": repeated_tensors,
    "sparse": sparse,
    "int8": partial(dequantised, levels=INT8),
    "int4": partial(dequantised, levels=INT4),
    "tied": tied,
    "checkpoint": checkpoint,
}
NAMES = tuple(
    f"structured-{case}-{dtype}.safetensors" for case in CASES for dtype in STORED if (case, dtype) != ("tied", "fp32")
)


def content(case: str, dtype: str, size: int = SIZE) -> bytes:
    """The file of a case; about `size` bytes of tensors."""
    return safetensors(CASES[case](size // STORED[dtype][1], dtype))


def make(name: str) -> Path:
    """Path of a file of NAMES, written if it isn't there yet."""
    path = minilm.cache_folder() / "structured" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        case, dtype = name.removeprefix("structured-").removesuffix(".safetensors").rsplit("-", 1)
        written = path.with_suffix(".partial")
        written.write_bytes(content(case, dtype))
        written.replace(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="Write weights with the structures z4ai measures itself on.")
    parser.add_argument("names", nargs="*", default=NAMES, help=f"some of {', '.join(NAMES)}")
    for name in parser.parse_args().names:
        print(make(name))


if __name__ == "__main__":
    main()
