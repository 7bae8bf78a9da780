"""Tensors and rows straight from the Hub: what is not asked for is not transferred."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fsspec
import numpy as np
import pytest
import safetensors.numpy
from huggingface_hub import HfFileSystem

import codec
from tests.hub.models import compressed
from tests.hub.server import HubServer

RNG = np.random.default_rng(3)
TENSORS = {f"layers.{k}": RNG.normal(0, 0.02, (2048, 256)).astype(np.float32) for k in range(6)}
ORIGINAL = safetensors.numpy.save(TENSORS, {"format": "pt"})
NAME = "model.safetensors.weft"


@pytest.fixture
def server(make_hub_server: Callable[..., HubServer], tmp_path: Path) -> HubServer:
    server = make_hub_server(redirect=True)
    server.add_repo("org/m", {NAME: compressed(ORIGINAL, tmp_path)})
    return server


def test_a_url_reads_only_what_is_asked_for(server: HubServer, tmp_path: Path) -> None:
    """In a process of its own: the endpoint of hf:// is read when huggingface_hub is imported."""
    script = (
        "import codec, hashlib\n"
        f"with codec.safe_open('hf://org/m/{NAME}') as f:\n"
        "    opened = f.bytes_read\n"
        "    rows = f.get_slice('layers.3')[100:110]\n"
        "    some = f.bytes_read\n"
        "    tensor = f.get_tensor('layers.5')\n"
        "    print(len(f.keys()), opened, some, f.bytes_read, hashlib.sha256(rows).hexdigest(), tensor.shape)\n"
        f"print(codec.inspect_file('hf://org/m/{NAME}').original_bytes)\n"
    )
    environment = {**os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home")}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    keys, opened, some, all_read = map(int, ran.stdout.split()[:4])
    assert ran.stdout.split()[4] == hashlib.sha256(TENSORS["layers.3"][100:110].tobytes()).hexdigest()
    assert keys == 6 and ran.stdout.split()[-1] == str(len(ORIGINAL))
    stored = len(server.file("org/m", NAME))
    assert opened <= 66_000 and some - opened < stored / 6 and all_read < stored / 2
    # nothing comes that the reader did not ask for; the last line of the script opened the file once more
    assert server.bytes_sent(method="GET", server="storage") == all_read + opened


def test_any_file_object(server: HubServer) -> None:
    fs = HfFileSystem(endpoint=server.url, skip_instance_cache=True)
    with fs.open(f"org/m/{NAME}", "rb", cache_type="none") as file, codec.safe_open(file) as tensors:
        assert np.array_equal(tensors.get_slice("layers.0")[5:7, ::3], TENSORS["layers.0"][5:7, ::3])
        assert tensors.bytes_read < len(server.file("org/m", NAME)) / 4


def test_other_urls(tmp_path: Path) -> None:
    with fsspec.open("memory://a/x.weft", "wb") as file:
        file.write(codec.compress(TENSORS["layers.0"]))
    with codec.safe_open("memory://a/x.weft") as f:
        assert np.array_equal(f.get_tensor("data"), TENSORS["layers.0"])
    with codec.open_original("memory://a/x.weft") as original:
        assert original.read(100) == TENSORS["layers.0"].tobytes()[:100]
    with pytest.raises(FileNotFoundError):
        codec.safe_open("memory://a/none.weft")
    with pytest.raises(FileNotFoundError):
        codec.safe_open(tmp_path / "c:" / "x.weft")
