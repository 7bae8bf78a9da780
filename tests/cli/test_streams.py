"""Standard input and output, pipes and devices."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.cli.calls import Here, spawn, there


def test_there_and_back_through_pipes(model_bytes: bytes) -> None:
    code, packed, err = there("compress", "-", "--quiet", given=model_bytes)
    assert (code, err) == (0, "")
    code, back, err = there("decompress", "-", "-o", "-", given=packed)
    assert code == 0 and "standard input : 197 kB" in err
    assert back == model_bytes


@pytest.mark.parametrize("content", [b"", b"x"])
def test_next_to_nothing_through_pipes(content: bytes) -> None:
    _, packed, _ = there("compress", "-", given=content)
    assert there("decompress", "-", given=packed)[:2] == (0, content)


def test_a_pipe_and_a_file_hold_the_same(packed: Path, model: Path, model_bytes: bytes) -> None:
    to_pipe = there("compress", model, "-o", "-")
    assert to_pipe[0] == 0
    assert there("decompress", "-", given=to_pipe[1])[1] == model_bytes
    from_pipe = model.with_name("piped.weft")
    assert there("compress", "-", "-o", from_pipe, given=model_bytes)[0] == 0
    assert there("decompress", from_pipe, "-o", "-")[1] == model_bytes


@pytest.mark.parametrize("cut", [0, 5, 20, -1])
def test_cut_input_is_refused(packed: Path, cut: int) -> None:
    code, _, err = there("decompress", "-", given=packed.read_bytes()[:cut])
    assert code == 1 and len(err.splitlines()) == 1


def test_reader_that_leaves_is_no_error(packed: Path) -> None:
    # More than a pipe holds, so that writing it fails for sure.
    for arguments in (("decompress", packed, "-o", "-"), ("compress", packed, "-o", "-")):
        with spawn(*arguments) as process:
            assert process.stdout is not None
            process.stdout.close()
            assert process.stderr is not None
            assert process.stderr.read() == b""
        assert process.returncode == 141


def test_reader_of_text_that_leaves_is_no_error(packed: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code, _, err = there("inspect", packed, stdout=writing)
    os.close(writing)
    assert (code, err) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_full_disk_behind_standard_output(packed: Path) -> None:
    for arguments in (("decompress", packed, "-o", "-"), ("inspect", packed), ("--help",)):
        with Path("/dev/full").open("wb") as full:
            code, _, err = there(*arguments, stdout=full)
        assert code == 3 and "no space left" in err and len(err.splitlines()) == 1


def test_closed_standard_output(packed: Path) -> None:
    code, _, err = there("decompress", packed, "-o", "-", preexec_fn=lambda: os.close(1))
    assert code == 3 and len(err.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="devices")
def test_device_is_written_not_replaced(codec: Here, model: Path) -> None:
    codec.well("compress", model, "-o", "/dev/null", "--force")
    assert Path("/dev/null").is_char_device()
    pipe = model.with_name("pipe")
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    codec.well("compress", model, "-o", pipe)
    reader.join(30)
    assert pipe.is_fifo() and got[0][:5] == b"\x89WEFT"


def test_pipe_with_a_name_is_read(codec: Here, model: Path, model_bytes: bytes) -> None:
    pipe, back = model.with_name("pipe"), model.with_name("back")
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(model_bytes,))
    writer.start()
    codec.well("compress", pipe, "-o", model.with_name("piped.weft"))
    writer.join(30)
    codec.well("decompress", model.with_name("piped.weft"), "-o", back)
    assert back.read_bytes() == model_bytes


def test_streams_are_used_once_and_for_one_thing(codec: Here, tmp_path: Path) -> None:
    assert codec("compress", "-", "-").code == 2
    assert codec("compress", "-", "--json").code == 2
    assert codec("compress", tmp_path, "-o", "-").code == 2
    assert codec("compress", "-", "-o", tmp_path).code == 2


def test_a_keyboard_is_not_read_and_a_screen_not_written() -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    try:
        code, _, err = there("compress", "-", stdin=theirs)
        assert code == 2 and "terminal" in err
        code, _, err = there("compress", "-", given=b"x", stdout=theirs)
        assert code == 2 and "terminal" in err
    finally:
        os.close(ours)
        os.close(theirs)
