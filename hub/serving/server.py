"""A server on a port of this machine, around one application."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import uvicorn

#: Seconds that answers under way have when the server is told to end.
GRACE: Final = 2
#: Seconds for which idle connections are kept.
IDLE: Final = 60


class Endpoint:
    """Listens as soon as it is made; :meth:`run` serves until a signal, or until :meth:`stop`.

    ``port`` of 0 is any that is free. Raises OSError if the port is taken, or the host is none of this machine.
    """

    def __init__(self, host: str, port: int) -> None:
        self._socket = _bound(host, port)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        shown = "127.0.0.1" if host in ("", "0.0.0.0") else "localhost" if host == "::" else host
        self.url = f"http://[{shown}]:{self.port}" if ":" in shown else f"http://{shown}:{self.port}"
        self._server: _Server | None = None

    def run(self, app: Any, ready: Callable[[str], None] | None = None) -> None:
        """Serve. ``ready`` is called with the URL once requests are answered."""
        config = uvicorn.Config(
            app, http="h11", loop="asyncio", ws="none", lifespan="off", interface="asgi3",
            log_config=None, log_level="critical", access_log=False,
            proxy_headers=False, server_header=False, date_header=False,
            timeout_keep_alive=IDLE, timeout_graceful_shutdown=GRACE,
        )  # fmt: skip
        self._server = _Server(config, lambda: ready(self.url) if ready is not None else None)
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self.close()

    def stop(self) -> None:
        """Have :meth:`run` return soon. From any thread."""
        if self._server is not None:
            self._server.should_exit = True

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


class _Server(uvicorn.Server):
    """Says when it is ready, and takes a signal for the request to end that it is: uvicorn would raise it again."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def end(number: int, frame: FrameType | None) -> None:
            self.handle_exit(number, frame)

        before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        raise OSError(errno.EADDRNOTAVAIL, f"{host}: no address of this machine ({error.strerror})") from None
    try:
        if os.name == "posix":  # elsewhere this would let two servers share a port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(256)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            what = f"port {port} of {host} is taken: choose another one, or 0 for any that is free"
            raise OSError(errno.EADDRINUSE, what) from None
        raise OSError(error.errno, f"can't listen on port {port} of {host}: {error.strerror}") from None
    return made
