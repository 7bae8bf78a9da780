"""A real model there and back: `make demo`.

Takes the weights of all-MiniLM-L6-v2 as published (fp32) and cast to bf16, compresses and restores each
with a plain copy, with zstd -3 and with weft, from file to file, and compares SHA-256. Every time is the
best of a few runs on one thread and includes reading, writing and fsync: the copy shows what the disk
allows.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import zstandard

import codec
from bench import minilm

Step = Callable[[Path, Path], object]


class Tool(NamedTuple):
    name: str
    compress: Step
    decompress: Step


class Row(NamedTuple):
    tool: str
    stored: int
    ratio: float
    compress_rate: float  # GB of the original a second
    decompress_rate: float
    identical: bool


def _sync(path: Path) -> None:
    with path.open("rb+") as f:
        os.fsync(f.fileno())


def copy(src: Path, dst: Path) -> None:
    shutil.copyfile(src, dst)
    _sync(dst)


def zstd_compress(src: Path, dst: Path) -> None:
    with src.open("rb") as original, dst.open("wb") as out:
        zstandard.ZstdCompressor(level=3).copy_stream(original, out, size=src.stat().st_size)
    _sync(dst)


def zstd_decompress(src: Path, dst: Path) -> None:
    with src.open("rb") as stored, dst.open("wb") as out:
        zstandard.ZstdDecompressor().copy_stream(stored, out)
    _sync(dst)


def weft(level: str) -> Tool:
    return Tool(
        f"weft {level}",
        lambda src, dst: codec.compress_file(src, dst, level=level, threads=1),
        lambda src, dst: codec.decompress_file(src, dst, threads=1),
    )


def sha256(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def best_seconds(step: Step, src: Path, dst: Path, runs: int) -> float:
    """Seconds of the fastest of several runs; the first of a process also loads the compiled kernels."""
    seconds = []
    for _ in range(runs):
        dst.unlink(missing_ok=True)
        start = time.perf_counter()
        step(src, dst)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure(tool: Tool, original: Path, folder: Path, runs: int) -> Row:
    stored, restored = folder / "stored", folder / "restored"
    size = original.stat().st_size
    there = best_seconds(tool.compress, original, stored, runs)
    back = best_seconds(tool.decompress, stored, restored, runs)
    identical = sha256(restored) == sha256(original)
    stored_size = stored.stat().st_size
    return Row(tool.name, stored_size, stored_size / size, size / there / 1e9, size / back / 1e9, identical)


def print_table(title: str, rows: list[Row]) -> None:
    print(f"\n{title}\n")
    print(f"  {'':14}{'bytes':>13}{'ratio':>9}{'compress':>12}{'restore':>12}   SHA-256")
    for row in rows:
        rates = f"{row.compress_rate:>7.2f} GB/s{row.decompress_rate:>7.2f} GB/s"
        verdict = "identical" if row.identical else "DIFFERENT"
        print(f"  {row.tool:14}{row.stored:>13,}{row.ratio:>9.4f}{rates}   {verdict}")


def main() -> int:
    parser = argparse.ArgumentParser(description="A real model there and back, beside zstd.")
    parser.add_argument("--runs", type=int, default=3, help="runs of each step; the fastest counts")
    runs = max(1, parser.parse_args().runs)

    tools = (
        Tool("copy", copy, copy),
        Tool("zstd -3", zstd_compress, zstd_decompress),
        weft("fast"),
        weft("default"),
    )
    exact = True
    for title, dtype in (("as published, fp32", "float32"), ("cast to bf16", "bfloat16")):
        path = minilm.variant(dtype)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            rows = [measure(tool, path, Path(folder), runs) for tool in tools]
        print_table(f"all-MiniLM-L6-v2 {title}: {path.stat().st_size:,} bytes", rows)
        exact = exact and all(row.identical for row in rows)
    print(f"\nOne thread, file to file, best of {runs} runs.")
    return 0 if exact else 1


if __name__ == "__main__":
    raise SystemExit(main())
