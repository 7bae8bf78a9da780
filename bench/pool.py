"""Worker processes as the run sees them: started with the same environment, asked, given up on when they
hang.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.peers import REGISTRY

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 600  # seconds a codec may take for one answer
PATIENCE = 10  # seconds it may take to leave

# Freed memory stays with the process, for every codec alike. Otherwise each call on a large file is charged
# for its buffers' page faults, which cost more than a fast decoder itself (a copy of 45 MB: 1.3 GB/s against
# 5) unless it happens to allocate through numpy, which asks for huge pages.
RETAIN = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 33),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
    "MALLOC_TOP_PAD_": str(1 << 26),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "BLOSC_NTHREADS",
    "RAYON_NUM_THREADS",
    "TOKIO_WORKER_THREADS",
)


class WorkerFailedError(Exception):
    """A codec raised, died or hung; the text is the reason, as it stands in the tables."""


class WorkerProcess:
    """One codec in a process of its own, for as long as the run lasts."""

    def __init__(self, name: str, python: str, threads: int, keep_memory: bool = True) -> None:
        self.name = name
        counts = dict.fromkeys(THREAD_VARIABLES, str(threads))
        environment = (
            os.environ | (RETAIN if keep_memory else {}) | counts | REGISTRY[name].env | {"PYTHONPATH": str(ROOT)}
        )
        self.process = subprocess.Popen(
            [python, "-m", "bench.worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and wait for its answer; raise WorkerFailedError, with the reason, if none comes."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(json.dumps({"op": operation, **arguments}), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise WorkerFailedError(self.obituary()) from None
        if not select.select([self.process.stdout], [], [], TIMEOUT)[0]:
            self.close()
            raise WorkerFailedError(f"no answer in {TIMEOUT} s")
        line = self.process.stdout.readline()
        if not line:
            raise WorkerFailedError(self.obituary())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerFailedError(answer["error"])
        return answer

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def obituary(self) -> str:
        code = self.process.wait()
        return f"its process died ({'signal' if code < 0 else 'exit code'} {abs(code)})"

    def close(self) -> None:
        """End the process: at the end of its input it leaves, and takes its files with it; if not, it is killed."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
