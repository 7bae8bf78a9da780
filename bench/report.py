"""What a run measured, as rows: one per file, codec and thread count; written as CSV and Markdown, drawn by
chart.py.
"""

from __future__ import annotations

import csv
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.peers import REGISTRY

if TYPE_CHECKING:
    from bench.run import Measured

RESULTS = Path(__file__).resolve().parent / "results"
REFERENCES = ("zipnn", "openzl")
COPIES = ("memcpy", "cp")
MEMORY = {
    "kept": "Freed memory stays with each process.",
    "system": "Memory is the system allocator's, as in a plain program (`--memory system`).",
}
SIZE_FILES = 3  # with more files than this, sizes get a table of their own, files down and codecs across
Row = dict[str, Any]


def per_round(rounds: list[list[float]]) -> list[float]:
    """Seconds of each round: the median of its calls."""
    return [median(times) for times in rounds]


def speedup(ours: list[list[float]], theirs: list[list[float]]) -> float | None:
    """How many times faster than a reference: the median of the quotients of rounds both took part in."""
    pairs = list(zip(per_round(ours), per_round(theirs), strict=False))
    return median(their / our for our, their in pairs) if pairs else None


def rows(measured: Iterable[Measured]) -> list[Row]:
    """Figures of every measurement; a codec that gave none has its reason in `note` and nothing else."""
    measured = list(measured)
    index = {(m.corpus.name, m.threads, m.codec): m for m in measured}
    table: list[Row] = []
    for m in measured:
        row: Row = {
            "file": m.corpus.name,
            "set": m.corpus.group,
            "dtype": m.corpus.dtype,
            "bytes": m.size,
            "codec": m.codec,
            "version": m.version,
            "threads": m.threads,
        }
        if m.failure or not m.encode:
            row["note"] = m.failure or "no result"
            table.append(row)
            continue
        row |= {"stored": m.stored, "ratio": round(m.stored / m.size, 5), "rounds": len(m.encode)}
        for kind in ("encode", "decode"):
            rounds: list[list[float]] = getattr(m, kind)
            seconds = [time for times in rounds for time in times]
            row[f"{kind}_gbps"] = m.size / median(per_round(rounds)) / 1e9
            row[f"{kind}_gbps_best"] = m.size / min(seconds) / 1e9
            row[f"{kind}_cores"] = getattr(m, f"{kind}_cpu") / sum(seconds)
            for name in REFERENCES:
                other = index.get((m.corpus.name, m.threads, name))
                if other is not None and other.encode:
                    row[f"{kind}_vs_{name}"] = speedup(rounds, getattr(other, kind))
                    row[f"size_vs_{name}"] = m.stored / other.stored
        row["exact"] = "yes" if m.exact else "no"
        row["note"] = "" if m.exact else "did not give the bytes back"
        table.append(row)
    return table


COLUMNS = (
    *("file", "set", "dtype", "bytes", "codec", "version", "threads", "stored", "ratio", "rounds", "exact"),
    *(f"{kind}_{figure}" for kind in ("encode", "decode") for figure in ("gbps", "gbps_best", "cores")),
    *(f"{what}_vs_{name}" for name in REFERENCES for what in ("size", "encode", "decode")),
    "note",
)


def write(table: list[Row], folder: Path, memory: str = "kept") -> None:
    """Write results.csv, results.md and, where matplotlib is installed, results.png."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for row in table:
            rounded = {k: f"{v:.4g}" for k, v in row.items() if isinstance(v, float) and k != "ratio"}
            writer.writerow(row | rounded)
    (folder / "results.md").write_text(markdown(table, memory))
    try:
        from bench.chart import draw
    except ImportError as error:
        print(f"no chart: {error}", file=sys.stderr)
    else:
        draw(table, folder / "results.png")


def read(folder: Path) -> list[Row]:
    """The rows of results.csv, with numbers as numbers and what was not measured as None."""
    text = {"file", "set", "dtype", "codec", "version", "exact", "note"}
    with (folder / "results.csv").open(newline="") as file:
        rows = csv.DictReader(file)
        return [{k: v if k in text else float(v) if v else None for k, v in row.items()} for row in rows]


def machine() -> str:
    """The processor and what of AVX-512 it has, how many CPUs may be used, the system and the Python."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().split("\n\n")[0].splitlines() if info.exists() else []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    model = fields.get("model name") or platform.processor() or platform.machine()
    simd = [flag for flag in ("avx2", "avx512f", "avx512_vbmi2") if flag in fields.get("flags", "").split()]
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return f"{model} ({', '.join(simd) or 'no AVX'}), {cpus} CPUs, {system}, Python {platform.python_version()}"


