"""Runs a fuzz target: with atheris, guided by coverage, where it is installed; else by mutation alone.

    python -m tests.fuzz.decompress --seconds 60        (or --runs 10000; --seed 1; --plain: without atheris)

Targets are the modules of this folder that define NAME.check(data), which raises if an invariant is broken, and
NAME.seeds(). A finding is written to .cache/fuzz/NAME/, and ``python -m tests.fuzz.NAME FILE`` repeats it. The
corpus grows in .cache/fuzz/NAME/corpus. All of ``codec`` but its kernels is instrumented (compiled by numba, these
show no coverage; tests/hostile/test_guard_pages.py is for them).

Nothing of codec is imported above ``_child``: what is imported before it is instrumented is never instrumented.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "fuzz"
#: Targets by the time that an execution takes, about; the Makefile runs all of them.
TARGETS = (
    "decompress",
    "stream",
    "tensors",
    "index",
    "span",
    "header",
    "recover",
    "inspect",
    "round_trip",
    "archives",
    "containers",
)
#: An execution must end within so many seconds, and memory must not grow by more than so many bytes.
SECONDS, GROWTH = 5.0, 64 << 20
#: Bytes in one input, at most.
LARGEST = 1 << 14


def main(name: str) -> int:
    """The command line of a target."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.fuzz.{name}")
    parser.add_argument("files", nargs="*", help="run these inputs alone")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="mutation alone, even if atheris is there")
    options = parser.parse_args()
    if options.files:
        target = importlib.import_module(f"tests.fuzz.{name}")
        for file in options.files:
            watched(target.check)(Path(file).read_bytes())
        return 0
    home = CACHE / name
    (home / "corpus").mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    if options.plain or importlib.util.find_spec("atheris") is None:
        count, how = plain(name, options.seconds, options.runs, options.seed), "mutation alone"
    else:
        count, how = _guided(name, home, options), "atheris"
    print(f"fuzz {name}: {abs(count):,} executions in {time.monotonic() - began:.0f} s ({how})", flush=True)
    return int(count < 0)


def _guided(name: str, home: Path, options: argparse.Namespace) -> int:
    """Executions; negative if something was found."""
    limits = [
        f"-max_total_time={options.seconds}",
        f"-max_len={LARGEST}",
        f"-timeout={SECONDS:.0f}",
        "-rss_limit_mb=3000",
    ]
    if options.runs:
        limits.append(f"-runs={options.runs}")
    if options.seed:
        limits.append(f"-seed={options.seed}")
    command = [sys.executable, "-m", "tests.fuzz.engine", name, *limits, f"-artifact_prefix={home}/"]
    command += ["-print_final_stats=1", "-verbosity=1", str(home / "corpus")]
    log = home / "log"
    with log.open("wb") as out:
        code = subprocess.run(command, cwd=ROOT, stdout=out, stderr=out, check=False).returncode
    said = log.read_text(errors="replace")
    found = (
        re.findall(r"stat::number_of_executed_units:\s*(\d+)", said) or re.findall(r"^#(\d+)\t", said, re.M) or ["0"]
    )
    if code:
        said = "\n".join(line for line in said.splitlines() if not line.startswith("INFO: Instr"))
        print(f"{said[-6000:]}\nfuzz {name}: found something; see {home}", flush=True)
    return -max(1, int(found[-1])) if code else int(found[-1])


def _child(name: str) -> None:
    """In the process that libFuzzer ends by itself."""
    import atheris

    for path in sorted((ROOT / "codec" / "kernels").glob("*.py")):  # first, so that they are not instrumented
        importlib.import_module(f"codec.kernels.{path.stem}" if path.stem != "__init__" else "codec.kernels")
    with atheris.instrument_imports(include=["codec"]):
        importlib.import_module("codec.cli.main")
        for module in ("files", "tensors", "streaming", "recovery", "inspection", "diagnosis"):
            importlib.import_module(f"codec.{module}")
    target = importlib.import_module(f"tests.fuzz.{name}")
    corpus = Path(sys.argv[-1])
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed{number:03}").write_bytes(seed)
        target.check(seed)  # compiles and allocates what the first one has to
    shaped = mutator(target)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        inner = lambda part: atheris.Mutate(part, min(most, len(part) + 64))  # noqa: E731
        return (shaped(data, rng, inner) if rng.random() < 0.8 else inner(data))[:most]

    atheris.Setup([sys.argv[0], *sys.argv[1:]], watched(target.check), custom_mutator=mutate)
    atheris.Fuzz()


def plain(name: str, seconds: float, runs: int, seed: int) -> int:
    """Mutation alone: as many executions, or seconds, as asked for. Raises what the target raises."""
    target = importlib.import_module(f"tests.fuzz.{name}")
    rng, pool = random.Random(seed), list(target.seeds())
    shaped, check = mutator(target), watched(target.check)
    for first in pool:
        target.check(first)
    end, count = time.monotonic() + seconds, 0
    while count < runs if runs else time.monotonic() < end:
        data = rng.choice(pool)
        for _ in range(rng.choice((1, 1, 2, 4))):
            data = shaped(data, rng, lambda part: scrambled(part, rng))
        data = data[:LARGEST]
        try:
            check(data)
        except BaseException:
            home = CACHE / name
            home.mkdir(parents=True, exist_ok=True)
            (home / "found").write_bytes(data)
            print(f"fuzz {name}: after {count} executions with seed {seed}: {data.hex()[:2000]}")
            raise
        count += 1
    return count


def mutator(target: ModuleType) -> Callable[[bytes, random.Random, Callable[[bytes], bytes]], bytes]:
    """The target's own, or one for bytes without structure."""
    found: Any = getattr(target, "mutate", None)
    return found or (lambda data, rng, inner: inner(data))


def scrambled(data: bytes, rng: random.Random) -> bytes:
    """Bits flipped, bytes set, inserted, removed, repeated, cut."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.randrange(len(out) + 1) if rng.random() < 0.5 else rng.randrange(min(len(out), 40) + 1)
        how = rng.randrange(7)
        if how == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif how == 1 and at < len(out):
            out[at] = rng.choice((0, 1, 2, 127, 128, 254, 255, rng.randrange(256)))
        elif how == 2:
            out[at:at] = rng.randbytes(rng.choice((1, 1, 2, 8)))
        elif how == 3:
            del out[at : at + rng.choice((1, 1, 2, 8, 100))]
        elif how == 4:
            out[at:at] = out[at : at + rng.choice((1, 4, 30))]
        elif how == 5 and len(out) > 1:
            a, b = rng.randrange(len(out)), rng.randrange(len(out))
            out[a : a + 4] = out[b : b + 4]
        elif how == 6 and rng.random() < 0.3:
            del out[at:]
    return bytes(out)


def watched(check: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The check, and that neither time nor memory is out of proportion."""
    import resource

    def run(data: bytes) -> None:
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        check(data)
        seconds = time.monotonic() - began
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << (10 if sys.platform != "darwin" else 0)
        if seconds > SECONDS:
            raise AssertionError(f"took {seconds:.1f} s")
        if grown > GROWTH:
            raise AssertionError(f"memory grew by {grown >> 20} MiB for an input of {len(data)} bytes")

    return run


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(ROOT))
    _child(sys.argv.pop(1))
