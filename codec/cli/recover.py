"""The command recover: save what can be saved of a damaged file, and say what could not."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from codec.cli.console import Console
from codec.cli.failures import BAD_INPUT, DONE, UsageError
from codec.cli.places import STREAM, check_not_itself, is_special
from codec.cli.text import printable, size

if TYPE_CHECKING:
    from codec import LostTensor, RecoveryReport


def run(options: argparse.Namespace) -> int:
    """Recover one file."""
    import codec

    if options.output == STREAM or is_special(options.output):
        raise UsageError(f"-o {options.output}: recover writes a file that can be sought in; name one")
    check_not_itself(options.path, options.output)
    console = Console(quiet=options.quiet, as_json=options.json)
    console.announce_kernels()
    with console.meter(options.path) as meter:
        report = codec.recover_file(options.path, options.output, force=options.force, progress=meter)
    record = {"path": options.path, "output": options.output, **asdict(report), "intact": report.intact}
    for line in _details(report):
        console.note(line)
    if report.intact:
        if options.json:
            console.result(record, "")
        console.note(f"{printable(options.path)} : nothing is lost   ({_amount(report)})  {printable(options.output)}")
        return DONE
    line = f"{printable(options.path)}: {_summary(report)}; {_written(report)} is in {printable(options.output)}"
    console.complain(line)
    if options.json:
        console.result(record | {"error": line, "exit_code": BAD_INPUT}, "")
    return BAD_INPUT


def _details(report: RecoveryReport) -> list[str]:
    """One line for each thing that is wrong."""
    lines = [f"note: {printable(note)}" for note in report.notes]
    lines += [f"lost: {_lost(tensor)}" for tensor in report.lost]
    if not report.lost and not report.intact:
        lines += [f"lost: bytes {_range(*gap)} of the original" for gap in report.lost_ranges]
    lines += [
        f"piece: {piece.name}, {piece.dtype}, {piece.size} bytes, from the record at byte {piece.record}"
        for piece in report.pieces
    ]
    return lines


def _lost(tensor: LostTensor) -> str:
    shape = "x".join(map(str, tensor.shape)) or "scalar"
    gone = ", ".join(_range(*gap) for gap in tensor.gone)
    whole = _range(tensor.begin, tensor.end)
    return f"{printable(tensor.name)}, {tensor.dtype} {shape}, bytes {gone} of {whole} of the original"


def _range(begin: int, end: int | None) -> str:
    return f"[{begin}, {'end' if end is None else end})"


def _summary(report: RecoveryReport) -> str:
    if report.form == "original":
        return "its SHA-256 is wrong, though every chunk agrees with its checksums"
    lost = len(report.lost)
    if lost:
        return f"{lost} of {lost + len(report.saved)} tensors {'is' if lost == 1 else 'are'} lost"
    known = sum(end - begin for begin, end in report.lost_ranges if end is not None)
    tail = bool(report.lost_ranges) and report.lost_ranges[-1][1] is None
    if report.pieces and not report.saved:
        return "where its bytes lay in the original is not known"
    if not known:
        return "where the original ended is not known"
    return f"{size(known)}{', or more,' if tail else ''} of the original {'are' if known > 1 else 'is'} lost"


def _written(report: RecoveryReport) -> str:
    return f"what is sound ({_amount(report)})"


def _amount(report: RecoveryReport) -> str:
    return size(report.recovered_bytes)
