"""Compiled kernels in numba's cache, where they count as long as no kernel is another than it was.

Numba keeps a compiled function with a hash of its own file. But constants of other files are compiled into it, and what
it calls: after an upgrade or a checkout the old one would be taken for the new. So the hash is that of all kernels.
Where the cache lies, and all else, is numba's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from numba import config, njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.ccallback import CFunc

from codec.kernels.sources import digest


class _Stamped:
    """What a place for a cache says of the source."""

    def get_source_stamp(self) -> Any:
        # without sources, in a frozen program, numba takes a hash of the program
        return digest() or super().get_source_stamp()  # type: ignore[misc]


_PLACES: Final = [type(place.__name__, (_Stamped, place), {}) for place in CompileResultCacheImpl._locator_classes]


class _Results(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = _PLACES


class _Cache(FunctionCache):  # type: ignore[misc]
    _impl_class = _Results


class Callback(CFunc):
    """numba's cfunc, kept in this cache. ``signature``: as types.int64(types.int64) gives it."""

    def __init__(self, function: Callable[..., int], signature: Any) -> None:
        super().__init__(function, (signature.args, signature.return_type), {}, {"nogil": True})
        self._cache = _Cache(function)
        self.compile()


def jit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """As numba's njit(cache=True), in this cache."""

    def decorate(function: Callable[..., Any]) -> Any:
        compiled = njit(**options)(function)
        if not config.DISABLE_JIT:
            compiled._cache = _Cache(function)
        return compiled

    return decorate
