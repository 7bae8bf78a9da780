"""Decode runs of records in few calls: the quick way of codec.kernels.chunks, and codec.decode for what it declines."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numba import config
from numpy.typing import NDArray

from codec.decode import SpanDecoder
from codec.errors import CorruptFileError
from codec.kernels import (
    bodies,
    codes,
    columns,
    heads,
    huffman,
    made,
    payloads,
    permute,
    planes,
    rans,
    transforms,
    xxh3,
)
from codec.kernels import chunks as kernel
from codec.memory import kept
from codec.stages import plain
from codec.stages.geometry import Bytes, view

_ZEROS: Final = np.zeros(1 << 14, np.uint8)
#: zstd frames that a call of the kernel may ask for.
_ASKED: Final = 1024
#: Bytes that these may give in all, unless a single record asks for them: they are held together.
_GIVEN: Final = 1 << 24
#: Records to decode, see ``decode``: rows, or an int64[n, 5].
Jobs = list[tuple[int, int, int, int, int]] | NDArray[np.int64]
_NO_BYTES: Final = np.zeros(0, np.uint8)
_NO_FRAMES: Final = np.zeros((0, 4), np.int64)


class _Addresses:
    """Addresses of kernels, as the driver takes them: an array that is replaced when a merge is added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.array: NDArray[np.int64] | None = None

    def get(self) -> NDArray[np.int64]:
        if self.array is None:
            with self._lock:
                if self.array is None:
                    found = (rans.decode_address(), huffman.decode_address(), permute.decode_address(), xxh3.address())
                    self.array = np.array((*found, 0), np.int64)
        return self.array

    def add(self, layout: int, width: int) -> None:
        """Compile the merge of a layout as a span's state names it: one of planes.VECTOR_CODES, or 0. Below 0: what
        makes spans by transform -layout, of elements of 2^width bytes; bodies.BY_COLUMNS: the decoder of stage 7.
        """
        widths = tuple(layout >> k & 15 for k in range(0, layout.bit_length(), 4))
        with self._lock:
            if layout == bodies.BY_COLUMNS:
                self.array = self.get().copy()
                self.array[4] = columns.decode_address()
                return
            if layout < 0:
                other = -layout != transforms.CODES_NUMBER
                found = transforms.make_address(-layout, width) if other else codes.make_address()
            else:
                found = planes.merge_address(planes.code_of(widths), width)
            self.array = np.append(self.get(), np.array([layout, width, found], np.int64))


_ADDRESSES = _Addresses()


