"""Download a repo of the Hub; what is compressed there arrives decoded, where its original would have landed."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import quote

import huggingface_hub
from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, filter_repo_objects

import codec
from hub.ahead import Ahead
from hub.cache import CachePlace, FolderPlace, cache_folder, checked_commit, checked_name, note_commit
from hub.digest import hashing
from hub.remote import RemoteFile, XetAddress
from hub.transport import as_is
from hub.urls import SUFFIX

#: Files that are fetched at the same time.
AT_ONCE: Final = 4

#: Called with (name, bytes done, bytes in all) of each original as it grows, from several threads.
PullProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class PulledFile:
    """One file. ``action``: "decoded", "downloaded", or "cached" if it was there. ``sha256``: "" if it is not known."""

    name: str
    path: str
    action: str
    original_bytes: int
    transferred_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PullReport:
    """Result of a pull. ``folder`` is the snapshot, or the folder that was asked for."""

    repo_id: str
    commit: str
    folder: str
    files: tuple[PulledFile, ...]
    seconds: float

    @property
    def original_bytes(self) -> int:
        """Of all files."""
        return sum(file.original_bytes for file in self.files)

    @property
    def transferred_bytes(self) -> int:
        """Of all files."""
        return sum(file.transferred_bytes for file in self.files)


def pull(
    repo_id: str,
    *,
    revision: str | None = None,
    repo_type: str = "model",
    include: Sequence[str] | str | None = None,
    exclude: Sequence[str] | str | None = None,
    local_dir: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    keep_compressed: bool = False,
    token: str | bool | None = None,
    endpoint: str | None = None,
    threads: int | None = None,
    progress: PullProgress | None = None,
) -> PullReport:
    """Download a repo, decoding while it downloads: afterwards everything finds ordinary files.

    ``include`` and ``exclude``: patterns of names of originals, as in ``huggingface_hub.snapshot_download``. Files go
    to the standard cache, or to ``local_dir``. ``keep_compressed``: the weft files, too. What a pull that was killed
    had decoded is used by the next one, down to the chunk. Every original is compared with its SHA-256 before it gets
    its name.

    Raises codec.CorruptFileError if a weft file does not give what it recorded, codec.MismatchError if the repo has
    both a file and a weft file of it that hold different bytes, EndpointError, OSError (no space, no permission), and
    the errors of huggingface_hub. The other files of the repo are still fetched; the first error is raised in the end.
    """
    began = time.perf_counter()
    # while the Hub is asked what there is; whoever decodes first waits for it, and is told what is wrong
    threading.Thread(target=codec.load_kernels, daemon=True, name="weft-kernels").start()
    job = _Pull(repo_id, repo_type, local_dir, cache_dir, token, endpoint, threads, progress)
    job.list_files(revision or constants.DEFAULT_REVISION, include, exclude)
    files = job.fetch(keep_compressed=keep_compressed)
    if local_dir is None:
        note_commit(job.cache, repo_id, repo_type, revision or constants.DEFAULT_REVISION, job.commit)
    return PullReport(repo_id, job.commit, str(job.folder()), tuple(files), time.perf_counter() - began)


class _StoppedError(Exception):
    """Another file failed, or somebody pressed Ctrl-C."""


class _Pull:
    """One call of pull."""

    def __init__(
        self, repo_id: str, repo_type: str, local_dir: Any, cache_dir: Any, token: Any, endpoint: str | None,
        threads: int | None, progress: PullProgress | None,
    ) -> None:  # fmt: skip
        self.repo_id, self.repo_type, self.token, self.endpoint = repo_id, repo_type, token, endpoint
        self.threads, self.progress = threads, progress
        self.cache = cache_folder(cache_dir)
        self.local = None if local_dir is None else Path(local_dir).expanduser().resolve()
        self.headers = build_hf_headers(token=token, library_name="weft", library_version=codec.__version__)
        self.commit = ""
        self.stop = threading.Event()

    def list_files(self, revision: str, include: Any, exclude: Any) -> None:
        """Find out what there is, and what of it is wanted."""
        api = HfApi(self.endpoint, token=self.token, library_name="weft", library_version=codec.__version__)
        with as_is():
            self.commit = checked_commit(api.repo_info(self.repo_id, repo_type=self.repo_type, revision=revision).sha)
            tree = api.list_repo_tree(self.repo_id, recursive=True, revision=self.commit, repo_type=self.repo_type)
            self.entries = {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
        names = dict.fromkeys(path.removesuffix(SUFFIX) or path for path in self.entries)
        self.names = [name for name in names if self._wanted(name, _listed(include), _listed(exclude))]
        if not self.names and (include or exclude):
            raise codec.CodecError(f"{self.repo_id}: of {len(names)} files none is left by include and exclude")
        for name in self.names:
            checked_name(name)
        # a file can't be where another one wants a folder
        folders = {str(parent) for name in self.names for parent in PurePosixPath(name).parents}
        if both := sorted(folders.intersection(self.names)):
            raise codec.CodecError(f"{self.repo_id}: {both[0]} is to be a file and a folder; choose with exclude")

    def _wanted(self, name: str, include: list[str], exclude: list[str]) -> bool:
        """Whether patterns name a file, by its own name or by that of its weft file."""
        both = [path for path in (name, name + SUFFIX) if path in self.entries or path == name]
        taken = not include or any(filter_repo_objects(both, allow_patterns=include))
        return taken and len(list(filter_repo_objects(both, ignore_patterns=exclude))) == len(both)

    def folder(self) -> Path:
        """Where the files go."""
        return self.local or CachePlace(self.cache, self.repo_id, self.repo_type, self.commit, "x").path.parent

    def fetch(self, *, keep_compressed: bool) -> list[PulledFile]:
        """All files, some at a time."""

        def one(name: str) -> list[PulledFile]:
            if self.stop.is_set():
                raise _StoppedError
            with as_is():
                if (found := self.decoded(name)) is None:
                    return [self.plain(name if name in self.entries else name + SUFFIX)]
                return [found, self.plain(name + SUFFIX)] if keep_compressed else [found]

        # the large ones first: at the end nobody should wait for one that was begun last
        names = sorted(self.names, key=lambda name: -self._stored(name))
        pool = ThreadPoolExecutor(min(AT_ONCE, len(names)) or 1, thread_name_prefix="weft-pull")
        futures = [pool.submit(one, name) for name in names]
        try:
            wait(futures)
        except BaseException:
            self.stop.set()
            raise
        finally:  # after an interrupt nobody waits for a download that looks at nothing
            pool.shutdown(wait=not self.stop.is_set(), cancel_futures=True)
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]
        order = {name: k for k, name in enumerate(self.names)}
        found = [file for future in futures for file in future.result()]
        return sorted(found, key=lambda file: order.get(file.name.removesuffix(SUFFIX), -1))

    def _stored(self, name: str) -> int:
        entry = self.entries.get(name + SUFFIX) or self.entries[name]
        return int(entry.size)

    def plain(self, path: str) -> PulledFile:
        """A file as it is, by huggingface_hub's own means."""
        entry = self.entries[path]
        held = self.local is None and self.place(path).present()
        where = huggingface_hub.hf_hub_download(
            self.repo_id, path, repo_type=self.repo_type, revision=self.commit, endpoint=self.endpoint,
            cache_dir=self.cache, local_dir=self.local, token=self.token,
            library_name="weft", library_version=codec.__version__,
        )  # fmt: skip
        sha256 = entry.lfs.sha256 if entry.lfs is not None else ""
        transferred = 0 if held else entry.size
        return PulledFile(path, str(where), "cached" if held else "downloaded", entry.size, transferred, sha256)

    def place(self, name: str) -> CachePlace | FolderPlace:
        """Where a file goes."""
        if self.local is not None:
            return FolderPlace(self.local, self.commit, name)
        return CachePlace(self.cache, self.repo_id, self.repo_type, self.commit, name)

    def decoded(self, name: str) -> PulledFile | None:
        """The original of a weft file. None if there is no weft file, or one that is none."""
        entry, plain, place = self.entries.get(name + SUFFIX), self.entries.get(name), self.place(name)
        if entry is None or (plain is not None and plain.lfs is None):
            return None
        if place.present():
            held = place.path.resolve()
            sha256 = held.name if held != place.path else ""
            return PulledFile(name, str(place.path), "cached", held.stat().st_size, 0, sha256)
        remote = self.remote(entry)
        try:
            source = Ahead(remote)
            with codec.open_original(source) as file:
                size, sha256 = file.size, file.sha256
                if not sha256:  # made in memory: there is nothing to call it by
                    return None
                theirs = plain.lfs.sha256 if plain is not None and plain.lfs is not None else sha256
                if theirs != sha256:
                    both = f"{name} has SHA-256 {theirs}, the original of {entry.path} {sha256}"
                    raise codec.MismatchError(f"{self.repo_id}: {both}: the two disagree; one of them is out of date")
                if place.holds(sha256):
                    return PulledFile(name, str(place.path), "cached", size, remote.received, sha256)
                with place.locked(sha256):
                    if not place.holds(sha256):
                        _Decoding(self, name, source, file, place).run()
        except codec.NotWeftError:
            return None
        return PulledFile(name, str(place.path), "decoded", size, remote.received, sha256)

    def remote(self, entry: RepoFile) -> RemoteFile:
        """A file of the repo to read from."""
        where = {"repo_type": self.repo_type, "revision": self.commit, "endpoint": self.endpoint}
        xet = None
        if entry.xet_hash is not None:
            base = (self.endpoint or constants.ENDPOINT).rstrip("/")
            route = f"{base}/api/{self.repo_type}s/{self.repo_id}/xet-read-token/{quote(self.commit, safe='')}"
            xet = XetAddress(entry.xet_hash, route)
        return RemoteFile(
            huggingface_hub.get_session, hf_hub_url(self.repo_id, entry.path, **where), entry.size,
            headers=self.headers, name=f"{self.repo_id}/{entry.path}", xet=xet,
        )  # fmt: skip


