"""What the server says on stderr: one line each, without tokens and without the queries that may hold signatures."""

from __future__ import annotations

import re
import sys


def in_one_line(error: BaseException) -> str:
    """An error's message; of URLs in it, what comes before the query."""
    text = re.sub(r"\?[^\s'\"]*", "", str(error).strip() or type(error).__name__)
    return " ".join(re.sub(r"[^\x20-\x7e\s]", "?", text).split())[:500]


class Log:
    """Lines on stderr. ``verbose``: one for each request, too."""

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose

    def request(self, method: str, path: str, status: int, size: int) -> None:
        """A request was answered."""
        if self._verbose:
            self._say(f"{method} {path} {status} {size}")

    def problem(self, line: str) -> None:
        """Something went wrong."""
        self._say(line)

    def _say(self, line: str) -> None:
        if sys.stderr is not None:
            sys.stderr.write(f"codec serve: {line}\n")
            sys.stderr.flush()
