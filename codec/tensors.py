"""Tensors of a weft file by name, as safetensors gives those of its files."""

from __future__ import annotations

import contextlib
import functools
import importlib
import operator
import os
import weakref
from collections.abc import Iterator, Mapping
from math import prod
from types import TracebackType
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from codec.access import FileSource, opened
from codec.container.index import TensorEntry, tensor_offsets
from codec.dtypes import DTYPES, DType
from codec.engine import in_order, thread_count
from codec.errors import CorruptFileError, LimitExceededError
from codec.limits import SAFETENSORS_HEADER_MAX
from codec.reader import Task, WeftFile, room_for
from codec.report import Report
from codec.sources.safetensors import NotSafetensorsError, metadata_of
from codec.stages.geometry import Bytes
from codec.storage import AtomicFile, BytesOriginal

PathOrFile = str | os.PathLike[str] | BinaryIO

#: Original bytes from which decoding uses every processor.
PARALLEL_BYTES: Final = 1 << 23

_FRAMEWORKS: Final = {
    **dict.fromkeys(("np", "numpy"), "numpy"),
    **dict.fromkeys(("pt", "torch", "pytorch"), "torch"),
    **dict.fromkeys(("jax", "flax"), "jax"),
    **dict.fromkeys(("tf", "tensorflow"), "tensorflow"),
    "mlx": "mlx",
    "paddle": "paddle",
}
_SAME_WIDTH: Final = {1: np.uint8, 2: np.int16, 4: np.int32, 8: np.int64}


def safe_open(path: PathOrFile, framework: str = "numpy", device: str | int | None = "cpu") -> TensorFile:
    """Open a weft file as ``safetensors.safe_open`` opens a safetensors file: tensors by name, decoded when asked for.

    ``path``: a path, a URL that fsspec knows ("hf://org/repo/model.safetensors.weft": then header, index and what is
    asked for are read, and nothing else), or a seekable binary file object (which is left open). ``framework``: "numpy"
    ("np"), "torch" ("pt", "pytorch") or "jax" ("flax"), which must be installed. ``device``: where torch tensors go;
    numpy and jax know only "cpu".

    numpy arrays of bf16 and 8-bit floats have the types of ``ml_dtypes`` if that is installed, else the unsigned
    integer type of the same width. Types below 8 bits (F4, F6_E2M3, F6_E3M2) come as their raw bytes, uint8: the last
    dimension counts the bytes of a row, and there is only one dimension if a row is not a whole number of bytes. In
    torch those of F4 have the type float4_e2m1fn_x2.

    Tensors are those of the original, whatever its kind (safetensors, PyTorch, GGUF, ONNX, TFLite, HDF5, NumPy): those
    of GGUF's quantised types come as the bytes of their blocks, uint8, a row at a time. Of tensors that share their
    bytes one is there. An original of no known kind has no keys.

    Raises OSError, NotWeftError and the other errors of codec.errors; SafetensorError for a framework or device that is
    not known; ModuleNotFoundError for a framework that is not installed.

    >>> import codec, numpy, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors.weft"
    >>> _ = codec.save_file({"w": numpy.arange(6, dtype="float32").reshape(3, 2)}, path, metadata={"format": "np"})
    >>> with codec.safe_open(path) as f:
    ...     f.keys(), f.metadata(), f.get_tensor("w").shape, f.get_slice("w")[1:, 0].tolist()
    (['w'], {'format': 'np'}, (3, 2), [2.0, 4.0])
    """
    return TensorFile(path, framework, device)


def load_file(path: PathOrFile, framework: str = "numpy") -> dict[str, Any]:
    """Every tensor of a weft file, in order of offset, decoded by every processor if there are 8 MiB of them.

    Raises what :func:`safe_open` raises.

    >>> import codec, numpy, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors.weft"
    >>> _ = codec.save_file({"w": numpy.ones(3, "float16")}, path)
    >>> codec.load_file(path)
    {'w': array([1., 1., 1.], dtype=float16)}
    """
    with safe_open(path, framework) as file:
        return file.get_tensors()


