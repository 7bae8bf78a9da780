"""Addresses of jitted functions, for kernels that call one another by address.

A kernel that calls another by address is compiled without it: each is compiled once.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from codec.kernels.cached import Callback

#: The functions behind "addresses" when nothing is compiled.
_PYTHON: Final[list[Callable[..., int]]] = []


def address_of(function: Callable[..., int], signature: Any) -> int:
    """The address of a function compiled for a signature of int64 and of pointers to numbers, which returns int64.

    It is called with an int64 for each argument (see ``call``). The function makes arrays of pointers with carray.
    """
    if not config.DISABLE_JIT:
        compiled: Any = Callback(function, signature)
        return int(compiled.address)
    kinds = [a.dtype if isinstance(a, types.CPointer) else None for a in signature.args]
    targets = [None if k is None else ctypes.POINTER(getattr(ctypes, f"c_{k.name}")) for k in kinds]

    def run(*values: int) -> int:
        pairs = zip(values, targets, strict=True)
        return function(*[v if t is None else ctypes.cast(ctypes.c_void_p(int(v)), t) for v, t in pairs])

    _PYTHON.append(run)
    return len(_PYTHON) - 1


def call(address: Any, args: Any) -> Any:
    """Call what lies at an address of ``address_of``; args is a tuple of int64.

    What an argument points at must be kept alive by the caller's caller: numba frees an array of the calling function
    before a call that only has its address.
    """
    return _PYTHON[address](*args)


@cache
def _prototype(count: int) -> Any:
    return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * count)


def invoke(address: int, *args: int) -> int:
    """``call`` from Python, in some microseconds: what kernels call need not be compiled for Python as well."""
    if config.DISABLE_JIT:
        return int(_PYTHON[address](*args))
    return int(_prototype(len(args))(address)(*args))


def place(array: Any) -> int:
    """The address of an array's first element, for ``invoke``."""
    return int(array.__array_interface__["data"][0])


@intrinsic
def _call(typing, address, args):  # type: ignore[no-untyped-def]
    def codegen(context: Any, b: Any, signature: Any, values: Any) -> Any:
        numbers = [b.extract_value(values[1], k) for k in range(len(signature.args[1]))]
        i64 = ir.IntType(64)
        kind = ir.FunctionType(i64, [i64] * len(numbers))
        return b.call(b.inttoptr(values[0], kind.as_pointer()), numbers)

    return types.int64(types.int64, args), codegen


def move(out: Any, at: Any, src: Any, start: Any, size: Any) -> Any:
    """out[at:at + size] = src[start:start + size], of bytes that do not overlap; the caller has checked the bounds.

    memcpy: numba's own assignment of slices takes a byte at a time.
    """
    out[at : at + size] = src[start : start + size]


@intrinsic
def _move(typing, out, at, src, start, size):  # type: ignore[no-untyped-def]
    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        def place(k: int) -> Any:
            data = context.make_array(signature.args[k])(context, b, args[k]).data
            return b.gep(b.bitcast(data, ir.IntType(8).as_pointer()), [args[k + 1]])

        cgutils.raw_memcpy(b, place(0), place(2), args[4], 1)
        return context.get_dummy_value()

    return types.void(out, types.int64, src, types.int64, types.int64), codegen


def will_write(address: Any) -> None:
    """Have the cache line at an address fetched for writing. Any address will do: it cannot fault.

    A decoder of symbols leaves the memory idle, and the merge behind it waits for nothing else.
    """


@intrinsic
def _will_write(typing, address):  # type: ignore[no-untyped-def]
    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        i32, pointer = ir.IntType(32), ir.PointerType()
        kind = ir.FunctionType(ir.VoidType(), [pointer, i32, i32, i32])
        prefetch = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0")
        b.call(prefetch, [b.inttoptr(args[0], pointer), *[ir.Constant(i32, k) for k in (1, 2, 1)]])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


if not config.DISABLE_JIT:
    # in place of an overload, which is compiled on its own for each list of types: a second in all
    call, move, will_write = _call, _move, _will_write
