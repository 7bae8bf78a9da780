"""Xet storage without a service: a folder that the released hf_xet reads and writes by itself."""

from __future__ import annotations

import hashlib
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.hub.messages import Reply, json_reply
from tests.hub.store import Objects

_TAG = b"HFRepoMetaData"
_HEADER = 48
_LINE = 48
_VERIFIED, _EXTENDED = 1 << 31, 1 << 30


def text_of(raw: bytes) -> str:
    """A hash as hf_xet writes it: four numbers, each with its highest digit first."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))


def files_of(shard: bytes) -> Iterator[tuple[str, str]]:
    """Of each file that a shard tells of, the SHA-256 and the xet hash.

    A shard begins with a header; then come the files, each a line with its hash and the count of its
    stretches, a line for each stretch, one more for each when they are verified, and one with the
    SHA-256. A line whose hash is all ones ends them.
    """
    if not shard.startswith(_TAG):
        raise ValueError("not a shard")
    at = _HEADER
    while (raw := shard[at : at + 32]) != b"\xff" * 32:
        flags, count = struct.unpack_from("<II", shard, at + 32)
        at += _LINE + _LINE * count * (2 if flags & _VERIFIED else 1)
        if flags & _EXTENDED:
            yield text_of(shard[at : at + 32]), text_of(raw)
            at += _LINE


class Xet:
    """The folder, what the Hub says of it, and a way around it for those without hf_xet."""

    def __init__(self, folder: Path, objects: Objects) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.url = f"local://{folder}"
        self._folder, self._objects = folder, objects
        self._lock = threading.Lock()
        self._read: set[Path] = set()
        self._hashes: dict[str, str] = {}
        self._session: Any = None

    def token_reply(self) -> Reply:
        """Where the content is and what opens it, in both ways in which clients read that."""
        until = int(time.time()) + 3600
        told = {"casUrl": self.url, "accessToken": "xet-token", "exp": until}
        headers = {
            "X-Xet-Cas-Url": self.url,
            "X-Xet-Access-Token": "xet-token",
            "X-Xet-Token-Expiration": str(until),
        }
        return json_reply(told, headers=headers)

    def find(self, sha256: str) -> str | None:
        """The xet hash of content that a client has put into the folder."""
        with self._lock:
            if sha256 not in self._hashes:
                for path in sorted(self._folder.rglob("shards/*.mdb")):
                    self._look(path)
            return self._hashes.get(sha256)

    def _look(self, path: Path) -> None:
        if path in self._read:
            return
        try:
            self._hashes |= files_of(path.read_bytes())
        except (ValueError, struct.error):  # another client is writing it: next time it's whole
            return
        self._read.add(path)

    def add(self, path: Path) -> None:
        """Put a file into the folder, the way a client does."""
        with self._lock, self._opened().new_upload_commit(endpoint=self.url, **self._pass()) as commit:
            import hf_xet

            commit.start_upload_file(str(path), sha256=hf_xet.COMPUTE_SHA256)

    def content(self, sha256: str) -> Path | None:
        """The content as a plain file: what the Hub's bridge gives to those who ask over HTTP."""
        if sha256 in self._objects:
            return self._objects.path(sha256)
        if (xet := self.find(sha256)) is None:
            return None
        with self._lock:
            if sha256 not in self._objects:
                from hf_xet import XetFileInfo

                incoming = self._objects.incoming()
                with self._opened().new_file_download_group(endpoint=self.url, **self._pass()) as group:
                    group.start_download_file(XetFileInfo(xet, None), str(incoming))
                with incoming.open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                        raise ValueError(f"{xet} is not what was said to be {sha256}")
                self._objects.adopt(incoming, sha256)
        return self._objects.path(sha256)

    def _pass(self) -> dict[str, Any]:
        return {"token": "xet-token", "token_expiry_unix_secs": int(time.time()) + 3600}

    def _opened(self) -> Any:
        if self._session is None:
            from hf_xet import XetSession

            self._session = XetSession()
        return self._session
