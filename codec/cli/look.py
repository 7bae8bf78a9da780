"""The commands that write nothing: inspect, verify and estimate."""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from codec.cli.console import Console
from codec.cli.failures import DONE
from codec.cli.text import percent, printable, rate, size, table

if TYPE_CHECKING:
    from codec import FileInfo, TensorInfo


def inspect(options: argparse.Namespace) -> int:
    """Say what header and index say; and what is in the records, if that is asked for."""
    import codec
    from codec.cli import anatomy

    console = Console(as_json=options.json)
    info = codec.inspect_file(options.path)
    text = _facts(options.path, info)
    if info.tensors:
        text += "\n\n" + _by_dtype(info)
    if options.tensors and info.tensors:
        text += "\n\n" + _by_tensor(info)
    record: dict[str, Any] = {"path": options.path, **asdict(info), "ratio": info.ratio}
    record["tensor_count"] = len(info.tensors)
    record["dtypes"] = _sums(info)
    if not options.tensors:
        del record["tensors"]
    if anatomy.wanted(options):
        more, said = anatomy.look(options, console)
        record |= more
        text += "\n\n" + said
    console.result(record, text)
    return DONE


def _facts(path: str, info: FileInfo) -> str:
    major, minor = info.format_version
    rows = {
        "file": printable(path),
        "format": f"weft {major}.{minor}, level {info.level}, from {info.source}",
        "original": f"{size(info.original_bytes)} ({info.original_bytes:,} bytes)",
        "stored": f"{size(info.stored_bytes)} ({info.stored_bytes:,} bytes), {percent(info.ratio)}",
        "sha256": info.sha256 or "not recorded",
        "inside": f"{len(info.tensors)} tensors, {info.spans} spans, {info.chunks} chunks",
    }
    return "\n".join(f"{name:<10}{printable(value)}" for name, value in rows.items())


def _sums(info: FileInfo) -> dict[str, dict[str, int]]:
    """Element type -> counts and bytes, the largest first."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_COUNTED, 0))
    for tensor in info.tensors:
        counted = (1, math.prod(tensor.shape), tensor.original_bytes, tensor.stored_bytes)
        for name, value in zip(_COUNTED, counted, strict=True):
            sums[tensor.dtype][name] += value
    return dict(sorted(sums.items(), key=lambda item: -item[1]["original_bytes"]))


_COUNTED = ("tensors", "elements", "original_bytes", "stored_bytes")


def _by_dtype(info: FileInfo) -> str:
    rows = []
    for dtype, found in _sums(info).items():
        tensors, elements, original, stored = (found[name] for name in _COUNTED)
        sizes = (size(original), size(stored), _ratio(stored, original))
        rows.append((dtype or "opaque", str(tensors), *sizes, _bits(stored, elements)))
    original = info.original_bytes - sum(tensor.original_bytes for tensor in info.tensors)
    stored = info.stored_bytes - sum(tensor.stored_bytes for tensor in info.tensors)
    rows.append(("the rest", "", size(original), size(stored), _ratio(stored, original), ""))
    return table(("dtype", "tensors", "original", "stored", "ratio", "bits/element"), rows)


def _by_tensor(info: FileInfo) -> str:
    def row(tensor: TensorInfo) -> tuple[str, ...]:
        shape = "x".join(map(str, tensor.shape)) or "scalar"
        original, stored = tensor.original_bytes, tensor.stored_bytes
        sizes = (size(original), size(stored), _ratio(stored, original))
        return (printable(tensor.name), tensor.dtype or "opaque", shape, *sizes, str(tensor.chunks))

    header = ("tensor", "dtype", "shape", "original", "stored", "ratio", "chunks")
    return table(header, [row(tensor) for tensor in info.tensors], left=3)


def _ratio(stored: int, original: int) -> str:
    return percent(stored / original) if original else ""


def _bits(stored: int, elements: int) -> str:
    return f"{stored * 8 / elements:.3f}" if elements else ""


def verify(options: argparse.Namespace) -> int:
    """Decode everything, check everything."""
    import codec

    console = Console(quiet=options.quiet, as_json=options.json)
    console.announce_kernels()
    with console.meter(options.path) as meter:
        report = codec.verify_file(options.path, against=options.against, threads=options.threads, progress=meter)
    same = f", same as {printable(options.against)}" if options.against else ""
    details = ", ".join(filter(None, (size(report.original_bytes), rate(report.original_bytes, report.seconds))))
    record = {"path": options.path, "against": options.against, **asdict(report), "ratio": report.ratio}
    if options.json or not options.quiet:
        console.result(record, f"{printable(options.path)} : intact{same}   ({details})")
    return DONE


def estimate(options: argparse.Namespace) -> int:
    """Predict the size, field by field."""
    import codec

    console = Console(as_json=options.json)
    console.announce_kernels()
    found = codec.estimate_file(options.path, level=options.level)
    original, predicted = size(found.original_bytes), size(found.estimated_bytes)
    text = (
        f"{printable(options.path)} : about {percent(found.ratio)}   ({original} => {predicted}, "
        f"from a sample of {size(found.sampled_bytes)})"
    )
    total = sum(sum(fields.values()) for fields in found.bits.values())
    rows = [
        (dtype or "opaque", field, percent(bits / total), size(found.estimated_bytes * bits / total))
        for dtype, fields in found.bits.items()
        for field, bits in fields.items()
        if bits
    ]
    if rows:
        text += "\n\n" + table(("dtype", "field", "share", "stored"), rows, left=2)
    record = {"path": options.path, **asdict(found), "ratio": found.ratio}
    console.result(record, text)
    return DONE
