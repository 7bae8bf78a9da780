"""The originals behind the weft files of a repo: found, described, and decoded as they are read."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urljoin

import httpx2 as httpx
from huggingface_hub import constants

import codec
from hub.ahead import Ahead
from hub.digest import hashing
from hub.remote import BUSY, RemoteFile, XetAddress
from hub.urls import COMMIT, LINKED_ETAG, LINKED_SIZE, XET_HASH, FileAddress

#: Seconds for which an original that was found is taken to be where it was: from a client's HEAD to its GET.
#: At a commit it can't move, but the token may cease to be good.
REMEMBERED: Final = 60.0
REMEMBERED_AT_COMMIT: Final = 600.0
#: Originals of which header and index are kept.
KEPT: Final = 512
#: What a request carries on to the requests that are made for it.
PASSED_ON: Final = ("authorization", "user-agent", "cookie", "x-hf-bill-to")


@dataclass
class Original:
    """An original that the Hub has in compressed form only.

    ``size`` and ``sha256`` are those of the original, as the weft file records them; ``etag`` is the weft file's own.
    """

    remote: RemoteFile
    size: int
    sha256: str
    commit: str
    etag: str
    known: dict[tuple[int, int], memoryview]
    found: float = field(default_factory=time.monotonic)

    def pieces(self, begin: int = 0, end: int | None = None, threads: int | None = None) -> Iterator[memoryview]:
        """Bytes begin..end, decoded while they are received. All of it is compared with its SHA-256 at the end.

        Raises codec.CorruptFileError, and what the remote file raises.
        """
        end = self.size if end is None else end
        whole = (begin, end) == (0, self.size)
        source = Ahead(self.remote, self.known)
        with ExitStack() as stack:
            file = stack.enter_context(codec.open_original(source))
            digest = stack.enter_context(hashing()) if whole else None
            stack.enter_context(source.streaming(file.stored_offset(begin)))
            for piece in file.pieces(begin, end, threads=threads):
                if digest is not None:
                    digest.update(piece)
                yield piece
            if digest is not None and (found := digest.hexdigest()) != self.sha256:
                what = f"SHA-256 of the original is {self.sha256}, decoded {found}"
                raise codec.CorruptFileError(f"{self.remote.name}: {what}")


class Originals:
    """What is known of the weft files behind one HTTP client, which makes the requests. For use from any thread."""

    def __init__(self, client: Callable[[], httpx.Client]) -> None:
        self._client = client
        self._lock = threading.Lock()
        #: By ETag of the weft file: its ends, its original's size and SHA-256 (or that it is none of ours).
        self._ends: OrderedDict[str, tuple[dict[tuple[int, int], memoryview], int, str]] = OrderedDict()
        self._places: OrderedDict[tuple[str, ...], Original] = OrderedDict()

    def recent(self, url: str, address: FileAddress, headers: Mapping[str, str]) -> Original | None:
        """An original that was found under this URL, with the same token: a while ago."""
        with self._lock:
            found = self._places.get((url, *_caller(headers)))
        if found is None:
            return None
        limit = REMEMBERED_AT_COMMIT if address.revision == found.commit else REMEMBERED
        return found if time.monotonic() - found.found < limit else None

    def remember(self, url: str, headers: Mapping[str, str], found: Original) -> None:
        """Note that an original was found under this URL."""
        with self._lock:
            self._places[url, *_caller(headers)] = found
            while len(self._places) > KEPT:
                self._places.popitem(last=False)

    def find(
        self, url: str, compressed: str, pinned: Callable[[str], str], headers: Mapping[str, str]
    ) -> Original | httpx.Response | Literal[False] | None:
        """The original that should be at ``url``, if there is a weft file at ``compressed``: one request, or three when
        it is new. ``pinned`` gives the URL of the weft file at a commit. None if there is no such file; False if there
        is one, but none of ours; a response if the Hub asks to come again. Raises what reading its ends raises.
        """
        passed = {name: headers[name] for name in PASSED_ON if name in headers}
        head = self._head(compressed, passed)
        etag = (head.headers.get(LINKED_ETAG) or head.headers.get("ETag") or "").removeprefix("W/").strip('"')
        size = head.headers.get(LINKED_SIZE) or head.headers.get("Content-Length") or ""
        commit = head.headers.get(COMMIT)
        if head.status_code in BUSY:  # not to be taken for "there is none"
            return head
        if head.status_code >= 400 or not etag or not size.isdigit():
            return None
        if commit is None or not re.fullmatch(r"[0-9a-f]{40,64}", commit):
            return False
        refresh = head.links.get("xet-auth", {}).get("url") or head.headers.get("X-Xet-Refresh-Route")
        xet = (
            XetAddress(head.headers[XET_HASH], urljoin(compressed, refresh))
            if XET_HASH in head.headers and refresh
            else None
        )
        found = self.describe(etag, int(size), pinned(commit), commit, passed, xet)
        if found is None:
            return False
        self.remember(url, headers, found)
        return found

    def describe(
        self, etag: str, size: int, url: str, commit: str, headers: Mapping[str, str], xet: XetAddress | None = None
    ) -> Original | None:
        """The original of a weft file that is known to be there. None if it is no weft file, or carries no SHA-256.

        Raises what reading its ends raises.
        """
        remote = RemoteFile(self._client, url, size, headers=headers, name=url.partition("?")[0], xet=xet)
        with self._lock:
            held = self._ends.get(etag)
        if held is None:
            held = self._read_ends(remote)
            with self._lock:
                self._ends[etag] = held
                while len(self._ends) > KEPT:
                    self._ends.popitem(last=False)
        known, original, sha256 = held
        return Original(remote, original, sha256, commit, etag, known) if sha256 else None

    def _read_ends(self, remote: RemoteFile) -> tuple[dict[tuple[int, int], memoryview], int, str]:
        source = Ahead(remote)
        try:
            with codec.open_original(source) as file:
                return source.known, file.size, file.sha256
        except codec.NotWeftError:  # named like one of ours, and is not: the client is told what the Hub says
            return {}, 0, ""

    def _head(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        """As huggingface_hub asks: redirects are followed within the Hub; one that leads away carries the answer."""
        sent = {**headers, "Accept-Encoding": "identity"}
        for _ in range(5):
            response = self._client().request(
                "HEAD", url, headers=sent, follow_redirects=False, timeout=constants.HF_HUB_ETAG_TIMEOUT
            )
            target = response.headers.get("Location", "")
            if not response.has_redirect_location or not target.startswith("/") or target.startswith("//"):
                break
            url = urljoin(url, target)
        return response


def _caller(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Who asks: what one may have, another may not."""
    return tuple(headers.get(name, "") for name in PASSED_ON if name != "user-agent")
