"""Hubs on loopback, and clients that leave nothing outside of the test's folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants, file_download
from huggingface_hub.utils import _http, _xet

from tests.hub.server import HubServer

MakeServer = Callable[..., HubServer]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let pass what huggingface_hub itself does wrong when it uploads without xet."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning"))


@pytest.fixture
def make_hub_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeServer]:
    """Makes servers with :class:`HubServer`'s options. Clients use hf_xet when the last one made has it."""
    servers: list[HubServer] = []

    def make(**options: Any) -> HubServer:
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", not options.get("xet", False))
        root = options.pop("root", tmp_path / f"hub-{len(servers)}")
        servers.append(HubServer(root, **options))
        return servers[-1]

    _xet.XET_CONNECTION_INFO_CACHE.clear()
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("HF_XET_CACHE", str(tmp_path / "xet-cache"))
    yield make
    for server in servers:
        server.close()
    huggingface_hub.close_session()
    assert [error for server in servers for error in server.errors] == []


class _Hasty:
    """The module ``time`` for a client that is not to wait before it tries again."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.005))


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub tries again at once."""
    for module in (file_download, _http):
        monkeypatch.setattr(module, "time", _Hasty())


@pytest.fixture
def hub_server(make_hub_server: MakeServer) -> HubServer:
    """A server with plain LFS storage."""
    return make_hub_server()
