"""The store of codec serve: nothing wrong or half is kept, clients share what is on its way, the limit holds."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import codec

pytest.importorskip("starlette", reason="codec serve needs starlette")
pytest.importorskip("uvicorn", reason="codec serve needs uvicorn")

from hub.serving.filling import Filling, Following
from hub.serving.store import Held, Store, key_of
from hub.serving.streams import CheckedBody

DATA = bytes(range(256)) * 20_000
KEY = key_of(hashlib.sha256(DATA).hexdigest(), "etag")
PIECE = 1_000_000


class Bytes:
    """A source that can be made to wait, and to fail."""

    def __init__(self, data: bytes = DATA, error: Exception | None = None, gate: threading.Event | None = None) -> None:
        self.data, self.error, self.gate = data, error, gate
        self.taken, self.closed = 0, threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self.data), PIECE):
            self.taken += 1
            yield self.data[at : at + PIECE]
            if self.gate is not None:
                assert self.gate.wait(10)
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed.set()


def rest_of(data: bytes) -> Callable[[int], Bytes]:
    return lambda at: Bytes(data[at:])


def no_rest(at: int) -> Bytes:
    raise AssertionError(f"asked for the rest from {at}")


def read(body: object) -> bytes:
    try:
        return b"".join(body)  # type: ignore[arg-type]
    finally:
        body.close()  # type: ignore[attr-defined]


def put(store: Store, data: bytes, mtime: float | None = None) -> str:
    """Store what a client reads."""
    key = key_of(hashlib.sha256(data).hexdigest(), "etag")
    source = Bytes(data)
    body = store.body(key, len(data), 0, len(data), source, no_rest)
    assert isinstance(body, Following) and read(body) == data
    assert source.closed.wait(10)
    settled(store)
    if mtime is not None:
        os.utime(store.folder / key, (mtime, mtime))
    return key


def settled(store: Store) -> None:
    """Wait until no thread writes any more."""
    for thread in threading.enumerate():
        if thread.name == "weft-fill":
            thread.join(10)
    assert not store._fillings


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_client_read_is_there_for_the_next(tmp_path: Path) -> None:
    store = Store(tmp_path / "a" / "b", 10**9)
    key = put(store, DATA)
    assert key == KEY and names(store.folder) == [KEY]
    assert store.folder.stat().st_mode & 0o077 == 0 and (store.folder / KEY).stat().st_mode & 0o077 == 0
    source = Bytes()
    held = store.body(KEY, len(DATA), 5, 3_000_000, source, no_rest)
    assert isinstance(held, Held) and read(held) == DATA[5:3_000_000]
    assert source.closed.is_set() and source.taken == 0
    # one of another size is not what was asked for, and a part is not stored
    assert store.body(KEY, len(DATA) + 1, 0, 7, Bytes(), no_rest) is None
    assert store.body("../" + KEY[3:], len(DATA), 0, len(DATA), Bytes(), no_rest) is None
    assert store.body(KEY[:64], len(DATA), 0, len(DATA), Bytes(), no_rest) is None
    assert store.body(key_of(KEY[:64], "other"), len(DATA), 0, 7, Bytes(), no_rest) is None


def test_two_clients_share_one_transfer(tmp_path: Path) -> None:
    store, gate = Store(tmp_path, 10**9), threading.Event()
    first, second = Bytes(gate=gate), Bytes()
    bodies = [store.body(KEY, len(DATA), 0, len(DATA), source, no_rest) for source in (first, second)]
    assert second.closed.is_set() and not first.closed.is_set()
    got: list[bytes] = []
    threads = [threading.Thread(target=lambda body=body: got.append(read(body))) for body in bodies]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(10)
    assert got == [DATA, DATA] and second.taken == 0
    settled(store)
    assert names(tmp_path) == [KEY]


def test_what_is_whole_is_shared_before_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, gate = Store(tmp_path, 10**9), threading.Event()
    monkeypatch.setattr(os, "fsync", lambda fd: gate.wait(10))
    first, second = Bytes(), Bytes()
    for source in (first, second):
        body = store.body(KEY, len(DATA), 0, len(DATA), source, no_rest)
        assert read(body) == DATA
    gate.set()
    settled(store)
    assert second.taken == 0 and names(tmp_path) == [KEY]


@pytest.mark.parametrize("stored", [True, False])
def test_what_turns_out_wrong_is_never_complete(tmp_path: Path, stored: bool) -> None:
    source = Bytes(error=codec.CorruptFileError("wrong"))
    store = Store(tmp_path, 10**9 if stored else 0)
    body = store.body(KEY, len(DATA), 0, len(DATA), source, no_rest) or CheckedBody(source)
    seen: list[bytes] = []
    with pytest.raises(codec.CorruptFileError):
        seen.extend(body)
    assert 0 < len(b"".join(seen)) < len(DATA)
    body.close()
    settled(store)
    assert names(tmp_path) == []


def test_a_source_that_ends_early_is_not_kept(tmp_path: Path) -> None:
    store = Store(tmp_path, 10**9)
    body = store.body(KEY, len(DATA), 0, len(DATA), Bytes(DATA[:-9]), rest_of(DATA))
    assert read(body) == DATA  # from elsewhere, in the end
    settled(store)
    assert names(tmp_path) == []


def test_a_full_disk_is_the_servers_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, file: object) -> None:
            self.file, self.left = file, 2_500_000

        def write(self, data: memoryview) -> int:
            if not self.left:
                raise OSError(28, "No space left on device")
            taken = self.file.write(data[: self.left])  # type: ignore[attr-defined]
            self.left -= taken
            return int(taken)

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

    made = Filling.__init__
    monkeypatch.setattr(Filling, "__init__", lambda self, path, file, *rest: made(self, path, Full(file), *rest))
    store = Store(tmp_path, 10**9)
    bodies = [store.body(KEY, len(DATA), 0, len(DATA), Bytes(), rest_of(DATA)) for _ in range(2)]
    assert [read(body) for body in bodies] == [DATA, DATA]
    settled(store)
    assert names(tmp_path) == []


def test_decoding_stops_when_nobody_reads(tmp_path: Path) -> None:
    store, gate = Store(tmp_path, 10**9), threading.Event()
    source = Bytes(gate=gate)
    body = store.body(KEY, len(DATA), 0, len(DATA), source, no_rest)
    assert body is not None
    next(iter(body))
    body.close()
    gate.set()
    settled(store)
    assert source.taken <= 2 and source.closed.is_set() and names(tmp_path) == []
    put(store, DATA)


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    store = Store(tmp_path, 3000)
    a, b, c = (put(store, bytes([n]) * 1000, mtime=n) for n in (1, 2, 3))
    assert names(tmp_path) == sorted([a, b, c])
    served = store.body(b, 1000, 0, 1000, Bytes(), no_rest)  # which makes it the one used last, too
    os.utime(tmp_path / b, (0, 0))
    again = store.body(a, 1000, 0, 1, Bytes(), no_rest)
    assert again is not None and served is not None
    assert (tmp_path / a).stat().st_mtime > 3
    again.close()
    d = put(store, b"d" * 1000)
    assert names(tmp_path) == sorted([a, b, d])  # b is being served: it stays
    assert store.body(KEY, 3001, 0, 3001, Bytes(), no_rest) is None
    assert store.body(KEY, 2001, 0, 2001, Bytes(), no_rest) is None
    assert names(tmp_path) == sorted([a, b, d])  # what doesn't fit anyway makes nothing go
    assert read(served) == b"\2" * 1000
    os.utime(tmp_path / a, (9, 9))
    put(store, b"e" * 2001)
    assert len(names(tmp_path)) == 1
    Store(tmp_path, 2000)
    assert names(tmp_path) == []


def test_some_of_the_disk_is_left_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path, 10**9)
    old = put(store, b"o" * 1000)
    # of 100000 bytes, 5000 are to stay free
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=100_000, free=6000))
    put(store, b"n" * 1000)
    assert old in names(tmp_path)
    assert store.body(KEY, 4000, 0, 4000, Bytes(), no_rest) is None
    put(store, b"m" * 2000)
    assert old not in names(tmp_path)


def test_what_a_killed_server_left_is_removed(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl", reason="no locks of this kind here")
    left, alive = tmp_path / f"{KEY}.0123456789ab.part", tmp_path / f"{KEY}.ba9876543210.part"
    other = tmp_path / "notes.part"
    for path in (left, alive, other):
        path.write_bytes(b"x")
    with alive.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        Store(tmp_path, 10**9)
        assert names(tmp_path) == sorted([alive.name, other.name])
    Store(tmp_path, 10**9)
    assert names(tmp_path) == [other.name]


def test_a_server_that_ends_leaves_nothing_unfinished(tmp_path: Path) -> None:
    store, gate = Store(tmp_path, 10**9), threading.Event()
    body = store.body(KEY, len(DATA), 0, len(DATA), Bytes(gate=gate), rest_of(b""))
    assert body is not None and names(tmp_path) != []
    store.close()
    assert names(tmp_path) == []
    gate.set()
    body.close()
    settled(store)
