"""The entry point: runs one command, turns what happens into an exit code and at most one line."""

from __future__ import annotations

import atexit
import gc
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from codec.cli import bench, convert, hub, look, recover
from codec.cli.arguments import parse
from codec.cli.console import Console
from codec.cli.failures import BAD_USAGE, BROKEN_PIPE, INTERRUPTED, damage_of, explain

COMMANDS: Final = {
    "compress": convert.run,
    "decompress": convert.run,
    "inspect": look.inspect,
    "verify": look.verify,
    "recover": recover.run,
    "estimate": look.estimate,
    "bench": bench.run,
    "push": hub.push,
    "pull": hub.pull,
    "run": hub.run,
    "serve": hub.serve,
}

#: Seconds after a signal in which further ones are ignored, so that cleaning up is not cut short.
GRACE: Final = 2.0


class _Ended(KeyboardInterrupt):
    """A signal asked the program to end."""

    def __init__(self, number: int) -> None:
        self.code = 128 + number


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    if argv is None:
        _collect_little()
    try:
        with _signals_raise():
            return _run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt as interrupt:
        _say("codec: interrupted")
        return getattr(interrupt, "code", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the output has seen enough, which is nothing to complain about.
        _abandon_output()
        return BROKEN_PIPE


def _collect_little() -> None:
    """Have Python's collector of cycles look less often, and not at all when the process ends.

    Loading numba makes half a million objects that stay: going through them at the end took 0.1 s, and on the way 0.03.
    """
    gc.set_threshold(100_000, 50, 100)
    atexit.register(gc.freeze)


def _run(arguments: Sequence[str]) -> int:
    where, code, as_json, command = "", 0, False, ""
    _never_refuse_a_name()
    try:
        try:
            options = parse(arguments)
            where = getattr(options, "repo", getattr(options, "path", ""))
            as_json = getattr(options, "json", False)
            command = options.command
            code = COMMANDS[command](options)
        except SystemExit as after_help:
            code = int(after_help.code or 0)
        if code == 0 and sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told in one line
        code, line = explain(error, where, command)
        _say(f"codec: {line}")
        if as_json and code != BAD_USAGE:
            record = {"path": where, "error": line, "exit_code": code, **damage_of(error)}
            Console(as_json=True).result(record, "")
    if code != 0:
        _abandon_output()
    return code


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Make the signals that end a program raise, so that unfinished files are removed.

    A signal that whoever started the program had ignored (``nohup``) stays ignored. An exception that is raised
    in the middle of some library's clean-up can get lost there, so a timer raises it again until the program
    has ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    last, first = -GRACE, 0
    timer = hasattr(signal, "setitimer") and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal last, first
        first = first or number
        now = time.monotonic()
        if now - last >= GRACE:
            last = now
            if timer:
                signal.setitimer(signal.ITIMER_REAL, 1.1 * GRACE)
            raise _Ended(first)

    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: found for number, found in before.items() if found not in (signal.SIG_IGN, None)}
    if timer:
        before[signal.SIGALRM] = signal.SIG_DFL
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        if timer:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _never_refuse_a_name() -> None:
    """Print what the terminal's encoding lacks as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say(line: str) -> None:
    with suppress(OSError):
        print(line, file=sys.stderr)


def _abandon_output() -> None:
    """Let the interpreter's last flush of standard output go nowhere, if it can't go where it should."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)


def command() -> None:
    """The command: run it, and end the process.

    A thread that still compiles kernels when the interpreter ends crashes in LLVM: then there is no such end. Nothing
    is left to be done by then: files are closed, and temporary ones are gone.
    """
    code = main()
    if any(thread.daemon for thread in threading.enumerate()):
        with suppress(OSError, ValueError):
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    command()
