"""What a recovery writes: bytes of spans, each at its place in the output."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from dataclasses import dataclass
from typing import Any

from codec.dtypes import BY_CODE, DTYPES
from codec.engine import in_order, thread_count
from codec.errors import CorruptFileError, LimitExceededError, SourceChangedError
from codec.limits import SAFETENSORS_HEADER_MAX
from codec.reader import Source
from codec.recovery.spans import Range, Span, decoded, missing
from codec.report import Piece, Progress
from codec.sources.safetensors import NotSafetensorsError, parse
from codec.stages.geometry import Bytes
from codec.storage import AtomicFile


@dataclass(frozen=True, slots=True)
class Copy:
    """Bytes begin..end of a span, which are sound, and where they go in the output."""

    span: Span
    begin: int
    end: int
    target: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor of the output. ``spans`` hold its bytes: each with the part of it that is wanted, in order."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    spans: list[tuple[Span, int, int]]


def pieces_of(spans: list[Span], taken: set[str]) -> tuple[list[Entry], list[Piece]]:
    """What is sound of spans without a place, each run of bytes as a tensor of one dimension under a name not taken."""
    entries: list[Entry] = []
    pieces: list[Piece] = []
    for span in spans:
        if span.record is None:
            continue
        dtype = BY_CODE.get(span.dtype)
        for begin, end in span.intact:
            size = end - begin
            whole = dtype is not None and size * 8 % dtype.bits == 0
            name = _free(f"recovered_{len(entries) + 1:04}", taken)
            kind = dtype.name if dtype is not None and whole else "U8"
            entries.append(Entry(name, kind, (size * 8 // DTYPES[kind].bits,), size, [(span, begin, end)]))
            pieces.append(Piece(name, kind, size, span.record[0]))
    return entries, pieces


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"_{name}"
    return name


def tensors_file(entries: list[Entry], metadata: dict[str, str] | None, name: str) -> tuple[bytes, list[Copy]]:
    """A safetensors file of these tensors: its first bytes, and what goes behind them.

    Raises LimitExceededError if there are too many of them, CorruptFileError if they break a rule of safetensors (as
    only an index made for that can say).
    """
    fields: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    at, copies = 0, []
    for entry in entries:
        fields[entry.name] = {"dtype": entry.dtype, "shape": entry.shape, "data_offsets": [at, at + entry.size]}
        for span, begin, end in entry.spans:
            copies.append(Copy(span, begin, end, at))
            at += end - begin
    header = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > SAFETENSORS_HEADER_MAX:
        raise LimitExceededError(f"{name}: {len(entries)} tensors and pieces need a header of {len(header)} bytes")
    front = len(header).to_bytes(8, "little") + header
    try:
        parse(lambda size: front[:size], len(front) + at)
    except NotSafetensorsError as e:
        raise CorruptFileError(f"{name}: its tensors make no safetensors file: {e}") from None
    return front, [Copy(c.span, c.begin, c.end, len(front) + c.target) for c in copies]


def write(
    source: Source, out: AtomicFile, front: bytes, copies: list[Copy], size: int, progress: Progress | None = None
) -> bytes:
    """Write the front and the copies into a file of ``size`` bytes, 0 where nothing goes. SHA-256 of what was written.

    Raises SourceChangedError if bytes that were sound are so no more.
    """
    sha, done, total = hashlib.sha256(front), 0, sum(c.end - c.begin for c in copies)
    out.write_at(front, 0)

    def work(group: list[Copy]) -> tuple[list[Copy], Bytes, list[Range]]:
        return group, *decoded(source, group[0].span)

    groups = [list(group) for _, group in itertools.groupby(copies, key=lambda copy: id(copy.span))]
    for group, data, ranges in in_order(groups, work, thread_count(None)):
        for copy in group:
            if missing(ranges, copy.begin, copy.end):
                raise SourceChangedError(f"{source.name}: changed while being read; nothing was written")
            part = data[copy.begin : copy.end].data
            sha.update(part)
            out.write_at(part, copy.target)
            done += len(part)
        if progress is not None:
            progress(done, total)
    os.ftruncate(out.fd, size)
    return sha.digest()
