"""Places that can't hold an output: full, read-only, elsewhere, oddly called. Exit code 3, one line, nothing left."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from codec.cli.main import main
from tests.cli.calls import COMMAND, environment, there
from tests.faults.inputs import make_folder, model, tree

DATA = model(1 << 20)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    path.write_bytes(DATA)
    return path


def mounted(options: str, script: str, *arguments: object) -> tuple[int, str, str]:
    """Run a script of the shell where ``$1`` is a small file system in memory, which nobody else sees.

    Skips the test where that is not allowed: it takes the right to mount.
    """
    if not shutil.which("unshare"):
        pytest.skip("no unshare here")
    mount = f'mount -t tmpfs -o {options} none "$1" || exit 99; {script}'
    command = ["unshare", "--mount", "sh", "-c", mount, "sh", *map(str, arguments)]
    ran = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    if ran.returncode == 99 or (ran.returncode != 0 and "unshare" in ran.stderr):
        pytest.skip(f"no mount here: {ran.stderr.strip()}")
    return ran.returncode, ran.stdout, ran.stderr


CODEC = " ".join(COMMAND)


def test_a_file_system_that_is_full(source: Path, tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    script = f'{CODEC} compress "$2" -o "$1/b" --quiet; code=$?; ls -A "$1"; exit $code'
    code, out, err = mounted("size=300k", script, place, source)
    assert (code, out) == (3, "")
    assert err == f"codec: {place}/b: no space left on device; free some space, or write elsewhere with -o\n"
    assert source.read_bytes() == DATA


def test_a_file_system_that_gets_full_within_a_folder(tmp_path: Path) -> None:
    """What still fits is written; the rest is named, a line each."""
    place = tmp_path / "small"
    place.mkdir()
    make_folder(tmp_path / "model", 1 << 18)
    before = tree(tmp_path / "model")
    script = f'{CODEC} compress "$2" -o "$1/out" --quiet; code=$?; cd "$1/out"; find . ! -type d; exit $code'
    code, out, err = mounted("size=600k", script, place, tmp_path / "model")
    found = set(out.split())
    assert code == 3 and err.count("no space left") == len(err.splitlines()) >= 1
    assert "./config.json" in found and len(found) < len(before)
    assert all(name.removeprefix("./").removesuffix(".weft") in before for name in found)
    assert tree(tmp_path / "model") == before


def test_a_file_system_that_is_read_only(source: Path, tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    script = f'mount -o remount,ro "$1" || exit 99; exec {CODEC} compress "$2" -o "$1/b" --quiet'
    code, out, err = mounted("size=300k", script, place, source)
    assert (code, out) == (3, "") and err.startswith(f"codec: {place}/b: read-only file system")


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on file sizes here")
def test_a_limit_on_sizes_within_a_folder(tmp_path: Path) -> None:
    import resource

    make_folder(tmp_path / "model", 1 << 18)
    before = tree(tmp_path / "model")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    code, out, err = there("compress", tmp_path / "model", "--quiet", preexec_fn=limit)
    lines = err.splitlines()
    assert (code, out) == (3, b"") and all("file too large" in line for line in lines)
    named = [line.removeprefix(f"codec: {tmp_path}/model.weft/").partition(":")[0] for line in lines]
    assert sorted(named) == [
        "deep/extra.bin.weft", "part-1.safetensors.weft", "part-2.safetensors.weft", "vocabulary.txt",
    ]  # fmt: skip
    assert tree(tmp_path / "model") == before
    assert tree(tmp_path / "model.weft").keys() == {"deep", "config.json", "latest.safetensors.weft"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_a_device_that_is_full(command: str, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = source
    if command == "decompress":
        assert main(["compress", str(source), "--quiet"]) == 0
        given = Path(f"{source}.weft")
    assert main([command, str(given), "-o", "/dev/full", "--quiet"]) == 3
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "/dev/full: no space left" in err


def test_another_device(source: Path) -> None:
    """The temporary file lies beside the output, not beside the input, so nothing has to be moved across."""
    place = Path("/dev/shm")
    if not os.access(place, os.W_OK) or place.stat().st_dev == source.stat().st_dev:
        pytest.skip("no other device to write to")
    import tempfile

    with tempfile.TemporaryDirectory(dir=place, prefix="weft-faults-") as other:
        assert main(["compress", str(source), "-o", f"{other}/b.weft", "--quiet"]) == 0
        assert main(["decompress", f"{other}/b.weft", "--quiet"]) == 0
        assert tree(Path(other)).keys() == {"b.weft", "b"} and (Path(other) / "b").read_bytes() == DATA


@pytest.mark.parametrize("call", ["compress", "decompress"])
def test_no_permission(
    call: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As told by the system; a folder that really refuses is tried in tests/cli, unless root does it."""
    given = source
    if call == "decompress":
        assert main(["compress", str(source), "--quiet"]) == 0
        given = Path(f"{source}.weft")
    before, real = tree(tmp_path), os.open

    def refuse(path: object, flags: int, *arguments: int, **named: int) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real(path, flags, *arguments, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert main([call, str(given), "-o", str(tmp_path / "b"), "--quiet"]) == 3
    out, err = capsys.readouterr()
    advice = "permission denied; check the permissions of the file and its folder"
    assert (out, err) == ("", f"codec: {tmp_path / 'b'}: {advice}\n") and tree(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["a b", "new\nline", "\x1b[31m", "ünïcödé 模型 😀", "n" * 250, "ш" * 125, "\udcff", "*?[x]", "-o"]
)
def test_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 255 bytes with the suffix, which is what file systems take."""
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(DATA[:5000])
    assert main(["compress", "--quiet", "--", name]) == 0
    Path(name).unlink()
    assert main(["decompress", "--quiet", "--", f"{name}.weft"]) == 0
    assert tree(tmp_path).keys() == {name, f"{name}.weft"} and Path(name).read_bytes() == DATA[:5000]


def test_a_name_that_is_too_long(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / ("n" * 251)
    path.write_bytes(DATA[:5000])
    assert main(["compress", str(path)]) == 3
    err = capsys.readouterr().err
    assert "file name too long; give a shorter name with -o" in err and err.count("\n") == 1
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_killed_while_it_copies(tmp_path: Path) -> None:
    """The small files of a folder are copied: what a killed run left of a copy is removed, too."""
    make_folder(tmp_path / "model", 1000)
    program = f"""if True:
        import os, signal, sys
        from codec.cli.main import main
        os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)
        sys.exit(main(["compress", {str(tmp_path / "model")!r}, "--quiet"]))
    """
    ran = subprocess.run([COMMAND[0], "-c", program], env=environment(), check=False)
    assert ran.returncode == -signal.SIGKILL
    assert any(".tmp" in name for name in tree(tmp_path / "model.weft"))
    assert main(["compress", str(tmp_path / "model"), "--quiet", "--force"]) == 0
    assert tree(tmp_path / "model.weft") == tree(tmp_path / "model")
