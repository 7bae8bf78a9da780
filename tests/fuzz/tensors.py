"""Any bytes to ``codec.safe_open``, each tensor whole and in parts, and the metadata."""

from __future__ import annotations

import io
import math
import sys

import codec
from tests.fuzz.engine import main
from tests.fuzz.inputs import ANNOUNCED, announced, by_index, mutate, one_line, seeds

__all__ = ["check", "mutate", "seeds"]


def check(data: bytes) -> None:
    if announced(data) > ANNOUNCED:
        return
    try:
        with codec.safe_open(io.BytesIO(data)) as file:
            _look(file, data)
    except codec.CodecError as error:
        one_line(error)


def _look(file: codec.tensors.TensorFile, data: bytes) -> None:
    original = by_index(data)
    starts = {t.name: t for t in codec.inspect_file(io.BytesIO(data)).tensors}
    assert sorted(starts) == file.keys()
    for name in file.offset_keys()[:50]:
        if _beyond_numpy(starts[name].shape):
            continue
        part = file.get_slice(name)
        try:
            whole = file.get_tensor(name)
        except codec.CodecError as error:
            one_line(error)
            assert original is None
            continue
        held = whole.tobytes()
        if original is not None:
            at = starts[name].start
            assert original[at : at + len(held)] == held
        assert tuple(part.get_shape()) == starts[name].shape
        assert part[...].tobytes() == held
        if part.get_shape() and whole.shape == starts[name].shape and whole.shape[0]:
            assert part[-1:].tobytes() == whole[-1:].tobytes()
    try:
        file.metadata()
    except codec.CodecError as error:
        one_line(error)


def _beyond_numpy(shape: tuple[int, ...]) -> bool:
    """Refused as more than an array can have, though the file is sound: see tests/attacks/test_index_bomb.py."""
    return 0 in shape and math.prod(d for d in shape if d) >= 1 << 59


if __name__ == "__main__":
    sys.exit(main("tensors"))
