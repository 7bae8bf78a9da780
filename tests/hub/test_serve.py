"""codec serve in front of a Hub: unmodified clients see originals, and only weft files cross the wire."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest
from huggingface_hub import HfApi, HfFileSystem, hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

from hub import remote
from tests.hub.faults import Fault
from tests.hub.models import compressed, sha256, weights
from tests.hub.server import HubServer

pytest.importorskip("starlette", reason="codec serve needs starlette")
pytest.importorskip("uvicorn", reason="codec serve needs uvicorn")

from hub.serving import client, serving
from hub.serving.addresses import Upstream, own_url, target_of

MODEL = weights(1)
NAME = "model.safetensors"
WHERE = f"/org/m/resolve/main/{NAME}"


@pytest.fixture(scope="module")
def weft(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return compressed(MODEL, tmp_path_factory.mktemp("weft"))


@pytest.fixture(params=[False, True], ids=["hub", "storage"])
def server(
    make_hub_server: Callable[..., HubServer], weft: bytes, request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> HubServer:  # fmt: skip
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.001)
    server = make_hub_server(redirect=request.param, page_size=2)
    files = {"config.json": "{}", "big.bin": MODEL[:99_999], f"{NAME}.weft": weft, f"sub/{NAME}.weft": weft}
    server.add_repo("org/m", files)
    return server


@pytest.fixture
def url(server: HubServer, tmp_path: Path) -> Iterator[str]:
    with serving(server.url, cache_dir=tmp_path / "originals") as url:
        yield url


def raw(url: str, request: bytes) -> bytes:
    """All that comes back for bytes on a connection, which the server is asked to close."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_a_download_is_the_original(server: HubServer, url: str, weft: bytes, tmp_path: Path) -> None:
    for cache in ("one", "two"):
        path = Path(hf_hub_download("org/m", NAME, cache_dir=tmp_path / cache, endpoint=url))
        assert path.read_bytes() == MODEL and path.resolve().name == sha256(MODEL)
    # the second came from the store: in all, the weft file, 16 bytes of its header, and the bodies of redirects
    assert server.bytes_sent(".weft") <= len(weft) + 100
    assert server.bytes_sent(NAME) < 1000


def test_snapshots_and_their_pages(server: HubServer, url: str, tmp_path: Path) -> None:
    where = Path(snapshot_download("org/m", cache_dir=tmp_path / "c", endpoint=url))
    found = {str(path.relative_to(where)) for path in where.rglob("*") if path.is_file()}
    assert found == {"config.json", "big.bin", NAME, f"sub/{NAME}"}
    assert (where / NAME).read_bytes() == (where / "sub" / NAME).read_bytes() == MODEL
    assert (where / "big.bin").read_bytes() == MODEL[:99_999]
    # two entries a page: the next one was asked for here, not upstream
    with httpx.Client() as asking:
        page = asking.get(f"{url}/api/models/org/m/tree/main?recursive=true")
    assert page.links["next"]["url"].startswith(f"{url}/api/models/org/m/tree/")
    assert server.url not in str(page.headers)


def test_the_file_system(url: str) -> None:
    fs = HfFileSystem(endpoint=url, skip_instance_cache=True)
    assert sorted(path.rpartition("/")[2] for path in fs.ls("org/m", detail=False)) == [
        "big.bin", "config.json", NAME, f"{NAME}.weft", "sub",
    ]  # fmt: skip
    with fs.open(f"org/m/sub/{NAME}", block_size=1 << 16) as file:
        file.seek(-1000, 2)
        assert file.read() == MODEL[-1000:]


