"""The HTTP client towards the upstream: it keeps nothing from one request to the next but connections."""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import httpx2 as httpx

#: Seconds: to connect, and between two pieces of a message.
CONNECT_TIMEOUT: Final = 10.0
TIMEOUT: Final = 60.0


class UpstreamClient(httpx.Client):
    """Proxies are those of the environment. Redirects are not followed, unless the request asks for that.

    Cookies are not kept: one client's session would become that of all.
    """

    def __init__(self) -> None:
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._changing = threading.Lock()
        self._ended = False
        super().__init__(
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            timeout=httpx.Timeout(TIMEOUT, connect=CONNECT_TIMEOUT),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
            event_hooks={"response": [self._note]},
        )

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """As every client. RuntimeError once it was cut: what was broken off is not to be tried again."""
        if self._ended:
            raise RuntimeError("the server ends")
        return super().send(request, **options)

    def _note(self, response: httpx.Response) -> None:
        stream = response.extensions.get("network_stream")
        if (used := stream.get_extra_info("socket") if stream is not None else None) is not None:
            with self._changing:
                self._sockets.add(used)
                if self._ended:
                    used.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Close, and end what other threads wait for: a thread that reads from a socket does not notice that another
        one closes it, and would keep the process for as long as the upstream is silent (9 s, measured).
        """
        with self._changing:
            self._ended = True
            for used in self._sockets:
                with contextlib.suppress(OSError):
                    used.shutdown(socket.SHUT_RDWR)
        self.close()
