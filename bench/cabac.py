"""NNCodec's own arithmetic coder of integers, DeepCABAC, called directly.

Only its extension module is needed: `pip install --no-deps nncodec`, into any environment of this Python version. It is
found there, or in a folder, and loaded from its file, so that nothing else of NNCodec is imported.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

FIND = "import importlib.util as u; print(*u.find_spec('nncodec').submodule_search_locations)"
UNARY = 11  # NNCodec's default: bits of a magnitude that have contexts of their own
OPTIMISED = 1  # "param_opt_flag": each context's adaptation rates are searched for, which is the default and smaller


class CoderMissingError(Exception):
    """There is no coder to be had; the text is the reason."""


def locate(where: str) -> Path:
    """The extension module, given itself, a folder that it lies in at any depth, or an interpreter that has NNCodec."""
    path = Path(where)
    if path.is_file() and ".so" not in path.suffixes and path.suffix != ".pyd":
        found = subprocess.run([where, "-c", FIND], capture_output=True, text=True, check=False)
        if found.returncode:
            raise CoderMissingError(f"{where} has no nncodec")
        path = Path(found.stdout.strip())
    if path.is_file():
        return path
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        for module in sorted(path.rglob(f"deepCABAC{suffix}")):
            return module
    raise CoderMissingError(f"no deepCABAC for this Python below {where}")


class Cabac:
    """The coder, for matrices of int32: a stream each, with contexts that start anew."""

    def __init__(self, where: str) -> None:
        spec = importlib.util.spec_from_file_location("deepCABAC", locate(where))
        if spec is None or spec.loader is None:
            raise CoderMissingError(f"{where} is no extension module of this Python")
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except ImportError as error:
            raise CoderMissingError(str(error)) from None
        self.module: Any = module
        self.off = (module.HdspMode.AlwaysOff, np.zeros(2, np.int8))

    def encode(self, values: np.ndarray) -> np.ndarray:
        coder = self.module.Encoder()
        coder.initCtxModels(UNARY, OPTIMISED)
        # No dependent quantisation, rows in order, profile 0, no parent, no skipped rows, no code book.
        coder.encodeLayer(values, 0, 0, 0, 0, 0, np.zeros(len(values), np.int32), *self.off, 0, 0)
        return coder.finish()

    def decode(self, stored: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        coder = self.module.Decoder()
        coder.setStream(stored)
        coder.initCtxModels(UNARY)
        values = np.zeros(shape, np.int32)
        coder.decodeLayer(values, 0, 0, 0, 0, *self.off, 0, 0)
        return values
