"""Who may do what: tokens, private repos and gated ones."""

from __future__ import annotations

from dataclasses import dataclass

from tests.hub.messages import HubError, Request
from tests.hub.store import Repo, Store


@dataclass(frozen=True)
class Tokens:
    """The tokens a server knows. When it knows none, every token will do, and public repos need none.

    ``write`` may do everything, ``read`` only read. A gated repo's files go to holders of ``granted``.
    """

    write: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()

    def known(self, request: Request) -> str | None:
        """The request's token; one that is not known is refused."""
        token = request.token
        if token is not None and (self.write or self.read) and token not in self.write + self.read + self.granted:
            raise HubError(401, None, "Invalid credentials in Authorization header")
        return token

    def may_write(self, request: Request) -> None:
        """Refuse who may not write."""
        token = self.known(request)
        if not (self.write or self.read):
            return
        if token is None:
            raise HubError(401, None, "Invalid username or password.")
        if token not in self.write:
            raise HubError(403, None, "Forbidden: pass a token with write permission")

    def may_download(self, request: Request, repo: Repo) -> None:
        """Refuse a gated repo's files to those who weren't let in."""
        if not repo.gated or request.token in self.granted:
            return
        if request.token is None:
            message = f"Access to model {repo.repo_id} is restricted. You must have access to it and be authenticated."
            raise HubError(401, "GatedRepo", message)
        message = f"Access to model {repo.repo_id} is restricted and you are not in the authorized list."
        raise HubError(403, "GatedRepo", message)

    def open_repo(self, request: Request, store: Store, repo_type: str, repo_id: str, *, write: bool = False) -> Repo:
        """The repo a request is about. What it may not see isn't there."""
        token = self.known(request)
        repo = store.find(repo_id, repo_type)
        if repo is None or (repo.private and token is None):
            if token is None:
                raise HubError(401, "RepoNotFound", "Invalid username or password.")
            raise HubError(404, "RepoNotFound", "Repository not found")
        if write:
            self.may_write(request)
        return repo
