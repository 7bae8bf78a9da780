"""PyTorch files made byte by byte, as torch writes them, where torch is not there."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C
CLASSES = {"float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage", "uint8": "ByteStorage"}


@dataclass(frozen=True)
class Name:
    """A global."""

    module: str
    name: str


@dataclass(frozen=True)
class Call:
    function: object
    arguments: object
    state: object = None


@dataclass(frozen=True)
class Pid:
    id: object


class Writer:
    """Opcodes of protocol 2. Strings and globals are remembered; tuples of up to three have opcodes of their own."""

    def __init__(self) -> None:
        self.out = bytearray(b"\x80\x02")
        self.memo: dict[object, int] = {}

    def put(self, value: Any) -> None:
        if isinstance(value, (str, Name)):
            if value in self.memo:
                self.out += b"h" + bytes((self.memo[value],)) if self.memo[value] < 256 else long_get(self.memo[value])
                return
            raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b""
            if isinstance(value, Name):
                self.out += f"c{value.module}\n{value.name}\n".encode()
            else:
                self.out += b"X" + len(raw).to_bytes(4, "little") + raw
            self.memo[value] = number = len(self.memo)
            self.out += b"q" + bytes((number,)) if number < 256 else b"r" + number.to_bytes(4, "little")
        elif value is None or isinstance(value, bool):
            self.out += {None: b"N", True: b"\x88", False: b"\x89"}[value]
        elif isinstance(value, int):
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            small = b"K" + bytes((value,)) if 0 <= value < 256 else b"\x8a" + bytes((len(raw),)) + raw
            self.out += small
        elif isinstance(value, tuple):
            if len(value) > 3:
                self.out += b"("
            for item in value:
                self.put(item)
            self.out += {0: b")", 1: b"\x85", 2: b"\x86", 3: b"\x87"}.get(len(value), b"t")
        elif isinstance(value, (list, dict)):
            self.out += b"](" if isinstance(value, list) else b"}("
            for item in value:
                self.put(item)
                if isinstance(value, dict):
                    self.put(value[item])
            self.out += b"e" if isinstance(value, list) else b"u"
        elif isinstance(value, Call):
            self.put(value.function)
            self.put(value.arguments)
            self.out += b"R"
            if value.state is not None:
                self.put(value.state)
                self.out += b"b"
        else:
            assert isinstance(value, Pid)
            self.put(value.id)
            self.out += b"Q"


def long_get(number: int) -> bytes:
    return b"j" + number.to_bytes(4, "little")


def pickled(value: object) -> bytes:
    writer = Writer()
    writer.put(value)
    return bytes(writer.out) + b"."


def storage(key: str, dtype: str, count: int, *more: object) -> Pid:
    return Pid(("storage", Name("torch", CLASSES[dtype]), key, "cpu", count, *more))


def tensor(of: Pid, shape: tuple[int, ...], offset: int = 0, stride: tuple[int, ...] | None = None) -> Call:
    if stride is None:
        steps = [1]
        for n in shape[:0:-1]:
            steps.append(steps[-1] * max(n, 1))
        stride = tuple(reversed(steps[: len(shape)]))
    hooks = Call(Name("collections", "OrderedDict"), ())
    return Call(Name("torch._utils", "_rebuild_tensor_v2"), (of, offset, shape, stride, False, hooks))


def parameter(data: Call) -> Call:
    return Call(Name("torch._utils", "_rebuild_parameter"), (data, True, Call(Name("collections", "OrderedDict"), ())))


def whole(key: str, array: NDArray[Any], *more: object) -> Call:
    """A tensor that covers its storage."""
    return tensor(storage(key, str(array.dtype), array.size, *more), array.shape)


def zipped(value: object, held: dict[str, NDArray[Any]], **members: bytes) -> bytes:
    """What torch.save makes. ``members``: more in the folder, or instead."""
    parts = {"data.pkl": pickled(value), "byteorder": b"little"}
    parts |= {f"data/{key}": array.tobytes() for key, array in held.items()} | {"version": b"3\n"} | members
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content)
    return file.getvalue()


def legacy(value: object, held: dict[str, NDArray[Any]], *, little: bool = True, version: int = 1001) -> bytes:
    """What torch.save made before 1.6."""
    system = {"protocol_version": version, "little_endian": little, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    out = pickled(MAGIC) + pickled(version) + pickled(system) + pickled(value) + pickled(list(held))
    return out + b"".join(array.size.to_bytes(8, "little") + array.tobytes() for array in held.values())


def arrays() -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(1)
    return {
        "0": random.standard_normal((4, 6)).astype(np.float32),
        "1": random.standard_normal(10).astype(np.float16),
        "2": np.arange(3),
        "3": random.integers(0, 9, 50).astype(np.uint8),
    }


def checkpoint(more: tuple[object, ...] = ()) -> tuple[object, dict[str, NDArray[Any]]]:
    """A dictionary in a dictionary, a parameter, a list, a view, a tensor twice; and its storages."""
    held = arrays()
    weight = whole("0", held["0"], *more)
    half = storage("1", "float16", 10, *more)
    value = {
        "model": {"w": parameter(weight), "tied": weight, "step": whole("2", held["2"], *more)},
        "parts": [tensor(half, (2, 2)), tensor(half, (2,), 8), tensor(half, (3, 2), 0, (1, 3))],
        "epoch": 7,
        1: whole("3", held["3"], *more),
    }
    return value, held
