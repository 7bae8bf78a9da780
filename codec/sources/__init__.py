"""File kinds -> segments: where the tensors of an original lie.

A source looks at an original through :class:`Look`: at its front, and anywhere in it unless it comes out of a pipe; a
source that has to look behind the front refuses what it can't. It returns segments in order of offset. For an original
of known size they tile it exactly. For a stream of unknown length they start at 0 and have no holes, but they may end
before the stream does, and the stream may end before they do: **every byte that no segment covers is opaque**.

A source is strict: it names tensors only in a file that is well formed by every rule of its format that it knows, and
looks at no more of it than it has to, in bounded time and memory. Nothing in a file is ever executed. Whatever all
sources refuse is compressed as opaque bytes and comes back exactly all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from codec.limits import EMPTY_TENSORS_MAX
from codec.sources import gguf, hdf5, nnue, numpy_files, onnx, opaque, safetensors, tflite, torch_legacy, torch_zip
from codec.sources.segment import At, Look, Peek, RefusedError, Segment

__all__ = ["At", "Look", "Peek", "RefusedError", "Segment", "segments_of"]

#: Kind -> what finds its tensors, in the order in which they are tried. Each looks at a few bytes first.
SOURCES: Final[dict[str, Callable[[Look], list[Segment]]]] = {
    "safetensors": lambda look: safetensors.parse(look.peek, look.size),
    "gguf": gguf.parse,
    "hdf5": hdf5.parse,
    "tflite": tflite.parse,
    "onnx": onnx.parse,
    "nnue": nnue.parse,
    "torch": torch_zip.parse,
    "torch-legacy": torch_legacy.parse,
    "npy": numpy_files.parse_npy,
    "npz": numpy_files.parse_npz,
}


def segments_of(peek: Peek, size: int | None, at: At | None = None) -> tuple[str, list[Segment]]:
    """The kind of the original, one of :data:`SOURCES` or "opaque", and its segments.

    ``size`` is the length of the original in bytes, None if it is not known; ``at`` looks anywhere in it, None if
    nobody can. No content is an error here; what looking raises goes through.

    >>> original = b"not a model file"
    >>> kind, segments = segments_of(lambda n: original[:n], len(original))
    >>> kind, [(s.start, s.stop) for s in segments]
    ('opaque', [(0, 16)])
    >>> header = b'{"w":{"dtype":"F16","shape":[3],"data_offsets":[0,6]}}'
    >>> original = len(header).to_bytes(8, "little") + header + bytes(6)
    >>> kind, segments = segments_of(lambda n: original[:n], len(original))
    >>> kind, [(s.name, s.start, s.stop) for s in segments]
    ('safetensors', [('', 0, 62), ('w', 62, 68)])
    """
    look = Look(peek, size, at)
    for kind, parse in SOURCES.items():
        try:
            found = parse(look)
        except RefusedError:
            continue
        # more tensors without bytes than an index may list
        if sum(s.size == 0 for s in found) <= EMPTY_TENSORS_MAX:
            return kind, found
    return "opaque", opaque.parse(size)
