"""The Hub through this server: what is compressed there is handed out as its original, all the rest as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import httpx2 as httpx
from huggingface_hub.errors import HfHubHTTPError
from starlette.datastructures import Headers
from starlette.types import Receive, Scope

import codec
from hub.serving.addresses import Upstream, own_url, target_of, up
from hub.serving.app import Answer, App, message
from hub.serving.client import UpstreamClient
from hub.serving.log import Log, in_one_line
from hub.serving.store import Store, key_of
from hub.serving.streams import Body, CheckedBody, WholeBody, request_body
from hub.transport import OriginalBody, WeftTransport, byte_range
from hub.urls import ERROR_CODE, LINKED_SIZE, listing_address

#: Answers that tell the client where to go on: the Hub's LFS and repo routes.
_TELLS_URLS: Final = re.compile(r"/api/|/info/lfs/")


class UpstreamApp(App):
    """``bound``: the URL it is reached at by those who name no host.

    Every request is first put to the upstream, with the token it came with: what the store holds is given only to those
    who may have the weft file there.
    """

    def __init__(self, upstream: str, store: Store, log: Log, *, bound: str = "") -> None:
        super().__init__(log)
        self._upstream, self._store, self.bound = Upstream(upstream), store, bound
        self._client = UpstreamClient()
        self._transport = WeftTransport(self._client, memory=False)

    def close(self) -> None:
        """Close all connections, and remove what is unfinished."""
        self._client.cut()
        self._store.close()

    def answer(self, scope: Scope, receive: Receive) -> Answer:
        """What the upstream says, with originals."""
        target = target_of(scope["raw_path"], scope["query_string"])
        url = None if target is None else self._upstream.url(target)
        if url is None:
            return message(400, "no path of this server")
        request = self._request(scope, url, receive)
        response = self._ask(request)
        own = own_url(Headers(scope=scope).get("host"), self.bound)
        if isinstance(response.stream, OriginalBody):
            return self._original(request, response)
        headers = self._upstream.down(response.headers.raw, own)
        if request.method == "HEAD" or response.status_code in (204, 304):
            response.close()
            return Answer(response.status_code, headers)
        if _may_tell_urls(request, response):
            content = self._upstream.rewritten_json(response.read(), own)
        elif response.is_stream_consumed:  # read, and maybe rewritten, by the transport
            content = response.content
        else:
            return Answer(response.status_code, headers, _RawBody(response))
        kept = [(n, v) for n, v in headers if n not in (b"content-length", b"content-encoding")]
        return Answer(response.status_code, [*kept, _length(len(content))], WholeBody(content))

    def _request(self, scope: Scope, url: httpx.URL, receive: Receive) -> httpx.Request:
        headers = up(scope["headers"])
        names = {name for name, _ in scope["headers"]}
        content: Iterator[bytes] | None = None
        if names & {b"content-length", b"transfer-encoding"}:
            content = request_body(receive)
        request = httpx.Request(scope["method"], url, headers=headers, content=content)
        target = url.raw_path.decode("ascii")
        if scope["method"] not in ("GET", "HEAD") or listing_address(target) is not None:
            # these answers may be read here: no encoding that can't be undone without further packages
            request.headers["Accept-Encoding"] = "gzip, deflate"
        elif "Accept-Encoding" not in request.headers:
            request.headers["Accept-Encoding"] = "identity"
        return request

    def _ask(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._transport.handle_request(request)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # a connection that was kept alive may have been closed just when it was used again
            if request.method not in ("GET", "HEAD"):
                raise
            return self._transport.handle_request(request)

    def _original(self, request: httpx.Request, response: httpx.Response) -> Answer:
        """The body of an original: from the store, through it, or decoded on the way."""
        headers = response.headers
        if headers["ETag"] in request.headers.get("If-None-Match", ""):
            response.close()
            return Answer(304, [(b"etag", headers["ETag"].encode())])
        if response.status_code == 206 and request.headers.get("If-Range", headers["ETag"]) != headers["ETag"]:
            response.close()
            del request.headers["Range"]
            return self._original(request, self._ask(request))
        sha256, size = headers["ETag"].strip('"'), int(headers[LINKED_SIZE])
        begin, end = byte_range(request.headers.get("Range"), size) or (0, size)
        source = response.stream
        assert isinstance(source, OriginalBody)
        key = key_of(sha256, source.original.etag)
        held = self._store.body(key, size, begin, end, source, lambda at: self._rest(request, sha256, at))
        body: Body = source
        if held is not None:
            body = held
        elif (begin, end) == (0, size):
            body = CheckedBody(source)
        raw = [(name.lower(), value) for name, value in headers.raw]
        return Answer(response.status_code, raw, body)

    def _rest(self, request: httpx.Request, sha256: str, at: int) -> Body:
        """The same original from an offset on."""
        headers = {**request.headers, "Range": f"bytes={at}-"}
        response = self._ask(httpx.Request("GET", request.url, headers=headers))
        if not isinstance(response.stream, OriginalBody) or response.headers["ETag"].strip('"') != sha256:
            response.close()
            raise codec.SourceChangedError("the file was replaced while it was being sent")
        return response.stream

    def problem(self, error: Exception) -> tuple[int, str]:
        """What the client is told of an error."""
        where = self._upstream.base
        match error:
            case httpx.TimeoutException():
                return 504, f"{where} does not answer in time"
            case HfHubHTTPError() if error.response is not None:
                code = error.response.headers.get(ERROR_CODE, "none")
                return error.response.status_code, f"{where} refuses the weft file (error code: {code})"
            case httpx.TransportError():
                return 502, f"{where} can't be reached: {in_one_line(error)}"
            case codec.CodecError() | OSError():
                return 502, in_one_line(error)
        return 500, f"internal error: {type(error).__name__}: {in_one_line(error)}"


class _RawBody:
    """The body of an answer of the upstream, encoded as it is."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return self._response.iter_raw()

    def close(self) -> None:
        """Let go of the connection, and break it off if there is more to come."""
        self._response.close()


def _may_tell_urls(request: httpx.Request, response: httpx.Response) -> bool:
    return (
        request.method in ("POST", "PUT")
        and response.is_success
        and "json" in response.headers.get("Content-Type", "").partition(";")[0]
        and _TELLS_URLS.search(request.url.path) is not None
    )


def _length(size: int) -> tuple[bytes, bytes]:
    return b"content-length", str(size).encode()
