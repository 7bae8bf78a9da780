"""The picture of a run: size against decode speed, a panel for each headline file, our levels picked out.

    python -m bench.chart [FOLDER]

draws results.png anew from the results.csv of a run (bench.run draws it too; default: bench/results).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter
from matplotlib.transforms import Bbox

from bench.peers import REGISTRY
from bench.report import RESULTS, read

Row = dict[str, Any]

INK, MUTED, GRID = "#1f2933", "#5f6b7a", "#e6eaee"
OURS, THEIRS = "#0b6e99", "#98a4b0"
PANELS = 3
LEFT_OUT = ("cp", "zstd-19", "blosc2", "z4ai-fast")  # second settings; they are in the tables
SPAN = 0.045  # of the original: sizes farther than this above the smallest stand at the lower edge
SLOWEST = 0.25  # GB/s: what is slower stands at the left edge
# Where a name may stand, in points from its marker: right, left, above, below, the corners; near, then far.
PLACES = [
    (x * far, y * far)
    for far in (1.0, 2.0, 3.2, 4.6)
    for x, y in ((10, 0), (-10, 0), (0, 9), (0, -9), (8, 8), (8, -8), (-8, 8), (-8, -8))
]


@dataclass(frozen=True)
class Point:
    """A codec in a panel. x and y are where it stands; the name tells what the edges hide."""

    codec: str
    x: float
    y: float
    name: str
    marker: str

    @property
    def ours(self) -> bool:
        return REGISTRY[self.codec].ours

    @property
    def portable(self) -> bool:
        return "portable" in self.codec


def draw(table: list[Row], path: Path) -> None:
    """Write the picture as PNG, from the rows of the smallest thread count, unless nothing was measured."""
    shown = [row for row in table if row.get("exact") == "yes"]
    shown = [row for row in shown if row["threads"] == min(row["threads"] for row in shown)]
    names = list(dict.fromkeys(row["file"] for row in shown if row["set"] == "headline"))
    names = (names or list(dict.fromkeys(row["file"] for row in shown)))[:PANELS]
    if not names:
        return
    threads = int(shown[0]["threads"])
    style = {"font.family": "DejaVu Sans", "font.size": 11, "text.color": INK, "axes.labelcolor": MUTED}
    with plt.rc_context(style):
        figure, axes = plt.subplots(1, len(names), figsize=(4.9 * len(names), 5.4), squeeze=False)
        panels = list(zip(axes[0], names, strict=True))
        points = [panel(axis, [row for row in shown if row["file"] == name]) for axis, name in panels]
        axes[0][0].set_ylabel("size, % of the original  (up is smaller)")
        title = f"Lossless size against decode speed, in memory, {threads} thread{'s' * (threads > 1)}"
        figure.suptitle(title, x=0.01, y=0.985, ha="left", fontsize=14, fontweight="bold")
        figure.tight_layout(rect=(0, 0, 1, 0.985), w_pad=2)
        for axis, there in zip(axes[0], points, strict=True):
            label(figure, axis, there)
        figure.savefig(path, dpi=160, facecolor="white")
        plt.close(figure)


def place(rows: list[Row]) -> list[Point]:
    """Points of one file; those off the scale are moved to its edge, with their true figure in the name."""
    lowest = min(row["ratio"] for row in rows) + SPAN
    points = []
    for row in rows:
        speed, ratio, name, marker = row["decode_gbps"], row["ratio"], row["codec"], "o"
        if ratio > lowest:
            name, marker = f"{name}, {ratio:.0%}", "v"
        if speed < SLOWEST:
            name, marker = f"{name}, {speed:.2f} GB/s", "<" if marker == "o" else "v"
        points.append(Point(row["codec"], max(speed, SLOWEST), min(ratio, lowest), name, marker))
    return points


def panel(axis: Axes, rows: list[Row]) -> list[Point]:
    """Axes, grid, the line of memcpy and the points of one file."""
    points = place([row for row in rows if row["codec"] not in (*LEFT_OUT, "memcpy")])
    for point in points:
        color = OURS if point.ours else THEIRS
        axis.scatter(
            point.x, point.y, s=100 if point.ours else 50, marker=point.marker, linewidths=1.8, clip_on=False,
            facecolor="white" if point.portable else color, edgecolor=color, zorder=4 if point.ours else 3,
        )  # fmt: skip
    for portable in (False, True):  # our levels are joined: with the machine's own SIMD, and without AVX-512
        family = sorted((p.x, p.y) for p in points if p.ours and p.portable == portable and p.marker == "o")
        xs, ys = [x for x, _ in family], [y for _, y in family]
        axis.plot(xs, ys, color=OURS, lw=1.3, alpha=0.45, zorder=2, ls="--" if portable else "-")
    smallest = min(row["ratio"] for row in rows)
    axis.set_ylim(smallest + SPAN, smallest - 0.09 * SPAN)
    axis.set_xscale("log")
    axis.set_xlim(SLOWEST, 1.35 * max(row["decode_gbps"] for row in rows if row["codec"] != "cp"))
    for row in rows:
        if row["codec"] == "memcpy":
            axis.axvline(row["decode_gbps"], color=MUTED, lw=1, ls=":", zorder=1)
            axis.annotate(
                "memcpy", (row["decode_gbps"], 0), xycoords=("data", "axes fraction"), xytext=(-3, 6),
                textcoords="offset points", rotation=90, ha="right", va="bottom", fontsize=9, color=MUTED,
            )  # fmt: skip
    axis.set_title(rows[0]["file"].removesuffix(".safetensors"), loc="left", fontsize=12, color=INK, pad=10)
    axis.set_xlabel("decode, GB/s")
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
    axis.yaxis.set_major_locator(plt.MultipleLocator(0.01))
    axis.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.grid(color=GRID, lw=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(which="both", colors=MUTED, length=0)
    for side in axis.spines.values():
        side.set_visible(False)
    return points


def overlap(a: Bbox, b: Bbox) -> float:
    """Area two boxes share, in square pixels."""
    width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(width, 0.0) * max(height, 0.0)


def label(figure: Figure, axis: Axes, points: list[Point]) -> None:
    """Name every point, where the name covers least of what is there already, and nearest to its point."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    frame = axis.get_window_extent(renderer)
    centres = [axis.transData.transform((point.x, point.y)) for point in points]
    taken = [Bbox.from_bounds(x - 8, y - 8, 16, 16) for x, y in centres]
    for point in sorted(points, key=lambda point: (not point.ours, point.marker == "o")):
        best: tuple[float, Any, Bbox] | None = None
        for x, y in PLACES:
            text = axis.annotate(
                point.name, (point.x, point.y), xytext=(x, y), textcoords="offset points",
                ha="left" if x > 0 else "right" if x < 0 else "center",
                va="bottom" if y > 0 else "top" if y < 0 else "center",
                fontsize=11 if point.ours else 9.5, fontweight="bold" if point.ours else "normal",
                color=OURS if point.ours else MUTED, zorder=5, annotation_clip=False,
                path_effects=[withStroke(linewidth=3, foreground="white")],
                arrowprops={"arrowstyle": "-", "color": THEIRS, "lw": 0.7, "shrinkB": 5}
                if max(abs(x), abs(y)) > 14 else None,
            )  # fmt: skip
            text.update_positions(renderer)
            box = Text.get_window_extent(text, renderer).padded(2)  # of the words, without the line to them
            outside = box.width * box.height - overlap(box, frame)
            cost = 10 * (outside + sum(overlap(box, other) for other in taken)) + (x * x + y * y) ** 0.5
            if best is None or cost < best[0]:
                if best is not None:
                    best[1].remove()
                best = (cost, text, box)
            else:
                text.remove()
        assert best is not None
        taken.append(best[2])


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    draw(read(folder), folder / "results.png")
