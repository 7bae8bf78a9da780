"""Compress, decompress, check and describe: bytes in memory, files, and streams."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import math
import os
import stat
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from codec import reader
from codec.access import BytesSource, FileSource, opened
from codec.dtypes import dtype_of
from codec.engine import in_order, thread_count
from codec.errors import (
    CodecError,
    CorruptFileError,
    MismatchError,
    SourceChangedError,
    TruncatedFileError,
    UnsupportedVersionError,
)
from codec.limits import DIMENSIONS_MAX
from codec.memory import MemorySink, new_bytes, records_room
from codec.names import SUFFIX
from codec.report import Progress, Report
from codec.sources.segment import Segment
from codec.stages.geometry import working
from codec.storage import AtomicFile, BytesOriginal, StreamOriginal, differ
from codec.streaming import decode_stream

PathOrFile = str | os.PathLike[str] | BinaryIO


def compress(
    data: Any,
    dtype: Any = None,
    shape: tuple[int, ...] | None = None,
    level: str = "default",
    threads: int | None = None,
) -> bytes:
    """Compress bytes or an array in memory.

    ``data``: any bytes-like, or a numpy array (any shape; copied if not contiguous). ``dtype``: element type
    of the bytes as numpy, safetensors or torch spells it; by default the array's own, and for plain bytes
    whatever the content shows (a safetensors file is recognised). ``shape``: of the tensor, for plain bytes.
    ``threads``: None for all processors. A blob carries no SHA-256 of the original, only a 64-bit checksum of
    each chunk: SHA-256 would take longer than the rest.

    Raises ValueError for an unknown type or level, or a shape that does not fit.

    >>> import codec
    >>> data = bytes(1000)
    >>> codec.decompress(codec.compress(data, dtype="bfloat16")) == data
    True
    """
    if isinstance(data, np.ndarray):
        if shape is None and (dtype is None or dtype_of(dtype).bits == 8 * data.itemsize):
            shape = data.shape
        dtype = data.dtype if dtype is None else dtype
        data = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    if shape is not None and (len(shape) > DIMENSIONS_MAX or not all(0 <= d < 1 << 63 for d in shape)):
        raise ValueError(f"shape {shape}: expected at most {DIMENSIONS_MAX} dimensions, none negative")
    original = BytesOriginal(data)
    size = original.size or 0
    segments = None
    if dtype is not None:
        element = dtype_of(dtype)
        if shape is None and size * 8 % element.bits == 0:
            shape = (size * 8 // element.bits,)
        bits = element.bits * int(np.prod(shape, dtype=object)) if shape is not None else -1
        if shape is not None and bits != size * 8:
            raise ValueError(f"{element.name} of shape {shape} has {bits} bits, the data has {size * 8}")
        segments = (
            [Segment(0, size, "data", element.name, shape)]
            if shape is not None
            else _ragged(size, element.bits, element.name)
        )
    from codec import writer  # what only encodes is not loaded by who decodes

    sink = MemorySink(records_room(size))
    writer.write(
        original, sink.write, level=level, threads=threads, name="data", segments=segments, digest=False,
        room=sink.room, again=sink.again,
    )  # fmt: skip
    return sink.finish()


def _ragged(size: int, bits: int, name: str) -> list[Segment]:
    """Bytes of a type that are no whole number of elements: the whole ones, and the rest as opaque."""
    unit = math.lcm(bits, 8) // 8  # 4 elements of 6 bits are 3 bytes
    whole = size // unit * unit
    return [Segment(0, whole, "data", name, (whole * 8 // bits,))]


def decompress(blob: Any, threads: int | None = None) -> bytes:
    """The original bytes of a blob (any bytes-like). Raises the errors of codec.errors.

    >>> import codec, numpy
    >>> codec.decompress(codec.compress(numpy.arange(5, dtype="float32")))[:8].hex()
    '000000000000803f'
    """
    file = reader.WeftFile(BytesSource(blob))
    if file.index.original < 2:
        return file.read(0, file.index.original).tobytes()
    out = new_bytes(file.index.original)
    _decode_into(file, out.array, threads, out)
    return out.take()


def decompress_into(blob: Any, out: Any, threads: int | None = None) -> int:
    """Decode a blob into a writable buffer of at least the original's size. Returns the original's size.

    Raises ValueError if the buffer is too small or not writable.

    >>> import codec, numpy
    >>> out = numpy.zeros(3, "int16")
    >>> codec.decompress_into(codec.compress(numpy.array([1, 2, 3], "int16")), out), out.tolist()
    (6, [1, 2, 3])
    """
    file = reader.WeftFile(BytesSource(blob))
    target = memoryview(out)
    if target.readonly or not target.c_contiguous or target.nbytes < file.index.original:
        raise ValueError(f"need a writable, contiguous buffer of {file.index.original} bytes, got {target.nbytes}")
    _decode_into(file, np.frombuffer(target, np.uint8)[: file.index.original], threads)
    return file.index.original


def _decode_into(file: reader.WeftFile, out: Any, threads: int | None, owner: Any = None) -> None:
    """``owner`` of the memory of ``out``: kept for as long as any thread may write there, whatever interrupts this."""
    done, ends, lock = 0, dict[int, int](), threading.Lock()

    def decoded(begin: int, piece: Any) -> bool:
        """What copies and deltas look back at, once all before it is there."""
        if begin + piece.size > done:
            return False
        piece[:] = out[begin : begin + piece.size]
        return True

    if file.copies:
        file = file.with_decoded(decoded, checked=True)

    def work(task: reader.Task, owner: Any = owner) -> None:
        nonlocal done
        file.run(task, out[task.begin : task.end])
        with lock:
            ends[task.begin] = task.end
            while done in ends:
                done = ends.pop(done)

    for _ in in_order(file.tasks(), work, thread_count(threads)):
        pass


def compress_file(
    src: PathOrFile,
    dst: PathOrFile | None = None,
    *,
    level: str = "default",
    threads: int | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> Report:
    """Compress a file; by default to ``src + ".weft"``, in bounded memory.

    Either side may be a binary file object: it is then read or written front to back. The output appears under its
    name only when it is complete and synced. Raises OSError (FileExistsError unless ``force``), SourceChangedError,
    ValueError.

    >>> import codec, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "weights.bin"
    >>> _ = path.write_bytes(bytes(100_000))
    >>> codec.compress_file(path).original_bytes
    100000
    """
    from codec import writer

    with opened(src) as (file, name):
        before = _status(file)
        size = (
            before.st_size if before is not None and stat.S_ISREG(before.st_mode) and not hasattr(src, "read") else None
        )
        original = StreamOriginal(_unbuffered(file), size, file.fileno() if size is not None else None)

        def run(sink: Any, again: Any = None) -> Report:
            report = writer.write(
                original, sink, level=level, threads=threads, progress=progress, name=name, again=again
            )
            after = _status(file)
            if size is not None and _state(before) != _state(after):
                raise SourceChangedError(f"{name}: changed while being read; nothing was written")
            return report

        if dst is not None and hasattr(dst, "write"):
            return run(_writer_of(dst))
        target = os.fspath(dst) if dst is not None else os.fspath(_path(src)) + SUFFIX
        differ(src, target)
        with AtomicFile(target, force=force, mode=before.st_mode if size is not None and before else None) as out:
            return run(out.write, lambda header: out.write_at(header, 0))


def decompress_file(
    src: PathOrFile,
    dst: PathOrFile | None = None,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> Report:
    """Give back the original of a weft file; by default under its name without ".weft".

    Either side may be a binary file object. Every chunk's checksums are verified; the SHA-256 of the whole is
    checked by :func:`verify_file`, and here when the input or the output is a stream. Raises OSError
    (FileExistsError unless ``force``) and the errors of codec.errors.
    """
    began = time.perf_counter()
    workers = thread_count(threads)
    with opened(src) as (file, name):
        if hasattr(src, "read") or (dst is not None and hasattr(dst, "write")):
            return _decompress_stream(file, name, src, dst, progress, force, began)
        held = reader.WeftFile(FileSource(file, name))
        target = os.fspath(dst) if dst is not None else _without_suffix(os.fspath(_path(src)))
        differ(src, target)
        total, done = held.index.original, 0
        lock = threading.Lock()
        with AtomicFile(target, force=force, mode=os.fstat(file.fileno()).st_mode) as out:

            def work(task: reader.Task) -> None:
                nonlocal done
                piece = working("task", task.end - task.begin)[: task.end - task.begin]
                held.run(task, piece)
                out.write_at(piece.data, task.begin)
                with lock:
                    done += piece.size
                    if progress is not None:
                        progress(done, total)

            for _ in in_order(held.tasks(), work, workers):
                pass
        return Report(total, held.source.size, time.perf_counter() - began, workers, held.index.sha256.hex())


def _decompress_stream(
    file: BinaryIO, name: str, src: Any, dst: Any, progress: Progress | None, force: bool, began: float
) -> Report:
    done = 0

    def run(sink: Any, again: Any = None) -> Report:
        def give(data: Any) -> None:
            nonlocal done
            sink(data)
            done += len(data)
            if progress is not None:
                progress(done, None)

        index, stored = decode_stream(StreamOriginal(_unbuffered(file)).read_bytes, give, name, again)
        return Report(index.original, stored, time.perf_counter() - began, 1, index.sha256.hex())

    if dst is not None and hasattr(dst, "write"):
        return run(_writer_of(dst), _by_index(file, name))
    target = os.fspath(dst) if dst is not None else _without_suffix(os.fspath(_path(src)))
    with AtomicFile(target, force=force) as out:
        return run(out.write, out.read_at)


def _by_index(file: BinaryIO, name: str) -> Callable[[int, Any], None] | None:
    """What gives bytes of an original again, by decoding them again: if that leaves where a stream is as it is."""
    if type(file) is not io.FileIO or not hasattr(os, "pread") or not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return None
    if file.tell():
        return None
    held = functools.cache(lambda: reader.WeftFile(FileSource(file, name)))

    def again(offset: int, out: Any) -> None:
        out[:] = held().read(offset, offset + out.size)

    return again


def verify_file(
    path: PathOrFile, *, against: PathOrFile | None = None, threads: int | None = None, progress: Progress | None = None
) -> Report:
    """Decode everything, check all that the format can check and the SHA-256, write nothing.

    ``against``: compare with an original, byte for byte. Raises the errors of codec.errors, whose ``damage`` then says
    which tensor and which bytes are damaged first, in the order of the file, even if the index itself is damaged;
    MismatchError if ``against`` differs, naming the first byte; OSError.

    >>> import codec, io
    >>> blob = bytearray(codec.compress(bytes(range(64)), dtype="uint8"))
    >>> blob[40] ^= 1
    >>> try:
    ...     codec.verify_file(io.BytesIO(blob))
    ... except codec.CorruptFileError as error:
    ...     error.damage.tensor, error.damage.begin, error.damage.end, error.damage.record
    ('data', 0, 64, 16)
    """
    from codec import diagnosis

    began = time.perf_counter()
    workers = thread_count(threads)
    with opened(path) as (file, name), contextlib.ExitStack() as stack:
        source = FileSource(file, name)
        other = stack.enter_context(opened(against)) if against is not None else None
        try:
            held = reader.WeftFile(source)
        except CodecError as e:
            raise diagnosis.first_damage(source, e) from None
        sha, done = hashlib.sha256(), 0

        def work(task: reader.Task) -> tuple[reader.Task, Any]:
            out = np.empty(task.end - task.begin, np.uint8)
            held.run(task, out)
            return task, out

        try:
            for task, out in in_order(held.tasks(), work, workers):
                if other is not None:
                    _same(out, *other, name, task.begin)
                sha.update(out)
                done += out.size
                if progress is not None:
                    progress(done, held.index.original)
        except (CorruptFileError, TruncatedFileError, UnsupportedVersionError) as e:
            raise diagnosis.first_damage(source, e, held, done) from None
        if other is not None and other[0].read(1):
            raise MismatchError(f"{name}: its original has {held.index.original} bytes, {other[1]} has more")
        if held.index.sha256 and sha.digest() != held.index.sha256:
            raise CorruptFileError(
                f"{name}: SHA-256 of the original is {held.index.sha256.hex()}, decoded bytes give {sha.hexdigest()}"
            )
        return Report(done, held.source.size, time.perf_counter() - began, workers, sha.hexdigest())


def _same(out: Any, other: BinaryIO, other_name: str, name: str, at: int) -> None:
    theirs = StreamOriginal(_unbuffered(other)).read(out.size)
    if theirs.size < out.size:
        raise MismatchError(f"{other_name}: ends at byte {at + theirs.size}, the original of {name} goes on")
    if not np.array_equal(theirs, out):
        first = at + int(np.argmax(theirs != out))
        raise MismatchError(f"{name}: its original differs from {other_name} from byte {first} on")


def _status(file: Any) -> os.stat_result | None:
    try:
        return os.fstat(file.fileno())
    except (OSError, AttributeError):
        return None


def _state(status: os.stat_result | None) -> tuple[int, int] | None:
    """What shows that a file was written to: size and time."""
    return None if status is None else (status.st_size, status.st_mtime_ns)


def _unbuffered(file: Any) -> Any:
    """Something with readinto that gives what it has."""
    if hasattr(file, "readinto"):
        return file
    return _Reader(file)


class _Reader:
    """readinto on top of read."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readinto(self, out: memoryview) -> int:
        data: bytes = self._file.read(len(out))
        out[: len(data)] = data
        return len(data)


def _writer_of(file: Any) -> Any:
    """write() that writes everything."""

    def write(data: Any) -> None:
        rest = memoryview(data).cast("B")
        while len(rest):
            done = file.write(rest)
            if (done is None and isinstance(file, io.RawIOBase)) or done == 0:
                raise BlockingIOError(11, "output does not take bytes now; it must be blocking", str(file))
            if done is None or done >= len(rest):
                return
            rest = rest[done:]

    return write


def _path(src: Any) -> Any:
    if hasattr(src, "read"):
        raise ValueError("a stream has no name: say where the output goes (dst)")
    return src


def _without_suffix(name: str) -> str:
    if not name.endswith(SUFFIX) or os.path.split(name)[1] == SUFFIX:
        raise ValueError(f"{name}: does not end with {SUFFIX}: say where the output goes (dst, -o)")
    return name[: -len(SUFFIX)]
