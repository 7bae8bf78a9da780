"""Every fuzz target in turn, and at the end how many executions each had: ``python -m tests.fuzz --seconds 600``."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys

from tests.fuzz.engine import ROOT, TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", default=TARGETS)
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    options = parser.parse_args()
    worst, counts = 0, {}
    for name in options.targets:
        command = [sys.executable, "-m", f"tests.fuzz.{name}", "--seconds", str(options.seconds)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, end="", flush=True)
        found = re.search(r"([\d,]+) executions", done.stdout)
        counts[name] = (int(found[1].replace(",", "")) if found else 0, done.returncode)
        worst = max(worst, done.returncode)
    print()
    for name, (count, code) in counts.items():
        print(f"{name:<12}{count:>14,} executions{'   FOUND SOMETHING' if code else ''}")
    print(f"{'all':<12}{sum(count for count, _ in counts.values()):>14,} executions")
    return worst


if __name__ == "__main__":
    sys.exit(main())
