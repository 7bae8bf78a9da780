"""codec serve over a folder: weft files as their originals, nothing from outside of it."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import httpx2 as httpx
import pytest

from codec import compress
from tests.hub.models import compressed, sha256, weights

pytest.importorskip("starlette", reason="codec serve needs starlette")
pytest.importorskip("uvicorn", reason="codec serve needs uvicorn")

from hub.serving import serve, serving

MODEL = weights(1)
NAME = "model.safetensors"
ODD = "a b%2f?#é&<c>:d.bin"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    (folder / "sub dir").mkdir(parents=True)
    compressed(MODEL, folder, f"{NAME}.weft")
    (folder / f"{NAME}.weft.original").unlink()
    os.link(folder / f"{NAME}.weft", folder / "sub dir" / f"{NAME}.weft")
    (folder / "config.json").write_text('{"a": 1}')
    (folder / "page.html").write_text("<script>")
    (folder / ODD).write_bytes(b"odd")
    (folder / "unnamed.bin.weft").write_bytes(compress(b"weights" * 99))
    (folder / "broken.bin.weft").write_bytes(b"not weft")
    (tmp_path / "secret.bin").write_text("secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.bin").write_text("secret")
    (folder / "out").symlink_to(tmp_path / "outside")
    (folder / "out.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "in.json").symlink_to("config.json")
    (folder / "loop").symlink_to("loop")
    return folder


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    with serving(folder=folder) as url:
        yield url


def raw(url: str, target: str, host: str = "x") -> bytes:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


@pytest.mark.parametrize("where", [f"/{NAME}", f"/sub%20dir/{NAME}"])
def test_originals(url: str, where: str) -> None:
    size = len(MODEL)
    with httpx.Client(base_url=url) as client:
        got = client.get(where)
        assert got.content == MODEL and got.headers["ETag"] == f'"{sha256(MODEL)}"'
        head = client.head(where)
        assert head.headers["Content-Length"] == str(size) and not head.content
        for asked, begin, end in (("5-9", 5, 10), ("-6", size - 6, size), ("700000-", 700000, size)):
            got = client.get(where, headers={"Range": f"bytes={asked}"})
            assert (got.status_code, got.content) == (206, MODEL[begin:end])
            assert got.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{size}"
        assert client.get(where, headers={"Range": f"bytes={size}-"}).status_code == 416
        assert client.get(where, headers={"Range": "bytes=5-9", "If-Range": '"other"'}).content == MODEL
        assert client.get(where, headers={"If-None-Match": head.headers["ETag"]}).status_code == 304
        assert client.post(where).status_code == 405


def test_files_as_they_are(url: str, folder: Path) -> None:
    with httpx.Client(base_url=url) as client:
        got = client.get("/config.json")
        assert got.json() == {"a": 1} and got.headers["Content-Type"] == "application/json"
        assert client.get("/in.json").json() == {"a": 1}
        assert client.get("/config.json", headers={"Range": "bytes=1-3"}).content == b'"a"'
        assert client.get("/page.html").headers["Content-Type"] == "application/octet-stream"
        assert client.get(f"/{NAME}.weft").content == (folder / f"{NAME}.weft").read_bytes()
        assert client.get("/unnamed.bin").content == b"weights" * 99
        assert client.get("/" + quote(ODD)).content == b"odd"
        assert client.get("/broken.bin").status_code == 404
        assert client.get("/broken.bin.weft").content == b"not weft"
        (folder / NAME).write_bytes(b"the file itself")
        assert client.get(f"/{NAME}").content == b"the file itself"


def test_what_there_is(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        told = {e["name"]: e for e in client.get("/", headers={"Accept": "application/json"}).json()}
        assert set(told) == {NAME, "sub dir", "config.json", "page.html", ODD, "unnamed.bin", "broken.bin.weft",
                             "in.json"}  # fmt: skip
        assert told[NAME]["size"] == len(MODEL) and told[NAME]["sha256"] == sha256(MODEL)
        assert told[NAME]["stored_size"] < len(MODEL) and told["sub dir"]["type"] == "folder"
        moved = client.get("/sub%20dir")
        assert (
            moved.status_code == 301 and urljoin(f"{url}/sub%20dir", moved.headers["Location"]) == f"{url}/sub%20dir/"
        )
        page = client.get("/", headers={"Accept": "text/html"})
        assert page.headers["Content-Type"].startswith("text/html") and "<c>" not in page.text
        links = re.findall(r'href="([^"]*)"', page.text)
        assert len(links) == len(told)
        for link in links:
            assert client.get(urljoin(f"{url}/", link)).status_code == 200
        assert re.findall(r'href="([^"]*)"', client.get("/sub%20dir/").text) == ["../", f"./{NAME}"]


OUTSIDE = (
    *("/../secret.bin", "/%2e%2e/secret.bin", "/..%2fsecret.bin", "/sub%20dir/../../secret.bin", "//../secret.bin"),
    *("/sub%20dir/%2e%2e/%2e%2e/secret.bin", "/out.bin", "/out/secret.bin", "/out/", "/out", "/loop", "/./config.json"),
    *("/config.json%00", "/config.json/", "/sub%20dir//x", "/..%5csecret.bin", "/%2fetc/passwd", "/config.json/x"),
    *("http://x/../secret.bin", "/%ff%fe", "/" + "a" * 5000, "/no", "/.weft", "/%2e", "/%00", "*", "secret.bin"),
)


def test_nothing_from_outside(url: str) -> None:
    for target in OUTSIDE:
        answer = raw(url, target)
        assert answer.startswith(b"HTTP/1.1 404 ") and b"secret" not in answer, target


def test_damage_breaks_the_connection(folder: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = weights(3, 2048, 2048)
    damaged = bytearray(compressed(model, folder, "big.bin.weft"))
    damaged[-len(damaged) // 4] ^= 1
    (folder / "big.bin.weft").write_bytes(damaged)
    pieces: list[bytes] = []
    with httpx.stream("GET", f"{url}/big.bin") as got:
        assert got.headers["Content-Length"] == str(len(model))
        with pytest.raises(httpx.RemoteProtocolError):
            pieces.extend(got.iter_raw())
    assert pieces and model.startswith(b"".join(pieces))
    with httpx.stream("GET", f"{url}/big.bin", headers={"Range": f"bytes=-{len(model) // 4 + 9}"}) as got:
        assert got.status_code == 500
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all(line.startswith("codec serve: /big.bin: ") for line in said)


def test_pipes_are_not_waited_for(folder: Path, url: str) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names here")
    os.mkfifo(folder / "pipe")
    assert raw(url, "/pipe").startswith(b"HTTP/1.1 404 ")


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        serve(folder=tmp_path / "no", port=0)
    with pytest.raises(ValueError, match="not both"):
        serve("http://127.0.0.1:1", tmp_path)
