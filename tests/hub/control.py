"""The side door of a server that is a process of its own: what it saw, what it shall do."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.hub import faults
from tests.hub.messages import HubError, Reply, Request, json_reply

if TYPE_CHECKING:
    from tests.hub.server import HubServer


class Control:
    """Answers to ``/__control/...``; none of these requests is recorded, and none has faults."""

    def __init__(self, server: HubServer) -> None:
        self._server = server

    def answer(self, request: Request) -> Reply:
        """Do what is asked."""
        server = self._server
        match f"{request.method} {request.path.removeprefix('/__control/')}":
            case "GET requests":
                return json_reply([dataclasses.asdict(record) for record in server.records()])
            case "GET injected":
                return json_reply(server.injected)
            case "GET errors":
                return json_reply([repr(error) for error in server.errors])
            case "POST reset":
                server.reset()
                return json_reply({})
            case "POST faults":
                plan, chance = faults.from_json(request.json())
                server.set_faults(*plan, chance=chance)
                return json_reply({})
            case "POST add_repo":
                asked = request.json()
                repo = server.add_repo(asked["repo_id"], read_files(asked["files"]), **asked["options"])
                return json_reply({"commit": repo.branches["main"]})
            case "POST commit":
                asked = request.json()
                commit = server.commit(asked["repo_id"], read_files(asked["files"]), **asked["options"])
                return json_reply({"commit": commit.oid})
        raise HubError(404, None, "no such control")


def write_files(files: Mapping[str, Any]) -> dict[str, Any]:
    """Files on their way to a server: paths as such, content in base64."""
    told: dict[str, Any] = {}
    for name, content in files.items():
        if isinstance(content, Path):
            told[name] = {"path": str(content.resolve())}
        elif content is None:
            told[name] = None
        else:
            raw = content.encode() if isinstance(content, str) else content
            told[name] = {"base64": base64.b64encode(raw).decode()}
    return told


def read_files(told: dict[str, Any]) -> dict[str, Any]:
    """What :func:`write_files` wrote."""
    files: dict[str, Any] = {}
    for name, value in told.items():
        if value is None:
            files[name] = None
        else:
            files[name] = Path(value["path"]) if "path" in value else base64.b64decode(value["base64"])
    return files
