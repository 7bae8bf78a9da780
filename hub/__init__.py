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
    from hub.pulling import PulledFile, PullReport, pull
    from hub.pushing import PushedFile, PushReport, push
    from hub.remote import EndpointError
    from hub.running import run
    from hub.serving import serve

_LAZY = {
    "EndpointError": "hub.remote",
    "disable": "hub.hook",
    "enable": "hub.hook",
    "enabled": "hub.hook",
    "is_enabled": "hub.hook",
    "pull": "hub.pulling",
    "PulledFile": "hub.pulling",
    "PullReport": "hub.pulling",
    "push": "hub.pushing",
    "PushedFile": "hub.pushing",
    "PushReport": "hub.pushing",
    "run": "hub.running",
    "serve": "hub.serving",
}

__all__ = [
    "EndpointError",
    "PullReport",
    "PulledFile",
    "PushReport",
    "PushedFile",
    "disable",
    "enable",
    "enabled",
    "is_enabled",
    "pull",
    "push",
    "run",
    "serve",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'hub' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(_LAZY[name]), name)
    return found
