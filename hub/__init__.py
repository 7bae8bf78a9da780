"""Model files travel compressed to and from the Hugging Face Hub, and arrive as they were.

>>> import hub
>>> hub.is_enabled()
False

What needs huggingface_hub is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub.hook import disable, enable, enabled, is_enabled
    from hub.remote import EndpointError

_LAZY = {
    "EndpointError": "hub.remote",
    "disable": "hub.hook",
    "enable": "hub.hook",
    "enabled": "hub.hook",
    "is_enabled": "hub.hook",
}

__all__ = ["EndpointError", "disable", "enable", "enabled", "is_enabled"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'hub' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
