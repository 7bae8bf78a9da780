"""Model files as their usual writers make them: weights of all-MiniLM-L6-v2 through torch, numpy, onnx, gguf, h5py,
and packed codes as GPTQ, AWQ, bitsandbytes and BitNet have them (bench.packed).

    python -m bench.kinds [NAME ...]

writes them (default: all) into the cache folder, where `bench.run --files kinds` finds them, and prints their paths.
The same packages write the same bytes each time; except torch's legacy format, which names tensors by their
addresses in memory and sorts by that, so that its order changes from one writing to the next.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench import minilm
from bench.inputs import gaussian_f32, row_scales

Weights = dict[str, np.ndarray]
EMBEDDING = "embeddings.word_embeddings.weight"
LAYERS = ("encoder.layer.4.", "encoder.layer.5.")
STEPS = 10  # of Adam
RANK = 4  # of its gradients


@cache
def weights(parts: tuple[str, ...] = LAYERS) -> Weights:
    """The fp32 tensors whose names start with one of the parts, in the order of their names."""
    from safetensors.numpy import load_file

    found = load_file(minilm.variant("float32"))
    return {name: found[name] for name in sorted(found) if name.startswith(parts)}


def tensors(held: Weights, dtype: str = "float32") -> dict[str, Any]:
    """The same as torch tensors of a type, each with storage of its own."""
    import torch

    if dtype == "bfloat16":
        return {k: torch.from_numpy(minilm.to_bfloat16(v).view(np.int16)).view(torch.bfloat16) for k, v in held.items()}
    return {k: torch.from_numpy(v.astype(dtype)) for k, v in held.items()}


def torch_file(path: Path, dtype: str = "float32", legacy: bool = False) -> None:
    import torch

    torch.save(tensors(weights(), dtype), path, _use_new_zipfile_serialization=not legacy)


def torch_tied(path: Path) -> None:
    """An embedding that is the output layer too: two names of one storage, as tied weights are saved."""
    import torch

    held = tensors(weights((EMBEDDING,)), "bfloat16")
    torch.save({**held, "lm_head.weight": held[EMBEDDING]}, path)


def torch_tied_copies(path: Path) -> None:
    """The same after something cloned every tensor: the weights are in the file twice."""
    import torch

    held = tensors(weights(LAYERS[1:]), "bfloat16")
    torch.save({**held, **{f"ema.{name}": values.clone() for name, values in held.items()}}, path)


def torch_adam(path: Path) -> None:
    """A training checkpoint: one layer, and the state torch's Adam has after some steps of low-rank gradients."""
    import torch

    held = {name: torch.nn.Parameter(values) for name, values in tensors(weights(LAYERS[1:])).items()}
    optimizer = torch.optim.Adam(held.values(), lr=1e-5, foreach=False)
    for step in range(STEPS):
        for number, values in enumerate(held.values()):
            values.grad = torch.from_numpy(gradient(1000 * number + 10 * step, tuple(values.shape)))
        optimizer.step()
    model = {name: values.detach() for name, values in held.items()}
    torch.save({"epoch": 1, "model": model, "optimizer": optimizer.state_dict()}, path)


