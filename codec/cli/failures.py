"""What went wrong, as one line and an exit code."""

from __future__ import annotations

import errno
import os
from dataclasses import asdict
from typing import Any, Final

from codec.cli.text import printable
from codec.errors import CodecError

DONE: Final = 0
BAD_INPUT: Final = 1
BAD_USAGE: Final = 2
BAD_ENVIRONMENT: Final = 3
#: What a shell reports of a program that SIGINT or SIGPIPE ended: 128 + the signal's number.
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141

_WHAT_TO_DO: Final = {
    errno.ENOSPC: "free some space, or write elsewhere with -o",
    errno.EDQUOT: "free some space, or write elsewhere with -o",
    errno.EFBIG: "write to a place that allows larger files",
    errno.EROFS: "write elsewhere with -o",
    errno.EACCES: "check the permissions of the file and its folder",
    errno.EPERM: "check the permissions of the file and its folder",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENAMETOOLONG: "give a shorter name with -o",
    errno.EEXIST: "give --force to replace it",
}


#: What "elsewhere" means to commands that have no -o.
_ELSEWHERE: Final = {
    "push": "name a folder with more room in TMPDIR",
    "pull": "name another place with --local-dir, or in HF_HOME",
    "serve": "name another place with --cache-dir",
}


class UsageError(Exception):
    """The arguments make no sense together, or not with what is on the disk."""


class UnsupportedEntryError(Exception):
    """Something in a folder is neither a file, a folder nor a link that stays inside."""


def is_about_writing(error: BaseException) -> bool:
    """Whether an error that names no file was met while writing one."""
    if not isinstance(error, OSError) or error.filename is not None:
        return False
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def explain(error: BaseException, where: object, command: str = "") -> tuple[int, str]:
    """The exit code for an error, and the line that says what, where and what to do."""
    code, line = _explained(error, where)
    return code, line.replace("write elsewhere with -o", _ELSEWHERE.get(command, "write elsewhere with -o"))


def _explained(error: BaseException, where: object) -> tuple[int, str]:
    match error:
        case UsageError():
            return BAD_USAGE, printable(error)
        case CodecError() | UnsupportedEntryError():
            return BAD_INPUT, _placed(where, str(error))
        case _ if (said := _of_the_hub(error)) is not None:
            return said[0], _placed(where, said[1])
        case OSError():
            return BAD_ENVIRONMENT, _of_the_system(error, where)
        case MemoryError():
            return BAD_ENVIRONMENT, _placed(where, "not enough memory; try fewer --threads")
        case ImportError():
            advice = "" if "pip install" in str(error) else "; is the installation complete? (pip install weft)"
            return BAD_ENVIRONMENT, printable(error) + advice
    kind = type(error).__name__
    return BAD_ENVIRONMENT, _placed(where, f"internal error, please report it: {kind}: {error}")


_OF_THE_HUB: Final = {
    "HFValidationError": (BAD_USAGE, "no name of a repo; expected org/name"),
    "GatedRepoError": (BAD_ENVIRONMENT, "gated: ask for access on its page, and log in with 'hf auth login'"),
    "RepositoryNotFoundError": (
        BAD_ENVIRONMENT, "no such repo, or a private one: check the name, or log in with 'hf auth login'",
    ),
    "RevisionNotFoundError": (BAD_ENVIRONMENT, "has no such revision"),
    "LocalTokenNotFoundError": (BAD_ENVIRONMENT, "not logged in; 'hf auth login', or set HF_TOKEN"),
    "OfflineModeIsEnabled": (BAD_ENVIRONMENT, "offline mode is on (HF_HUB_OFFLINE)"),
    401: (BAD_ENVIRONMENT, "the Hub does not accept the token; 'hf auth login', or set HF_TOKEN"),
    403: (BAD_ENVIRONMENT, "the token may not do that: it needs write access to this repo"),
    429: (BAD_ENVIRONMENT, "too many requests for the Hub; try again later"),
}  # fmt: skip


def _of_the_hub(error: BaseException) -> tuple[int, str] | None:
    """Exit code and message for the errors of huggingface_hub and its HTTP client, which need not be installed."""
    kinds = type(error).__mro__
    if any(kind.__module__.split(".")[0] == "huggingface_hub" for kind in kinds):
        for kind in kinds:
            if kind.__name__ in _OF_THE_HUB:
                return _OF_THE_HUB[kind.__name__]
        response = getattr(error, "response", None)
        status = getattr(response, "status_code", 0)
        if status in _OF_THE_HUB:
            code, message = _OF_THE_HUB[status]
            said = getattr(error, "server_message", None)
            return code, message + (f" ({printable(said)})" if said else "")
        return BAD_ENVIRONMENT, f"the Hub answers: {' '.join(str(error).split())}"
    if any(kind.__module__.split(".")[0] in ("httpx", "httpx2") for kind in kinds):
        request = getattr(error, "_request", None)
        host = f" {request.url.host}" if request is not None else ""
        return BAD_ENVIRONMENT, f"connection to{host or ' the Hub'} failed: {str(error) or type(error).__name__}"
    return None


def damage_of(error: BaseException) -> dict[str, Any]:
    """What ``verify`` knows of where the damage is, for --json."""
    damage = error.damage if isinstance(error, CodecError) else None
    return {} if damage is None else {"damage": asdict(damage)}


def _placed(where: object, message: str) -> str:
    """The message behind the name of the file, unless it names the file by itself."""
    name, message = printable(where), printable(message.strip().replace("\n", "; "))
    named = not name or message.startswith(f"{name}:") or (len(name) > 3 and name in message)
    return message if named else f"{name}: {message}"


def _of_the_system(error: OSError, where: object) -> str:
    if error.filename2 is not None:
        where = error.filename2
    elif error.filename is not None and not isinstance(error.filename, int):
        where = error.filename
    message = error.strerror or str(error) or type(error).__name__
    # A message that is not the system's was written by someone who knew more.
    ours = error.errno is not None and message == os.strerror(error.errno)
    advice = _WHAT_TO_DO.get(error.errno or 0) if ours else None
    return _placed(where, f"{message[0].lower()}{message[1:]}" + (f"; {advice}" if advice else ""))
