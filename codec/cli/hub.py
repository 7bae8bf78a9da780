"""The commands that talk to the Hugging Face Hub: push, pull, run and serve."""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from codec.cli.console import Console, Meter
from codec.cli.failures import DONE, UsageError
from codec.cli.text import percent, printable, rate, size
from codec.warm import compile_kernels

if TYPE_CHECKING:
    from hub import PulledFile, PushedFile


def push(options: argparse.Namespace) -> int:
    """Compress and upload."""
    import hub

    if (options.path is None) == (options.from_repo is None):
        raise UsageError("push: name either a path to upload, or a repo with --from-repo; see 'codec push --help'")
    console = Console(quiet=options.quiet, as_json=options.json)
    if not options.dry_run:
        console.announce_kernels()
        compile_kernels("compress", options.level)
    with _Meters(console) as meters, _hub_bars(console):
        report = hub.push(
            options.repo,
            options.path,
            from_repo=options.from_repo,
            revision=options.revision,
            repo_type=options.repo_type,
            private=options.private or None,
            level=options.level,
            keep_originals=options.keep_originals,
            dry_run=options.dry_run,
            threads=options.threads,
            progress=meters.show,
            note=lambda file: _say_pushed(console, meters, file, dry_run=options.dry_run),
        )
    for name in report.deleted:
        console.note(f"{printable(name)} : {'would be ' if options.dry_run else ''}replaced by its .weft file")
    compressed = [file for file in report.files if file.action == "compressed"]
    sizes = f"{size(report.original_bytes)} => {'about ' if options.dry_run else ''}{size(report.stored_bytes)}"
    saved = f" : {percent(report.stored_bytes / report.original_bytes)}   ({sizes})" if report.original_bytes else ""
    counted = f"{len(compressed)} of {len(report.files)} files {'would be ' if options.dry_run else ''}compressed"
    console.note(f"{printable(options.repo)} : {counted}{saved}")
    record = {**asdict(report), "original_bytes": report.original_bytes, "stored_bytes": report.stored_bytes}
    if options.json:
        console.result(record | {"dry_run": options.dry_run}, "")
    return DONE


def _say_pushed(console: Console, meters: _Meters, file: PushedFile, *, dry_run: bool) -> None:
    meters.end(file.name)
    if file.action == "compressed":
        about = "about " if dry_run else ""
        ratio = percent(file.stored_bytes / file.original_bytes)
        sizes = f"{size(file.original_bytes)} => {about}{size(file.stored_bytes)}"
        console.note(f"{printable(file.name)} : {ratio}   ({sizes})")
    else:
        what = {"copied": "unchanged", "skipped": "already there", "extended": "with a section on loading"}[file.action]
        console.note(f"{printable(file.name)} : {what}   ({size(file.original_bytes)})")


def pull(options: argparse.Namespace) -> int:
    """Download and decode."""
    import hub

    console = Console(quiet=options.quiet, as_json=options.json)
    console.announce_kernels()
    compile_kernels("decompress")
    with _Meters(console) as meters, _hub_bars(console):
        report = hub.pull(
            options.repo,
            revision=options.revision,
            repo_type=options.repo_type,
            include=options.include,
            exclude=options.exclude,
            local_dir=options.local_dir,
            keep_compressed=options.keep_compressed,
            threads=options.threads,
            progress=meters.show,
        )
    for file in report.files:
        console.note(_pulled(file))
    original, transferred = report.original_bytes, report.transferred_bytes
    share = f", {percent(transferred / original)} of it transferred" if original else ""
    speed = rate(original, report.seconds)
    console.note(f"{printable(options.repo)} : {size(original)}{share}{', ' + speed if speed else ''}")
    record: dict[str, Any] = {**asdict(report), "original_bytes": original, "transferred_bytes": transferred}
    console.result(record, printable(report.folder))
    return DONE


def _pulled(file: PulledFile) -> str:
    if file.action == "decoded":
        share = percent(file.transferred_bytes / file.original_bytes) if file.original_bytes else ""
        return f"{printable(file.name)} : {share}   ({size(file.transferred_bytes)} => {size(file.original_bytes)})"
    what = {"downloaded": "as it is", "cached": "already there"}[file.action]
    return f"{printable(file.name)} : {what}   ({size(file.original_bytes)})"


def run(options: argparse.Namespace) -> int:
    """Become a program whose downloads see originals."""
    import hub

    line = options.line[1:] if options.line[:1] == ["--"] else options.line
    if not line:
        raise UsageError("run: name a program, as in 'codec run -- python script.py'; see 'codec run --help'")
    try:
        hub.run(line)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, line[0]) from None
    return DONE


def serve(options: argparse.Namespace) -> int:
    """Hand out originals on a local port."""
    import hub

    if options.folder is not None and options.upstream is not None:
        raise UsageError("serve: either a folder or --upstream; see 'codec serve --help'")
    console = Console(quiet=options.quiet)

    def ready(url: str) -> None:
        console.note(f"serving at {url}   (Ctrl-C ends it)")
        if options.folder is None:
            console.note(f"for clients of the Hub: export HF_ENDPOINT={url}")

    try:
        hub.serve(
            options.upstream,
            options.folder,
            host=options.host,
            port=options.port,
            cache_dir=options.cache_dir,
            cache_bytes=options.cache_size,
            verbose=options.verbose,
            ready=ready,
        )
    except ValueError as error:
        raise UsageError(f"serve: {re.sub('//[^/@]*@', '//...@', str(error))}") from None
    return DONE


class _Meters:
    """One bar at a time: of the file that moves."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._meters: dict[str, Meter] = {}

    def __enter__(self) -> _Meters:
        return self

    def __exit__(self, *exc: object) -> None:
        for name in list(self._meters):
            self.end(name)

    def show(self, name: str, done: int, total: int) -> None:
        """As codec's own progress functions, for one of several files."""
        if not self._console.live:
            return
        if name not in self._meters:
            self._meters[name] = Meter(printable(name))
        self._meters[name](done, total)

    def end(self, name: str) -> None:
        """Wipe the bar of a file."""
        if name in self._meters:
            self._meters.pop(name).close()


class _hub_bars:  # noqa: N801  # used like a function
    """huggingface_hub's own bars and warnings only where somebody watches."""

    def __init__(self, console: Console) -> None:
        self._off = not console.live

    def __enter__(self) -> None:
        from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, logging

        self._off = self._off and not are_progress_bars_disabled()
        if self._off:
            disable_progress_bars()
        self._level = logging.get_verbosity()
        logging.set_verbosity(logging.ERROR)

    def __exit__(self, *exc: object) -> None:
        from huggingface_hub.utils import enable_progress_bars, logging

        logging.set_verbosity(self._level)
        if self._off:
            enable_progress_bars()