def gradient(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """A sum of outer products, as a linear layer has it of a small batch, each sample at a scale of its own."""
    if len(shape) == 1:
        return gaussian_f32(seed, 1, shape[0])[0]
    errors, activations = gaussian_f32(seed, RANK, shape[0]), gaussian_f32(seed + 5, RANK, shape[1])
    errors *= (row_scales(seed + 9, RANK) * 2.0**38).astype(np.float32)
    total = np.zeros(shape, np.float32)
    for error, activation in zip(errors, activations, strict=True):
        total += error[:, None] * activation[None, :]  # no BLAS, whose sums depend on the machine
    return total


def numpy_savez(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, **weights())  # type: ignore[arg-type]


def numpy_save(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, weights((EMBEDDING,))[EMBEDDING].astype(np.float16))


def onnx_model(held: Weights, raw: bool) -> Any:
    """A model of initialisers, in raw_data or in the typed fields (float_data, and int32_data for fp16)."""
    from onnx import helper

    listed = []
    for name, values in held.items():
        kind = helper.np_dtype_to_tensor_dtype(values.dtype)
        data = values.tobytes() if raw else values.reshape(-1)
        listed.append(helper.make_tensor(name, kind, values.shape, data, raw=raw))
    return helper.make_model(helper.make_graph([], "weights", [], [], listed), producer_name="bench")


def onnx_file(path: Path, dtype: str, raw: bool, parts: tuple[str, ...] = LAYERS) -> None:
    held = {name: values.astype(dtype) for name, values in weights(parts).items()}
    path.write_bytes(onnx_model(held, raw).SerializeToString(deterministic=True))


def onnx_external(path: Path) -> None:
    """What lies beside a model that keeps its tensors outside: the file of their bytes alone."""
    import onnx

    model, beside = onnx_model(weights(), True), str(path.with_suffix(""))
    onnx.save_model(model, beside, save_as_external_data=True, location=path.name, size_threshold=0)


def gguf_file(path: Path, kind: str) -> None:
    """GGUF by the gguf package's writer and its own quantisers: matrices of the type, the rest in fp32."""
    import gguf

    number = gguf.GGMLQuantizationType[kind]
    writer = gguf.GGUFWriter(path, "bert")
    for name, values in weights(LAYERS if kind in ("F16", "BF16") else (EMBEDDING, *LAYERS)).items():
        if values.ndim == 2:
            writer.add_tensor(name, gguf.quants.quantize(values, number), raw_dtype=number)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def hdf5_file(path: Path) -> None:
    """One data set a tensor, in groups, as Keras keeps its weights."""
    import h5py

    with h5py.File(path, "w") as file:
        for name, values in weights().items():
            file.create_dataset(name.replace(".", "/"), data=values)


def packed_file(path: Path, packer: str) -> None:
    """See bench.packed, which takes its weights from here."""
    from bench import packed

    packed.packed_file(path, packer)


@dataclass(frozen=True)
class Kind:
    """How a file is written, and what the codecs that want to be told are told."""

    write: Callable[[Path], None]
    dtype: str


KINDS: dict[str, Kind] = {
    "torch-f32.pt": Kind(torch_file, "float32"),
    "torch-f16.pt": Kind(partial(torch_file, dtype="float16"), "float16"),
    "torch-bf16.pt": Kind(partial(torch_file, dtype="bfloat16"), "bfloat16"),
    "torch-tied-bf16.pt": Kind(torch_tied, "bfloat16"),
    "torch-copies-bf16.pt": Kind(torch_tied_copies, "bfloat16"),
    "torch-adam-f32.pt": Kind(torch_adam, "float32"),
    "torch-legacy-f32.pth": Kind(partial(torch_file, legacy=True), "float32"),
    "torch-legacy-bf16.pth": Kind(partial(torch_file, dtype="bfloat16", legacy=True), "bfloat16"),
    "numpy-f32.npz": Kind(numpy_savez, "float32"),
    "numpy-f16.npy": Kind(numpy_save, "float16"),
    "onnx-raw-f32.onnx": Kind(partial(onnx_file, dtype="float32", raw=True), "float32"),
    "onnx-raw-f16.onnx": Kind(partial(onnx_file, dtype="float16", raw=True), "float16"),
    "onnx-typed-f32.onnx": Kind(partial(onnx_file, dtype="float32", raw=False), "float32"),
    "onnx-typed-f16.onnx": Kind(partial(onnx_file, dtype="float16", raw=False, parts=LAYERS[1:]), "opaque"),
    "onnx-external-f32.onnx.data": Kind(onnx_external, "float32"),
    **{
        f"gguf-{kind}.gguf": Kind(partial(gguf_file, kind=kind), dtype)
        for kind, dtype in {
            **{"F16": "float16", "BF16": "bfloat16"},
            **dict.fromkeys(("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4"), "opaque"),
        }.items()
    },
    "keras-f32.h5": Kind(hdf5_file, "float32"),
    **{
        f"{packer}.safetensors": Kind(partial(packed_file, packer=packer), "opaque")
        for packer in ("gptq-int4", "gptq-int2", "awq-int4", "bnb-nf4", "bitnet-ternary")
    },
}


def make(name: str) -> Path:
    """Path of a file, written if it isn't there yet. Raises ImportError where its writer is not installed."""
    path = minilm.cache_folder() / "kinds" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as folder:  # under its own name, which torch writes into the file
            KINDS[name].write(Path(folder, name))
            Path(folder, name).replace(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="Write model files of every kind from real weights.")
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(KINDS)}")
    for name in parser.parse_args().names or KINDS:
        try:
            print(make(name))
        except ImportError as error:
            print(f"{name}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
