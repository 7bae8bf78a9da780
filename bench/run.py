"""Measure weft beside its peers: sizes and in-memory speeds, every result checked bit for bit.

    python -m bench.run [--files GLOB|SET|PATH ...] [--peers a,b] [--threads 1,all] [--rounds N] [--quick]
                        [--peer-python PATH] [--memory kept|system] [--out FOLDER]
    python -m bench.run --sizes [--files ...] [--peers a,b] [--peer-python PATH] [--out FOLDER]

Every codec lives in a process of its own. In each round each codec takes one turn, one after the other, so
that whatever else the machine is doing falls on all of them alike. Writes FOLDER/results.csv, .md and
.png. With --sizes each codec takes one turn, which is checked and not timed, the slow ones too: writes
FOLDER/sizes-by-kind.csv and .md.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench import by_kind, report
from bench.corpora import Corpus, select
from bench.peers import REGISTRY
from bench.pool import WorkerFailedError, WorkerProcess

GROUPS = ("headline", "safetensors", "other")
SIZE_GROUPS = (*GROUPS, "kinds", "structured")
QUICK_FILES = ["minilm-bf16*", "esr-team38*", "sdlora-analog*"]
QUICK_PEERS = ["weft-fast", "weft", "zipnn", "openzl", "zstd-3", "memcpy"]
QUICK_ROUNDS = 3
CALL_BYTES = 16 << 20  # a turn repeats its calls until it has coded about this much
MOST_CALLS = 20
LEAN_BYTES = 256 << 20  # files above this leave no buffers behind between turns
BUDGET = 30.0  # seconds a codec may take for one file; a slow one gets fewer rounds, the table says how many


@dataclass
class Measured:
    """What one codec did on one file with one number of threads. Times are seconds, one list per round."""

    corpus: Corpus
    size: int
    codec: str
    threads: int
    version: str = ""
    failure: str = ""
    stored: int = 0
    exact: bool = True
    encode: list[list[float]] = field(default_factory=list)
    decode: list[list[float]] = field(default_factory=list)
    encode_cpu: float = 0.0
    decode_cpu: float = 0.0
    spent: float = 0.0


def take_turn(worker: WorkerProcess, result: Measured, keep: bool) -> None:
    """One turn of one codec; without keep it only warms up, unless it is too slow to be asked again."""
    calls = 1 if not keep else max(1, min(MOST_CALLS, CALL_BYTES // max(result.size, 1)))
    lean = result.size > LEAN_BYTES
    started = time.perf_counter()
    if lean:  # the memory was given back: warm up again
        worker.ask("turn", calls=1, lean=False)
    answer = worker.ask("turn", calls=calls, lean=lean)
    took = time.perf_counter() - started
    result.spent += took
    result.stored = answer["stored"]
    result.exact = result.exact and answer["exact"]
    if keep or took > BUDGET / 2:
        for kind in ("encode", "decode"):
            times = [nanoseconds / 1e9 for nanoseconds in answer[kind]]
            getattr(result, kind).append(times)
            setattr(result, f"{kind}_cpu", getattr(result, f"{kind}_cpu") + answer[f"{kind}_cpu"] / 1e9)


class Run:
    """The workers of one thread count, and the rounds they go through for each file."""

    def __init__(self, names: list[str], threads: int, rounds: int, peer_python: str, keep_memory: bool) -> None:
        self.names = names
        self.threads = threads
        self.rounds = rounds
        self.peer_python = peer_python
        self.keep_memory = keep_memory
        self.workers: dict[str, WorkerProcess] = {}
        self.versions: dict[str, str] = {}
        self.failures: dict[str, str] = {}
        for name in names:
            self.start(name)

    def start(self, name: str) -> None:
        """Start a worker and ask its version; one that cannot run is listed, with the reason, for each file."""
        python = sys.executable if REGISTRY[name].ours else self.peer_python
        worker = WorkerProcess(name, python, self.threads, self.keep_memory)
        try:
            self.versions[name] = worker.ask("hello")["version"]
            self.workers[name] = worker
        except WorkerFailedError as reason:
            self.failures[name] = str(reason)
            worker.close()

    def measure(self, corpus: Corpus) -> list[Measured]:
        """Go through all rounds with a file."""
        results = self.loaded(corpus)
        for number in range(self.rounds + 1):
            for result in results:
                if number == 0 or result.spent < BUDGET:
                    self.attempt(result, partial(take_turn, keep=number > 0))
        return results

    def sizes(self, corpus: Corpus) -> list[Measured]:
        """One turn of each codec."""
        results = self.loaded(corpus)
        for result in results:
            self.attempt(result, partial(take_turn, keep=False))
        return results

    def loaded(self, corpus: Corpus) -> list[Measured]:
        """A file in every worker, nothing measured yet."""
        size = corpus.path.stat().st_size
        results: dict[str, Measured] = {}
        for name in self.names:
            if name in self.workers and not self.workers[name].alive:
                self.start(name)  # it died on the file before
            version, failure = self.versions.get(name, ""), self.failures.get(name, "")
            results[name] = Measured(corpus, size, name, self.threads, version, failure)
            self.attempt(results[name], self.load)
        return list(results.values())

    @staticmethod
    def load(worker: WorkerProcess, result: Measured) -> None:
        worker.ask("load", path=str(result.corpus.path), dtype=result.corpus.dtype, threads=result.threads)

    def attempt(self, result: Measured, step: Callable[[WorkerProcess, Measured], None]) -> None:
        """Take a step, unless an earlier one failed; a failure is noted and ends that codec's part here."""
        if result.failure:
            return
        try:
            step(self.workers[result.codec], result)
        except WorkerFailedError as reason:
            result.failure = str(reason)

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()


