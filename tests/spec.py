"""The programs of format_spec/, which is no package, as modules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

SPEC = Path(__file__).resolve().parents[1] / "format_spec"


def load(name: str) -> ModuleType:
    """The program of that name; the same module each time."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, SPEC / f"{name}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
