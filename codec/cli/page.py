"""Where the bits of a weft file go, as one HTML page that needs nothing else: no script, no font, no image."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from codec.cli.families import FAMILIES, Family, by_family, rows_of, shortened
from codec.cli.text import percent, printable, size

if TYPE_CHECKING:
    from codec.anatomy import Anatomy, TensorAnatomy

#: Tensors with a row of their own.
ROWS: Final = 300
#: Characters of a name that there is room for.
_NAME: Final = 42

_STYLE: Final = """
:root { color-scheme: light dark; --ground: #fbfbfa; --card: #fff; --ink: #1c1b1a; --faint: #6b6762; --line: #e4e1dd;
  --ghost: #eceae7; LIGHT }
@media (prefers-color-scheme: dark) { :root { --ground: #161514; --card: #1f1d1c; --ink: #f0eeec; --faint: #a09a94;
  --line: #35322f; --ghost: #2b2927; DARK } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 84rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.05rem }
p { margin: .25rem 0; color: var(--faint) }
.figures { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.5rem 0 0; padding: 0 }
.figures div { flex: 1 1 9rem; padding: .8rem 1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px }
.figures dt { color: var(--faint); font-size: .82rem }
.figures dd { margin: 0; font-size: 1.5rem; font-weight: 650; font-variant-numeric: tabular-nums }
.bar { display: flex; overflow: hidden; background: var(--ghost); border-radius: 3px; height: 1rem }
.bar i { display: block; min-width: 0; border-right: 1px solid var(--ground) }
.bar i:last-child { border-right: 0 }
.whole .bar { height: 2.4rem; border-radius: 8px }
.legend { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .45rem 1.5rem;
  margin: 1.1rem 0 0; padding: 0; list-style: none }
.legend li { display: grid; grid-template-columns: .9rem 1fr auto; gap: .6rem; align-items: baseline }
.legend b { font-weight: 600 }
.legend b + small { display: block; color: var(--faint) }
.legend span:last-child { font-variant-numeric: tabular-nums; white-space: nowrap }
.legend i { width: .9rem; height: .9rem; border-radius: 3px; align-self: center }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 10px }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: .36rem .55rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line) }
tr:last-child > * { border-bottom: 0 }
thead th { color: var(--faint); font-size: .8rem; font-weight: 500 }
th[scope=row] { font: 13px/1.5 ui-monospace, Menlo, Consolas, monospace; text-align: left }
.note th[scope=row] { color: var(--faint); font-style: italic }
td.size { width: 10%; min-width: 5rem }
td.bits { width: 24%; min-width: 10rem; padding-right: .9rem }
td.size .bar { height: .55rem }
td.size .bar i { background: var(--faint) }
td small { color: var(--faint) }
@media (forced-colors: active) { .bar, .bar i, .legend i { forced-color-adjust: none } }
"""


def page(name: str, found: Anatomy) -> str:
    """The page, for a file of that name. Whatever names hold, they are text in it."""
    title = f"{_text(name)}: where the bits go"
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{title}</title><style>{_style()}</style></head><body>",
            f"<h1>{_text(name)}</h1>",
            f"<p>Where the bits go &middot; level {_text(found.level)}, made from {_text(found.source)}</p>",
            _figures(found),
            "<h2>The whole file</h2>",
            _whole(found),
            _legend(found),
            "<h2>Tensors, the largest first</h2>",
            "<p>Grey is the original, coloured what is stored of it; every bar of bits is as long as its original.</p>",
            _table(found),
            "</body></html>\n",
        )
    )


def _text(value: object) -> str:
    return escape(printable(value))


def _style() -> str:
    light = "; ".join(f"--{family.key}: {family.light}" for family in FAMILIES)
    dark = "; ".join(f"--{family.key}: {family.dark}" for family in FAMILIES)
    return _STYLE.replace("LIGHT", light).replace("DARK", dark)


def _figures(found: Anatomy) -> str:
    figures = [
        ("stored", size(found.stored_bytes)),
        ("original", size(found.original_bytes)),
        ("stored / original", percent(found.ratio)),
        ("tensors", f"{len(found.tensors):,}"),
    ]
    if found.bits_per_element:
        figures.insert(3, ("bits per element", f"{found.bits_per_element:.2f}"))
    return f'<dl class="figures">{"".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in figures)}</dl>'


def _bar(parts: list[tuple[Family, int, str]], full: int, what: str) -> str:
    """A bar of ``full`` bytes, of which the parts are stored."""
    stored = sum(count for _, count, _ in parts)
    said = "; ".join(f"{names} {size(count)}" for _, count, names in parts)
    label = f"{what}: {size(stored)} stored of {size(full)}: {said}"
    pieces = "".join(
        f'<i style="width:{count / max(1, full, stored) * 100:.3f}%;background:var(--{family.key})" '
        f'title="{_text(f"{names}: {size(count)}, {percent(count / max(1, stored))}")}"></i>'
        for family, count, names in parts
    )
    return f'<div class="bar" role="img" aria-label="{_text(label)}">{pieces}</div>'


def _whole(found: Anatomy) -> str:
    full = max(found.original_bytes, found.stored_bytes)
    return (
        f'<div class="whole">{_bar(by_family(found.fields), full, "the whole file")}</div>'
        f"<p>The bar is as long as the original, {size(found.original_bytes)}.</p>"
    )


def _legend(found: Anatomy) -> str:
    rows = []
    for family, count, names in by_family(found.fields):
        more = f"<small>{_text(names)}</small>" if names != family.label else ""
        amount = f"{size(count)} &middot; {percent(count / max(1, found.stored_bytes))}"
        rows.append(
            f'<li><i style="background:var(--{family.key})"></i><span><b>{family.label}</b>{more}</span>'
            f"<span>{amount}</span></li>"
        )
    return f'<ul class="legend">{"".join(rows)}</ul>'


def _table(found: Anatomy) -> str:
    shown, others, count = rows_of(found, ROWS)
    most = max((t.original_bytes for t in shown), default=0)
    rows = [_row(t, _name(t.name), most, t.name) for t in shown]
    if others is not None:
        rows.append(
            _row(others, f"{count:,} smaller tensors", max(most, others.original_bytes), "smaller tensors", "note")
        )
    if found.rest.stored_bytes:
        rest = found.rest
        label = "bytes of no tensor" if found.tensors else "all bytes"
        rows.append(_row(rest, label, max(most, rest.original_bytes), label, "note"))
    head = "<th>tensor</th><th>type</th><th>shape</th><th>original</th><th>stored</th><th>ratio</th><th>bits each</th>"
    head = head.replace("<th>", '<th scope="col">').replace('col">tensor', 'col" style="text-align:left">tensor')
    head += '<th scope="col" style="text-align:left">size</th><th scope="col" style="text-align:left">bits</th>'
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _name(name: str) -> str:
    """A name with its middle left out, if there is no room for it."""
    shown = printable(name)
    short = escape(shortened(shown, _NAME))
    return f"<bdi>{short}</bdi>" if len(shown) <= _NAME else f'<bdi title="{escape(shown)}">{short}</bdi>'


def _row(t: TensorAnatomy, label: str, most: int, what: str, kind: str = "") -> str:
    shape = " × ".join(f"{d}" for d in t.shape) if not kind else ""
    each = f"{t.bits_per_element:.2f}" if t.elements and t.original_bytes and (t.dtype or not kind) else ""
    ratio = percent(t.stored_bytes / t.original_bytes) if t.original_bytes else ""
    whole = max(1, t.original_bytes, t.stored_bytes)
    wide, held = whole / max(1, most, whole) * 100, t.stored_bytes / whole * 100
    sizes = f'<div class="bar" style="width:{wide:.3f}%;min-width:2px"><i style="width:{held:.3f}%"></i></div>'
    bits = _bar(by_family(t.fields), t.original_bytes, shortened(printable(what), _NAME)) if t.stored_bytes else ""
    cells = (
        _text(t.dtype),
        f"<small>{_text(shape)}</small>",
        size(t.original_bytes),
        size(t.stored_bytes),
        ratio,
        each,
    )
    return (
        f'<tr class="{kind}"><th scope="row">{label}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}'
        f'<td class="size" aria-hidden="true">{sizes}</td><td class="bits">{bits}</td></tr>\n'
    )
