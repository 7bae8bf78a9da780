"""Attack: a path that is no file: a pipe that blocks for ever, a device without an end, a name that is an option.

Mitigation: in a folder only regular files, folders and links are touched, what else there is is refused by name; a pipe
named on the command line is read as a stream, as who named it wants; the codec's outputs replace no device; names that
begin with "-" are options only where they stand alone on the command line, and "--" ends those.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.cli.calls import COMMAND, environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices of Unix")


def run(*arguments: object, cwd: Path, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd, env=environment(), capture_output=True, timeout=15, check=False, stdin=subprocess.DEVNULL, **options,
    )  # fmt: skip


def test_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    os.mkfifo(folder / "weights.bin")
    (folder / "zero.bin").symlink_to("/dev/zero")
    (folder / "good.bin").write_bytes(bytes(70_000))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(folder / "s.bin"))
        done = run("compress", "model", "--quiet", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.count(b"\n") == 3, done.stderr
    assert sorted(os.listdir(tmp_path / "model.weft")) == ["good.bin.weft"]
    os.mkfifo(tmp_path / "model.weft" / "pipe.weft")
    done = run("decompress", "model.weft", "--quiet", "-o", "back", cwd=tmp_path)
    assert done.returncode == 1 and sorted(os.listdir(tmp_path / "back")) == ["good.bin"]


def test_a_pipe_is_a_stream(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(bytes(200_000)), daemon=True)
    writer.start()
    done = run("compress", "pipe", "--quiet", "-o", "out.weft", cwd=tmp_path)
    writer.join(5)
    assert done.returncode == 0, done.stderr
    assert run("decompress", "out.weft", "--quiet", "-o", "back", cwd=tmp_path).returncode == 0
    assert (tmp_path / "back").read_bytes() == bytes(200_000)


@pytest.mark.parametrize("command", ["decompress", "inspect", "verify", "recover"])
def test_a_device_without_end_is_no_weft_file(command: str, tmp_path: Path) -> None:
    arguments = ("-o", "out") if command in ("decompress", "recover") else ()
    done = run(command, "/dev/zero", *arguments, cwd=tmp_path)
    assert done.returncode in (1, 3) and done.stderr.count(b"\n") == 1, done.stderr
    assert b"internal error" not in done.stderr and not os.listdir(tmp_path)


def test_a_pipe_as_output_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out.weft")
    (tmp_path / "a").write_bytes(b"x")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "out.weft").read_bytes()), daemon=True)
    reader.start()
    done = run("compress", "a", "-o", "out.weft", "--quiet", cwd=tmp_path)
    reader.join(5)
    assert done.returncode == 0 and got and got[0].endswith(b"\x89"), done.stderr
    assert (tmp_path / "out.weft").is_fifo() and len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize("name", ["-o", "--force", "-"])
def test_names_that_look_like_options(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"original" * 100)
    done = run("compress", f"./{name}", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    if name != "-":
        assert run("compress", "--force", "--quiet", "--", name, cwd=tmp_path).returncode == 0
    (tmp_path / name).unlink()
    assert run("decompress", f"./{name}.weft", "--quiet", cwd=tmp_path).returncode == 0
    assert (tmp_path / name).read_bytes() == b"original" * 100
    assert sorted(os.listdir(tmp_path)) == sorted([name, f"{name}.weft"])


@pytest.mark.parametrize("name", ["-o.bin", "-.bin", "--force.bin"])
def test_names_that_look_like_options_in_a_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / name).write_bytes(bytes(70_000))
    assert run("compress", ".", "--quiet", "-o", "../out", cwd=tmp_path / "model").returncode == 0
    assert os.listdir(tmp_path / "out") == [f"{name}.weft"]
