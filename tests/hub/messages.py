"""Requests and answers, apart from how they travel."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, BinaryIO

from tests.hub.link import Body


@dataclass
class Reply:
    """An answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Body = field(default_factory=Body)


def json_reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """An answer in JSON."""
    content = json.dumps(value).encode()
    return Reply(status, {"Content-Type": "application/json; charset=utf-8", **(headers or {})}, Body(content))


class HubError(Exception):
    """An answer that is an error, as the Hub words it."""

    def __init__(self, status: int, code: str | None, message: str, **headers: str) -> None:
        super().__init__(message)
        self.reply = json_reply({"error": message}, status, {"X-Error-Message": message})
        if code:
            self.reply.headers["X-Error-Code"] = code
        self.reply.headers |= {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass
class Request:
    """What was asked. ``path`` is as it came, still quoted."""

    method: str
    path: str
    query: dict[str, str]
    headers: Message
    chunks: Callable[[], Iterator[bytes]]

    def read(self) -> bytes:
        """The body."""
        return b"".join(self.chunks())

    def json(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.read())

    def save(self, file: BinaryIO) -> tuple[str, int]:
        """Write the body to a file; its SHA-256 and size."""
        digest, size = hashlib.sha256(), 0
        for chunk in self.chunks():
            digest.update(chunk)
            size += file.write(chunk)
        return digest.hexdigest(), size

    @property
    def token(self) -> str | None:
        """The bearer token."""
        value = self.headers.get("Authorization") or ""
        return value[7:] if value.startswith("Bearer ") else None
