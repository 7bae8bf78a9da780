"""PyTorch files as ``torch.save`` has written them since 1.6 (.pt, .pth, .bin, .ckpt), and TorchScript archives.

A zip archive whose members are stored, all in one folder:

    data.pkl          the pickle of what was saved; its persistent ids name storages
    data/KEY          the elements of a storage
    byteorder         "little" or "big"; files before torch 2.1 have none
    constants.pkl, constants/KEY    the same again, in TorchScript archives

The pickles are scanned and never run. Storages are found by the directory of the archive, and only its headers, the
pickles and ``byteorder`` are read.
"""

from __future__ import annotations

from typing import Final

from codec.sources import torch_tensors
from codec.sources.pickle_scan import scan
from codec.sources.segment import Look, RefusedError, Segment, tiled
from codec.sources.zip_directory import Member, members, payload

#: Bytes of one pickle, at most: twenty times that of a checkpoint of 100,000 tensors.
PICKLE_BYTES_MAX: Final = 1 << 26


class NotTorchError(RefusedError):
    """The bytes are no PyTorch file, or an odd one, as the message says."""


def parse(look: Look) -> list[Segment]:
    """The segments of a PyTorch file: the tensors that cover what they lie in, and all other elements by type.

    Raises RefusedError for what is no such file, and for one whose archive or pickles are not sound.

    >>> parse(Look.of(b"no archive"))
    Traceback (most recent call last):
    codec.sources.zip_directory.NotZipError: no archive, or one that comes out of a pipe
    """
    held = {m.name: m for m in members(look)}
    folders = [name.removesuffix("data.pkl") for name in held if name.endswith("/data.pkl")]
    if len(folders) != 1:
        raise NotTorchError(f"expected one folder with a data.pkl, found {len(folders)}")
    folder = folders[0]
    if (order := held.get(folder + "byteorder")) and _content(look, order, 16) != b"little":
        raise NotTorchError("the elements are big-endian")
    found: list[Segment] = []
    for part in ("data", "constants"):
        if pickle := held.get(f"{folder}{part}.pkl"):
            found += _tensors(look, held, pickle, f"{folder}{part}/")
    if not found:
        raise NotTorchError("no storage of a known type")
    return tiled(found, look.size)


def _tensors(look: Look, held: dict[str, Member], pickle: Member, folder: str) -> list[Segment]:
    """All in the storages that one pickle speaks of."""
    scanned = scan(_content(look, pickle, PICKLE_BYTES_MAX))
    storages = torch_tensors.storages(scanned.persistent)
    places = {}
    for key in storages:
        if member := held.get(folder + key):
            places[key] = payload(look, member)
        elif scanned.whole:
            raise NotTorchError(f"no storage {key!r:.99}, of which the pickle speaks")
    return list(torch_tensors.segments(storages, places, scanned.value))


def _content(look: Look, member: Member, most: int) -> bytes:
    """Of a member that is read whole."""
    assert look.at is not None
    start, stop = payload(look, member)
    if stop - start > most:
        raise NotTorchError(f"{member.name!r:.99} has {stop - start} bytes, at most {most} are read")
    content = look.at(start, stop - start)
    if len(content) < stop - start:
        raise NotTorchError("the file has become shorter")
    return content
