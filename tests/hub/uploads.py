"""Files on their way in: preupload, LFS objects in one part or many, and commits."""

from __future__ import annotations

import base64
import dataclasses
import fnmatch
import hashlib
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hub.downloads import commit_of, signature
from tests.hub.link import Body
from tests.hub.messages import HubError, Reply, Request, json_reply
from tests.hub.store import Commit, Entry, Repo, Store, StoreError, git_id, pointer

LARGE_NAMES = (".safetensors", ".weft", ".bin", ".pt", ".gguf", ".npz", ".zip", ".onnx", ".parquet")


@dataclasses.dataclass(frozen=True)
class Limits:
    """Where a server draws its lines, in bytes."""

    lfs_threshold: int = 1 << 20
    multipart_threshold: int = 32 << 20
    part_size: int = 16 << 20


class Uploads:
    """Answers to what changes a repo. ``find_xet`` knows the xet hash of content that came that way."""

    def __init__(self, store: Store, limits: Limits, find_xet: Callable[[str], str | None]) -> None:
        self._store, self._limits, self._find_xet = store, limits, find_xet
        self._parts = store.root / "parts"
        self._parts.mkdir(exist_ok=True)

    def is_large(self, path: str, size: int, sample: bytes) -> bool:
        """Whether a file is kept beside git rather than in it."""
        if size > self._limits.lfs_threshold or path.endswith(LARGE_NAMES) or b"\0" in sample:
            return True
        try:
            sample.decode()
        except UnicodeDecodeError as error:
            return error.end < len(sample)  # a sample may end within a character
        return False

    def preupload(self, request: Request, repo: Repo, revision: str) -> Reply:
        """How each file is to come, and what is there already."""
        asked = request.json()
        commit = commit_of(repo, revision)
        ignored = asked.get("gitIgnore")
        if ignored is None and (entry := commit.tree.get(".gitignore")):
            ignored = self._store.objects.path(entry.sha256).read_text()
        told = []
        for file in asked["files"]:
            large = self.is_large(file["path"], file["size"], base64.b64decode(file["sample"]))
            there = commit.tree.get(file["path"])
            told.append(
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if large else "regular",
                    "shouldIgnore": _ignored(file["path"], ignored or ""),
                    "oid": there.etag if there else None,
                }
            )
        return json_reply({"files": told})

    def batch(self, request: Request, where: str, hub: str, storage: str) -> Reply:
        """The LFS batch API: where to put which object. Those that are there need no action."""
        told: list[dict[str, Any]] = []
        for item in request.json()["objects"]:
            told.append({"oid": item["oid"], "size": item["size"]})
            if item["oid"] not in self._store.objects and not self._find_xet(item["oid"]):
                verify = {"href": f"{hub}/{where}.git/info/lfs/objects/verify"}
                told[-1]["actions"] = {
                    "upload": self._upload(item["oid"], item["size"], hub, storage),
                    "verify": verify,
                }
        reply = json_reply({"transfer": "basic", "objects": told})
        reply.headers["Content-Type"] = "application/vnd.git-lfs+json"
        return reply

    def _upload(self, oid: str, size: int, hub: str, storage: str) -> dict[str, Any]:
        def signed(start: str, path: str) -> str:
            return f"{start}{path}?Signature={signature(path)}"

        if size <= self._limits.multipart_threshold:
            return {"href": signed(storage, f"/lfs/{oid}"), "header": {}}
        part = self._limits.part_size
        header = {"chunk_size": str(part)}
        for number in range(1, math.ceil(size / part) + 1):
            header[str(number)] = signed(storage, f"/lfs/{oid}/{number}")
        return {"href": signed(hub, f"/api/complete_multipart/{oid}"), "header": header}

    def put(self, request: Request) -> Reply:
        """``PUT /lfs/{oid}[/{part}]`` of the storage server."""
        if request.query.get("Signature") != signature(request.path):
            raise HubError(403, None, "AccessDenied")
        oid, _, part = request.path.removeprefix("/lfs/").partition("/")
        incoming = self._store.objects.incoming()
        try:
            with incoming.open("wb") as file:
                sha256, _ = request.save(file)
            if part:
                incoming.replace(self._part(oid, int(part)))
            elif sha256 != oid:
                raise HubError(400, None, "BadDigest: the content is not what its name says")
            else:
                self._store.objects.adopt(incoming, oid)
        finally:
            incoming.unlink(missing_ok=True)
        return Reply(200, {"ETag": f'"{sha256[:32]}"'}, Body())

    def complete(self, request: Request, oid: str) -> Reply:
        """All parts are here: put them together."""
        if request.query.get("Signature") != signature(request.path):
            raise HubError(403, None, "AccessDenied")
        incoming = self._store.objects.incoming()
        digest = hashlib.sha256()
        try:
            with incoming.open("wb") as file:
                for place, part in enumerate(request.json()["parts"], 1):
                    path = self._part(oid, place)
                    if part["partNumber"] != place or not path.is_file():
                        raise HubError(400, None, f"part {place} is missing")
                    content = path.read_bytes()
                    if part["etag"].strip('"') != hashlib.sha256(content).hexdigest()[:32]:
                        raise HubError(400, None, f"part {place} is another one")
                    digest.update(content)
                    file.write(content)
            if digest.hexdigest() != oid:
                raise HubError(400, None, "the parts don't make the object")
            self._store.objects.adopt(incoming, oid)
        finally:
            incoming.unlink(missing_ok=True)
        shutil.rmtree(self._parts / oid)
        return json_reply({"success": True})

    def _part(self, oid: str, number: int) -> Path:
        (self._parts / oid).mkdir(exist_ok=True)
        return self._parts / oid / str(number)

    def verify(self, request: Request) -> Reply:
        """Whether an object is here, whole."""
        asked = request.json()
        path = self._store.objects.path(asked["oid"])
        if not path.is_file() or path.stat().st_size != asked["size"]:
            raise HubError(404, None, "Object does not exist on the server")
        return json_reply({})

    def commit(self, request: Request, repo: Repo, branch: str, hub: str) -> Reply:
        """A commit, told line by line."""
        header: dict[str, Any] = {}
        changes: dict[str, Entry | None] = {}
        tree = commit_of(repo, branch).tree
        for line in filter(None, request.read().split(b"\n")):
            told = json.loads(line)
            key, value = told["key"], told["value"]
            if key == "header":
                header = value
            else:
                changes |= self._change(repo, tree, key, value)
        parent = header.get("parentCommit")
        try:
            if request.query.get("create_pr"):
                number = 1 + sum(name.startswith("refs/pr/") for name in repo.branches)
                self._store.branch(repo, new := f"refs/pr/{number}", parent or branch)
                branch, parent = new, None
            made = self._store.commit(repo, branch, header["summary"], changes, parent)
        except StoreError as error:
            status = 412 if error.code == "ParentMoved" else 404
            raise HubError(status, error.code if status == 404 else None, str(error)) from None
        return json_reply(self._commit_view(repo, branch, made, hub))

    def _commit_view(self, repo: Repo, branch: str, made: Commit, hub: str) -> dict[str, Any]:
        where = f"{hub}/{'' if repo.repo_type == 'model' else repo.repo_type + 's/'}{repo.repo_id}"
        told = {"success": True, "commitOid": made.oid, "commitUrl": f"{where}/commit/{made.oid}", "hookOutput": ""}
        if branch.startswith("refs/pr/"):
            told["pullRequestUrl"] = f"{where}/discussions/{branch.rpartition('/')[2]}"
        return told

    def _change(self, repo: Repo, tree: Any, key: str, value: dict[str, Any]) -> dict[str, Entry | None]:
        path = value["path"].strip("/")
        if key == "file":
            content = (
                base64.b64decode(value["content"]) if value.get("encoding") == "base64" else value["content"].encode()
            )
            return {path: self.entry(content)}
        if key == "lfsFile":
            return {path: self.large_entry(value["oid"], value.get("size"))}
        if key == "deletedFile":
            if path not in tree:
                raise HubError(404, "EntryNotFound", f"A file with this name doesn't exist: {path}")
            return {path: None}
        if key == "deletedFolder":
            if not (inside := [name for name in tree if name.startswith(path + "/")]):
                raise HubError(404, "EntryNotFound", f"A folder with this name doesn't exist: {path}")
            return dict.fromkeys(inside)
        if key == "copyFile":
            source = commit_of(repo, value.get("srcRevision") or "main").tree.get(value["srcPath"])
            if source is None:
                raise HubError(404, "EntryNotFound", f"A file with this name doesn't exist: {value['srcPath']}")
            return {path: source}
        raise HubError(400, None, f"unknown operation: {key}")

    def entry(self, content: bytes) -> Entry:
        """A file that git itself holds."""
        sha256, size = self._store.objects.add(content)
        return Entry(size, sha256, git_id(content), lfs=False)

    def large_entry(self, sha256: str, size: int | None = None) -> Entry:
        """A large file whose content has come already."""
        xet = self._find_xet(sha256)
        path = self._store.objects.path(sha256)
        if path.is_file():
            size = path.stat().st_size
        elif xet is None or size is None:
            raise HubError(400, None, f"LFS pointer pointed to a file that does not exist: {sha256}")
        return Entry(size, sha256, git_id(pointer(sha256, size)), lfs=True, xet=xet)


def _ignored(path: str, rules: str) -> bool:
    """What the plain rules of a .gitignore say of a path."""
    found = False
    for rule in (line.strip() for line in rules.splitlines()):
        if not rule or rule.startswith("#"):
            continue
        keep, rule = rule.startswith("!"), rule.removeprefix("!").strip("/")
        parts = path.split("/")
        whole = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        if any(fnmatch.fnmatch(name, rule) for name in whole + parts):
            found = not keep
    return found
