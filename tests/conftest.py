"""How hard hypothesis tries, chosen by the environment variable HYPOTHESIS_PROFILE.

``default`` is for the desk, ``ci`` tries more; both draw the same examples every time. ``thorough``
draws new ones on every run, and prints what reproduces a failure.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# The first call of a kernel compiles it: a deadline would measure the compiler.
_COMMON = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("default", _COMMON, max_examples=40, derandomize=True, database=None)
settings.register_profile("ci", _COMMON, max_examples=150, derandomize=True, database=None)
settings.register_profile("thorough", _COMMON, max_examples=3000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or "default")
