"""What every source hands to the encoder: byte ranges of the original, in order, and what they hold.

>>> embedding = Segment(128, 640, "wte.weight", "BF16", (4, 64))
>>> embedding.size, embedding.is_tensor, Segment(0, 128).is_tensor
(512, True, False)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from codec.limits import DIMENSIONS_MAX, NAME_BYTES_MAX

#: ``peek(n)`` is the first ``n`` bytes of the original; fewer only if the original ends before.
#: It may be called several times, with any ``n``, and does not consume anything.
Peek = Callable[[int], bytes]

#: ``at(offset, n)`` is the ``n`` bytes from an offset on; fewer only if the original ends before.
At = Callable[[int, int], bytes]


class RefusedError(ValueError):
    """The original is not of a source's kind, or breaks one of the rules of that kind, which the message names."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a source may look at: the front of the original, and any part of it, unless it comes out of a pipe.

    ``size`` in bytes, None if it is not known; ``at`` is None where nobody can look behind what comes first. What
    looking raises goes through.

    >>> look = Look.of(b"0123456789")
    >>> look.size, look.peek(3), look.at(8, 5)
    (10, b'012', b'89')
    """

    peek: Peek
    size: int | None
    at: At | None = None

    @staticmethod
    def of(data: bytes) -> Look:
        """At bytes in memory."""
        return Look(lambda n: data[:n], len(data), lambda offset, n: data[offset : offset + n])


@dataclass(frozen=True, slots=True)
class Share:
    """The ``bits`` (1, 2 or 4) of each code that a field has, from bit ``shift`` of the code on. All fields that have
    bits of the same codes give the same ``name``, which says to people what those are.

    The field's bytes are in runs of ``run``: the lowest bits of the bytes of a run are those of ``run`` codes in order,
    the next bits those of the next ``run`` codes, and so on.
    """

    name: str
    bits: int
    shift: int
    run: int


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the blocks that a quantised format is made of.

    ``size`` in bytes; ``dtype`` is the element type it is coded as, a name of :data:`codec.dtypes.DTYPES`; ``name``
    says what it is to people: "scales", "codes". ``share``: what it has of codes, as which it may be
    coded, too.
    """

    size: int
    dtype: str
    name: str
    share: Share | None = None


@dataclass(frozen=True, slots=True)
class Packed:
    """Integers as LEB128, ``columns`` in a row. ``dtype``: of the floats whose bits they are, "" for numbers."""

    columns: int
    signed: bool = True
    dtype: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """A byte range [start, stop) of the original, and what is known of it.

    ``name`` is the tensor's name, "" for bytes that belong to no tensor (and for a tensor whose name is
    empty, which safetensors allows: ask ``is_tensor``, not ``name``). ``dtype`` is a name of
    :data:`codec.dtypes.DTYPES`, "" for opaque bytes. ``shape`` counts elements, slowest dimension first;
    () is both the shape of a scalar and that of an opaque segment. ``listed`` says whether readers can ask for the
    tensor by its name: of elements that have no name, or one that another tensor has, only the type is known.
    ``fields``: of the blocks that the bytes are, if they are; then dtype is "U8", and the last dimension of the shape
    the bytes of a row. They are used if they are 2 to 16, and of 65,536 bytes together at most. ``packed``: opaque
    bytes are integers of fewer bytes.
    """

    start: int
    stop: int
    name: str = ""
    dtype: str = ""
    shape: tuple[int, ...] = ()
    listed: bool = True
    fields: tuple[Field, ...] = ()
    packed: Packed | None = None

    @property
    def block(self) -> int:
        """Bytes of a block; 0 if the bytes are no blocks."""
        return sum(field.size for field in self.fields)

    @property
    def size(self) -> int:
        """Bytes in the range; 0 for a tensor without elements."""
        return self.stop - self.start

    @property
    def is_tensor(self) -> bool:
        """Whether the bytes are the elements of a tensor of a known type."""
        return self.dtype != ""


def _can_be_listed(name: str) -> bool:
    """Whether an index can hold a name."""
    try:
        return len(name.encode("utf-8")) <= NAME_BYTES_MAX
    except UnicodeEncodeError:
        return False


def tiled(found: Iterable[Segment], size: int | None) -> list[Segment]:
    """Segments in order of offset, with opaque ones between them and, if ``size`` is known, behind the last.

    A tensor whose name another one has before it, or no index can hold, is not listed. Raises RefusedError for
    segments that overlap or end behind the original.

    >>> found = tiled([Segment(4, 8, "b", "F32", (1,)), Segment(0, 2, "a", "F16", (1,))], 9)
    >>> [(s.start, s.stop, s.name) for s in found]
    [(0, 2, 'a'), (2, 4, ''), (4, 8, 'b'), (8, 9, '')]
    """
    out: list[Segment] = []
    at, names = 0, set[str]()
    for s in sorted(found, key=lambda s: (s.start, s.stop, s.name)):
        if s.start < at:
            raise RefusedError(f"tensors overlap at byte {s.start}")
        if s.start > at:
            out.append(Segment(at, s.start))
        bad = s.name in names or not _can_be_listed(s.name) or len(s.shape) > DIMENSIONS_MAX
        out.append(replace(s, listed=False) if s.is_tensor and s.listed and bad else s)
        names.add(s.name)
        at = s.stop
    if size is not None and at != size:
        if at > size:
            raise RefusedError(f"tensors end at byte {at}, the original at {size}")
        out.append(Segment(at, size))
    return out