def cell(row: Row, key: str, form: str) -> str:
    value = row.get(key)
    return "-" if value in (None, "") else format(value, form)


def note(row: Row) -> str:
    return str(row.get("note") or "").replace("|", "/")


def file_table(table: list[Row]) -> str:
    """One file at one thread count: a line for each codec."""
    lines = [
        "| codec | size | encode, GB/s (best) | decode, GB/s (best) | encode × zipnn | decode × zipnn | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in table:
        name = f"**{row['codec']}**" if REGISTRY[row["codec"]].ours else row["codec"]
        cells = [name, cell(row, "ratio", ".4f")]
        for kind in ("encode", "decode"):
            usual, best = (cell(row, f"{kind}_{figure}", ".3g") for figure in ("gbps", "gbps_best"))
            cells.append(usual if usual == "-" else f"{usual} ({best})")
        cells += [cell(row, f"{kind}_vs_zipnn", ".3g") for kind in ("encode", "decode")]
        lines.append(f"| {' | '.join(cells)} | {note(row)} |")
    return "\n".join(lines)


def size_table(table: list[Row]) -> str:
    """Sizes as fractions of the original, a line a file; the smallest is bold, "≠" means not exact."""
    codecs = [c for c in dict.fromkeys(row["codec"] for row in table) if c not in COPIES and "portable" not in c]
    lines = [f"| file | bytes | {' | '.join(codecs)} |", "|---" * (len(codecs) + 2) + "|"]
    for name in dict.fromkeys(row["file"] for row in table):
        found = {row["codec"]: row for row in table if row["file"] == name}
        ratios = {c: found[c]["ratio"] for c in codecs if found.get(c, {}).get("exact") == "yes"}
        smallest = min(ratios.values(), default=0)
        cells = [cell(found.get(c, {}), "ratio", ".4f") for c in codecs]
        marked = [f"**{t}**" if ratios.get(c) == smallest else t for c, t in zip(codecs, cells, strict=True)]
        marked = [t + " ≠" * (found.get(c, {}).get("exact") == "no") for c, t in zip(codecs, marked, strict=True)]
        size = next(iter(found.values()))["bytes"]
        lines.append(f"| {name} | {int(size):,} | {' | '.join(marked)} |")
    return "\n".join(lines)


def markdown(table: list[Row], memory: str = "kept") -> str:
    """The whole report: the machine, a table of speeds for each headline file, and one of all sizes."""
    parts = ["# Results\n", f"Made by `python -m bench.run` on {machine()}. {MEMORY[memory]}\n"]
    sets = {row["file"]: row["set"] for row in table}
    names = list(sets)
    shown = [name for name in names if sets[name] in ("headline", "large", "given")] or names[:SIZE_FILES]
    for threads in dict.fromkeys(row["threads"] for row in table):
        for name in shown:
            chosen = [row for row in table if row["file"] == name and row["threads"] == threads]
            plural = "s" if threads > 1 else ""
            parts.append(f"## {name}, {int(chosen[0]['bytes']):,} bytes, {int(threads)} thread{plural}\n")
            parts.append(file_table(chosen) + "\n")
    if len(names) > SIZE_FILES:
        first = [row for row in table if row["threads"] == table[0]["threads"]]
        parts += ["## Sizes of all files\n", size_table(first) + "\n"]
    versions = {row["codec"]: row["version"] for row in table if row["version"]}
    parts.append(f"Versions: {', '.join(f'{codec} {version}' for codec, version in versions.items())}.\n")
    return "\n".join(parts)
