"""What goes wrong on the way from the Hub on loopback, and how fast the way is."""

from __future__ import annotations

import hashlib
import http.client
import random
import socket
import threading
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from huggingface_hub import HfApi, constants, get_session, hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from tests.hub.conftest import MakeServer
from tests.hub.faults import Chance, Fault
from tests.hub.remote import RemoteServer
from tests.hub.server import HubServer

LARGE = random.Random(3).randbytes(2 << 20)


@pytest.fixture
def server(hub_server: HubServer, no_waiting: None) -> HubServer:
    hub_server.add_repo("org/m", {"a.safetensors": LARGE, "b.txt": b"b"})
    return hub_server


def fetch(server: HubServer | RemoteServer, cache: Path, path: str = "a.safetensors") -> bytes:
    return Path(hf_hub_download("org/m", path, endpoint=server.url, cache_dir=cache, token=False)).read_bytes()


@pytest.mark.parametrize("at", [0, 1000, 0.5, len(LARGE) - 1])
def test_a_cut_is_resumed(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int | float) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # the client loses what doesn't fill one
    server.set_faults(Fault("cut", r"\.safetensors$", at=at))
    assert fetch(server, tmp_path) == LARGE
    place = int(at * len(LARGE)) if isinstance(at, float) else at
    first, second = server.requests("GET", "safetensors")
    assert (first.fault, first.sent) == ("cut", place) and second.fault is None
    assert second.sent == len(LARGE) - place // 1000 * 1000
    assert second.range == (f"bytes={place // 1000 * 1000}-" if place else None)
    assert server.injected == {"cut": 1}


def test_nothing_or_a_reset_instead_of_an_answer(server: HubServer, tmp_path: Path) -> None:
    server.set_faults(Fault("drop", times=2))
    assert fetch(server, tmp_path) == LARGE
    assert [record.status for record in server.requests("GET", "safetensors")] == [0, 0, 200]
    server.set_faults(Fault("reset", at=100_000))
    with closing(http.client.HTTPConnection(urlsplit(server.url).netloc)) as line:
        line.request("GET", "/org/m/resolve/main/a.safetensors")
        with pytest.raises(ConnectionResetError), line.getresponse() as answer:
            answer.read()
    assert server.injected == {"reset": 1}


def test_the_nth_of_a_method_and_a_path(server: HubServer, tmp_path: Path) -> None:
    server.set_faults(Fault("status", "b.txt", "HEAD", nth=2, times=2, status=500), Fault("drop", "none"))
    url = f"{server.url}/org/m/resolve/main/b.txt"
    assert [get_session().head(url).status_code for _ in range(4)] == [200, 500, 500, 200]
    assert get_session().get(url).status_code == 200
    assert server.injected == {"status": 2}
    server.set_faults(Fault("status", ".", "*", times=0, status=502))
    assert {get_session().get(url).status_code for _ in range(3)} == {502}
    with pytest.raises(LocalEntryNotFoundError):
        fetch(server, tmp_path)


def test_too_many_requests(server: HubServer, tmp_path: Path) -> None:
    server.set_faults(Fault("status", status=429, retry_after=1), Fault("status", "/tree/", status=503, times=2))
    assert fetch(server, tmp_path) == LARGE
    assert [record.status for record in server.requests("GET", "safetensors")] == [429, 200]
    answer = HfApi(endpoint=server.url, token=False).list_repo_files("org/m")
    assert answer == ["a.safetensors", "b.txt"]
    server.set_faults(Fault("status", status=429, retry_after=7))
    assert get_session().get(f"{server.url}/org/m/resolve/main/b.txt").headers["Retry-After"] == "7"
    server.set_faults(Fault("status", status=503))
    with pytest.raises(HfHubHTTPError, match="503"):
        fetch(server, tmp_path / "other")


def test_lies(server: HubServer, tmp_path: Path) -> None:
    server.set_faults(Fault("length", method="HEAD", delta=5))
    with pytest.raises(OSError, match="Consistency check failed"):
        fetch(server, tmp_path)
    server.set_faults(Fault("length", method="GET", delta=-5))
    with pytest.raises(OSError, match="Consistency check failed"):
        fetch(server, tmp_path)
    server.set_faults(Fault("corrupt", at=77))
    wrong = fetch(server, tmp_path / "corrupt")
    assert wrong[77] == LARGE[77] ^ 1 and wrong[:77] + wrong[78:] == LARGE[:77] + LARGE[78:]
    server.set_faults(Fault("etag", method="HEAD"))
    path = hf_hub_download("org/m", "a.safetensors", endpoint=server.url, cache_dir=tmp_path / "etag", token=False)
    assert Path(path).read_bytes() == LARGE
    assert Path(path).resolve().name != hashlib.sha256(LARGE).hexdigest()


