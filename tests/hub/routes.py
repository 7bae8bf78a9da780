"""Which answer a path of the Hub gets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from tests.hub import views
from tests.hub.access import Tokens
from tests.hub.downloads import Downloads, commit_of
from tests.hub.messages import HubError, Reply, Request, json_reply
from tests.hub.store import Repo, Store, StoreError
from tests.hub.uploads import Uploads
from tests.hub.xet import Xet

_VERBS = "revision|tree|paths-info|preupload|commit|refs|branch|xet-read-token|xet-write-token"
_API = re.compile(
    rf"/api/(?P<kind>model|dataset|space)s/(?P<repo>[^/]+(?:/(?!(?:{_VERBS})(?:/|$))[^/]+)?)"
    rf"(?:/(?P<verb>{_VERBS})(?:/(?P<rest>.*))?)?"
)
_RESOLVE = re.compile(r"/(?:(?P<kind>dataset|space)s/)?(?P<repo>[^/]+(?:/[^/]+)?)/resolve/(?P<rev>[^/]+)/(?P<path>.+)")
_CACHED = re.compile(
    r"/api/resolve-cache/(?P<kind>model|dataset|space)s/(?P<repo>[^/]+(?:/[^/]+)?)/(?P<rev>[0-9a-f]{40})/(?P<path>[^/]+)"
)
_LFS = re.compile(
    r"/(?P<where>(?:(?P<kind>dataset|space)s/)?(?P<repo>[^/]+(?:/[^/]+)?))\.git/info/lfs/objects/(batch|verify)"
)

_TRUE = ("true", "True", "1")

_ATTRIBUTES = b"*.bin filter=lfs diff=lfs merge=lfs -text\n*.safetensors filter=lfs diff=lfs merge=lfs -text\n"


@dataclass
class Routes:
    """The Hub's paths, and those of the storage server beside it."""

    store: Store
    tokens: Tokens
    downloads: Downloads
    uploads: Uploads
    xet: Xet | None
    page_size: int
    redirect: bool
    hub: str = ""
    storage: str = ""

    def answer(self, request: Request) -> Reply:
        """The Hub's answer."""
        if found := _RESOLVE.fullmatch(request.path) or _CACHED.fullmatch(request.path):
            if request.method not in ("GET", "HEAD"):
                raise HubError(405, None, "Method Not Allowed")
            repo = self._repo(request, found)
            storage = self.storage if self.redirect else None
            path = unquote(found["path"])
            return self.downloads.resolve(request, repo, unquote(found["rev"]), path, self.hub, storage)
        if found := _LFS.fullmatch(request.path):
            repo = self._repo(request, found, write=True)
            if request.path.endswith("verify"):
                return self.uploads.verify(request)
            return self.uploads.batch(request, found["where"], self.hub, self.storage)
        if request.path.startswith("/api/complete_multipart/"):
            return self.uploads.complete(request, request.path.rpartition("/")[2])
        if found := _API.fullmatch(request.path):
            changes = request.method != "GET" and found["verb"] != "paths-info"
            write = changes or found["verb"] == "xet-write-token"
            repo = self._repo(request, found, write=write)
            return self._api(request, repo, f"{request.method} {found['verb'] or ''}".strip(), found["rest"] or "")
        return self._alone(request)

    def stored(self, request: Request) -> Reply:
        """The storage server's answer."""
        if request.path.startswith("/cdn/") and request.method in ("GET", "HEAD"):
            return self.downloads.stored(request)
        if request.path.startswith("/lfs/") and request.method == "PUT":
            return self.uploads.put(request)
        raise HubError(404, None, "NoSuchKey")

    def _repo(self, request: Request, found: re.Match[str], *, write: bool = False) -> Repo:
        return self.tokens.open_repo(request, self.store, found["kind"] or "model", unquote(found["repo"]), write=write)

    def _api(self, request: Request, repo: Repo, what: str, rest: str) -> Reply:
        first, _, path = rest.partition("/")
        revision, path = unquote(first) or "main", unquote(path)
        match what:
            case "GET" | "GET revision":
                blobs = request.query.get("blobs") in _TRUE
                return json_reply(views.repo_view(repo, commit_of(repo, revision), blobs=blobs))
            case "GET tree":
                return self._tree(request, repo, revision, path)
            case "POST paths-info":
                asked = self._form(request)
                expand = asked.get("expand", [""])[0] in _TRUE
                commit = commit_of(repo, revision)
                return json_reply(views.paths_view(repo, commit, asked.get("paths", []), expand=expand))
            case "POST preupload":
                return self.uploads.preupload(request, repo, revision)
            case "POST commit":
                return self.uploads.commit(request, repo, revision, self.hub)
            case "GET refs":
                return json_reply(views.refs_view(repo))
            case "POST branch":
                return self._branch(repo, revision, request.json())
            case "GET xet-read-token" | "GET xet-write-token" if self.xet:
                return self.xet.token_reply()
        raise HubError(404, None, "Sorry, we can't find the page you are looking for.")

    def _branch(self, repo: Repo, name: str, asked: dict[str, str]) -> Reply:
        try:
            self.store.branch(repo, name, asked.get("startingPoint") or "main")
        except StoreError as error:
            status = 409 if error.code == "RefExists" else 404
            raise HubError(status, error.code if status == 404 else None, str(error)) from None
        return json_reply({})

    def _tree(self, request: Request, repo: Repo, revision: str, path: str) -> Reply:
        commit = commit_of(repo, revision)
        expand = request.query.get("expand") in _TRUE
        recursive = request.query.get("recursive") in _TRUE
        told = views.listing(repo, commit, path.strip("/"), recursive=recursive, expand=expand)
        if told is None:
            raise HubError(404, "EntryNotFound", f"{path} does not exist on {revision}", X_Repo_Commit=commit.oid)
        start = int(request.query.get("cursor", 0))
        stop = start + self.page_size
        reply = json_reply(told[start:stop], headers={"X-Repo-Commit": commit.oid})
        if stop < len(told):
            options = f"recursive={str(recursive).lower()}&expand={str(expand).lower()}&cursor={stop}"
            reply.headers["Link"] = f'<{self.hub}{request.path}?{options}>; rel="next"'
        return reply

    @staticmethod
    def _form(request: Request) -> dict[str, list[str]]:
        if "json" in request.headers.get("Content-Type", ""):
            asked = request.json()
            return {"paths": asked["paths"], "expand": [str(asked.get("expand", ""))]}
        return parse_qs(request.read().decode())

    def _alone(self, request: Request) -> Reply:
        match f"{request.method} {request.path}":
            case "POST /api/repos/create":
                return self._create(request)
            case "DELETE /api/repos/delete":
                asked = request.json()
                name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
                repo = self.tokens.open_repo(request, self.store, asked.get("type") or "model", name, write=True)
                self.store.delete(repo)
                return json_reply({})
            case "POST /api/validate-yaml":
                return json_reply({"errors": [], "warnings": []})
            case "GET /api/whoami-v2":
                if (token := self.tokens.known(request)) is None:
                    raise HubError(401, None, "Invalid username or password.")
                role = "write" if token in self.tokens.write or not self.tokens.write else "read"
                access = {"displayName": "test", "role": role}
                told = {"type": "user", "id": "1", "name": "tester", "fullname": "Tester", "orgs": []}
                return json_reply({**told, "auth": {"type": "access_token", "accessToken": access}})
        raise HubError(404, None, "Sorry, we can't find the page you are looking for.")

    def _create(self, request: Request) -> Reply:
        self.tokens.may_write(request)
        asked = request.json()
        kind = asked.get("type") or "model"
        name = f"{asked.get('organization') or 'tester'}/{asked['name']}"
        url = f"{self.hub}/{'' if kind == 'model' else kind + 's/'}{name}"
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        try:
            repo = self.store.create(name, kind, private=private)
        except StoreError as error:
            told = {"error": str(error), "url": url}
            return json_reply(told, 409, {"X-Error-Message": str(error)})
        self.store.commit(repo, "main", "initial commit", {".gitattributes": self.uploads.entry(_ATTRIBUTES)})
        return json_reply({"url": url, "name": name, "id": repo.repo_id})
