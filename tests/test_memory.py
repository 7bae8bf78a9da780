"""Results that are filled in place: their bytes, who holds them, and that nothing is left behind."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from threading import Barrier, Thread, get_ident
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import codec
from codec.errors import LimitExceededError
from codec.memory import Filling, MemorySink, kept, new_bytes

LARGE = 1 << 22  # from here on, large pages


def fresh(size: int) -> bytes:
    return bytes(bytearray(size))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4095, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE + 4097])
def test_a_filling_becomes_bytes(size: int) -> None:
    filling = Filling(size)
    assert filling.array.dtype == np.uint8 and filling.array.shape == (size,) and filling.array.flags.writeable
    filling.array[:] = np.arange(size) % 251
    taken = filling.take()
    assert filling.array is None
    del filling
    assert type(taken) is bytes and len(taken) == size
    assert (np.frombuffer(taken, np.uint8) == np.arange(size) % 251).all()
    assert hash(taken) == hash(bytes(bytearray(taken)))


@pytest.mark.parametrize("size", [2, 100, LARGE])
def test_a_result_is_held_by_its_holder_alone(size: int) -> None:
    filling, sink = Filling(size), MemorySink(size)
    filling.array[:] = 7
    sink.write(bytes(size))
    taken, finished, other = filling.take(), sink.finish(), fresh(size)
    del filling, sink
    assert sys.getrefcount(taken) == sys.getrefcount(finished) == sys.getrefcount(other)


def test_small_results_are_not_the_bytes_that_all_share() -> None:
    """b"" and bytes of length 1 are kept by Python: they are never filled, and not given up."""
    for size in (0, 1, 2):
        for value in (0, 65, 255):
            for grown in (0, 1, 2, 5):
                filling = Filling(size)
                filling.array[:] = value
                filling.resize(grown)
                kept = min(size, grown)
                filling.array[kept:] = 1
                assert filling.take() == bytes((value,)) * kept + b"\1" * (grown - kept)
    assert bytes(bytearray(1)) == b"\0" and bytes((65,)) == b"A" and bytes((255,)) == b"\xff" and b"".join([]) == b""
    assert len(fresh(0)) == 0


@given(st.integers(0, 70), st.lists(st.integers(0, 90), max_size=6))
def test_resizing_keeps_what_is_there(size: int, sizes: list[int]) -> None:
    filling = Filling(size)
    filling.array[:] = 3
    model = bytes((3,)) * size
    for n, more in enumerate(sizes, 10):
        filling.resize(more)
        filling.array[len(model) :] = n
        model = model[:more] + bytes((n,)) * (more - len(model))
        assert filling.array.tobytes() == model
    assert filling.take() == model


def test_growing_past_the_size_of_large_pages() -> None:
    filling = Filling(10)
    filling.array[:] = 5
    filling.resize(2 * LARGE)
    assert filling.array[:10].tolist() == [5] * 10
    filling.array[10:] = 6
    filling.resize(12)
    assert filling.take() == b"\5" * 10 + b"\6\6"


PIECES = st.lists(
    st.tuples(st.sampled_from(["bytes", "array", "view", "room", "far"]), st.integers(0, 60)), max_size=12
)


@given(st.sampled_from([0, 1, 2, 10, 100, 1000]), PIECES)
def test_a_sink_holds_what_was_written(expected: int, pieces: list[tuple[str, int]]) -> None:
    """Copied, or made in its room where there is some; far: in its room, but not where it goes."""
    sink, model = MemorySink(expected), b""
    for n, (how, size) in enumerate(pieces, 1):
        data: Any = bytes((n + k & 255 for k in range(size)))
        model += data
        room = sink.room()
        shift = 3 if how == "far" else 0
        if how in ("room", "far") and room.size >= size + shift:
            room[shift : shift + size] = np.frombuffer(data, np.uint8)
            data = room[shift : shift + size]
        elif how != "bytes":
            data = np.frombuffer(data, np.uint8) if how == "array" else memoryview(data)
        sink.write(data)
        del room, data
    assert sink.finish() == model


def test_room_is_where_the_next_bytes_go() -> None:
    sink = MemorySink(8)
    assert sink.room().size >= 8
    sink.write(b"ab")
    room = sink.room()
    assert room.size >= 6
    room[:3] = np.frombuffer(b"cde", np.uint8)
    sink.write(room[:3])
    assert sink.room().ctypes.data == room.ctypes.data + 3
    sink.write(b"f" * 1000)  # more than was expected
    assert sink.room().size > 0
    sink.write(b"g")
    assert sink.finish() == b"abcde" + b"f" * 1000 + b"g"


@pytest.mark.parametrize("expected", [0, 1, 2, 5, 1 << 20])
@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_a_few_bytes(expected: int, size: int) -> None:
    sink = MemorySink(expected)
    for k in range(size):
        sink.write(bytes((k,)))
    found = sink.finish()
    assert found == bytes(range(size)) and type(found) is bytes


def test_sinks_do_not_mix() -> None:
    sinks = [MemorySink(5) for _ in range(20)]
    for n in range(50):
        for k, sink in enumerate(sinks):
            sink.write(bytes((k,)) * (n % 7))
    assert [sink.finish() for sink in sinks] == [bytes((k,)) * sum(n % 7 for n in range(50)) for k in range(20)]


def test_more_than_there_is_memory_for() -> None:
    with pytest.raises(LimitExceededError, match=f"announces {1 << 60} bytes, more than there is memory for"):
        new_bytes(1 << 60)
    with pytest.raises(MemoryError):
        Filling(1 << 60)
    filling = Filling(100)
    with pytest.raises(MemoryError):
        filling.resize(1 << 60)
    del filling
    assert len(new_bytes(3).take()) == 3


def test_what_a_thread_keeps_is_its_own_and_goes_to_the_next() -> None:
    meet, seen = Barrier(5), [kept()]

    def work() -> None:
        mine = kept()
        mine["test"] = get_ident()
        meet.wait()
        assert kept() is mine and mine["test"] == get_ident()
        seen.append(mine)
        meet.wait()

    def run() -> None:
        threads = [Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            meet.wait()
        for thread in threads:
            thread.join()

    run()
    assert len({id(objects) for objects in seen}) == 5 and kept() is seen[0]
    run()
    assert {id(objects) for objects in seen[5:]} & {id(objects) for objects in seen[1:5]}


def resident() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
MB = 1 << 20


@linux
def test_what_is_dropped_is_given_back() -> None:
    """10 GB in all, of which 1 GB is touched: taken or not, resized or not, finished or not."""
    before = resident()
    for k in range(200):
        held: Any = Filling(50 * MB)
        held.array[: 5 * MB] = k
        if k % 3 == 0:
            held.resize(40 * MB)
        if k % 2 == 0:
            held = held.take()
        del held
    for k in range(20):
        sink = MemorySink(MB)
        sink.write(bytes(5 * MB))
        held = sink.finish() if k % 2 == 0 else sink.room()
        del sink, held
    assert resident() - before < 100 * MB


@linux
def test_what_fails_leaves_nothing_behind() -> None:
    rng = np.random.default_rng(0)
    original = rng.binomial(9, 0.5, 8 * MB).astype(np.uint8)
    damaged = bytearray(codec.compress(original))
    assert codec.decompress(bytes(damaged)) == original.tobytes()
    damaged[len(damaged) - 1000] ^= 1
    blob, before = bytes(damaged), resident()
    for _ in range(60):
        with pytest.raises(codec.CorruptFileError):
            codec.decompress(blob)
    # 480 MB would be left; what is freed stays with the process for a while, some 100 MB of it
    assert resident() - before < 200 * MB
