"""What a server saw: one line for each request, and sums over them."""

from __future__ import annotations

import dataclasses
import re
import threading
import time
from dataclasses import dataclass, field

# A handler's last word comes after the client has its answer: readers wait so long for it.
_SETTLE = 2.0


@dataclass
class Record:
    """One request. ``sent`` and ``received`` count the bodies' bytes, without headers."""

    method: str
    path: str
    query: str = ""
    server: str = "hub"
    authorization: str | None = None
    range: str | None = None
    user_agent: str | None = None
    status: int = 0
    sent: int = 0
    received: int = 0
    fault: str | None = None
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0


class Records:
    """Sums over requests, for whoever has them."""

    def records(self) -> list[Record]:
        """All requests, in the order in which they came."""
        raise NotImplementedError

    def requests(self, method: str | None = None, pattern: str = "", server: str | None = None) -> list[Record]:
        """Those of one method, whose path has a place that matches, from one server ("hub", "storage")."""
        return [
            record
            for record in self.records()
            if method in (None, record.method) and server in (None, record.server) and re.search(pattern, record.path)
        ]

    def bytes_sent(self, suffix: str = "", method: str | None = None, server: str | None = None) -> int:
        """Bytes of bodies sent in answer to paths with this ending."""
        return sum(record.sent for record in self.requests(method, re.escape(suffix) + "$", server))

    def bytes_received(self, suffix: str = "", method: str | None = None, server: str | None = None) -> int:
        """Bytes of bodies that came with requests for paths with this ending."""
        return sum(record.received for record in self.requests(method, re.escape(suffix) + "$", server))


class Recorder(Records):
    """The requests of a server."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._open = 0
        self._changed = threading.Condition()

    def begin(self, record: Record) -> None:
        """A request has come in."""
        with self._changed:
            self._records.append(record)
            self._open += 1

    def end(self, record: Record) -> None:
        """It has been answered, as far as it will be."""
        with self._changed:
            record.seconds = time.monotonic() - record.started
            self._open -= 1
            self._changed.notify_all()

    def records(self) -> list[Record]:
        """All requests, once none is being answered (or after a short wait)."""
        with self._changed:
            self._changed.wait_for(lambda: self._open == 0, _SETTLE)
            return [dataclasses.replace(record) for record in self._records]

    def reset(self) -> None:
        """Forget what was seen."""
        self.records()
        with self._changed:
            self._records.clear()
