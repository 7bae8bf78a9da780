"""End a run at every line of codec/storage.py that it passes, and look at what it leaves.

    python -m tests.faults.points kill | interrupt | interrupt-instructions [EVERY]

Random moments rarely fall between the system calls that make a file appear. So here every line is a moment: ``kill``
forks a process for each that dies there as by SIGKILL; ``interrupt`` raises KeyboardInterrupt there, as Ctrl-C does, or
before every single instruction. Of the moments only each EVERY-th is taken, if that is given. Prints one line, and what
is wrong, if anything is.
"""

from __future__ import annotations

import gc
import itertools
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import codec
from codec import storage
from tests.faults.inputs import tree

DATA = bytes(range(256)) * 40
OLDER = b"an older output"


def at_moment(number: int, act: Callable[[], None], run: Callable[[], object], *, instructions: bool) -> int:
    """Run, and act at the moment of that number within codec/storage.py; returns how many have come."""
    come = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal come
        if frame.f_code.co_filename != storage.__file__ or frame.f_code.co_name == "__del__":
            return None  # the latter runs after the first interrupt, or has nothing to do
        frame.f_trace_opcodes = instructions
        if event == ("opcode" if instructions else "line"):
            come += 1
            if come == number:
                act()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return come


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt() -> None:
    raise KeyboardInterrupt


def check(folder: Path, whole: bytes, *, older: bool, clean: bool) -> list[str]:
    """What is wrong with a folder in which a file was being compressed."""
    held = tree(folder)
    faults = []
    if held.pop("a") != DATA:
        faults.append("the original was changed")
    if held.pop("a.weft", OLDER if not older else b"") not in (OLDER, whole):
        faults.append("the output is neither whole nor as it was")
    if held and clean:
        faults.append(f"left behind: {sorted(held)}")
    return faults


def every_moment(kind: str, step: int = 1) -> tuple[int, list[str]]:
    """(moments, faults), of the first moment and every ``step``-th from there."""
    moments, faults = 0, []
    with tempfile.TemporaryDirectory(prefix="weft-faults-") as scratch:
        source = Path(scratch) / "whole"
        source.write_bytes(DATA)
        codec.compress_file(source, threads=1)
        expected = source.with_name("whole.weft").read_bytes()
        for older in (False, True):
            for number in itertools.count(1, step):
                folder = Path(scratch) / f"{older}-{number}"
                folder.mkdir()
                (folder / "a").write_bytes(DATA)
                if older:
                    (folder / "a.weft").write_bytes(OLDER)
                if kind == "kill":
                    reached = _killed(folder, number, force=older)
                else:
                    reached = _interrupted(folder, number, force=older, instructions=kind != "interrupt")
                found = check(folder, expected, older=older, clean=kind != "kill")
                codec.compress_file(folder / "a", threads=1, force=True)
                found += [f"after a rerun: {fault}" for fault in check(folder, expected, older=True, clean=True)]
                faults += [f"moment {number}, force={older}: {fault}" for fault in found]
                if not reached:
                    break
                moments += 1
    return moments, faults


def _killed(folder: Path, number: int, *, force: bool) -> bool:
    def run() -> None:
        codec.compress_file(folder / "a", threads=1, force=force)

    child = os.fork()
    if child == 0:
        try:
            at_moment(number, die, run, instructions=False)
        finally:
            os._exit(0)
    status = os.waitpid(child, 0)[1]
    return os.WIFSIGNALED(status)


def _interrupted(folder: Path, number: int, *, force: bool, instructions: bool) -> bool:
    def run() -> None:
        codec.compress_file(folder / "a", threads=1, force=force)

    come = number
    with suppress(KeyboardInterrupt):
        come = at_moment(number, interrupt, run, instructions=instructions)
    gc.collect()
    return come >= number


def main() -> int:
    moments, faults = every_moment(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    print(f"{sys.argv[1]}: {moments} moments, {len(faults)} faults")
    for fault in faults:
        print(fault)
    return 1 if faults or not moments else 0


if __name__ == "__main__":
    sys.exit(main())
