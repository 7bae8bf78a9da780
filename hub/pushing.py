"""Upload the files of a folder, or of another repo, with the weights compressed."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2 as httpx
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile

import codec
from hub import remote
from hub.cache import checked_commit
from hub.card import check_card, with_section
from hub.offers import LocalFile, Offer, SourceRepo, is_for_compression, offers_of_path
from hub.originals import Originals
from hub.transport import as_is
from hub.urls import SUFFIX

#: A file that does not become smaller than this share of itself is uploaded as it is.
WORTH_IT: Final = 0.99
#: Files up to this many bytes are held in memory until they are committed: the Hub may want them in the commit itself.
HELD: Final = 10_000_000
#: What was uploaded is committed when it is this much, so that a push that is killed loses little.
COMMIT_BYTES: Final = 4 << 30
COMMIT_FILES: Final = 16
#: Attempts to commit.
TRIES: Final = 4
CARD: Final = "README.md"

#: Called with (name, bytes done, bytes in all) of each file as it is compressed.
PushProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class PushedFile:
    """One file. ``action``: "compressed"; "copied" if it is as it was; "extended": the model card, with a section more;
    "skipped" if the repo has it already.

    ``stored_bytes`` is what the repo holds of it; with ``dry_run``, an estimate of that.
    """

    name: str
    action: str
    original_bytes: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class PushReport:
    """Result of a push. ``commit`` is "" where nothing was committed. ``deleted``: what the weft files replace."""

    repo_id: str
    commit: str
    files: tuple[PushedFile, ...]
    deleted: tuple[str, ...]
    seconds: float

    @property
    def original_bytes(self) -> int:
        """Of all files."""
        return sum(file.original_bytes for file in self.files)

    @property
    def stored_bytes(self) -> int:
        """Of all files."""
        return sum(file.stored_bytes for file in self.files)


def push(
    repo_id: str,
    path: str | os.PathLike[str] | None = None,
    *,
    from_repo: str | None = None,
    revision: str | None = None,
    repo_type: str = "model",
    private: bool | None = None,
    level: str = "default",
    keep_originals: bool = False,
    dry_run: bool = False,
    token: str | bool | None = None,
    endpoint: str | None = None,
    threads: int | None = None,
    progress: PushProgress | None = None,
    note: Callable[[PushedFile], None] | None = None,
) -> PushReport:
    """Upload a folder or a file, the weights compressed, everything else unchanged; or make a compressed twin of the
    repo ``from_repo`` ("org/name" or "org/name@revision"), which is streamed and never on the disk as a whole.

    The repo is made if it is not there (``private``), and the branch ``revision``, too. One file at a time is
    compressed to a temporary file, decoded again and compared, uploaded by huggingface_hub, and removed. What the repo
    has already, by the SHA-256 of its content, is skipped, so a push that was killed goes on where it was. Where the
    repo has X and X.weft comes, X is deleted, unless ``keep_originals``, which uploads both. The model card gets a
    section that says how to load the model. ``dry_run``: changes nothing, estimates the sizes. ``note`` is called with
    each file when it is done.

    Raises ValueError, OSError, the errors of codec.errors, and those of huggingface_hub (no token, no write access).
    """
    if (path is None) == (from_repo is None):
        raise ValueError("push: say what to upload, either a path or from_repo")
    began = time.perf_counter()
    job = _Push(repo_id, repo_type, revision, level, keep_originals, token, endpoint, threads, progress)
    if from_repo is not None:
        offers = SourceRepo(from_repo, repo_type, token, endpoint).offers()
    else:
        offers = offers_of_path(path)  # type: ignore[arg-type]
    names = {offer.name for offer in offers}
    if both := sorted(name for name in names if name + SUFFIX in names and codec.is_model_name(name)):
        raise codec.CodecError(f"{both[0]} and {both[0]}{SUFFIX} would have the same place in the repo; remove one")
    job.look(create=not dry_run, private=private)
    files = []
    with tempfile.TemporaryDirectory(prefix="weft-push-") as room:
        for file in job.estimates(offers) if dry_run else job.uploads(offers, Path(room)):
            files.append(file)
            if note is not None:
                note(file)
        deleted = tuple(job.deleted)
    return PushReport(repo_id, job.commit, tuple(files), deleted, time.perf_counter() - began)


class _Push:
    """One call of push."""

    def __init__(
        self, repo_id: str, repo_type: str, revision: str | None, level: str, keep_originals: bool, token: Any,
        endpoint: str | None, threads: int | None, progress: PushProgress | None,
    ) -> None:  # fmt: skip
        self.repo: dict[str, Any] = {"repo_id": repo_id, "repo_type": repo_type, "revision": revision}
        self.level, self.keep_originals, self.threads, self.progress = level, keep_originals, threads, progress
        self.endpoint = endpoint
        self.api = HfApi(endpoint, token=token, library_name="weft", library_version=codec.__version__)
        self.token = token
        self.there: dict[str, RepoFile] = {}
        self.operations: list[CommitOperationAdd | CommitOperationDelete] = []
        self.pending = 0
        self.deleted: list[str] = []
        self.commit, self.at = "", ""

    def look(self, *, create: bool, private: bool | None) -> None:
        """Make the repo if it is not there, and list what it has."""
        repo_id, repo_type, revision = self.repo["repo_id"], self.repo["repo_type"], self.repo["revision"]
        try:
            self.api.repo_info(repo_id, repo_type=repo_type)
        except RepositoryNotFoundError:
            if not create:
                return
            self.api.create_repo(repo_id, repo_type=repo_type, private=private)
        if create:
            if revision is not None:
                self.api.create_branch(repo_id, repo_type=repo_type, branch=revision, exist_ok=True)
            # asks whether we may write, before hours are spent on compressing
            self.api.preupload_lfs_files(additions=[CommitOperationAdd(CARD, b"#")], **self.repo)
        try:
            with as_is():
                self.at = checked_commit(self.api.repo_info(repo_id, repo_type=repo_type, revision=revision).sha)
                tree = self.api.list_repo_tree(repo_id, recursive=True, revision=self.at, repo_type=repo_type)
                self.there = {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
        except (
            RevisionNotFoundError,
            EntryNotFoundError,
        ):  # a branch that a dry run does not make, a repo that is empty
            if create:
                raise

    def has_compressed(self, offer: Offer) -> int | None:
        """Stored bytes of the repo's weft file of the same content, if there is one (and the original, if kept)."""
        entry, plain = self.there.get(offer.name + SUFFIX), self.there.get(offer.name)
        if entry is None:
            return None
        if (plain is not None) != self.keep_originals:
            return None
        if plain is not None and (plain.lfs is None or plain.lfs.sha256 != offer.hashed()):
            return None
        held = originals_of_repo(self.api, self.repo | {"revision": self.at}, entry, self.token)
        return int(entry.size) if held and held == offer.hashed() else None

    def estimates(self, offers: list[Offer]) -> Iterator[PushedFile]:
        """What would be done."""
        for offer in offers:
            if not is_for_compression(offer):
                there = offer.name in self.there and offer.is_in(self.there[offer.name])
                yield PushedFile(offer.name, "skipped" if there else "copied", offer.size, offer.size)
            elif (stored := self.has_compressed(offer)) is not None:
                yield PushedFile(offer.name, "skipped", offer.size, stored)
            else:
                if not self.keep_originals and offer.name in self.there:
                    self.deleted.append(offer.name)
                estimate = codec.estimate_file(offer.path, level=self.level) if isinstance(offer, LocalFile) else None
                # of a repo nothing is read; weights become about two thirds (bf16) to five sixths (fp32)
                stored = estimate.estimated_bytes if estimate is not None else int(offer.size * 0.75)
                kept = offer.size if self.keep_originals else 0
                yield PushedFile(offer.name, "compressed", offer.size, stored + kept)

    def uploads(self, offers: list[Offer], room: Path) -> Iterator[PushedFile]:
        """Do it."""
        weights = [offer for offer in offers if is_for_compression(offer)]
        card = next((offer for offer in offers if offer.name == CARD), None)
        content = self.card(card, room) if weights or card is not None else b""
        check_card(content)
        for offer in weights:
            yield self.upload(offer, room)
            self.send_if_much(f"Add {offer.name} and more")
        for offer in offers:
            if not is_for_compression(offer) and offer.name != CARD:
                yield self.copy(offer, room)
                self.send_if_much(f"Add {offer.name} and more")
        if weights or card is not None:
            yield self.write_card(content, section=bool(weights))
        if self.operations:
            self.send("Upload model compressed with weft")

    def upload(self, offer: Offer, room: Path) -> PushedFile:
        """Compress one file and upload it, if the repo does not have it."""
        if (stored := self.has_compressed(offer)) is not None:
            return PushedFile(offer.name, "skipped", offer.size, stored)
        base = os.fsencode(offer.name.rpartition("/")[2])[-80:].decode("utf-8", "ignore")
        target = room / (base + SUFFIX)  # a name that progress bars show

        def show(done: int, total: int | None) -> None:
            if self.progress is not None:
                self.progress(offer.name, done, offer.size)

        try:
            with offer.opened() as source:
                report = codec.compress_file(source, target, level=self.level, threads=self.threads, progress=show)
            if offer.sha256 and report.sha256 != offer.sha256:
                what = f"the Hub lists SHA-256 {offer.sha256}, what came has {report.sha256}"
                raise codec.CorruptFileError(f"{offer.name}: {what}; nothing was uploaded")
            if codec.verify_file(target, threads=self.threads).sha256 != report.sha256:
                raise codec.CorruptFileError(f"{offer.name}: does not come back as it was; nothing was uploaded")
            if report.stored_bytes >= report.original_bytes * WORTH_IT:
                target.unlink()
                return self.copy(offer, room)
            self.add(offer.name + SUFFIX, target)
        finally:
            target.unlink(missing_ok=True)
        stored = report.stored_bytes
        if self.keep_originals:
            path = offer.local(room)
            try:
                if self.add(offer.name, path) != report.sha256:
                    raise codec.SourceChangedError(f"{offer.name}: changed while it was uploaded; push it again")
            finally:
                if room in path.parents:
                    path.unlink()
            stored += offer.size
        elif offer.name in self.there:
            self.delete(offer.name)
        return PushedFile(offer.name, "compressed", offer.size, stored)

    def copy(self, offer: Offer, room: Path) -> PushedFile:
        """Upload one file as it is, if the repo does not have it."""
        if offer.name in self.there and offer.is_in(self.there[offer.name]):
            return PushedFile(offer.name, "skipped", offer.size, offer.size)
        path = offer.local(room)
        try:
            self.add(offer.name, path)
        finally:
            if room in path.parents:
                path.unlink()
        if offer.name + SUFFIX in self.there:
            self.delete(offer.name + SUFFIX)
        return PushedFile(offer.name, "copied", offer.size, offer.size)

    def add(self, name: str, path: Path) -> str:
        """Upload a file, to be committed later; the path may go afterwards. SHA-256 of what was uploaded."""
        content = path.read_bytes() if path.stat().st_size <= HELD else str(path)
        operation = CommitOperationAdd(name, content)
        self.api.preupload_lfs_files(additions=[operation], **self.repo)
        self.operations.append(operation)
        self.pending += path.stat().st_size
        return operation.upload_info.sha256.hex()

    def delete(self, name: str) -> None:
        """Have the repo forget a file that another one replaces."""
        self.operations.append(CommitOperationDelete(name, is_folder=False))
        self.deleted.append(name)

    def write_card(self, card: bytes, *, section: bool) -> PushedFile:
        """The model card, with the section that says how to load what is compressed, if anything is."""
        content = with_section(card, self.repo["repo_id"], self.repo["repo_type"]) if section else card
        entry = self.there.get(CARD)
        same = entry is not None and entry.size == len(content) and entry.blob_id == _git_id(content)
        if not same:
            self.operations.append(CommitOperationAdd(CARD, content))
        action = "skipped" if same else "copied" if content == card else "extended"
        return PushedFile(CARD, action, len(content), len(content))

    def card(self, offer: Offer | None, room: Path) -> bytes:
        """The model card as it is now: that of the folder, or else of the repo."""
        if offer is not None:
            return offer.local(room).read_bytes()
        if CARD not in self.there:
            return b""
        return Path(self.api.hf_hub_download(filename=CARD, local_dir=room, **self.repo)).read_bytes()

    def send_if_much(self, message: str) -> None:
        """Commit what was uploaded, if losing it would cost much."""
        if self.pending >= COMMIT_BYTES or len(self.operations) >= COMMIT_FILES:
            self.send(message)

    def send(self, message: str) -> None:
        """Commit what was uploaded. Where the connection breaks, look whether it arrived, and else send it again."""
        for tried in range(TRIES):
            try:
                with as_is():
                    done = self.api.create_commit(operations=self.operations, commit_message=message, **self.repo)
                self.commit = self.at = done.oid
                break
            except (httpx.TransportError, HfHubHTTPError) as error:
                status = error.response.status_code if isinstance(error, HfHubHTTPError) else 503
                if tried == TRIES - 1 or (status < 500 and status != 429):
                    raise
            time.sleep(remote.FIRST_WAIT * 4**tried)
            if (head := self.head()) != self.at and self.arrived(head):
                self.commit = self.at = head
                break
        self.operations, self.pending = [], 0

    def head(self) -> str:
        """The commit that the branch is at."""
        with as_is():
            return checked_commit(self.api.repo_info(**self.repo).sha)

    def arrived(self, commit: str) -> bool:
        """Whether a commit has what was to be added."""
        added = {o.path_in_repo: o.upload_info for o in self.operations if isinstance(o, CommitOperationAdd)}
        with as_is():
            found = self.api.get_paths_info(
                self.repo["repo_id"], list(added), repo_type=self.repo["repo_type"], revision=commit
            )
        there = {e.path: (e.size, e.lfs.sha256 if e.lfs else None) for e in found if isinstance(e, RepoFile)}
        return all(
            there.get(path) in ((info.size, info.sha256.hex()), (info.size, None)) for path, info in added.items()
        )


def _git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def originals_of_repo(api: HfApi, repo: dict[str, Any], entry: RepoFile, token: Any) -> str:
    """SHA-256 of the original of a weft file of a repo; "" if it is none."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    url = hf_hub_url(filename=entry.path, endpoint=api.endpoint, **repo)
    headers = build_hf_headers(token=token, library_name="weft", library_version=codec.__version__)
    with as_is():
        found = Originals(get_session).describe(entry.blob_id, entry.size, url, repo["revision"], headers)
    return found.sha256 if found is not None else ""
