"""Files on their way out: the Hub's resolve route, and the storage server it may point to."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote

from tests.hub.access import Tokens
from tests.hub.link import Body, FilePiece
from tests.hub.messages import HubError, Reply, Request
from tests.hub.store import Commit, Repo

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def signature(path: str) -> str:
    """What makes a storage server's URL a signed one."""
    return hashlib.sha256(b"signed " + path.encode()).hexdigest()[:16]


def commit_of(repo: Repo, revision: str) -> Commit:
    """The commit of a revision, or the Hub's refusal."""
    if (commit := repo.find(revision)) is None:
        raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return commit


class Downloads:
    """Answers with files. ``content`` gives the place on disk of what has a SHA-256."""

    def __init__(self, tokens: Tokens, content: Callable[[str], Path | None]) -> None:
        self._tokens, self._content = tokens, content

    def resolve(self, request: Request, repo: Repo, revision: str, path: str, hub: str, storage: str | None) -> Reply:
        """``/{repo}/resolve/{revision}/{path}``; with a ``storage`` the answer says where the file is."""
        self._tokens.may_download(request, repo)
        commit = commit_of(repo, revision)
        if (entry := commit.tree.get(path)) is None:
            raise HubError(404, "EntryNotFound", "Entry not found", X_Repo_Commit=commit.oid)
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{entry.etag}"'}
        if entry.lfs:
            headers |= {"X-Linked-Etag": f'"{entry.sha256}"', "X-Linked-Size": str(entry.size)}
        if entry.xet:
            route = f"{hub}/api/{repo.repo_type}s/{repo.repo_id}/xet-read-token/{commit.oid}"
            headers |= {"X-Xet-Hash": entry.xet, "Link": f'<{route}>; rel="xet-auth"'}
        if storage and not entry.lfs and not request.path.startswith("/api/resolve-cache/"):
            # Files that git holds are redirected too, to another path of the Hub itself.
            where = f"/api/resolve-cache/{repo.repo_type}s/{repo.repo_id}/{commit.oid}/{quote(path, safe='')}"
            return Reply(307, headers | {"Location": where}, Body(b"Temporary Redirect"))
        if entry.lfs and storage:
            where = f"/cdn/{repo.repo_id}/{entry.sha256}/{quote(path)}"
            until = int(time.time()) + 3600
            headers["Location"] = f"{storage}{where}?Expires={until}&Signature={signature(unquote(where))}"
            return Reply(302, headers, Body(b"Found. Redirecting"))
        content = Path() if request.method == "HEAD" else self._content(entry.sha256)
        return self._reply(request, content, entry.size, headers)

    def stored(self, request: Request) -> Reply:
        """``/cdn/{repo}/{sha256}/{path}`` of the storage server."""
        path = unquote(request.path)
        if request.query.get("Signature") != signature(path):
            raise HubError(403, None, "AccessDenied")
        found = re.match(r"/cdn/[^/]+(?:/[^/]+)?/([0-9a-f]{64})/(.+)", path)
        content = self._content(found[1]) if found else None
        if found is None or content is None:
            raise HubError(404, None, "NoSuchKey")
        name = path.rpartition("/")[2]
        disposition = f"inline; filename*=UTF-8''{quote(name)}; filename=\"{name}\";"
        headers = {"ETag": f'"{found[1]}"', "Content-Disposition": disposition}
        return self._reply(request, content, content.stat().st_size, headers)

    def _reply(self, request: Request, content: Path | None, size: int, headers: dict[str, str]) -> Reply:
        if content is None:
            raise HubError(500, None, "the content is gone")
        headers |= {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        start, stop = 0, size
        if (wanted := _wanted(request.headers.get("Range"), size)) is not None:
            start, stop = wanted
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        return Reply(200 if wanted is None else 206, headers, Body(FilePiece(content, start, stop - start)))


def _wanted(header: str | None, size: int) -> tuple[int, int] | None:
    """The stretch a Range header asks for. What isn't understood isn't obeyed, as the standard has it."""
    found = _RANGE.fullmatch((header or "").replace(" ", ""))
    if not found or found[1] == found[2] == "":
        return None
    if not found[1]:
        start, stop = max(0, size - int(found[2])), size
    else:
        start, stop = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
    if start >= size or start == stop:
        raise HubError(416, None, "Range Not Satisfiable", Content_Range=f"bytes */{size}")
    return start, stop
