"""Which address of the upstream a request means, and what of a message may go on to the other side."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

import httpx2 as httpx

RawHeaders = list[tuple[bytes, bytes]]

#: Headers about one connection (RFC 9110, 7.6.1), which the other one has no use for.
_OF_A_CONNECTION: Final = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade".split()
)
#: A browser sends the cookies of every program on 127.0.0.1 to every port there: they are not the upstream's to see.
#: The other way round, cookies, and promises about a host's protocols, would be kept for the whole of 127.0.0.1.
_NOT_UP: Final = _OF_A_CONNECTION | {b"host", b"cookie", b"expect"}
_NOT_DOWN: Final = _OF_A_CONNECTION | {b"set-cookie", b"alt-svc", b"strict-transport-security"}

_ABSOLUTE: Final = re.compile(rb"(?i:https?)://[^/?#]*")
_HOST: Final = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?", re.ASCII)


def target_of(raw_path: bytes, query: bytes) -> str | None:
    """The path and query that a request line asks for; None if it names none (``*``, ``host:port``).

    What a request line says of hosts is left out, and the rest begins with exactly one slash: two would be read as the
    start of a host wherever it is joined to a URL.

    >>> target_of(b"http://elsewhere//a/b", b"c=d")
    '/a/b?c=d'
    """
    path = _ABSOLUTE.sub(b"", raw_path, count=1) if _ABSOLUTE.match(raw_path) else raw_path
    if path and not path.startswith(b"/"):
        return None
    told = "/" + path.decode("latin-1").lstrip("/").replace("\\", "%5C").replace("#", "%23")
    return f"{told}?{query.decode('latin-1').replace('#', '%23')}" if query else told


def own_url(host: str | None, bound: str) -> str:
    """The URL under which a client knows this server: by its Host header, or else where the server is bound."""
    return f"http://{host}" if host is not None and _HOST.fullmatch(host) else bound


class Upstream:
    """The one server that is asked. Raises ValueError for a URL that can't be one.

    >>> Upstream("https://huggingface.co/").url("/gpt2/resolve/main/config.json").host
    'huggingface.co'
    """

    def __init__(self, url: str) -> None:
        self.base = url.rstrip("/")
        try:
            parsed = httpx.URL(self.base)
        except httpx.InvalidURL as error:
            raise ValueError(f"upstream {url!r}: {error}") from None
        if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo or parsed.query:
            raise ValueError(f"upstream {url!r}: expected http(s)://host[:port][/path]")
        self._parsed, self._prefix = parsed, parsed.raw_path.decode("ascii").rstrip("/") + "/"
        begin = re.escape(self.base) + r"(?=[/?#]|$)"
        self._at_start = re.compile(begin)
        self._link = re.compile(r"<" + re.escape(self.base) + r"(?=[/?#>])")

    def url(self, target: str) -> httpx.URL | None:
        """Where a target is upstream; None for one that leads out of it."""
        try:
            url = httpx.URL(self.base + target)
        except httpx.InvalidURL:
            return None
        path = url.raw_path.decode("ascii")  # without its dot segments, which may have hidden two slashes in a row
        if (url.scheme, url.netloc) != (self._parsed.scheme, self._parsed.netloc) or path.startswith("//"):
            return None
        return url if path.startswith(self._prefix) else None

    def is_at(self, host: str, port: int) -> bool:
        """Whether it is at this address."""
        default = 443 if self._parsed.scheme == "https" else 80
        local = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::")
        theirs = self._parsed.host
        return (self._parsed.port or default) == port and (theirs == host or (theirs in local and host in local))

    def ours(self, url: str, own: str) -> str:
        """A URL, through this server if it is the upstream's."""
        return self._at_start.sub(lambda _: own, url, count=1) if self._at_start.match(url) else url

    def _links(self, value: str, own: str) -> str:
        return self._link.sub(lambda _: "<" + own, value)

    def down(self, headers: Iterable[tuple[bytes, bytes]], own: str) -> RawHeaders:
        """The headers of an answer, for the client; further pages and redirects go through this server, too."""
        out = []
        for name, value in _without(headers, _NOT_DOWN):
            if name in (b"location", b"content-location", b"x-xet-refresh-route"):
                value = self.ours(value.decode("latin-1"), own).encode("latin-1")
            elif name == b"link":
                value = self._links(value.decode("latin-1"), own).encode("latin-1")
            out.append((name, value))
        return out

    def rewritten_json(self, content: bytes, own: str) -> bytes:
        """JSON in which every URL of the upstream has become one of ours; what is no JSON stays as it is."""
        try:
            return json.dumps(self._rewritten(json.loads(content), own)).encode()
        except ValueError:
            return content

    def _rewritten(self, content: Any, own: str) -> Any:
        if isinstance(content, str):
            return self.ours(content, own)
        if isinstance(content, list):
            return [self._rewritten(each, own) for each in content]
        if isinstance(content, dict):
            return {name: self._rewritten(each, own) for name, each in content.items()}
        return content


def up(headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """The headers of a request, for the upstream."""
    return list(_without(headers, _NOT_UP))


def _without(headers: Iterable[tuple[bytes, bytes]], dropped: frozenset[bytes]) -> Iterable[tuple[bytes, bytes]]:
    listed = [(name.lower(), value) for name, value in headers]
    named = {part.strip().lower() for name, value in listed if name == b"connection" for part in value.split(b",")}
    return [(name, value) for name, value in listed if name not in dropped and name not in named]
