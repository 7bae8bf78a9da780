"""The Hub on loopback, as the unmodified client sees it: uploading, with and without xet."""

from __future__ import annotations

import hashlib
import io
import random
from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    constants,
    get_session,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import BadRequestError, EntryNotFoundError, HfHubHTTPError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils._xet import is_valid_xet_hash

from tests.hub.conftest import MakeServer
from tests.hub.server import HubServer
from tests.hub.store import Store
from tests.hub.uploads import Limits

LARGE = random.Random(2).randbytes(2 << 20)


def api(server: HubServer) -> HfApi:
    return HfApi(endpoint=server.url, token=False)


def test_repos_are_made_once(hub_server: HubServer) -> None:
    client = api(hub_server)
    assert client.create_repo("org/m", private=True).repo_id == "org/m"
    assert client.create_repo("mine", repo_type="dataset").repo_id == "tester/mine"
    assert client.create_repo("org/m", exist_ok=True).repo_id == "org/m"
    with pytest.raises(HfHubHTTPError, match="409"):
        client.create_repo("org/m")
    with_token = HfApi(endpoint=hub_server.url, token="hf_any")
    assert with_token.model_info("org/m").private is True
    assert with_token.list_repo_files("org/m") == [".gitattributes"]
    with_token.delete_repo("org/m")
    assert not with_token.repo_exists("org/m") and with_token.repo_exists("tester/mine", repo_type="dataset")


def test_small_text_goes_with_the_commit_and_large_files_before_it(make_hub_server: MakeServer, tmp_path: Path) -> None:
    server = make_hub_server(limits=Limits(lfs_threshold=1000))
    files = {
        "README.md": b"# Hi",
        "long.txt": b"x" * 1001,
        "bits": b"\0\1",
        "sub/a.weft": b"weft",
        "cut.txt": b"\xc3\xa9",
    }
    (tmp_path / "up/sub").mkdir(parents=True)
    for name, content in files.items():
        (tmp_path / "up" / name).write_bytes(content)
    api(server).create_repo("org/m")
    api(server).upload_folder(repo_id="org/m", folder_path=tmp_path / "up")
    large = {file.path for file in api(server).list_repo_tree("org/m", recursive=True) if getattr(file, "lfs", None)}
    assert large == {"long.txt", "bits", "sub/a.weft"}
    folder = snapshot_download("org/m", endpoint=server.url, cache_dir=tmp_path / "cache", token=False)
    assert all((Path(folder) / name).read_bytes() == content for name, content in files.items())
    puts = server.requests("PUT", server="storage")
    assert sorted(record.received for record in puts) == [2, 4, 1001]
    assert all(record.authorization is None for record in puts)


