"""Bytes and bits of which few are not zero: stored bytes of weft, zstd and xz beside the entropy of independent ones.

    python -m bench.sparse [--count N] [--out FOLDER]

Updates in int8, ternary ones, masks of bytes and packed bits, one in 10, 100 and 1000 not zero: scattered at random, or
clustered (a quarter of those in some runs of 64). N elements each. Writes FOLDER/sparse.md.
"""

from __future__ import annotations

import argparse
import lzma
from pathlib import Path
from typing import Final

import numpy as np
import zstandard

import codec
from bench.inputs import words
from bench.integers import entropy
from bench.report import RESULTS, machine

KINDS: Final = ("int8", "ternary", "mask", "bits")
RARITIES: Final = (10, 100, 1000)
RUN: Final = 64
COLUMNS: Final = 1024


def places(count: int, one_in: int, clustered: bool, seed: int) -> np.ndarray:
    """Which elements are not zero."""
    if not clustered:
        return words(seed, count) % np.uint64(one_in) == 0
    runs = words(seed, -(-count // RUN)) % np.uint64(max(2, one_in // 4)) == 0
    return runs.repeat(RUN)[:count] & (words(seed + 1, count) % np.uint64(4) == 0)


def content(kind: str, count: int, one_in: int, clustered: bool) -> np.ndarray:
    """An array of int8 or uint8, COLUMNS columns; of packed bits an eighth as many bytes."""
    there, drawn = places(count, one_in, clustered, 7), words(9, count)
    if kind == "bits":
        return np.packbits(there, bitorder="little").reshape(COLUMNS, -1)
    if kind == "mask":
        return there.astype(np.uint8).reshape(-1, COLUMNS)
    if kind == "ternary":
        values = (drawn % np.uint64(2)).astype(np.int64) * 2 - 1
    else:  # a sum of four, about normally distributed, none of them zero
        parts = drawn[:, None] >> np.arange(0, 64, 16, dtype=np.uint64) & np.uint64(31)
        values = parts.sum(axis=1).astype(np.int64) - 62
        values[values == 0] = 1
    return (values * there).astype(np.int8).reshape(-1, COLUMNS)


def line(kind: str, count: int, one_in: int, clustered: bool) -> str:
    """Of the table."""
    data = content(kind, count, one_in, clustered)
    raw = data.tobytes()
    elements = np.unpackbits(data, bitorder="little") if kind == "bits" else data
    cells = [f"{entropy(elements) * elements.size / 8:,.0f}"]
    for level in ("fast", "default", "max"):
        blob = codec.compress(data, level=level, threads=1)
        if codec.decompress(blob, threads=1) != raw:
            raise ValueError(f"{kind} at level {level} did not decode to the original")
        cells.append(f"{len(blob):,}")
    cells += [f"{len(zstandard.ZstdCompressor(level=19).compress(raw)):,}", f"{len(lzma.compress(raw, preset=9)):,}"]
    return f"| {kind} | 1 in {one_in} | {'clustered' if clustered else 'scattered'} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="Stored bytes of arrays that are nearly all zeros.")
    parser.add_argument("--count", type=int, default=1 << 20)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    names = ["content", "not zero", "places", "order 0", "weft-fast", "weft", "weft-max", "zstd-19", "xz-9"]
    text = [
        "# Sparse\n",
        f"Made by `python -m bench.sparse` on {machine()}. {arguments.count:,} elements; stored bytes.\n",
        f"| {' | '.join(names)} |",
        "|---" * len(names) + "|",
    ]
    print("\n".join(text), flush=True)
    for clustered in (False, True):
        for kind in KINDS:
            for one_in in RARITIES:
                text.append(line(kind, arguments.count, one_in, clustered))
                print(text[-1], flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "sparse.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
