"""Pulls over a link of known speed, beside downloads of the originals: ``python -m bench.hub``.

A server on loopback, in a process of its own, sends at most so many bytes a second. Each figure is the median of
interleaved rounds; every file is compared with its SHA-256. "call": within a process that has downloaded before, so
that modules and kernels are loaded. "command": the whole command, ``codec pull`` beside ``hf download``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import codec
from bench import minilm, synthetic
from tests.hub.remote import RemoteServer

NAME = "model.safetensors"

# What a process does before the clock runs: a small repo, in the same way.
_CALL = """
import sys, time, hub, huggingface_hub
way, folder = sys.argv[1:]
def get(repo):
    if way == "pull":
        return hub.pull(repo, cache_dir=folder)
    return huggingface_hub.hf_hub_download(repo, "model.safetensors", cache_dir=folder)
if way == "hook":
    hub.enable()
get("org/plain-small" if way == "plain" else "org/weft-small")
began = time.perf_counter()
get("org/plain" if way == "plain" else "org/weft")
print(time.perf_counter() - began)
"""


def environment(url: str, home: Path) -> dict[str, str]:
    """Of a client."""
    off = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return {**os.environ, **off, "HF_ENDPOINT": url, "HF_HOME": str(home)}


def measure(server: RemoteServer, way: str, folder: Path, expected: str) -> tuple[float, int]:
    """(seconds, bytes of bodies sent) of one download into an empty cache."""
    env = environment(server.url, folder / "home")
    server.reset()
    os.sync()  # nobody waits for the disk to take what another has written
    if way.startswith("command"):
        plain = ["hf", "download", "org/plain", "--quiet"]
        command = ["codec", "pull", "org/weft", "--quiet"] if way == "command pull" else plain
        command[0] = str(Path(sys.executable).with_name(command[0]))
        began = time.perf_counter()
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
    else:
        command = [sys.executable, "-c", _CALL, way, str(folder / "home" / "hub")]
        ran = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
        seconds = float(ran.stdout)
    repo = "plain" if "plain" in way else "weft"
    sent = sum(r.sent for r in server.requests("GET", f"org/{repo}/resolve"))
    (found,) = (folder / "home").rglob(f"models--org--{repo}/snapshots/*/{NAME}")
    with found.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == expected, f"{way}: other bytes"
    shutil.rmtree(folder / "home")
    return seconds, sent


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024, help="size of the synthetic bf16 model; 0: MiniLM")
    parser.add_argument("--rates", default="100e6,1e9", help="bytes per second; 0: as fast as it goes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", default="call plain,call pull,call hook,command plain,command pull")
    parser.add_argument("--folder", type=Path, help="where to work (default: the system's temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as room:
        folder = Path(room)
        original = synthetic.write(folder / NAME, options.mib << 20) if options.mib else minilm.variant("bf16")
        small = synthetic.write(folder / "small", 4 << 20)
        for path in (original, small):
            codec.compress_file(path, folder / f"{path.name}.weft")
        with original.open("rb") as file:
            expected = hashlib.file_digest(file, "sha256").hexdigest()
        size, stored = original.stat().st_size, (folder / f"{original.name}.weft").stat().st_size
        print(f"{size:,} bytes, {stored / size:.4f} as .weft\n")
        print("| link, MB/s | way | seconds | × plain | transferred / original |\n|---|---|---|---|---|")
        for rate in [float(r) or None for r in options.rates.split(",")]:
            with RemoteServer(folder / "server", rate=rate) as server:
                if not (folder / "made").exists():
                    server.add_repo("org/plain", {NAME: original}, link=True)
                    server.add_repo("org/weft", {f"{NAME}.weft": folder / f"{original.name}.weft"}, link=True)
                    server.add_repo("org/plain-small", {NAME: small})
                    server.add_repo("org/weft-small", {f"{NAME}.weft": folder / "small.weft"})
                    (folder / "made").touch()
                ways = [way.removeprefix("call ") for way in options.ways.split(",")]
                found: dict[str, list[tuple[float, int]]] = {way: [] for way in ways}
                for number in range(options.rounds):
                    for way in ways[number % len(ways) :] + ways[: number % len(ways)]:  # nobody is always the first
                        found[way].append(measure(server, way, folder, expected))
            for way, results in found.items():
                seconds = statistics.median(s for s, _ in results)
                base = "command plain" if way.startswith("command") else "plain"
                plain = statistics.median(s for s, _ in found.get(base, results))
                share = max(b for _, b in results) / size
                speed = f"{rate / 1e6:g}" if rate else "unlimited"
                print(f"| {speed} | {way} | {seconds:.2f} | {seconds / plain:.2f} | {share:.4f} |", flush=True)


if __name__ == "__main__":
    main()
