"""Sizes, tables and the progress bar."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import time

import pytest

import codec
from codec.cli import console, text
from codec.cli.console import Console
from tests.cli.calls import environment


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (9_994, "9.99 kB"),
        (9_999, "10.0 kB"),
        (99_960, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (10**21, "1000 EB"),
    ],
)
def test_sizes_have_three_digits(count: int, shown: str) -> None:
    assert text.size(count) == shown


def test_rate_without_time() -> None:
    assert text.rate(5, 0.0) == ""


def test_names_are_harmless() -> None:
    assert text.printable("a b\udcff\x1b[31m\n\u202eü") == "a b\\xff\\x1b[31m\\n\\u202eü"
    assert text.printable("\ud800") == "\\ud800"


def test_table() -> None:
    assert text.table(("name", "size"), [("a", "1"), ("long name", "20")]) == (
        "name       size\na             1\nlong name    20"
    )


def test_bar_comes_after_a_second_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Console().meter("model") as meter:
        assert meter is not None
        meter(10, 100)
        assert screen.getvalue() == ""
        monkeypatch.setattr(console, "PATIENCE", 0.01)
        time.sleep(0.02)
        meter(50_000_000, 100_000_000)
        shown = screen.getvalue()
    assert "model:  50%" in shown and "50.0M/100M" in shown and "B/s" in shown
    assert screen.getvalue().rpartition("\r")[2].strip() == ""


def test_bar_without_a_total(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(console, "PATIENCE", 0.0)
    with Console().meter("pipe") as meter:
        assert meter is not None
        meter(5_000_000, None)
    assert "5.00MB" in screen.getvalue()


@pytest.mark.parametrize("quiet", [False, True])
def test_no_bar_unless_someone_watches(monkeypatch: pytest.MonkeyPatch, quiet: bool) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal() if quiet else io.StringIO())
    with Console(quiet=quiet).meter("model") as meter:
        assert meter is None


@pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")
@pytest.mark.parametrize("columns", [0, 60])
def test_bar_on_a_terminal(columns: int) -> None:
    """A terminal may not know its own size."""
    import fcntl
    import pty
    import termios

    program = """if True:
        import time
        from codec.cli import console
        console.PATIENCE = 0.0
        with console.Console().meter("model") as meter:
            for done in range(5):
                meter(done * 1_000_000, 4_000_000)
                time.sleep(0.15)
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24 if columns else 0, columns, 0, 0))
    with os.fdopen(theirs) as screen:
        subprocess.run([sys.executable, "-c", program], stderr=screen, env=environment(), check=True)
        shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    bars = [bar for bar in shown.split("\r") if bar.startswith("model: ")]
    assert bars and "4.00M" in bars[-1] and max(map(len, bars)) <= (columns or 80)


@pytest.mark.parametrize(("cached", "quiet", "said"), [(False, False, 1), (False, True, 0), (True, False, 0)])
def test_compiling_is_announced(monkeypatch: pytest.MonkeyPatch, cached: bool, quiet: bool, said: int) -> None:
    monkeypatch.setattr(codec, "kernels_are_cached", lambda: cached, raising=False)
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    Console(quiet=quiet).announce_kernels()
    assert screen.getvalue().count("compiling kernels") == said
