"""A large file of weights shaped and scaled like a language model's, for measuring where real ones cannot be
had.

    python -m bench.synthetic OUT.safetensors [--mib 1024] [--seed 0]

Layers have the shapes of a Llama at width 2048. Rows of a matrix are Gaussian, each with its own
log-normal scale; norms lie near one; the embedding has heavier tails. It is written tensor by tensor, so
any size takes little memory. Real weights have more structure than this: sizes measured here are no better
than theirs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.minilm import header_bytes, to_bfloat16

WIDTH, HIDDEN, KEYS, VOCABULARY = 2048, 5632, 512, 32000
LAYER = {
    "input_layernorm": (WIDTH,),
    "self_attn.q_proj": (WIDTH, WIDTH),
    "self_attn.k_proj": (KEYS, WIDTH),
    "self_attn.v_proj": (KEYS, WIDTH),
    "self_attn.o_proj": (WIDTH, WIDTH),
    "post_attention_layernorm": (WIDTH,),
    "mlp.gate_proj": (HIDDEN, WIDTH),
    "mlp.up_proj": (HIDDEN, WIDTH),
    "mlp.down_proj": (WIDTH, HIDDEN),
}
ROWS_AT_ONCE = 4096


def shapes(size: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of tensors of about `size` bytes in bf16: an embedding, then as many layers as fit."""
    rows = max(min(VOCABULARY, size // 4 // (2 * WIDTH)), 1)  # at most a quarter for the embedding
    tensors: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (rows, WIDTH)}
    tensors["model.norm.weight"] = (WIDTH,)
    left = size - 2 * WIDTH * (rows + 1)
    layer = 0
    while True:
        for part, shape in LAYER.items():
            fitting = min(shape[0], left // (2 * (shape[1] if len(shape) == 2 else 1)))
            if fitting == 0:
                return tensors
            tensors[f"model.layers.{layer}.{part}.weight"] = (fitting, *shape[1:])
            left -= 2 * int(np.prod((fitting, *shape[1:])))
        layer += 1


def values(name: str, shape: tuple[int, ...], source: np.random.Generator) -> Iterator[np.ndarray]:
    """The tensor's bf16 bits, some rows at a time."""
    if len(shape) == 1:
        yield to_bfloat16((1 + 0.05 * source.standard_normal(shape, np.float32)).astype(np.float32))
        return
    for start in range(0, shape[0], ROWS_AT_ONCE):
        rows = min(ROWS_AT_ONCE, shape[0] - start)
        block = source.standard_normal((rows, shape[1]), np.float32)
        scale = 0.02 * np.exp(0.25 * source.standard_normal((rows, 1), np.float32))
        if "embed" in name:  # a scale mixture, which makes heavier tails
            scale = scale * np.exp(0.3 * source.standard_normal(block.shape, np.float32))
        yield to_bfloat16(np.ascontiguousarray(block * scale, np.float32))


def write(path: Path, size: int, seed: int = 0) -> Path:
    """Write a safetensors file of about `size` bytes; it appears under its name only when it is complete."""
    tensors = shapes(size)
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in tensors.items():
        end = at + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, end]}
        at = end
    source = np.random.Generator(np.random.PCG64(seed))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(header_bytes(header))
        for name, shape in tensors.items():
            for block in values(name, shape, source):
                file.write(block.data)
    return partial.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write synthetic language-model weights in bf16.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--mib", type=int, default=1024, help="size of the file (default: 1024)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write(arguments.out, arguments.mib << 20, arguments.seed)
    print(arguments.out)


if __name__ == "__main__":
    main()
