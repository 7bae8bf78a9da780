"""Work in order over threads: order, bounds, errors, and what the caller's thread does."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator

import pytest

from codec.engine import in_order


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_results_come_in_order(threads: int) -> None:
    assert list(in_order(range(200), lambda n: n * n, threads)) == [n * n for n in range(200)]
    assert list(in_order([], lambda n: n, threads)) == []


@pytest.mark.parametrize("threads", [2, 3])
def test_no_more_is_drawn_than_can_be_under_way(threads: int) -> None:
    drawn, taken, most = 0, 0, 0

    def tasks() -> Iterator[int]:
        nonlocal drawn, most
        for n in range(50):
            drawn += 1
            most = max(most, drawn - taken)
            yield n

    for _ in in_order(tasks(), lambda n: n, threads):
        taken += 1
    assert (drawn, taken) == (50, 50)
    assert most <= threads + 2


def test_tasks_are_drawn_by_the_caller_who_works_too() -> None:
    """While the pool's only thread is held up, the caller does the rest; nobody waits for anybody else."""
    mine, held, by = threading.get_ident(), threading.Event(), []

    def tasks() -> Iterator[int]:
        for n in range(6):
            assert threading.get_ident() == mine
            yield n

    def work(n: int) -> int:
        if threading.get_ident() != mine and not held.is_set():
            assert held.wait(60)
        by.append(threading.get_ident())
        if n == 2 and threading.get_ident() == mine:
            held.set()
        return n

    try:
        assert list(in_order(tasks(), work, 2)) == list(range(6))
    finally:
        held.set()
    assert mine in by


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("bad", [0, 1, 7, 19])
def test_the_first_error_in_order_is_raised_and_nothing_runs_on(threads: int, bad: int) -> None:
    seen = []

    def work(n: int) -> int:
        if n >= bad:
            raise ValueError(n)
        return n

    def take() -> None:
        for n in in_order(range(20), work, threads):
            seen.append(n)

    with pytest.raises(ValueError, match=f"^{bad}$"):
        take()
    assert seen == list(range(bad))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_an_interrupt_ends_it_at_once(threads: int) -> None:
    """In the caller's thread, where Ctrl-C is met; nothing is waited for that nobody does."""
    mine = threading.get_ident()

    def work(n: int) -> int:
        if threading.get_ident() == mine and n > 3:
            raise KeyboardInterrupt
        return n

    with pytest.raises(KeyboardInterrupt):
        list(in_order(range(10_000), work, threads))


@pytest.mark.parametrize("threads", [2, 3])
def test_work_may_call_for_work(threads: int) -> None:
    def work(n: int) -> int:
        return sum(in_order(range(n), lambda k: k, threads))

    assert list(in_order(range(20), work, threads)) == [n * (n - 1) // 2 for n in range(20)]


def test_a_caller_that_stops_early_leaves_nothing_running() -> None:
    begun: list[int] = []
    results = in_order(range(100), lambda n: begun.append(n) or n, 2)
    assert next(iter(results)) == 0
    results.close()  # type: ignore[attr-defined]
    count = len(begun)
    assert count <= 5
    assert len(begun) == count


class Thing:
    pass


def test_what_the_caller_has_done_is_let_go_of() -> None:
    """While somebody else holds the pool's only thread, whose queue fills with what the caller has done itself."""
    begun, held = threading.Event(), threading.Event()

    def hold(n: int) -> int:
        if threading.current_thread() is other:
            assert begun.wait(60)
        else:
            begun.set()
            assert held.wait(60)
        return n

    other = threading.Thread(target=lambda: list(in_order(range(2), hold, 2)))
    other.start()
    try:
        assert begun.wait(60)
        alive: list[weakref.ref[Thing]] = []

        def tasks() -> Iterator[Thing]:
            for _ in range(200):
                thing = Thing()
                alive.append(weakref.ref(thing))
                yield thing

        for _ in in_order(tasks(), lambda thing: [thing], 2):
            pass
        assert sum(ref() is not None for ref in alive) <= 3
    finally:
        held.set()
        other.join()
