"""A file of the Hub, read in ranges or front to back. What breaks on the way is tried again from where it broke."""

from __future__ import annotations

import importlib.util
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2 as httpx
from huggingface_hub import constants
from huggingface_hub.utils import hf_raise_for_status

import codec

#: Answers after which the same request may succeed.
BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Attempts in a row that brought no byte, at most; and the seconds before the second and before the last, about.
TRIES: Final = 8
FIRST_WAIT: Final = 0.1
LONGEST_WAIT: Final = 10.0
#: Seconds that an endpoint may ask to wait, at most.
LONGEST_RETRY_AFTER: Final = 120.0


class EndpointError(OSError):
    """An endpoint says one thing and sends another: sizes that differ, a range that was not asked for."""


class _BrokenOffError(Exception):
    """A body ended before its end."""


class _BusyError(Exception):
    """The endpoint asks to come again, after so many seconds if it says so."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        after = response.headers.get("Retry-After", "")
        self.after = min(float(after), LONGEST_RETRY_AFTER) if after.isdigit() else None


@dataclass(frozen=True)
class XetAddress:
    """Where a file lies in Xet storage: its hash there, and where the Hub gives out tokens for it."""

    file_hash: str
    refresh_route: str


class RemoteFile:
    """Reads of one file at one commit, from any thread. A Source for :func:`codec.open_original`.

    ``client``: gives the HTTP client to use, which must keep to the user's proxies, certificates and offline mode.
    ``headers`` go with every request (a token; on a redirect to another host it stays behind). ``size`` as announced:
    an endpoint that later says otherwise raises EndpointError.
    """

    def __init__(
        self,
        client: Callable[[], httpx.Client],
        url: str,
        size: int,
        *,
        headers: Mapping[str, str] | None = None,
        name: str | None = None,
        xet: XetAddress | None = None,
    ) -> None:
        self._client, self.url, self.size, self.name = client, url, size, name or url
        self._headers = {k: v for k, v in (headers or {}).items() if k.lower() not in ("range", "accept-encoding")}
        self._xet = xet if xet is not None and _xet_usable() else None
        self._lock = threading.Lock()
        #: Bytes of the file that came over the wire.
        self.received = 0

    def read_at(self, offset: int, size: int) -> memoryview:
        """Exactly ``size`` bytes. Raises codec.TruncatedFileError if the file is not that long."""
        if offset < 0 or offset + size > self.size:
            what = f"{self.name}: ends at byte {self.size}, bytes to {offset + size} were expected"
            raise codec.TruncatedFileError(what)
        return memoryview(b"".join(self.stream(offset, offset + size)))

    def stream(self, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Bytes begin..end as they come, over as many connections as it takes.

        Raises the errors of huggingface_hub for what the Hub refuses, EndpointError, and httpx's for a connection that
        stays broken.
        """
        end = self.size if end is None else end
        at, failed = begin, 0
        while at < end:
            why: Exception
            after = None
            try:
                for block in self._body(at, end):
                    at += len(block)
                    failed = 0
                    with self._lock:
                        self.received += len(block)
                    if at > end:
                        raise EndpointError(f"{self.name}: the endpoint sends more than the bytes to {end} asked for")
                    yield block
                if at >= end:
                    return
                why = _BrokenOffError(f"{self.name}: the connection ended at byte {at} of {end}")
            except _BusyError as e:
                why, after = e, e.after
            except httpx.TransportError as e:
                why = e
            failed += 1
            if failed >= TRIES:
                _give_up(why)
            shortest = min(FIRST_WAIT * 2 ** (failed - 1), LONGEST_WAIT)
            time.sleep(after if after is not None else shortest * random.uniform(0.75, 1.25))

    def _body(self, begin: int, end: int) -> Iterator[bytes]:
        """One attempt."""
        if self._xet is not None:
            yield from _xet_body(self._xet, self.size, self._headers, begin, end)
            return
        headers = {**self._headers, "Accept-Encoding": "identity", "Range": f"bytes={begin}-{end - 1}"}
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with self._client().stream(
            "GET", self.url, headers=headers, follow_redirects=True, timeout=timeout
        ) as response:
            skip = self._checked(response, begin)
            # a hook or a transport of the user's may have read it
            for block in [response.content] if response.is_stream_consumed else response.iter_raw():
                if skip:
                    skip, block = max(0, skip - len(block)), block[skip:]
                if begin + len(block) > end:  # the whole file, from a server that knows no ranges
                    block = block[: end - begin]
                begin += len(block)
                if block:
                    yield block
                if begin == end:
                    return

    def _checked(self, response: httpx.Response, begin: int) -> int:
        """How many bytes to skip of a response. Raises what it says is wrong."""
        if response.status_code in BUSY:
            response.read()
            raise _BusyError(response)
        if response.status_code >= 400 and response.status_code != 416:
            response.read()
            hf_raise_for_status(response)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise EndpointError(f"{self.name}: the endpoint compresses what was asked for as it is")
        if response.status_code == 206:
            said = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
            if said is None or int(said[1]) != begin:
                found = response.headers.get("Content-Range")
                raise EndpointError(f"{self.name}: asked for bytes from {begin}, the endpoint sends {found!r}")
            total, skip = said[3], 0
        elif response.status_code == 416:  # "bytes */1234"
            total, skip = response.headers.get("Content-Range", "").rpartition("/")[2] or "less", 0
        else:
            total, skip = response.headers.get("Content-Length", "*"), begin
        if total not in ("*", str(self.size)):
            raise EndpointError(f"{self.name}: was announced with {self.size} bytes, the endpoint now says {total}")
        if response.status_code == 416:
            raise EndpointError(f"{self.name}: the endpoint refuses bytes from {begin} of {self.size}")
        return skip


def _give_up(why: Exception) -> None:
    if isinstance(why, _BusyError):
        hf_raise_for_status(why.response)
    if isinstance(why, _BrokenOffError):
        raise httpx.RemoteProtocolError(str(why))
    raise why


def _xet_usable() -> bool:
    return not constants.HF_HUB_DISABLE_XET and importlib.util.find_spec("hf_xet") is not None


def _xet_body(xet: XetAddress, size: int, headers: Mapping[str, str], begin: int, end: int) -> Iterator[bytes]:
    """Bytes from Xet storage through hf_xet, which retries by itself."""
    from hf_xet import XetFileInfo
    from huggingface_hub.utils import XetFileData
    from huggingface_hub.utils._xet import get_xet_session, refresh_xet_connection_info, xet_headers_without_auth

    sent: dict[str, Any] = dict(headers)
    info = refresh_xet_connection_info(file_data=XetFileData(xet.file_hash, xet.refresh_route), headers=sent)
    session: Any = get_xet_session()  # type: ignore[no-untyped-call]
    group = session.new_download_stream_group(
        endpoint=info.endpoint,
        token=info.access_token,
        token_expiry_unix_secs=info.expiration_unix_epoch,
        token_refresh_url=xet.refresh_route,
        token_refresh_headers=sent,
        custom_headers=xet_headers_without_auth(sent),
    )
    with group:
        stream = group.download_stream(XetFileInfo(xet.file_hash, size), start=begin, end=end)
        try:
            yield from stream
        finally:
            stream.cancel()
