"""Describe a weft file from its header and index. Imports no numba, so that it answers at once."""

from __future__ import annotations

import os
from typing import BinaryIO

from codec.access import FileSource, opened
from codec.reader import WeftFile
from codec.report import FileInfo


def inspect_file(path: str | os.PathLike[str] | BinaryIO) -> FileInfo:
    """What header and index of a weft file say; decodes nothing.

    >>> import codec, io
    >>> codec.inspect_file(io.BytesIO(codec.compress(bytes(64)))).original_bytes
    64
    """
    with opened(path) as (file, name):
        return WeftFile(FileSource(file, name)).info()
