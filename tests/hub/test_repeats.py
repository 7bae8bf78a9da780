"""Files in which tensors come twice: what is stored once goes over the wire about once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import hf_hub_download
from safetensors.numpy import save

import codec
import hub
from hub import ahead
from tests.hub.models import compressed, sha256, tied
from tests.hub.server import HubServer

MODEL = tied(5, between=7)
NAME = "model.safetensors"
TENSOR = 2048 * 512 * 2


@pytest.fixture
def weft(tmp_path: Path) -> bytes:
    return compressed(MODEL, tmp_path)


@pytest.fixture
def server(make_hub_server: Callable[..., HubServer], weft: bytes, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """With readers that soon forget what they received."""
    monkeypatch.setattr(ahead, "BEHIND", 7 << 20)
    monkeypatch.setattr(ahead, "AHEAD", 1 << 18)
    monkeypatch.setattr(ahead, "GAP", 4 << 20)
    monkeypatch.setattr(ahead, "AGAIN", 1 << 20)
    server = make_hub_server()
    server.add_repo("org/m", {f"{NAME}.weft": weft})
    return server


def test_pull_reads_back_what_it_wrote(server: HubServer, weft: bytes, tmp_path: Path) -> None:
    assert len(weft) < len(MODEL) - TENSOR + 10_000
    report = hub.pull("org/m", cache_dir=tmp_path / "c", endpoint=server.url, threads=1)
    (found,) = report.files
    assert found.sha256 == sha256(MODEL) and Path(found.path).read_bytes() == MODEL
    assert found.transferred_bytes == len(weft)


def test_what_a_kill_left_may_be_anything(server: HubServer, tmp_path: Path) -> None:
    """Even where copies are read from it."""
    folder = tmp_path / "c"
    hub.pull("org/m", cache_dir=folder, endpoint=server.url, threads=1)
    blob = next(folder.rglob(f"blobs/{sha256(MODEL)}"))
    for left in (bytes(len(MODEL) - TENSOR // 2), MODEL[: 3 * TENSOR], MODEL[:-1] + b"?"):
        blob.unlink(missing_ok=True)
        shutil.rmtree(folder / "models--org--m" / "snapshots")
        blob.with_name(f"{blob.name}.weft.incomplete").write_bytes(left)
        report = hub.pull("org/m", cache_dir=folder, endpoint=server.url, threads=1)
        assert (Path(report.folder) / NAME).read_bytes() == MODEL
    assert not list(folder.rglob("*.incomplete"))


def test_a_download_asks_again_for_what_comes_again(server: HubServer, weft: bytes, tmp_path: Path) -> None:
    hub.enable()
    try:
        path = hf_hub_download("org/m", NAME, cache_dir=tmp_path / "c", endpoint=server.url)
    finally:
        hub.disable()
    assert Path(path).read_bytes() == MODEL
    assert server.bytes_sent(".weft") < len(weft) + 2 * TENSOR + 100_000


def test_one_tensor_of_many(server: HubServer, weft: bytes) -> None:
    """The copy, from far away: its source is read, and nothing between them."""
    with codec.safe_open(_Remote(weft)) as f:
        found = f.get_tensor("layers.8.weight")
        assert found.tobytes() == MODEL[-TENSOR:]
        assert f.bytes_read < TENSOR * 1.3 + 70_000


class _Remote:
    """A seekable file object."""

    name = "remote"

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (len(self._data) if whence == 2 else 0)
        return self._at

    def read(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]


def test_a_tensor_near_an_earlier_one(make_hub_server: Callable[..., HubServer], tmp_path: Path) -> None:
    """Stored as a difference: pulled anew, pulled on from what a kill left, downloaded by the hook, read alone."""
    rng = np.random.default_rng(3)
    layers = [rng.normal(0, 0.02, (1024, 512)).astype(np.float32) for _ in range(4)]
    average = (layers[0] * (1 + 1e-3 * rng.normal(0, 1, (1024, 512)))).astype(np.float32)
    model = save({f"layers.{k}.weight": x for k, x in enumerate([*layers, average])})
    weft, server, folder = compressed(model, tmp_path), make_hub_server(), tmp_path / "c"
    assert len(weft) < len(codec.compress(model[: -average.nbytes])) + 0.72 * average.nbytes
    server.add_repo("org/m", {f"{NAME}.weft": weft})
    report = hub.pull("org/m", cache_dir=folder, endpoint=server.url)
    assert (Path(report.folder) / NAME).read_bytes() == model
    blob = next(folder.rglob(f"blobs/{sha256(model)}"))
    for left in (model[: -average.nbytes // 2], bytes(len(model) - average.nbytes)):
        blob.unlink(missing_ok=True)
        shutil.rmtree(folder / "models--org--m" / "snapshots")
        blob.with_name(f"{blob.name}.weft.incomplete").write_bytes(left)
        report = hub.pull("org/m", cache_dir=folder, endpoint=server.url, threads=1)
        assert (Path(report.folder) / NAME).read_bytes() == model
    hub.enable()
    try:
        path = hf_hub_download("org/m", NAME, cache_dir=tmp_path / "d", endpoint=server.url)
    finally:
        hub.disable()
    assert Path(path).read_bytes() == model
    with codec.safe_open(_Remote(weft)) as f:
        assert np.array_equal(f.get_tensor("layers.4.weight"), average)
