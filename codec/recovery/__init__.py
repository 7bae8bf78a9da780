"""Save what can be saved of a damaged weft file: scan for records, place their spans, write those that are sound."""

from __future__ import annotations

import bisect
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from codec.access import FileSource, opened
from codec.container import records
from codec.container.index import tensor_offsets
from codec.engine import in_order, thread_count
from codec.errors import CodecError, CorruptFileError, NotWeftError, UnsupportedVersionError
from codec.limits import SAFETENSORS_HEADER_MAX
from codec.reader import Source
from codec.recovery import match, output, place
from codec.recovery.copies import resolve
from codec.recovery.output import Copy, Entry
from codec.recovery.scan import FoundIndex, Records, find_index, index_begins, scan
from codec.recovery.spans import Span, assembled, examined, lost_between, merged, missing, twins
from codec.report import LostTensor, Piece, Progress, RecoveryReport
from codec.sources.safetensors import NotSafetensorsError, metadata_of
from codec.storage import AtomicFile, differ


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor as the index or the header of the original lists it; begin and end in the original."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(slots=True)
class _Found:
    """What is known of the original: its spans, its bytes in all (None: unknown), and its tensors.

    ``tensors`` is None unless it is a safetensors file for sure.
    """

    spans: list[Span]
    size: int | None
    tensors: list[_Tensor] | None
    named: list[_Tensor]
    sha256: bytes
    index: bool


