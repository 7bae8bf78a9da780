"""What goes wrong, and when: a plan of faults for single requests, and faults drawn by chance from a seed."""

from __future__ import annotations

import hashlib
import random
import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

KINDS = ("drop", "cut", "reset", "stall", "status", "length", "corrupt", "etag")

DOWNLOADS = r"/resolve(-cache)?/|^/cdn/"


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong with the ``nth`` request that matches, and with ``times - 1`` after it.

    ``kind`` is one of:

    - ``drop``: the connection closes before an answer;
    - ``cut``: it closes after ``at`` bytes of the body;
    - ``reset``: the same, but with a TCP reset;
    - ``stall``: ``seconds`` pass after ``at`` bytes of the body;
    - ``status``: the answer is ``status``, with ``retry_after`` if given;
    - ``length``: Content-Length and X-Linked-Size are off by ``delta``;
    - ``corrupt``: a bit of the body's byte at ``at`` is turned over;
    - ``etag``: ETag and X-Linked-Etag name another content.

    ``at`` counts bytes when it is a whole number, and is a share of the body from 0 to 1 when it is a float.
    ``times`` of 0 means every time from the ``nth`` on.
    """

    kind: str
    path: str = DOWNLOADS
    method: str = "GET"
    nth: int = 1
    times: int = 1
    at: int | float = 0
    seconds: float = 0.0
    status: int = 503
    retry_after: int | None = None
    delta: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of fault: {self.kind}")

    def matches(self, method: str, path: str) -> bool:
        return self.method in ("*", method) and re.search(self.path, path) is not None

    def strikes(self, count: int) -> bool:
        """Whether it hits the ``count``-th request that matches."""
        return count >= self.nth and (not self.times or count < self.nth + self.times)

    def place(self, length: int) -> int:
        """Where in a body of this length it hits."""
        return min(length, int(self.at * length) if isinstance(self.at, float) else self.at)

    def bend(self, headers: Mapping[str, str]) -> dict[str, str]:
        """An answer's headers, with those that are to lie."""
        bent = dict(headers)
        for name, value in headers.items():
            if self.kind == "length" and name in ("Content-Length", "X-Linked-Size"):
                bent[name] = str(int(value) + self.delta)
            if self.kind == "etag" and name in ("ETag", "X-Linked-Etag"):
                bent[name] = f'"{hashlib.sha256(value.encode()).hexdigest()}"'
        return bent


@dataclass(frozen=True)
class Chance:
    """Faults by chance: each request that matches has one with a probability, drawn from a seed.

    What a request draws depends on its path and on how often that was asked for before, not on the order
    in which threads come. ``kinds`` may name a status as well ("503"). ``limit`` is how many faults
    there are at most for one path (0: no limit), so that a patient client comes through.
    """

    seed: int
    probability: float
    kinds: tuple[str, ...] = ("cut", "drop", "503")
    path: str = DOWNLOADS
    method: str = "GET"
    limit: int = 0
    seconds: float = 0.05

    def draw(self, method: str, path: str, count: int) -> Fault | None:
        """The fault of the ``count``-th request for a path, if it has one."""
        if self.method not in ("*", method) or not re.search(self.path, path):
            return None
        numbers = random.Random(f"{self.seed} {method} {path} {count}")
        if numbers.random() >= self.probability:
            return None
        kind, at = numbers.choice(self.kinds), numbers.random()
        if kind.isdigit():
            return Fault("status", status=int(kind))
        return Fault(kind, at=at, seconds=self.seconds)


class FaultPlan:
    """The faults of a server. ``injected`` counts by kind those that happened."""

    def __init__(self, faults: Iterable[Fault] = (), chance: Chance | None = None) -> None:
        self._lock = threading.Lock()
        self.set(faults, chance)

    def set(self, faults: Iterable[Fault] = (), chance: Chance | None = None) -> None:
        """Another plan, with all counts at nothing."""
        with self._lock:
            self.faults = list(faults)
            self.chance = chance
            self.injected: Counter[str] = Counter()
            self._seen = [0] * len(self.faults)
            self._asked: Counter[tuple[str, str]] = Counter()
            self._hit: Counter[str] = Counter()

    def add(self, *faults: Fault) -> None:
        """More of them; each counts requests from now on."""
        with self._lock:
            self.faults += faults
            self._seen += [0] * len(faults)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of a request that has just come in."""
        with self._lock:
            found = self._planned(method, path) or self._drawn(method, path)
            if found:
                self.injected[found.kind] += 1
            return found

    def _planned(self, method: str, path: str) -> Fault | None:
        found = None
        for number, fault in enumerate(self.faults):
            if fault.matches(method, path):
                self._seen[number] += 1
                if found is None and fault.strikes(self._seen[number]):
                    found = fault
        return found

    def _drawn(self, method: str, path: str) -> Fault | None:
        chance = self.chance
        if chance is None or (chance.limit and self._hit[path] >= chance.limit):
            return None
        self._asked[method, path] += 1
        found = chance.draw(method, path, self._asked[method, path])
        self._hit[path] += found is not None
        return found


def from_json(told: dict[str, Any]) -> tuple[list[Fault], Chance | None]:
    """A plan as :meth:`RemoteServer.set_faults` sends it."""
    chance = told.get("chance")
    if chance:
        chance = Chance(**{**chance, "kinds": tuple(chance["kinds"])})
    return [Fault(**fault) for fault in told.get("faults", ())], chance
