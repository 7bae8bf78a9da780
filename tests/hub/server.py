"""A Hub on loopback for tests, for the unmodified client; also a process of its own.

``python -m tests.hub.server --root DIR --rate 100e6`` prints its URL and serves until its input ends.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.hub.access import Tokens
from tests.hub.control import Control
from tests.hub.downloads import Downloads
from tests.hub.faults import Chance, Fault, FaultPlan
from tests.hub.link import Link
from tests.hub.loopback import LoopbackServer
from tests.hub.messages import Reply, Request
from tests.hub.record import Record, Recorder, Records
from tests.hub.routes import Routes
from tests.hub.store import Commit, Entry, Repo, Store
from tests.hub.uploads import Limits, Uploads
from tests.hub.xet import Xet


class HubServer(Records):
    """A Hub and the storage server beside it, on two ports of 127.0.0.1.

    ``redirect`` sends those who download large files to the storage server, and those who download small
    ones to another path of the Hub, as the real one does; large files are uploaded to the storage server
    in any case. ``xet`` has clients go through hf_xet, whose transfers pass by the line and its speed.
    """

    def __init__(
        self,
        root: Path,
        *,
        xet: bool = False,
        redirect: bool = False,
        tokens: Tokens | None = None,
        limits: Limits | None = None,
        page_size: int = 1000,
        bytes_per_second: float | None = None,
        latency: float = 0.0,
        faults: FaultPlan | None = None,
        port: int = 0,
    ) -> None:
        self.store = Store(root)
        self.recorder = Recorder()
        self.faults = faults or FaultPlan()
        self.link = Link(bytes_per_second, latency)
        self.tokens = tokens or Tokens()
        self.xet = Xet(root / "xet", self.store.objects) if xet else None
        self.uploads = Uploads(self.store, limits or Limits(), self.xet.find if self.xet else lambda sha256: None)
        downloads = Downloads(self.tokens, self.xet.content if self.xet else self._content)
        self._routes = Routes(
            self.store, self.tokens, downloads, self.uploads, self.xet, page_size=page_size, redirect=redirect
        )
        self._control = Control(self)
        shared = self.link, self.recorder, self.faults
        self._hub = LoopbackServer("hub", self._answer, *shared, port)
        self._storage = LoopbackServer("storage", self._routes.stored, *shared)
        self.url = self._routes.hub = self._hub.url
        self.storage_url = self._routes.storage = self._storage.url

    def records(self) -> list[Record]:
        """What was asked, of both servers."""
        return self.recorder.records()

    def reset(self) -> None:
        """Forget what was asked."""
        self.recorder.reset()

    def set_faults(self, *faults: Fault, chance: Chance | None = None) -> None:
        """Another plan of what goes wrong; the counts begin anew."""
        self.faults.set(faults, chance)

    @property
    def injected(self) -> dict[str, int]:
        """How often each kind of fault has happened."""
        return dict(self.faults.injected)

    @property
    def errors(self) -> list[BaseException]:
        """What went wrong in the server itself: a test has to find none."""
        return self._hub.errors + self._storage.errors

    def add_repo(
        self,
        repo_id: str,
        files: Mapping[str, bytes | str | Path] | None = None,
        *,
        repo_type: str = "model",
        private: bool = False,
        gated: bool = False,
        link: bool = False,
    ) -> Repo:
        """A new repo with these files in its first commit. ``link`` shares the bytes of paths (hard links)."""
        repo = self.store.create(repo_id, repo_type, private=private, gated=gated)
        if files:
            self.commit(repo_id, files, repo_type=repo_type, link=link)
        return repo

    def commit(
        self,
        repo_id: str,
        files: Mapping[str, bytes | str | Path | None],
        *,
        repo_type: str = "model",
        branch: str = "main",
        title: str = "files",
        link: bool = False,
    ) -> Commit:
        """Commit files without HTTP; text is UTF-8, and ``None`` takes a file away."""
        if (repo := self.store.find(repo_id, repo_type)) is None:
            raise KeyError(repo_id)
        changes = {
            path: None if content is None else self._entry(path, content, link) for path, content in files.items()
        }
        return self.store.commit(repo, branch, title, changes)

    def _entry(self, path: str, content: bytes | str | Path, link: bool) -> Entry:
        content = content.encode() if isinstance(content, str) else content
        sha256, size = self.store.objects.add(content, link=link)
        place = self.store.objects.path(sha256)
        with place.open("rb") as file:
            sample = file.read(512)
        if not self.uploads.is_large(path, size, sample) or not size:
            return self.uploads.entry(place.read_bytes())
        if self.xet and not self.xet.find(sha256):
            self.xet.add(place)
            assert self.xet.find(sha256)
        return self.uploads.large_entry(sha256)

    def file(self, repo_id: str, path: str, revision: str = "main", *, repo_type: str = "model") -> bytes:
        """A file's content, without HTTP."""
        repo = self.store.find(repo_id, repo_type)
        commit = repo.find(revision) if repo else None
        if commit is None:
            raise KeyError(f"{repo_id}@{revision}")
        sha256 = commit.tree[path].sha256
        place = self.xet.content(sha256) if self.xet else self._content(sha256)
        if place is None:
            raise KeyError(path)
        return place.read_bytes()

    def close(self) -> None:
        """Stop. The folder stays."""
        self._hub.close()
        self._storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _answer(self, request: Request) -> Reply:
        if request.path.startswith("/__control/"):
            return self._control.answer(request)
        return self._routes.answer(request)

    def _content(self, sha256: str) -> Path | None:
        return self.store.objects.path(sha256) if sha256 in self.store.objects else None


def main() -> None:
    """Serve until the input ends, so that no server outlives who started it."""
    parser = argparse.ArgumentParser(prog="python -m tests.hub.server", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the folder that holds the repos")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rate", type=float, help="bytes per second, each way")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--page-size", type=int, default=1000, help="entries on a page of a tree")
    parser.add_argument("--lfs-threshold", type=int, default=Limits.lfs_threshold)
    parser.add_argument("--multipart-threshold", type=int, default=Limits.multipart_threshold)
    parser.add_argument("--part-size", type=int, default=Limits.part_size)
    parser.add_argument("--redirect", action="store_true", help="large files are at the storage server")
    parser.add_argument("--write-token", action="append", default=[], help="a token that may do everything")
    parser.add_argument("--read-token", action="append", default=[], help="a token that may only read")
    parser.add_argument("--granted-token", action="append", default=[], help="a token that may see gated repos")
    parser.add_argument("--xet", action="store_true", help="large files go through hf_xet")
    options = parser.parse_args()
    limits = Limits(options.lfs_threshold, options.multipart_threshold, options.part_size)
    with HubServer(
        options.root,
        xet=options.xet,
        redirect=options.redirect,
        tokens=Tokens(tuple(options.write_token), tuple(options.read_token), tuple(options.granted_token)),
        limits=limits,
        page_size=options.page_size,
        bytes_per_second=options.rate,
        latency=options.latency,
        port=options.port,
    ) as server:
        print(server.url, server.storage_url, flush=True)
        try:
            sys.stdin.read()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