def recover_file(
    path: str | os.PathLike[str] | BinaryIO,
    dst: str | os.PathLike[str],
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> RecoveryReport:
    """Save what can be saved of a damaged or truncated weft file into ``dst``. The damaged file is only read.

    ``path``: a path or a seekable binary file object. What ``dst`` is then says ``form`` of the report:

    - "original": nothing is lost, and this is the original, byte for byte.
    - "safetensors": the original was a safetensors file, and something is lost: this is one with its metadata, if they
      are sound, and with those of its tensors that are sound from the first byte to the last. Also where it is not
      known what the original was, or where some of its bytes lay: what is sound, but has no place, comes behind the
      tensors as ``recovered_0001`` and so on, of one dimension each.
    - "bytes": the original was another file: this is as long, with zeros in place of what is lost. If nobody knows
      how long it was, this ends with the last byte that is known.

    A tensor is sound if each of its chunks agrees with its 64-bit checksums and their places in the original are known.
    With an index, that tells them. Without one they are known if record follows record from the first to them; or from
    them to where the index was, and the header of the original says where it ended; or if the sizes and element types
    in that header allow no other place. (Of records that were taken out neatly, or exchanged for others of the same
    length, there is no trace.) A safetensors file is then taken to end where its header says. If nothing is lost and
    the index is there, SHA-256 is compared, too.

    Raises OSError (FileExistsError unless ``force``), NotWeftError or CorruptFileError where there is nothing to save,
    UnsupportedVersionError, LimitExceededError, SourceChangedError.

    >>> import codec, numpy, pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = codec.save_file({"w": numpy.arange(600.0), "v": numpy.ones(5)}, folder / "m.weft")
    >>> blob = bytearray((folder / "m.weft").read_bytes())
    >>> blob[-100] ^= 1
    >>> _ = (folder / "m.weft").write_bytes(blob[:-50])
    >>> codec.recover_file(folder / "m.weft", folder / "m.safetensors").form
    'original'
    """
    began = time.perf_counter()
    with opened(path) as (file, name):
        source = FileSource(file, name)
        differ(path, os.fspath(dst))
        mode = os.fstat(file.fileno()).st_mode if not hasattr(path, "read") else None
        with AtomicFile(dst, force=force, mode=mode) as out:
            return _recover(source, out, began, progress)


def _recover(source: Source, out: AtomicFile, began: float, progress: Progress | None) -> RecoveryReport:
    notes = _header_notes(source)
    found = scan(source, _part(progress, source.size, 0))
    index = find_index(source, found)
    _check_any(source, found, index)
    if found.given_up is not None:
        notes.append(f"records were searched only up to byte {found.given_up}: too much looks like one and is none")
    second = _part(progress, source.size, 1)
    if index is None:
        notes.append("the index is lost")
        held = _without_index(source, found, second)
    else:
        if not index.trailer:
            notes.append("the trailer is damaged")
        if index.offset != index.written_at:
            notes.append(f"the index lies {index.offset - index.written_at:+} bytes from where it was written")
        held = _with_index(source, found, index, second)
    return _write(source, out, held, notes, began, _part(progress, source.size, 2))


def _header_notes(source: Source) -> list[str]:
    """What is wrong with the header. Raises UnsupportedVersionError if it is that of a newer format."""
    head = bytes(source.read_at(0, min(source.size, records.HEADER_BYTES)))
    try:
        records.check_header(head, source.name)
    except UnsupportedVersionError:
        if records.header_is_sound(head):
            raise
    except CodecError:
        pass
    else:
        return []
    return ["the header of the file is damaged"]


def _check_any(source: Source, found: Records, index: FoundIndex | None) -> None:
    """Raise an error if there is nothing to work with."""
    if index is None and not (found.kinds == records.SPAN).any():
        head = bytes(source.read_at(0, min(source.size, len(records.MAGIC))))
        if not records.MAGIC.startswith(head) or not head:
            raise NotWeftError(f"{source.name}: not a weft file, and there is no sound record of one in it")
        if not index_begins(source, records.HEADER_BYTES):
            raise CorruptFileError(f"{source.name}: neither the index nor any span record is sound; nothing to save")


def _part(progress: Progress | None, size: int, number: int) -> Progress | None:
    """Progress of one of three passes over the stored bytes: to find them, to check them, to write what they hold."""
    if progress is None:
        return None
    return lambda done, total: progress(
        number * size + size * min(done, total or size) // max(1, total or size), 3 * size
    )


def _with_index(source: Source, found: Records, index: FoundIndex, progress: Progress | None) -> _Found:
    spans = match.matched(source, index, found)
    spans = list(_counted(in_order(spans, lambda s: examined(source, s), thread_count(None)), progress))
    resolve(source, spans)
    listed = index.index
    starts, _ = listed.span_offsets()
    tensors = [
        _Tensor(t.name, t.dtype, t.shape, begin, starts[t.first + t.spans])
        for t, begin in zip(listed.tensors, tensor_offsets(listed, starts), strict=True)
    ]
    known = tensors if listed.source == "safetensors" else None
    return _Found(spans, listed.original, known, tensors, listed.sha256, True)


def _without_index(source: Source, found: Records, progress: Progress | None) -> _Found:
    firsts = np.flatnonzero(found.kinds != records.CHUNK).tolist()
    stops, several = [*firsts[1:], found.kinds.size], twins(source, found)

    def work(bounds: tuple[int, int]) -> Span | None:
        return assembled(source, found, several, *bounds) if found.kinds[bounds[0]] == records.SPAN else None

    spans: list[Span] = []
    assembling = in_order(zip(firsts, stops, strict=False), work, thread_count(None))
    for span in _counted((span for span in assembling if span is not None), progress):
        at, end = span.record[0] if span.record is not None else 0, spans[-1].end if spans else None
        if end is not None and end < at:
            spans += lost_between(source, end, at)
        span.joined = end == at or (bool(spans) and spans[-1].record is None)
        spans.append(span)
    segments, size = place.placed(source, spans)
    resolve(source, spans)
    if segments is None:
        return _Found(spans, size, None, [], b"", False)
    tensors = [_Tensor(s.name, s.dtype, s.shape, s.start, s.stop) for s in segments if s.is_tensor]
    return _Found(spans, size, tensors, tensors, b"", False)


def _counted(spans: Iterator[Span], progress: Progress | None) -> Iterator[Span]:
    done = 0
    for span in spans:
        done += sum(size for _, size in span.chunks.values()) + (span.record[1] if span.record is not None else 0)
        if progress is not None:
            progress(done, None)
        yield span


@dataclass(slots=True)
class _Plan:
    """What OUT is going to be: see ``form`` in :func:`recover_file`."""

    form: str
    size: int
    copies: list[Copy]
    front: bytes = b""
    pieces: list[Piece] = field(default_factory=list)


def _write(
    source: Source, out: AtomicFile, held: _Found, notes: list[str], began: float, progress: Progress | None
) -> RecoveryReport:
    sound = merged([(s.begin + a, s.begin + b) for s in held.spans if s.begin is not None for a, b in s.intact])
    known = sound[-1][1] if sound else 0
    gaps: list[tuple[int, int | None]] = list(missing(sound, 0, known if held.size is None else held.size))
    if held.size is None:
        gaps.append((known, None))
    saved, lost = [], []
    for t in held.named:
        gone = missing(sound, t.begin, t.end)
        if gone:
            lost.append(LostTensor(t.name, t.dtype, t.shape, t.begin, t.end, tuple(gone)))
        else:
            saved.append(t)
    loose = any(s.begin is None and s.intact for s in held.spans)
    if not gaps and not loose:
        plan = _Plan("original", known, _at_places(held.spans))
    elif held.tensors is None and not loose:
        plan = _Plan("bytes", known if held.size is None else held.size, _at_places(held.spans))
    else:
        plan = _tensors(source, held, saved if held.tensors is not None else [])
    digest = output.write(source, out, plan.front, plan.copies, plan.size, progress)
    same = digest == held.sha256 if plan.form == "original" and held.sha256 else None
    if same is False:
        notes.append("every chunk agrees with its checksums, but the original had another SHA-256")
    return RecoveryReport(
        plan.form, held.size, sum(c.end - c.begin for c in plan.copies), source.size, time.perf_counter() - began,
        held.index, same, tuple(t.name for t in saved), tuple(lost), tuple(gaps), tuple(plan.pieces), tuple(notes),
    )  # fmt: skip


def _at_places(spans: list[Span]) -> list[Copy]:
    return [Copy(s, a, b, s.begin + a) for s in spans if s.begin is not None for a, b in s.intact]


def _tensors(source: Source, held: _Found, saved: list[_Tensor]) -> _Plan:
    """A safetensors file of the tensors that are sound, and of what has no place.

    If nothing is known of the original, then even what has a place is no more than a piece of it.
    """
    if held.tensors is None:
        loose, metadata = [s for s in held.spans if s.intact], None
    else:
        loose, metadata = [s for s in held.spans if s.begin is None], _metadata(source, held)
    more, pieces = output.pieces_of(loose, {t.name for t in held.named} | {"__metadata__"})
    front, copies = output.tensors_file([*_entries(saved, held.spans), *more], metadata, source.name)
    return _Plan("safetensors", len(front) + sum(c.end - c.begin for c in copies), copies, front, pieces)


def _entries(tensors: list[_Tensor], spans: list[Span]) -> list[Entry]:
    """The tensors, each with the spans that hold it."""
    placed = [(s.begin, s) for s in spans if s.begin is not None]
    out = []
    for t in tensors:
        k, parts = bisect.bisect_left(placed, t.begin, key=lambda p: p[0]), []
        while k < len(placed) and placed[k][0] < t.end:
            parts.append((placed[k][1], 0, placed[k][1].length))
            k += 1
        out.append(Entry(t.name, t.dtype, t.shape, t.end - t.begin, parts))
    return out


def _metadata(source: Source, held: _Found) -> dict[str, str] | None:
    """That of the original, if its header is sound."""
    stop = min((t.begin for t in held.named), default=held.size or 0)
    placed = [s for s in held.spans if s.begin is not None]
    if not placed or placed[0].begin != 0:
        return None
    try:
        return metadata_of(place.front_bytes(source, placed, min(stop, 8 + SAFETENSORS_HEADER_MAX)))
    except NotSafetensorsError:
        return None
