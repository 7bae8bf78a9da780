"""Bodies on their way to a client: taken from ordinary iterators in threads, no faster than the client reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
from starlette.types import Message, Receive, Send

from hub.serving.addresses import RawHeaders

T = TypeVar("T")

#: Bodies and requests that are worked on at the same time; each takes a thread while it waits for something.
AT_ONCE: Final = 256
#: Bytes read from a file and handed to a connection at a time. Python 3.11's asyncio copies what a socket does not take
#: at once, so larger pieces cost more than they save.
PIECE: Final = 1 << 18

_limiter = anyio.CapacityLimiter(AT_ONCE)


class Body(Protocol):
    """Bytes in pieces. ``close`` is called once, and never while a piece is being made."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None:
        """Let go of where they come from."""


class WholeBody:
    """Bytes that are there already."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content

    def close(self) -> None:
        """Nothing to do."""


class CheckedBody:
    """A body whose source may find out at the very end that it was wrong: the last piece waits for the end, so that a
    wrong body is never complete.
    """

    def __init__(self, body: Body) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        last = b""
        for piece in self._body:
            if last:
                yield last
            last = piece
        yield last

    def close(self) -> None:
        """Close the source."""
        self._body.close()


class ClientLeftError(Exception):
    """The client closed the connection before the end of its request."""


def request_body(receive: Receive) -> Iterator[bytes]:
    """The body of a request, read from within a thread of :func:`in_thread`, as fast as it is taken."""
    while True:
        message: Message = anyio.from_thread.run(_received, receive)
        if message["type"] != "http.request":
            raise ClientLeftError
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


async def _received(receive: Receive) -> Message:
    return await receive()


async def in_thread(work: Callable[[], T]) -> T:
    """What ``work`` returns, called where it may block."""
    return await anyio.to_thread.run_sync(work, limiter=_limiter)


@dataclass
class Sent:
    """What became of an answer: bytes of its body that went out, and what broke it off. Where ``begun`` is False, the
    client has seen nothing, and may be told.
    """

    size: int = 0
    begun: bool = False
    error: Exception | None = None


async def send_body(receive: Receive, send: Send, status: int, headers: RawHeaders, body: Body) -> Sent:
    """Send an answer. The body is closed in any case, at once if the client leaves.

    An error of the body is returned, not raised. What is left to do then is to send nothing more: the server closes the
    connection, and the client sees a body that is shorter than announced.
    """
    sent, pieces = Sent(), iter(body)

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        try:
            piece = await in_thread(lambda: next(pieces, None))
            sent.begun = True
            await send({"type": "http.response.start", "status": status, "headers": headers})
            while piece is not None:
                for at in range(0, len(piece), PIECE):
                    part = piece[at : at + PIECE] if len(piece) > PIECE else piece
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                    sent.size += len(part)
                    await anyio.lowlevel.checkpoint()  # where a client that left is noticed: sending does not tell
                piece = await in_thread(lambda: next(pieces, None))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except Exception as error:  # noqa: BLE001  # whatever it is, the body ends here, and the caller says why
            sent.error = error
        finally:
            with anyio.CancelScope(shield=True):
                await in_thread(body.close)
            group.cancel_scope.cancel()
    return sent
