"""codec serve gives to each client what the Hub would give it, and keeps no token, cookie or signature."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2 as httpx
import pytest
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

import codec
from tests.hub.access import Tokens
from tests.hub.models import compressed, weights
from tests.hub.server import HubServer

pytest.importorskip("starlette", reason="codec serve needs starlette")
pytest.importorskip("uvicorn", reason="codec serve needs uvicorn")

from hub.serving import serving

MODEL = weights(1)
NAME = "model.safetensors"
TOKEN = "hf_theTokenThatMustNotBeSeen"


@pytest.fixture
def server(make_hub_server: Callable[..., HubServer], tmp_path: Path) -> HubServer:
    server = make_hub_server(tokens=Tokens(read=(TOKEN, "hf_other"), granted=(TOKEN,)), redirect=True)
    weft = compressed(MODEL, tmp_path)
    server.add_repo("org/private", {f"{NAME}.weft": weft}, private=True)
    server.add_repo("org/gated", {f"{NAME}.weft": weft}, gated=True)
    return server


@pytest.fixture
def url(server: HubServer, tmp_path: Path) -> Iterator[str]:
    with serving(server.url, cache_dir=tmp_path / "originals", verbose=True) as url:
        yield url


def test_private_repos(server: HubServer, url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = hf_hub_download("org/private", NAME, cache_dir=tmp_path / "c", endpoint=url, token=TOKEN)
    assert Path(path).read_bytes() == MODEL
    # it is in the store now, for those who may have it
    where = f"{url}/org/private/resolve/main/{NAME}"
    for headers in ({}, {"Authorization": "Bearer hf_wrong"}):
        for asked in ({}, {"Range": "bytes=0-9"}):
            assert httpx.get(where, headers={**headers, **asked}).status_code == 401
        assert httpx.head(where, headers=headers).status_code == 401
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download("org/private", NAME, cache_dir=tmp_path / "d", endpoint=url, token=False)
    server.reset()
    assert httpx.get(where, headers={"Authorization": "Bearer hf_other"}).content == MODEL
    assert server.bytes_sent(".weft", "GET") == 0  # that it may be had was asked, and no more
    assert server.requests("HEAD", r"\.weft$")
    kept = [p.read_bytes() for p in (tmp_path / "originals").rglob("*") if p.is_file()]
    assert kept == [MODEL] and TOKEN.encode() not in MODEL
    said = "".join(capfd.readouterr())
    assert f"GET /org/private/resolve/main/{NAME} 200 {len(MODEL)}" in said and "hf_" not in said


def test_gated_repos(url: str, tmp_path: Path) -> None:
    for token, error in ((False, GatedRepoError), ("hf_other", GatedRepoError)):
        with pytest.raises(error):
            hf_hub_download("org/gated", NAME, cache_dir=tmp_path / "c", endpoint=url, token=token)
    path = hf_hub_download("org/gated", NAME, cache_dir=tmp_path / "c", endpoint=url, token=TOKEN)
    assert Path(path).read_bytes() == MODEL
    with pytest.raises(GatedRepoError):
        hf_hub_download("org/gated", NAME, cache_dir=tmp_path / "d", endpoint=url, token="hf_other")


def test_a_weft_file_that_names_a_private_original(server: HubServer, url: str, tmp_path: Path) -> None:
    """Only the very weft file that was decoded leads to what is stored: any other may lie about what it holds."""
    (tmp_path / "m").write_bytes(MODEL)
    codec.compress_file(tmp_path / "m", tmp_path / "other.weft", level="max")
    same = server.file("org/private", f"{NAME}.weft")
    assert same != (tmp_path / "other.weft").read_bytes()
    server.add_repo("org/other", {f"{NAME}.weft": tmp_path / "other.weft"})
    server.add_repo("org/same", {f"a/{NAME}.weft": same})
    asked = f"{url}/org/private/resolve/main/{NAME}"
    assert httpx.get(asked, headers={"Authorization": f"Bearer {TOKEN}"}).content == MODEL
    server.reset()
    assert httpx.get(f"{url}/org/same/resolve/main/a/{NAME}").content == MODEL
    assert server.bytes_sent(".weft", "GET", "storage") == 0
    assert httpx.get(f"{url}/org/other/resolve/main/{NAME}").content == MODEL
    assert server.bytes_sent(".weft", "GET", "storage") > len(MODEL) // 2


def test_storage_sees_no_token(server: HubServer, url: str) -> None:
    where = f"{url}/org/private/resolve/main/{NAME}?download=true"
    assert httpx.get(where, headers={"Authorization": f"Bearer {TOKEN}"}).content == MODEL
    assert server.requests(server="storage")
    assert {record.authorization for record in server.requests(server="storage")} == {None}
    assert {record.authorization for record in server.requests(server="hub")} == {f"Bearer {TOKEN}"}


def test_nothing_passes_from_one_client_to_another(tmp_path: Path) -> None:
    seen: list[dict[str, str]] = []

    class Upstream(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(200)
            for name, value in (("Set-Cookie", "session=secret"), ("Connection", "close, x-hop"), ("X-Hop", "1"),
                                ("Strict-Transport-Security", "max-age=9"), ("X-Kept", "2"),
                                ("Content-Encoding", "br"), ("Content-Length", "3")):  # fmt: skip
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"\x00\x01\x02")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        with serving(f"http://127.0.0.1:{upstream.server_port}", cache_dir=tmp_path) as url:
            mine = {"Cookie": "a=b", "Authorization": "Bearer x", "Connection": "keep-alive, x-mine", "X-Mine": "1",
                    "Proxy-Authorization": "y", "X-Kept": "2", "Host": "elsewhere.example"}  # fmt: skip
            for headers in (mine, {}):
                with httpx.Client() as client, client.stream("GET", f"{url}/path", headers=headers) as got:
                    assert b"".join(got.iter_raw()) == b"\x00\x01\x02"  # encoded as it is
                assert not {"set-cookie", "strict-transport-security", "x-hop"} & set(got.headers)
                assert got.headers["X-Kept"] == "2" and got.headers["Content-Encoding"] == "br"
        upstream.shutdown()
    first, second = seen
    assert first["authorization"] == "Bearer x" and first["x-kept"] == "2"
    assert first["host"] == second["host"] == f"127.0.0.1:{upstream.server_port}"
    assert not {"cookie", "x-mine", "proxy-authorization"} & set(first)
    assert not {"cookie", "authorization"} & set(second)
