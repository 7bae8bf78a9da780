"""Any bytes as a PyTorch or NumPy file: segments that tile it, or refused; the bytes and the tensors come back.

A zip archive that a mutation broke is not looked into: so inputs are often changed inside a member, and the archive
written anew.
"""

from __future__ import annotations

import io
import random
import sys
import zipfile
from collections.abc import Iterator

import numpy as np

import codec
from codec.sources import numpy_files, torch_legacy, torch_zip
from tests.fuzz.engine import main
from tests.fuzz.inputs import Inner
from tests.sources import torch_files
from tests.sources.mutations import Parse, taken

PARSERS: tuple[Parse, ...] = (torch_zip.parse, torch_legacy.parse, numpy_files.parse_npy, numpy_files.parse_npz)


def seeds() -> Iterator[bytes]:
    value, held = torch_files.checkpoint()
    yield torch_files.zipped(value, held)
    constants = {"constants.pkl": torch_files.pickled([1])}
    yield torch_files.zipped(torch_files.whole("0", held["1"]), {"0": held["1"]}, **constants)
    yield torch_files.legacy(*torch_files.checkpoint((None,)))
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.save(file := io.BytesIO(), array)
    yield file.getvalue()
    np.savez(file := io.BytesIO(), a=array, b=array[0])
    yield file.getvalue()


def mutate(data: bytes, rng: random.Random, inner: Inner) -> bytes:
    """A member changed, and the archive sound; or any change."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()[:20]
            if sum(info.file_size for info in infos) > 1 << 16 or any(info.compress_type for info in infos):
                return inner(data)
            parts = [(info.filename, archive.read(info)) for info in infos]
        if not parts or rng.random() < 0.3:
            return inner(data)
        number = rng.randrange(len(parts))
        with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
            for k, (name, content) in enumerate(parts):
                archive.writestr(zipfile.ZipInfo(name), inner(content) if k == number else content)
    except Exception:  # noqa: BLE001  # zipfile raises many things where an archive is broken
        return inner(data)
    return file.getvalue()


def check(data: bytes) -> None:
    if not taken(PARSERS, data):
        return
    blob = codec.compress(data, level="fast", threads=1)
    assert codec.decompress(blob, threads=1) == data
    with codec.safe_open(io.BytesIO(blob)) as file:
        starts = {t.name: t.start for t in codec.inspect_file(io.BytesIO(blob)).tensors}
        for name in file.offset_keys()[:20]:
            held = file.get_tensor(name).tobytes()
            assert data[starts[name] : starts[name] + len(held)] == held


if __name__ == "__main__":
    sys.exit(main("archives"))
