"""The index: what lies where (FORMAT.md, section 7)."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

import zstandard

from codec.container.records import FRAME_BYTES, HEADER_BYTES
from codec.dtypes import BY_CODE, DTYPES
from codec.errors import CorruptFileError, UnsupportedVersionError
from codec.limits import (
    CHUNK_BYTES_MAX,
    DIMENSIONS_MAX,
    EMPTY_TENSORS_MAX,
    INDEX_BYTES_MAX,
    INDEX_FREE_BYTES,
    INDEX_RATIO_MAX,
    NAME_BYTES_MAX,
    RECORD_BODY_MAX,
    SPAN_BYTES_MAX,
    TENSORS_MAX,
)
from codec.memory import kept
from codec.wire import Cursor, text, varint

#: Bytes of an index whose numbers are read all at once, at least and at most.
_MANY = 1 << 11
_TOO_MANY = 1 << 22
_RECORD_MAX = RECORD_BODY_MAX + FRAME_BYTES


@dataclass(slots=True)
class SpanEntry:
    """One span: original bytes, stored bytes of its span record, and of each chunk record behind it."""

    original: int
    record: int
    chunks: list[int] = field(default_factory=list)

    @property
    def stored(self) -> int:
        """Stored bytes of all its records."""
        return self.record + sum(self.chunks)


@dataclass(slots=True)
class TensorEntry:
    """One tensor: its name, element type, shape, and the spans that hold it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    first: int
    spans: int


@dataclass(slots=True)
class Index:
    """What the index record holds. ``sha256`` is empty if none was recorded."""

    original: int = 0
    sha256: bytes = b""
    source: str = ""
    level: str = ""
    spans: list[SpanEntry] = field(default_factory=list)
    tensors: list[TensorEntry] = field(default_factory=list)

    def span_offsets(self) -> tuple[list[int], list[int]]:
        """(offset in the original, offset in the file) of each span, and of the end behind the last."""
        stored = [s.record + sum(s.chunks) if s.chunks else s.record for s in self.spans]
        original = itertools.accumulate([s.original for s in self.spans], initial=0)
        return list(original), list(itertools.accumulate(stored, initial=HEADER_BYTES))


def _compressor(level: int) -> zstandard.ZstdCompressor:
    """This thread's: making one of level 19 takes half a millisecond."""
    held: zstandard.ZstdCompressor | None = kept().get(("index", level))
    if held is None:
        held = kept()["index", level] = zstandard.ZstdCompressor(level=level)
    return held


def encode(index: Index) -> bytes:
    """Body of the index record."""
    out = [varint(index.original), bytes((1,)) + index.sha256 if index.sha256 else b"\0"]
    out += [text(index.source), text(index.level), varint(len(index.spans))]
    for s in index.spans:
        out += [varint(s.original), varint(s.record), varint(len(s.chunks)), *map(varint, s.chunks)]
    out.append(varint(len(index.tensors)))
    for t in index.tensors:
        out += [text(t.name), bytes((DTYPES[t.dtype].code,)), varint(len(t.shape)), *map(varint, t.shape)]
        out += [varint(t.first), varint(t.spans)]
    plain = b"".join(out)
    packed = _compressor(19 if len(plain) < 1 << 20 else 9).compress(plain)
    smaller = len(packed) < len(plain) <= INDEX_RATIO_MAX * len(packed) + INDEX_FREE_BYTES
    return bytes((int(smaller),)) + varint(len(plain)) + (packed if smaller else plain)


