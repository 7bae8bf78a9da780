"""Repos and files as the Hub's API tells of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from tests.hub.store import Commit, Entry, Repo, pointer


def file_view(path: str, entry: Entry) -> dict[str, Any]:
    """A file in a listing."""
    told: dict[str, Any] = {"type": "file", "oid": entry.oid, "size": entry.size, "path": path}
    if entry.lfs:
        told["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": _pointer_size(entry)}
    if entry.xet:
        told["xetHash"] = entry.xet
    return told


def folder_view(path: str, commit: Commit) -> dict[str, Any]:
    """A folder in a listing."""
    inside = [name + entry.oid for name, entry in commit.tree.items() if name.startswith(path + "/")]
    return {"type": "directory", "oid": hashlib.sha1("".join(inside).encode()).hexdigest(), "size": 0, "path": path}


def folders(commit: Commit) -> set[str]:
    """All folders that the files of a commit lie in."""
    found: set[str] = set()
    for path in commit.tree:
        while "/" in path:
            path = path.rpartition("/")[0]
            found.add(path)
    return found


def listing(repo: Repo, commit: Commit, under: str, *, recursive: bool, expand: bool) -> list[dict[str, Any]] | None:
    """What lies in a folder, folders first; ``None`` when it isn't there."""
    known = folders(commit)
    if under and under not in known:
        return None
    start = under + "/" if under else ""

    def inside(path: str) -> bool:
        return path.startswith(start) and (recursive or "/" not in path[len(start) :])

    told = [folder_view(path, commit) for path in sorted(known) if inside(path)]
    told += [file_view(path, entry) for path, entry in commit.tree.items() if inside(path)]
    return list(expanded(repo, commit, told)) if expand else told


def paths_view(repo: Repo, commit: Commit, paths: list[str], *, expand: bool) -> list[dict[str, Any]]:
    """Those of the paths that are there."""
    known = folders(commit)
    told = []
    for path in dict.fromkeys(path.strip("/") for path in paths):
        if (entry := commit.tree.get(path)) is not None:
            told.append(file_view(path, entry))
        elif path in known:
            told.append(folder_view(path, commit))
    return list(expanded(repo, commit, told)) if expand else told


def expanded(repo: Repo, commit: Commit, told: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The same with the commit that last changed each, and what the scanners say."""
    for item in told:
        last = _last_change(repo, commit, item["path"])
        item["lastCommit"] = {"id": last.oid, "title": last.title, "date": last.date}
        if item["type"] == "file":
            item["securityFileStatus"] = {"status": "safe", "avScan": None, "pickleImportScan": None}
        yield item


def repo_view(repo: Repo, commit: Commit, *, blobs: bool) -> dict[str, Any]:
    """A repo at a commit."""
    siblings = []
    for path, entry in commit.tree.items():
        sibling: dict[str, Any] = {"rfilename": path}
        if blobs:
            sibling |= {"size": entry.size, "blobId": entry.oid}
            if entry.lfs:
                sibling["lfs"] = {"size": entry.size, "sha256": entry.sha256, "pointerSize": _pointer_size(entry)}
        siblings.append(sibling)
    first = list(repo.history(commit))[-1]
    return {
        "_id": hashlib.sha1(f"{repo.repo_type} {repo.repo_id}".encode()).hexdigest()[:24],
        "id": repo.repo_id,
        **({"modelId": repo.repo_id} if repo.repo_type == "model" else {}),
        "author": repo.repo_id.rpartition("/")[0] or None,
        "sha": commit.oid,
        "createdAt": first.date,
        "lastModified": commit.date,
        "private": repo.private,
        "gated": "manual" if repo.gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": siblings,
        "usedStorage": sum(entry.size for entry in commit.tree.values()),
    }


def refs_view(repo: Repo) -> dict[str, Any]:
    """A repo's branches."""
    told = [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": oid} for name, oid in repo.branches.items()]
    return {"branches": told, "converts": [], "tags": [], "pullRequests": []}


def _pointer_size(entry: Entry) -> int:
    return len(pointer(entry.sha256, entry.size))


def _last_change(repo: Repo, commit: Commit, path: str) -> Commit:
    def state(at: Commit) -> list[str]:
        return [name + entry.oid for name, entry in at.tree.items() if name == path or name.startswith(path + "/")]

    last = commit
    for older in repo.history(commit):
        if state(older) != state(commit):
            break
        last = older
    return last
