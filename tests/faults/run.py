"""Kill the command at random moments, and look at what it leaves.

    python -m tests.faults.run [--kills N] [--signals N] [--seed S]

The command runs in a process of its own: one file and a folder, compressed and decompressed, into a place that is
empty or, with --force, over an older output. Half of the moments are drawn over the whole of an undisturbed run, half
over what comes after its first file appears. A run that ended before its moment is not counted. After each:

- everything that was there before is there still, byte for byte;
- a final name holds nothing (or the older output), or what an undisturbed run puts there, which ``verify`` accepts;
- after SIGKILL a rerun succeeds, and then nothing lies there but what an undisturbed run leaves;
- after SIGINT and SIGTERM no temporary file is left, even without a rerun, and the exit code says what happened.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import codec
from codec.cli.main import main as command_line
from tests.cli.calls import spawn
from tests.faults.inputs import TEMPORARY, Tree, make_folder, model, put, tree

MODEL_BYTES, SHARD_BYTES = 4 << 20, 3 << 19
OLDER = b"an older output"
LATE = "after its end"


@dataclass
class Case:
    """One thing that the command is asked to do, in a folder of its own."""

    name: str
    command: str
    given: Tree  # in the folder at the start
    source: str
    expected: Tree = field(default_factory=dict)  # and what it adds
    seconds: float = 0.0  # an undisturbed run takes
    appears: float = 0.0  # seconds until its first file appears

    def arguments(self, folder: Path, *, force: bool) -> list[object]:
        return [self.command, folder / self.source, "--quiet", *(["--force"] if force else [])]


@dataclass
class Trial:
    """What came of one disturbed run."""

    landed: str
    code: int
    faults: list[str]
    temporaries: int = 0


def cases(*, model_bytes: int = MODEL_BYTES, shard_bytes: int = SHARD_BYTES, rounds: int = 3) -> list[Case]:
    """The four, with what undisturbed runs make of them."""
    with tempfile.TemporaryDirectory(prefix="weft-faults-") as scratch:
        root = Path(scratch)
        make_folder(root / "original" / "model", shard_bytes)
        one = Case("compress a file", "compress", {"model.safetensors": model(model_bytes)}, "model.safetensors")
        many = Case("compress a folder", "compress", tree(root / "original"), "model")
        _undisturbed(one, root / "1")
        _undisturbed(many, root / "2")
        alone = Case("decompress a file", "decompress", one.expected, "model.safetensors.weft")
        folder = Case("decompress a folder", "decompress", many.expected, "model.weft")
        _undisturbed(alone, root / "3")
        _undisturbed(folder, root / "4")
        for there, back in ((one, alone), (many, folder)):
            assert back.expected == there.given, "what comes back is not the original"
        found = [one, alone, many, folder]
        for case in found if rounds > 1 else found[:1]:
            times = sorted(_timed(case, root / "timed") for _ in range(rounds))
            case.seconds, case.appears = times[len(times) // 2]
    for case in found:  # quick: nearly all of the time is that of starting, the same for all
        case.seconds, case.appears = (case.seconds, case.appears) if case.seconds else (one.seconds, one.appears)
    return found


def _undisturbed(case: Case, folder: Path) -> None:
    """Run it here and keep what it makes."""
    put(folder, case.given)
    assert command_line([str(a) for a in case.arguments(folder, force=False)]) == 0
    held = tree(folder)
    assert case.given.items() <= held.items()
    case.expected = {name: content for name, content in held.items() if name not in case.given}


def _timed(case: Case, folder: Path) -> tuple[float, float]:
    """(seconds that a run takes, seconds until its first file appears)."""
    put(folder, case.given)
    began = time.monotonic()
    with spawn(*case.arguments(folder, force=False)) as process:
        _await_file(process, folder, len(_files(folder)))
        appears = time.monotonic() - began
        process.wait()
    seconds = time.monotonic() - began
    assert process.returncode == 0
    shutil.rmtree(folder)
    return seconds, appears


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]


def _await_file(process: subprocess.Popen[bytes], folder: Path, count: int) -> None:
    """Wait until there are more than ``count`` files, or the process has ended."""
    while process.poll() is None and len(_files(folder)) <= count:
        time.sleep(0.001)


def disturb(case: Case, folder: Path, number: signal.Signals, after: float, *, writing: bool, older: bool) -> Trial:
    """Run a case in ``folder``, send it a signal after some seconds, and look.

    ``writing``: the seconds count from the moment at which its first file appears.
    """
    before = {name: OLDER if content else content for name, content in case.expected.items()} if older else {}
    put(folder, case.given | before)
    process = spawn(*case.arguments(folder, force=older))
    if writing:
        _await_file(process, folder, len(_files(folder)))
    try:
        process.wait(after)
        landed = LATE
    except subprocess.TimeoutExpired:
        landed = ""
    process.send_signal(number)
    err = process.communicate(timeout=120)[1].decode(errors="replace")
    held = tree(folder)
    trial = Trial(landed, process.returncode, _faults(case, held, before, folder))
    trial.temporaries = sum(TEMPORARY.fullmatch(name.rpartition("/")[2]) is not None for name in held)
    done = sum(held.get(name) == content != before.get(name) for name, content in case.expected.items() if content)
    wanted = sum(1 for content in case.expected.values() if content)
    if not landed:
        begun = trial.temporaries or done
        trial.landed = "all was written" if done == wanted else "while it wrote" if begun else "before it wrote"
    if number == signal.SIGKILL:
        trial.faults += _rerun(case, folder)
    else:
        if trial.temporaries:
            trial.faults.append(f"temporary files are left: {sorted(held.keys() - case.given.keys())}")
        # before main() begins and after it ends, Python itself answers
        if process.returncode not in (0, 128 + number, -number) and "KeyboardInterrupt" not in err:
            trial.faults.append(f"exit code {process.returncode}: {err.strip()}")
    return trial


def _faults(case: Case, held: Tree, before: Tree, folder: Path) -> list[str]:
    faults = [f"{name}: was changed" for name, content in case.given.items() if held.get(name, 0) != content]
    for name, content in held.items():
        last = name.rpartition("/")[2]
        if name in case.given or TEMPORARY.fullmatch(last):
            continue
        if name not in case.expected:
            faults.append(f"{name}: what is this?")
        elif content not in (case.expected[name], before.get(name, case.expected[name])):
            faults.append(f"{name}: neither what was there nor what should be")
        elif case.command == "compress" and name.endswith(".weft") and content == case.expected[name] is not None:
            if isinstance(content, bytes):
                codec.verify_file(folder / name)
    links = {name for name, content in case.expected.items() if isinstance(content, str)}
    faults += [f"{name}: is gone" for name in before if name not in held and name not in links]
    return faults


def _rerun(case: Case, folder: Path) -> list[str]:
    there = any((folder / name).exists() for name in case.expected)
    code = command_line([str(a) for a in case.arguments(folder, force=there)])
    if code != 0:
        return [f"a rerun ends with {code}"]
    extra = tree(folder).keys() - case.given.keys() - case.expected.keys()
    wrong = [n for n, content in (case.given | case.expected).items() if tree(folder).get(n, 0) != content]
    return [f"{name}: left even after a rerun" for name in sorted(extra)] + [f"{n}: wrong after a rerun" for n in wrong]


@dataclass
class Counts:
    """What came of all runs of one kind."""

    trials: Counter[str] = field(default_factory=Counter)
    landed: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    temporaries: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, case: Case, number: signal.Signals, after: float, trial: Trial) -> None:
        if trial.landed != LATE:
            self.trials[case.name] += 1
        self.landed[trial.landed] += 1
        self.codes[trial.code] += 1
        self.temporaries += trial.temporaries
        self.faults += [f"{number.name} to {case.name!r} after {after:.3f} s: {fault}" for fault in trial.faults]

    def __str__(self) -> str:
        def listed(counter: Counter[str] | Counter[int]) -> str:
            return ", ".join(f"{key}: {count}" for key, count in sorted(counter.items(), key=str))

        return (
            f"{self.trials.total()} runs disturbed ({listed(self.trials)})\n"
            f"  the signal came: {listed(self.landed)}\n"
            f"  exit codes: {listed(self.codes)}\n"
            f"  temporary files found: {self.temporaries}\n"
            f"  faults: {len(self.faults)}"
        )


def storm(
    found: list[Case], count: int, numbers: list[signal.Signals], seed: int, say: Callable[[str], object] = lambda _: 0
) -> Counts:
    """``count`` disturbed runs, the cases, signals and kinds of moments in turn."""
    rng, counts = random.Random(seed), Counts()
    with tempfile.TemporaryDirectory(prefix="weft-faults-") as scratch:
        done = turn = 0
        while done < count:
            case, number = found[done % len(found)], numbers[done // len(found) % len(numbers)]
            writing = done // len(found) // len(numbers) % 2 == 1
            after = rng.uniform(0, case.seconds - (case.appears if writing else 0))
            folder = Path(scratch) / str(turn)
            older = rng.random() < 0.4
            trial = disturb(case, folder, number, after, writing=writing, older=older)
            counts.add(case, number, after, trial)
            shutil.rmtree(folder)
            turn += 1
            if trial.landed == LATE and turn < 4 * count:
                continue
            done += 1
            if done % 20 == 0:
                say(f"{done} of {count}, {len(counts.faults)} faults")
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.run")
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="runs ended by SIGKILL")
    parser.add_argument("--signals", type=int, default=48, metavar="N", help="runs ended by SIGINT or SIGTERM")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the moments")
    options = parser.parse_args()
    found = cases()
    for case in found:
        print(f"{case.name}: {case.seconds:.2f} s, its first file after {case.appears:.2f} s")
    faults: list[str] = []
    for title, count, numbers in (
        ("SIGKILL", options.kills, [signal.SIGKILL]),
        ("SIGINT and SIGTERM", options.signals, [signal.SIGINT, signal.SIGTERM]),
    ):
        counts = storm(found, count, numbers, options.seed, say=lambda line: print(line, flush=True))
        print(f"{title}: {counts}")
        faults += counts.faults
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
