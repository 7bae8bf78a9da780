"""Sizes alone, a line a file: what `bench.run --sizes` measured, as sizes-by-kind.csv and .md.

A size counts only if the codec gave the bytes back. "fast" are the codecs that people can afford to wait for (FAST, one
setting each, and VARIANTS, other settings of the same); the rest shows what time could buy. Sums are over all files, so
a codec that failed on one has none.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.peers import REGISTRY
from bench.report import machine

if TYPE_CHECKING:
    from bench.run import Measured

FAST = ("zipnn", "openzl", "zstd-3", "blosc2", "z4ai", "bigsmall")
VARIANTS = ("openzl-small", "blosc2-bytes", "z4ai-tensors")
CODECS = ("weft-fast", "weft", "weft-max", *FAST, *VARIANTS, "zstd-19", "xz-9")
WANTED = 0.98  # of the best fast peer's size, over all files


@dataclass(frozen=True)
class Line:
    """One file: stored bytes of each codec that gave it back; the reasons of those that did not."""

    file: str
    group: str
    dtype: str
    size: int
    stored: dict[str, int]
    notes: dict[str, str]

    def best(self, codecs: Iterable[str]) -> str | None:
        """The codec of these that has the smallest size; of equals, the first."""
        known = [codec for codec in codecs if codec in self.stored]
        return min(known, key=lambda codec: self.stored[codec], default=None)


def peers(codecs: Iterable[str]) -> list[str]:
    return [codec for codec in codecs if not REGISTRY[codec].ours]


def fast(codecs: Iterable[str]) -> list[str]:
    return [codec for codec in codecs if codec in FAST or codec in VARIANTS]


def lines(measured: Iterable[Measured]) -> list[Line]:
    """What was measured, by file."""
    found: dict[str, Line] = {}
    for m in measured:
        line = found.setdefault(m.corpus.name, Line(m.corpus.name, m.corpus.group, m.corpus.dtype, m.size, {}, {}))
        if m.failure or not m.exact:
            line.notes[m.codec] = m.failure or "did not give the bytes back"
        else:
            line.stored[m.codec] = m.stored
    return list(found.values())


def earlier(paths: Iterable[Path]) -> dict[tuple[str, int], dict[str, int]]:
    """Stored bytes of each codec in tables of earlier runs, by name and bytes of a file. The last table says it."""
    found: dict[tuple[str, int], dict[str, int]] = {}
    for path in paths:
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                sizes = {codec: int(row[codec]) for codec in CODECS if row.get(codec, "-") != "-"}
                found.setdefault((row["file"], int(row["bytes"])), {}).update(sizes)
    return found


def complete(table: list[Line], measured: Sequence[str], known: dict[tuple[str, int], dict[str, int]]) -> list[str]:
    """Add what is known of codecs that were not measured; all codecs of the table, in the usual order."""
    codecs = set(measured)
    for line in table:
        more = {codec: size for codec, size in known.get((line.file, line.size), {}).items() if codec not in measured}
        line.stored.update(more)
        codecs |= set(more)
    return sorted(codecs, key=[*CODECS, *measured].index)


def total(table: list[Line], codec: str) -> int | None:
    """Bytes of all files, if the codec gave all of them back."""
    sizes = [line.stored.get(codec) for line in table]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def verdict(table: list[Line], rivals: Sequence[str], ours: str) -> str:
    """Ours beside the best of some peers for each file, over the files that any of them gave back."""
    pairs = [(line.stored[ours], line.best(rivals), line) for line in table if ours in line.stored]
    known = [(size, line.stored[best]) for size, best, line in pairs if best is not None]
    if not known:
        return f"{ours}: nothing to compare with."
    mine, theirs = (sum(sizes) for sizes in zip(*known, strict=True))
    reached = "yes" if mine <= WANTED * theirs else "**no**"
    return (
        f"{ours} <= {WANTED:g} of the sum of the best of {', '.join(rivals)} per file: "
        f"{mine:,} / {theirs:,} = {mine / theirs:.4f}: {reached}."
    )


def larger(table: list[Line], codecs: list[str], ours: str) -> list[str]:
    """The files of which some peer's size is below ours, each with that peer and by how much ours is larger."""
    found = []
    for line in table:
        best = line.best(peers(codecs))
        if ours not in line.stored:
            found.append(f"{line.file}: {ours} failed: {line.notes.get(ours, 'not measured')}")
        elif best is not None and line.stored[best] < line.stored[ours]:
            quotient = line.stored[ours] / line.stored[best]
            found.append(f"{line.file}: {line.stored[ours]:,}, {quotient:.4f} of {best}'s {line.stored[best]:,}")
    return found


def markdown(table: list[Line], codecs: list[str], versions: dict[str, str]) -> str:
    """The table, sums and verdicts; the smallest of a line is bold."""
    rivals = peers(codecs)
    head = ["file", "set", "bytes", *codecs, "best peer"]
    text = ["# Sizes by kind of file\n"]
    text.append(f"Made by `python -m bench.run --sizes` on {machine()}. One turn of each codec, checked bit for bit.\n")
    text += [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for line in table:
        smallest = min(line.stored.values(), default=0)
        ratios = {c: f"{line.stored[c] / max(line.size, 1):.4f}" for c in codecs if c in line.stored}
        cells = [f"**{ratios[c]}**" if line.stored.get(c) == smallest else ratios.get(c, "-") for c in codecs]
        text.append(
            f"| {line.file} | {line.group} | {line.size:,} | {' | '.join(cells)} | {line.best(rivals) or '-'} |"
        )
    whole = sum(line.size for line in table)
    sums = {codec: total(table, codec) for codec in codecs}
    cells = ["-" if size is None else f"{size / max(whole, 1):.4f}" for size in sums.values()]
    text.append(f"| all | | {whole:,} | {' | '.join(cells)} | |\n")
    for ours in ("weft", "weft-max"):
        if ours in codecs:
            named = [codec for codec in codecs if codec in FAST]
            text += [f"{verdict(table, rivals, ours)}\n" for rivals in dict.fromkeys(map(tuple, (named, fast(codecs))))]
    for ours in ("weft", "weft-max"):
        if ours in codecs and (found := larger(table, codecs, ours)):
            text.append(f"Not the smallest at {ours}:\n")
            text.append("\n".join(f"- {item}" for item in found) + "\n")
    reasons = {f"{codec}: {reason}" for line in table for codec, reason in line.notes.items()}
    if reasons:
        text.append("Not counted:\n")
        text.append("\n".join(f"- {reason.replace('|', '/')}" for reason in sorted(reasons)) + "\n")
    text.append(f"Versions: {', '.join(f'{codec} {version}' for codec, version in versions.items())}.\n")
    return "\n".join(text)


def write(table: list[Line], codecs: list[str], versions: dict[str, str], folder: Path) -> str:
    """Write sizes-by-kind.csv (bytes) and sizes-by-kind.md (fractions) to the folder; return the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    rivals = peers(codecs)
    with (folder / "sizes-by-kind.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "set", "dtype", "bytes", *codecs, "best_peer", "best_fast_peer"])
        for line in table:
            sizes = [line.stored.get(codec, "-") for codec in codecs]
            best = [line.best(rivals) or "-", line.best(fast(codecs)) or "-"]
            writer.writerow([line.file, line.group, line.dtype, line.size, *sizes, *best])
    text = markdown(table, codecs, versions)
    (folder / "sizes-by-kind.md").write_text(text)
    return text
