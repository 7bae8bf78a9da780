"""Eight bytes anywhere in a byte array: in Python, where numpy checks the bounds; as LLVM IR, where nothing does."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload


def load(array: Any, at: Any) -> Any:
    """The number (uint64) of the bytes array[at:at + 8]."""
    return array[at : at + 8].view(np.uint64)[0]


def store(array: Any, at: Any, word: Any) -> Any:
    """array[at:at + 8] = the bytes of a number (uint64)."""
    array[at : at + 8].view(np.uint64)[0] = word


def place_of(context: Any, b: Any, kind: Any, array: Any, at: Any) -> Any:
    """The address of element ``at`` of an array of this kind, in LLVM IR."""
    data = b.bitcast(context.make_array(kind)(context, b, array).data, ir.IntType(8).as_pointer())
    return b.bitcast(b.gep(data, [at]), ir.IntType(64).as_pointer())


@intrinsic
def _load_ir(typing, array, at):  # type: ignore[no-untyped-def]
    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return b.load(place_of(context, b, signature.args[0], args[0], args[1]), align=1)

    return types.uint64(array, types.int64), codegen


@intrinsic
def _store_ir(typing, array, at, word):  # type: ignore[no-untyped-def]
    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        b.store(args[2], place_of(context, b, signature.args[0], args[0], args[1]), align=1)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), codegen


overload(load)(lambda array, at: lambda array, at: _load_ir(array, at))
overload(store)(lambda array, at, word: lambda array, at, word: _store_ir(array, at, word))