def test_a_stall(server: HubServer, tmp_path: Path) -> None:
    server.set_faults(Fault("stall", at=1000, seconds=0.2))
    begin = time.monotonic()
    assert fetch(server, tmp_path) == LARGE
    assert time.monotonic() - begin >= 0.2
    server.set_faults(Fault("stall", at=1000, seconds=60))
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port)) as line:
        line.sendall(b"GET /org/m/resolve/main/a.safetensors HTTP/1.1\r\nHost: hub\r\n\r\n")
        while not server.injected:
            time.sleep(0.005)
        server.close()  # doesn't wait for the stall
    assert time.monotonic() - begin < 30


def test_faults_of_the_storage_server(make_hub_server: MakeServer, no_waiting: None, tmp_path: Path) -> None:
    server = make_hub_server(redirect=True)
    server.add_repo("org/m", {"a.safetensors": LARGE})
    server.set_faults(Fault("cut", at=0.5))
    assert fetch(server, tmp_path) == LARGE
    assert [record.server for record in server.requests("GET", "safetensors")] == ["storage", "storage"]


def test_faults_by_chance_are_the_same_every_time(server: HubServer, tmp_path: Path) -> None:
    files = {f"{number}.bin": LARGE[number:] for number in range(8)}
    server.add_repo("org/many", files)
    seen = []
    for attempt in range(2):
        server.set_faults(chance=Chance(seed=1, probability=0.5, kinds=("cut", "drop", "429")))
        server.reset()
        folder = snapshot_download("org/many", endpoint=server.url, cache_dir=tmp_path / str(attempt), token=False)
        assert all((Path(folder) / name).read_bytes() == content for name, content in files.items())
        seen.append(sorted((record.path, record.fault or "", record.sent) for record in server.requests("GET", "bin")))
    assert seen[0] == seen[1] and sum(server.injected.values()) >= 4
    server.set_faults(chance=Chance(seed=1, probability=1.0, kinds=("503",), limit=1))
    url = f"{server.url}/org/m/resolve/main/b.txt"
    assert [get_session().get(url).status_code for _ in range(3)] == [503, 200, 200]


@pytest.mark.parametrize("rate", [40e6, 400e6])
def test_the_line_has_its_speed(make_hub_server: MakeServer, rate: float) -> None:
    server = make_hub_server(bytes_per_second=rate)
    content = LARGE * (4 if rate < 1e8 else 40)
    server.add_repo("org/m", {"a.bin": content})

    def pull() -> None:
        assert get_session().get(f"{server.url}/org/m/resolve/main/a.bin").content == content

    threads = [threading.Thread(target=pull) for _ in range(2)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    needed = 2 * len(content) / rate
    # Never faster. How much slower depends on what else the machine does, so that isn't looked at closely.
    assert needed * 0.98 - 0.02 <= time.perf_counter() - begin <= needed * 3 + 5


def test_uploads_go_over_the_line_too(make_hub_server: MakeServer) -> None:
    server = make_hub_server(bytes_per_second=10e6)
    server.add_repo("org/m")
    begin = time.perf_counter()
    HfApi(endpoint=server.url, token=False).upload_file(path_or_fileobj=LARGE, path_in_repo="a.bin", repo_id="org/m")
    assert time.perf_counter() - begin >= len(LARGE) / 10e6 * 0.98 - 0.02


def test_latency(make_hub_server: MakeServer) -> None:
    server = make_hub_server(latency=0.05)
    server.add_repo("org/m", {"b.txt": b"b"})
    begin = time.perf_counter()
    for _ in range(3):
        get_session().head(f"{server.url}/org/m/resolve/main/b.txt")
    assert time.perf_counter() - begin >= 0.15


def test_a_server_of_its_own(tmp_path: Path, no_waiting: None, make_hub_server: MakeServer) -> None:
    make_hub_server()  # sees to the client's settings
    (tmp_path / "large").write_bytes(LARGE)
    with RemoteServer(tmp_path / "remote", redirect=True, page_size=1, write_token=("hf_w",)) as server:
        first = server.add_repo("org/m", {"a.safetensors": tmp_path / "large", "b.txt": "b"}, link=True)
        server.set_faults(Fault("cut", at=0.25), chance=Chance(seed=1, probability=0.0))
        assert fetch(server, tmp_path / "cache") == LARGE
        assert server.bytes_sent(".safetensors") == len(LARGE) * 5 // 4 and server.injected == {"cut": 1}
        assert {record.server for record in server.records()} == {"hub", "storage"}
        second = server.commit("org/m", {"c.txt": b"c", "b.txt": None})
        client = HfApi(endpoint=server.url, token="hf_w")
        assert client.list_repo_files("org/m") == ["a.safetensors", "c.txt"]
        assert client.list_repo_files("org/m", revision=first) == ["a.safetensors", "b.txt"]
        client.upload_file(path_or_fileobj=b"d", path_in_repo="d.txt", repo_id="org/m", parent_commit=second)
        server.reset()
        assert server.records() == [] and server.errors == []
    assert server.pid is None
    with RemoteServer(tmp_path / "remote") as again:
        assert HfApi(endpoint=again.url, token=False).list_repo_files("org/m") == ["a.safetensors", "c.txt", "d.txt"]
