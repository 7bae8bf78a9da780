"""Turns the download hook on in every Python that ``codec run`` starts, as soon as the program imports huggingface_hub.

Not before, since that would be slow for programs that don't, and wrong for those that first set HF_HOME or HF_ENDPOINT,
which are read at import. Python runs this module at its start because its folder stands in PYTHONPATH; another module
of this name further down the path is run, too.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_FOLDER = os.path.dirname(os.path.abspath(__file__))


class _WatchedImport(MetaPathFinder):
    """Finds huggingface_hub where it is, and has the hook turned on once it is imported. (Who looks for it may not
    import it, so this one stays.)
    """

    _looking = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "huggingface_hub" or self._looking:
            return None
        self._looking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._looking = False
        if spec is not None and spec.loader is not None:
            spec.loader = _ThenEnable(spec.loader)
        return spec


class _ThenEnable(Loader):
    """A loader that leaves no trace in the module, whose own loader does the work."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _WatchedImport)]
        self._loader.exec_module(module)
        try:
            spec = importlib.util.find_spec("hub")
            if spec is None:
                raise ImportError(f"weft is not installed for {sys.executable}")
            if not _is_ours(spec):
                raise ImportError(f"{spec.origin or 'a folder'} is named hub, too, and found before weft's; rename it")
            import hub

            hub.enable()
        except Exception as error:  # noqa: BLE001  # the program is not ours to stop
            print(f"codec run: the download hook is off: {error}", file=sys.stderr)  # noqa: T201


def _is_ours(spec: ModuleSpec) -> bool:
    """Whether what this Python would import is the package that this file belongs to, or another install of it."""
    folders = spec.submodule_search_locations or ()
    return any(os.path.isfile(os.path.join(folder, "startup", "sitecustomize.py")) for folder in folders)


def _run_the_next_one() -> None:
    """Another sitecustomize, which this one hides."""
    path = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != _FOLDER]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if os.environ.get("CODEC_HUB") == "1":
    sys.meta_path.insert(0, _WatchedImport())
_run_the_next_one()