def save_file(
    tensors: Mapping[str, Any],
    path: str | os.PathLike[str],
    metadata: dict[str, str] | None = None,
    level: str = "default",
    threads: int | None = None,
) -> Report:
    """Save tensors as a weft file, whose original is the file that the ``save_file`` of safetensors would write.

    ``tensors``: numpy arrays (``ml_dtypes`` ones too), whatever ``numpy.asarray`` makes one of without looking at
    elements (jax arrays), or torch tensors, all of one kind. Arrays that are not contiguous are copied first. Needs
    memory for one copy of all tensors. ``threads``: None for all processors. A file of that name is replaced, in one
    step when the new one is complete.

    Raises SafetensorError for element types that safetensors does not know, TypeError for what is no tensor,
    ValueError, OSError.

    >>> import codec, numpy, pathlib, safetensors.numpy, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors.weft"
    >>> tensors = {"w": numpy.zeros((64, 64), "int8")}
    >>> _ = codec.save_file(tensors, path)
    >>> codec.decompress(path.read_bytes()) == safetensors.numpy.save(tensors)
    True
    """
    from codec import writer

    original, name = BytesOriginal(_serialized(dict(tensors), metadata)), os.fsdecode(path)
    with AtomicFile(name, force=True) as out:
        again = lambda header: out.write_at(header, 0)  # noqa: E731
        return writer.write(original, out.write, level=level, threads=threads, name=name, again=again)


def _serialized(tensors: dict[str, Any], metadata: dict[str, str] | None) -> bytes:
    if any(type(t).__module__.split(".")[0] == "torch" for t in tensors.values()):
        from safetensors.torch import save as save_torch

        return save_torch(tensors, metadata)
    from safetensors.numpy import save

    for name, tensor in tensors.items():
        if not hasattr(tensor, "dtype"):
            raise TypeError(f"tensor {name!r}: expected an array, found {type(tensor).__name__}")
    return save({name: np.asarray(t, order="C") for name, t in tensors.items()}, metadata)


class TensorFile:
    """What :func:`safe_open` gives, with the methods of ``safetensors.safe_open``, for use from any thread.

    Every method raises SafetensorError once the file is closed (as do slices that it gave, unlike those of
    safetensors), and the errors of codec.errors where the file is damaged.
    """

    def __init__(self, path: PathOrFile, framework: str = "numpy", device: str | int | None = "cpu") -> None:
        self._give = _Framework(framework, device)
        with contextlib.ExitStack() as stack:
            self._source = FileSource(*stack.enter_context(opened(path)))
            held = WeftFile(self._source)
            self._release = weakref.finalize(self, stack.pop_all().close)
        self._file: WeftFile | None = held
        starts = tensor_offsets(held.index, held.starts)
        self._tensors = {t.name: (t, start) for t, start in zip(held.index.tensors, starts, strict=True)}

    def keys(self) -> list[str]:
        """Names of the tensors, in order of name."""
        return sorted(self.offset_keys())

    def offset_keys(self) -> list[str]:
        """Names of the tensors, in the order in which they lie in the original."""
        self._opened()
        return list(self._tensors)

    def metadata(self) -> dict[str, str] | None:
        """The ``__metadata__`` of the safetensors header; None if there is none."""
        file = self._opened()
        if file.index.source != "safetensors":
            return None
        most = min(file.index.original, 8 + SAFETENSORS_HEADER_MAX)
        length = int.from_bytes(file.read(0, min(8, most)).tobytes(), "little")
        try:
            return metadata_of(file.read(0, min(8 + length, most)).tobytes())
        except NotSafetensorsError as e:
            raise CorruptFileError(f"{file.name}: says that its original is a safetensors file, but {e}") from None

    def get_tensor(self, name: str) -> Any:
        """A whole tensor. Raises SafetensorError if there is none of that name."""
        tensor, start = self._find(name)
        out = room_for(_size(tensor), tensor.name)
        self._fill([(start, out)])
        return self._give(out, tensor)

    @property
    def bytes_read(self) -> int:
        """Bytes of the weft file that were read so far: what came over the wire, where it lies behind one.

        >>> import codec, io, numpy
        >>> blob = codec.compress(numpy.random.default_rng(0).normal(size=(4096, 256)).astype("float32"))
        >>> f = codec.safe_open(io.BytesIO(blob))
        >>> _ = f.get_slice("data")[7:9]
        >>> f.bytes_read < len(blob) / 4
        True
        """
        return self._source.received

    def get_tensors(self) -> dict[str, Any]:
        """Every tensor, in order of offset."""
        self._opened()
        found = [(t, start, room_for(_size(t), t.name)) for t, start in self._tensors.values()]
        self._fill([(start, out) for _, start, out in found])
        return {t.name: self._give(out, t) for t, _, out in found}

    def get_slice(self, name: str) -> TensorSlice:
        """A tensor to index, read in part. Raises SafetensorError if there is none of that name."""
        return TensorSlice(self, *self._find(name))

    def close(self) -> None:
        """Close the file (not a file object that came from the caller). Again is no error."""
        self._file = None
        self._release()

    def __enter__(self) -> TensorFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self) -> WeftFile:
        if self._file is None:
            raise SafetensorError("File is closed")
        return self._file

    def _find(self, name: str) -> tuple[TensorEntry, int]:
        self._opened()
        if not isinstance(name, str):
            raise TypeError(f"name of a tensor: expected str, found {type(name).__name__}")
        if name not in self._tensors:
            raise SafetensorError(f"File does not contain tensor {name}")
        return self._tensors[name]

    def _fill(self, wanted: list[tuple[int, Bytes]]) -> None:
        """Decode each array, which is to hold the bytes of the original from its offset on."""
        file = self._opened()

        def tasks() -> Iterator[tuple[Task, int, Bytes]]:
            for begin, out in wanted:
                for task in file.tasks(begin, begin + out.size) if out.size else ():
                    yield task, begin, out

        def work(job: tuple[Task, int, Bytes]) -> None:
            file.run_into(*job)

        many = sum(out.size for _, out in wanted) >= PARALLEL_BYTES
        for _ in in_order(tasks(), work, thread_count(None) if many else 1):
            pass


