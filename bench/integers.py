"""Integer weights: bits per weight and speed of weft, beside order-0 entropy and NNCodec's DeepCABAC.

    python -m bench.integers [--cabac PATH | --peer-python PATH] [--rounds N] [--layers N] [--out FOLDER]

The matrices of all-MiniLM-L6-v2's encoder are rounded to steps, each its own, from coarse (half of the integers are
zeros) to fine (1 %). Each matrix is coded alone: weft is given an array of int8, or of int16 where that is too narrow,
DeepCABAC one of int32, as it wants it. One thread. Codecs take turns, every result is compared, speeds are medians of
the rounds, of which a codec that is too slow gets fewer; they are by processor time, which others on the machine
disturb less. PATH: see bench/cabac.py. Writes FOLDER/integers.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import codec
from bench.cabac import Cabac, CoderMissingError
from bench.kinds import weights
from bench.report import RESULTS, machine

STEPS = (1.27, 0.635, 0.3175, 0.15875, 0.0191)  # times a matrix's standard deviation: 51, 27, 14, 7 and 1 % zeros
LAYERS = 6
BUDGET = 60.0  # seconds a codec may take for a line of the table; a slow one gets fewer rounds


@dataclass
class Coder:
    """A codec of one matrix, and what it made of all of them."""

    name: str
    encode: Callable[[np.ndarray], Any]
    decode: Callable[[Any, np.ndarray], np.ndarray]
    wide: bool = False
    stored: int = 0
    exact: bool = True
    encoding: list[float] = field(default_factory=list)
    decoding: list[float] = field(default_factory=list)

    def turn(self, matrices: list[np.ndarray]) -> None:
        """Code all matrices once."""
        encoding = decoding = 0.0
        self.stored = 0
        for matrix in matrices:
            given = matrix.astype(np.int32) if self.wide else matrix
            start = time.process_time()
            blob = self.encode(given)
            middle = time.process_time()
            values = self.decode(blob, given)
            decoding += time.process_time() - middle
            encoding += middle - start
            self.stored += len(blob)
            self.exact = self.exact and np.array_equal(values, given)
        self.encoding.append(encoding)
        self.decoding.append(decoding)


def rounded(values: np.ndarray, step: float) -> np.ndarray:
    """Whole steps, each `step` standard deviations, as int8 or, where they do not fit, int16.

    >>> rounded(np.array([[-1.0, 0.1, 1.0]], np.float32), 0.5)
    array([[-2,  0,  2]], dtype=int8)
    """
    whole = np.rint(values / np.float32(step * values.std(dtype=np.float64)))
    return whole.astype(np.int8 if np.abs(whole).max(initial=0) <= 127 else np.int16)


def entropy(values: np.ndarray) -> float:
    """Bits an element takes by the counts of its own tensor, which cost nothing here.

    >>> float(entropy(np.array([0, 0, 1, 1])))
    1.0
    """
    _, counts = np.unique(values, return_counts=True)
    return float(np.log2(values.size) - (counts * np.log2(counts)).sum() / values.size) if values.size else 0.0


def weft(level: str) -> Coder:
    def encode(values: np.ndarray) -> bytes:
        return codec.compress(values, level=level, threads=1)

    def decode(blob: bytes, like: np.ndarray) -> np.ndarray:
        return np.frombuffer(codec.decompress(blob, threads=1), like.dtype).reshape(like.shape)

    return Coder("weft" if level == "default" else f"weft-{level}", encode, decode)


def coders(cabac: Cabac | None) -> list[Coder]:
    found = [weft("default"), weft("max")]
    if cabac is not None:
        found.append(Coder("DeepCABAC", cabac.encode, lambda blob, like: cabac.decode(blob, like.shape), wide=True))
    return found


def measure(matrices: list[np.ndarray], cabac: Cabac | None, rounds: int) -> list[Coder]:
    """All codecs on all matrices, round after round; a first turn on the smallest warms up."""
    chosen = coders(cabac)
    for coder in chosen:
        coder.turn([min(matrices, key=lambda matrix: matrix.size)])
        coder.encoding.clear()
        coder.decoding.clear()
    for _ in range(rounds):
        for coder in chosen:
            if sum(coder.encoding) + sum(coder.decoding) < BUDGET:
                coder.turn(matrices)
    return chosen


def row(matrices: list[np.ndarray], measured: list[Coder]) -> str:
    """A line of the table: zeros, types, entropy, then of each codec bits and M weights/s."""
    count = sum(matrix.size for matrix in matrices)
    zeros = sum(int((matrix == 0).sum()) for matrix in matrices) / count
    types = ", ".join(sorted({str(matrix.dtype) for matrix in matrices}, key=lambda name: int(name[3:])))
    bits = sum(entropy(matrix) * matrix.size for matrix in matrices) / count
    cells = [f"{100 * zeros:.1f} %", types, f"{bits:.3f}"]
    for coder in measured:
        cells.append(f"{8 * coder.stored / count:.3f}" if coder.exact else "not exact")
        cells += [f"{count / median(times) / 1e6:.3g}" for times in (coder.encoding, coder.decoding)]
    return f"| {' | '.join(cells)} |"


def head(names: list[str]) -> str:
    cells = ["zeros", "types", "order 0, bits"]
    for name in names:
        cells += [f"{name}, bits", "encode, M/s", "decode, M/s"]
    return f"| {' | '.join(cells)} |\n" + "|---" * len(cells) + "|"


def main() -> None:
    parser = argparse.ArgumentParser(description="Integer weights: weft beside order-0 entropy and DeepCABAC.")
    parser.add_argument("--cabac", help="NNCodec's extension module, or a folder that holds it")
    parser.add_argument("--peer-python", help="interpreter that has nncodec")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layers", type=int, default=LAYERS, help=f"of the encoder (default: all {LAYERS})")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    cabac, reason = None, "neither --cabac nor --peer-python given"
    if where := arguments.cabac or arguments.peer_python:
        try:
            cabac = Cabac(where)
        except CoderMissingError as error:
            reason = str(error)
    floats = weights(tuple(f"encoder.layer.{layer}." for layer in range(arguments.layers)))
    floats = {name: values for name, values in floats.items() if values.ndim == 2}
    count = sum(values.size for values in floats.values())
    text = [
        "# Integers\n",
        f"Made by `python -m bench.integers` on {machine()}. {len(floats)} matrices, {count:,} weights; "
        f"{arguments.rounds} rounds, one thread; bits and millions of weights a second.\n",
        head([coder.name for coder in coders(cabac)]),
    ]
    print("\n".join(text), flush=True)
    for step in STEPS:
        matrices = [rounded(values, step) for values in floats.values()]
        text.append(row(matrices, measure(matrices, cabac, arguments.rounds)))
        print(text[-1], flush=True)
    if cabac is None:
        text.append(f"\nDeepCABAC: left out, {reason}.")
        print(text[-1])
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "integers.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
