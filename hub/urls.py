"""The addresses of the Hub that matter here: a file of a repo, a listing, a description."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import codec

#: What the Hub answers with about the commit and the file.
COMMIT: Final = "X-Repo-Commit"
LINKED_ETAG: Final = "X-Linked-Etag"
LINKED_SIZE: Final = "X-Linked-Size"
ERROR_CODE: Final = "X-Error-Code"
XET_HASH: Final = "X-Xet-Hash"

SUFFIX: Final = ".weft"

_FILE: Final = re.compile(r"(?P<repo>[^?]*?)/resolve/(?P<revision>[^/?]+)/(?P<path>[^?]+)(?P<query>\?.*)?")
_LISTING: Final = re.compile(
    r"(?P<base>[^?]*)/api/(?P<kind>models|datasets|spaces|kernels)/(?P<id>[^/?]+(?:/[^/?]+)?)"
    r"/(?P<what>tree|paths-info)/(?P<revision>[^/?]+)(?:/[^?]*)?(?:\?.*)?"
)
_INFO: Final = re.compile(
    r"(?P<base>[^?]*)/api/(?P<kind>models|datasets|spaces|kernels)/(?P<id>[^/?]+(?:/(?!revision/|tree/)[^/?]+)?)"
    r"(?:/revision/(?P<revision>[^/?]+))?(?:\?.*)?"
)


@dataclass(frozen=True)
class FileAddress:
    """A file of a repo at a revision, as in a request for it: parts are percent-encoded as they stand in the URL."""

    repo: str
    revision: str
    path: str
    query: str = ""

    def __str__(self) -> str:
        return f"{self.repo}/resolve/{self.revision}/{self.path}{self.query}"

    @property
    def compressed(self) -> FileAddress:
        """Of the weft file beside it."""
        return FileAddress(self.repo, self.revision, self.path + SUFFIX, self.query)

    def at(self, revision: str) -> FileAddress:
        """The same file at another revision."""
        return FileAddress(self.repo, revision, self.path, self.query)


@dataclass(frozen=True)
class ListingAddress:
    """A listing of (some of) the files of a repo: ``what`` is "tree", "paths-info" or "info". ``repo`` begins the
    addresses of its files, ``api`` those of what there is to know of it.
    """

    what: str
    repo: str
    api: str
    revision: str | None

    def file(self, path: str, commit: str) -> FileAddress:
        """The address of one of the files."""
        return FileAddress(self.repo, commit, quote(path))

    def xet_route(self, commit: str) -> str:
        """Where the Hub gives out tokens to read what it has in Xet storage."""
        return f"{self.api}/xet-read-token/{commit}"


def file_address(target: str) -> FileAddress | None:
    """What a request's target (path and query) names, if that is a file of a repo."""
    found = _FILE.fullmatch(target)
    return FileAddress(found["repo"], found["revision"], found["path"], found["query"] or "") if found else None


def listing_address(target: str) -> ListingAddress | None:
    """What a request's target names, if that is a listing."""
    found = _LISTING.fullmatch(target) or _INFO.fullmatch(target)
    if found is None:
        return None
    kind = "" if found["kind"] == "models" else "/" + found["kind"]
    base, what = found["base"], found.groupdict().get("what") or "info"
    api = f"{base}/api/{found['kind']}/{found['id']}"
    return ListingAddress(what, f"{base}{kind}/{found['id']}", api, found["revision"])


def may_be_compressed(path: str) -> bool:
    """Whether there might be a weft file beside a file of this name, so that it is worth asking for one."""
    return codec.is_model_name(path)