def test_what_is_there_is_not_sent_again(hub_server: HubServer) -> None:
    hub_server.add_repo("org/m")
    api(hub_server).upload_file(path_or_fileobj=LARGE, path_in_repo="a.bin", repo_id="org/m")
    assert hub_server.bytes_received(method="PUT") == len(LARGE)
    hub_server.reset()
    first = api(hub_server).model_info("org/m").sha
    again = api(hub_server).upload_file(path_or_fileobj=LARGE, path_in_repo="a.bin", repo_id="org/m")
    assert again.oid == first and not hub_server.requests("POST", "/commit/")
    other = api(hub_server).upload_file(path_or_fileobj=LARGE, path_in_repo="b.bin", repo_id="org/m")
    assert other.oid != first and hub_server.file("org/m", "b.bin") == LARGE
    assert not hub_server.requests("PUT") and hub_server.requests("POST", "batch")


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) - 1, (1 << 20) + 1])
def test_many_parts_make_one_object(make_hub_server: MakeServer, size: int) -> None:
    server = make_hub_server(limits=Limits(multipart_threshold=1 << 18, part_size=1 << 18))
    server.add_repo("org/m")
    info = api(server).upload_file(path_or_fileobj=io.BytesIO(LARGE[:size]), path_in_repo="a.bin", repo_id="org/m")
    assert server.file("org/m", "a.bin", info.oid) == LARGE[:size]
    assert len(server.requests("PUT")) == -(-size // (1 << 18))
    assert [record.status for record in server.requests("POST", "complete|verify")] == [200, 200]
    assert Store(server.store.root).find("org/m").find(info.oid).tree["a.bin"].size == size  # type: ignore[union-attr]


def test_commits(hub_server: HubServer) -> None:
    client = api(hub_server)
    hub_server.add_repo("org/m", {"a.txt": b"a", "b.bin": LARGE, "old/x": b"x", "old/y/z": b"z"})
    start = client.model_info("org/m").sha
    operations: list[CommitOperationAdd | CommitOperationDelete | CommitOperationCopy] = [
        CommitOperationAdd("c.txt", b"c"),
        CommitOperationDelete("a.txt"),
        CommitOperationDelete("old/"),
        CommitOperationCopy("b.bin", "copy.bin"),
    ]
    made = client.create_commit("org/m", operations, commit_message="all", parent_commit=start)
    assert client.list_repo_files("org/m") == ["b.bin", "c.txt", "copy.bin"]
    assert hub_server.file("org/m", "copy.bin") == LARGE and made.oid == client.model_info("org/m").sha
    assert client.list_repo_files("org/m", revision=start) == ["a.txt", "b.bin", "old/x", "old/y/z"]
    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as late:
        client.create_commit("org/m", [CommitOperationAdd("d", b"d")], commit_message="d", parent_commit=start)
    assert late.value.response.status_code == 412
    with pytest.raises(EntryNotFoundError):
        client.delete_file("none", "org/m")
    proposed = client.create_commit("org/m", [CommitOperationAdd("e", b"e")], commit_message="e", create_pr=True)
    assert proposed.pr_revision == "refs/pr/1" and "e" not in client.list_repo_files("org/m")
    assert "e" in client.list_repo_files("org/m", revision="refs/pr/1")


def test_uploads_before_the_commit(hub_server: HubServer) -> None:
    hub_server.add_repo("org/m")
    addition = CommitOperationAdd("a.bin", LARGE)
    api(hub_server).preupload_lfs_files("org/m", [addition])
    assert addition.path_or_fileobj == b"" and hub_server.bytes_received(method="PUT") == len(LARGE)
    api(hub_server).create_commit("org/m", [addition], commit_message="now")
    assert hub_server.file("org/m", "a.bin") == LARGE


def test_what_gitignore_names_stays_away(hub_server: HubServer) -> None:
    hub_server.add_repo("org/m")
    files = {".gitignore": b"*.log\ntmp/\n!keep.log", "a.log": b"a", "keep.log": b"k", "tmp/b": b"b", "c": b"c"}
    additions = [CommitOperationAdd(name, content) for name, content in files.items()]
    api(hub_server).create_commit("org/m", additions, commit_message="some")
    assert api(hub_server).list_repo_files("org/m") == [".gitignore", "c", "keep.log"]


def test_a_pointer_needs_its_object(hub_server: HubServer) -> None:
    hub_server.add_repo("org/m")
    addition = CommitOperationAdd("a.bin", LARGE)
    addition._upload_mode, addition._is_uploaded = "lfs", True
    with pytest.raises(BadRequestError, match="does not exist"):
        api(hub_server).create_commit("org/m", [addition], commit_message="hollow")


@pytest.mark.parametrize("redirect", [False, True])
def test_xet_both_ways(make_hub_server: MakeServer, tmp_path: Path, redirect: bool) -> None:
    server = make_hub_server(xet=True, redirect=redirect)
    api(server).create_repo("org/m")
    (tmp_path / "up").mkdir()
    (tmp_path / "up/a.safetensors").write_bytes(LARGE)
    (tmp_path / "up/config.json").write_bytes(b"{}")
    api(server).upload_folder(repo_id="org/m", folder_path=tmp_path / "up")
    api(server).upload_file(path_or_fileobj=LARGE[::-1], path_in_repo="b.bin", repo_id="org/m")
    assert not server.requests("PUT") and len(server.requests("GET", "xet-write-token/main")) == 2
    told = {file.path: file for file in api(server).list_repo_tree("org/m") if isinstance(file, RepoFile)}
    assert {name for name, file in told.items() if is_valid_xet_hash(file.xet_hash or "")} == {"a.safetensors", "b.bin"}
    large = told["a.safetensors"].lfs
    assert large and large.sha256 == hashlib.sha256(LARGE).hexdigest()

    server.reset()
    path = hf_hub_download("org/m", "a.safetensors", endpoint=server.url, cache_dir=tmp_path / "one", token=False)
    assert Path(path).read_bytes() == LARGE
    folder = snapshot_download("org/m", endpoint=server.url, cache_dir=tmp_path / "two", token=False)
    assert (Path(folder) / "b.bin").read_bytes() == LARGE[::-1]
    assert server.bytes_sent(".safetensors") == server.bytes_sent(".bin") == 0
    assert server.requests("GET", "xet-read-token")


def test_xet_and_plain_http_agree(make_hub_server: MakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = make_hub_server(xet=True)
    server.add_repo("org/m", {"a.safetensors": LARGE})
    api(server).upload_file(path_or_fileobj=LARGE[7:], path_in_repo="b.bin", repo_id="org/m")
    answer = get_session().get(f"{server.url}/org/m/resolve/main/b.bin", headers={"Range": "bytes=10-19"})
    assert answer.status_code == 206 and answer.content == LARGE[17:27]
    assert server.file("org/m", "b.bin") == LARGE[7:]
    by_xet = hf_hub_download("org/m", "a.safetensors", endpoint=server.url, cache_dir=tmp_path / "one", token=False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    by_http = hf_hub_download("org/m", "a.safetensors", endpoint=server.url, cache_dir=tmp_path / "two", token=False)
    assert Path(by_xet).read_bytes() == Path(by_http).read_bytes() == LARGE
    assert server.bytes_sent(".safetensors") == len(LARGE)
    lfs = api(server).upload_file(path_or_fileobj=io.BytesIO(LARGE[9:]), path_in_repo="c.bin", repo_id="org/m")
    assert server.file("org/m", "c.bin", lfs.oid) == LARGE[9:]
