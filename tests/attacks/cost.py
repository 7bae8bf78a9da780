"""What reading a file costs a fresh process: ``python -m tests.attacks.cost CALL SOUND HOSTILE``.

Prints a line of JSON: processor seconds, MiB by which the peak of memory grew, and what came of it. A small sound file
is read first, so that what the first call has to compile and allocate does not count.
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CALLS = ("inspect", "decompress", "verify", "tensors", "stream", "recover")


class Cost(NamedTuple):
    seconds: float
    grown: float
    outcome: str


def cost(call: str, hostile: bytes, tmp_path: Path) -> Cost:
    """Of a call on these bytes."""
    import codec

    sound, path = tmp_path / "sound.weft", tmp_path / "hostile.weft"
    sound.write_bytes(codec.compress(bytes(range(256)) * 20, "uint8"))
    path.write_bytes(hostile)
    command = [sys.executable, "-m", "tests.attacks.cost", call, str(sound), str(path)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return Cost(*json.loads(done.stdout))


def _peak() -> int:
    """KiB. Not ru_maxrss where it can be helped: a process inherits that of the one that started it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _run(call: str, path: Path) -> str:
    import codec
    from codec.streaming import decode_stream

    try:
        if call == "inspect":
            found = codec.inspect_file(path)
            return f"{len(found.tensors)} tensors"
        if call == "decompress":
            return f"{len(codec.decompress(path.read_bytes()))} bytes"
        if call == "verify":
            return f"{codec.verify_file(path).original_bytes} bytes"
        if call == "tensors":
            return f"{sum(t.nbytes for t in codec.load_file(path).values())} bytes"
        if call == "recover":
            return codec.recover_file(path, path.with_name("saved"), force=True).form
        done = 0

        def sink(data: memoryview) -> None:
            nonlocal done
            done += len(data)

        with io.BytesIO(path.read_bytes()) as file:
            decode_stream(file.read, sink, "f")
        return f"{done} bytes"
    except codec.CodecError as error:
        return f"{type(error).__name__}: {str(error)[:200]}"


def main(call: str, sound: str, hostile: str) -> None:
    _run(call, Path(sound))
    before, began = _peak(), time.process_time()
    outcome = _run(call, Path(hostile))
    print(json.dumps((time.process_time() - began, (_peak() - before) / 1024, outcome)))


if __name__ == "__main__":
    main(*sys.argv[1:])
