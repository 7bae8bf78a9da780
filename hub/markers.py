"""What huggingface_hub's cache knows of repos from before the hook was on: it hides originals that the hook offers.

A program that was run without the hook leaves ``.no_exist/<commit>/model.safetensors``, and transformers looks there
before it asks anybody. So markers of weights are removed, which costs one request more when they are asked for next;
where the Hub then says that there is no weft file either, its own marker stands beside, and both stay. Likewise with
listings of commits, ``trees/<commit>.json``, which are fetched again where they name weft files.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from hub.urls import SUFFIX, may_be_compressed

_KINDS = ("datasets", "spaces", "kernels")


def forget_what_hides_originals() -> None:
    """Remove, in the standard cache, the markers of weights for which it is not known that no weft file is there, and
    the listings that name weft files.
    """
    cache = Path(constants.HF_HUB_CACHE)
    with contextlib.suppress(OSError):
        for folder in cache.glob("*/.no_exist"):
            for name, _, files in os.walk(folder):
                for file in set(files):
                    if may_be_compressed(file) and file + SUFFIX not in files:
                        _remove(Path(name, file))
        for listing in cache.glob("*/trees/*.json"):
            forget_listing(listing)


def forget_listing(listing: Path) -> None:
    """Remove a listing of a commit if it names weft files."""
    with contextlib.suppress(OSError):
        if f'{SUFFIX}"'.encode() in listing.read_bytes():
            listing.unlink()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def forget(repo: str, commit: str, path: str) -> None:
    """Remove the marker of one file, which turns out to be there. ``repo``: as in a URL, "/org/name"."""
    with contextlib.suppress(OSError, ValueError):
        _marker(repo, commit, path).unlink()


def note_absent(repo: str, commit: str, path: str) -> None:
    """Mark one file as absent, where the cache knows the repo."""
    with contextlib.suppress(OSError, ValueError):
        marker = _marker(repo, commit, path)
        if marker.parents[1 + path.count("/")].parent.is_dir():
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()


def _marker(repo: str, commit: str, path: str) -> Path:
    """Raises ValueError for what is no place below the repo's folder."""
    parts = [part for part in repo.split("/") if part]
    kind = parts.pop(0)[:-1] if len(parts) > 1 and parts[0] in _KINDS else "model"
    if not commit.isalnum() or ".." in path.split("/") or not parts:
        raise ValueError(path)
    folder = repo_folder_name(repo_id="/".join(parts[-2:]), repo_type=kind)
    return Path(constants.HF_HUB_CACHE, folder, ".no_exist", commit, *path.split("/"))
