"""PyTorch files as ``torch.save`` wrote them before 1.6, and still does when it is told to.

    a pickle        0x1950a86a20f9469cfc6c
    a pickle        1001, the version of the format
    a pickle        a dictionary: whether the writer is little-endian, how long its integers are
    a pickle        what was saved; its persistent ids name storages
    a pickle        the list of the storages' keys, in the order in which they follow
    each storage    8 bytes, how many elements it has; then the elements

The pickles are scanned and never run. Older ones yet, tar archives of before 0.1.10, are refused.
"""

from __future__ import annotations

from typing import Final

from codec.sources import torch_tensors
from codec.sources.pickle_scan import CutPickleError, Pairs, Scan, scan
from codec.sources.segment import At, Look, Segment, tiled
from codec.sources.torch_zip import PICKLE_BYTES_MAX, NotTorchError

_MAGIC: Final = 0x1950A86A20F9469CFC6C
#: As bytes, behind the opcode and the length that pickle gives it.
_MAGIC_BYTES: Final = b"\x8a\x0a" + _MAGIC.to_bytes(10, "little")
_VERSION: Final = 1001

#: Bytes read at first; and how many times more if the pickles go on.
_FIRST: Final = 1 << 16
_MORE: Final = 8
_COUNT_BYTES: Final = 8


def parse(look: Look) -> list[Segment]:
    """The segments of such a file: the tensors that cover what they lie in, and all other elements by type.

    Raises RefusedError for what is no such file, or an odd one.

    >>> parse(Look.of(b"no pickle at all"))
    Traceback (most recent call last):
    codec.sources.torch_zip.NotTorchError: no magic number
    """
    if _MAGIC_BYTES not in look.peek(32):
        raise NotTorchError("no magic number")
    if look.at is None or look.size is None:
        raise NotTorchError("it comes out of a pipe")
    saved, keys = _pickles(look.at, min(look.size, PICKLE_BYTES_MAX))
    storages = torch_tensors.storages(saved.persistent)
    places, at = {}, keys.stop
    if not isinstance(keys.value, list) or len(keys.value) != len(storages):
        raise NotTorchError(f"no list of the keys of {len(storages)} storages")
    for key in keys.value:
        storage = storages.get(key) if isinstance(key, str) else None
        width = torch_tensors.bytes_of(storage) if storage else None
        if storage is None or width is None or key in places:
            raise NotTorchError("a key of no storage, of one whose elements have no known width, or a key twice")
        start, stop = at + _COUNT_BYTES, at + _COUNT_BYTES + storage.count * width
        if stop > look.size or int.from_bytes(look.at(at, _COUNT_BYTES), "little") != storage.count:
            raise NotTorchError(f"the storage at byte {at} has not {storage.count} elements")
        places[key] = start, stop
        at = stop
    if at != look.size:
        raise NotTorchError(f"the last storage ends at byte {at}, the file at byte {look.size}")
    found = list(torch_tensors.segments(storages, places, saved.value))
    if not found:
        raise NotTorchError("no storage of a known type")
    return tiled(found, look.size)


def _pickles(at: At, most: int) -> tuple[Scan, Scan]:
    """That of what was saved and that of the keys. Reads ever more, until they are there."""
    size = min(_FIRST, most)
    while True:
        try:
            return _scanned(at(0, size))
        except CutPickleError:
            if size == most:
                raise
            size = min(size * _MORE, most)


def _scanned(data: bytes) -> tuple[Scan, Scan]:
    # The magic number has more bits than a scan keeps; it has been looked at.
    version = scan(data, scan(data).stop)
    system = scan(data, version.stop)
    if version.value != _VERSION or not isinstance(system.value, Pairs):
        raise NotTorchError("no version of the format that is known")
    if not any(key == "little_endian" and value is True for key, value in system.value):
        raise NotTorchError("the elements are big-endian")
    saved = scan(data, system.stop)
    if not saved.whole:
        raise NotTorchError("what was saved has too many objects")
    return saved, scan(data, saved.stop)
