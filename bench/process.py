"""Whole processes: the command's wall time beside cp, its memory, its start, its first run ever, its threads.

    python -m bench.process [--only inspect,first,threads,cp,memory] [--mib 1024] [--large-mib 4096]
                            [--rounds 5]

Works on synthetic weights (bench/synthetic.py) and on MiniLM, in a temporary folder: give it, with TMPDIR,
a real disk with room for three times the largest file. Files are in the page cache before they are read.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Thread

import numpy as np

from bench import synthetic
from bench.corpora import select
from bench.pool import WorkerProcess

COMMAND = [sys.executable, "-c", "import sys; from codec.cli.main import main; sys.exit(main())"]
POLL = 0.005  # seconds between two looks at a process's memory


@dataclass(frozen=True)
class Figure:
    name: str
    target: str
    measured: str


@dataclass(frozen=True)
class Finished:
    """How a process went. At its peak it had mapped `resident` bytes, `anonymous` of them of no file."""

    seconds: float
    resident: int
    anonymous: int


def watch(command: list[str], env: dict[str, str] | None = None) -> Finished:
    """Run a command to its end, and look at its memory on the way, where there is a /proc.

    (Its rusage would not do: that starts from what this process held when it forked.)
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | (env or {}))
    peaks = {"RssAnon": 0, "VmHWM": 0}
    status = Path(f"/proc/{process.pid}/status")
    while True:
        done, code = os.waitpid(process.pid, os.WNOHANG)
        if done:
            break
        if status.exists():
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            for field in peaks:
                peaks[field] = max(peaks[field], int(lines.get(field, "0").split()[0]) << 10)
        time.sleep(POLL)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Finished(seconds, peaks["VmHWM"], peaks["RssAnon"])


def timed(command: list[str]) -> float:
    """Seconds a command takes, from its start to its end, with nothing left to write from before."""
    os.sync()
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def codec(*arguments: object) -> list[str]:
    return [*COMMAND, *map(str, arguments)]


