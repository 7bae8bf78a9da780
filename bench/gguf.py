"""GGUF: stored bits per weight of each quantised type, beside the type's own and beside what counts alone would give.

    python -m bench.gguf [FILE.gguf ...] [--level default|max] [--out FOLDER]

Without files: those that bench/kinds.py makes with the gguf package, and whatever *.gguf lies in the folders named in
WEFT_DATA. "nominal" is a block's bytes by its weights. "ideal" is the order-0 entropy of weights, scales and minima,
each counted apart within its tensor, tables free: weights are whole codes, low and high bits together; 16-bit scales
and minima count as two bytes. Every file is decoded and compared. Writes FOLDER/gguf.md.
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import codec
from bench.corpora import select
from bench.integers import entropy
from bench.report import RESULTS
from codec.sources.gguf_types import BLOCKS, Field

CODES = ("qs", "ql")
HIGH = ("qh", "hmask")
BITS = {"bits1": 1, "bits2": 2, "bits4": 4}


def unpacked(blocks: np.ndarray, field: Field) -> np.ndarray:
    """The packed numbers of a field, a row a block, in the order of the weights: runs of bytes, low bits first."""
    bits, run = BITS[field.kind], field.run
    held = blocks[:, field.offset : field.offset + field.size].reshape(len(blocks), -1, 1, run)
    shifts = np.arange(0, 8, bits, dtype=np.uint8).reshape(1, 1, -1, 1)
    return (held >> shifts & np.uint8((1 << bits) - 1)).reshape(len(blocks), -1)


def sixes(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Eight numbers of 6 bits a block, of Q4_K and Q5_K: four in the low bits of `low`, which has above them the high
    bits of the others, whose low bits are in `high`.
    """
    return np.concatenate([low & 63, high | (low >> 6) << 4], axis=1)


def symbols(name: str, blocks: np.ndarray) -> list[np.ndarray]:
    """What a tensor of a quantised type counts: arrays of symbols, each with counts of its own.

    `blocks`: bytes, a row a block. Fields of kinds that are not told apart here count as bytes.
    """
    found: list[np.ndarray] = []
    fields = BLOCKS[name].fields
    high = next((unpacked(blocks, f) for f in fields if f.name in HIGH and f.kind in BITS), None)
    for field in fields:
        held = blocks[:, field.offset : field.offset + field.size]
        if field.kind == "mins6":
            found += [sixes(held[:, 0:4], held[:, 8:12] & 15), sixes(held[:, 4:8], held[:, 8:12] >> 4)]
        elif field.kind == "scales6":
            tops = np.concatenate([held[:, 8:12] >> shift & 3 for shift in (0, 2, 4, 6)], axis=1)
            found.append(np.concatenate([held[:, :8] & 15, held[:, :8] >> 4], axis=1) | tops << 4)
        elif field.kind == "scale|min":
            found += [held & 15, held >> 4]
        elif field.name in CODES and field.kind in BITS:
            codes = unpacked(blocks, field)
            found.append(codes if high is None else codes | high << np.uint8(BITS[field.kind]))
        elif field.name in HIGH and field.kind in BITS:
            continue  # with the codes
        elif field.kind in ("F16", "F32"):
            found += [held[:, byte] for byte in range(field.size)]
        else:
            found.append(held)
    return found


def ideal_bits(name: str, data: np.ndarray) -> float:
    """Bits that the symbols of a tensor take by their counts."""
    blocks = data.reshape(-1, BLOCKS[name].size)
    return sum(entropy(part.reshape(-1)) * part.size for part in symbols(name, blocks))


@dataclass
class Sums:
    """Of the tensors of one type in one file; weights, bytes and bits."""

    tensors: int = 0
    weights: int = 0
    nominal: int = 0
    stored: int = 0
    ideal: float = 0.0


def measure(path: Path, level: str) -> dict[str, Sums]:
    """The sums of every quantised type in a file. Raises ValueError if weft does not give the file back."""
    import gguf

    types = {str(tensor.name): tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors}
    data = path.read_bytes()
    blob = codec.compress(data, level=level)
    if codec.decompress(blob) != data:
        raise ValueError(f"{path.name} did not decode to the original")
    found: dict[str, Sums] = {}
    for tensor in codec.inspect_file(io.BytesIO(blob)).tensors:
        name = types[tensor.name]
        if name not in BLOCKS:
            continue
        held = np.frombuffer(data, np.uint8, tensor.original_bytes, tensor.start)
        block = BLOCKS[name]
        sums = found.setdefault(name, Sums())
        sums.tensors += 1
        sums.weights += tensor.original_bytes // block.size * block.elements
        sums.nominal += tensor.original_bytes
        sums.stored += tensor.stored_bytes
        sums.ideal += ideal_bits(name, held)
    return found


def table(rows: list[tuple[str, str, Sums]]) -> str:
    """A line for each file and type; bits are per weight."""
    head = ["file", "type", "tensors", "weights", "nominal", "weft", "ideal", "weft / nominal", "weft / ideal"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for file, name, sums in rows:
        nominal, stored, ideal = (bits / sums.weights for bits in (8 * sums.nominal, 8 * sums.stored, sums.ideal))
        figures = [f"{value:.4f}" for value in (nominal, stored, ideal, stored / nominal, stored / ideal)]
        lines.append(f"| {file} | {name} | {sums.tensors} | {sums.weights:,} | {' | '.join(figures)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="GGUF: stored bits per weight of each quantised type.")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--level", default="default")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    paths = arguments.files or [corpus.path for corpus in select(["*.gguf"], ())]
    rows = [(path.name, name, sums) for path in paths for name, sums in measure(path, arguments.level).items()]
    text = f"# GGUF, bits per weight\n\nMade by `python -m bench.gguf`, level {arguments.level}.\n\n{table(rows)}\n"
    print(text)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "gguf.md").write_text(text)


if __name__ == "__main__":
    main()
