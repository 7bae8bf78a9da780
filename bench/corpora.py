"""The files to measure: reads corpora.toml, finds or makes each file, and says what its elements are."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from bench import kinds, minilm, structured, synthetic

HERE = Path(__file__).resolve().parent
CODES = {
    "BF16": "bfloat16",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "F8_E4M3": "float8_e4m3",
    "F8_E5M2": "float8_e5m2",
    "I8": "int8",
    "U8": "uint8",
    "I16": "int16",
    "U16": "uint16",
    "I32": "int32",
    "I64": "int64",
}


MADE: dict[str, tuple[Iterable[str], Callable[[str], Path]]] = {
    "kinds": (kinds.KINDS, kinds.make),
    "structured": (structured.NAMES, structured.make),
}


@dataclass(frozen=True)
class Corpus:
    """One file to measure. dtype is the type of most of its bytes, or "opaque"."""

    name: str
    group: str
    path: Path
    dtype: str


def data_folders() -> list[Path]:
    """Folders that hold data files: of WEFT_DATA, then those corpora.toml names, where they exist."""
    named = [Path(part) for part in os.environ.get("WEFT_DATA", "").split(os.pathsep) if part]
    fixed = [HERE.parent / part for part in _settings()["folders"]]
    return [folder for folder in [*named, *fixed] if folder.is_dir()]


def _settings() -> dict:
    return tomllib.loads((HERE / "corpora.toml").read_text())


def dtype_of(path: Path) -> str:
    """The element type of most bytes of a safetensors file."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    header.pop("__metadata__", None)
    sizes: Counter[str] = Counter()
    for entry in header.values():
        begin, end = entry["data_offsets"]
        sizes[CODES.get(entry["dtype"], "opaque")] += end - begin
    return sizes.most_common(1)[0][0] if sizes else "opaque"


def _members(entry: dict) -> list[tuple[str, Path | None]]:
    """Names of the files of a set; a path is None where the file is made on demand."""
    if "glob" in entry:
        paths = [path for folder in data_folders() for path in folder.glob(entry["glob"])]
        return sorted({path.name: path for path in reversed(paths)}.items())  # the first folder wins
    if "minilm" in entry:
        return [(f"minilm-{minilm.NAMES[entry['minilm']][0]}.safetensors", None)]
    if "made" in entry:
        return [(name, None) for name in MADE[entry["made"]][0]]
    return [(f"synthetic-{entry['synthetic']}mib-bf16.safetensors", None)]


def _make(entry: dict, name: str) -> Path:
    """Find or make a file. Raises ImportError where what writes it is not installed."""
    if "made" in entry:
        return MADE[entry["made"]][1](name)
    ready = next((folder / name for folder in data_folders() if (folder / name).exists()), None)
    if ready is not None:
        return ready
    if "minilm" in entry:
        return minilm.variant(entry["minilm"])
    path = minilm.cache_folder() / name
    return path if path.exists() else synthetic.write(path, entry["synthetic"] << 20)


def _dtype(entry: dict, path: Path) -> str:
    if path.suffix == ".safetensors":
        return dtype_of(path)
    return kinds.KINDS[path.name].dtype if entry.get("made") == "kinds" else entry["dtype"]


def select(patterns: list[str], default_groups: tuple[str, ...]) -> list[Corpus]:
    """Files whose name or set matches one of the patterns; without patterns, those of the default sets.

    A pattern that matches nothing but is the path of a file stands for that file.
    """
    chosen: list[Corpus] = []
    unmatched = set(patterns)
    for entry in _settings()["set"]:
        for name, path in _members(entry):
            hits = {p for p in patterns if fnmatch(name, p) or p == entry["name"]}
            unmatched -= hits
            seen = any(corpus.name == name for corpus in chosen)
            if not seen and (hits or (not patterns and entry["name"] in default_groups)):
                try:
                    path = path or _make(entry, name)
                except ImportError as error:
                    print(f"left out: {name} ({error})", file=sys.stderr)
                    continue
                chosen.append(Corpus(name, entry["name"], path, _dtype(entry, path)))
    for pattern in sorted(unmatched):
        path = Path(pattern)
        if not path.is_file():
            raise SystemExit(f"no file matches {pattern!r} in corpora.toml, and it isn't a path")
        dtype = dtype_of(path) if path.suffix == ".safetensors" else "opaque"
        chosen.append(Corpus(path.name, "given", path, dtype))
    return chosen
