"""weft: a lossless codec and storage format for AI model files.

>>> import codec
>>> codec.decompress(codec.compress(b"weights")) == b"weights"
True

What needs numba is imported when it is first used; reading headers does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from codec._version import __version__
from codec.errors import (
    CodecError,
    CorruptFileError,
    LimitExceededError,
    MismatchError,
    NotWeftError,
    SourceChangedError,
    TruncatedFileError,
    UnsupportedVersionError,
)
from codec.report import Damage, Estimate, FileInfo, LostTensor, Piece, RecoveryReport, Report, TensorInfo

if TYPE_CHECKING:
    from codec.anatomy import anatomy_file
    from codec.estimate import estimate_file
    from codec.files import compress, compress_file, decompress, decompress_file, decompress_into, verify_file
    from codec.inspection import inspect_file
    from codec.names import is_model_name
    from codec.original import OriginalFile, open_original
    from codec.recovery import recover_file
    from codec.tensors import load_file, safe_open, save_file
    from codec.warm import kernels_are_cached, load_kernels

_LAZY = {
    "anatomy_file": "codec.anatomy",
    "compress": "codec.files",
    "compress_file": "codec.files",
    "decompress": "codec.files",
    "decompress_file": "codec.files",
    "decompress_into": "codec.files",
    "estimate_file": "codec.estimate",
    "inspect_file": "codec.inspection",
    "is_model_name": "codec.names",
    "kernels_are_cached": "codec.warm",
    "load_file": "codec.tensors",
    "load_kernels": "codec.warm",
    "open_original": "codec.original",
    "OriginalFile": "codec.original",
    "recover_file": "codec.recovery",
    "safe_open": "codec.tensors",
    "save_file": "codec.tensors",
    "verify_file": "codec.files",
}

__all__ = [
    "CodecError",
    "CorruptFileError",
    "Damage",
    "Estimate",
    "FileInfo",
    "LimitExceededError",
    "LostTensor",
    "MismatchError",
    "NotWeftError",
    "OriginalFile",
    "Piece",
    "RecoveryReport",
    "Report",
    "SourceChangedError",
    "TensorInfo",
    "TruncatedFileError",
    "UnsupportedVersionError",
    "__version__",
    "anatomy_file",
    "compress",
    "compress_file",
    "decompress",
    "decompress_file",
    "decompress_into",
    "estimate_file",
    "inspect_file",
    "is_model_name",
    "kernels_are_cached",
    "load_file",
    "load_kernels",
    "open_original",
    "recover_file",
    "safe_open",
    "save_file",
    "verify_file",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'codec' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
