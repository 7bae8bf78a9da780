"""HTTP/1.1 on loopback: requests in, answers out, over a line of some speed and with faults."""

from __future__ import annotations

import socket
import struct
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.hub.faults import Fault, FaultPlan
from tests.hub.link import Body, Link
from tests.hub.messages import HubError, Reply, Request
from tests.hub.record import Record, Recorder

_DRAIN = 1 << 20
_GONE = (ConnectionError, TimeoutError)


class LoopbackServer(ThreadingHTTPServer):
    """Answers on a port of 127.0.0.1 in threads, until :meth:`close`."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(
        self,
        name: str,
        answer: Callable[[Request], Reply],
        link: Link,
        recorder: Recorder,
        faults: FaultPlan,
        port: int = 0,
    ) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.name, self.answer, self.link, self.recorder, self.faults = name, answer, link, recorder, faults
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.errors: list[BaseException] = []
        self.closing = threading.Event()
        self._sockets: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name=f"{name} server", daemon=True)
        self._thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._sockets[request] = threading.current_thread()
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._sockets.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(error := sys.exception(), _GONE) and error is not None:
            self.errors.append(error)

    def close(self) -> None:
        """Stop, end what is under way, and leave no thread or socket behind."""
        self.closing.set()
        self.shutdown()
        self._thread.join()
        with self._lock:
            open_now = dict(self._sockets)
        for sock in open_now:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is closed already
                continue
        for thread in open_now.values():
            thread.join(5)
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "loopback-hub"
    disable_nagle_algorithm = True
    server: LoopbackServer

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def handle(self) -> None:
        try:
            super().handle()
        except _GONE:
            self.close_connection = True

    def _handle(self) -> None:
        target = urllib.parse.urlsplit(self.path)
        record = self._record = Record(
            self.command,
            urllib.parse.unquote(target.path),
            target.query,
            self.server.name,
            self.headers.get("Authorization"),
            self.headers.get("Range"),
            self.headers.get("User-Agent"),
        )
        query = dict(urllib.parse.parse_qsl(target.query, keep_blank_values=True))
        self._chunks = self._body()
        request = Request(self.command, target.path, query, self.headers, lambda: self._chunks)
        fault = None
        if not record.path.startswith("/__control/"):
            fault = self.server.faults.take(self.command, record.path)
            record.fault = fault.kind if fault else None
            self.server.recorder.begin(record)
        try:
            self._answer(request, fault)
        finally:
            if not record.path.startswith("/__control/"):
                self.server.recorder.end(record)

    def _answer(self, request: Request, fault: Fault | None) -> None:
        if self.server.link.latency:
            self.server.closing.wait(self.server.link.latency)
        if fault and fault.kind == "drop":
            self.close_connection = True
            return
        if fault and fault.kind == "status":
            wait = {} if fault.retry_after is None else {"Retry_After": str(fault.retry_after)}
            reply = HubError(fault.status, None, HTTPStatus(fault.status).phrase, **wait).reply
        else:
            try:
                reply = self.server.answer(request)
            except HubError as error:
                reply = error.reply
        if not self._drained():
            self.close_connection = True
        self._send(reply, fault)

    def _send(self, reply: Reply, fault: Fault | None) -> None:
        headers = {"Content-Length": str(len(reply.body)), **reply.headers}
        body = Body() if self.command == "HEAD" else reply.body
        if self.close_connection:
            headers["Connection"] = "close"
        if fault:
            headers = fault.bend(headers)
        self._record.status = reply.status
        self.send_response(reply.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if not fault:
            self._put(body)
            return
        place = fault.place(len(body))
        if fault.kind == "corrupt" and len(body):
            body = body.flipped(min(place, len(body) - 1))
        self.close_connection |= fault.kind in ("cut", "reset", "length")
        if fault.kind in ("cut", "reset", "stall"):
            self._put(body.part(0, place))
            body = body.part(place, len(body)) if fault.kind == "stall" else Body()
        if fault.kind == "stall":
            self.server.closing.wait(fault.seconds)
        self._put(body)
        if fault.kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _put(self, body: Body) -> None:
        def sent(count: int) -> None:
            self._record.sent += count

        self.server.link.send(self.connection, body, sent)

    def _body(self) -> Iterator[bytes]:
        """The body of the request, at the speed of the line."""
        bucket, first = self.server.link.up, True
        for size in self._sizes():
            while size:
                if not (chunk := self.rfile.read(min(size, 1 << 20, bucket.piece))):
                    raise ConnectionResetError("the client went away")
                bucket.take(len(chunk), first=first)
                first = False
                self._record.received += len(chunk)
                size -= len(chunk)
                yield chunk

    def _sizes(self) -> Iterator[int]:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            yield int(self.headers.get("Content-Length", 0))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield size
            self.rfile.readline()
        self.rfile.readline()

    def _drained(self) -> bool:
        """Read what the answer didn't need of the request; ``False`` when that is too much."""
        size = 0
        for chunk in self._chunks:
            size += len(chunk)
            if size > _DRAIN:
                return False
        return True