class TensorSlice:
    """What ``get_slice`` gives: indexing it gives what indexing the whole tensor would, reading little more than that.

    An index is an int, a slice with a positive step, an ellipsis, ``[]``, or a tuple of the first three. What else
    numpy takes raises SafetensorError, as does an int out of range: all as in safetensors. Bounds of slices are more
    liberal than there: they may be negative or behind the end, as in numpy. Types below 8 bits can be indexed in all
    dimensions but the last, or not at all where a row is no whole number of bytes.

    >>> import codec, io, numpy
    >>> f = codec.safe_open(io.BytesIO(codec.compress(numpy.arange(12, dtype="int16").reshape(3, 4))))
    >>> part = f.get_slice("data")
    >>> part.get_shape(), part.get_dtype(), part[1, ::2].tolist(), part[..., -1].tolist()
    ([3, 4], 'I16', [4, 6], [3, 7, 11])
    """

    def __init__(self, file: TensorFile, tensor: TensorEntry, start: int) -> None:
        self._file, self._tensor, self._start = file, tensor, start

    def get_shape(self) -> list[int]:
        """Elements in each dimension."""
        return list(self._tensor.shape)

    def get_dtype(self) -> str:
        """The element type as safetensors writes it: "F32"."""
        return self._tensor.dtype

    def __getitem__(self, index: Any) -> Any:
        t = self._tensor
        shape, width = _stored_shape(t)
        steps = _steps(index, t.shape)
        if DTYPES[t.dtype].bits % 8:
            inner = slice(-1, None) if len(shape) == len(t.shape) else slice(None)
            if steps[inner] != [(0, n, 1) for n in t.shape][inner]:
                raise SafetensorError(f"tensor {t.name} of {t.dtype}: {_spelled(index)} cuts within bytes")
            steps = [*(steps[:-1] if len(shape) == len(t.shape) else ()), (0, shape[-1], 1)]
        strides = [width * prod(shape[d + 1 :]) for d in range(len(shape))]
        counts = [1 if count is None else count for _, count, _ in steps]
        out = np.empty(0, np.uint8)
        if 0 not in counts:  # one run, from the first byte wanted to the last
            first = sum(begin * s for (begin, _, _), s in zip(steps, strides, strict=True))
            extent = sum((n - 1) * step * s for n, (_, _, step), s in zip(counts, steps, strides, strict=True)) + width
            out = np.empty(extent, np.uint8)
            self._file._fill([(self._start + first, out)])
        kept = [
            (n, step * s) for n, (_, count, step), s in zip(counts, steps, strides, strict=True) if count is not None
        ]
        part: NDArray[Any] = np.ndarray(
            [n for n, _ in kept], _numpy_type(t.dtype), out.data if out.size else None,
            strides=[s for _, s in kept] if out.size else None,
        )  # fmt: skip
        return self._file._give.array(np.array(part, order="C", copy=None), t.dtype)


def _steps(index: Any, shape: tuple[int, ...]) -> list[tuple[int, int | None, int]]:
    """(first, count, step) in each dimension; count is None where an int takes the dimension away."""
    if isinstance(index, list):
        if index:
            raise SafetensorError("Non empty lists are not implemented")
        index = slice(0, 0)
    items = list(index) if isinstance(index, tuple) else [index]
    gaps = [k for k, item in enumerate(items) if item is Ellipsis]
    if len(gaps) > 1:
        raise SafetensorError("Only one ellipsis (...) is allowed in slice index")
    if len(items) - len(gaps) > len(shape):
        raise SafetensorError(
            f"Error during slicing {_spelled(index)}: more indexes than shape {list(shape)} has dimensions"
        )
    at = gaps[0] if gaps else len(items)
    items[at : at + 1] = [slice(None)] * (len(shape) - len(items) + len(gaps))
    return [_step(item, d, n) for d, (item, n) in enumerate(zip(items, shape, strict=True))]


