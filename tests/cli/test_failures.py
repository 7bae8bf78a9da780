"""What goes wrong: the exit code, one line, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.calls import Here, spawn, there

posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("command", ["compress", "decompress", "inspect", "verify", "estimate", "bench"])
def test_missing_file(codec: Here, tmp_path: Path, command: str) -> None:
    said = codec(command, tmp_path / "missing.weft")
    assert said.code == 3 and said.out == ""
    assert str(tmp_path / "missing.weft") in said.complaint and "no such file" in said.complaint
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("command", ["inspect", "estimate", "bench"])
def test_folder_instead_of_a_file(codec: Here, tmp_path: Path, command: str) -> None:
    assert codec(command, tmp_path).code == 3


@pytest.mark.parametrize("command", ["decompress", "inspect", "verify"])
def test_not_a_weft_file(codec: Here, tmp_path: Path, command: str) -> None:
    path = tmp_path / "fake.weft"
    for content in (b"", b"x", b"PK\3\4 and so on" * 99):
        path.write_bytes(content)
        said = codec(command, path)
        assert said.code == 1 and said.out == "" and str(path) in said.complaint
        assert left_in(tmp_path) == ["fake.weft"]


@pytest.mark.parametrize("command", ["decompress", "inspect", "verify"])
def test_truncated(codec: Here, packed: Path, model: Path, command: str) -> None:
    model.unlink()
    whole = packed.read_bytes()
    for cut in (1, len(whole) // 2, len(whole) - 17):
        packed.write_bytes(whole[:-cut])
        said = codec(command, packed)
        assert said.code == 1 and str(packed) in said.complaint
        assert left_in(packed.parent) == [packed.name]


@pytest.mark.parametrize("command", ["decompress", "verify"])
def test_damaged(codec: Here, packed: Path, model: Path, command: str) -> None:
    model.unlink()
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 1
    packed.write_bytes(content)
    said = codec(command, packed)
    assert said.code == 1 and str(packed) in said.complaint
    assert left_in(packed.parent) == [packed.name]


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission(codec: Here, model: Path) -> None:
    model.parent.chmod(0o500)
    try:
        said = codec("compress", model)
    finally:
        model.parent.chmod(0o700)
    assert said.code == 3 and "permission" in said.complaint


def test_folder_that_is_not_there(codec: Here, model: Path) -> None:
    output = model.parent / "no" / "out.weft"
    said = codec("compress", model, "-o", output)
    assert said.code == 3 and said.complaint == f"{output}: no such file or directory; check the path"


@posix
@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_disk_that_is_full(packed: Path, model: Path, command: str) -> None:
    """A limit on the size of files is met as a full disk is: in the middle of a write."""
    import resource

    output = model.parent / "out"
    output.mkdir()
    source = model if command == "compress" else packed

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    code, out, err = there(command, source, "-o", output, preexec_fn=limit)
    assert (code, out) == (3, b"")
    assert len(err.splitlines()) == 1 and "file too large" in err and str(output) in err
    assert left_in(output) == []


@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_interrupted(packed: Path, model: Path, tmp_path: Path, command: str, number: int, code: int) -> None:
    output = tmp_path / "out"
    output.mkdir()
    source = model if command == "compress" else packed
    target = output / "target"
    with spawn(command, "-", "-o", target, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stderr is not None
        # The rest of the input never comes.
        process.stdin.write(source.read_bytes()[:1000])
        process.stdin.flush()
        deadline = time.monotonic() + 240
        while not left_in(output) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert left_in(output) not in ([], ["target"]), "expected a temporary file"
        process.send_signal(number)
        err = process.stderr.read().decode()
        process.stdin.close()
    assert (process.returncode, err) == (code, "codec: interrupted\n")
    assert left_in(output) == []


@posix
def test_ignored_signals_stay_ignored(packed: Path) -> None:
    program = f"""if True:
        import os, signal, sys
        from codec.cli import look, main
        def inspect(options):
            os.kill(os.getpid(), signal.SIGHUP)
            return 0
        main.COMMANDS["inspect"] = inspect
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        sys.exit(main.main(["inspect", {str(packed)!r}]))
    """
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_bug_is_one_line_too(codec: Here, packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import codec as package

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(package, "inspect_file", broken)
    monkeypatch.setattr(package, "decompress_file", broken)
    for command in ("inspect", "decompress"):
        said = codec(command, packed)
        assert said.code == 3 and "internal error" in said.complaint and "two" in said.complaint