def against_cp(folder: Path, source: Path, rounds: int) -> list[Figure]:
    """Decompressing against copying the original. codec syncs what it writes, cp only where it says so."""
    stored, output = folder / "stored.weft", folder / "output"
    subprocess.run(codec("compress", source, "-o", stored, "--quiet", "--force"), check=True)
    contenders: dict[str, list[str]] = {
        "codec decompress (syncs)": codec("decompress", stored, "-o", output, "--quiet", "--force"),
        "cp, then sync": ["sh", "-c", 'cp "$1" "$2" && sync "$2"', "sh", str(source), str(output)],
        "cp": ["cp", str(source), str(output)],
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, command in contenders.items():
            output.unlink(missing_ok=True)
            seconds = timed(command)
            if number:  # the first round only warms the page cache
                times[name].append(seconds)
    size = source.stat().st_size
    figures = []
    for name, seconds in times.items():
        fair = median(a / b for a, b in zip(seconds, times["cp, then sync"], strict=True))
        text = f"{median(seconds):.2f} s, best {min(seconds):.2f} s, {size / median(seconds) / 1e9:.2f} GB/s"
        figures.append(Figure(f"{name}, {size >> 20} MiB", "", f"{text}; {fair:.2f} x cp, then sync"))
    return figures


def memory(folder: Path, sources: list[Path]) -> list[Figure]:
    """Peak memory of compress and decompress; bounded memory means that a larger file needs no more."""
    figures = []
    for verb in ("compress", "decompress"):
        peaks = []
        for source in sources:
            stored, output = folder / "stored.weft", folder / "output"
            if verb == "decompress":
                subprocess.run(codec("compress", source, "-o", stored, "--quiet", "--force"), check=True)
            paths = (source, stored) if verb == "compress" else (stored, output)
            done = watch(codec(verb, paths[0], "-o", paths[1], "--quiet", "--force"))
            peaks.append(done.anonymous)
            name = f"peak memory, {verb}, {source.stat().st_size >> 20} MiB"
            text = f"{done.anonymous >> 20} MiB, with mapped files {done.resident >> 20} MiB"
            figures.append(Figure(name, "", f"{text}; {done.seconds:.1f} s"))
            stored.unlink(missing_ok=True)
            output.unlink(missing_ok=True)
        growth = peaks[-1] / max(peaks[0], 1)
        figures.append(Figure(f"peak memory, {verb}, largest file / smallest", "<= 1.25", f"{growth:.2f}"))
    return figures


def inspect(folder: Path, source: Path, rounds: int) -> list[Figure]:
    """`codec inspect` reads a header and an index: it must be as quick as Python's own start allows."""
    stored = folder / "stored.weft"
    subprocess.run(codec("compress", source, "-o", stored, "--quiet", "--force"), check=True)
    times = [timed(codec("inspect", stored)) for _ in range(rounds + 1)][1:]
    empty = [timed([sys.executable, "-c", "pass"]) for _ in range(rounds + 1)][1:]
    script = (
        "import sys; from codec.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('numba', 'llvmlite') if m in sys.modules], file=sys.stderr)"
    )
    command = [sys.executable, "-c", script, "inspect", str(stored)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = answer.stderr.strip().splitlines()[-1]
    text = f"{median(times):.3f} s (Python alone {median(empty):.3f} s)"
    return [
        Figure("codec inspect", "", text),
        Figure("codec inspect: numba imported", "no", "no" if loaded == "[]" else f"yes: {loaded}"),
    ]


def first(folder: Path, source: Path, rounds: int) -> list[Figure]:
    """The first compress ever, which compiles the kernels, and those that find them in the cache."""
    stored = folder / "stored.weft"
    command = codec("compress", source, "-o", stored, "--quiet", "--force")
    with TemporaryDirectory() as cache:
        seconds = [watch(command, {"NUMBA_CACHE_DIR": cache}).seconds for _ in range(rounds + 1)]
    size = source.stat().st_size >> 20
    return [
        Figure(f"first compress ever, {size} MiB", "", f"{seconds[0]:.1f} s"),
        Figure(f"later compress, {size} MiB", "", f"{median(seconds[1:]):.2f} s, whole process"),
    ]


def bandwidth(threads: int) -> float:
    """GB/s at which that many threads together copy memory, each its own 256 MiB, best of five."""
    pairs = [(np.ones(1 << 28, np.uint8), np.zeros(1 << 28, np.uint8)) for _ in range(threads)]
    best = 0.0
    for _ in range(5):
        workers = [Thread(target=np.copyto, args=(target, source)) for source, target in pairs]
        started = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        best = max(best, threads * (1 << 28) / (time.perf_counter() - started) / 1e9)
    return best


def scaling(source: Path, rounds: int) -> list[Figure]:
    """In memory, two threads against one, each in a process of its own; beside what copying memory gains."""
    figures = []
    for name in ("weft", "weft-fast"):
        workers = {threads: WorkerProcess(name, sys.executable, threads) for threads in (1, 2)}
        times: dict[str, dict[int, list[float]]] = {kind: {1: [], 2: []} for kind in ("encode", "decode")}
        for threads, worker in workers.items():
            worker.ask("hello")
            worker.ask("load", path=str(source), dtype="opaque", threads=threads)
        for number in range(rounds + 1):
            for threads, worker in workers.items():
                answer = worker.ask("turn", calls=1, lean=False)
                if number:
                    for kind, seconds in times.items():
                        seconds[threads].append(answer[kind][0])
        for worker in workers.values():
            worker.close()
        for kind, seconds in times.items():
            gain = median(one / two for one, two in zip(seconds[1], seconds[2], strict=True))
            figures.append(Figure(f"{name} {kind}, 2 threads / 1", ">= 1.7", f"{gain:.2f}"))
    one, two = bandwidth(1), bandwidth(2)
    text = f"{two / one:.2f} ({one:.1f} and {two:.1f} GB/s)"
    return [*figures, Figure("memory copy, 2 threads / 1", "", text)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure whole processes.")
    parser.add_argument("--only", default="inspect,first,threads,cp,memory")
    parser.add_argument("--mib", type=int, default=1024, help="size of the synthetic file (default: 1024)")
    parser.add_argument("--large-mib", type=int, default=4096, help="and of the larger one (default: 4096)")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="weft-process-") as name:
        folder = Path(name)

        def real() -> Path:
            return select(["minilm-bf16*"], ())[0].path

        def made(mib: int) -> Path:
            path = folder / f"synthetic-{mib}.safetensors"
            return path if path.exists() else synthetic.write(path, mib << 20)

        parts: dict[str, Callable[[], list[Figure]]] = {
            "inspect": lambda: inspect(folder, real(), arguments.rounds),
            "first": lambda: first(folder, real(), arguments.rounds),
            "threads": lambda: scaling(real(), arguments.rounds),
            "cp": lambda: against_cp(folder, made(arguments.mib), arguments.rounds),
            "memory": lambda: memory(folder, [made(arguments.mib), made(arguments.large_mib)]),
        }
        print("| figure | target | measured |\n|---|---|---|")
        for part in arguments.only.split(","):
            for figure in parts[part]():
                print(f"| {figure.name} | {figure.target} | {figure.measured} |", flush=True)


if __name__ == "__main__":
    main()
