"""The files that bench/kinds.py writes: the same each time, and recognised as what they are."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

import codec
from bench import kinds, packed
from bench.inputs import gaussian_f32

SOURCES = {"torch": "torch", "numpy": "np", "onnx": "onnx", "gguf": "gguf", "keras": "hdf5"}
SOURCES |= dict.fromkeys(("gptq", "awq", "bnb", "bitnet"), "safetensors")
EXTERNAL = "onnx-external-f32.onnx.data"


def few(parts: tuple[str, ...] = kinds.LAYERS) -> kinds.Weights:
    """Small tensors by the names that are asked for."""
    held = {kinds.EMBEDDING: gaussian_f32(5, 32, 64)}
    for number, layer in enumerate(kinds.LAYERS):
        held[f"{layer}output.dense.bias"] = gaussian_f32(10 * number + 20, 1, 64)[0]
        held[f"{layer}output.dense.weight"] = gaussian_f32(10 * number + 25, 64, 128)
    return {name: values for name, values in held.items() if name.startswith(parts)}


@pytest.fixture(autouse=True)
def small_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "weights", few)
    monkeypatch.setattr(packed, "weights", lambda: few())


def written(name: str, folder: Path) -> bytes:
    folder.mkdir()
    try:
        kinds.KINDS[name].write(folder / name)
    except ImportError as error:
        pytest.skip(str(error))
    return (folder / name).read_bytes()


@pytest.mark.parametrize("name", kinds.KINDS)
def test_files_are_the_same_each_time_and_recognised(name: str, tmp_path: Path) -> None:
    first, second = (written(name, tmp_path / folder) for folder in ("a", "b"))
    assert "legacy" in name or first == second
    found = codec.inspect_file(io.BytesIO(codec.compress(first)))
    assert found.original_bytes == len(first) > 4096
    if name == EXTERNAL:
        assert first == b"".join(values.tobytes() for values in few().values())
    else:
        assert found.source.startswith(SOURCES[name.split("-")[0]]), found.source
        assert name == "onnx-typed-f16.onnx" or found.tensors


def test_adam_has_its_moments(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    written("torch-adam-f32.pt", tmp_path / "a")
    held = torch.load(tmp_path / "a" / "torch-adam-f32.pt")
    state = held["optimizer"]["state"]
    assert len(state) == len(held["model"]) == 2
    assert state[0]["step"] == kinds.STEPS and (state[1]["exp_avg_sq"] > 0).all()


def test_tied_weights_share_a_storage_and_copies_do_not(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    tied, copies = ("torch-tied-bf16.pt", "torch-copies-bf16.pt")
    for name in (tied, copies):
        written(name, tmp_path / name.split(".")[0])
    held = torch.load(tmp_path / "torch-tied-bf16" / tied)
    assert held["lm_head.weight"].data_ptr() == held[kinds.EMBEDDING].data_ptr()
    held = torch.load(tmp_path / "torch-copies-bf16" / copies)
    name = f"{kinds.LAYERS[1]}output.dense.weight"
    assert torch.equal(held[name], held[f"ema.{name}"]) and held[name].data_ptr() != held[f"ema.{name}"].data_ptr()


def test_gguf_blocks_are_the_quantisers(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    written("gguf-Q4_0.gguf", tmp_path / "a")
    held = {t.name: t for t in gguf.GGUFReader(tmp_path / "a" / "gguf-Q4_0.gguf").tensors}
    assert held[kinds.EMBEDDING].tensor_type.name == "Q4_0"
    back = gguf.quants.dequantize(held[kinds.EMBEDDING].data, held[kinds.EMBEDDING].tensor_type)
    original = few((kinds.EMBEDDING,))[kinds.EMBEDDING]
    assert np.abs(back - original).max() < np.abs(original).max() / 7
