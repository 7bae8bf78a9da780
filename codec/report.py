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
