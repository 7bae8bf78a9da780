"""A folder over HTTP: weft files as their originals, other files as they are."""

from __future__ import annotations

import errno
import hashlib
import json
import mimetypes
import os
import stat
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote, unquote_to_bytes

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

import codec
from hub.serving import listing
from hub.serving.addresses import target_of
from hub.serving.app import Answer, App, content, message
from hub.serving.log import Log, in_one_line
from hub.serving.streams import PIECE, CheckedBody
from hub.transport import byte_range

#: What a browser may show. Everything else is bytes to it, so that no file can act as a page of this server.
_SHOWN: Final = frozenset({"application/json", "text/plain", "text/markdown", "text/csv"})
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


class FolderApp(App):
    """Raises NotADirectoryError if ``folder`` is none."""

    def __init__(self, folder: Path, log: Log) -> None:
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
        super().__init__(log)
        self._root, self._sizes = folder.resolve(), listing.Sizes()

    def close(self) -> None:
        """Nothing to do."""

    def problem(self, error: Exception) -> tuple[int, str]:
        """What the client is told of an error."""
        return 500, in_one_line(error)

    def answer(self, scope: Scope, receive: Receive) -> Answer:
        """A file, its original, or a list of what there is."""
        headers = Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD"):
            answer = message(405, "only GET and HEAD")
            answer.headers.append((b"allow", b"GET, HEAD"))
            return answer
        target = target_of(scope["raw_path"], b"")
        name = None if target is None else _name_of(target)
        if target is None or name is None:
            return message(404, "no such file")
        path = self._inside(name)
        if path is not None and path.is_dir():
            return self._index(path, name, target, headers)
        if target.endswith("/"):
            return message(404, "no such file")
        if path is not None:
            return _file(path, headers, scope["method"])
        path = self._inside(name + listing.SUFFIX)
        return message(404, "no such file") if path is None else _original(path, headers, scope["method"])

    def _inside(self, name: str) -> Path | None:
        """Where a name leads, if that is in the folder. Links are resolved, so that none leads out of it."""
        try:
            path = (self._root / name).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            return None
        return path if path.is_relative_to(self._root) else None

    def _index(self, path: Path, name: str, target: str, headers: Headers) -> Answer:
        if not target.endswith("/"):
            last = quote(os.fsencode(name.rpartition("/")[2]), safe="")
            return Answer(301, [(b"location", f"./{last}/".encode()), (b"content-length", b"0")])
        listed = listing.entries(path, self._root, self._sizes)
        if "json" in headers.get("accept", ""):
            answer = content(200, json.dumps([entry.json() for entry in listed]).encode(), b"application/json")
        else:
            shown = "/" + os.fsencode(name).decode(errors="replace")
            made = listing.page(shown, listed, is_top=not name).encode()
            answer = content(200, made, b"text/html; charset=utf-8")
        answer.headers.append((b"vary", b"Accept"))
        return answer


def _name_of(target: str) -> str | None:
    """The file's name below the folder, "" for the folder itself; None for what can't be one."""
    name = os.fsdecode(unquote_to_bytes(target)).strip("/")
    parts = name.split("/") if name else []
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        return None
    if os.name == "nt" and any(c in name for c in '\\:*?"<>|'):
        return None
    return name


def _original(path: Path, headers: Headers, method: str) -> Answer:
    """The original of a weft file."""
    raw = _opened(path)
    if raw is None:
        return message(404, "no such file")
    try:
        file = codec.open_original(raw)
    except codec.NotWeftError:
        raw.close()
        return message(404, "no such file")
    except BaseException:
        raw.close()
        raise
    found = os.fstat(raw.fileno())
    etag = f'"{file.sha256}"' if file.sha256 else _etag(found)
    kind = _kind(path.name.removesuffix(listing.SUFFIX))
    return _ranged(_OriginalBody(raw, file), file.size, etag, found.st_mtime, kind, headers, method)


def _file(path: Path, headers: Headers, method: str) -> Answer:
    """A file as it is."""
    file = _opened(path)
    if file is None:
        return message(404, "no such file")
    found = os.fstat(file.fileno())
    return _ranged(_FileBody(file), found.st_size, _etag(found), found.st_mtime, _kind(path.name), headers, method)


def _ranged(
    body: _FileBody | _OriginalBody, size: int, etag: str, changed: float, kind: str,
    headers: Headers, method: str,
) -> Answer:  # fmt: skip
    """What of a body the client asks for. The body is closed if it is not part of the answer."""
    told = [("etag", etag), ("last-modified", formatdate(changed, usegmt=True)), ("accept-ranges", "bytes")]
    status, wanted = 200, None
    if method == "GET" and headers.get("if-range", etag) == etag:
        wanted = byte_range(headers.get("range"), size)
    begin, end = wanted or (0, size)
    if etag in headers.get("if-none-match", ""):
        status = 304
    elif wanted is not None and begin >= end:
        status = 416
        told += [("content-range", f"bytes */{size}"), ("content-length", "0")]
    else:
        status = 200 if wanted is None else 206
        told += [("content-type", kind), ("content-length", str(end - begin)), ("x-content-type-options", "nosniff")]
        told += [] if wanted is None else [("content-range", f"bytes {begin}-{end - 1}/{size}")]
    raw = [(name.encode(), value.encode("latin-1")) for name, value in told]
    if status in (304, 416) or method == "HEAD":
        body.close()
        return Answer(status, raw)
    body.wanted(begin, end)
    return Answer(status, raw, CheckedBody(body))


class _FileBody:
    """Bytes of a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._begin, self._end = file, 0, 0

    def wanted(self, begin: int, end: int) -> None:
        """Say which."""
        self._begin, self._end = begin, end

    def __iter__(self) -> Iterator[bytes]:
        at = self._file.seek(self._begin)
        while at < self._end:
            piece = self._file.read(min(PIECE, self._end - at))
            if not piece:
                raise OSError(f"the file ends at byte {at} of {self._end}")
            at += len(piece)
            yield piece

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _OriginalBody:
    """Bytes of the original of a weft file. All of it is compared with its SHA-256."""

    def __init__(self, raw: BinaryIO, file: codec.OriginalFile) -> None:
        self._raw, self._file, self._begin, self._end = raw, file, 0, 0

    def wanted(self, begin: int, end: int) -> None:
        """Say which."""
        self._begin, self._end = begin, end

    def __iter__(self) -> Iterator[bytes]:
        whole = (self._begin, self._end) == (0, self._file.size) and self._file.sha256
        sha = hashlib.sha256() if whole else None
        pieces = self._file.pieces(self._begin, self._end)
        try:
            for piece in pieces:
                if sha is not None:
                    sha.update(piece)
                yield bytes(piece)
        finally:
            pieces.close()  # type: ignore[attr-defined]
        if sha is not None and sha.hexdigest() != self._file.sha256:
            what = f"SHA-256 of the original is {self._file.sha256}, decoded {sha.hexdigest()}"
            raise codec.CorruptFileError(what)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._raw.close()


def _opened(path: Path) -> BinaryIO | None:
    """A regular file; None for anything else, which is not waited for."""
    try:
        fd = os.open(path, _FLAGS)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        return None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    return os.fdopen(fd, "rb", buffering=0)


def _etag(found: os.stat_result) -> str:
    return f'"{found.st_mtime_ns:x}-{found.st_size:x}"'


def _kind(name: str) -> str:
    guessed = mimetypes.guess_type(name, strict=False)[0]
    if guessed not in _SHOWN:
        return "application/octet-stream"
    return guessed if guessed == "application/json" else f"{guessed}; charset=utf-8"
