"""The Hub's listings, with originals in the place of weft files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from hub.urls import SUFFIX, may_be_compressed

#: Weft files of one listing that are looked into at the same time.
AT_ONCE: Final = 8

#: Gives (size, SHA-256) of the original of the weft file that an entry of a listing describes; None if it has none.
Describe = Callable[[dict[str, Any]], tuple[int, str] | None]


def tree(entries: list[Any], describe: Describe, asked: set[str] | None = None, *, both: bool = False) -> list[Any]:
    """Entries of a tree or paths-info answer. ``asked``: the paths that the client wanted, if it named them.

    Where X.weft is listed and X is not, X takes its place. Where both are, X.weft is left out: they hold the same.
    ``both``: X.weft stays in any case, for who looks it up by its name in a listing of its folder, as HfFileSystem.
    """
    files = {e["path"]: e for e in entries if isinstance(e, dict) and isinstance(e.get("path"), str)}
    weft = [e for path, e in files.items() if _is_weft(path) and e.get("type") == "file"]
    wanted = [e for e in weft if (name := _name(e)) not in files and (asked is None or name in asked)]
    described: dict[str, tuple[int, str] | None] = {}
    if wanted:
        with ThreadPoolExecutor(min(AT_ONCE, len(wanted))) as pool:
            described = dict(zip((e["path"] for e in wanted), pool.map(describe, wanted), strict=True))
    out = []
    for entry in entries:
        path = entry.get("path") if isinstance(entry, dict) else None
        if files.get(path) is not entry or entry not in weft:
            out.append(entry)
            continue
        found = described.get(path)  # type: ignore[arg-type]
        if found is not None:
            out.append(_entry(entry, *found))
        unlike = found is None and _name(entry) not in files
        if path in asked if asked is not None else both or unlike:
            out.append(entry)
    return out


def info(described: Any, describe: Describe) -> Any:
    """The answer to a request for what a repo is: its siblings."""
    siblings = described.get("siblings") if isinstance(described, dict) else None
    if not isinstance(siblings, list):
        return described
    # with blobs=true a sibling has what an entry of a tree has, under other names
    entries = [{**s, "path": s.get("rfilename"), "type": "file"} for s in siblings if isinstance(s, dict)]
    if any("size" in s for s in siblings):
        changed = tree(entries, describe)
    else:
        names = {e["path"] for e in entries}
        changed = [
            {**e, "path": _name(e)} if _is_weft(e["path"]) else e
            for e in entries
            if not (_is_weft(e["path"]) and _name(e) in names)
        ]
    return {**described, "siblings": [_sibling(e) for e in changed]}


def _sibling(entry: dict[str, Any]) -> dict[str, Any]:
    rest = {k: v for k, v in entry.items() if k not in ("path", "type")} | {"rfilename": entry["path"]}
    if "blobId" in entry and "oid" in entry:
        rest["blobId"] = rest.pop("oid")
    if isinstance(lfs := entry.get("lfs"), dict) and "oid" in lfs and "blobId" in entry:
        rest["lfs"] = {"sha256": lfs["oid"], "size": lfs["size"], "pointerSize": lfs["pointerSize"]}
    return rest


def _is_weft(path: object) -> bool:
    """Whether a path is one of a weft file whose original is offered in its place."""
    return isinstance(path, str) and path.endswith(SUFFIX) and may_be_compressed(path.removesuffix(SUFFIX))


def _name(entry: dict[str, Any]) -> str:
    return str(entry["path"]).removesuffix(SUFFIX)


def _entry(entry: dict[str, Any], size: int, sha256: str) -> dict[str, Any]:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    blob = hashlib.sha1(b"blob %d\0" % len(pointer) + pointer, usedforsecurity=False).hexdigest()
    kept = {k: v for k, v in entry.items() if k != "xetHash"}
    lfs = {"oid": sha256, "size": size, "pointerSize": len(pointer)}
    return {**kept, "path": _name(entry), "size": size, "oid": blob, "lfs": lfs}


def paths_of(body: bytes, content_type: str) -> list[str]:
    """The paths that a paths-info request names, in either of the forms that the Hub takes."""
    if "json" in content_type:
        named = json.loads(body).get("paths", [])
        return [named] if isinstance(named, str) else [str(path) for path in named]
    return [value for name, value in parse_qsl(body.decode(), keep_blank_values=True) if name == "paths"]


def with_compressed(body: bytes, content_type: str, paths: list[str]) -> bytes:
    """The same request, which asks for the weft files of these paths, too."""
    more = [path + SUFFIX for path in paths]
    if "json" in content_type:
        asked = json.loads(body)
        return json.dumps({**asked, "paths": [*paths_of(body, content_type), *more]}).encode()
    pairs = parse_qsl(body.decode(), keep_blank_values=True)
    return urlencode(pairs + [("paths", path) for path in more]).encode()