class _Room:
    """What the kernel works in, one for each thread."""

    def __init__(self) -> None:
        self.state = np.zeros((2, heads.STATE), np.int64)
        self.tables = np.empty((2, heads.MOST_TABLES * heads.TABLE_WORDS), np.uint64)
        self.full = np.empty(heads.FULL_WORDS, np.uint64)
        self.scratch = np.empty((2, payloads.SCRATCH), np.uint8)
        self.small = np.empty((2, 2 * payloads.MOST_TILES), np.uint8)
        self.numbers = np.zeros((2, payloads.NUMBERS), np.int64)
        self.spare = np.empty(bodies.SPARE // 8, np.uint64).view(np.uint8)
        self.rooms = np.empty((2, made.PARTS // 8), np.uint64).view(np.uint8)
        self.made = np.zeros((3, made.MADE), np.int64)
        self.asked = np.zeros((_ASKED, 4), np.int64)
        self.why = np.zeros(3, np.int64)


def _room() -> _Room:
    """This thread's."""
    room: _Room | None = kept().get(_Room)
    if room is None:
        room = kept()[_Room] = _Room()
    return room


class SpanTables:
    """State and tables of a span that was read once, for its chunk records, from any thread."""

    __slots__ = ("chunk_bytes", "chunks", "length", "state", "tables")

    def __init__(self, state: NDArray[np.int64], tables: NDArray[np.uint64]) -> None:
        self.state, self.tables = state.reshape(1, -1), tables.reshape(1, -1)
        self.length, width = int(state[heads.LENGTH]), int(state[heads.WIDTH])
        self.chunk_bytes = int(state[heads.CHUNK]) * width
        self.chunks = max(1, -(-(self.length // width * width) // self.chunk_bytes))


def span_tables(body: Any) -> SpanTables | None:
    """Read the body of a span record without a chunk; None if it is for the careful way."""
    if config.DISABLE_JIT:
        return None
    state, tables = np.zeros(heads.STATE, np.int64), _room().tables[0]
    data = view(body)
    if heads.read_span(data, 0, data.size, state, tables, permute.decode_address() != 0) < 0:
        return None
    return SpanTables(state, tables[: int(state[heads.ROWS]) * heads.TABLE_WORDS].copy())


def decode(
    stored: Any, jobs: Jobs, out: Bytes, span: SpanTables | None,
    careful: Callable[[int], None], framed: bool = True,
) -> None:  # fmt: skip
    """Decode records into ``out``, and compare their checksums and those of what they hold.

    ``jobs``: for each record where in ``stored`` it begins and ends (``framed``; else its body, which was checked),
    where in ``out`` its bytes do, and its chunk's number, -1 for a span record with its only chunk. ``span``: of the
    chunk records. ``careful(k)`` checks and decodes job k another way: it is called for each that this way declines,
    and raises what is wrong with it.
    """
    if config.DISABLE_JIT or (span is None and jobs[0][kernel.NUMBER] >= 0):
        for k in range(len(jobs)):
            careful(k)
        return
    data, table, room = view(stored), np.array(jobs, np.int64), _room()
    state, tables = (room.state, room.tables) if span is None else (span.state, span.tables)
    status, told, given = np.full(len(jobs), kernel.OPENED, np.int64), _NO_FRAMES, _NO_BYTES
    while True:
        kernel.decode(
            data, table, framed, state, tables, room.full, out, room.scratch, room.small, room.numbers,
            _ADDRESSES.get(), _ZEROS, room.spare, room.rooms, room.made, room.asked, told, given, status, room.why,
        )  # fmt: skip
        asks, layout, width = room.why.tolist()
        if len(jobs) > 1 and int(room.asked[:asks, bodies.FRAME_GIVES].sum()) > _GIVEN:
            _in_halves(stored, jobs, out, span, careful, framed)
            return
        if width >= 0:
            _ADDRESSES.add(layout, width)
        elif not asks:
            break
        told, given = _unpacked(data, room.asked[:asks])
    for k in np.flatnonzero(status != bodies.DONE).tolist():
        careful(k)


def _in_halves(
    stored: Any, jobs: Jobs, out: Bytes, span: SpanTables | None,
    careful: Callable[[int], None], framed: bool,
) -> None:  # fmt: skip
    """As ``decode``, with what frames of zstd give of half the records at a time."""
    half = len(jobs) // 2
    decode(stored, jobs[:half], out, span, careful, framed)
    decode(stored, jobs[half:], out, span, lambda k: careful(half + k), framed)


def _unpacked(data: Bytes, asked: NDArray[np.int64]) -> tuple[NDArray[np.int64], Bytes]:
    """What the kernel asked for: its rows, and what the frames of zstd hold."""
    told = asked[np.argsort(asked[:, bodies.FRAME_AT])]
    given, place, places = np.empty(int(asked[:, bodies.FRAME_GIVES].sum()), np.uint8), 0, list[int]()
    source, out, unpack = data.data, given.data, plain.unpack_zstd
    for at, size, gives, _ in told.tolist():
        try:
            out[place : place + gives] = unpack(source[at : at + size], gives)
            places.append(place)
        except CorruptFileError:  # the careful way says which
            places.append(-1)
        place += gives
    told[:, bodies.FRAME_PLACE] = places
    return told, given


def decode_chunk(
    body: memoryview, number: int, out: Bytes, span: SpanTables | None, careful: Callable[[], SpanDecoder]
) -> None:
    """Decode the body of chunk record ``number`` into ``out``; ``careful()`` makes the other way's decoder."""
    jobs = [(0, len(body), 0, out.size, number)]
    decode(body, jobs, out, span, lambda _: careful().decode_chunk(number, body, out), framed=False)


def compile_driver() -> None:
    """Compile the kernel, or load it, without decoding anything."""
    room, none = _room(), np.zeros((0, 5), np.int64)
    kernel.decode(
        view(b""), none, True, room.state, room.tables, room.full, np.zeros(0, np.uint8), room.scratch, room.small,
        room.numbers, np.zeros(5, np.int64), _ZEROS, room.spare, room.rooms, room.made, room.asked, _NO_FRAMES,
        _NO_BYTES, np.zeros(0, np.int64), room.why,
    )  # fmt: skip


def compile_others() -> None:
    """Compile the kernels that it calls whatever it decodes, or load them."""
    _ADDRESSES.get()
