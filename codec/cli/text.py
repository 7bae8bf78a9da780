"""Sizes, rates, names and tables as people read them.

>>> size(45_415_224), size(999_950), size(12)
('45.4 MB', '1.00 MB', '12 B')
>>> printable("a\\udcff\\n.bin")
'a\\\\xff\\\\n.bin'
"""

from __future__ import annotations

from collections.abc import Sequence

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def size(count: float) -> str:
    """Bytes in decimal units, to three digits."""
    step = 0
    while count >= 999.5 and step < len(_UNITS) - 1:
        count /= 1000
        step += 1
    digits = 0 if step == 0 or count >= 99.95 else 1 if count >= 9.995 else 2
    return f"{count:.{digits}f} {_UNITS[step]}"


def rate(count: int, seconds: float) -> str:
    """Bytes a second, or nothing where the clock saw no time pass."""
    return f"{size(count / seconds)}/s" if seconds > 0 else ""


def percent(ratio: float) -> str:
    """A ratio as a percentage."""
    return f"{ratio * 100:.2f}%"


def printable(name: object) -> str:
    """A name on one line, with nothing in it that a terminal would obey or an encoder refuse."""
    return "".join(c if c.isprintable() else _escaped(c) for c in str(name))


def _escaped(character: str) -> str:
    # A byte that is no UTF-8 reaches Python as a lone surrogate, U+DC80 to U+DCFF.
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Columns aligned by spaces: the first ``left`` of them to the left, the others to the right."""
    cells = [header, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        aligned = (
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(aligned).rstrip()

    return "\n".join(map(line, cells))
