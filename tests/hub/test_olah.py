"""Reads from olah, a mirror of the Hub that others wrote: here it serves a git repository with LFS objects, offline.

Its answers are leaner than the Hub's: no X-Linked-Etag or X-Linked-Size, ETags without quotes, whole files of a length
that it does not tell where a range was asked for, no X-Repo-Commit with a listing, redirects to paths that end in "/",
and "no such repo" (401) where a branch has no such file.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from huggingface_hub import HfFileSystem, close_session, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError

import hub
from tests.hub.models import compressed, sha256, weights

MISSING = [name for name in ("olah",) if importlib.util.find_spec(name) is None]
MISSING += [name for name in ("git",) if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {' and '.join(MISSING)}")

REPO = "org/model"
WEIGHTS = {"model.safetensors": weights(1), "sub/model.safetensors": weights(2)}
CONFIG = b'{"hidden_size": 128}\n'
SECONDS_TO_START = 60


class Mirror(NamedTuple):
    """Where olah answers, and the commit that it serves."""

    url: str
    commit: str


def make_repo(folder: Path, files: dict[str, bytes]) -> str:
    """A git repository as "git lfs" leaves it: pointers in its tree, objects beside it. Its commit."""
    nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for who in ("AUTHOR", "COMMITTER"):
        nobody |= {f"GIT_{who}_NAME": "test", f"GIT_{who}_EMAIL": "test@localhost"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*line: str) -> str:
        done = subprocess.run(["git", *line], cwd=folder, env=kept | nobody, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    folder.mkdir(parents=True)
    git("init", "--quiet", "--initial-branch=main")
    for name, content in files.items():
        if len(content) > 10_000:
            oid = sha256(content)
            place = folder / ".git" / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            content = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n".encode()
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    git("add", ".")
    git("commit", "--quiet", "--message", "model")
    return git("rev-parse", "HEAD")


def wait_for(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Until a server answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            opener.open(url, timeout=5).close()
            return
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"olah did not start:\n{log.read_text()}")
            time.sleep(0.1)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    """olah as a process of its own, over a repo with weft files and one without."""
    root = tmp_path_factory.mktemp("olah")
    stored = {f"{name}.weft": compressed(content, root) for name, content in WEIGHTS.items()}
    commit = make_repo(root / "mirrors" / "models" / REPO, {"config.json": CONFIG, **stored})
    make_repo(root / "mirrors" / "models" / "org" / "plain", {"config.json": CONFIG, **WEIGHTS})
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    basic = {"host": "127.0.0.1", "port": port, "repos-path": str(root / "repos")}
    lines = ["[basic]", *(f"{name} = {value!r}" for name, value in basic.items())]
    lines += [f"mirrors-path = [{str(root / 'mirrors')!r}]", "[accessibility]", "offline = true"]
    (root / "olah.toml").write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "olah.server", "--config", "olah.toml", "--log-path", "logs"]
    log = root / "olah.out"
    with (
        log.open("wb") as out,
        subprocess.Popen(command, cwd=root, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(process, url, log)
            yield Mirror(url, commit)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(autouse=True)
def no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No token goes along, and no connection stays."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    yield
    close_session()


def contents(folder: str | Path) -> dict[str, bytes]:
    root = Path(folder)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def revision_of(mirror: Mirror, named: str | None) -> str | None:
    return mirror.commit if named == "commit" else named


@pytest.mark.parametrize(
    "named",
    [
        "main",
        "commit",
        None,
    ],
)
def test_pull(mirror: Mirror, tmp_path: Path, named: str | None) -> None:
    report = hub.pull(REPO, revision=revision_of(mirror, named), cache_dir=tmp_path, endpoint=mirror.url, threads=1)
    assert report.commit == mirror.commit
    assert contents(report.folder) == {"config.json": CONFIG, **WEIGHTS}
    assert {file.name for file in report.files if file.action == "decoded"} == set(WEIGHTS)
    for name, content in WEIGHTS.items():
        assert (Path(report.folder) / name).resolve().name == sha256(content)


def test_pull_into_a_folder(mirror: Mirror, tmp_path: Path) -> None:
    hub.pull(REPO, revision="main", include="*.safetensors", local_dir=tmp_path, endpoint=mirror.url, threads=1)
    shutil.rmtree(tmp_path / ".cache")
    assert contents(tmp_path) == WEIGHTS


@pytest.mark.parametrize(
    "named",
    [
        "commit",
        "main",
    ],
)
def test_hook_on_one_file(mirror: Mirror, tmp_path: Path, named: str) -> None:
    for name, content in WEIGHTS.items():
        with hub.enabled():
            path = hf_hub_download(
                REPO, name, revision=revision_of(mirror, named), cache_dir=tmp_path, endpoint=mirror.url
            )
        assert Path(path).read_bytes() == content
        assert Path(path).resolve().name == sha256(content)


def test_hook_on_a_snapshot(mirror: Mirror, tmp_path: Path) -> None:
    with hub.enabled():
        some = snapshot_download(
            REPO, allow_patterns=["*.safetensors"], cache_dir=tmp_path / "some", endpoint=mirror.url
        )
        all_ = snapshot_download(REPO, cache_dir=tmp_path / "all", endpoint=mirror.url)
    assert contents(some) == WEIGHTS
    assert contents(all_) == {"config.json": CONFIG, **WEIGHTS}


def test_hook_on_listings(mirror: Mirror) -> None:
    """Only those: to GET what a branch has not, which the hook has to try first, olah answers 500."""
    with hub.enabled():
        files = HfFileSystem(endpoint=mirror.url, skip_instance_cache=True)
        root = f"{REPO}@main"
        assert set(files.find(root)) == {f"{root}/{name}" for name in ("config.json", *WEIGHTS)}
        assert {name: files.size(f"{root}/{name}") for name in WEIGHTS} == {n: len(c) for n, c in WEIGHTS.items()}


def test_a_repo_without_weft_files(mirror: Mirror, tmp_path: Path) -> None:
    with hub.enabled():
        folder = snapshot_download("org/plain", cache_dir=tmp_path, endpoint=mirror.url)
    assert contents(folder) == {"config.json": CONFIG, **WEIGHTS}
    pulled = hub.pull("org/plain", revision="main", cache_dir=tmp_path / "pull", endpoint=mirror.url)
    assert contents(pulled.folder) == {"config.json": CONFIG, **WEIGHTS}


@pytest.mark.parametrize(
    ("repo", "named"),
    [(REPO, "main"), (REPO, "commit"), (REPO, "elsewhere"), ("org/plain", "main"), ("org/no", "main")],
)
def test_what_is_absent_is_absent_with_the_hook_too(mirror: Mirror, tmp_path: Path, repo: str, named: str) -> None:
    def look(folder: str) -> tuple[type[HfHubHTTPError], int]:
        with pytest.raises(HfHubHTTPError) as raised:
            hf_hub_download(
                repo,
                "absent.safetensors",
                revision=revision_of(mirror, named),
                cache_dir=tmp_path / folder,
                endpoint=mirror.url,
            )
        return type(raised.value), raised.value.response.status_code

    without = look("without")
    with hub.enabled():
        assert look("with") == without
