"""Where the bits of a weft file go, as a picture; matplotlib draws it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from codec.cli.families import by_family, rows_of, shortened
from codec.cli.text import percent, printable, size

if TYPE_CHECKING:
    from codec.anatomy import Anatomy, TensorAnatomy

#: Tensors with a bar of their own.
ROWS: Final = 24

_INK, _FAINT, _GHOST, _PLAIN = "#1c1b1a", "#6b6762", "#e9e6e2", "#57534e"
#: Inches: of the picture, of a row, of a line of the legend, where that begins, and of what else stands above the rows.
_WIDE, _ROW, _LINE, _LEGEND, _GAP = 12.0, 0.29, 0.27, 1.76, 0.62
#: Entries in a line of the legend, and characters of one that there is room for.
_EACH: Final = 3
_LABEL: Final = 30
#: Parts of the width: where the bars of sizes begin and end, and those of bits.
_SIZES: Final = (0.315, 0.435)
_BITS: Final = (0.455, 0.735)
#: Where the columns of numbers end.
_COLUMNS: Final = (0.802, 0.858, 0.914, 0.97)


def figure_class() -> Any:
    """What a picture is drawn on. Raises ImportError, which says how to install it."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError('--plot needs matplotlib: pip install "weft[plot]"') from None
    return Figure


def picture(name: str, found: Anatomy) -> bytes:
    """A PNG, for a file of that name."""
    shown, others, count = rows_of(found, ROWS)
    rows = [(printable(t.name) or '""', t, False) for t in shown]
    if others is not None:
        rows.append((f"{count:,} smaller tensors", others, True))
    if found.rest.stored_bytes:
        rows.append(("bytes of no tensor" if found.tensors else "all bytes", found.rest, True))
    lines = -(-len(by_family(found.fields)) // _EACH)
    tall = _LEGEND + _LINE * lines + _GAP + _ROW * len(rows)
    figure = figure_class()(figsize=(_WIDE, tall), dpi=150, facecolor="white")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name may be of any script
        _headline(figure, tall, name, found)
        _whole(figure, tall, found)
        if rows:
            _rows(figure, tall, rows)
        out = io.BytesIO()
        figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def _write(figure: Any, x: float, y: float, text: str, **how: Any) -> None:
    """Text as it is, whatever dollars are in it."""
    style: dict[str, Any] = {"color": _INK, "fontsize": 9.5, "va": "center", "parse_math": False} | how
    figure.text(x, y, text, **style)


def _headline(figure: Any, tall: float, name: str, found: Anatomy) -> None:
    _write(figure, 0.03, 1 - 0.38 / tall, shortened(printable(name), 72), fontsize=16, weight="bold")
    facts = [f"{size(found.original_bytes)} → {size(found.stored_bytes)}", percent(found.ratio)]
    if found.bits_per_element:
        facts.append(f"{found.bits_per_element:.2f} bits per element")
    facts += [f"{len(found.tensors):,} tensors", f"level {printable(found.level)}"]
    _write(figure, 0.03, 1 - 0.74 / tall, "   ·   ".join(facts), fontsize=11, color=_FAINT)


def _axes(figure: Any, place: tuple[float, float, float, float]) -> Any:
    axes = figure.add_axes(place)
    axes.axis("off")
    return axes


def _stack(axes: Any, y: float, tall: float, full: float, fields: Mapping[str, float]) -> None:
    """A bar: what the original takes in grey, what is stored of it in colours."""
    axes.barh(y, full, tall, color=_GHOST, linewidth=0)
    at = 0.0
    for family, count, _ in by_family(fields):
        axes.barh(y, count, tall, at, color=family.light, edgecolor="white", linewidth=0.4)
        at += count


def _whole(figure: Any, tall: float, found: Anatomy) -> None:
    full = max(1, found.original_bytes, found.stored_bytes)
    axes = _axes(figure, (0.03, 1 - 1.5 / tall, 0.94, 0.45 / tall))
    axes.set_xlim(0, full)
    axes.set_ylim(-0.5, 0.5)
    _stack(axes, 0, 1, found.original_bytes, found.fields)
    free = full - found.stored_bytes
    if free > 0.08 * full:
        _inside(axes, found.stored_bytes + free / 2, f"saved {percent(free / full)}", _FAINT)
    for k, (family, count, names) in enumerate(by_family(found.fields)):
        x, y = 0.03 + 0.94 * (k % _EACH) / _EACH, 1 - (_LEGEND + _LINE * (k // _EACH)) / tall
        _write(figure, x, y, "■", color=family.light, fontsize=12)
        first = names.split(", ")[0]
        text = names if len(names) <= _LABEL or first == names else f"{first}, …"
        _write(figure, x + 0.016, y, shortened(text, _LABEL + 3), fontsize=9)
        amount = f"{size(count)} · {percent(count / max(1, found.stored_bytes))}"
        _write(figure, x + 0.94 / _EACH - 0.03, y, amount, fontsize=9, ha="right", color=_FAINT)


def _inside(axes: Any, x: float, text: str, color: str) -> None:
    axes.text(x, 0, text, color=color, fontsize=9.5, ha="center", va="center", parse_math=False)


def _rows(figure: Any, tall: float, rows: list[tuple[str, TensorAnatomy, bool]]) -> None:
    below, high = 0.2 / tall, _ROW * len(rows) / tall
    sizes = _axes(figure, (_SIZES[0], below, _SIZES[1] - _SIZES[0], high))
    bits = _axes(figure, (_BITS[0], below, _BITS[1] - _BITS[0], high))
    full = max(1, *(max(t.original_bytes, t.stored_bytes) for _, t, _ in rows))
    for axes, most in ((sizes, full), (bits, 1.0)):
        axes.set_xlim(0, most)
        axes.set_ylim(len(rows) - 0.5, -0.5)
    heads = below + high + 0.13 / tall
    style = {"fontsize": 8.5, "color": _FAINT}
    _write(figure, 0.03, heads, "tensor, the largest first", **style)
    _write(figure, _SIZES[0], heads, "size (grey: original)", **style)
    _write(figure, _BITS[0], heads, "where its bits go", **style)
    for x, text in zip(_COLUMNS, ("original", "stored", "ratio", "bits each"), strict=True):
        _write(figure, x, heads, text, ha="right", **style)
    for k, (name, t, summed) in enumerate(rows):
        sizes.barh(k, t.original_bytes, 0.62, color=_GHOST, linewidth=0)
        sizes.barh(k, t.stored_bytes, 0.62, color=_PLAIN, linewidth=0)
        longest = max(1, t.original_bytes, t.stored_bytes)
        _stack(bits, k, 0.62, t.original_bytes / longest, {f: n / longest for f, n in t.fields.items()})
        y = below + high * (1 - (k + 0.5) / len(rows))
        font = {"style": "italic", "color": _FAINT} if summed else {"family": "monospace"}
        _write(figure, 0.03, y, shortened(name, 40), fontsize=8.2, **font)
        ratio = percent(t.stored_bytes / t.original_bytes) if t.original_bytes else ""
        each = f"{t.bits_per_element:.2f}" if t.original_bytes and t.elements and (t.dtype or not summed) else ""
        for x, text in zip(_COLUMNS, (size(t.original_bytes), size(t.stored_bytes), ratio, each), strict=True):
            _write(figure, x, y, text, fontsize=8.5, ha="right")
