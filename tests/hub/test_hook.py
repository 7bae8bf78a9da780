"""The download hook: unmodified clients see originals, and nothing else changes."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import huggingface_hub
import pytest
from huggingface_hub import (
    _CACHED_NO_EXIST,
    HfApi,
    HfFileSystem,
    constants,
    hf_hub_download,
    snapshot_download,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import _http

import codec
import hub
from hub import remote
from tests.hub.access import Tokens
from tests.hub.faults import Chance, Fault
from tests.hub.models import compressed, sha256, weights
from tests.hub.server import HubServer

MODEL = weights(1)
NAME = "model.safetensors"


@pytest.fixture(autouse=True)
def hook(monkeypatch: pytest.MonkeyPatch, no_waiting: None) -> Iterator[None]:
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.001)
    with hub.enabled():
        yield
    assert not hub.is_enabled()


@pytest.fixture
def weft(tmp_path: Path) -> bytes:
    return compressed(MODEL, tmp_path)


@pytest.fixture
def server(make_hub_server: Callable[..., HubServer], weft: bytes) -> HubServer:
    server = make_hub_server()
    server.add_repo("org/m", {"config.json": "{}", f"{NAME}.weft": weft, f"sub/{NAME}.weft": weft})
    return server


def test_a_download_is_the_original(server: HubServer, weft: bytes, tmp_path: Path) -> None:
    path = Path(hf_hub_download("org/m", NAME, cache_dir=tmp_path / "c", endpoint=server.url))
    assert path.read_bytes() == MODEL and path.resolve().name == sha256(MODEL)
    # the ends of the weft file with the metadata, the rest with the body: nothing twice but the 16 bytes of its header
    assert server.bytes_sent(".weft") <= len(weft) + 16
    assert [(r.method, r.path.endswith(".weft")) for r in server.requests(pattern=NAME)] == [
        ("HEAD", False), ("HEAD", True), ("GET", True), ("GET", True), ("GET", True),
    ]  # fmt: skip


def test_a_folder_of_the_users_choice(server: HubServer, tmp_path: Path) -> None:
    path = hf_hub_download("org/m", NAME, subfolder="sub", local_dir=tmp_path / "d", endpoint=server.url)
    assert Path(path).read_bytes() == MODEL
    server.reset()
    hf_hub_download("org/m", NAME, subfolder="sub", local_dir=tmp_path / "d", endpoint=server.url)
    assert server.bytes_sent(method="GET") == 0


@pytest.mark.parametrize("page_size", [1000, 1])
def test_snapshots(make_hub_server: Callable[..., HubServer], weft: bytes, tmp_path: Path, page_size: int) -> None:
    server = make_hub_server(page_size=page_size)
    server.add_repo("org/m", {"config.json": "{}", f"{NAME}.weft": weft, f"sub/{NAME}.weft": weft})
    for patterns in (None, ["*.safetensors"]):
        folder = Path(
            snapshot_download("org/m", cache_dir=tmp_path / str(patterns), endpoint=server.url, allow_patterns=patterns)
        )
        names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        assert names == {NAME, f"sub/{NAME}"} | ({"config.json"} if patterns is None else set())
        assert (folder / NAME).read_bytes() == (folder / "sub" / NAME).read_bytes() == MODEL
        offline = snapshot_download(
            "org/m", cache_dir=tmp_path / str(patterns), allow_patterns=patterns, local_files_only=True
        )
        assert Path(offline) == folder


def test_listings_describe_originals(server: HubServer) -> None:
    api = HfApi(server.url)
    entries = {e.path: e for e in api.list_repo_tree("org/m", recursive=True)}
    assert set(entries) == {"config.json", NAME, "sub", f"sub/{NAME}"}
    for found in (entries[NAME], *api.get_paths_info("org/m", [NAME])):
        assert found.size == found.lfs.size == len(MODEL) and found.lfs.sha256 == sha256(MODEL)
        assert found.xet_hash is None
    assert {s.rfilename for s in api.model_info("org/m").siblings} == {"config.json", NAME, f"sub/{NAME}"}
    described = {s.rfilename: s for s in api.model_info("org/m", files_metadata=True).siblings}
    assert described[NAME].size == len(MODEL) and described[NAME].lfs.sha256 == sha256(MODEL)
    assert api.file_exists("org/m", NAME) and not api.file_exists("org/m", "other.safetensors")
    # whoever asks for the weft file by its name gets it
    (asked,) = api.get_paths_info("org/m", [f"{NAME}.weft"])
    assert asked.path == f"{NAME}.weft"


def test_a_file_system(server: HubServer) -> None:
    fs = HfFileSystem(endpoint=server.url, skip_instance_cache=True)
    # a listing of a folder keeps the weft file: HfFileSystem looks up in it what it is asked for by name
    assert sorted(fs.ls("org/m", detail=False)) == [
        "org/m/config.json", f"org/m/{NAME}", f"org/m/{NAME}.weft", "org/m/sub",
    ]  # fmt: skip
    with fs.open(f"org/m/{NAME}.weft", "rb", cache_type="none") as file, codec.safe_open(file) as tensors:
        assert tensors.keys() == ["layers.0.weight", "layers.1.weight"]
    assert fs.info(f"org/m/{NAME}")["size"] == len(MODEL)
    with fs.open(f"org/m/{NAME}", "rb", block_size=1 << 16) as file:
        file.seek(200_000)
        assert file.read(70_000) == MODEL[200_000:270_000]
    assert fs.cat_file(f"org/m/{NAME}", start=-9) == MODEL[-9:]
    assert sorted(fs.glob("org/m/**/*.safetensors")) == [f"org/m/{NAME}", f"org/m/sub/{NAME}"]


def test_markers_of_absent_files_do_not_hide_originals(
    server: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "c"))
    server.add_repo("org/plain", {"config.json": "{}"})
    hub.disable()
    for repo in ("org/m", "org/plain"):
        hf_hub_download(repo, "config.json", endpoint=server.url)
        for name in (NAME, "adapter.json"):
            with pytest.raises(EntryNotFoundError):
                hf_hub_download(repo, name, endpoint=server.url)
    assert try_to_load_from_cache("org/m", NAME) is try_to_load_from_cache("org/plain", NAME) is _CACHED_NO_EXIST
    hub.enable()
    assert try_to_load_from_cache("org/m", NAME) is try_to_load_from_cache("org/plain", NAME) is None
    assert try_to_load_from_cache("org/m", "adapter.json") is _CACHED_NO_EXIST
    with pytest.raises(EntryNotFoundError):
        hf_hub_download("org/plain", NAME, endpoint=server.url)
    # what is known now is not asked again the next time
    hub.disable()
    hub.enable()
    assert try_to_load_from_cache("org/plain", NAME) is _CACHED_NO_EXIST
    # a marker that comes while the hook is on goes when the file is there
    marker = next((tmp_path / "c").glob("models--org--m/.no_exist/*")) / NAME
    marker.touch()
    hf_hub_download("org/m", NAME, endpoint=server.url)
    assert not marker.exists() and isinstance(try_to_load_from_cache("org/m", NAME), str)


def test_a_file_of_a_listing_is_not_looked_for_again(server: HubServer) -> None:
    fs = HfFileSystem(endpoint=server.url, skip_instance_cache=True)
    fs.ls("org/m")
    server.reset()
    assert fs.cat_file(f"org/m/{NAME}", start=5, end=90) == MODEL[5:90]
    assert [r.method for r in server.requests(pattern="resolve")] == ["GET"] * len(server.requests(pattern="weft"))


def test_ranges(server: HubServer) -> None:
    url = f"{server.url}/org/m/resolve/main/{NAME}"
    session = huggingface_hub.get_session()
    for header, begin, end in (
        ("bytes=0-0", 0, 1), ("bytes=5-99", 5, 100), ("bytes=300000-", 300_000, len(MODEL)),
        ("bytes=-7", len(MODEL) - 7, len(MODEL)), (f"bytes=9-{len(MODEL) * 2}", 9, len(MODEL)),
    ):  # fmt: skip
        got = session.get(url, headers={"Range": header})
        assert got.status_code == 206 and got.content == MODEL[begin:end]
        assert got.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{len(MODEL)}"
        assert got.headers["Content-Length"] == str(end - begin)
    for header in ("bytes=5-4", f"bytes={len(MODEL)}-"):
        assert session.get(url, headers={"Range": header}).status_code == 416
    for header in ("bytes=0-1,5-6", "lines=1-2", "bytes=-"):
        got = session.get(url, headers={"Range": header})
        assert got.status_code == 200 and got.content == MODEL


def test_a_repo_without_weft_files_is_asked_the_same(server: HubServer, tmp_path: Path) -> None:
    server.add_repo("org/plain", {"config.json": "{}", NAME: MODEL})

    def use(cache: str) -> list[tuple[str, str]]:
        server.reset()
        hf_hub_download("org/plain", NAME, cache_dir=tmp_path / cache, endpoint=server.url)
        snapshot_download("org/plain", cache_dir=tmp_path / cache, endpoint=server.url)
        for missing in ("adapter_config.json", "pytorch_model.bin"):
            with pytest.raises(EntryNotFoundError):
                hf_hub_download("org/plain", missing, cache_dir=tmp_path / cache, endpoint=server.url)
        return sorted((r.method, r.path) for r in server.records())

    hooked = use("with")
    hub.disable()
    plain = use("without")
    hub.enable()
    assert [path for _, path in hooked if path.endswith(".weft")] == ["/org/plain/resolve/main/pytorch_model.bin.weft"]
    assert [r for r in hooked if not r[1].endswith(".weft")] == plain


def test_what_the_hub_refuses_is_refused(
    make_hub_server: Callable[..., HubServer], weft: bytes, tmp_path: Path
) -> None:
    server = make_hub_server(tokens=Tokens(read=("reader",)))
    server.add_repo("org/private", {f"{NAME}.weft": weft}, private=True)
    options: dict[str, Any] = {"cache_dir": tmp_path / "c", "endpoint": server.url}
    for token in (False, "wrong"):
        with pytest.raises((RepositoryNotFoundError, HfHubHTTPError)):
            hf_hub_download("org/private", NAME, token=token, **options)
    server.reset()
    path = hf_hub_download("org/private", NAME, token="reader", **options)
    assert Path(path).read_bytes() == MODEL
    assert {r.authorization for r in server.requests(pattern="weft")} == {"Bearer reader"}


def test_a_busy_hub_is_not_taken_for_one_without_the_file(server: HubServer, tmp_path: Path) -> None:
    server.set_faults(Fault("status", path=r"\.weft$", method="HEAD", status=503, times=0))
    with pytest.raises(LocalEntryNotFoundError):
        hf_hub_download("org/m", NAME, cache_dir=tmp_path / "c", endpoint=server.url)
    assert not list((tmp_path / "c").rglob(".no_exist"))


def test_broken_connections(server: HubServer, tmp_path: Path) -> None:
    server.set_faults(chance=Chance(3, 0.5, kinds=("cut", "drop", "reset", "503")))
    for k in range(8):
        path = hf_hub_download("org/m", NAME, cache_dir=tmp_path / str(k), endpoint=server.url)
        assert Path(path).read_bytes() == MODEL
    assert sum(server.injected.values()) >= 8


def test_a_weft_file_that_gives_something_else(server: HubServer, weft: bytes, tmp_path: Path) -> None:
    damaged = bytearray(weft)
    damaged[len(weft) // 2] ^= 1
    server.commit("org/m", {f"{NAME}.weft": bytes(damaged)})
    with pytest.raises(codec.CorruptFileError):
        hf_hub_download("org/m", NAME, cache_dir=tmp_path / "c", endpoint=server.url)
    assert [p.name for p in (tmp_path / "c").rglob("*") if p.is_file() and p.stat().st_size > 1000] == []


def test_what_is_only_called_weft_stays_what_it_is(server: HubServer, tmp_path: Path) -> None:
    server.add_repo(
        "org/odd", {"x.bin.weft": b"not one of ours" * 9, "y.bin.weft": codec.compress(b"no SHA-256" * 999)}
    )
    folder = Path(snapshot_download("org/odd", cache_dir=tmp_path / "c", endpoint=server.url))
    assert {p.name for p in folder.iterdir()} == {"x.bin.weft", "y.bin.weft"}
    for name in ("x.bin", "y.bin"):
        with pytest.raises(EntryNotFoundError):
            hf_hub_download("org/odd", name, cache_dir=tmp_path / "c", endpoint=server.url)


def test_names_that_are_no_weights_are_left_alone(server: HubServer, tmp_path: Path) -> None:
    server.add_repo("org/notes", {"notes.dat.weft": compressed(b"words " * 5000, tmp_path)})
    folder = Path(snapshot_download("org/notes", cache_dir=tmp_path / "c", endpoint=server.url))
    assert [p.name for p in folder.iterdir()] == ["notes.dat.weft"]


def test_a_branch_that_moves_is_seen(server: HubServer, tmp_path: Path) -> None:
    first = hf_hub_download("org/m", NAME, cache_dir=tmp_path / "c", endpoint=server.url)
    other = weights(2)
    server.commit("org/m", {f"{NAME}.weft": compressed(other, tmp_path)})
    second = hf_hub_download("org/m", NAME, cache_dir=tmp_path / "c", endpoint=server.url)
    assert Path(first).read_bytes() == MODEL and Path(second).read_bytes() == other


def test_damage_is_not_taken_for_absence(
    server: HubServer, weft: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "c"))
    damaged = bytearray(weft)
    damaged[-60] ^= 1  # in the index
    server.commit("org/m", {f"{NAME}.weft": bytes(damaged)})
    with pytest.raises(codec.CodecError):
        hf_hub_download("org/m", NAME, endpoint=server.url)
    assert not list((tmp_path / "c").rglob("*.weft"))
    # what was damaged on the way once is sound the next time
    server.commit("org/m", {f"{NAME}.weft": weft})
    server.set_faults(Fault("corrupt", path=r"\.weft$", nth=2, at=65_500))
    with pytest.raises(codec.CodecError):
        hf_hub_download("org/m", NAME, endpoint=server.url)
    assert Path(hf_hub_download("org/m", NAME, endpoint=server.url)).read_bytes() == MODEL


def test_a_hook_that_somebody_wrapped_can_be_disabled(server: HubServer, tmp_path: Path) -> None:
    inner = _http._GLOBAL_CLIENT_FACTORY
    huggingface_hub.set_client_factory(lambda: inner())
    try:
        hub.disable()
        assert not hub.is_enabled()
        with pytest.raises(EntryNotFoundError):
            hf_hub_download("org/m", NAME, cache_dir=tmp_path / "c", endpoint=server.url)
        hub.enable()
        assert Path(hf_hub_download("org/m", NAME, cache_dir=tmp_path / "c", endpoint=server.url)).read_bytes() == MODEL
    finally:
        hub.disable()
        huggingface_hub.set_client_factory(_http.default_client_factory)


def test_a_password_of_the_client_stays_with_the_hub(make_hub_server: Callable[..., HubServer], weft: bytes) -> None:
    server = make_hub_server(redirect=True)
    server.add_repo("org/m", {f"{NAME}.weft": weft})
    hub.disable()
    huggingface_hub.set_client_factory(lambda: httpx.Client(auth=("user", "word"), follow_redirects=True))
    try:
        hub.enable()
        url = f"{server.url}/org/m/resolve/main/{NAME}"
        assert huggingface_hub.get_session().get(f"{url}.weft").content == weft
        assert huggingface_hub.get_session().get(url).content == MODEL
        assert {r.authorization for r in server.requests(server="storage")} == {None}
        assert all(r.authorization for r in server.requests(server="hub", pattern=r"resolve/main"))
    finally:
        hub.disable()
        huggingface_hub.set_client_factory(_http.default_client_factory)


def test_both_in_a_repo(server: HubServer, weft: bytes, tmp_path: Path) -> None:
    server.add_repo("org/both", {NAME: MODEL, f"{NAME}.weft": weft})
    folder = Path(snapshot_download("org/both", cache_dir=tmp_path / "c", endpoint=server.url))
    assert [p.name for p in folder.iterdir()] == [NAME] and (folder / NAME).read_bytes() == MODEL
    assert server.bytes_sent(".weft") == 0


def test_threads(server: HubServer, tmp_path: Path) -> None:
    def get(k: int) -> bytes:
        return Path(hf_hub_download("org/m", NAME, cache_dir=tmp_path / str(k), endpoint=server.url)).read_bytes()

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(get, range(12))) == {MODEL}


def test_the_factory_that_was_there_stays_in_force(server: HubServer, tmp_path: Path) -> None:
    seen: list[str] = []

    class Tapped(httpx.BaseTransport):
        def __init__(self) -> None:
            self.inner = httpx.HTTPTransport()

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(request.headers["x-mine"])
            return self.inner.handle_request(request)

        def close(self) -> None:
            self.inner.close()

    def factory() -> httpx.Client:
        return httpx.Client(
            transport=Tapped(), headers={"x-mine": "yes"}, follow_redirects=True, timeout=None,
            event_hooks={"request": [_http.hf_request_event_hook]},
        )  # fmt: skip

    hub.disable()
    huggingface_hub.set_client_factory(factory)
    try:
        hub.enable()
        hub.enable()
        path = hf_hub_download("org/m", NAME, cache_dir=tmp_path / "c", endpoint=server.url)
        assert Path(path).read_bytes() == MODEL and len(seen) == len(server.records())
        hub.disable()
        assert _http._GLOBAL_CLIENT_FACTORY is factory and not hub.is_enabled()
        with pytest.raises(EntryNotFoundError):
            hf_hub_download("org/m", NAME, cache_dir=tmp_path / "d", endpoint=server.url)
    finally:
        huggingface_hub.set_client_factory(_http.default_client_factory)


def test_proxies_of_the_environment(
    server: HubServer, make_hub_server: Callable[..., HubServer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # a proxy that refuses: who went past it would succeed
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    huggingface_hub.close_session()
    with pytest.raises(LocalEntryNotFoundError):
        hf_hub_download("org/m", NAME, cache_dir=tmp_path / "c", endpoint=server.url)
    assert server.records() == []
    huggingface_hub.close_session()


def test_offline_mode(server: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(LocalEntryNotFoundError) as raised:
        hf_hub_download("org/m", NAME, cache_dir=tmp_path / "c", endpoint=server.url)
    assert isinstance(raised.value.__cause__, OfflineModeIsEnabled) and server.records() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process(server: HubServer, tmp_path: Path) -> None:
    hf_hub_download("org/m", NAME, cache_dir=tmp_path / "parent", endpoint=server.url)
    child = os.fork()
    if not child:
        code = 1
        try:
            path = hf_hub_download("org/m", NAME, cache_dir=tmp_path / "child", endpoint=server.url)
            code = 0 if Path(path).read_bytes() == MODEL else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


#: The library's own record of which factory and client are in use: what set_client_factory is there to change.
SEAM = {("huggingface_hub.utils._http", "_GLOBAL_CLIENT_FACTORY"), ("huggingface_hub.utils._http", "_GLOBAL_CLIENT")}


def _attributes() -> dict[tuple[str, str], Any]:
    """What foreign modules and their classes hold under which name."""
    # of torch, which nothing here knows, some names warn when they are looked at
    ours = ("codec", "hub", "tests", "__main__", "conftest", "torch")
    found: dict[tuple[str, str], Any] = {}
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in ours or not isinstance(module, types.ModuleType):
            continue
        for key, value in list(vars(module).items()):
            if callable(value):
                found[name, key] = value
            if isinstance(value, type) and value.__module__ == name:
                for attribute, held in list(vars(value).items()):
                    if callable(held) or isinstance(held, (property, staticmethod, classmethod)):
                        found[name, f"{key}.{attribute}"] = held
    return found


def test_no_name_of_another_module_changes(server: HubServer, tmp_path: Path) -> None:
    hub.disable()
    hf_hub_download("org/m", "config.json", cache_dir=tmp_path / "a", endpoint=server.url)
    before = _attributes()
    hub.enable()
    hf_hub_download("org/m", NAME, cache_dir=tmp_path / "b", endpoint=server.url)
    snapshot_download("org/m", cache_dir=tmp_path / "c", endpoint=server.url)
    hub.pull("org/m", cache_dir=tmp_path / "d", endpoint=server.url)
    during = _attributes()
    hub.disable()
    after = _attributes()
    assert len(before) > 5000
    for later in (during, after):
        assert {key for key in before if later.get(key) is not before[key]} - SEAM == set()
