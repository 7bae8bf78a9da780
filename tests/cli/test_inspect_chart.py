"""inspect --fields, --plot and --html."""

from __future__ import annotations

import builtins
import html.parser
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

import codec as library
from codec.anatomy import Anatomy, TensorAnatomy
from codec.cli import families, page
from codec.cli.families import FAMILIES, by_family, family_of, rows_of, shortened
from tests.cli.calls import ROOT, Here, environment

PNG = b"\x89PNG\r\n\x1a\n"
HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'onmouseover='alert(1)", "</style></title>",
    "$\\frac{a}{b$ $$", "a\u202eb\x00\n", "模型.权重", "&amp;", "x" * 3000, "",
)  # fmt: skip


class Page(html.parser.HTMLParser):
    """What a browser would make of a page: its tags are balanced, and it has what it may have."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self.titles: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.titles += [value or "" for name, value in attrs if name in ("title", "aria-label")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data)


TAGS = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "dl", "div", "dt", "dd", "i", "ul", "li", "span",
    "b", "small", "table", "thead", "tbody", "tr", "th", "td", "bdi",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "name", "content", "http-equiv", "class", "style", "title", "role", "aria-label", "aria-hidden",
    "scope",
}  # fmt: skip


def read(path: Path) -> Page:
    text = path.read_text(encoding="utf-8")
    found = Page(text)
    assert found.tags <= TAGS and found.attributes <= ATTRIBUTES
    assert "url(" not in text and "://" not in text and "@import" not in text
    return found


def test_page(codec: Here, packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "bits.html"
    said = codec.well("inspect", packed, "--html", out)
    assert said.err == "" and said.out.splitlines()[-1] == f"written   {out}"
    found = read(out)
    text = " ".join(found.text)
    for word in ("model.safetensors.weft", "layer.weight", "half.weight", "mantissa", "sign", "bits per element"):
        assert word in text
    assert any("layer.weight" in title and "mantissa" in title for title in found.titles)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bits.html", packed.with_suffix("").name, packed.name]


def test_hostile_names_are_text(codec: Here, tmp_path: Path) -> None:
    data = save({name: np.full((9, 9 + k), 0.3, np.float32) for k, name in enumerate(HOSTILE)})
    packed, out, plot = tmp_path / "<b>&$x$.weft", tmp_path / "o.html", tmp_path / "o.png"
    library.compress_file(io.BytesIO(data), packed)
    pytest.importorskip("matplotlib")
    codec.well("inspect", packed, "--html", out, "--plot", plot)
    text = " ".join(read(out).text)
    for name in HOSTILE[:5]:
        assert name in text
    assert "a\\u202eb\\x00\\n" in text and "<b>&$x$.weft" in text and "x" * 100 not in text
    assert plot.read_bytes()[:8] == PNG


def test_picture(codec: Here, packed: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "bits.png"
    record = codec.well("inspect", packed, "--plot", out, "--json").record
    assert record["plot"] == str(out) and record["html"] is None
    data = out.read_bytes()
    assert data[:8] == PNG and int.from_bytes(data[16:20], "big") == 1800
    codec.well("inspect", packed, "--plot", out, "--force")
    assert out.read_bytes() == data  # nothing in it depends on when it was made


@pytest.mark.parametrize("original", [b"", b"x", bytes(5000), save({}), save({"z": np.zeros((0, 3), "f4")})])
def test_next_to_nothing(codec: Here, tmp_path: Path, original: bytes) -> None:
    pytest.importorskip("matplotlib")
    packed = tmp_path / "n.weft"
    library.compress_file(io.BytesIO(original), packed)
    codec.well("inspect", packed, "--plot", tmp_path / "n.png", "--html", tmp_path / "n.html", "--fields", "--tensors")
    read(tmp_path / "n.html")


def test_without_matplotlib(codec: Here, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    said = codec("inspect", packed, "--plot", tmp_path / "o.png", "--html", tmp_path / "o.html")
    assert said.code == 3 and said.complaint == '--plot needs matplotlib: pip install "weft[plot]"'
    assert not list(tmp_path.glob("*o.*"))
    codec.well("inspect", packed, "--html", tmp_path / "o.html")


def test_outputs_are_not_replaced_unasked(codec: Here, packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.html"
    out.write_text("mine")
    said = codec("inspect", packed, "--html", out)
    assert said.code == 3 and "--force" in said.complaint and said.out == "" and out.read_text() == "mine"
    codec.well("inspect", packed, "--html", out, "--force")
    read(out)


def test_refusals(codec: Here, packed: Path, tmp_path: Path) -> None:
    held = packed.read_bytes()
    said = codec("inspect", packed, "--html", packed, "--force")
    assert said.code == 3 and "same file" in said.complaint and packed.read_bytes() == held
    pytest.importorskip("matplotlib")
    said = codec("inspect", packed, "--html", tmp_path / "o", "--plot", tmp_path / "." / "o")
    assert said.code == 2 and "both" in said.complaint and not (tmp_path / "o").exists()
    assert codec("inspect", packed, "--html", tmp_path / "none" / "o").code == 3
    assert codec("inspect", tmp_path / "none.weft", "--fields").code == 3


def test_damage_leaves_nothing_behind(codec: Here, packed: Path, tmp_path: Path) -> None:
    bad = bytearray(packed.read_bytes())
    bad[len(bad) // 2] ^= 255
    packed.write_bytes(bad)
    said = codec("inspect", packed, "--html", tmp_path / "o.html")
    assert said.code == 1 and said.out == "" and "checksum" in said.complaint
    assert not list(tmp_path.glob("*o.html*"))


def test_fields(codec: Here, packed: Path) -> None:
    lines = codec.well("inspect", packed, "--fields").out.splitlines()
    start = lines.index(next(line for line in lines if line.startswith("field")))
    assert any(re.match(r"mantissa +\S+ kB +\d+\.\d\d%$", line) for line in lines[start:])
    rows = codec.well("inspect", packed, "--fields", "--tensors").out.splitlines()
    found = [row.split() for row in rows if row.startswith("layer.weight") and "sign" in row]
    assert found and float(found[-1][-1]) == pytest.approx(1, abs=0.02)  # bits an element


def test_json(codec: Here, packed: Path) -> None:
    record = codec.well("inspect", packed, "--fields", "--json").record
    assert sum(record["fields"].values()) == record["stored_bytes"] == packed.stat().st_size
    for tensor in record["tensor_fields"]:
        assert sum(tensor["fields"].values()) == tensor["stored_bytes"]
    assert {t["name"] for t in record["tensor_fields"]} == {"layer.weight", "half.weight"}
    assert sum(record["rest"]["fields"].values()) == record["rest"]["stored_bytes"]
    plain = codec.well("inspect", packed, "--json").record
    assert not {"fields", "rest", "tensor_fields", "plot", "html"} & set(plain)


def test_describing_a_file_loads_no_compiler(packed: Path) -> None:
    code = (
        "import sys, json; from codec.cli.main import main; main(sys.argv[1:]);"
        "print(json.dumps([m for m in ('numba', 'matplotlib', 'codec.decode', 'codec.anatomy') if m in sys.modules]))"
    )
    command = [sys.executable, "-c", code, "inspect", str(packed), "--tensors"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment())
    assert json.loads(ran.stdout.splitlines()[-1]) == []


def many(count: int) -> Anatomy:
    tensors = tuple(
        TensorAnatomy(f"t{k}", "F32", (k,), 4 * k, 3 * k, {"mantissa": 2 * k, "sign": k} if k else {})
        for k in range(count)
    )
    stored = sum(t.stored_bytes for t in tensors)
    fields = {"mantissa": stored // 3 * 2, "sign": stored // 3}
    return Anatomy(2 * count * (count - 1), stored, "s", "l", tensors, TensorAnatomy("", "", (), 0, 0), fields)


def test_many_tensors_are_summed_up() -> None:
    found = many(500)
    shown, others, count = rows_of(found, 24)
    assert [t.name for t in shown] == [f"t{k}" for k in range(499, 475, -1)] and count == 476
    assert others is not None and others.stored_bytes == sum(3 * k for k in range(476)) == sum(others.fields.values())
    assert others.bits_per_element == 24 and others.dtype == "F32"
    text = page.page("m", found)
    assert text.count("<tr") == page.ROWS + 2 and "200 smaller tensors" in text
    assert rows_of(many(25), 24)[1:] == (None, 0)  # a row of its own takes no more room than a sum of one


def test_families() -> None:
    assert family_of("sign + exponent + 3 mantissa bits").key == family_of("8 exponent bits").key == "exponent"
    assert family_of("scales and minima").key == "scales" and family_of("what else").key == "other"
    assert family_of("signs").key == family_of("high bits").key == "codes" and family_of("sign").key == "sign"
    parts = by_family({"mantissa": 5, "exponent": 2, "exponent + 1 mantissa bit": 1})
    assert [(family.key, size) for family, size, _ in parts] == [("exponent", 3), ("mantissa", 5)]
    assert parts[0][2] == "exponent, exponent + 1 mantissa bit"
    assert len({family.light for family in FAMILIES}) == len({family.dark for family in FAMILIES}) == len(FAMILIES)


@pytest.mark.parametrize("most", [3, 4, 11, 12])
def test_short_names(most: int) -> None:
    name = "abcdefghijkl"
    short = shortened(name, most)
    assert short == name if most >= 12 else len(short) == most
    assert short[0] == "a" and short[-1] == "l"


def test_examples_in_families() -> None:
    import doctest

    assert doctest.testmod(families).failed == 0