@pytest.mark.parametrize("cached", [False, True])
def test_ranges(url: str, cached: bool) -> None:
    size = len(MODEL)
    with httpx.Client(base_url=url) as asking:
        if cached:
            assert asking.get(WHERE).content == MODEL
        for asked, begin, end in (
            ("0-0", 0, 1), ("0-99", 0, 100), (f"{size - 1}-", size - 1, size), ("-7", size - 7, size),
            ("300000-700000", 300000, 700001), (f"5-{size + 100}", 5, size), ("0-", 0, size),
        ):  # fmt: skip
            got = asking.get(WHERE, headers={"Range": f"bytes={asked}"})
            assert got.status_code == 206 and got.content == MODEL[begin:end]
            assert got.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{size}"
            assert got.headers["Content-Length"] == str(end - begin)
        got = asking.get(WHERE, headers={"Range": f"bytes={size}-"})
        assert got.status_code == 416 and got.headers["Content-Range"] == f"bytes */{size}" and not got.content
        several = asking.get(WHERE, headers={"Range": "bytes=0-1,5-6"})
        assert several.status_code == 200 and several.content == MODEL
        other = asking.get(WHERE, headers={"Range": "bytes=5-", "If-Range": '"another"'})
        assert other.status_code == 200 and other.content == MODEL
        same = asking.get(WHERE, headers={"Range": "bytes=5-", "If-Range": f'"{sha256(MODEL)}"'})
        assert same.status_code == 206 and same.content == MODEL[5:]
        assert asking.get(WHERE, headers={"If-None-Match": f'"{sha256(MODEL)}"'}).status_code == 304


def test_head(url: str, server: HubServer) -> None:
    with httpx.Client(base_url=url) as asking:
        got = asking.head(WHERE, headers={"Range": "bytes=0-3"})
        assert (got.status_code, got.headers["Content-Length"]) == (200, str(len(MODEL)))
        assert got.headers["X-Linked-Etag"] == f'"{sha256(MODEL)}"' and not got.content
        plain = asking.head("/org/m/resolve/main/config.json", follow_redirects=True)
        assert (plain.status_code, plain.headers["Content-Length"]) == (200, "2")
    answer = raw(url, f"HEAD {WHERE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\n")


def test_other_redirects_are_the_clients(server: HubServer, url: str) -> None:
    with httpx.Client(base_url=url) as asking:
        got = asking.get("/org/m/resolve/main/big.bin")
    if server._routes.redirect:
        assert got.status_code == 302 and got.headers["Location"].startswith(server.storage_url)
    else:
        assert got.content == MODEL[:99_999]


