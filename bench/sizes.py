"""What weft makes of small inputs, to the byte: a change of the encoder that costs or saves space shows here.

python -m bench.sizes --check        compare with sizes.csv; exit 1 and list what differs
python -m bench.sizes --write        write sizes.csv anew, to be looked at and committed
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import codec
from bench.inputs import INPUTS, make

TABLE = Path(__file__).resolve().parent / "sizes.csv"
LEVELS = ("fast", "default", "max")
Sizes = dict[str, dict[str, int]]


def measure() -> Sizes:
    """Bytes of every input, as it is and at each level. Every result is decoded and compared."""
    sizes: Sizes = {}
    for name, entry in INPUTS.items():
        data = make(name)
        sizes[name] = {"original": len(data)}
        for level in LEVELS:
            blob = codec.compress(data, dtype=entry.dtype, level=level, threads=1)
            if codec.decompress(blob, threads=1) != data:
                raise ValueError(f"{name} at level {level} did not decode to the original")
            sizes[name][level] = len(blob)
    return sizes


def read(path: Path = TABLE) -> Sizes:
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        return {row.pop("input"): {column: int(size) for column, size in row.items()} for row in rows}


def write(sizes: Sizes, path: Path = TABLE) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["input", "original", *LEVELS])
        writer.writerows([name, *row.values()] for name, row in sizes.items())


def check(path: Path = TABLE) -> list[str]:
    """Differences between what is measured now and the table, one line each; empty when there are none."""
    now, before = measure(), read(path)
    lines = [f"{name}: not in {path.name}" for name in now.keys() - before.keys()]
    lines += [f"{name}: in {path.name}, but no longer an input" for name in before.keys() - now.keys()]
    for name in now.keys() & before.keys():
        for column, size in now[name].items():
            was = before[name].get(column)
            if was != size:
                lines.append(f"{name}, {column}: {size} bytes, was {was}")
    return sorted(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Sizes of small inputs, compared with sizes.csv or written to it.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true")
    action.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        write(measure())
        return 0
    differences = check()
    print("\n".join(differences) or "all sizes are as in the table")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
