"""Where huggingface_hub keeps what it downloads, and how a file gets there: its standard cache, or a folder.

The layout is that of huggingface_hub's ``file_download`` module: ``blobs/<etag>``, links to them in
``snapshots/<commit>/``, the commit of a branch in ``refs/``, and markers in ``.no_exist/<commit>/`` for files that were
asked for and were not there, which are looked at first.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from huggingface_hub import constants
from huggingface_hub.file_download import are_symlinks_supported, repo_folder_name
from huggingface_hub.utils import WeakFileLock

import codec
from hub.markers import forget_listing
from hub.remote import EndpointError


def checked_name(path: str) -> Path:
    """A repo's path as one below a folder. Raises codec.CodecError for one that would lead out of it."""
    parts = PurePosixPath(path).parts
    bad = not parts or path.startswith("/") or ".." in parts or "\0" in path
    if bad or (os.name == "nt" and any(c in path for c in "\\:")):
        raise codec.CodecError(f"the repo lists a file {path!r}: no name for a file below a folder")
    return Path(*parts)


def checked_commit(commit: object) -> str:
    """A commit as an endpoint names it. Raises EndpointError for what is none: it becomes the name of a folder."""
    if not isinstance(commit, str) or not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        raise EndpointError(f"the endpoint names {commit!r} as the commit; expected 40 hexadecimal digits")
    return commit


class CachePlace:
    """One file of one commit in the standard cache."""

    def __init__(self, cache: Path, repo_id: str, repo_type: str, commit: str, path: str) -> None:
        name = repo_folder_name(repo_id=repo_id, repo_type=repo_type)
        commit = checked_commit(commit)
        self._cache, self._folder, self._locks = cache, cache / name, cache / ".locks" / name
        self._marker = self._folder / ".no_exist" / commit / checked_name(path)
        #: Where programs look for it.
        self.path = self._folder / "snapshots" / commit / checked_name(path)

    def present(self) -> bool:
        """Whether it is there, for this commit."""
        return self.path.exists()

    def holds(self, sha256: str) -> bool:
        """Whether its bytes are there, whatever name they were stored under. Then they are linked."""
        if not self._blob(sha256).exists():
            return False
        self._link(sha256)
        return True

    def unfinished(self, sha256: str) -> Path:
        """Where its bytes wait until all are there."""
        return self._blob(f"{sha256}.weft.incomplete")

    @contextlib.contextmanager
    def locked(self, sha256: str) -> Iterator[None]:
        """Keep other processes from storing the same bytes. What was made for it goes if nothing comes of it."""
        with made(self._blob(sha256).parent), made(self._locks), WeakFileLock(self._locks / f"{sha256}.lock"):
            yield

    def store(self, sha256: str) -> None:
        """Put what is finished where programs look for it."""
        os.replace(self.unfinished(sha256), self._blob(sha256))
        self._link(sha256)

    def _blob(self, name: str) -> Path:
        return self._folder / "blobs" / name

    def _link(self, sha256: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{secrets.token_hex(6)}.tmp")
        try:
            if are_symlinks_supported(self._cache):
                os.symlink(os.path.relpath(self._blob(sha256), self.path.parent), temporary)
            else:
                shutil.copyfile(self._blob(sha256), temporary)
            os.replace(temporary, self.path)
        finally:
            temporary.unlink(missing_ok=True)
        self._marker.unlink(missing_ok=True)


class FolderPlace:
    """One file in a folder of the user's choice."""

    def __init__(self, folder: Path, commit: str, path: str) -> None:
        self._folder, self._commit, self._name = folder, commit, path
        self.path = folder / checked_name(path)

    def present(self) -> bool:
        """False: only its bytes can tell."""
        return False

    def holds(self, sha256: str) -> bool:
        """Whether a file of this name with these bytes is there."""
        import hashlib

        if not self.path.is_file():
            return False
        with self.path.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == sha256
        if same:
            self._describe(sha256)
        return same

    def unfinished(self, sha256: str) -> Path:
        """Where its bytes wait until all are there: beside it. Of a long name the start will do."""
        start = os.fsencode(self.path.name)[:80].decode("utf-8", "ignore")
        return self.path.with_name(f".{start}.{sha256[:16]}.weft.incomplete")

    @contextlib.contextmanager
    def locked(self, sha256: str) -> Iterator[None]:
        """Keep other processes from storing the same bytes. What was made for it goes if nothing comes of it."""
        lock = self._folder / ".cache" / "huggingface" / "download" / f"{sha256}.lock"
        with made(self.path.parent), made(lock.parent), WeakFileLock(lock):
            yield

    def store(self, sha256: str) -> None:
        """Put what is finished under its name."""
        os.replace(self.unfinished(sha256), self.path)
        self._describe(sha256)

    def _describe(self, sha256: str) -> None:
        """Tell huggingface_hub what the file is, as it does itself, so that it does not fetch it again."""
        from huggingface_hub._local_folder import write_download_metadata

        write_download_metadata(self._folder, self._name, self._commit, sha256)


@contextlib.contextmanager
def made(folder: Path) -> Iterator[None]:
    """Make a folder; if that leads nowhere, remove what was made, as far as it is empty."""
    missing = [f for f in (folder, *folder.parents) if not f.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for each in missing:
                each.rmdir()
        raise


def cache_folder(given: str | os.PathLike[str] | None) -> Path:
    """The standard cache, or the one given."""
    return Path(constants.HF_HUB_CACHE if given is None else given).expanduser().resolve()


def note_commit(cache: Path, repo_id: str, repo_type: str, revision: str, commit: str) -> None:
    """Record which commit a branch or tag was at, and drop a listing of that commit that names weft files: with it,
    a snapshot would count as complete only with those.
    """
    folder = cache / repo_folder_name(repo_id=repo_id, repo_type=repo_type)
    if revision != commit:
        ref = folder / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        temporary = ref.with_name(f"{ref.name}.{secrets.token_hex(4)}.tmp")
        temporary.write_text(commit)
        os.replace(temporary, ref)
    forget_listing(folder / "trees" / f"{commit}.json")
