"""Originals for everything that is not Python: a local endpoint in front of a Hub, or of a folder.

With ``HF_ENDPOINT=http://127.0.0.1:8800`` any client of the Hub sees ``model.safetensors`` where there is only
``model.safetensors.weft``, and only the latter crosses the wire.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hub.serving.server import Endpoint

__all__ = ["CACHE_BYTES", "serve", "serving"]

#: Bytes of originals that are kept on disk, unless the caller says otherwise.
CACHE_BYTES: Final = 50_000_000_000

PathLike = str | os.PathLike[str]


def serve(
    upstream: str | None = None,
    folder: PathLike | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8800,
    cache_dir: PathLike | None = None,
    cache_bytes: int | None = None,
    verbose: bool = False,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then return.

    ``upstream``: URL of the Hub to stand in front of; the one that huggingface_hub is set to, if neither it nor
    ``folder`` is given. ``folder``: serve its files instead, weft files as their originals. ``port``: 0 for any that is
    free. ``ready`` is called with the server's URL once it answers. ``host``: nobody but this machine can connect
    unless another one is named.

    Originals that were sent whole are kept in ``cache_dir`` (by default beside huggingface_hub's cache, in
    ``weft/originals``), up to ``cache_bytes``, and never on the last 5 % of the disk; those that were not used for
    longest go first. Tokens are passed to the upstream and stored nowhere; nothing but the upstream, and what it
    redirects to, is contacted. ``verbose`` prints a line for each request on stderr; damage is reported there anyway.

    Raises ImportError without the extra ``weft[serve]``, ValueError for arguments that make no sense, OSError if the
    port is taken or a folder can't be used.

    >>> import hub.serving
    >>> hub.serving.serve(folder="/models", port=8800, ready=print)  # doctest: +SKIP
    http://127.0.0.1:8800
    """
    endpoint, app = _made(upstream, folder, host, port, cache_dir, cache_bytes, verbose)
    try:
        endpoint.run(app, ready)
    finally:
        endpoint.close()
        app.close()


@contextmanager
def serving(
    upstream: str | None = None,
    folder: PathLike | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    cache_dir: PathLike | None = None,
    cache_bytes: int | None = None,
    verbose: bool = False,
) -> Iterator[str]:
    """As :func:`serve`, on a thread of this process within a ``with`` block, which is given the server's URL.

    >>> import hub.serving, tempfile, urllib.request
    >>> with tempfile.TemporaryDirectory() as folder, hub.serving.serving(folder=folder) as url:
    ...     urllib.request.urlopen(url).status
    200
    """
    endpoint, app = _made(upstream, folder, host, port, cache_dir, cache_bytes, verbose)
    started = threading.Event()
    thread = threading.Thread(target=endpoint.run, args=(app, lambda url: started.set()), name="weft-serve")
    thread.start()
    try:
        started.wait()
        yield endpoint.url
    finally:
        endpoint.stop()
        thread.join()
        app.close()


def _made(
    upstream: str | None,
    folder: PathLike | None,
    host: str,
    port: int,
    cache_dir: PathLike | None,
    cache_bytes: int | None,
    verbose: bool,
) -> tuple[Endpoint, Any]:
    """A server that listens already, and its application."""
    if upstream is not None and folder is not None:
        raise ValueError("either an upstream or a folder, not both")
    try:
        from hub.serving.server import Endpoint
        from hub.serving.streams import AT_ONCE  # noqa: F401
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("anyio", "starlette", "uvicorn"):
            raise
        needed = 'codec serve needs starlette and uvicorn: pip install "weft[serve]"'
        raise ImportError(needed, name=error.name) from None
    from hub.serving.log import Log

    if folder is not None:
        from hub.serving.folder import FolderApp

        app: Any = FolderApp(Path(folder), Log(verbose=verbose))
        return Endpoint(host, port), app

    from huggingface_hub import constants

    from hub.serving.addresses import Upstream
    from hub.serving.store import Store
    from hub.serving.upstream import UpstreamApp

    endpoint = Endpoint(host, port)
    try:
        chosen = upstream or constants.ENDPOINT
        if Upstream(chosen).is_at(host, endpoint.port):
            if upstream is not None:
                raise ValueError(f"upstream {upstream} is this server itself")
            chosen = "https://huggingface.co"  # HF_ENDPOINT is set for the clients, to this server
        place = Path(cache_dir) if cache_dir is not None else Path(constants.HF_HOME) / "weft" / "originals"
        store = Store(place.expanduser(), CACHE_BYTES if cache_bytes is None else cache_bytes)
        return endpoint, UpstreamApp(chosen, store, Log(verbose=verbose), bound=endpoint.url)
    except BaseException:
        endpoint.close()
        raise
