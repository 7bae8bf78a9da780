"""How fast each kind of content decodes: GB/s of original bytes, one thread, in memory, beside a copy.

    python -m bench.decode_kinds [--only a,b] [--level default] [--rounds N] [--out FOLDER]

What is measured is bench/contents.py's; each is coded once, and in every round all of them are decoded, into a buffer
that has been written before, one after the other, and copied to it. Speeds are medians of the rounds, by wall time (the
best beside it) and by processor time, which others on the machine disturb less: a copy is short enough to escape them,
and a decode is not. "x copy" is the median of the quotients of processor time taken within each round. Every content is
compared once. A content may fit a large cache, for its copy as for its decoding. Writes FOLDER/decode-kinds.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

import codec
from bench.contents import CONTENTS
from bench.report import RESULTS, machine

CALLED_BYTES = 32 << 20  # a turn repeats its call until it has made about this much


@dataclass
class Content:
    name: str
    data: np.ndarray
    blob: bytes
    wall: list[float] = field(default_factory=list)
    decoding: list[float] = field(default_factory=list)
    copying: list[float] = field(default_factory=list)

    def turn(self, out: np.ndarray) -> None:
        """Decode and copy, several times each; keeps the medians."""
        calls = max(1, CALLED_BYTES // self.data.size)
        wall, decoding, copying = [], [], []
        for _ in range(calls):
            began, start = time.perf_counter(), time.process_time()
            codec.decompress_into(self.blob, out, threads=1)
            middle, ended = time.process_time(), time.perf_counter()
            np.copyto(out, self.data)
            copying.append(time.process_time() - middle)
            decoding.append(middle - start)
            wall.append(ended - began)
        self.wall.append(median(wall))
        self.decoding.append(median(decoding))
        self.copying.append(median(copying))

    def row(self) -> str:
        size = self.data.size
        quotient = median(c / d for c, d in zip(self.copying, self.decoding, strict=True))
        figures = [
            f"{size / median(self.wall) / 1e9:.3g} ({size / min(self.wall) / 1e9:.3g})",
            f"{size / median(self.decoding) / 1e9:.3g}",
            f"{size / median(self.copying) / 1e9:.3g}",
            f"{quotient:.3f}",
        ]
        return f"| {self.name} | {size:,} | {len(self.blob) / size:.4f} | {' | '.join(figures)} |"


def prepared(name: str, level: str) -> Content:
    """A content, coded, and found to decode to itself."""
    data = np.frombuffer(CONTENTS[name](), np.uint8)
    blob = codec.compress(data.tobytes(), level=level, threads=1)
    if codec.decompress(blob, threads=1) != data.tobytes():
        raise ValueError(f"{name} did not decode to the original")
    return Content(name, data, blob)


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast each kind of content decodes.")
    parser.add_argument("--only", help=f"comma-separated (default: all of {'; '.join(CONTENTS)})")
    parser.add_argument("--level", default="default")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    contents = []
    for name in arguments.only.split(",") if arguments.only else CONTENTS:
        try:
            contents.append(prepared(name, arguments.level))
        except ImportError as error:
            print(f"left out: {name} ({error})", file=sys.stderr)
    rooms = [np.zeros(content.data.size, np.uint8) for content in contents]
    for _ in range(arguments.rounds):
        for content, room in zip(contents, rooms, strict=True):
            content.turn(room)
    text = [
        "# Decoding, by kind of content\n",
        f"Made by `python -m bench.decode_kinds` on {machine()}. Level {arguments.level}, one thread, "
        f"{arguments.rounds} rounds.\n",
        "| content | bytes | size | decode, GB/s (best) | by processor time | copy, by the same | × copy |",
        "|---" * 7 + "|",
        *(content.row() for content in contents),
    ]
    print("\n".join(text))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "decode-kinds.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
