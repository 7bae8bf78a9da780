"""What the functions of the package tell their callers: plain records, no behaviour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

#: Called with (bytes done, bytes in all or None if not known) as work goes on, from one thread at a time.
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Report:
    """Result of compressing, decompressing or verifying one file.

    Sizes are bytes. ``bits`` says where the stored bits went: element type ("BF16", or "" for opaque bytes)
    -> field ("symbol", "rest", "tables", "headers", "bytes") -> stored bits. Only compression fills it.
    """

    original_bytes: int
    stored_bytes: int
    seconds: float
    threads: int
    sha256: str = ""
    bits: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Stored bytes / original bytes; 1 for an empty original."""
        return self.stored_bytes / self.original_bytes if self.original_bytes else 1.0


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of a weft file. ``start`` is its offset in the original; sizes are bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    original_bytes: int
    stored_bytes: int
    chunks: int


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What header and index of a weft file say. ``sha256`` is empty where the writer recorded none."""

    format_version: tuple[int, int]
    original_bytes: int
    stored_bytes: int
    sha256: str
    source: str
    level: str
    spans: int
    chunks: int
    tensors: tuple[TensorInfo, ...]

    @property
    def ratio(self) -> float:
        """Stored bytes / original bytes; 1 for an empty original."""
        return self.stored_bytes / self.original_bytes if self.original_bytes else 1.0


@dataclass(frozen=True, slots=True)
class Damage:
    """Where a weft file is damaged.

    ``tensor``: its name; None if the bytes belong to none, or it is not known. ``begin`` and ``end``: the bytes of the
    original that are concerned; None where none are, or it is not known. ``record`` and ``record_end``: the damaged
    bytes of the weft file itself: a record, the header or the trailer; the end is None if it is not known.
    """

    tensor: str | None
    begin: int | None
    end: int | None
    record: int
    record_end: int | None


@dataclass(frozen=True, slots=True)
class LostTensor:
    """A tensor that could not be recovered: bytes begin..end of the original, of which those in ``gone`` are lost."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int
    gone: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """Sound bytes whose place in the original is not known: a tensor of one dimension in the output. ``record`` is the
    offset of their span record in the weft file.
    """

    name: str
    dtype: str
    size: int
    record: int


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """Result of recovering one file.

    ``form`` is "original", "safetensors" or "bytes" (see :func:`codec.recover_file`). ``original_bytes`` is None if not
    known. ``recovered_bytes``: bytes of the original in the output. ``index``: whether the index could be read.
    ``sha256_matches`` is None where there was nothing to compare. ``saved``: names of the tensors that are sound.
    ``lost_ranges``: bytes of the original that are not sound or have no place; the end of the last is None if nobody
    knows where the original ended. ``notes``: what else is wrong with the file.
    """

    form: str
    original_bytes: int | None
    recovered_bytes: int
    stored_bytes: int
    seconds: float
    index: bool
    sha256_matches: bool | None
    saved: tuple[str, ...]
    lost: tuple[LostTensor, ...]
    lost_ranges: tuple[tuple[int, int | None], ...]
    pieces: tuple[Piece, ...]
    notes: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """Whether the output is the original, byte for byte."""
        return self.form == "original" and self.sha256_matches is not False


@dataclass(frozen=True, slots=True)
class Estimate:
    """Predicted result of compressing a file, from a sample. ``sampled_bytes`` is how much of it was coded."""

    original_bytes: int
    estimated_bytes: int
    sampled_bytes: int
    bits: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Estimated bytes / original bytes; 1 for an empty original."""
        return self.estimated_bytes / self.original_bytes if self.original_bytes else 1.0
