"""Which kernels this process runs: "gather", "avx512", "avx2" or "scalar". All of them write the same bytes.

"gather" is "avx512" with vector gathers, for processors that have them fast: those with AVX512-FP16 came
after the "gather data sampling" flaw, whose cure makes a gather slower than scalar loads, and AMD's, which can be told
by SSE4a, never had it.

The choice is made once, from the features of the processor that numba compiles for. The environment
variable ``CODEC_KERNELS`` overrides it: ``scalar``, ``avx2``, ``avx512``, ``gather``, or ``portable`` (the
best that needs no AVX-512). Where nothing is asked for and the processor has VBMI, tables are held in registers, too
(codec.kernels.permute). A path that the processor lacks is never chosen: asking for it gives the next
one below.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Final

GATHER: Final = "gather"
AVX512: Final = "avx512"
AVX2: Final = "avx2"
SCALAR: Final = "scalar"

_WIDE: Final = ("avx512f", "avx512bw", "avx512dq", "avx512vl", "bmi2", "popcnt")
_NEEDS: Final = {
    GATHER: _WIDE,
    AVX512: _WIDE,
    AVX2: ("avx2", "bmi2", "popcnt"),
}


@cache
def path() -> str:
    """The name of the kernel path of this process.

    >>> path() in ("gather", "avx512", "avx2", "scalar")
    True
    """
    wanted = os.environ.get("CODEC_KERNELS", "").lower()
    known = ("", "auto", "portable", GATHER, AVX512, AVX2, SCALAR)
    if wanted not in known:
        raise ValueError(f"CODEC_KERNELS={wanted!r}: expected one of {', '.join(known[1:])}")
    if wanted == SCALAR:
        return SCALAR
    features = _target_features()
    candidates = {"portable": (AVX2,), AVX2: (AVX2,), GATHER: (GATHER, AVX2)}.get(wanted, (AVX512, AVX2))
    if wanted in ("", "auto") and features & {"avx512fp16", "sse4a"}:
        candidates = (GATHER, AVX2)
    for name in candidates:
        if features.issuperset(_NEEDS[name]):
            return name
    return SCALAR


def permutes() -> bool:
    """Whether rANS decoding holds tables in registers where they fit."""
    wanted = os.environ.get("CODEC_KERNELS", "").lower()
    return wanted in ("", "auto") and path() in (GATHER, AVX512) and "avx512vbmi" in _target_features()


def _target_features() -> frozenset[str]:
    """Features of the processor that numba compiles for: the host's, unless numba is told otherwise."""
    from numba import config

    if config.DISABLE_JIT:
        return frozenset()
    if config.CPU_NAME == "generic":
        text = config.CPU_FEATURES or ""
    elif config.CPU_FEATURES is not None:
        text = config.CPU_FEATURES
    else:
        from llvmlite import binding

        text = binding.get_host_cpu_features().flatten()
    return frozenset(f[1:] for f in text.split(",") if f.startswith("+"))
