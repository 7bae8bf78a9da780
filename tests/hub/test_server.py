"""The Hub on loopback, as the unmodified client sees it: looking and downloading."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import (
    HfApi,
    HfFileSystem,
    get_session,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile, RepoFolder

from tests.hub.access import Tokens
from tests.hub.conftest import MakeServer
from tests.hub.server import HubServer
from tests.hub.store import git_id

LARGE = random.Random(1).randbytes(3 << 20)
FILES = {"config.json": b"{}\n", "sub/model.safetensors": LARGE, "sub/deep/notes.txt": b"hello"}
SHA256 = hashlib.sha256(LARGE).hexdigest()


def api(server: HubServer, token: str | bool = False) -> HfApi:
    return HfApi(endpoint=server.url, token=token)


def fetch(server: HubServer, repo: str, path: str, cache: Path, **options: Any) -> Path:
    options = {"token": False, **options}
    return Path(hf_hub_download(repo, path, endpoint=server.url, cache_dir=cache, **options))


def test_files_come_whole_and_under_their_names(hub_server: HubServer, tmp_path: Path) -> None:
    hub_server.add_repo("org/m", FILES)
    large = fetch(hub_server, "org/m", "sub/model.safetensors", tmp_path / "cache")
    small = fetch(hub_server, "org/m", "config.json", tmp_path / "cache")
    assert large.read_bytes() == LARGE and small.read_bytes() == FILES["config.json"]
    assert large.resolve().name == SHA256 and small.resolve().name == git_id(FILES["config.json"])
    assert hub_server.bytes_sent(".safetensors") == len(LARGE) and hub_server.bytes_sent("config.json") == 3
    assert [record.method for record in hub_server.requests(pattern="model")] == ["HEAD", "GET"]
    hub_server.reset()
    assert hub_server.records() == []


@pytest.mark.parametrize(("repo", "kind"), [("plain", "model"), ("org/d", "dataset"), ("d", "dataset")])
def test_every_name_of_a_repo(hub_server: HubServer, tmp_path: Path, repo: str, kind: str) -> None:
    hub_server.add_repo(repo, FILES, repo_type=kind)
    folder = snapshot_download(
        repo,
        repo_type=kind,
        endpoint=hub_server.url,
        cache_dir=tmp_path / "cache",
        token=False,
        ignore_patterns="*.txt",
    )
    found = {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}
    assert found == set(FILES) - {"sub/deep/notes.txt"}
    assert (Path(folder) / "sub/model.safetensors").read_bytes() == LARGE
    assert api(hub_server).repo_info(repo, repo_type=kind, revision="main").sha == Path(folder).name


def test_trees_come_page_by_page(make_hub_server: MakeServer) -> None:
    server = make_hub_server(page_size=4)
    server.add_repo("org/m", {f"sub/{number}.txt": b"%d" % number for number in range(9)} | FILES)
    told = list(api(server).list_repo_tree("org/m", recursive=True))
    assert {item.path for item in told if isinstance(item, RepoFolder)} == {"sub", "sub/deep"}
    assert len(told) == 14 and len(server.requests("GET", "/tree/")) == 4
    assert {item.path for item in api(server).list_repo_tree("org/m")} == {"config.json", "sub"}
    inside = {item.path for item in api(server).list_repo_tree("org/m", "sub/deep")}
    assert inside == {"sub/deep/notes.txt"}
    with pytest.raises(EntryNotFoundError):
        list(api(server).list_repo_tree("org/m", "nowhere"))


def test_what_the_api_tells_of_files(hub_server: HubServer) -> None:
    hub_server.add_repo("org/m", FILES)
    second = hub_server.commit("org/m", {"config.json": b"[]"}, title="second")
    info = api(hub_server).model_info("org/m", files_metadata=True)
    assert info.sha == second.oid and info.private is False
    large = next(file for file in info.siblings or () if file.rfilename == "sub/model.safetensors")
    assert large.size == len(LARGE) and large.lfs and large.lfs.sha256 == SHA256
    assert api(hub_server).list_repo_files("org/m") == sorted(FILES)
    told = api(hub_server).get_paths_info("org/m", ["config.json", "sub", "none"], expand=True)
    file, folder = told
    assert isinstance(file, RepoFile) and isinstance(folder, RepoFolder)
    assert file.last_commit and file.last_commit.title == "second" and file.blob_id == git_id(b"[]")
    assert folder.last_commit and folder.last_commit.title == "files"
    (third,) = api(hub_server).get_paths_info("org/m", "sub/model.safetensors")
    assert isinstance(third, RepoFile) and third.lfs


def test_revisions(hub_server: HubServer, tmp_path: Path) -> None:
    hub_server.add_repo("org/m", {"a.txt": b"one"})
    first = api(hub_server).model_info("org/m").sha
    assert first
    api(hub_server).create_branch("org/m", branch="old/one")
    api(hub_server).create_branch("org/m", branch="same", revision=first, exist_ok=True)
    hub_server.commit("org/m", {"a.txt": b"two"})
    for revision, content in (("main", b"two"), ("old/one", b"one"), (first, b"one")):
        assert fetch(hub_server, "org/m", "a.txt", tmp_path, revision=revision).read_bytes() == content
    branches = {branch.name: branch.target_commit for branch in api(hub_server).list_repo_refs("org/m").branches}
    assert branches.pop("main") != first and branches == {"old/one": first, "same": first}
    with pytest.raises(HfHubHTTPError, match="409"):
        api(hub_server).create_branch("org/m", branch="same")


def test_the_same_commits_have_the_same_hashes(make_hub_server: MakeServer) -> None:
    one, other = (make_hub_server().add_repo("org/m", FILES).branches["main"] for _ in range(2))
    assert one == other


def test_ranges(hub_server: HubServer) -> None:
    hub_server.add_repo("org/m", FILES)
    url = f"{hub_server.url}/org/m/resolve/main/sub/model.safetensors"
    wanted = {"bytes=5-14": LARGE[5:15], "bytes=-7": LARGE[-7:], "bytes=3145720-": LARGE[3145720:]}
    for header, content in wanted.items():
        answer = get_session().get(url, headers={"Range": header})
        assert answer.status_code == 206 and answer.content == content
        assert answer.headers["Content-Range"].endswith(f"/{len(LARGE)}")
    beyond = get_session().get(url, headers={"Range": f"bytes={len(LARGE)}-"})
    assert beyond.status_code == 416 and beyond.headers["Content-Range"] == f"bytes */{len(LARGE)}"
    assert hub_server.requests("GET", "safetensors")[0].range == "bytes=5-14"
    with HfFileSystem(endpoint=hub_server.url, token=False).open(
        "org/m/sub/model.safetensors", block_size=4096
    ) as file:
        file.seek(1 << 20)
        assert file.read(100) == LARGE[1 << 20 :][:100]
    assert hub_server.bytes_sent("safetensors") < 50_000


def test_large_files_elsewhere_and_no_token_there(make_hub_server: MakeServer, tmp_path: Path) -> None:
    server = make_hub_server(redirect=True, tokens=Tokens(write=("hf_w",)))
    server.add_repo("org/m", FILES, private=True)
    assert fetch(server, "org/m", "sub/model.safetensors", tmp_path, token="hf_w").read_bytes() == LARGE
    assert fetch(server, "org/m", "config.json", tmp_path, token="hf_w").read_bytes() == b"{}\n"
    head = server.requests("HEAD", "safetensors")[0]
    get = server.requests("GET", "safetensors", "storage")[0]
    assert (head.status, head.authorization) == (302, "Bearer hf_w")
    assert (get.status, get.authorization, get.sent) == (200, None, len(LARGE))
    assert [(record.status, record.authorization) for record in server.requests("GET", r"config\.json$")] == [
        (200, "Bearer hf_w")
    ]
    assert [record.status for record in server.requests("HEAD", r"config\.json$")] == [307, 200]
    headers = {"Authorization": "Bearer hf_w", "Range": "bytes=1-4"}
    answer = get_session().get(f"{server.url}/org/m/resolve/main/sub/model.safetensors", headers=headers)
    assert answer.status_code == 206 and answer.content == LARGE[1:5]
    assert server.requests("GET", "safetensors", "storage")[1].authorization is None


def test_what_is_not_there(hub_server: HubServer, tmp_path: Path) -> None:
    commit = hub_server.add_repo("org/m", FILES).branches["main"]
    with pytest.raises(EntryNotFoundError):
        fetch(hub_server, "org/m", "none.txt", tmp_path)
    assert (tmp_path / "models--org--m/.no_exist" / commit / "none.txt").exists()
    with pytest.raises(RevisionNotFoundError):
        fetch(hub_server, "org/m", "config.json", tmp_path, revision="none")
    with pytest.raises(RepositoryNotFoundError) as without:
        fetch(hub_server, "org/none", "config.json", tmp_path)
    with pytest.raises(RepositoryNotFoundError) as with_token:
        fetch(hub_server, "org/none", "config.json", tmp_path, token="hf_x")
    assert without.value.response.status_code == 401 and with_token.value.response.status_code == 404
    with pytest.raises(RepositoryNotFoundError):
        api(hub_server).dataset_info("org/m")


def test_who_may_what(make_hub_server: MakeServer, tmp_path: Path) -> None:
    server = make_hub_server(tokens=Tokens(write=("hf_w",), read=("hf_r", "hf_g"), granted=("hf_g",)))
    server.add_repo("org/private", FILES, private=True)
    server.add_repo("org/gated", FILES, gated=True)
    with pytest.raises(RepositoryNotFoundError):
        fetch(server, "org/private", "config.json", tmp_path)
    with pytest.raises(HfHubHTTPError, match="Invalid credentials"):
        fetch(server, "org/private", "config.json", tmp_path, token="hf_unknown")
    assert fetch(server, "org/private", "config.json", tmp_path, token="hf_r").read_bytes() == b"{}\n"
    for token, status in ((False, 401), ("hf_w", 403)):
        with pytest.raises(GatedRepoError) as refused:
            fetch(server, "org/gated", "config.json", tmp_path, token=token)
        assert refused.value.response.status_code == status
    assert fetch(server, "org/gated", "config.json", tmp_path, token="hf_g").exists()
    for token, status in ((False, 401), ("hf_r", 403)):
        with pytest.raises(HfHubHTTPError) as denied:
            api(server, token).create_repo("org/new")
        assert denied.value.response.status_code == status
        with pytest.raises(HfHubHTTPError):
            api(server, token).upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id="org/private")
    api(server, "hf_w").upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id="org/private")
    assert api(server, "hf_r").whoami()["auth"]["accessToken"]["role"] == "read"
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        api(server, "hf_unknown").whoami()
