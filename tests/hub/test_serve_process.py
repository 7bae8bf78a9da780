"""codec serve as a process: signals, what a killed one leaves, ports that are taken, clients that leave."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

import hub.serving
from tests.hub.faults import Fault
from tests.hub.models import compressed, weights
from tests.hub.server import HubServer

pytest.importorskip("starlette", reason="codec serve needs starlette")
pytest.importorskip("uvicorn", reason="codec serve needs uvicorn")

from hub.serving import serve, serving

ROOT = Path(__file__).resolve().parents[2]
MODEL = weights(5, 2048, 2048)
NAME = "model.safetensors"
WHERE = f"/org/m/resolve/main/{NAME}"

PROGRAM = """
import sys
from hub.serving import serve
serve(sys.argv[1], cache_dir=sys.argv[2], port=0, ready=lambda url: print(url, flush=True))
print("returned", flush=True)
"""


@pytest.fixture
def server(make_hub_server: Callable[..., HubServer], tmp_path: Path) -> HubServer:
    # 2.7 s for the file: who stops after its first piece is in the middle of it
    server = make_hub_server(bytes_per_second=4e6)
    server.add_repo("org/m", {f"{NAME}.weft": compressed(MODEL, tmp_path)})
    return server


@contextlib.contextmanager
def process(upstream: str, cache: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-c", PROGRAM, upstream, str(cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as started:
        try:
            assert started.stdout is not None
            yield started, started.stdout.readline().strip()
        finally:
            started.kill()


def unfinished(cache: Path) -> list[Path]:
    return list(cache.glob("*.part"))


def until(condition: Callable[[], bool]) -> None:
    """Wait for what has to come about, and has no other sign."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_killed_and_told_to_end(server: HubServer, tmp_path: Path) -> None:
    cache = tmp_path / "originals"
    # the third request is for the body: it stays in the middle of it for as long as anybody waits
    stall = Fault("stall", path=r"\.weft$", nth=3, times=0, at=0.6, seconds=60)
    server.set_faults(stall)
    with process(server.url, cache) as (running, url):
        with httpx.stream("GET", url + WHERE) as got:
            pieces = got.iter_raw()
            assert next(pieces) and len(unfinished(cache)) == 1
            running.kill()
            with pytest.raises(httpx.TransportError):
                list(pieces)
    assert len(unfinished(cache)) == 1
    server.set_faults(stall)  # its count begins anew
    with process(server.url, cache) as (running, url):
        assert unfinished(cache) == []
        with httpx.stream("GET", url + WHERE) as got:
            pieces = got.iter_raw()
            assert next(pieces)
            running.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.TransportError):
                list(pieces)
        said, errors = running.communicate(timeout=20)
        assert (running.returncode, said) == (0, "returned\n")
        assert "Traceback" not in errors
    assert list(cache.iterdir()) == []


def test_a_client_that_leaves(server: HubServer, tmp_path: Path) -> None:
    cache = tmp_path / "originals"
    with serving(server.url, cache_dir=cache) as url:
        with httpx.stream("GET", url + WHERE) as got:
            next(got.iter_raw())
            assert len(unfinished(cache)) == 1
        until(lambda: unfinished(cache) == [])
        with httpx.stream("GET", url + WHERE, headers={"Range": "bytes=0-9000000"}) as got:
            next(got.iter_raw())
        with httpx.stream("GET", f"{url}{WHERE}.weft") as got:
            next(got.iter_raw())
        # the upstream is not read to its end for nobody
        until(lambda: server.recorder._open == 0)
        assert all(r.sent < 9_000_000 for r in server.records())
        # and the server goes on
        assert httpx.get(url + WHERE, headers={"Range": "bytes=0-99"}).content == MODEL[:100]
    until(lambda: not [t for t in threading.enumerate() if t.name == "weft-fill"])


def test_a_client_that_leaves_in_the_middle_of_its_request(server: HubServer, tmp_path: Path) -> None:
    with serving(server.url, cache_dir=tmp_path / "c") as url:
        host, port = url.removeprefix("http://").split(":")
        for sent in (
            "POST /api/repos/create HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
            "GET / HT",
            "\0\1\r\n\r\n",
        ):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(sent.encode())
        assert httpx.get(f"{url}/api/models/org/m").status_code == 200
    assert server.store.find("x", "model") is None


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} of 127.0.0.1 is taken") as caught:
            serve(folder=tmp_path, port=port)
    assert caught.value.errno == errno.EADDRINUSE
    with pytest.raises(OSError, match="no address of this machine"):
        serve(folder=tmp_path, host="no.such.host.invalid")


def test_the_upstream_is_not_the_server_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    for name in ("127.0.0.1", "localhost"):
        with pytest.raises(ValueError, match="is this server itself"):
            serve(f"http://{name}:{port}", port=port, cache_dir=tmp_path)
    # where HF_ENDPOINT is set for the clients, it does not say what to stand in front of
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{port}")
    endpoint, app = hub.serving._made(None, None, "127.0.0.1", port, tmp_path, None, False)
    endpoint.close()
    app.close()
    assert app._upstream.base == "https://huggingface.co"


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "anyio"])
def test_without_the_extra(tmp_path: Path, missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import hub.serving; hub.serving.serve(folder='.', port=0)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (
        ran.stderr.splitlines()[-1] == 'ImportError: codec serve needs starlette and uvicorn: pip install "weft[serve]"'
    )
