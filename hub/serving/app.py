"""What the applications have in common: an answer is made in a thread, then sent; errors are told in one line."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from email.utils import formatdate

from starlette.types import Receive, Scope, Send

from hub.serving.addresses import RawHeaders
from hub.serving.log import Log, in_one_line
from hub.serving.streams import Body, ClientLeftError, WholeBody, in_thread, send_body


@dataclass
class Answer:
    """An answer to a request."""

    status: int
    headers: RawHeaders = field(default_factory=list)
    body: Body = field(default_factory=lambda: WholeBody(b""))


def content(status: int, data: bytes, kind: bytes) -> Answer:
    """An answer that is there already."""
    headers = [(b"content-type", kind), (b"content-length", str(len(data)).encode())]
    return Answer(status, headers, WholeBody(data))


def message(status: int, what: str) -> Answer:
    """An answer in words."""
    return content(status, json.dumps({"error": what}).encode(), b"application/json")


class App(ABC):
    """An ASGI application."""

    def __init__(self, log: Log) -> None:
        self._log = log

    @abstractmethod
    def answer(self, scope: Scope, receive: Receive) -> Answer:
        """The answer to a request. Called in a thread; ``receive`` is for :func:`hub.serving.streams.request_body`."""

    @abstractmethod
    def problem(self, error: Exception) -> tuple[int, str]:
        """The status and the message for an error of :meth:`answer`, or of a body before its first byte."""

    @abstractmethod
    def close(self) -> None:
        """End what is going on. Again is no error."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path = scope["raw_path"].decode("latin-1")
        try:
            answer = await in_thread(lambda: self.answer(scope, receive))
        except ClientLeftError:
            return
        except Exception as error:  # noqa: BLE001  # the client is told, and it is logged
            answer = self._told(error, path)
        if not any(name == b"date" for name, _ in answer.headers):
            answer.headers.append((b"date", formatdate(usegmt=True).encode()))
        sent = await send_body(receive, send, answer.status, answer.headers, answer.body)
        if sent.error is not None and not sent.begun:
            answer = self._told(sent.error, path)
            sent = await send_body(receive, send, answer.status, answer.headers, answer.body)
        elif sent.error is not None:
            self._log.problem(f"{path}: broken off after {sent.size} bytes: {in_one_line(sent.error)}")
        self._log.request(scope["method"], path, answer.status, sent.size)

    def _told(self, error: Exception, path: str) -> Answer:
        status, what = self.problem(error)
        self._log.problem(f"{path}: {what}")
        return message(status, what)
