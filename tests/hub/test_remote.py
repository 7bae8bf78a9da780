"""Reading a file of the Hub in ranges, whatever the connection does."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2 as httpx
import huggingface_hub
import pytest
from huggingface_hub.errors import HfHubHTTPError
from hypothesis import given
from hypothesis import strategies as st

import codec
from hub import remote
from hub.ahead import Ahead
from hub.remote import EndpointError, RemoteFile
from tests.hub.faults import Chance, Fault
from tests.hub.server import HubServer

DATA = random.Random(1).randbytes(3_000_000)


@pytest.fixture
def server(make_hub_server: Callable[..., HubServer], monkeypatch: pytest.MonkeyPatch) -> HubServer:
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.001)
    server = make_hub_server(redirect=True)
    server.add_repo("org/name", {"data.bin": DATA})
    return server


def file_of(server: HubServer, size: int = len(DATA), token: str | None = None) -> RemoteFile:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return RemoteFile(
        huggingface_hub.get_session, f"{server.url}/org/name/resolve/main/data.bin", size, headers=headers, name="data"
    )


def test_ranges_and_streams(server: HubServer) -> None:
    file = file_of(server)
    assert file.read_at(5, 100) == DATA[5:105] and file.read_at(len(DATA) - 3, 3) == DATA[-3:]
    assert file.read_at(7, 0) == b"" and b"".join(file.stream(9)) == DATA[9:]
    assert file.received == 103 + len(DATA) - 9
    with pytest.raises(codec.TruncatedFileError):
        file.read_at(len(DATA) - 2, 3)


def test_the_token_stays_with_the_hub(server: HubServer) -> None:
    file_of(server, token="secret").read_at(0, 9)
    assert [r.authorization for r in server.requests("GET", "", "hub")] == ["Bearer secret"]
    assert [r.authorization for r in server.requests("GET", "", "storage")] == [None]


@pytest.mark.parametrize("kind", ["drop", "cut", "reset", "status"])
def test_what_breaks_goes_on_from_there(server: HubServer, kind: str) -> None:
    server.set_faults(*(Fault(kind, nth=n, at=200_000 if kind != "status" else 0) for n in (1, 2, 4)))
    assert b"".join(file_of(server).stream()) == DATA
    assert sum(server.injected.values()) == 3


def test_many_broken_connections(server: HubServer) -> None:
    server.set_faults(chance=Chance(7, 0.5, kinds=("cut", "drop", "reset", "503", "429")))
    for _ in range(10):
        assert b"".join(file_of(server).stream()) == DATA
    assert sum(server.injected.values()) >= 10


def test_it_gives_up_in_the_end(server: HubServer) -> None:
    server.set_faults(Fault("status", times=0, status=503))
    with pytest.raises(HfHubHTTPError, match="503"):
        file_of(server).read_at(0, 9)
    assert len(server.requests("GET")) == remote.TRIES
    server.set_faults(Fault("drop", times=0))
    with pytest.raises(httpx.TransportError):
        file_of(server).read_at(0, 9)


def test_no_bytes_for_what_is_refused(server: HubServer) -> None:
    missing = RemoteFile(huggingface_hub.get_session, f"{server.url}/org/name/resolve/main/none.bin", 9)
    with pytest.raises(huggingface_hub.errors.EntryNotFoundError):
        missing.read_at(0, 9)
    assert len(server.requests("GET")) == 1


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1, 2 * len(DATA)])
def test_sizes_that_disagree(server: HubServer, size: int) -> None:
    file = file_of(server, size)
    with pytest.raises(EndpointError, match=str(len(DATA))):
        file.read_at(0, 9)
    with pytest.raises(EndpointError):
        file.read_at(size - 1, 1)


class _NoRanges(httpx.BaseTransport):
    """A server that sends the whole file whatever is asked, or what else it is told."""

    def __init__(self, **answer: object) -> None:
        self.answer = answer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(**{"status_code": 200, "content": DATA[:1000], **self.answer})  # type: ignore[arg-type]


def _odd(**answer: object) -> RemoteFile:
    client = httpx.Client(transport=_NoRanges(**answer))
    return RemoteFile(lambda: client, "https://odd.example/x", 1000)


def test_a_server_without_ranges() -> None:
    assert _odd().read_at(100, 50) == DATA[100:150]


def test_servers_that_answer_nonsense() -> None:
    for answer in (
        {"status_code": 206, "content": b"x" * 9},
        {"status_code": 206, "content": b"x" * 9, "headers": {"Content-Range": "bytes 5-13/1000"}},
        {"status_code": 206, "content": b"x" * 9, "headers": {"Content-Range": "bytes 0-8/999"}},
        {"status_code": 416, "content": b"", "headers": {"Content-Range": "bytes */1000"}},
        {"headers": {"Content-Encoding": "br"}, "content": b"x"},
    ):
        with pytest.raises(EndpointError):
            _odd(**answer).read_at(0, 9)


class _Blocks:
    """As RemoteFile, from memory, in blocks of any size; counts what it sends."""

    name, size = "blocks", 300_000

    def __init__(self, block: int) -> None:
        self.block, self.sent, self.streams = block, 0, 0

    def read_at(self, offset: int, size: int) -> memoryview:
        self.sent += size
        return memoryview(DATA)[offset : offset + size]

    def stream(self, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        self.streams += 1
        stop = self.size if end is None else end
        for at in range(begin, stop, self.block):
            block = DATA[at : min(at + self.block, stop)]
            self.sent += len(block)
            yield block


@given(
    st.integers(1, 70_000),
    st.lists(st.tuples(st.integers(0, 299_999), st.integers(1, 100_000)), min_size=1, max_size=8),
    st.integers(0, 299_999),
)
def test_reading_ahead_gives_what_is_there(block: int, reads: list[tuple[int, int]], begin: int) -> None:
    source = Ahead(_Blocks(block))  # type: ignore[arg-type]
    source.read_at(250_000, 50_000)  # as the end is, with the index
    with source.streaming(begin):
        for offset, size in reads:
            size = min(size, 300_000 - offset)
            assert source.read_at(offset, size) == DATA[offset : offset + size]


def test_reading_ahead_transfers_nothing_twice() -> None:
    blocks = _Blocks(4096)
    source = Ahead(blocks)  # type: ignore[arg-type]
    for _ in range(2):
        source.read_at(0, 16)
        source.read_at(280_000, 20_000)
    with source.streaming(16):
        order = list(range(16, 300_000, 30_000))
        found = {at: bytes(source.read_at(at, min(30_000, 300_000 - at))) for at in reversed(order[:2])}
        found |= {at: bytes(source.read_at(at, min(30_000, 300_000 - at))) for at in order[2:]}
    assert b"".join(found[at] for at in order) == DATA[16:300_000]
    assert blocks.sent == 300_000 and blocks.streams == 1


def test_errors_reach_who_waits_and_threads_end() -> None:
    class Breaks(_Blocks):
        def stream(self, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
            yield DATA[begin : begin + 10]
            raise OSError("broken")

    source = Ahead(Breaks(1))  # type: ignore[arg-type]
    with source.streaming(0):
        assert source.read_at(0, 10) == DATA[:10]
        with pytest.raises(OSError, match="broken"):
            source.read_at(0, 11)
    with pytest.raises(codec.TruncatedFileError):
        source.read_at(299_999, 2)
    for thread in threading.enumerate():
        if thread.name == "weft-ahead":
            thread.join(5)
            assert not thread.is_alive()


def test_xet_storage(make_hub_server: Callable[..., HubServer], tmp_path: Path) -> None:
    pytest.importorskip("hf_xet")
    server = make_hub_server(xet=True)
    server.add_repo("org/name", {"data.bin": DATA})
    api = huggingface_hub.HfApi(server.url)
    (entry,) = api.get_paths_info("org/name", ["data.bin"])
    assert entry.xet_hash
    address = remote.XetAddress(entry.xet_hash, f"{server.url}/api/models/org/name/xet-read-token/main")
    file = RemoteFile(huggingface_hub.get_session, f"{server.url}/nowhere", len(DATA), xet=address)
    assert file.read_at(1000, 5000) == DATA[1000:6000] and b"".join(file.stream(17)) == DATA[17:]
