"""The kernels alone, one chunk in cache, best of many calls: G symbols/s, and what two threads make of it.

    python -m bench.kernels [--calls 200]

Symbols are the exponents and two mantissa bits of normally distributed bf16 numbers, about 4.4 bits each, coded
with 1, 4 and 16 tables in tiles of 384 and 4096. CODEC_KERNELS chooses the path (codec/kernels/cpu.py).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from threading import Barrier, Thread

import numpy as np
from numba import njit

from codec.kernels import cpu, huffman, permute, planes, rans, registers
from codec.stages import huffman as huffman_stage
from codec.stages import rans as rans_stage
from codec.stages.geometry import Bytes, read_only

SIZE = 1 << 18
LAYOUT = (4, 2, 8)  # bf16 with two mantissa bits in the symbol


def symbols(tables: int, tile: int) -> tuple[Bytes, Bytes, np.ndarray]:
    """(symbols, the table of each tile, counts of each table)."""
    source = np.random.default_rng(0)
    choice = source.integers(0, tables, -(-SIZE // tile)).astype(np.uint8)
    scale = np.repeat(0.03 * 1.1**choice, tile)[:SIZE]
    fields = (source.standard_normal(SIZE) * scale).astype(np.float32).view(np.uint32) >> 21 & 1023
    found = np.clip(fields.astype(np.int64) - int(fields.max()) + 90, 0, 255).astype(np.uint8)
    row = np.repeat(choice, tile)[:SIZE]
    counts = np.array([np.bincount(found[row == k], minlength=256) for k in range(tables)], np.int64)
    return found, choice, counts + (counts.sum(axis=0) > 0)


@njit
def lay_out(freq: np.ndarray, table: np.ndarray, at: int) -> int:
    return registers.build(freq, table, at)  # type: ignore[no-any-return]


def in_registers(tables: int, tile: int, both: bool, lanes: int = 128) -> Callable[[], object]:
    """rANS decoding with tables in registers: one chunk, or two side by side."""
    data, choice, counts = symbols(tables, tile)
    fitted = rans_stage.fit_tables(counts, 1)
    words, states = np.empty(2 * SIZE + 64, np.uint8), np.full(lanes, 65536, np.uint32)
    at = int(rans.encode(read_only(data), SIZE, tile, choice, fitted.encoder, lanes, states, words, fitted.top))
    held = np.zeros(tables * registers.SIZE, np.uint8)
    for k in range(tables):
        assert lay_out(fitted.frequencies[k], held, k * registers.SIZE) == 0
    stored, made = read_only(words), []
    for _ in range(2):
        mine, out, pad = states.copy(), np.zeros(SIZE, np.uint8), np.zeros(permute.PAD, np.uint8)
        where = [a.ctypes.data for a in (held, mine, out)]
        job = np.array([at, words.size, lanes, where[0], choice.size, tile, *where[1:], SIZE, 0, 0, 0], np.int64)
        made.append((mine, out, pad, job, job.copy()))
    none = np.zeros(permute.FIELDS, np.int64)

    def decode() -> None:
        for mine, _, _, job, first in made:
            mine[:], job[:] = states, first
        a, b = ((stored, pad, choice, job) for _, _, pad, job, _ in made)
        permute.decode(*a, *(b if both else (*b[:3], none)))

    decode()
    for _, out, _, job, _ in made[: 1 + both]:
        assert job[permute.FOUND] == words.size
        assert (out == data).all()
    return decode


def jobs(tables: int, tile: int) -> dict[str, Callable[[], object]]:
    """What is timed; each has run once, and what it decodes has been compared."""
    data, choice, counts = symbols(tables, tile)
    plain, back = read_only(data), np.empty(SIZE, np.uint8)
    fitted = rans_stage.fit_tables(counts, 1)
    words, start = np.empty(2 * SIZE + 64, np.uint8), np.full(64, 65536, np.uint32)

    def rans_encode() -> int:
        states[:] = start
        return int(rans.encode(plain, SIZE, tile, choice, fitted.encoder, 64, states, words, fitted.top))

    states = start.copy()
    at = rans_encode()
    first, stored = states.copy(), read_only(words)

    def rans_decode() -> int:
        later[:] = first
        return int(rans.decode(stored, at, words.size, 64, fitted.decoder, choice, tile, later, back, SIZE))

    later = first.copy()
    assert rans_decode() == words.size
    assert (back == data).all()
    codes = huffman_stage.fit_tables(counts, 1)
    streams, sizes = np.empty(2 * SIZE + 64, np.uint8), np.zeros(4, np.int64)

    def huffman_encode() -> int:
        return int(huffman.encode(plain, SIZE, tile, choice, codes.encoder, streams, sizes))

    assert huffman_encode() > 0
    ends = np.cumsum(sizes)
    held = read_only(streams)

    def huffman_decode() -> int:
        return int(huffman.decode(held, ends - sizes, ends, codes.decoder, choice, tile, back, SIZE, 0, 0))

    back[:] = 0
    assert huffman_decode() == 0
    assert (back == data).all()
    return {
        "rANS encode": rans_encode,
        "rANS decode": rans_decode,
        "Huffman encode": huffman_encode,
        "Huffman decode": huffman_decode,
    }


def plane_jobs() -> dict[str, Callable[[], object]]:
    """Splitting and merging a chunk of bf16; the figure is elements."""
    x = (np.random.default_rng(0).normal(0, 0.02, SIZE).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    window = int((x & 0x7FFF).max() >> 5) - 255
    kernels, none, spare = planes.kernels_for(LAYOUT), np.zeros(0, np.uint8), np.empty(1 << 14, np.uint8)
    starts = np.array([[0, 4, 6], LAYOUT, [0, SIZE // 2, SIZE // 2 + SIZE // 4], [0, 0, 0]], np.int64)
    ints = planes.numbers(384, 5, window, 255, 0)
    out, at, value = np.empty(2 * SIZE, np.uint8), np.empty(SIZE, np.uint32), np.empty(SIZE, np.uint16)
    back, zeros, source = np.empty(SIZE, np.uint16), np.zeros(1 << 14, np.uint8), read_only(x)
    return {
        "split": lambda: kernels.split(source, ints, none, starts[:3].copy(), out, spare, at, value),
        "merge": lambda: kernels.merge(back, ints, none, starts.copy(), read_only(none), read_only(out), zeros),
    }


def best(job: Callable[[], object], calls: int) -> float:
    """Seconds of the quickest call."""
    found = 1e9
    for _ in range(calls):
        start = time.perf_counter()
        job()
        found = min(found, time.perf_counter() - start)
    return found


def gain(make: Callable[[], Callable[[], object]], calls: int) -> float:
    """How many times more two threads do than one, each on data of its own."""

    def run(job: Callable[[], object], ready: Barrier, took: list[float]) -> None:
        ready.wait()
        start = time.perf_counter()
        for _ in range(calls):
            job()
        took.append(time.perf_counter() - start)

    spent = []
    for count in (1, 2):
        ready, took = Barrier(count), []
        threads = [Thread(target=run, args=(make(), ready, took)) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spent.append(max(took) / count)
    return spent[0] / spent[1]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the kernels alone.")
    parser.add_argument("--calls", type=int, default=200)
    calls = parser.parse_args().calls
    print(f"kernel path {cpu.path()}; G symbols/s\n")
    shapes = [(tables, tile) for tile in (384, 4096) for tables in (1, 4, 16)]
    print("| |" + "".join(f" {tables} tables, tile {tile} |" for tables, tile in shapes))
    print("|---|" + "---|" * len(shapes))
    measured = [{name: SIZE / best(job, calls) / 1e9 for name, job in jobs(*shape).items()} for shape in shapes]
    for name in measured[0]:
        print(f"| {name} |" + "".join(f" {row[name]:.2f} |" for row in measured))
    for both, lanes in ((False, 64), (False, 128), (True, 128)) if cpu.permutes() else ():
        rates = [(1 + both) * SIZE / best(in_registers(*shape, both, lanes), calls) / 1e9 for shape in shapes]
        name = f"rANS decode, tables in registers, {lanes} lanes" + (", two chunks" if both else "")
        print(f"| {name} |" + "".join(f" {rate:.2f} |" for rate in rates))
    for name, job in plane_jobs().items():
        print(f"\n{name}, bf16: {SIZE / best(job, calls) / 1e9:.2f} G elements/s", end="")
    for name in ("rANS decode", "rANS encode"):
        print(f"\n{name}, two threads: {gain(lambda n=name: jobs(4, 384)[n], calls):.2f} x one", end="")
    data = np.ones(48 << 20, np.uint8)

    def copy() -> Callable[[], object]:
        target = np.ones_like(data)
        return lambda: np.copyto(target, data)

    print(f"\nmemcpy of 48 MiB, two threads: {gain(copy, 10):.2f} x one")


if __name__ == "__main__":
    main()
