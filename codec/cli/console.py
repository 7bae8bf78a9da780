"""What people see: lines and a progress bar on standard error, results on standard output."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from codec.cli.failures import explain
from codec.cli.text import printable

#: Seconds of work before a bar is worth drawing.
PATIENCE: Final = 1.0


class Meter:
    """A progress function that draws a bar once the work has taken a second."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._started = time.monotonic()
        self._bar: Any = None

    def __call__(self, done: int, total: int | None) -> None:
        """Draw that ``done`` of ``total`` bytes are done; ``total`` is None where nobody knows it."""
        if self._bar is None:
            elapsed = time.monotonic() - self._started
            if elapsed < PATIENCE:
                return
            self._bar = _bar(self._title, total, elapsed)
            self._bar.n = done
            self._bar.refresh()
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Wipe the bar."""
        if self._bar is not None:
            self._bar.close()


def _bar(title: str, total: int | None, elapsed: float) -> Any:
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[misc, unused-ignore]
        monitor_interval = 0  # no thread that wakes up stalled bars

    bar = Bar(
        desc=title,
        total=total,
        unit="B",
        unit_scale=True,
        unit_divisor=1000,
        dynamic_ncols=_size_is_known(),
        ncols=80,
        nrows=24,
        leave=False,
        delay=1e-9,  # draws nothing before it is told how much is done
        file=sys.stderr,
    )
    # The work began before the bar was made.
    bar.start_t -= elapsed
    bar.last_print_t = bar.start_t
    return bar


def _size_is_known() -> bool:
    """Whether the terminal says how large it is; some say 0, and tqdm then draws nothing."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except (OSError, ValueError):
        return False


class Console:
    """The two outputs of one command."""

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.as_json = as_json
        self._notes = not quiet and not as_json
        #: Whether somebody watches.
        self.live = not quiet and sys.stderr is not None and sys.stderr.isatty()

    def note(self, line: str) -> None:
        """Say something in passing, unless told to be quiet."""
        if self._notes:
            print(line, file=sys.stderr)

    def fail(self, error: BaseException, where: object) -> tuple[int, str]:
        """Print the one line of an error; return its exit code and the line."""
        code, line = explain(error, where)
        self.complain(line)
        return code, line

    def complain(self, line: str) -> None:
        """Print the one line that says what is wrong."""
        print(f"codec: {line}", file=sys.stderr)

    @contextmanager
    def meter(self, title: object) -> Iterator[Meter | None]:
        """A progress function for one piece of work, or None where nobody watches."""
        if not self.live:
            yield None
            return
        meter = Meter(printable(title))
        try:
            yield meter
        finally:
            meter.close()

    def announce_kernels(self) -> None:
        """Tell who waits why the first run takes longer."""
        if not self.live:
            return
        import codec

        cached = getattr(codec, "kernels_are_cached", None)
        if cached is not None and not cached():
            print("compiling kernels for this machine (once) ...", file=sys.stderr)

    def status(self, line: str) -> None:
        """Show what is going on, in place of what was shown before."""
        if self.live:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)

    def result(self, record: dict[str, Any], text: str) -> None:
        """Print what was asked for: the record with --json, and the text otherwise."""
        print(json.dumps(record) if self.as_json else text)
