"""Options that several commands have, and the values they take."""

from __future__ import annotations

import argparse
import re


def threads(parser: argparse.ArgumentParser) -> None:
    """--threads."""
    parser.add_argument("--threads", type=count, metavar="N", help="threads to use (default: one per core)")


def quiet(parser: argparse.ArgumentParser) -> None:
    """--quiet."""
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")


def as_json(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")


def count(text: str) -> int:
    """A number of things, at least one."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1 << 16):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 65536, not {text!r}")
    return int(text)


def port(text: str) -> int:
    """A port; 0 stands for any that is free."""
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 16):
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, not {text!r}")
    return int(text)


def byte_count(text: str) -> int:
    """Bytes, in powers of 1000: "50G"."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a size as in 50G, not {text!r}")
    return int(float(found[1]) * 1000 ** ("kMGT".find(found[2]) + 1 if found[2] else 0))
