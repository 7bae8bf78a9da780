"""The download hook: huggingface_hub's clients see originals where a repo has weft files.

Built on ``huggingface_hub.set_client_factory``; nothing is patched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2 as httpx
import huggingface_hub
from huggingface_hub.utils import _http

from hub.markers import forget_what_hides_originals
from hub.transport import WeftTransport

Factory = Callable[[], httpx.Client]


def enable() -> None:
    """From now on, everything in this process that downloads through huggingface_hub (``hf_hub_download``,
    ``snapshot_download``, ``HfFileSystem``, transformers, diffusers ...) finds ``model.safetensors`` in a repo that has
    only ``model.safetensors.weft``, and transfers only the latter. Again is no error.

    The client factory that is in place is wrapped, and whatever it sets up stays in force: proxies, certificates,
    headers, hooks, offline mode. A factory that is set later replaces this one; call ``enable`` again then.

    What huggingface_hub's cache knows of weights that are not there is forgotten: they may be there after all.

    What is given out is checked against the checksums of the weft file and, if read whole, against the SHA-256 of the
    original; codec.CorruptFileError is raised in the middle of a download that does not match. Plain downloads of
    huggingface_hub end at 50 GB; :func:`hub.pull` has no such limit.

    >>> import hub, huggingface_hub
    >>> hub.enable()
    >>> hub.is_enabled()
    True
    >>> hub.disable()
    """
    global _installed
    with _lock:
        current = _current_factory()
        if isinstance(current, _Hook) and current.on:
            return
        if _installed is not None:  # it was replaced, or wrapped in another factory: in either case this one takes over
            _installed.on = False
        _installed = _Hook(current)
        huggingface_hub.set_client_factory(_installed)
        forget_what_hides_originals()


def disable() -> None:
    """Put back the client factory that was there before :func:`enable`. No error if there is nothing to disable.

    Where another factory was put around the hook meanwhile, that one stays, and the hook in it does nothing any more.
    """
    with _lock:
        current = _current_factory()
        if _installed is not None:
            _installed.on = False
        if isinstance(current, _Hook):
            current.on = False
            huggingface_hub.set_client_factory(current.wrapped)


def is_enabled() -> bool:
    """Whether downloads of this process go through the hook, as far as one can tell."""
    return _installed is not None and _installed.on


@contextmanager
def enabled() -> Iterator[None]:
    """The hook within a ``with`` block, for the whole process. Leaves it as it was before."""
    before = is_enabled()
    enable()
    try:
        yield
    finally:
        if not before:
            disable()


class _Hook:
    """A client factory around another."""

    def __init__(self, wrapped: Factory) -> None:
        self.wrapped, self.on = wrapped, True

    def __call__(self) -> httpx.Client:
        client = self.wrapped()
        return _HookedClient(client, lambda: self.on) if self.on else client


class _HookedClient(httpx.Client):
    """Builds requests, follows redirects and keeps cookies as the wrapped client would, which does all the rest."""

    def __init__(self, wrapped: httpx.Client, on: Callable[[], bool]) -> None:
        self._wrapped = wrapped
        super().__init__(
            auth=wrapped.auth,
            headers=wrapped.headers,
            params=wrapped.params,
            cookies=wrapped.cookies,
            timeout=wrapped.timeout,
            follow_redirects=wrapped.follow_redirects,
            max_redirects=wrapped.max_redirects,
            base_url=wrapped.base_url,
            transport=WeftTransport(wrapped, markers=True, on=on),  # so proxies are those of the wrapped client
            trust_env=wrapped.trust_env,
        )

    def __getattr__(self, name: str) -> Any:
        if name == "_wrapped":  # not there yet
            raise AttributeError(name)
        return getattr(self._wrapped, name)


def _current_factory() -> Factory:
    # The library has no public way to ask; reading the name is all that is done with it.
    found: Factory = getattr(_http, "_GLOBAL_CLIENT_FACTORY", _http.default_client_factory)
    return found


_lock = threading.Lock()
_installed: _Hook | None = None
