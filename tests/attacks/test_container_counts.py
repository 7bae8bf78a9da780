"""Attack: a GGUF, ONNX, TensorFlow Lite or HDF5 file that counts to 2^60, nests for ever, or leads in circles.

Mitigation: each is found by a parser of ours that believes no count before the bytes for so many can be there, reads
the original at most so many times (codec/sources/window.py), and goes so deep; what it refuses is compressed as opaque
bytes and comes back exactly. No parser written in C sees the file.
"""

from __future__ import annotations

import io
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

import codec
from codec.sources import segments_of
from tests.sources.made import (
    FLOAT32,
    NOISE,
    FlatFile,
    gguf_array,
    gguf_file,
    gguf_info,
    gguf_string,
    h5_file,
    h5_messages,
    onnx_model,
    onnx_node,
    onnx_tensor,
    pb,
    tflite_file,
    u16,
    u32,
    u64,
    varint,
)

BIG = (1 << 20, 1 << 32, 1 << 60, (1 << 64) - 1)


def gguf_head(tensors: int, pairs: int, rest: bytes = b"") -> bytes:
    return b"GGUF" + u32(3) + u64(tensors) + u64(pairs) + rest


def gguf_files() -> dict[str, bytes]:
    out = {}
    for count in BIG:
        out[f"{count} tensors"] = gguf_head(count, 0, gguf_info("a", 24, (1,), 0) * 5)
        out[f"{count} pairs"] = gguf_head(0, count, (gguf_string("a") + u32(7) + b"\0") * 5)
        out[f"a key of {count} bytes"] = gguf_head(0, 1, u64(count) + bytes(100))
        out[f"a string of {count} bytes"] = gguf_head(0, 1, gguf_string("a") + u32(8) + u64(count) + bytes(100))
        out[f"an array of {count} strings"] = gguf_head(0, 1, gguf_string("a") + u32(9) + u32(8) + u64(count))
        out[f"an array of {count} numbers"] = gguf_head(0, 1, gguf_string("a") + u32(9) + u32(12) + u64(count))
        out[f"{count} elements"] = gguf_head(1, 0, gguf_info("a", 2, (count // 32 * 32,) * 4, 0))
        out[f"an offset of {count}"] = gguf_head(1, 0, gguf_info("a", 0, (1,), count // 32 * 32))
    out["arrays nested for ever"] = gguf_head(0, 1, gguf_string("a") + u32(9) + (u32(9) + u64(1)) * 80_000)
    out["arrays of empty arrays"] = gguf_head(
        0, 1, gguf_string("a") + u32(9) + gguf_array(9, [gguf_array(9, []) for _ in range(100_000)])
    )
    out["overlap"] = gguf_file({"a": (24, (64,), NOISE[:64])})[:24].replace(u64(1), u64(2), 1) + (
        gguf_info("a", 24, (64,), 0) + gguf_info("b", 24, (32,), 32) + bytes(200)
    )
    return out


def onnx_files() -> dict[str, bytes]:
    deep = b""
    for _ in range(1000):
        deep = pb(1, pb(5, pb(6, deep) + pb(1, NOISE[:100])))
    in_sparse = onnx_tensor("w", 1, (10,), NOISE[:40])
    return {
        "graphs in graphs for ever": onnx_model(deep),
        "a message that says it is longer than the file": b"\x08\x08\x3a" + varint(1 << 62) + bytes(100),
        "dimensions without end": onnx_model(pb(5, pb(1, 1) * 100_000)),
        "one tensor of 2^60 elements": onnx_model(pb(5, onnx_tensor("w", 1, (1 << 30, 1 << 30), NOISE[:64]))),
        "200,000 empty nodes": onnx_model(pb(1, b"") * 200_000),
        "10,000 nodes": onnx_model(pb(1, onnx_node([], "x")) * 10_000),
        "varints of a million bytes": b"\x08\x08\x3a" + b"\x80" * 1_000_000,
        "sparse": onnx_model(pb(15, pb(1, in_sparse) * 10)),
    }


def tflite_files() -> dict[str, bytes]:
    """Vectors of 20,000 references to the same: 4 * 10^8 tensors, were they followed."""
    out = {}
    count = 20_000
    file = FlatFile()
    model = file.table({2: u32(0), 4: u32(0)})
    file.refer(0, model[-1])
    graphs = file.vector(count, bytes(4 * count))
    file.refer(model[2], graphs)
    buffers = file.vector(2, bytes(8))
    file.refer(model[4], buffers)
    file.refer(buffers + 4, file.table({})[-1])
    file.refer(buffers + 8, file.table({})[-1])
    graph = file.table({0: u32(0)})
    for number in range(count):
        file.refer(graphs + 4 + 4 * number, graph[-1])
    tensors = file.vector(count, bytes(4 * count))
    file.refer(graph[0], tensors)
    tensor = file.table({2: u32(0)})
    for number in range(count):
        file.refer(tensors + 4 + 4 * number, tensor[-1])
    out["a graph that is there 20,000 times, of a tensor that is"] = bytes(file.data)
    sound = tflite_file({"a": (0, (10,), NOISE[:40])})
    for value in (0, 0x7FFFFFFF, 0xFFFFFFFF):
        for place in range(8, 80, 4):
            out[f"{value} at {place}"] = sound[:place] + u32(value) + sound[place + 4 :]
    return out


def hdf5_files() -> dict[str, bytes]:
    sound = h5_file({"a": (FLOAT32, (10,), NOISE[:40])}, "group")
    tree = sound.index(b"TREE")
    leaf = sound.index(b"SNOD")
    out = {"a tree that is its own child": sound[: tree + 32] + u64(tree) + sound[tree + 40 :]}
    out["65,535 symbols"] = sound[: leaf + 6] + u16(0xFFFF) + sound[leaf + 8 :] + bytes(300_000)
    out["65,535 children"] = sound[: tree + 6] + u16(0xFFFF) + sound[tree + 8 :] + u64(leaf) * 70_000
    header = h5_messages((0x10, u64(len(sound) + 16) + u64(24)))
    root = sound[:64] + u64(len(sound)) + sound[72:]
    end = root[:40] + u64(len(root) + len(header)) + root[48:]
    out["a header that goes on at itself"] = end + header
    chain = h5_messages(*[(0x10, u64(96) + u64(1 << 18))] * 1000)
    out["a header that goes on at a thousand places, again and again"] = end + chain + bytes(1 << 18)
    out["a header of 4 GiB"] = end + header[:8] + u32(0xFFFFFFFF) + header[12:]
    return out


FILES: dict[str, Callable[[], dict[str, bytes]]] = {
    "gguf": gguf_files,
    "onnx": onnx_files,
    "tflite": tflite_files,
    "hdf5": hdf5_files,
}


@pytest.mark.parametrize("kind", FILES)
def test_bounded_and_exact(kind: str) -> None:
    codec.compress(b"warm")
    for name, data in FILES[kind]().items():
        tracemalloc.start()
        began = time.process_time()
        found, segments = segments_of(lambda n: data[:n], len(data), lambda at, n: data[at : at + n])  # noqa: B023
        seconds = time.process_time() - began
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # Ten times what it takes, with memory being watched: a second for each MB that one can be led through.
        assert seconds < 10 + len(data) / 1e5, f"{name}: {seconds:.1f} s"
        assert peak < (16 << 20) + 4 * len(data), f"{name}: {peak >> 20} MiB"
        assert sum(s.size for s in segments) == len(data) and found in (kind, "opaque")
        assert codec.decompress(codec.compress(data, level="fast")) == data, name


@pytest.mark.parametrize("kind", FILES)
def test_a_pipe_that_counts_to_2_to_60(kind: str) -> None:
    for name, data in list(FILES[kind]().items())[:8]:
        out = io.BytesIO()
        codec.compress_file(io.BytesIO(data), out)
        assert codec.decompress(out.getvalue()) == data, name


def test_no_parser_but_ours_is_loaded(tmp_path: Path) -> None:
    import subprocess
    import sys

    for number, files in enumerate(FILES.values()):
        (tmp_path / f"f{number}").write_bytes(next(iter(files().values())))
    code = (
        "import codec, io, sys, pathlib\n"
        f"for p in pathlib.Path({str(tmp_path)!r}).iterdir(): codec.compress_file(p, io.BytesIO())\n"
        "print(sorted({'gguf', 'onnx', 'h5py', 'google', 'flatbuffers', 'tensorflow', 'torch'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"
