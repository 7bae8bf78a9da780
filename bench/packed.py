"""Weights as packed codes, as GPTQ, AWQ, bitsandbytes and BitNet write them, and bits a weight of these in any order.

    python -m bench.packed [--levels default,max] [--layers N] [--out FOLDER]

The matrices of all-MiniLM-L6-v2's encoder, rounded to the nearest code (no calibration), each packed as its writer
does. Beside weft's own choice stand its bytes and its codes, a byte each, in other orders, as matrices by themselves,
and the order-0 entropy of the codes. Writes FOLDER/packed.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

import codec
from bench.inputs import safetensors
from bench.integers import entropy
from bench.kinds import LAYERS, weights
from bench.report import RESULTS, machine

GROUP: Final = 128
AWQ_ORDER: Final = (0, 2, 4, 6, 1, 3, 5, 7)
BLOCK: Final = 64
#: The sixteen values of NF4 (T. Dettmers et al., "QLoRA", 2023).
NF4: Final = np.array(
    [-1.0, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.09105004, 0.0,
     0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1.0], np.float32,
)  # fmt: skip
Tensors = dict[str, tuple[str, np.ndarray]]


def asymmetric(values: np.ndarray, bits: int, group: int = GROUP) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(codes [out, in], zero points and scales [out, groups]) of a matrix [out, in]: each group from its least to its
    largest weight, and 0 among them.
    """
    rows, columns = values.shape
    group = group if columns % group == 0 else columns
    parts, top = values.reshape(rows, -1, group), (1 << bits) - 1
    low, high = np.minimum(parts.min(axis=2), 0), np.maximum(parts.max(axis=2), 0)
    scales = np.maximum((high - low) / np.float32(top), np.float32(1e-9))
    zeros = np.rint(-low / scales).clip(0, top)
    codes = (np.rint(parts / scales[..., None]) + zeros[..., None]).clip(0, top).astype(np.uint8)
    return codes.reshape(rows, columns), zeros.astype(np.uint8), scales.astype(np.float16)


def words(codes: np.ndarray, bits: int, order: tuple[int, ...] = ()) -> np.ndarray:
    """int32 words of 32 / bits codes that are neighbours in the last dimension, the first lowest, or in another order.

    >>> hex(int(words(np.arange(8, dtype=np.uint8)[None], 4)[0, 0]))
    '0x76543210'
    """
    each = 32 // bits
    parts = codes.reshape(codes.shape[0], -1, each).astype(np.uint32)
    parts = parts[:, :, list(order)] if order else parts
    shifted = parts << (np.arange(each, dtype=np.uint32) * np.uint32(bits))
    return np.bitwise_or.reduce(shifted, axis=2).astype(np.uint32).view(np.int32)


def gptq(values: np.ndarray, bits: int = 4) -> Tensors:
    """As AutoGPTQ packs: words of ``32 / bits`` input rows of a column of the output, zero points less 1."""
    codes, zeros, scales = asymmetric(values, bits)
    less = zeros.T - np.uint8(1) & np.uint8((1 << bits) - 1)
    return {
        "qweight": ("I32", np.ascontiguousarray(words(codes, bits).T)),
        "qzeros": ("I32", words(np.ascontiguousarray(less), bits)),
        "scales": ("F16", np.ascontiguousarray(scales.T)),
    }


def awq(values: np.ndarray) -> Tensors:
    """Words of eight columns of the output, in AWQ's order."""
    codes, zeros, scales = asymmetric(values, 4)
    return {
        "qweight": ("I32", words(np.ascontiguousarray(codes.T), 4, AWQ_ORDER)),
        "qzeros": ("I32", words(np.ascontiguousarray(zeros.T), 4, AWQ_ORDER)),
        "scales": ("F16", np.ascontiguousarray(scales.T)),
    }


def nf4_codes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(codes, the largest magnitude of each block of 64 weights)."""
    parts = values.reshape(-1, BLOCK)
    largest = np.abs(parts).max(axis=1, keepdims=True)
    codes = np.searchsorted((NF4[1:] + NF4[:-1]) / 2, parts / np.maximum(largest, np.float32(1e-12)))
    return codes.astype(np.uint8).reshape(values.shape), largest.reshape(-1)


def nf4(values: np.ndarray) -> Tensors:
    """As bitsandbytes packs NF4: two weights a byte, the first highest, in a column of bytes."""
    codes, largest = nf4_codes(values)
    flat = codes.reshape(-1)
    return {"weight": ("U8", (flat[::2] << 4 | flat[1::2]).reshape(-1, 1)), "weight.absmax": ("F32", largest)}


def ternary_codes(values: np.ndarray) -> np.ndarray:
    """0, 1, 2 for -1, 0, 1 times the mean magnitude."""
    return (np.rint(values / np.abs(values).mean()).clip(-1, 1) + 1).astype(np.uint8)


def bitnet(values: np.ndarray) -> Tensors:
    """As transformers packs BitNet's weights: a byte has those of four quarters of the rows, the first lowest."""
    quarters = ternary_codes(values).reshape(4, -1, values.shape[1])
    packed = np.bitwise_or.reduce([q << np.uint8(2 * k) for k, q in enumerate(quarters)], axis=0)
    return {"weight": ("U8", packed), "weight_scale": ("F32", np.abs(values).mean(keepdims=True).reshape(1))}


