"""Work in order over threads, with a bound on what is under way."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def thread_count(threads: int | None) -> int:
    """How many threads to use: ``threads``, or every processor this process may run on. Raises ValueError below 1."""
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads < 1:
        raise ValueError(f"threads={threads}: expected at least 1")
    return threads


_pools: dict[int, ThreadPoolExecutor] = {}
_inside = threading.local()


def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that stay from one call to the next: starting them anew took a tenth of the time of decoding 45 MB."""
    with _lock:
        if threads not in _pools:
            _pools[threads] = ThreadPoolExecutor(threads, "codec", initializer=lambda: setattr(_inside, "pool", True))
        return _pools[threads]


def _forget() -> None:
    """In a forked child the threads are gone."""
    global _lock
    _lock = threading.Lock()
    _pools.clear()


_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class _Job(Generic[T, R]):
    """A task that whoever comes first does: a thread of the pool, or the caller. What it held is let go of at once."""

    def __init__(self, work: Callable[[T], R], task: T) -> None:
        self._work, self._held = work, [task]
        #: Who does it: entered by setdefault, which no interrupt can cut in two.
        self._by: dict[str, int] = {}
        self._over = threading.Event()
        self._values: list[R] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do it, unless somebody has begun it. Its error is kept for whoever takes the result."""
        if self._by or self._by.setdefault("thread", threading.get_ident()) != threading.get_ident():
            return
        try:
            self._values.append(self._work(self._held.pop()))
        except Exception as error:  # noqa: BLE001 - raised where the result is taken, in its turn
            self._error = error
        finally:  # an interrupt does not wait for its turn
            self._over.set()

    def run_here(self) -> bool:
        """Do it in the caller's thread; False if somebody has begun it."""
        if self._by:
            return False
        self.run()
        return True

    def give_up(self) -> None:
        """See to it that it is not begun; if a thread of the pool has, wait for the end of it."""
        if self._by.setdefault("thread", threading.get_ident()) != threading.get_ident():
            self._over.wait()
        self._held.clear()

    def done(self) -> bool:
        return self._over.is_set()

    def result(self) -> R:
        """What came of it, once it is done; waits for that."""
        self._over.wait()
        if self._error is not None:
            raise self._error
        return self._values.pop()


def in_order(tasks: Iterable[T], work: Callable[[T], R], threads: int) -> Iterator[R]:
    """Results of ``work`` in the order of the tasks. At most threads + 1 tasks are under way or waiting to be taken.

    The caller's thread is one of the threads: it draws the tasks, and rather than wait for a result it does one that
    nobody has begun. (A thread that waits lets its processor go to sleep, and waking one up took a tenth of a
    millisecond on a virtual machine: two threads were no faster than one.) The first error stops everything and is
    raised here; nothing runs on afterwards, and an interrupt waits only for what a thread of the pool is doing. Called
    by work itself (a caller's progress, say), it does all in that thread, which cannot wait for its own pool.

    >>> list(in_order(range(4), lambda n: n * n, threads=2))
    [0, 1, 4, 9]
    """
    if threads == 1 or getattr(_inside, "pool", False):
        yield from map(work, tasks)
        return
    waiting: deque[_Job[T, R]] = deque()
    pool, process = _pool(threads - 1), os.getpid()

    def take() -> R:
        first = waiting[0]
        while not first.done() and any(job.run_here() for job in waiting):
            pass
        result = first.result()
        waiting.popleft()
        return result

    try:
        for task in tasks:
            job = _Job(work, task)
            waiting.append(job)
            pool.submit(job.run)
            while len(waiting) > threads:
                yield take()
        while waiting:
            yield take()
    finally:
        if os.getpid() == process:  # a forked child has none of the threads
            for job in waiting:
                job.give_up()