def thread_counts(text: str) -> list[int]:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = [cpus if part == "all" else int(part) for part in text.split(",")]
    return list(dict.fromkeys(counts))


def measure_sizes(run: Run, corpora: list[Corpus], out: Path, known: list[Path]) -> str:
    """The table of sizes; written anew after every file, as all of them take long. ``known``: tables that have those of
    codecs that are not measured.
    """
    measured: list[Measured] = []
    text, earlier = "", by_kind.earlier(known)
    for corpus in corpora:
        print(corpus.name, file=sys.stderr, flush=True)
        measured += run.sizes(corpus)
        table = by_kind.lines(measured)
        text = by_kind.write(table, by_kind.complete(table, run.names, earlier), run.versions, out)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure weft beside its peers.")
    parser.add_argument("--files", nargs="*", default=[], help="names, sets, paths (default: see the README)")
    parser.add_argument("--peers", help=f"comma-separated (default: all of {', '.join(REGISTRY)})")
    parser.add_argument("--threads", default="1", help="comma-separated counts; `all` is every CPU (default: 1)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="three files, six codecs, three rounds")
    parser.add_argument(
        "--sizes", action="store_true", help="sizes alone, of every kind of file: one turn of each codec"
    )
    parser.add_argument(
        "--earlier", type=Path, nargs="*", default=[], metavar="CSV",
        help="with --sizes: tables of earlier runs, for the codecs that are not among --peers",
    )  # fmt: skip
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that has the peers")
    parser.add_argument(
        "--memory",
        choices=("kept", "system"),
        default="kept",
        help="freed memory stays with a process (default), or goes back to the system as in a plain program",
    )
    parser.add_argument("--out", type=Path, default=report.RESULTS)
    arguments = parser.parse_args()
    quick, sizes = arguments.quick, arguments.sizes
    usual = QUICK_PEERS if quick else [*by_kind.CODECS] if sizes else list(REGISTRY)
    names = arguments.peers.split(",") if arguments.peers else usual
    if unknown := set(names) - set(REGISTRY):
        parser.error(f"unknown codec {', '.join(sorted(unknown))}; known: {', '.join(REGISTRY)}")
    corpora = select(arguments.files or (QUICK_FILES if quick else []), SIZE_GROUPS if sizes else GROUPS)
    rounds = min(arguments.rounds, QUICK_ROUNDS) if quick else arguments.rounds
    measured: list[Measured] = []
    if sizes:
        run = Run(names, 1, 0, arguments.peer_python, arguments.memory == "kept")
        try:
            print(measure_sizes(run, corpora, arguments.out, arguments.earlier))
        finally:
            run.close()
        return
    for threads in thread_counts(arguments.threads):
        run = Run(names, threads, rounds, arguments.peer_python, arguments.memory == "kept")
        try:
            for corpus in corpora:
                print(f"{corpus.name}, {threads} thread{'s' * (threads > 1)}", file=sys.stderr, flush=True)
                measured += run.measure(corpus)
        finally:
            run.close()
    rows = report.rows(measured)
    report.write(rows, arguments.out, arguments.memory)
    print(report.markdown(rows, arguments.memory))


if __name__ == "__main__":
    main()
