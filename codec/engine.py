"""Work in order over threads, with a bound on what is under way."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def thread_count(threads: int | None) -> int:
    """How many threads to use: ``threads``, or every processor this process may run on. Raises ValueError below 1."""
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads < 1:
        raise ValueError(f"threads={threads}: expected at least 1")
    return threads


def in_order(tasks: Iterable[T], work: Callable[[T], R], threads: int) -> Iterator[R]:
    """Results of ``work`` in the order of the tasks. At most threads + 1 tasks are under way or waiting to be taken.

    Tasks are drawn in the caller's thread. The first error stops everything and is raised here.

    >>> list(in_order(range(4), lambda n: n * n, threads=2))
    [0, 1, 4, 9]
    """
    if threads == 1:
        yield from map(work, tasks)
        return
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="codec") as pool:
        try:
            for task in tasks:
                waiting.append(pool.submit(work, task))
                while len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