def _step(item: Any, dimension: int, size: int) -> tuple[int, int | None, int]:
    if isinstance(item, slice):
        if item.step is not None and operator.index(item.step) < 1:
            raise SafetensorError(f"Slice step must be a positive integer, got {item.step}")
        found = range(*item.indices(size))
        return found.start, len(found), found.step
    try:
        at = operator.index(item)
    except TypeError:
        what = f"at dimension {dimension}: expected slice, int, or ellipsis, found {type(item).__name__}"
        raise SafetensorError(f"Unsupported slice index {what}") from None
    if not -size <= at < size:
        raise SafetensorError(
            f"Error during slicing: index {at} out of bounds for tensor dimension #{dimension} of size {size}"
        )
    return at % size, None, 1


def _spelled(index: Any) -> str:
    return repr(index)[:120]


def _size(tensor: TensorEntry) -> int:
    return prod(tensor.shape) * DTYPES[tensor.dtype].bits // 8


def _stored_shape(tensor: TensorEntry) -> tuple[tuple[int, ...], int]:
    """(shape of the numpy array, bytes in one element of it). Raises LimitExceededError if no array can have it."""
    dtype, shape = DTYPES[tensor.dtype], tensor.shape
    # There is a 0 among them: shapes that hold something are paid for by the file.
    if prod(n for n in shape if n) * max(1, dtype.bits // 8) >= 1 << 63:
        raise LimitExceededError(f'tensor "{tensor.name}": shape {list(shape)} is more than an array can have')
    if dtype.bits % 8 == 0:
        return shape, dtype.bits // 8
    row = shape[-1] * dtype.bits if shape else 0
    return (*shape[:-1], row // 8) if shape and row % 8 == 0 else (_size(tensor),), 1


@functools.cache
def _numpy_type(name: str) -> np.dtype[Any]:
    """Type of the array for an element type: numpy's own, that of ml_dtypes if there, or an unsigned integer."""
    dtype: DType = DTYPES[name]
    module: Any = None
    if dtype.ml_dtypes:
        with contextlib.suppress(ImportError):
            module = importlib.import_module("ml_dtypes")
    found: np.dtype[Any] = np.dtype(getattr(module, dtype.ml_dtypes or "-", dtype.numpy))  # an older one lacks some
    return found


class _Framework:
    """Makes tensors of one framework."""

    def __init__(self, framework: str, device: str | int | None) -> None:
        if not isinstance(framework, str):
            raise TypeError(f"framework: expected str, found {type(framework).__name__}")
        if framework not in _FRAMEWORKS:
            raise SafetensorError(f"framework {framework} is invalid; expected one of {', '.join(_FRAMEWORKS)}")
        self.name = _FRAMEWORKS[framework]
        self.device = "cpu" if device is None else f"cuda:{device}" if isinstance(device, int) else str(device)
        if self.name not in ("numpy", "torch", "jax"):
            raise SafetensorError(
                f"framework {framework}: weft gives numpy, torch and jax; open with numpy and convert"
            )
        if self.name != "torch" and self.device != "cpu":
            raise SafetensorError(f"Device {device} is not supported for framework {framework}")
        try:
            self._module: Any = (
                importlib.import_module(self.name) if self.name != "jax" else importlib.import_module("jax.numpy")
            )
        except ModuleNotFoundError as e:
            message = (
                f"framework {framework!r} needs {self.name}, which is not installed: install it, or open with numpy"
            )
            raise ModuleNotFoundError(message, name=e.name) from e

    def __call__(self, data: Bytes, tensor: TensorEntry) -> Any:
        """The tensor with these bytes."""
        return self.array(data.view(_numpy_type(tensor.dtype)).reshape(_stored_shape(tensor)[0]), tensor.dtype)

    def array(self, array: NDArray[Any], dtype: str) -> Any:
        """The tensor with the elements of an array of that element type."""
        if self.name == "numpy":
            return array
        if self.name == "jax":
            return self._module.array(array)
        name = DTYPES[dtype].ml_dtypes or DTYPES[dtype].numpy
        kind = getattr(self._module, "float4_e2m1fn_x2" if dtype == "F4" else name, None)
        if kind is None:
            raise SafetensorError(f"this torch has no type for {dtype}: open with numpy")
        tensor = self._module.from_numpy(array.view(_SAME_WIDTH[array.itemsize])).view(kind)
        return tensor if self.device == "cpu" else tensor.to(self.device)
