"""What weft set out to reach, beside what the last run measured.

    python -m bench.targets [FOLDER]       reads results.csv of a run of bench.run (default: bench/results)

A speed of "n x zipnn" is the median, over the rounds, of the two times' quotient in the same round. Sizes
are fractions of the original. "-" is what the run did not measure.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.corpora import data_folders
from bench.report import RESULTS, cell, read

Row = dict[str, Any]
Table = dict[tuple[str, str, int], Row]

BF16, FP32, FP16 = (f"minilm-{name}.safetensors" for name in ("bf16", "fp32", "fp16"))
CLOSE = 1.005  # to what MANIFEST.md says is reachable
PEER_COLUMNS = ("zipnn", "blosc2", "z4ai", "bigsmall")


@dataclass(frozen=True)
class Target:
    """One line: measured must be at most the bound, or at least it, or below it."""

    text: str
    sign: str
    bound: float
    measured: float | None

    @property
    def reached(self) -> bool | None:
        if self.measured is None:
            return None
        return {
            "<=": self.measured <= self.bound,
            ">=": self.measured >= self.bound,
            "<": self.measured < self.bound,
        }[self.sign]


def lookup(table: Table, file: str, codec: str, column: str, threads: int = 1) -> float | None:
    row = table.get((file, codec, threads), {})
    value = row.get(column)
    return value if row.get("exact") == "yes" and isinstance(value, float) else None


def sizes(table: Table) -> Iterator[Target]:
    for file, bound in ((BF16, 0.6580), (FP32, 0.8150), (FP16, 0.8450)):
        yield Target(f"size, {file}", "<=", bound, lookup(table, file, "weft", "ratio"))
    fast = lookup(table, BF16, "weft-fast", "size_vs_zipnn")
    yield Target(f"size of weft-fast / zipnn's, {BF16}", "<=", 1.0, fast)


def speeds(table: Table) -> Iterator[Target]:
    """One thread, in memory, with the machine's own SIMD and then without AVX-512."""
    wanted = (
        (BF16, "weft", "decode", "zipnn", 2.5),
        (BF16, "weft", "decode", "openzl", 2.5),
        (BF16, "weft", "encode", "zipnn", 3.0),
        (BF16, "weft", "encode", "openzl", 2.0),
        (FP32, "weft", "decode", "zipnn", 2.0),
        (FP32, "weft", "encode", "zipnn", 2.0),
        (FP16, "weft", "decode", "zipnn", 2.0),
        (FP16, "weft", "encode", "zipnn", 2.0),
        (BF16, "weft-fast", "decode", "zipnn", 3.0),
        (BF16, "weft-fast", "encode", "zipnn", 2.0),
        (BF16, "weft-portable", "decode", "zipnn", 1.0),
        (BF16, "weft-fast-portable", "decode", "zipnn", 2.0),
        (BF16, "weft-fast-portable", "encode", "zipnn", 1.0),
    )
    for file, codec, kind, peer, bound in wanted:
        measured = lookup(table, file, codec, f"{kind}_vs_{peer}")
        yield Target(f"{codec} {kind}, x {peer}, {file}", ">=", bound, measured)


def threads(table: Table) -> Iterator[Target]:
    for codec in ("weft", "weft-fast"):
        for kind in ("encode", "decode"):
            one, two = (lookup(table, BF16, codec, f"{kind}_gbps", count) for count in (1, 2))
            gain = two / one if one and two else None
            yield Target(f"{codec} {kind}, 2 threads x 1, {BF16}", ">=", 1.7, gain)


def manifest() -> dict[str, dict[str, float]]:
    """The table of MANIFEST.md in a data folder: file -> column -> fraction; empty where there is none."""
    found: dict[str, dict[str, float]] = {}
    for path in (folder / "MANIFEST.md" for folder in data_folders()):
        columns: list[str] = []
        for line in path.read_text().splitlines() if path.exists() else []:
            cells = [part.strip() for part in line.strip().strip("|").split("|")]
            if "reachable" in cells:
                columns = cells
            elif not line.startswith("|"):
                columns = []
            elif columns and not cells[0].startswith("---"):
                pairs = zip(columns[3:], cells[3:], strict=False)
                found[cells[0]] = {column: float(text) for column, text in pairs if text not in ("", "-")}
    return found


def data(table: Table) -> Iterator[Target]:
    """Every safetensors file of the data folder: near what is reachable, and smaller than each peer."""
    for file, known in manifest().items():
        if not file.endswith(".safetensors"):
            continue
        ratio = lookup(table, file, "weft", "ratio")
        if "reachable" in known:
            yield Target(f"size, {file}, of reachable", "<=", round(known["reachable"] * CLOSE, 4), ratio)
        peers = {name: known[name] for name in PEER_COLUMNS if name in known}
        smallest = min(peers, key=lambda name: peers[name])
        yield Target(f"size, {file}, {smallest}'s in the manifest", "<", peers[smallest], ratio)
    for file in dict.fromkeys(name for name, _, _ in table):
        rivals = {
            codec: row["ratio"]
            for (name, codec, count), row in table.items()
            if name == file and count == 1 and not codec.startswith("weft") and row["exact"] == "yes"
        }
        if rivals:
            smallest = min(rivals, key=lambda codec: rivals[codec])
            text = f"size, {file}, {smallest}'s here, the smallest of all peers"
            yield Target(text, "<", rivals[smallest], lookup(table, file, "weft", "ratio"))


def report(rows: list[Row]) -> str:
    table: Table = {(row["file"], row["codec"], int(row["threads"])): row for row in rows}
    targets = [*sizes(table), *speeds(table), *threads(table), *data(table)]
    lines = ["| target | wanted | measured | reached |", "|---|---|---|---|"]
    for target in targets:
        reached = {None: "-", True: "yes", False: "**no**"}[target.reached]
        measured = cell({"measured": target.measured}, "measured", ".4g")
        lines.append(f"| {target.text} | {target.sign} {target.bound:g} | {measured} | {reached} |")
    count = sum(target.reached is True for target in targets)
    known = sum(target.reached is not None for target in targets)
    lines += ["", f"{count} of {known} measured targets reached; {len(targets) - known} not measured."]
    return "\n".join(lines)


def main() -> None:
    print(report(read(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS)))


if __name__ == "__main__":
    main()
