"""A Hub in a process of its own, so that client and server don't share an interpreter's lock."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.hub.control import write_files
from tests.hub.faults import Chance, Fault
from tests.hub.record import Record, Records

ROOT = Path(__file__).resolve().parents[2]


class RemoteServer(Records):
    """Starts ``python -m tests.hub.server`` and speaks with it.

    The options are those of its command line: ``RemoteServer(root, rate=100e6, redirect=True)``; a flag
    is a bool, and a tuple gives an option several times.
    """

    def __init__(self, root: Path, **options: float | bool | str | tuple[str, ...] | None) -> None:
        self._command = [sys.executable, "-m", "tests.hub.server", "--root", str(root)]
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            for one in value if isinstance(value, tuple) else (value,):
                if one is True:
                    self._command.append(flag)
                elif one not in (None, False):
                    self._command += [flag, str(one)]
        self._process: subprocess.Popen[str] | None = None
        self.url = self.storage_url = ""

    def start(self) -> Self:
        """Start it; it answers once this returns."""
        self._process = process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        if not (line := process.stdout.readline()):
            self.stop()
            raise RuntimeError("the server did not start")
        self.url, self.storage_url = line.split()
        return self

    def stop(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin and process.stdout
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    @property
    def pid(self) -> int | None:
        """The process's id, while there is one."""
        return self._process.pid if self._process else None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def records(self) -> list[Record]:
        """What was asked, of both its servers."""
        return [Record(**told) for told in self._ask("requests")]

    def reset(self) -> None:
        """Forget what was asked."""
        self._ask("reset", {})

    def set_faults(self, *faults: Fault, chance: Chance | None = None) -> None:
        """Another plan of what goes wrong; the counts begin anew."""
        told = {"faults": [dataclasses.asdict(fault) for fault in faults]}
        self._ask("faults", {**told, "chance": dataclasses.asdict(chance) if chance else None})

    @property
    def injected(self) -> dict[str, int]:
        """How often each kind of fault has happened."""
        return dict(self._ask("injected"))

    @property
    def errors(self) -> list[str]:
        """What went wrong in the server itself."""
        return list(self._ask("errors"))

    def add_repo(self, repo_id: str, files: Mapping[str, bytes | str | Path] | None = None, **options: Any) -> str:
        """:meth:`HubServer.add_repo`; the hash of its commit."""
        told = {"repo_id": repo_id, "files": write_files(files or {}), "options": options}
        return str(self._ask("add_repo", told)["commit"])

    def commit(self, repo_id: str, files: Mapping[str, bytes | str | Path | None], **options: Any) -> str:
        """:meth:`HubServer.commit`; the commit's hash."""
        told = {"repo_id": repo_id, "files": write_files(files), "options": options}
        return str(self._ask("commit", told)["commit"])

    def _ask(self, what: str, told: object = None) -> Any:
        data = None if told is None else json.dumps(told).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(f"{self.url}/__control/{what}", data), timeout=60) as answer:
            return json.load(answer)
