"""What there is to push: the files of a folder, or those of another repo."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import huggingface_hub
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import DEFAULT_IGNORE_PATTERNS, build_hf_headers, filter_repo_objects

import codec
from hub.cache import checked_commit, checked_name
from hub.remote import RemoteFile
from hub.transport import as_is

#: Files below this many bytes are uploaded unchanged.
SMALL: Final = 64 * 1024


class Offer(Protocol):
    """One file that is to be in the repo. ``sha256`` is "" where finding it out means reading the file."""

    name: str
    size: int
    sha256: str

    def hashed(self) -> str:
        """SHA-256 of the file, in hex, found out if need be."""

    def is_in(self, entry: RepoFile) -> bool:
        """Whether this entry of a repo has the same content."""

    def opened(self) -> Any:
        """A context manager that gives a path, or a binary file object to be read front to back."""

    def local(self, folder: Path) -> Path:
        """A path of the file: its own, or of a copy in this folder."""


def is_for_compression(offer: Offer) -> bool:
    """Whether a file is one of those that hold weights."""
    return offer.size >= SMALL and codec.is_model_name(offer.name)


class LocalFile:
    """A file of a folder."""

    sha256 = ""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name, self.size = path, name, path.stat().st_size

    def hashed(self) -> str:
        """See Offer."""
        if not self.sha256:
            with self.path.open("rb") as file:
                self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return self.sha256

    def is_in(self, entry: RepoFile) -> bool:
        """See Offer."""
        if entry.size != self.size:
            return False
        if entry.lfs is not None:
            return entry.lfs.sha256 == self.hashed()
        content = self.path.read_bytes()  # as git names it; such files are small
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == entry.blob_id

    @contextmanager
    def opened(self) -> Iterator[str]:
        """See Offer."""
        yield str(self.path)

    def local(self, folder: Path) -> Path:
        """See Offer."""
        return self.path


class RepoFileOffer:
    """A file of another repo, at one commit."""

    def __init__(self, source: SourceRepo, entry: RepoFile) -> None:
        self._source, self._entry, self.name, self.size = source, entry, entry.path, entry.size
        self.sha256 = entry.lfs.sha256 if entry.lfs is not None else ""

    def hashed(self) -> str:
        """See Offer."""
        return self.sha256

    def is_in(self, entry: RepoFile) -> bool:
        """See Offer."""
        if entry.lfs is None or self._entry.lfs is None:
            return entry.blob_id == self._entry.blob_id
        return entry.lfs.sha256 == self._entry.lfs.sha256

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """See Offer."""
        repo = self._source
        url = hf_hub_url(
            repo.repo_id, self.name, repo_type=repo.repo_type, revision=repo.commit, endpoint=repo.endpoint
        )
        name = f"{repo.repo_id}/{self.name}"
        remote = RemoteFile(huggingface_hub.get_session, url, self.size, headers=repo.headers, name=name)
        with io.BufferedReader(_Stream(remote), 1 << 20) as file:
            yield file

    def local(self, folder: Path) -> Path:
        """See Offer."""
        repo = self._source
        path = huggingface_hub.hf_hub_download(
            repo.repo_id, self.name, repo_type=repo.repo_type, revision=repo.commit, endpoint=repo.endpoint,
            token=repo.token, local_dir=folder,
        )  # fmt: skip
        return Path(path)


class _Stream(io.RawIOBase):
    """A remote file read front to back."""

    def __init__(self, remote: RemoteFile) -> None:
        self._blocks, self._held = remote.stream(), memoryview(b"")
        self.name = remote.name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._held:
            self._held = memoryview(next(self._blocks, b""))
        size = min(len(self._held), len(buffer))
        buffer[:size], self._held = self._held[:size], self._held[size:]
        return size


class SourceRepo:
    """Another repo of the Hub, "org/name" or "org/name@revision"."""

    def __init__(self, named: str, repo_type: str, token: Any, endpoint: str | None) -> None:
        self.repo_id, _, revision = named.partition("@")
        self.repo_type, self.token, self.endpoint = repo_type, token, endpoint
        self.headers = build_hf_headers(token=token, library_name="weft", library_version=codec.__version__)
        self._api = HfApi(endpoint, token=token)
        with as_is():
            found = self._api.repo_info(self.repo_id, repo_type=repo_type, revision=revision or None)
            self.commit = checked_commit(found.sha)

    def offers(self) -> list[Offer]:
        """Every file."""
        with as_is():
            tree = self._api.list_repo_tree(
                self.repo_id, recursive=True, revision=self.commit, repo_type=self.repo_type
            )
            found = [entry for entry in tree if isinstance(entry, RepoFile)]
        for entry in found:
            checked_name(entry.path)
        wanted = filter_repo_objects(found, ignore_patterns=[*DEFAULT_IGNORE_PATTERNS, ".gitattributes"], key=_path)
        return [RepoFileOffer(self, entry) for entry in wanted]


def _path(entry: RepoFile) -> str:
    return entry.path


def offers_of_path(path: str | os.PathLike[str]) -> list[Offer]:
    """A file, or every file of a folder that huggingface_hub would upload. Raises OSError."""
    root = Path(path)
    if not root.is_dir():
        return [LocalFile(root, root.name)]
    names = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
    return [
        LocalFile(root / name, name) for name in filter_repo_objects(names, ignore_patterns=DEFAULT_IGNORE_PATTERNS)
    ]
