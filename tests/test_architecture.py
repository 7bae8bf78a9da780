"""The shape of the house: imports point one way, and what only reads headers stays light."""

from __future__ import annotations

import ast
import graphlib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# The floors, lowest first. A module imports from its own floor or from below; one without a floor fails.
FLOORS = (
    (
        "codec._version",
        "codec.errors",
        "codec.limits",
        "codec.dtypes",
        "codec.wire",
        "codec.engine",
        "codec.report",
        "codec.memory",
        "codec.names",
        "codec.earlier",
    ),
    ("codec.kernels",),
    ("codec.stages",),
    ("codec.storage", "codec.access"),
    ("codec.container",),
    ("codec.sources",),
    ("codec.planner",),
    (
        "codec.encode",
        "codec.blocks",
        "codec.ways",
        "codec.likely",
        "codec.making",
        "codec.packed",
        "codec.sparse",
        "codec.structure",
        "codec.batch",
        "codec.decode",
        "codec.bulk",
        "codec.bit_fields",
    ),
    (
        "codec.reader",
        "codec.recovery",
        "codec.diagnosis",
        "codec.streaming",
        "codec.repeats",
        "codec.relatives",
        "codec.writer",
        "codec.inspection",
        "codec.original",
        "codec.files",
        "codec.tensors",
        "codec.estimate",
        "codec.sampling",
        "codec.anatomy",
        "codec.warm",
    ),
    ("codec",),
    ("hub",),
    ("codec.cli",),
)

FOLDERS = ("codec", "hub", "format_spec", "tests", "bench")

# What nothing may reach that only reads.
ENCODER = (
    "codec.encode",
    "codec.blocks",
    "codec.ways",
    "codec.making",
    "codec.packed",
    "codec.sparse",
    "codec.structure",
    "codec.batch",
    "codec.planner",
    "codec.sources",
    "codec.writer",
)

# Rooms that know even less than their floor allows.
NEVER = {
    "codec.kernels": FLOORS[0],
    "codec.container": ("codec.kernels", "codec.stages"),
    "codec.sources": ("codec.kernels", "codec.stages"),
    "codec.storage": ("codec.kernels", "codec.container"),
    "codec.access": ("codec.kernels", "codec.stages", "codec.container"),
    "codec.encode": ("codec.decode",),
    "codec.batch": ("codec.decode",),
    "codec.structure": ("codec.decode",),
    "codec.decode": ENCODER,
    "codec.bulk": ENCODER,
    "codec.reader": ENCODER,
    "codec.inspection": ENCODER,
    "codec.original": ENCODER,
    "codec.writer": ("codec.decode", "codec.reader"),
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for top in ("codec", "hub") for path in sorted((ROOT / top).rglob("*.py"))}


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(room + ".")


def floor_of(module: str) -> int:
    """The floor a module stands on: the root package's own is not that of the rooms in it."""
    for number, floor in enumerate(FLOORS):
        if any(module == room or (room != "codec" and within(module, room)) for room in floor):
            return number
    raise AssertionError(f"{module} has no floor: give it one in FLOORS")


def imports_of(module: str) -> Iterator[str]:
    """The modules of this tree that a module names in any import statement, wherever it stands."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            base = importlib.util.resolve_name(dots + (node.module or ""), package)
            # "from codec import errors" names a module, "from codec.errors import CodecError" does not.
            full = [f"{base}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else base for name in full]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in ("codec", "hub"))


IMPORTS = {module: frozenset(imports_of(module)) - {module} for module in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    forbidden = [other for room, others in NEVER.items() if within(module, room) for other in others]
    for target in IMPORTS[module]:
        assert floor_of(target) <= floor_of(module), f"{module} imports {target}, which lies above it"
        assert not any(within(target, other) for other in forbidden), f"{module} must not import {target}"


def test_no_import_cycles() -> None:
    # A package's __init__ may gather its modules, which name each other directly: only real loops remain.
    graphlib.TopologicalSorter(IMPORTS).prepare()


@pytest.mark.parametrize("reading", ["codec.decode", "codec.reader", "codec.inspection"])
def test_reading_reaches_nothing_of_the_encoder(reading: str) -> None:
    reached, waiting = set[str](), [reading]
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting.extend(IMPORTS.get(module, ()))
    assert not [module for module in reached if any(within(module, room) for room in ENCODER)]


def test_hub_uses_only_public_names() -> None:
    import codec

    for module in (name for name in MODULES if within(name, "hub")):
        assert {target for target in IMPORTS[module] if within(target, "codec")} <= {"codec"}, module
        for node in ast.walk(ast.parse(MODULES[module].read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module == "codec":
                used = {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "codec":
                used = {node.attr}
            else:
                continue
            assert used <= set(codec.__all__), f"{module}:{node.lineno} uses {used} of codec"


@pytest.mark.parametrize("statement", ["import codec", "import codec.cli.main"])
def test_reading_headers_does_not_load_the_compiler(statement: str) -> None:
    code = f"import sys; {statement}; print([m for m in ('numba', 'llvmlite') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.strip() == "[]"


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in MODULES.values()}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


def test_no_paths_of_one_machine() -> None:
    path_of_a_machine = re.compile(rb"(?<![\w.])/(home|root|work|tmp|Users)/\w")
    tops = ["Makefile", "*.md", "*.toml", ".ci/*", ".git[ai]*"]
    tops += [f"{folder}/**/*.{kind}" for folder in FOLDERS for kind in ("py", "md", "toml", "csv", "json")]
    paths = [path for pattern in tops for path in ROOT.glob(pattern) if path.is_file()]
    assert len(paths) > len(MODULES)
    found = {str(path.relative_to(ROOT)): path_of_a_machine.findall(path.read_bytes()) for path in paths}
    assert not {path: hits for path, hits in found.items() if hits}
