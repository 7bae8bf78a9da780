"""What ``inspect`` shows of the inside: sizes by field, as a table, a picture and a page."""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from codec.cli.console import Console
from codec.cli.failures import UsageError
from codec.cli.text import percent, printable, size, table

if TYPE_CHECKING:
    from codec.anatomy import Anatomy, TensorAnatomy


def wanted(options: argparse.Namespace) -> bool:
    """Whether the file has to be decoded."""
    return bool(options.fields or options.plot is not None or options.html is not None)


def look(options: argparse.Namespace, console: Console) -> tuple[dict[str, Any], str]:
    """Write what is to be written; return what there is to say of it, as a record and as text."""
    import codec
    from codec.cli import chart, page
    from codec.storage import AtomicFile, differ

    outputs = [path for path in (options.plot, options.html) if path is not None]
    if len(outputs) == 2 and os.path.abspath(outputs[0]) == os.path.abspath(outputs[1]):
        raise UsageError(f"{printable(outputs[0])}: cannot be both the picture and the page")
    if options.plot is not None:
        chart.figure_class()  # before any work is done
    with ExitStack() as stack:
        files = {}
        for path in outputs:
            differ(options.path, path)
            files[path] = stack.enter_context(AtomicFile(path, force=options.force))
        console.announce_kernels()
        with console.meter(options.path) as meter:
            found = codec.anatomy_file(options.path, threads=options.threads, progress=meter)
        name = os.path.basename(options.path) or options.path
        if options.plot is not None:
            files[options.plot].write(chart.picture(name, found))
        if options.html is not None:
            files[options.html].write(page.page(name, found).encode())
    record: dict[str, Any] = {"fields": found.fields, "rest": _record(found.rest)}
    record |= {"plot": options.plot, "html": options.html}
    if options.tensors or options.fields:
        record["tensor_fields"] = [_record(t) for t in found.tensors]
    text = [_by_field(found)] if options.fields or not outputs else []
    if options.fields and options.tensors:
        text.append(_by_tensor(found))
    text += [f"written   {printable(path)}" for path in outputs]
    return record, "\n\n".join(text)


def _record(t: TensorAnatomy) -> dict[str, Any]:
    return {**asdict(t), "bits_per_element": t.bits_per_element}


def _by_field(found: Anatomy) -> str:
    """The whole file."""
    rows = [(name, size(count), percent(count / found.stored_bytes)) for name, count in found.fields.items()]
    return table(("field", "stored", "share"), rows)


def _by_tensor(found: Anatomy) -> str:
    """A line for each field of each tensor."""
    rows = []
    for t in (*found.tensors, found.rest):
        for name, count in t.fields.items():
            each = f"{8 * count / t.elements:.3f}" if t.elements and t.dtype else ""
            label = printable(t.name) if t is not found.rest else "the rest"
            rows.append((label, name, size(count), percent(count / t.stored_bytes), each))
    return table(("tensor", "field", "stored", "share", "bits/element"), rows, left=2)
