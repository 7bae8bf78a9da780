"""Copies, in memory and of files: the bounds that no codec passes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np

from bench.peers import Files, Memory


class Memcpy(Memory):
    name = "memcpy"

    def available(self) -> str:
        return np.__version__

    def prepare(self, data: memoryview, dtype: str, threads: int) -> np.ndarray:
        return np.frombuffer(data, np.uint8)

    def encode(self, data: np.ndarray, dtype: str, threads: int) -> np.ndarray:
        return data.copy()

    def decode(self, blob: np.ndarray, size: int) -> np.ndarray:
        return blob.copy()


class Cp(Files):
    """The cp command, its start included; nothing is synced to the disk."""

    name = "cp"

    def available(self) -> str:
        banner = subprocess.run(["cp", "--version"], capture_output=True, text=True, check=True).stdout
        return banner.split("\n")[0].rsplit(" ", 1)[-1]

    def encode(self, data: Path, dtype: str, threads: int) -> Path:
        return self.copy(data, self.stored)

    def decode(self, blob: Path, size: int) -> Path:
        return self.copy(blob, self.output)

    def copy(self, source: Path, target: Path) -> Path:
        subprocess.run(["cp", os.fspath(source), os.fspath(target)], check=True)
        return target


PEERS = (Memcpy(), Cp())
