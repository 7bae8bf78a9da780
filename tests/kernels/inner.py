"""Kernels that only kernels call, as functions that a test can call."""

from __future__ import annotations

import numpy as np
from numba import njit

from codec.kernels import registers


@njit
def build(freq: np.ndarray, table: np.ndarray, at: int) -> int:
    return registers.build(freq, table, at)  # type: ignore[no-any-return]


@njit
def spell_out(table: np.ndarray, at: int, out: np.ndarray) -> None:
    registers.spell_out(table, at, out)
