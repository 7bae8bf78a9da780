"""Parameters have one spelling: what is read from any bytes is written as these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from codec.errors import CorruptFileError
from codec.wire import Cursor


def read_back(read: Callable[[Cursor], Any], data: bytes) -> Any:
    """The parameters in front of some bytes, None if they are refused."""
    cursor = Cursor(memoryview(data), "test")
    try:
        found = read(cursor)
    except CorruptFileError:
        return None
    assert found.raw == data[: cursor.at]
    return found
