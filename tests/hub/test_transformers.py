"""transformers, as released, loads models that the Hub has in compressed form only.

The programs run as processes of their own, with HF_ENDPOINT and HF_HOME set as a user would, and most know nothing of
weft. A model counts as loaded if what it says to a fixed text is the same, bit for bit.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from huggingface_hub import constants
from safetensors import safe_open

import hub
from tests.hub import tiny_model
from tests.hub.server import HubServer

MISSING = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {' and '.join(MISSING)}")

CODEC_RUN = (sys.executable, "-P", "-m", "codec.cli.main", "run", "--")
REPOS = {f"org/{name}": name for name in tiny_model.MODELS}


class Models(NamedTuple):
    """Saved models, and what each of them says."""

    folder: Path
    digests: dict[str, str]

    def files(self, repo: str) -> dict[str, str]:
        """SHA-256 of each file that was saved."""
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (self.folder / REPOS[repo]).iterdir()
        }


class Programs:
    """Runs programs as a user of the Hub would. ``home`` is their HF_HOME."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder, self.home = folder, folder / "home"
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HF_", "HUGGING", "TRANSFORMERS_", "PYTHON")) and name != "CODEC_HUB"
        }
        self._environment = {
            **kept,
            "HF_HOME": str(self.home),
            "HF_ENDPOINT": endpoint,
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1",
            "OMP_NUM_THREADS": "1",
        }
        shutil.copy(tiny_model.__file__, folder)

    def write(self, name: str, text: str) -> str:
        """A program, beside the one that loads models."""
        (self.folder / name).write_text(text)
        return name

    def run(self, *line: str, hook: bool = False, **variables: str) -> Any:
        """Run a script of the folder; with ``hook`` by ``codec run``. What it printed, as JSON."""
        done = subprocess.run(
            [*(CODEC_RUN if hook else ()), sys.executable, str(self.folder / line[0]), *line[1:]],
            env={**self._environment, **variables},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert "hook is off" not in done.stderr
        return json.loads(done.stdout)

    def cached(self, repo: str, what: str) -> Path:
        """A folder of a repo in the cache."""
        return self.home / "hub" / f"models--{repo.replace('/', '--')}" / what

    def load(self, *repos: str, hook: bool = False, local: bool = False) -> dict[str, str]:
        """Load models by a program that knows nothing of weft."""
        return dict(self.run("tiny_model.py", "load", *repos, *(["--local-files-only"] if local else []), hook=hook))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The models of tiny_model, saved by transformers."""
    folder = tmp_path_factory.mktemp("models")
    programs = Programs(tmp_path_factory.mktemp("make"), "http://127.0.0.1:9")
    digests = programs.run("tiny_model.py", "make", str(folder), HF_HUB_OFFLINE="1")
    return Models(folder, {repo: digests[name] for repo, name in REPOS.items()})


@pytest.fixture(scope="module")
def pushed(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """A Hub to which they were pushed; org/plain has a model as it is, org/empty none."""
    with pytest.MonkeyPatch.context() as patch, HubServer(tmp_path_factory.mktemp("hub"), redirect=True) as server:
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        for repo, name in REPOS.items():
            hub.push(repo, models.folder / name, endpoint=server.url, token="secret", threads=1)
        plain = {path.name: path for path in (models.folder / "one-file").iterdir()}
        server.add_repo("org/plain", plain)
        server.add_repo("org/empty", {"config.json": plain["config.json"]})
        yield server
        assert server.errors == []


@pytest.fixture
def server(pushed: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """The same, which has forgotten what it was asked."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    pushed.reset()
    return pushed


@pytest.fixture
def programs(server: HubServer, tmp_path: Path) -> Programs:
    """Programs with a new HF_HOME, which use the server."""
    return Programs(tmp_path, server.url)


def models_stored(server: HubServer, repo: str) -> int:
    """Bytes of the weft files of a repo."""
    found = server.store.find(repo, "model")
    assert found is not None
    return sum(entry.size for name, entry in found.find("main").tree.items() if name.endswith(".weft"))


@pytest.fixture(scope="module")
def spoilt(pushed: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A HF_HOME in which the weights of two repos are marked as absent: programs without the hook looked for them."""
    programs = Programs(tmp_path_factory.mktemp("spoilt"), pushed.url)
    for found in programs.load("org/one-file", "org/sharded").values():
        assert "does not appear to have" in found
    for repo in ("org/one-file", "org/sharded"):
        (markers,) = programs.cached(repo, ".no_exist").iterdir()
        assert (markers / "model.safetensors").exists()
    return programs.home


def names_of_weights(models: Models, repo: str) -> set[str]:
    return {name for name in models.files(repo) if name.endswith(".safetensors")}


def assert_only_compressed(server: HubServer, models: Models, repos: Iterable[str]) -> None:
    """The wire saw weft files, each of them once, and no original's bytes."""
    assert server.bytes_sent(".safetensors") == 0
    stored = originals = 0
    for repo in repos:
        found = server.store.find(repo, "model")
        assert found is not None
        stored += sum(entry.size for name, entry in found.find("main").tree.items() if name.endswith(".weft"))
        originals += sum((models.folder / REPOS[repo] / name).stat().st_size for name in names_of_weights(models, repo))
    assert stored < 0.9 * originals
    assert stored <= server.bytes_sent(".safetensors.weft") <= stored + 0.01 * originals


def test_the_repos_hold_weft_files_only(server: HubServer, models: Models) -> None:
    assert len(names_of_weights(models, "org/sharded")) >= 3
    for repo in REPOS:
        found = server.store.find(repo, "model")
        assert found is not None
        tree = found.find("main").tree
        weights = names_of_weights(models, repo)
        assert {name for name in tree if name.endswith(".weft")} == {f"{name}.weft" for name in weights}
        assert set(tree) - {f"{name}.weft" for name in weights} == set(models.files(repo)) - weights | {
            "README.md",
            ".gitattributes",
        }


def test_pull_then_load_without_the_network(server: HubServer, models: Models, programs: Programs) -> None:
    cache = programs.home / "hub"
    for repo in REPOS:
        report = hub.pull(repo, cache_dir=cache, endpoint=server.url, token=False, threads=1)
        snapshot = Path(report.folder)
        found = {name: hashlib.sha256((snapshot / name).read_bytes()).hexdigest() for name in models.files(repo)}
        assert found == models.files(repo)
        assert {file.name: file.sha256 for file in report.files if file.action == "decoded"} == {
            name: models.files(repo)[name] for name in names_of_weights(models, repo)
        }
        # as vLLM looks for weights
        weights = sorted(snapshot.glob("*.safetensors"))
        assert {path.name for path in weights} == names_of_weights(models, repo)
        for path in weights:
            assert path.is_file() and path.resolve().parent == snapshot.parents[1] / "blobs"
            with (
                safe_open(path, framework="np") as mine,
                safe_open(models.folder / REPOS[repo] / path.name, "np") as theirs,
            ):
                assert list(mine.keys()) == list(theirs.keys()) != []
    assert_only_compressed(server, models, REPOS)
    server.reset()
    assert programs.load(*REPOS, local=True) == models.digests
    assert server.requests(pattern="org/") == []
    assert programs.load(*REPOS) == models.digests
    assert server.requests("GET", r"\.safetensors|\.weft") == []


def test_a_program_run_by_codec_run(server: HubServer, models: Models, programs: Programs) -> None:
    assert programs.load(*REPOS, hook=True) == models.digests
    assert_only_compressed(server, models, REPOS)
    for repo in REPOS:
        (snapshot,) = programs.cached(repo, "snapshots").iterdir()
        for name in names_of_weights(models, repo):
            assert (snapshot / name).resolve().name == models.files(repo)[name]


def test_a_program_whose_downloads_go_through_xet(server: HubServer, models: Models, tmp_path: Path) -> None:
    repo = "org/sharded"
    found = server.store.find(repo, "model")
    assert found is not None
    content = {name: server.file(repo, name) for name in found.find("main").tree}
    with HubServer(tmp_path / "server", xet=True) as other:
        other.add_repo(repo, content)
        assert Programs(tmp_path, other.url).load(repo, hook=True) == {repo: models.digests[repo]}
        assert other.requests("GET", "xet-read-token") != []
        assert other.errors == []


def test_pull_mends_a_cache_in_which_the_weights_are_known_to_be_absent(
    server: HubServer, models: Models, programs: Programs, spoilt: Path
) -> None:
    shutil.copytree(spoilt, programs.home, symlinks=True)
    repos = ["org/one-file", "org/sharded"]
    for repo in repos:
        hub.pull(repo, cache_dir=programs.home / "hub", endpoint=server.url, token=False, threads=1)
    assert programs.load(*repos, local=True) == {repo: models.digests[repo] for repo in repos}


def test_the_hook_mends_a_cache_in_which_the_weights_are_known_to_be_absent(
    server: HubServer, models: Models, programs: Programs, spoilt: Path
) -> None:
    shutil.copytree(spoilt, programs.home, symlinks=True)
    repos = ["org/one-file", "org/sharded"]
    assert programs.load(*repos, hook=True) == {repo: models.digests[repo] for repo in repos}


CACHED = """
import json, sys
from huggingface_hub import hf_hub_download
from transformers.utils import cached_file

name = ("org/one-file", "model.safetensors")
if sys.argv[1] == "download":
    hf_hub_download(*name)
json.dump(cached_file(*name, _raise_exceptions_for_missing_entries=False), sys.stdout)
"""


def test_a_file_that_was_known_to_be_absent_is_seen_once_it_is_downloaded(
    server: HubServer, models: Models, programs: Programs, spoilt: Path
) -> None:
    shutil.copytree(spoilt, programs.home, symlinks=True)
    script = programs.write("cached.py", CACHED)
    assert programs.run(script, "look") is None
    found = programs.run(script, "download", hook=True)
    assert found is not None
    assert hashlib.sha256(Path(found).read_bytes()).hexdigest() == models.files("org/one-file")["model.safetensors"]


CHILDREN = """
import hashlib, json, multiprocessing, sys

def sha256(name):
    if name.endswith("index.json"):
        from transformers.utils import cached_file
        path = cached_file("org/sharded", name)
    else:
        from huggingface_hub import hf_hub_download
        path = hf_hub_download("org/sharded", name)
    return name, hashlib.sha256(open(path, "rb").read()).hexdigest()

if __name__ == "__main__":
    how, first, *names = sys.argv[1:]
    found = [sha256(first)]
    with multiprocessing.get_context(how).Pool(2) as pool:
        found += pool.map(sha256, names, chunksize=1)
    json.dump(dict(found), sys.stdout)
"""


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_processes_that_a_program_starts(server: HubServer, models: Models, programs: Programs, how: str) -> None:
    files = models.files("org/sharded")
    names = sorted(name for name in files if name.startswith("model"))
    found = programs.run(programs.write("children.py", CHILDREN), how, *names, hook=True)
    assert found == {name: files[name] for name in names}
    assert server.bytes_sent(".safetensors") == 0


ENABLED = """
import json, pathlib, sys

import hub

hub.enable()

from huggingface_hub import snapshot_download
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
from transformers.utils import cached_file

import tiny_model

repo = "org/sharded"
found = {"config": AutoConfig.from_pretrained(repo).hidden_size}
found["shard"] = cached_file(repo, "model-00002-of-00005.safetensors")
found["absent"] = cached_file(repo, "model.safetensors", _raise_exceptions_for_missing_entries=False)
folder = pathlib.Path(snapshot_download(repo, allow_patterns=["*.safetensors"]))
found["snapshot"] = sorted(path.name for path in folder.glob("*.safetensors"))
found["digest"] = tiny_model.digest(AutoModelForCausalLM.from_pretrained(repo))
model, loading = AutoModel.from_pretrained("org/one-file", output_loading_info=True)
found["missing"] = sorted(loading["missing_keys"])
found["dtype"] = str(model.dtype)
hub.disable()
found["offline"] = tiny_model.digest(AutoModelForCausalLM.from_pretrained(repo, local_files_only=True))
json.dump(found, sys.stdout)
"""


def test_a_program_that_enables_the_hook(server: HubServer, models: Models, programs: Programs) -> None:
    repo, shard = "org/sharded", "model-00002-of-00005.safetensors"
    found = programs.run(programs.write("enabled.py", ENABLED))
    assert hashlib.sha256(Path(found.pop("shard")).read_bytes()).hexdigest() == models.files(repo)[shard]
    assert found == {
        "config": 128,
        "absent": None,
        "snapshot": sorted(names_of_weights(models, repo)),
        "digest": models.digests[repo],
        "missing": [],
        "dtype": "torch.bfloat16",
        "offline": models.digests[repo],
    }
    assert_only_compressed(server, models, ["org/one-file", repo])


def test_repos_without_weft_files_are_asked_the_same(server: HubServer, models: Models, programs: Programs) -> None:
    repos = ["org/plain", "org/empty", "org/plain"]
    asked, answers = [], []
    for hook in (False, True):
        shutil.rmtree(programs.home, ignore_errors=True)
        server.reset()
        answers.append(programs.load(*repos, hook=hook))
        asked.append([(record.method, record.path) for record in server.requests(pattern="org/")])
    assert answers[0] == answers[1]
    assert answers[0]["org/plain"] == models.digests["org/one-file"] and "OSError" in answers[0]["org/empty"]
    assert any(path.endswith(".safetensors") and method == "GET" for method, path in asked[0])
    # what the Hub does not have is asked for once more, in its compressed form
    more = [line for line in asked[1] if line[1].endswith(".weft")]
    assert [line for line in asked[1] if line not in more] == asked[0]
    missed = [record.path for record in server.requests("HEAD") if record.status == 404]
    assert all(asked[1].count(line) == 1 and line[1].removesuffix(".weft") in missed for line in more)
    assert not any("org/plain" in path for _, path in more)
