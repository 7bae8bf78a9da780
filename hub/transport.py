"""A transport that answers for originals where the Hub has weft files, and passes everything else on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

import httpx2 as httpx

import codec
from hub import markers, rewrite
from hub.originals import PASSED_ON, Original, Originals
from hub.remote import XetAddress
from hub.urls import (
    COMMIT,
    ERROR_CODE,
    LINKED_ETAG,
    LINKED_SIZE,
    SUFFIX,
    ListingAddress,
    file_address,
    listing_address,
    may_be_compressed,
)

_as_is: ContextVar[bool] = ContextVar("as_is", default=False)


@contextmanager
def as_is() -> Iterator[None]:
    """Within this, requests of this thread see the Hub as it is, hook or no hook."""
    token = _as_is.set(True)
    try:
        yield
    finally:
        _as_is.reset(token)


class WeftTransport(httpx.BaseTransport):
    """Sends through ``client``, whose proxies, certificates, hooks and timeouts so stay in force.

    A file that the Hub knows costs no request more than without; one that it does not know costs one, for the weft file
    beside it. Listings cost two small ones for each weft file that was not seen before, since the Hub knows neither the
    size nor the SHA-256 of its original. ``markers``: keep those of the standard cache right (see hub.markers).
    ``memory``: what was found a moment ago, by the same caller, is not looked for again. While ``on()`` is false,
    everything is passed on.
    """

    def __init__(
        self,
        client: httpx.Client,
        *,
        markers: bool = False,
        memory: bool = True,
        on: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client, self._markers, self._memory, self._on = client, markers, memory, on
        self._originals = Originals(lambda: client)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if _as_is.get() or not self._on():
            return self._send(request)
        target = request.url.raw_path.decode("ascii")
        if request.method in ("GET", "HEAD"):
            if (file := file_address(target)) is not None and may_be_compressed(file.path):
                return self._file(request)
            if request.method == "GET" and (listing := listing_address(target)) is not None:
                return self._listing(request, listing)
        elif request.method == "POST" and (listing := listing_address(target)) is not None:
            if listing.what == "paths-info":
                return self._paths(request, listing)
        return self._send(request)

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def _send(self, request: httpx.Request) -> httpx.Response:
        # a redirect, and who may be told a password behind it, is the business of the client around this one
        return self._client.send(request, stream=True, auth=None, follow_redirects=False)

    def _file(self, request: httpx.Request) -> httpx.Response:
        url, address = str(request.url), file_address(request.url.raw_path.decode("ascii"))
        assert address is not None
        found: Original | httpx.Response | bool | None = None
        if self._memory and request.method == "GET":
            found = self._originals.recent(url, address, request.headers)
        if found is None:
            response = self._send(request)
            # some servers say of a file that is missing that the repo is
            if response.headers.get(ERROR_CODE) not in ("EntryNotFound", "RepoNotFound"):
                return response
            beside = address.compressed
            found = self._originals.find(
                url, _on(request, beside), lambda commit: _on(request, beside.at(commit)), request.headers
            )
            if not isinstance(found, (Original, httpx.Response)):
                if found is None and self._markers and (commit := response.headers.get(COMMIT)):
                    markers.note_absent(address.repo, commit, unquote(beside.path))
                return response
            response.close()
        if not isinstance(found, Original):
            assert isinstance(found, httpx.Response)
            return found
        if self._markers:
            markers.forget(address.repo, found.commit, unquote(address.path))
        return answer(request, found)

    def _listing(self, request: httpx.Request, listing: ListingAddress) -> httpx.Response:
        response = self._send(request)
        if response.status_code != 200:
            return response
        response.read()
        if b".weft" not in response.content:
            return response
        found = response.json()
        describe = self._describer(request, response, listing, found)
        if listing.what != "tree":
            return _with_json(response, rewrite.info(found, describe))
        # who asks for a whole tree wants all of its files, once each
        whole = request.url.params.get("recursive", "").lower() in ("true", "1")
        return _with_json(response, rewrite.tree(found, describe, both=not whole))

    def _paths(self, request: httpx.Request, listing: ListingAddress) -> httpx.Response:
        body, kind = request.read(), request.headers.get("Content-Type", "")
        try:
            asked = rewrite.paths_of(body, kind)
            more = [path for path in asked if may_be_compressed(path)]
            changed = rewrite.with_compressed(body, kind, more) if more else body
        except (ValueError, AttributeError, TypeError):
            return self._send(request)
        headers = [
            (k, v) for k, v in request.headers.multi_items() if k.lower() not in ("content-length", "transfer-encoding")
        ]
        sent = httpx.Request("POST", request.url, headers=headers, content=changed, extensions=request.extensions)
        response = self._send(sent)
        if response.status_code != 200 or not more:
            return response
        response.read()
        if b".weft" not in response.content:
            return response
        found = response.json()
        describe = self._describer(request, response, listing, None)
        return _with_json(response, rewrite.tree(found, describe, set(asked)))

    def _describer(
        self, request: httpx.Request, response: httpx.Response, listing: ListingAddress, info: Any
    ) -> rewrite.Describe:
        """Looks into the weft files of a listing, at the commit that was listed."""
        passed = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        commit = response.headers.get(COMMIT) or (info.get("sha") if isinstance(info, dict) else None)
        revision = commit or listing.revision or "main"

        def describe(entry: Mapping[str, Any]) -> tuple[int, str] | None:
            lfs = entry.get("lfs") or {}
            etag = lfs.get("oid") or lfs.get("sha256") or entry.get("oid") or entry.get("blobId")
            size = lfs.get("size", entry.get("size"))
            if not isinstance(etag, str) or not isinstance(size, int):
                return None
            xet = None
            if isinstance(file_hash := entry.get("xetHash"), str):
                xet = XetAddress(file_hash, _on(request, listing.xet_route(revision)))
            url = _on(request, listing.file(entry["path"], revision))
            try:
                found = self._originals.describe(etag, size, url, revision, passed, xet)
            except (codec.CodecError, OSError, httpx.HTTPError):
                return None  # it stays what it is; whoever wants the file is told what is wrong
            if found is None:
                return None
            for name in {revision, listing.revision or revision}:
                original = listing.file(entry["path"].removesuffix(SUFFIX), name)
                self._originals.remember(_on(request, original), passed, found)
            return found.size, found.sha256

        return describe


def _on(request: httpx.Request, target: object) -> str:
    """The URL of another target on the host of a request: never on one that a path beginning with "//" would name."""
    return str(request.url.copy_with(raw_path=str(target).encode("ascii")))


def answer(request: httpx.Request, found: Original) -> httpx.Response:
    """What the Hub would say if it had the original."""
    headers = {
        COMMIT: found.commit,
        "ETag": f'"{found.sha256}"',
        LINKED_ETAG: f'"{found.sha256}"',
        LINKED_SIZE: str(found.size),
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
    }
    wanted = byte_range(request.headers.get("Range"), found.size) if request.method == "GET" else None
    begin, end = wanted or (0, found.size)
    if begin >= end and wanted is not None:
        return httpx.Response(416, headers={**headers, "Content-Range": f"bytes */{found.size}", "Content-Length": "0"})
    headers["Content-Length"] = str(end - begin)
    if wanted is not None:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{found.size}"
    if request.method == "HEAD":
        return httpx.Response(200, headers=headers)
    return httpx.Response(206 if wanted else 200, headers=headers, stream=OriginalBody(found, begin, end))


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The range (begin, end) that a Range header asks for. None if it asks for everything, or for several ranges, which
    a server may answer with everything. An empty range is one that can't be given.
    """
    asked = re.fullmatch(r"\s*bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", header or "")
    if asked is None or not (asked[1] or asked[2]):
        return None
    if not asked[1]:
        return max(0, size - int(asked[2])), size
    begin = int(asked[1])
    end = min(int(asked[2]) + 1, size) if asked[2] else size
    return (begin, end) if begin < size and end > begin else (0, 0)


class OriginalBody(httpx.SyncByteStream):
    """Bytes of an original, decoded as they are read."""

    def __init__(self, found: Original, begin: int, end: int) -> None:
        self.original = found
        self._pieces = found.pieces(begin, end)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            yield bytes(piece)

    def close(self) -> None:
        """Stop decoding."""
        self._pieces.close()  # type: ignore[attr-defined]


def _with_json(response: httpx.Response, content: Any) -> httpx.Response:
    """The same response with another body."""
    dropped = ("content-length", "content-encoding", "transfer-encoding", "etag")
    headers = [(k, v) for k, v in response.headers.multi_items() if k.lower() not in dropped]
    return httpx.Response(
        response.status_code, headers=headers, content=json.dumps(content).encode(), extensions=response.extensions
    )
