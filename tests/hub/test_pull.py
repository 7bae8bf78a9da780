"""Pull: originals in the standard cache or a folder, whatever happens on the way."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import huggingface_hub
import pytest
from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

import codec
import hub
from hub import remote
from tests.hub.access import Tokens
from tests.hub.faults import Chance, Fault
from tests.hub.models import compressed, sha256, weights
from tests.hub.remote import RemoteServer
from tests.hub.server import HubServer

MODEL, OTHER = weights(1), weights(2, rows=300)
NAME = "model.safetensors"


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch, no_waiting: None) -> None:
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.001)


@pytest.fixture
def weft(tmp_path: Path) -> bytes:
    return compressed(MODEL, tmp_path)


@pytest.fixture
def server(make_hub_server: Callable[..., HubServer], weft: bytes, tmp_path: Path) -> HubServer:
    server = make_hub_server(redirect=True)
    other = compressed(OTHER, tmp_path)
    server.add_repo("org/m", {"config.json": "{}", f"{NAME}.weft": weft, "sub dir/b.bin.weft": other})
    return server


def pulled(server: HubServer, folder: Path, repo: str = "org/m", **options: Any) -> hub.PullReport:
    return hub.pull(repo, cache_dir=folder, endpoint=server.url, **options)


def files_below(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_everything_finds_ordinary_files(server: HubServer, weft: bytes, tmp_path: Path) -> None:
    cache = tmp_path / "c"
    report = pulled(server, cache)
    assert {(f.name, f.action) for f in report.files} == {
        ("config.json", "downloaded"), (NAME, "decoded"), ("sub dir/b.bin", "decoded"),
    }  # fmt: skip
    folder = Path(report.folder)
    assert files_below(folder) == {"config.json", NAME, "sub dir/b.bin"}
    assert (folder / NAME).read_bytes() == MODEL and (folder / "sub dir/b.bin").read_bytes() == OTHER
    assert (folder / NAME).is_symlink() and (folder / NAME).resolve().name == sha256(MODEL)
    assert not os.path.isabs(os.readlink(folder / NAME))
    # as a program that never heard of weft would look for it
    assert snapshot_download("org/m", cache_dir=cache, local_files_only=True) == report.folder
    assert hf_hub_download("org/m", NAME, cache_dir=cache, local_files_only=True) == str(folder / NAME)
    assert try_to_load_from_cache("org/m", "sub dir/b.bin", cache_dir=cache) == str(folder / "sub dir/b.bin")
    (repo,) = scan_cache_dir(cache).repos
    assert repo.repo_id == "org/m" and [r.refs for r in repo.revisions] == [{"main"}]
    assert report.transferred_bytes <= server.bytes_sent(method="GET")
    (decoded,) = [f for f in report.files if f.name == NAME]
    assert decoded.transferred_bytes == len(weft) and decoded.sha256 == sha256(MODEL)


def test_a_second_pull_transfers_nothing_large(server: HubServer, tmp_path: Path) -> None:
    first = pulled(server, tmp_path / "c")
    server.reset()
    again = pulled(server, tmp_path / "c")
    assert {f.action for f in again.files} == {"cached"} and again.transferred_bytes == 0
    assert again.folder == first.folder and server.requests("GET", "resolve|cdn") == []


def test_bytes_that_are_there_under_another_commit(server: HubServer, tmp_path: Path) -> None:
    pulled(server, tmp_path / "c")
    server.commit("org/m", {"config.json": '{"a": 1}'})
    report = pulled(server, tmp_path / "c")
    assert {(f.name, f.action) for f in report.files} == {
        ("config.json", "downloaded"), (NAME, "cached"), ("sub dir/b.bin", "cached"),
    }  # fmt: skip
    assert (Path(report.folder) / NAME).read_bytes() == MODEL


def test_a_folder_of_the_users_choice(server: HubServer, tmp_path: Path) -> None:
    folder = tmp_path / "my models"
    report = hub.pull("org/m", local_dir=folder, endpoint=server.url)
    assert report.folder == str(folder)
    assert {n for n in files_below(folder) if not n.startswith(".cache")} == {"config.json", NAME, "sub dir/b.bin"}
    assert (folder / NAME).read_bytes() == MODEL
    again = hub.pull("org/m", local_dir=folder, endpoint=server.url)
    assert {f.name for f in again.files if f.action == "cached"} >= {NAME, "sub dir/b.bin"}
    (folder / NAME).write_bytes(b"an older version")
    hub.pull("org/m", local_dir=folder, endpoint=server.url)
    assert (folder / NAME).read_bytes() == MODEL


def test_patterns_mean_the_originals(server: HubServer, tmp_path: Path) -> None:
    for include, exclude, expected in (
        ("*.safetensors", None, {NAME}),
        (["*.bin", "*.json"], ["config.json"], {"sub dir/b.bin"}),
        (None, ["*.safetensors.weft"], {"config.json", "sub dir/b.bin"}),
        ("*.weft", None, {NAME, "sub dir/b.bin"}),
        (["*.json", "sub dir/b.bin.weft"], "*.txt", {"config.json", "sub dir/b.bin"}),
    ):
        folder = tmp_path / str(len(str(include)))
        report = pulled(server, folder, include=include, exclude=exclude)
        assert {f.name for f in report.files} == expected == files_below(Path(report.folder))


def test_patterns_that_leave_nothing(server: HubServer, tmp_path: Path) -> None:
    with pytest.raises(codec.CodecError, match="none is left"):
        pulled(server, tmp_path / "c", include="*.gguf")
    assert not (tmp_path / "c").exists()


def test_the_weft_files_too(server: HubServer, weft: bytes, tmp_path: Path) -> None:
    report = pulled(server, tmp_path / "c", keep_compressed=True, include=NAME)
    folder = Path(report.folder)
    assert files_below(folder) == {NAME, f"{NAME}.weft"}
    assert (folder / NAME).read_bytes() == MODEL and (folder / f"{NAME}.weft").read_bytes() == weft


def test_a_marker_that_hides_the_file_goes(server: HubServer, tmp_path: Path) -> None:
    with pytest.raises(EntryNotFoundError):
        hf_hub_download("org/m", NAME, cache_dir=tmp_path / "c", endpoint=server.url)
    assert [p.name for p in (tmp_path / "c").rglob(".no_exist/*/*")] == [NAME]
    pulled(server, tmp_path / "c")
    assert isinstance(try_to_load_from_cache("org/m", NAME, cache_dir=tmp_path / "c"), str)


def test_a_listing_of_weft_files_does_not_make_a_snapshot_incomplete(server: HubServer, tmp_path: Path) -> None:
    snapshot_download("org/m", cache_dir=tmp_path / "c", endpoint=server.url, allow_patterns="*.json")
    report = pulled(server, tmp_path / "c")
    script = (
        "import sys, huggingface_hub as h\n"
        "print(h.snapshot_download('org/m', cache_dir=sys.argv[1], local_files_only=True))"
    )
    ran = subprocess.run([sys.executable, "-c", script, tmp_path / "c"], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == report.folder


def test_revisions(server: HubServer, tmp_path: Path) -> None:
    first = pulled(server, tmp_path / "c")
    server.store.branch(server.store.find("org/m"), "v1")  # type: ignore[arg-type]
    server.commit("org/m", {f"{NAME}.weft": compressed(OTHER, tmp_path)})
    second = pulled(server, tmp_path / "c")
    assert (Path(second.folder) / NAME).read_bytes() == OTHER
    for revision in ("v1", first.commit):
        assert pulled(server, tmp_path / "d", revision=revision).commit == first.commit
    with pytest.raises(RevisionNotFoundError):
        pulled(server, tmp_path / "c", revision="none")
    with pytest.raises(RepositoryNotFoundError):
        pulled(server, tmp_path / "c", "org/none")


@pytest.mark.parametrize("hooked", [False, True])
def test_with_the_hook_on(server: HubServer, tmp_path: Path, hooked: bool) -> None:
    if hooked:
        hub.enable()
    try:
        assert {f.action for f in pulled(server, tmp_path / "c").files} == {"decoded", "downloaded"}
    finally:
        hub.disable()


def test_tokens(make_hub_server: Callable[..., HubServer], weft: bytes, tmp_path: Path) -> None:
    server = make_hub_server(tokens=Tokens(read=("reader",)), redirect=True)
    server.add_repo("org/private", {f"{NAME}.weft": weft}, private=True)
    with pytest.raises(RepositoryNotFoundError):
        pulled(server, tmp_path / "c", "org/private", token=False)
    assert files_below(tmp_path) & {"c"} == set() and not list(tmp_path.glob("c/models--*"))
    report = pulled(server, tmp_path / "c", "org/private", token="reader")
    assert (Path(report.folder) / NAME).read_bytes() == MODEL
    assert {r.authorization for r in server.requests(server="storage")} == {None}


def test_xet_storage(make_hub_server: Callable[..., HubServer], weft: bytes, tmp_path: Path) -> None:
    pytest.importorskip("hf_xet")
    server = make_hub_server(xet=True)
    server.add_repo("org/m", {f"{NAME}.weft": weft})
    report = pulled(server, tmp_path / "c")
    assert (Path(report.folder) / NAME).read_bytes() == MODEL
    assert server.requests("GET", "xet-read-token") and not server.requests("GET", "weft")


def test_two_hundred_broken_connections(server: HubServer, tmp_path: Path) -> None:
    server.set_faults(chance=Chance(11, 0.3, path="^/cdn/", kinds=("cut", "drop", "reset", "503", "429")))
    rounds = 0
    while sum(server.injected.values()) < 200:
        report = pulled(server, tmp_path / str(rounds), include=["*.safetensors", "*.bin"])
        folder = Path(report.folder)
        assert (folder / NAME).read_bytes() == MODEL and (folder / "sub dir/b.bin").read_bytes() == OTHER
        shutil.rmtree(tmp_path / str(rounds))
        rounds += 1
        assert rounds < 400
    assert set(server.injected) >= {"cut", "drop", "reset"}


def test_a_weft_file_that_gives_something_else(server: HubServer, weft: bytes, tmp_path: Path) -> None:
    damaged = bytearray(weft)
    damaged[len(weft) // 2] ^= 1
    server.commit("org/m", {f"{NAME}.weft": bytes(damaged)})
    with pytest.raises(codec.CorruptFileError):
        pulled(server, tmp_path / "c", include=NAME)
    assert [p for p in files_below(tmp_path / "c") if not p.endswith(".lock")] == []


def test_a_sha256_that_is_not_the_files_own(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*args: Any) -> codec.OriginalFile:
        file = codec.OriginalFile(*args)
        file.sha256 = "0" * 64
        return file

    monkeypatch.setattr(codec, "open_original", opened, raising=False)
    with pytest.raises(codec.CorruptFileError, match="SHA-256"):
        pulled(server, tmp_path / "c", include=NAME)
    assert [p for p in files_below(tmp_path / "c") if not p.endswith(".lock")] == []


def test_both_in_a_repo(server: HubServer, weft: bytes, tmp_path: Path) -> None:
    server.add_repo("org/both", {NAME: MODEL, f"{NAME}.weft": weft})
    report = pulled(server, tmp_path / "c", "org/both")
    assert [(f.name, f.action) for f in report.files] == [(NAME, "decoded")]
    server.commit("org/both", {NAME: OTHER})
    with pytest.raises(codec.MismatchError, match="disagree"):
        pulled(server, tmp_path / "d", "org/both")
    assert [p for p in files_below(tmp_path / "d") if not p.endswith(".lock")] == []


def test_an_endpoint_that_lies_about_sizes(server: HubServer, tmp_path: Path) -> None:
    server.set_faults(Fault("length", times=0, delta=5))
    with pytest.raises((hub.EndpointError, httpx.TransportError)):
        pulled(server, tmp_path / "c", include=NAME)
    server.set_faults(Fault("length", path=r"^/cdn/", times=0, delta=-5))
    with pytest.raises((hub.EndpointError, httpx.TransportError)):
        pulled(server, tmp_path / "c", include=NAME)
    assert [p for p in files_below(tmp_path / "c") if not p.endswith(".lock")] == []


def test_what_is_only_called_weft(server: HubServer, tmp_path: Path) -> None:
    server.add_repo("org/odd", {"x.bin.weft": b"not one of ours" * 9, "y.weft": codec.compress(b"no SHA-256" * 999)})
    report = pulled(server, tmp_path / "c", "org/odd")
    assert {(f.name, f.action) for f in report.files} == {("x.bin.weft", "downloaded"), ("y.weft", "downloaded")}


@pytest.mark.parametrize("path", ["../x.weft", "/x.weft", "a/../../x.weft"])
def test_names_that_lead_out(server: HubServer, weft: bytes, tmp_path: Path, path: str) -> None:
    server.add_repo("org/evil", {path: weft})
    with pytest.raises(codec.CodecError, match="no name for a file"):
        hub.pull("org/evil", local_dir=tmp_path / "d" / "e", endpoint=server.url)
    assert not list(tmp_path.glob("**/x*"))


@pytest.mark.parametrize("sha", ["../../../../victim", "", None, "x" * 40, "A" * 40])
def test_a_commit_that_leads_out(server: HubServer, tmp_path: Path, sha: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = huggingface_hub.HfApi.repo_info

    def lied(*args: Any, **options: Any) -> Any:
        found = told(*args, **options)
        found.sha = sha
        return found

    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", lied)
    with pytest.raises(hub.EndpointError, match="commit"):
        pulled(server, tmp_path / "a" / "b")
    assert not (tmp_path / "victim").exists() and not (tmp_path / "a").exists()


def test_a_file_and_a_folder_of_one_name(server: HubServer, weft: bytes, tmp_path: Path) -> None:
    server.add_repo("org/odd", {"a.bin.weft": weft, "a.bin/x.txt": "x"})
    with pytest.raises(codec.CodecError, match="file and a folder"):
        pulled(server, tmp_path / "c", "org/odd")
    assert [f.name for f in pulled(server, tmp_path / "c", "org/odd", exclude="a.bin/*").files] == ["a.bin"]


def test_a_long_name(make_hub_server: Callable[..., HubServer], weft: bytes, tmp_path: Path) -> None:
    server = make_hub_server()
    name = "模" * 78 + ".bin"
    server.add_repo("org/long", {f"{name}.weft": weft})
    hub.pull("org/long", local_dir=tmp_path / "d", endpoint=server.url)
    assert (tmp_path / "d" / name).read_bytes() == MODEL


def test_no_space(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(OSError, match="no space left") as raised:
        pulled(server, tmp_path / "c", include=NAME)
    assert raised.value.errno == errno.ENOSPC
    assert [p for p in files_below(tmp_path / "c") if not p.endswith(".lock")] == []


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize("where", ["cache", "folder"])
def test_a_pull_that_was_killed_goes_on(tmp_path: Path, where: str) -> None:
    original = weights(3, rows=4096, columns=1024)  # 16 MiB
    options = ["--local-dir", str(tmp_path / "d")] if where == "folder" else []
    with RemoteServer(tmp_path / "srv", rate=8e6) as server:
        server.add_repo("org/m", {f"{NAME}.weft": compressed(original, tmp_path)})
        environment = {
            **os.environ,
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
        }
        command = [sys.executable, "-m", "codec.cli.main", "pull", "org/m", "--json", *options]
        first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        unfinished: list[Path] = []
        deadline = time.monotonic() + 60
        while not unfinished and time.monotonic() < deadline:
            time.sleep(0.01)
            found = [p for p in tmp_path.rglob("*.weft.incomplete") if p.is_file()]
            unfinished = [p for p in found if p.stat().st_size > 3_000_000]
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        held = unfinished[0].stat().st_size
        assert 3_000_000 < held < len(original)
        server.reset()
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        sent = server.bytes_sent(".weft", "GET")
        (path,) = [p for p in tmp_path.rglob(NAME) if ".locks" not in p.parts]
        assert path.read_bytes() == original
        # what is left, a span that was begun, and the ends of the file
        assert sent < 0.7 * (len(original) - held) + (1 << 23)
        assert not list(tmp_path.rglob("*.incomplete"))


def test_what_a_kill_left_may_be_anything(server: HubServer, tmp_path: Path) -> None:
    pulled(server, tmp_path / "c", include=NAME)
    blob = next((tmp_path / "c").rglob(f"blobs/{sha256(MODEL)}"))
    for left in (MODEL[:100_000], b"\0" * 200_000, MODEL + b"more", MODEL[:-1] + b"?", b""):
        blob.unlink(missing_ok=True)
        shutil.rmtree(tmp_path / "c" / "models--org--m" / "snapshots")
        blob.with_name(f"{blob.name}.weft.incomplete").write_bytes(left)
        report = pulled(server, tmp_path / "c", include=NAME)
        assert (Path(report.folder) / NAME).read_bytes() == MODEL
        assert [f.action for f in report.files] == ["decoded"]
    assert not list((tmp_path / "c").rglob("*.incomplete"))


def test_progress(server: HubServer, tmp_path: Path) -> None:
    seen: dict[str, list[int]] = {}

    def progress(name: str, done: int, total: int) -> None:
        assert total == len({NAME: MODEL, "sub dir/b.bin": OTHER}[name])
        seen.setdefault(name, []).append(done)

    pulled(server, tmp_path / "c", progress=progress)
    assert {name: done[-1] for name, done in seen.items()} == {NAME: len(MODEL), "sub dir/b.bin": len(OTHER)}
    assert all(done == sorted(done) for done in seen.values())