def test_refusals_pass_unchanged(server: HubServer, url: str, tmp_path: Path) -> None:
    for path in ("/org/m/resolve/main/no.safetensors", "/org/no/resolve/main/x.bin", "/api/models/org/no", "/nothing"):
        direct, through = httpx.get(server.url + path), httpx.get(url + path)
        assert (through.status_code, through.content) == (direct.status_code, direct.content)
        for name in ("X-Error-Code", "X-Error-Message", "X-Repo-Commit"):
            assert through.headers.get(name) == direct.headers.get(name)
    with pytest.raises(EntryNotFoundError):
        hf_hub_download("org/m", "no.bin", cache_dir=tmp_path / "c", endpoint=url)
    with pytest.raises(RepositoryNotFoundError):
        HfApi(url).model_info("org/no")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(url: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    curl = ["curl", "-sSfL", "--noproxy", "*", "-o", str(out), url + WHERE]
    subprocess.run([*curl, "-r", "1000-1999"], check=True)
    assert out.read_bytes() == MODEL[1000:2000]
    out.write_bytes(MODEL[:400_001])
    subprocess.run([*curl, "-C", "-"], check=True)
    assert out.read_bytes() == MODEL
    subprocess.run([*curl, "--http1.0", "--compressed"], check=True)
    assert out.read_bytes() == MODEL


def test_uploads(server: HubServer, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = HfApi(url, token="hf_writer")
    assert api.create_repo("me/new").repo_id == "me/new"
    (tmp_path / "up.safetensors").write_bytes(MODEL)
    api.upload_file(path_or_fileobj=tmp_path / "up.safetensors", path_in_repo=NAME, repo_id="me/new")
    api.upload_file(path_or_fileobj=b"small", path_in_repo="note.txt", repo_id="me/new")
    assert server.file("me/new", NAME) == MODEL and server.file("me/new", "note.txt") == b"small"
    assert {r.authorization for r in server.requests("POST")} == {"Bearer hf_writer"}
    # what the Hub names for the client to go on at leads through here, too
    batch = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": "0" * 64, "size": 5}]}
    told = httpx.post(f"{url}/me/new.git/info/lfs/objects/batch", json=batch).json()["objects"][0]["actions"]
    assert told["verify"]["href"].startswith(f"{url}/me/new.git/")
    assert told["upload"]["href"].startswith(server.storage_url)


class Listening(BaseHTTPRequestHandler):
    """Has no file that it is asked for, and says so."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_response(404)
        self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def two() -> Iterator[tuple[HTTPServer, HTTPServer]]:
    with HTTPServer(("127.0.0.1", 0), Listening) as one, HTTPServer(("127.0.0.1", 0), Listening) as other:
        for each in (one, other):
            each.asked = []  # type: ignore[attr-defined]
            threading.Thread(target=each.serve_forever, daemon=True).start()
        yield one, other
        one.shutdown()
        other.shutdown()


def test_xet(make_hub_server: Callable[..., HubServer], weft: bytes, tmp_path: Path) -> None:
    pytest.importorskip("hf_xet", reason="xet needs hf_xet")
    server = make_hub_server(xet=True)
    server.add_repo("org/m", {"big.bin": MODEL[:99_999], f"{NAME}.weft": weft})
    with serving(server.url, cache_dir=tmp_path / "originals") as url:
        for name, data in ((NAME, MODEL), ("big.bin", MODEL[:99_999])):
            path = hf_hub_download("org/m", name, cache_dir=tmp_path / "c", endpoint=url)
            assert Path(path).read_bytes() == data
        assert httpx.get(url + WHERE, headers={"Range": "bytes=7-99"}).content == MODEL[7:100]
        HfApi(url).upload_file(path_or_fileobj=MODEL, path_in_repo="up.bin", repo_id="org/m")
    assert server.file("org/m", "up.bin") == MODEL
    assert server.bytes_sent(NAME) < 1000 and server.bytes_sent(".weft") == 0  # its bytes came from Xet storage


def test_no_other_server_is_contacted(two: tuple[HTTPServer, HTTPServer], tmp_path: Path) -> None:
    upstream, other = two
    there, file = f"127.0.0.1:{other.server_port}", f"a/b/resolve/main/{NAME}"
    targets = (
        *(f"http://{there}/{file}", f"http://{there}//{there}/{file}", f"//{there}/{file}", f"///{there}/{file}"),
        *(f"/@{there}/{file}", f":80@{there}/{file}", f"@{there}/{file}", f"/%2F{there}/{file}", f"//{there}", there),
        *(f"/\\{there}/{file}", f"\\\\{there}/{file}", f"/x/..//{there}/{file}", f"/.//{there}/{file}", "*"),
        *(f"/%2e%2e//{there}/{file}", f"/a?/..//{there}/{file}", f"/a#//{there}/{file}", f"ftp://{there}/{file}"),
        *(f"/api/models//{there}/x/tree/main", f"http://{there}", f"/{file}"),
    )
    with serving(f"http://127.0.0.1:{upstream.server_port}", cache_dir=tmp_path) as url:
        for method in ("GET", "HEAD", "POST"):
            for target in targets:
                sent = f"{method} {target} HTTP/1.1\r\nHost: {there}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                assert re.match(rb"HTTP/1.1 40[04] ", raw(url, sent.encode())), target
        raw(url, f"CONNECT {there} HTTP/1.1\r\nHost: {there}\r\nConnection: close\r\n\r\n".encode())
    assert other.asked == []  # type: ignore[attr-defined]
    asked = upstream.asked  # type: ignore[attr-defined]
    assert f"/{file}.weft" in asked and f"/{there}/{file}.weft" in asked


def test_addresses() -> None:
    assert target_of(b"*", b"") is None and target_of(b"host:1", b"") is None
    assert target_of(b"HTTPS://elsewhere", b"a=b") == "/?a=b" and target_of(b"///x", b"") == "/x"
    up = Upstream("https://hub.example/base/")
    assert str(up.url("/a%2Fb/c?d=e%3D")) == "https://hub.example/base/a%2Fb/c?d=e%3D"
    assert up.url("/../x") is None and up.url("/../base/x") is not None
    assert Upstream("http://hub.example").url("/x/..//evil/y") is None
    for good in ("/x", "//evil/x", "/@evil/x", "/:80@evil"):
        assert up.url(good) is None or up.url(good).host == "hub.example"  # type: ignore[union-attr]
    own = "http://127.0.0.1:1"
    headers = [(b"Location", b"https://hub.example/base/x"), (b"Link", b'<https://hub.example/base/y?a>; rel="next"'),
               (b"location", b"https://hub.example/baseless"), (b"Location", b"https://cdn/?u=https://hub.example/base/"),
               (b"Set-Cookie", b"a=b"), (b"Connection", b"x-mine"), (b"X-Mine", b"1"), (b"ETag", b"e")]  # fmt: skip
    assert up.down(headers, own) == [
        (b"location", b"http://127.0.0.1:1/x"), (b"link", b'<http://127.0.0.1:1/y?a>; rel="next"'),
        (b"location", b"https://hub.example/baseless"), (b"location", b"https://cdn/?u=https://hub.example/base/"),
        (b"etag", b"e"),
    ]  # fmt: skip
    assert own_url("box:80", own) == "http://box:80" and own_url("a/b", own) == own_url(None, own) == own
    for bad in ("ftp://x", "hub.example", "https://user@hub.example", "https://hub.example/?x=y", "https://"):
        with pytest.raises(ValueError, match="upstream"):
            Upstream(bad)


def test_an_upstream_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with serving(nowhere, cache_dir=tmp_path) as url:
        got = httpx.get(f"{url}{WHERE}?Signature=secret")
    assert got.status_code == 502 and "can't be reached" in got.json()["error"]
    assert "secret" not in capsys.readouterr().err


def test_an_upstream_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with serving(f"http://127.0.0.1:{silent.getsockname()[1]}", cache_dir=tmp_path) as url:
            got = httpx.get(f"{url}{WHERE}")
    assert got.status_code == 504 and "in time" in got.json()["error"]


def test_broken_connections_are_mended(server: HubServer, url: str) -> None:
    cut = Fault("cut", path=r"\.weft$", nth=1, times=6, at=0.3)
    server.set_faults(cut, Fault("drop", path=rf"/{NAME}$"))
    assert httpx.get(url + WHERE, follow_redirects=True).content == MODEL


def test_damage_breaks_the_connection(
    make_hub_server: Callable[..., HubServer], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_hub_server()
    model = weights(2, 2048, 2048)
    damaged = bytearray(compressed(model, tmp_path))
    damaged[-len(damaged) // 4] ^= 1
    server.add_repo("org/m", {f"{NAME}.weft": bytes(damaged)})
    with serving(server.url, cache_dir=tmp_path / "originals") as url:
        for asked in ({}, {"Range": "bytes=5-"}):
            begin = 5 * len(asked)
            with httpx.stream("GET", url + WHERE, headers=asked) as got:
                assert got.headers["Content-Length"] == str(len(model) - begin)
                pieces: list[bytes] = []
                with pytest.raises(httpx.RemoteProtocolError):
                    pieces.extend(got.iter_raw())
            assert pieces and model[begin:].startswith(b"".join(pieces))
        # here nothing was sent yet, and the client can be told
        early = httpx.get(url + WHERE, headers={"Range": f"bytes=-{len(model) // 4 + 9}"})
        assert early.status_code == 502 and "damaged" in early.json()["error"]
    assert list((tmp_path / "originals").iterdir()) == []
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(f"{WHERE}: " in line and "damaged" in line for line in lines)


def test_what_was_read_for_a_listing_is_sent_unpacked(server: HubServer, url: str) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.request("GET", "/api/models/org/m", headers={"Accept-Encoding": "br, zstd"})
    got = connection.getresponse()
    assert got.headers["Content-Encoding"] is None
    assert NAME in {each["rfilename"] for each in json.loads(got.read())["siblings"]}
    connection.close()
