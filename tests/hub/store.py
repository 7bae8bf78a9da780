"""What a Hub holds: repos, their commits and branches, and the contents, in one folder on disk.

Contents lie as files named by their SHA-256. Commit hashes and dates follow from what is committed
and in which order, so that two runs of one test see the same ones.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
_COMMIT = re.compile(r"[0-9a-f]{40}")


class StoreError(Exception):
    """What a store refuses; ``code`` says which of the Hub's refusals it is."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Entry:
    """One file of one commit. ``oid`` is git's id: of the content, or of the pointer when ``lfs``."""

    size: int
    sha256: str
    oid: str
    lfs: bool
    xet: str | None = None

    @property
    def etag(self) -> str:
        """The name a client's cache gives the content."""
        return self.sha256 if self.lfs else self.oid


@dataclass(frozen=True)
class Commit:
    """A state of a repo."""

    oid: str
    parent: str | None
    title: str
    date: str
    tree: Mapping[str, Entry]


@dataclass
class Repo:
    """A repo with its history."""

    repo_id: str
    repo_type: str = "model"
    private: bool = False
    gated: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def find(self, revision: str) -> Commit | None:
        """The commit a branch, a full hash or the start of one names."""
        if (oid := self.branches.get(revision)) is not None or revision in self.commits:
            return self.commits[oid or revision]
        starts = [oid for oid in self.commits if len(revision) >= 7 and oid.startswith(revision)]
        return self.commits[starts[0]] if len(starts) == 1 else None

    def history(self, commit: Commit) -> Iterator[Commit]:
        """A commit and those before it, newest first."""
        here: Commit | None = commit
        while here is not None:
            yield here
            here = self.commits[here.parent] if here.parent else None


def pointer(sha256: str, size: int) -> bytes:
    """What git itself keeps of a large file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def git_id(content: bytes) -> str:
    """git's id of a blob with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Objects:
    """Contents by SHA-256."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "incoming").mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Where the content with this hash lies, or would lie."""
        return self._folder / sha256[:2] / sha256

    def __contains__(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def incoming(self) -> Path:
        """A name for a file that isn't complete yet."""
        return self._folder / "incoming" / uuid.uuid4().hex

    def adopt(self, path: Path, sha256: str) -> None:
        """Move a file from :meth:`incoming` to where its hash says."""
        target = self.path(sha256)
        target.parent.mkdir(exist_ok=True)
        os.replace(path, target)

    def add(self, content: bytes | Path, *, link: bool = False) -> tuple[str, int]:
        """Take content in; ``link`` shares the file's bytes rather than copying them."""
        path = self.incoming()
        if isinstance(content, Path):
            if link:
                os.link(content, path)
            else:
                shutil.copyfile(content, path)
        else:
            path.write_bytes(content)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self.adopt(path, sha256)
        return sha256, self.path(sha256).stat().st_size


class Store:
    """All repos. What changes is written to the folder at once; a new ``Store`` on it finds it again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = threading.RLock()
        self.objects = Objects(root / "objects")
        self._folder = root / "repos"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._repos: dict[tuple[str, str], Repo] = {}
        for path in sorted(self._folder.glob("*.json")):
            repo = _loaded(json.loads(path.read_text()))
            self._repos[repo.repo_type, repo.repo_id] = repo

    def find(self, repo_id: str, repo_type: str = "model") -> Repo | None:
        """A repo, or nothing."""
        return self._repos.get((repo_type, repo_id))

    def repos(self) -> list[Repo]:
        """All of them."""
        return list(self._repos.values())

    def create(self, repo_id: str, repo_type: str = "model", *, private: bool = False, gated: bool = False) -> Repo:
        """A new repo, whose ``main`` is an empty commit."""
        with self.lock:
            if self.find(repo_id, repo_type):
                raise StoreError("RepoExists", "You already created this model repo")
            repo = Repo(repo_id, repo_type, private, gated)
            self._repos[repo_type, repo_id] = repo
            self._append(repo, "main", "initial commit", {})
            return repo

    def delete(self, repo: Repo) -> None:
        """Take a repo away. Its contents stay."""
        with self.lock:
            del self._repos[repo.repo_type, repo.repo_id]
            self._path(repo).unlink()

    def branch(self, repo: Repo, name: str, start: str = "main") -> None:
        """A new branch."""
        with self.lock:
            if name in repo.branches:
                raise StoreError("RefExists", f"Reference already exists: {name}")
            if (commit := repo.find(start)) is None:
                raise StoreError("RevisionNotFound", f"Invalid rev id: {start}")
            repo.branches[name] = commit.oid
            self._save(repo)

    def commit(
        self,
        repo: Repo,
        branch: str,
        title: str,
        changes: Mapping[str, Entry | None],
        parent: str | None = None,
    ) -> Commit:
        """A new commit; ``None`` takes a file away. With a ``parent`` the branch has to stand there."""
        with self.lock:
            if branch not in repo.branches:
                raise StoreError("RevisionNotFound", f"Invalid rev id: {branch}")
            head = repo.commits[repo.branches[branch]]
            if parent is not None and not head.oid.startswith(parent):
                raise StoreError("ParentMoved", "A commit has happened since. Please refresh and try again.")
            tree = {path: entry for path, entry in {**head.tree, **changes}.items() if entry is not None}
            return self._append(repo, branch, title, tree)

    def _append(self, repo: Repo, branch: str, title: str, tree: Mapping[str, Entry]) -> Commit:
        parent = repo.branches.get(branch)
        told: list[object] = [repo.repo_type, repo.repo_id, parent, title, len(repo.commits)]
        told += [[path, entry.oid] for path, entry in sorted(tree.items())]
        oid = hashlib.sha1(json.dumps(told).encode()).hexdigest()
        date = (_EPOCH + timedelta(minutes=len(repo.commits))).isoformat(timespec="milliseconds")
        commit = Commit(oid, parent, title, date.replace("+00:00", "Z"), dict(sorted(tree.items())))
        repo.commits[oid] = commit
        repo.branches[branch] = oid
        self._save(repo)
        return commit

    def _path(self, repo: Repo) -> Path:
        return self._folder / f"{repo.repo_type}s--{repo.repo_id.replace('/', '--')}.json"

    def _save(self, repo: Repo) -> None:
        path = self._path(repo)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(dataclasses.asdict(repo)))
        os.replace(temporary, path)


def _loaded(told: dict[str, Any]) -> Repo:
    repo = Repo(**told)
    for oid, commit in told["commits"].items():
        tree = {path: Entry(**entry) for path, entry in commit.pop("tree").items()}
        repo.commits[oid] = Commit(**commit, tree=tree)
    return repo
