"""The process of one codec: reads one JSON object a line, answers with one, and times only the codec's own
calls.

    {"op": "hello"}                                        -> {"version": "..."}
    {"op": "load", "path": ..., "dtype": ..., "threads": n} -> {"size": bytes}
    {"op": "turn", "calls": n, "lean": bool}               -> {"stored": bytes, "exact": bool,
                                                               "encode": [ns, ...], "decode": [ns, ...], ...}

A failure answers {"error": reason}; the process lives on. Started by bench.pool as `python -m bench.worker
NAME`.
"""

from __future__ import annotations

import ctypes
import gc
import json
import mmap
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers import Peer, find

COMPARED = 1 << 24  # bytes compared at a time, so that a check of a gigabyte takes little memory


def cpu_ns() -> int:
    """Processor time this process and its finished children have used."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time_ns() + int((children.ru_utime + children.ru_stime) * 1e9)


def same(output: Any, original: np.ndarray) -> bool:
    """Whether a buffer, a list of buffers end to end, or the file at a Path holds exactly the original bytes."""
    if isinstance(output, Path):
        output = np.fromfile(output, np.uint8)
    at = 0
    for buffer in output if isinstance(output, list) else [output]:
        piece = np.frombuffer(buffer, np.uint8)
        if at + len(piece) > len(original):
            return False
        expected = original[at : at + len(piece)]
        starts = range(0, len(piece), COMPARED)
        if not all(np.array_equal(piece[i : i + COMPARED], expected[i : i + COMPARED]) for i in starts):
            return False
        at += len(piece)
    return at == len(original)


class Worker:
    def __init__(self, name: str) -> None:
        self.peer: Peer = find(name)
        self.cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

    def hello(self) -> dict[str, Any]:
        return {"version": self.peer.available()}

    def load(self, path: str, dtype: str, threads: int) -> dict[str, Any]:
        """Map a file; its pages are shared by all workers. A codec that obeys no thread count is pinned."""
        with Path(path).open("rb") as file:
            self.data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self.original = np.frombuffer(self.data, np.uint8)
        self.dtype = dtype
        self.threads = threads
        if self.peer.pinned and self.cpus:
            os.sched_setaffinity(0, self.cpus[:threads])
        return {"size": len(self.data)}

    def turn(self, calls: int, lean: bool) -> dict[str, Any]:
        """Encode and decode, each `calls` times; every result is compared with the original."""
        answer: dict[str, Any] = {"encode": [], "decode": [], "encode_cpu": 0, "decode_cpu": 0, "exact": True}
        for _ in range(calls):
            prepared = self.peer.prepare(self.data, self.dtype, self.threads)
            blob = self.timed(answer, "encode", lambda ready=prepared: self.encode(ready))
            del prepared
            answer["stored"] = self.peer.size(blob)
            output = self.timed(answer, "decode", lambda stored=blob: self.decode(stored))
            answer["exact"] = answer["exact"] and same(output, self.original)
            del blob, output
        if lean:  # a large file: give the memory back, for the next worker's turn
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)
        return answer

    def encode(self, prepared: Any) -> Any:
        return self.peer.encode(prepared, self.dtype, self.threads)

    def decode(self, blob: Any) -> Any:
        return self.peer.decode(blob, len(self.data))

    @staticmethod
    def timed(answer: dict[str, Any], kind: str, call: Any) -> Any:
        gc.collect()
        gc.disable()
        cpu, start = cpu_ns(), time.perf_counter_ns()
        result = call()
        answer[kind].append(time.perf_counter_ns() - start)
        answer[f"{kind}_cpu"] += cpu_ns() - cpu
        gc.enable()
        return result


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a codec prints goes to stderr, not among the answers
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        operation = {"hello": worker.hello, "load": worker.load, "turn": worker.turn}[request.pop("op")]
        try:
            answer = operation(**request)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a codec raises is its result
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
