"""The errors a caller can branch on.

Every error that a weft function raises on purpose derives from :class:`CodecError`. Messages are one
line: what was expected, what was found, where (file, tensor, byte offset), and what to do.

>>> issubclass(CorruptFileError, CodecError)
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codec.report import Damage


class CodecError(Exception):
    """Base of all errors about the content of a file or a blob.

    ``damage`` is set by :func:`codec.verify_file`: where the first damage is.
    """

    damage: Damage | None = None


class NotWeftError(CodecError):
    """The input does not start with the weft magic number."""


class UnsupportedVersionError(CodecError):
    """The file needs a newer reader: a newer major version, or a stage this reader does not know."""


class TruncatedFileError(CodecError):
    """The input ends before the format says it does."""


class CorruptFileError(CodecError):
    """A checksum does not match, or a field breaks an invariant of the format."""


class LimitExceededError(CodecError):
    """A field announces more than :mod:`codec.limits` allows to be allocated."""


class SourceChangedError(CodecError):
    """The original file changed while it was being read."""


class MismatchError(CodecError):
    """Two things that should hold the same bytes do not (``verify --against``)."""