class _Decoding:
    """One original on its way to its place."""

    def __init__(
        self, pull: _Pull, name: str, source: Ahead, file: codec.OriginalFile, place: CachePlace | FolderPlace
    ) -> None:
        self._pull, self._name, self._source, self._file, self._place = pull, name, source, file, place
        self._path = place.unfinished(file.sha256)

    def run(self) -> None:
        """Decode, compare with the SHA-256, store. Goes on where another run of this was killed."""
        try:
            resumed, found = self._path.exists(), ""
            try:
                found = self._decode()
            except codec.CodecError:  # may be of what copies found there
                if not resumed:
                    raise
            if found != self._file.sha256 and resumed:  # what was left there was not what had been written
                self._path.unlink()
                found = self._decode()
            if found != self._file.sha256:
                what = f"SHA-256 of the original is {self._file.sha256}, decoded {found}"
                raise codec.CorruptFileError(f"{self._source.name}: {what}; nothing was stored")
            self._place.store(found)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                self._path.unlink(missing_ok=True)
            raise
        except codec.CodecError:
            self._path.unlink(missing_ok=True)
            raise

    def _decode(self) -> str:
        """SHA-256 of what then is in the file: what was there, and the rest, decoded."""
        size, at = self._file.size, 0
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        with ExitStack() as stack:
            out = stack.enter_context(os.fdopen(os.open(self._path, flags, 0o666), "r+b", buffering=0))
            digest = stack.enter_context(hashing())
            while at < size and (held := out.read(min(1 << 22, size - at))):
                digest.update(held)
                at += len(held)
            out.truncate(at)
            free = shutil.disk_usage(self._path.parent).free
            if size - at > free:
                what = f"{size - at} bytes more are needed, {free} are free"
                raise OSError(errno.ENOSPC, f"no space left for {self._name}: {what}", str(self._path.parent))
            earlier, lock = stack.enter_context(open(self._path, "rb", buffering=0)), threading.Lock()

            def again(offset: int, room: memoryview) -> bool:
                if offset + len(room) > at:
                    return False
                with lock:
                    earlier.seek(offset)
                    return earlier.readinto(room) == len(room)

            with self._source.streaming(self._file.stored_offset(at)):
                for piece in self._file.pieces(at, threads=self._pull.threads, again=again):
                    if self._pull.stop.is_set():
                        raise _StoppedError
                    digest.update(piece)
                    rest = piece
                    while rest:
                        rest = rest[out.write(rest) :]
                    at += len(piece)
                    if self._pull.progress is not None:
                        self._pull.progress(self._name, at, size)
            return digest.hexdigest()


def _listed(given: Sequence[str] | str | None) -> list[str]:
    return [given] if isinstance(given, str) else list(given or ())
