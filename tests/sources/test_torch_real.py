"""What torch itself saves, in both of its formats: bit-exact, and every tensor by name as torch gives it."""

from __future__ import annotations

import collections
import io
import warnings
from typing import Any

import pytest

import codec

torch = pytest.importorskip("torch", reason="needs torch, which makes the files")

NEW = pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])


def saved(value: Any, *, new: bool) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=new)
    return file.getvalue()


def opened(data: bytes, *, new: bool) -> dict[str, Any]:
    """The tensors by name, of a file that came back exactly."""
    blob = codec.compress(data, level="fast")
    assert codec.decompress(blob) == data
    assert codec.inspect_file(io.BytesIO(blob)).source == ("torch" if new else "torch-legacy")
    return dict(codec.load_file(io.BytesIO(blob), "torch"))


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert sorted(found) == sorted(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape, name
        assert torch.equal(bytes_of(found[name]), bytes_of(tensor)), name


def bytes_of(tensor: Any) -> Any:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)


TYPES = [
    "float64", "float32", "float16", "bfloat16", "complex64", "bool", "uint8", "int8", "uint16", "int16", "uint32",
    "int32", "uint64", "int64", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float8_e4m3fnuz", "float8_e5m2fnuz",
]  # fmt: skip


@NEW
def test_every_type(new: bool) -> None:
    names = [name for name in TYPES if hasattr(torch, name)]
    tensors = {n: torch.arange(1, 25).to(torch.float32).reshape(4, 6).to(getattr(torch, n)) for n in names}
    same(opened(saved(tensors, new=new), new=new), tensors)


@NEW
def test_shapes(new: bool) -> None:
    shapes = [(), (0,), (3, 0, 2), (1,), (1, 1, 1), (2, 3, 4, 5), (1,) * 30]
    tensors = {f"t{n}": torch.randn(shape) for n, shape in enumerate(shapes)}
    same(opened(saved(tensors, new=new), new=new), tensors)


@NEW
def test_nested_shared_and_views(new: bool) -> None:
    w, flat = torch.randn(6, 8), torch.randn(20)
    value = {
        "model": collections.OrderedDict({"embed.weight": w, "head": {"weight": w}}),
        "list": [torch.nn.Parameter(torch.randn(3)), (torch.ones(2), None, "text", 1.5)],
        "views": {"a": flat[:8].view(2, 4), "b": flat[8:12], "rows": w[2:4], "transposed": torch.randn(2, 3).t()},
        3: torch.tensor(7),
    }
    expected = {
        "model.embed.weight": w,
        "list.0": value["list"][0],
        "list.1.0": torch.ones(2),
        "views.a": value["views"]["a"],
        "views.b": flat[8:12],
        "3": torch.tensor(7),
    }
    same(opened(saved(value, new=new), new=new), expected)


@NEW
def test_a_training_checkpoint_and_a_whole_model(new: bool) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(5, 4)).sum().backward()
    optimizer.step()
    states = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 1}
    found = opened(saved(states, new=new), new=new)
    expected = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        expected |= {f"optimizer.state.{number}.{name}": tensor for name, tensor in state.items()}
    same(found, expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the source of a class could not be found
        whole = saved(model, new=new)
    found = opened(whole, new=new)
    gradients = {name for name in found if name not in model.state_dict()}
    same({n: t for n, t in found.items() if n not in gradients}, model.state_dict())


@NEW
def test_what_is_typed_but_has_no_name(new: bool) -> None:
    value = {"c": torch.randn(5, dtype=torch.complex128), "t": torch.randn(40, 30).t(), "n": torch.randn(64)[::2]}
    data = saved(value, new=new)
    assert opened(data, new=new) == {}
    kinds = codec.compress_file(io.BytesIO(data), io.BytesIO()).bits  # a file object is read as a pipe is
    assert set(kinds) == {""}


@NEW
def test_alone_and_quantised(new: bool) -> None:
    w = torch.randn(3, 4)
    same(opened(saved(w, new=new), new=new), {"tensor": w})
    same(opened(saved(torch.nn.Parameter(w), new=new), new=new), {"tensor": w})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        q = torch.quantize_per_tensor(w, 0.1, 3, torch.quint8)
        data = saved({"q": q}, new=new)
    same(opened(data, new=new), {"q": q.int_repr()})


def test_torchscript() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU()))
        file = io.BytesIO()
        torch.jit.save(model, file)
    found = opened(file.getvalue(), new=True)
    same(found, dict(model.state_dict()))


@pytest.mark.parametrize("protocol", [3, 4, 5])
@NEW
def test_other_protocols(protocol: int, new: bool) -> None:
    file, value = io.BytesIO(), {"a": {"w": torch.randn(4, 3)}, "b": [torch.ones(2, dtype=torch.bfloat16)]}
    torch.save(value, file, pickle_protocol=protocol, _use_new_zipfile_serialization=new)
    same(opened(file.getvalue(), new=new), {"a.w": value["a"]["w"], "b.0": value["b"][0]})