def decode(body: bytes | memoryview, name: str, room: int | None = None) -> Index:
    """The index in a record's body, with every invariant of section 7 checked that needs only the index.

    ``room``: bytes of the file between header and index, which the records must fill exactly. It also stops an index
    that inflates to millions of spans before they are built.
    """
    c = Cursor(_unpacked(body, name), f"{name}: index")
    index = Index(original=c.varint())
    digest = c.u8()
    if digest > 1:
        raise UnsupportedVersionError(f"{name}: index has digest kind {digest}; this reader knows 0 and 1")
    if digest:
        index.sha256 = bytes(c.take(32))
    index.source, index.level = c.text(NAME_BYTES_MAX), c.text(NAME_BYTES_MAX)
    if _MANY <= c.end - c.at <= _TOO_MANY and "numpy" in sys.modules:  # to load it takes longer than to read an index
        from codec.container import index_arrays

        found = index_arrays.read(c.data, c.at, index.original, room)
        if found is not None:
            index.spans = list(map(SpanEntry, *found[0]))
            index.tensors = list(map(TensorEntry, *found[1]))
            return index
    total, left, number = 0, room if room is not None else 1 << 63, c.varint
    for _ in range(number(min(c.end, left // (FRAME_BYTES + 1)))):
        original, record = number(SPAN_BYTES_MAX), number(_RECORD_MAX)
        count = number(min(c.end - c.at, SPAN_BYTES_MAX, left // (FRAME_BYTES + 1)))
        chunks = [number(_RECORD_MAX) for _ in range(count)]
        if original < 1 or count == 1 or record <= FRAME_BYTES or (chunks and min(chunks) <= FRAME_BYTES):
            raise c.bad("span without bytes, with an empty record, or with a single chunk record")
        if original > max(1, count) * CHUNK_BYTES_MAX + 7:
            raise c.bad(f"span of {original} bytes in {max(1, count)} chunks")
        total += original
        left -= record + sum(chunks)
        if left < 0:
            raise c.bad("its records are longer than the file")
        index.spans.append(SpanEntry(original, record, chunks))
    if room is not None and left:
        raise c.bad(f"its records end {left} bytes before the index begins")
    if total != index.original:
        raise c.bad(f"spans hold {total} bytes, the original has {index.original}")
    _tensors(c, index)
    c.done()
    return index


def _tensors(c: Cursor, index: Index) -> None:
    names: set[str] = set()
    free, count, number = 0, len(index.spans), c.varint
    starts = [0, *itertools.accumulate([s.original for s in index.spans])]
    for _ in range(number(min(TENSORS_MAX, count + EMPTY_TENSORS_MAX))):
        name, dtype = c.text(NAME_BYTES_MAX), BY_CODE.get(code := c.u8())
        if dtype is None:
            raise UnsupportedVersionError(f"{c.what}: element type {code} of tensor {name!r} is not known")
        shape = tuple([number() for _ in range(number(DIMENSIONS_MAX))])
        first, spans = number(count), number(count)
        if name in names:
            raise c.bad(f"two tensors are named {name!r}")
        if first < free or first + spans > count:
            raise c.bad(f"tensor {name!r} overlaps another, is out of order, or lies outside the file")
        free = first + spans
        bits, held = _elements(shape) * dtype.bits, starts[free] - starts[first]
        if held * 8 != bits:
            raise c.bad(f"tensor {name!r} has {bits} bits but its spans hold {held * 8}")
        names.add(name)
        index.tensors.append(TensorEntry(name, dtype.name, shape, first, spans))


def _elements(shape: tuple[int, ...]) -> int:
    """Their product; if it is beyond what a file can hold, something that is, too: the numbers need not grow on."""
    if 0 in shape:
        return 0
    product = 1
    for n in shape:
        product *= n
        if product >> 64:
            break
    return product


def _unpacked(body: bytes | memoryview, name: str) -> bytes | memoryview:
    c = Cursor(body, f"{name}: index record")
    encoding, size = c.u8(), c.varint(INDEX_BYTES_MAX)
    stored = c.take(c.end - c.at)
    if encoding == 0:
        if size != len(stored):
            raise c.bad(f"index of {size} bytes is stored in {len(stored)}")
        return stored
    if encoding != 1:
        raise UnsupportedVersionError(f"{name}: index encoding {encoding}; this reader knows 0 and 1")
    if size > INDEX_RATIO_MAX * len(stored) + INDEX_FREE_BYTES:
        raise c.bad(f"index of {size} bytes out of {len(stored)}")
    try:
        told = zstandard.get_frame_parameters(stored).content_size
        if told not in (size, zstandard.CONTENTSIZE_UNKNOWN):  # it would be allocated unseen
            raise c.bad(f"index of {size} bytes is in a zstd frame that announces {told}")
        plain = zstandard.ZstdDecompressor().decompress(stored, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as e:
        raise CorruptFileError(f"{name}: index does not decompress: {e}") from None
    if len(plain) != size:
        raise c.bad(f"index decompresses to {len(plain)} bytes, expected {size}")
    return plain


def tensor_offsets(index: Index, original: Iterable[int]) -> list[int]:
    """Offset in the original of each tensor, given the offsets of the spans (``span_offsets``)."""
    starts = list(original)
    return [starts[t.first] for t in index.tensors]
