"""Which output belongs to which input, and what there is to do for it."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal

from codec.cli.failures import UsageError
from codec.names import SUFFIX

STREAM: Final = "-"


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to do.

    ``code`` runs the codec from ``source`` to ``target``, either of which may be ``-``; ``copy`` copies a
    file; ``link`` makes ``target`` a link that says ``points_to``; ``folder`` makes a folder; ``refuse``
    raises ``reason``.
    """

    action: Literal["code", "copy", "link", "folder", "refuse"]
    source: str
    target: str
    points_to: str = ""
    reason: Exception | None = None


def spelled(path: Path) -> str:
    """The path as text that does not mean a stream."""
    return f".{os.sep}{STREAM}" if str(path) == STREAM else str(path)


def renamed(name: str, *, compressing: bool) -> str:
    """The name of the other side of a file or folder. Raises UsageError if there is none."""
    if compressing:
        return name + SUFFIX
    if not name.endswith(SUFFIX) or name == SUFFIX:
        raise UsageError(f"{name}: expected a name that ends in {SUFFIX}; say where to write with -o")
    return name.removesuffix(SUFFIX)


def check_together(paths: Sequence[str], output: str | None, *, as_json: bool) -> None:
    """Raise UsageError if these paths can't share this output."""
    if len(paths) > 1 and output is not None and not Path(output).is_dir():
        raise UsageError(f"-o {output}: for several paths it must be a folder that exists")
    if paths.count(STREAM) > 1:
        raise UsageError("- stands for standard input, which can be read only once")
    if as_json and (output == STREAM or (output is None and STREAM in paths)):
        raise UsageError("--json and the output can't both go to standard output; give another -o")


def target_of(path: str, output: str | None, *, compressing: bool, several: bool) -> str:
    """Where the output of one path goes."""
    if path == STREAM:
        if output is not None and output != STREAM and Path(output).is_dir():
            raise UsageError(f"-o {output}: what comes from standard input has no name; name a file")
        return output or STREAM
    source = Path(path)
    if output is not None:
        place = Path(output)
        if output == STREAM or (source.is_dir() and not several):
            return output
        if not place.is_dir():
            if output.endswith(os.sep):
                raise NotADirectoryError(errno.ENOTDIR, "no such folder", output)
            return output
        return spelled(place / renamed(_named(source).name, compressing=compressing))
    source = _named(source)
    return spelled(source.with_name(renamed(source.name, compressing=compressing)))


def _named(path: Path) -> Path:
    """The path itself, or what "." and ".." stand for."""
    found = path if path.name not in ("", "..") else path.resolve()
    if not found.name:
        raise UsageError(f"{path}: has no name to derive an output from; say where to write with -o")
    return found


def open_source(path: str, stack: ExitStack) -> str | BinaryIO:
    """The path of a regular file; standard input, a pipe or a device opened."""
    if path == STREAM:
        return _standard("input", sys.stdin)
    if is_special(path):
        return stack.enter_context(Path(path).open("rb"))
    return path


def open_target(path: str, stack: ExitStack) -> str | BinaryIO:
    """The path of what is or will be a regular file; standard output, a pipe or a device opened.

    Those are written in place: a file renamed over ``/dev/null`` would be the end of it.
    """
    if path == STREAM:
        return _standard("output", sys.stdout)
    if is_special(path):
        return stack.enter_context(Path(path).open("wb"))
    return path


def check_not_itself(source: str, target: str) -> None:
    """Raise UsageError if writing the target would destroy the source."""
    if STREAM not in (source, target) and not is_special(target):
        try:
            same = Path(source).samefile(target)
        except OSError:
            return
        if same:
            raise UsageError(f"{target}: is the input itself; write elsewhere with -o")


def _standard(name: str, stream: object) -> BinaryIO:
    buffer: BinaryIO | None = getattr(stream, "buffer", None)
    if buffer is None:
        raise OSError(errno.EBADF, f"standard {name} is closed")
    return buffer


def is_special(path: str) -> bool:
    """Whether something is there that is neither a file nor a folder."""
    try:
        mode = os.stat(path).st_mode  # "" must not become "."
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
