"""A command to call, and small files to call it on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.cli.calls import Here


@pytest.fixture
def codec(capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)


@pytest.fixture(scope="session")
def model_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A safetensors file of 192 KiB, which compresses."""
    rng = np.random.default_rng(7)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    tensors = {
        "layer.weight": rng.normal(0, 0.02, (256, 128)).astype(np.float32),
        "half.weight": rng.normal(0, 0.02, (128, 256)).astype(np.float16),
    }
    save_file(tensors, path, metadata={"format": "np"})
    return path.read_bytes()


@pytest.fixture
def model(tmp_path: Path, model_bytes: bytes) -> Path:
    """That file in a folder of its own."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(model_bytes)
    return path


@pytest.fixture
def packed(model: Path, codec: Here) -> Path:
    """The compressed file beside it."""
    codec.well("compress", model, "--quiet")
    return model.with_name("model.safetensors.weft")