def one_bit(values: np.ndarray) -> Tensors:
    """Signs, eight a byte."""
    return {"weight": ("U8", np.packbits(values > 0, axis=1, bitorder="little"))}


PACKERS: Final[dict[str, Callable[[np.ndarray], Tensors]]] = {
    "gptq-int4": gptq,
    "gptq-int2": lambda values: gptq(values, 2),
    "gptq-int8": lambda values: gptq(values, 8),
    "awq-int4": awq,
    "bnb-nf4": nf4,
    "bitnet-ternary": bitnet,
    "one-bit": one_bit,
}


def matrices(layers: int | None = None) -> dict[str, np.ndarray]:
    """Those of some layers of the encoder, or of the layers of ``bench.kinds``."""
    parts = LAYERS if layers is None else tuple(f"encoder.layer.{layer}." for layer in range(layers))
    return {name: values for name, values in weights(parts).items() if values.ndim == 2}


def packed_file(path: Path, packer: str) -> None:
    """A safetensors file of packed matrices; the rest in fp16."""
    held: Tensors = {}
    for name, values in weights().items():
        if values.ndim == 2:
            stem = name.removesuffix(".weight")
            held |= {f"{stem}.{part}": tensor for part, tensor in PACKERS[packer](values).items()}
        else:
            held[name] = "F16", values.astype(np.float16)
    path.write_bytes(safetensors(held))


def orders(packer: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Name of an order -> the bytes or codes of a matrix in it."""
    tensors = PACKERS[packer](values)
    dtype, held = tensors.get("qweight") or tensors["weight"]
    found = {"as it is": held}
    data = held.view(np.uint8).reshape(held.shape[0], -1)
    if dtype == "I32":
        found["bytes"] = data
    bits = {"int4": 4, "int2": 2, "nf4": 4, "ternary": 2, "bit": 1}.get(packer.split("-")[1])
    if bits:
        codes = np.stack([data >> np.uint8(k) & np.uint8((1 << bits) - 1) for k in range(0, 8, bits)], axis=-1)
        found["codes as they lie"] = codes.reshape(data.shape[0], -1) if data.shape[1] > 1 else codes.reshape(-1, BLOCK)
        if packer.startswith("gptq"):
            found["codes in rows"] = np.ascontiguousarray(asymmetric(values, bits)[0].T)
        elif packer == "bitnet-ternary":
            found["codes in rows"] = ternary_codes(values)
    return found


def line(packer: str, held: dict[str, np.ndarray], level: str) -> str:
    """Of the table: bits a weight in each order."""
    count, taken, bits = sum(values.size for values in held.values()), dict[str, int](), 0.0
    for values in held.values():
        found = orders(packer, values)
        for name, array in found.items():
            taken[name] = taken.get(name, 0) + 8 * len(codec.compress(array, level=level, threads=1))
        codes = found.get("codes in rows", found.get("codes as they lie"))
        bits += entropy(codes) * codes.size if codes is not None else entropy(found["bytes"]) * values.size
    cells = [f"{taken[name] / count:.4f}" if name in taken else "" for name in ORDERS]
    return f"| {packer} | {level} | {bits / count:.4f} | {' | '.join(cells)} |"


ORDERS: Final = ("as it is", "bytes", "codes as they lie", "codes in rows")


def main() -> None:
    parser = argparse.ArgumentParser(description="Bits a weight of packed codes in each order.")
    parser.add_argument("--levels", default="default,max")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    held = matrices(arguments.layers)
    text = [
        "# Packed codes\n",
        f"Made by `python -m bench.packed` on {machine()}. {len(held)} matrices, bits a weight, without scales.\n",
        f"| packed by | level | order 0 | {' | '.join(ORDERS)} |",
        "|---" * (3 + len(ORDERS)) + "|",
    ]
    print("\n".join(text), flush=True)
    for level in arguments.levels.split(","):
        for packer in PACKERS:
            text.append(line(packer, held, level))
            print(text[-1], flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "packed.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
