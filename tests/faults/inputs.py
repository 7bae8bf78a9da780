"""Files and folders to work on, and what lies in a folder."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np

#: Everything in a folder: bytes of files, texts of links, None for folders.
Tree = dict[str, bytes | str | None]

TEMPORARY = re.compile(r"\.(?P<target>.*)\.[0-9a-f]{12}\.tmp", re.DOTALL)


def model(size: int, seed: int = 0) -> bytes:
    """A safetensors file of about ``size`` bytes: fp32 and bf16 weights."""
    rng = np.random.default_rng(seed)
    rows = size // (2 * 256 * 4)
    single = rng.normal(0, 0.02, (rows, 256)).astype("<f4")
    brain = (rng.normal(0, 0.02, (2 * rows, 256)).astype("<f4").view("<u4") >> 16).astype("<u2")
    header, at = {}, 0
    for name, dtype, data in (("a", "F32", single), ("b", "BF16", brain)):
        header[name] = {"dtype": dtype, "shape": list(data.shape), "data_offsets": [at, at + data.nbytes]}
        at += data.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + single.tobytes() + brain.tobytes()


def make_folder(root: Path, size: int) -> None:
    """A folder as they come from a hub: shards, small files, a link, one folder more."""
    (root / "deep").mkdir(parents=True)
    for number, name in enumerate(("part-1.safetensors", "part-2.safetensors", "deep/extra.bin"), 1):
        (root / name).write_bytes(model(size, number))
    (root / "config.json").write_bytes(b'{"layers": 2}')
    (root / "vocabulary.txt").write_bytes(b"word\n" * 40_000)
    (root / "latest.safetensors").symlink_to("part-1.safetensors")


def tree(root: Path) -> Tree:
    found: Tree = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = None if path.is_dir() else path.read_bytes()
    return found


def put(root: Path, held: Tree) -> None:
    """Make a folder hold just that."""
    root.mkdir(parents=True)
    for name, content in held.items():
        path = root / name
        if content is None:
            path.mkdir()
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)


def temporaries(root: Path) -> list[str]:
    return [name for name in tree(root) if TEMPORARY.fullmatch(name.rpartition("/")[2])]
