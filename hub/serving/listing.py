"""What is in a folder, as a client of the server sees it: originals in the place of weft files."""

from __future__ import annotations

import html
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import codec

SUFFIX: Final = ".weft"
#: Weft files of which it is remembered what is in them.
KEPT: Final = 4096


@dataclass(frozen=True)
class Entry:
    """A file or a folder. ``size`` and ``sha256`` are those of the original; ``stored`` is the size on disk."""

    name: str
    is_folder: bool
    size: int | None = None
    stored: int | None = None
    sha256: str | None = None

    @property
    def link(self) -> str:
        """Relative to its folder. ``./`` keeps a name with a colon from being read as a scheme."""
        return "./" + quote(os.fsencode(self.name), safe="") + ("/" if self.is_folder else "")

    def json(self) -> dict[str, Any]:
        """For programs."""
        known = {"size": self.size, "stored_size": self.stored, "sha256": self.sha256}
        shown = os.fsencode(self.name).decode(errors="replace")
        told = {"name": shown, "type": "folder" if self.is_folder else "file", "href": self.link}
        return told | {key: value for key, value in known.items() if value is not None}


class Sizes:
    """Size and SHA-256 of the originals of weft files, read once while they stay the same. For use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, int, int], tuple[int, str] | None] = OrderedDict()

    def of(self, path: Path) -> tuple[int, str] | None:
        """None for what is no readable weft file."""
        try:
            stat = path.stat()
            key = (os.fspath(path), stat.st_size, stat.st_mtime_ns)
            with self._lock:
                if key in self._known:
                    return self._known[key]
            with codec.open_original(path) as file:
                found: tuple[int, str] | None = (file.size, file.sha256)
        except codec.CodecError:
            found = None
        except OSError:
            return None
        with self._lock:
            self._known[key] = found
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found


def entries(folder: Path, root: Path, sizes: Sizes) -> list[Entry]:
    """The entries of a folder below ``root``, by name. Links that lead out of ``root``, and what is neither file nor
    folder, are left out. Raises OSError.
    """
    paths = {path.name: path for path in folder.iterdir()}
    out = []
    for name in sorted(paths):
        path = paths[name]
        try:
            if path.is_symlink() and not path.resolve(strict=True).is_relative_to(root):
                continue
            if path.is_dir():
                out.append(Entry(name, is_folder=True))
            elif path.is_file():
                size = path.stat().st_size
                original = name.removesuffix(SUFFIX)
                if original in ("", name):
                    out.append(Entry(name, is_folder=False, size=size))
                elif original not in paths and (found := sizes.of(path)) is not None:
                    out.append(Entry(original, False, found[0], size, found[1] or None))
                elif original not in paths:
                    out.append(Entry(name, is_folder=False, size=size))
        except (OSError, RuntimeError):  # it is gone, or a loop of links
            continue
    return out


def page(title: str, listed: list[Entry], *, is_top: bool) -> str:
    """For people."""
    rows = [] if is_top else ['<tr><td><a href="../">../</a></td><td></td></tr>']
    for entry in listed:
        name = html.escape(os.fsencode(entry.name).decode(errors="replace")) + ("/" if entry.is_folder else "")
        size = "" if entry.size is None else f"{entry.size:,}"
        rows.append(f'<tr><td><a href="{html.escape(entry.link)}">{name}</a></td><td>{size}</td></tr>')
    title = html.escape(title)
    return (
        f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>{title}</title>\n'
        "<style>body{font-family:monospace}td{padding:0 2em 0 0}td+td{text-align:right}</style></head>\n"
        f"<body><h1>{title}</h1><table>\n" + "\n".join(rows) + "\n</table></body></html>\n"
    )
