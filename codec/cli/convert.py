"""The commands compress and decompress: any number of paths, each on its own."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codec.cli import folders
from codec.cli.console import Console
from codec.cli.failures import DONE, UsageError, is_about_writing
from codec.cli.places import (
    STREAM,
    Job,
    check_not_itself,
    check_together,
    open_source,
    open_target,
    target_of,
)
from codec.cli.text import percent, printable, rate, size
from codec.warm import compile_kernels

if TYPE_CHECKING:
    from codec import Report


def run(options: argparse.Namespace) -> int:
    """Do every path; return the highest exit code."""
    check_together(options.paths, options.output, as_json=options.json)
    work = _Work(options)
    single = len(options.paths) == 1 and not Path(options.paths[0]).is_dir()
    for path in options.paths:
        work.path(path)
    if options.json:
        work.console.result(work.records[0] if single else {"files": work.records}, "")
    elif not single:
        work.console.note(work.summary())
    return work.worst


class _Work:
    """One call of a command: its options, and what has been done so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.compressing: bool = options.command == "compress"
        self.console = Console(quiet=options.quiet, as_json=options.json)
        self.console_waits = True
        self.records: list[dict[str, Any]] = []
        self.worst = DONE
        self.written: dict[str, str] = {}
        self.closed: set[Path] = set()

    def path(self, path: str) -> None:
        """Do one path of the command line."""
        several = len(self.options.paths) > 1
        try:
            output = self.options.output
            target = target_of(path, output, compressing=self.compressing, several=several)
            if path != STREAM and Path(path).is_dir():
                if target == STREAM:
                    raise UsageError(f"{path}: a folder can't go to standard output; name a folder with -o")
                jobs = folders.plan(path, target, compressing=self.compressing)
            else:
                jobs = [Job("code", path, target)]
        except (OSError, UsageError) as error:
            self.failed(path, error)
            return
        for number, job in enumerate(jobs, 1):
            self.job(job, f"[{number}/{len(jobs)}] " if len(jobs) > 1 else "")

    def job(self, job: Job, place: str) -> None:
        """Do one job; an error is reported and kept, so that the next job gets its turn."""
        if job.target and Path(job.target).parent in self.closed:
            # The folder could not be made, which has been said.
            self.closed.add(Path(job.target))
            return
        try:
            self.claim(job)
            record = self.act(job, place)
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001  # told in one line; the other paths still have their turn
            if job.action == "folder":
                self.closed.add(Path(job.target))
            self.failed(job.source, _at_output(error, job))
            return
        if record is not None:
            named = {"path": job.source, "output": job.target}
            self.records.append(named | record)

    def claim(self, job: Job) -> None:
        """Raise UsageError if an earlier job of this call wrote the same output: --force is not for that."""
        if job.action in ("folder", "refuse") or job.target == STREAM:
            return
        earlier = self.written.setdefault(str(Path(job.target)), job.source)
        if earlier != job.source:
            raise UsageError(f"{job.source}: its output {job.target} is that of {earlier} too; rename one")

    def act(self, job: Job, place: str) -> dict[str, Any] | None:
        """Do one job and say what there is to say about it."""
        force = self.options.force
        match job.action:
            case "refuse":
                assert job.reason is not None
                raise job.reason
            case "folder":
                folders.make_folder(job.target)
                return None
            case "link":
                folders.make_link(job.target, job.points_to, force=force)
                return {"action": "linked", "points_to": job.points_to}
            case "copy":
                count = folders.copy_file(job.source, job.target, force=force)
                return {"action": "copied", "original_bytes": count, "stored_bytes": count}
        report = self.code(job, place)
        self.console.note(self.line(job, report))
        action = "compressed" if self.compressing else "decompressed"
        return {"action": action, **asdict(report), "ratio": report.ratio}

    def code(self, job: Job, place: str) -> Report:
        """Run the codec on one file."""
        import codec

        check_not_itself(job.source, job.target)
        self.check_terminal(job)
        if self.console_waits:
            self.console.announce_kernels()
            if self.compressing:
                compile_kernels("compress", self.options.level)
            else:
                compile_kernels("decompress")
            self.console_waits = False
        threads, force = self.options.threads, self.options.force
        with ExitStack() as stack:
            source = open_source(job.source, stack)
            target = open_target(job.target, stack)
            meter = stack.enter_context(self.console.meter(place + _shown(job.source, "input")))
            if self.compressing:
                level = self.options.level
                report = codec.compress_file(source, target, level=level, threads=threads, progress=meter, force=force)
            else:
                report = codec.decompress_file(source, target, threads=threads, progress=meter, force=force)
            if not isinstance(target, str):
                target.flush()
            return report

    def check_terminal(self, job: Job) -> None:
        """Raise UsageError rather than read bytes from a keyboard or show them on a screen."""
        if job.source == STREAM and sys.stdin is not None and sys.stdin.isatty():
            raise UsageError("standard input is a terminal; name a file, or pipe one in")
        if job.target == STREAM and self.compressing and sys.stdout is not None and sys.stdout.isatty():
            raise UsageError("standard output is a terminal; name a file with -o, or redirect it")

    def line(self, job: Job, report: Report) -> str:
        """What came of one file."""
        source, target = _shown(job.source, "input"), _shown(job.target, "output")
        original, stored = size(report.original_bytes), size(report.stored_bytes)
        speed = rate(report.original_bytes, report.seconds)
        if self.compressing:
            details = ", ".join(filter(None, (f"{original} => {stored}", speed)))
            return f"{source} : {percent(report.ratio)}   ({details})  {target}"
        details = ", ".join(filter(None, (original, speed)))
        return f"{source} : {details}  {target}"

    def failed(self, path: str, error: Exception) -> None:
        """Report an error and remember it."""
        code, line = self.console.fail(error, path)
        self.worst = max(self.worst, code)
        self.records.append({"path": path, "error": line, "exit_code": code})

    def summary(self) -> str:
        """What came of all files."""
        counts = {
            action: [record for record in self.records if record.get("action") == action]
            for action in ("compressed", "decompressed", "copied", "linked")
        }
        failed = sum("error" in record for record in self.records)
        parts = [f"{len(found)} {action}" for action, found in counts.items() if found]
        parts += [f"{failed} failed"] if failed else []
        original = sum(record.get("original_bytes", 0) for record in self.records)
        stored = sum(record.get("stored_bytes", 0) for record in self.records)
        ratio = f" : {percent(stored / original)}   ({size(original)} => {size(stored)})" if original else ""
        if not self.compressing:
            ratio = f" : {size(original)}" if original else ""
        return (", ".join(parts) or "nothing to do") + ratio


def _at_output(error: Exception, job: Job) -> Exception:
    """The error, with the name of the output where it was met writing it, under a temporary name or none."""
    if not isinstance(error, OSError) or not job.target:
        return error
    of_temporary = job.target != STREAM and error.filename not in (None, job.source, job.target)
    if of_temporary or is_about_writing(error):
        return OSError(error.errno, error.strerror, _shown(job.target, "output"))
    return error


def _shown(path: str, stream: str) -> str:
    return f"standard {stream}" if path == STREAM else printable(path)
