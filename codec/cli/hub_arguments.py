"""The arguments of the commands that talk to the Hugging Face Hub, and their help."""

from __future__ import annotations

import argparse
from typing import Protocol

from codec.cli.options import as_json, byte_count, port, quiet, threads


class _Command(Protocol):
    def __call__(self, name: str, summary: str, examples: str) -> argparse.ArgumentParser: ...


def add(command: _Command) -> None:
    """Add them; ``command`` makes a parser."""
    _push(command("push", "compress a model and upload it to the Hugging Face Hub", _PUSH_EXAMPLES))
    _pull(command("pull", "download a model from the Hugging Face Hub and decode it on the way", _PULL_EXAMPLES))
    _run(command("run", "run a Python program whose downloads see originals", _RUN_EXAMPLES))
    _serve(command("serve", "a local endpoint that hands out originals, for any client", _SERVE_EXAMPLES))


_PUSH_EXAMPLES = """\
  codec push org/model my-model/                # a folder: weights compressed, the rest unchanged
  codec push org/model my-model/ --dry-run      # what would be uploaded, and how large it would be
  codec push org/model-weft --from-repo org/model

Logging in: 'hf auth login', or HF_TOKEN. What the repo has already is skipped, so the
same command goes on where it was interrupted.
"""

_PULL_EXAMPLES = """\
  codec pull org/model                          # into the standard cache; prints the folder
  codec pull org/model --local-dir model/ --include '*.safetensors' --include config.json

Afterwards from_pretrained("org/model", local_files_only=True) and all else find ordinary
files. The same command goes on where it was interrupted.
"""

_RUN_EXAMPLES = """\
  codec run -- python train.py                  # from_pretrained(...) sees model.safetensors
                                                # where the repo has model.safetensors.weft
  codec run -- vllm serve org/model
"""

_SERVE_EXAMPLES = """\
  codec serve                                   # in front of the Hugging Face Hub
  HF_ENDPOINT=http://127.0.0.1:8800 llama-server -hf org/model
  codec serve models/                           # a folder of .weft files as their originals
  curl -O http://127.0.0.1:8800/model.safetensors
"""


def _push(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repo", metavar="REPO", help="the repo, org/name; it is made if it is not there")
    parser.add_argument("path", metavar="PATH", nargs="?", help="the folder or file to upload")
    parser.add_argument("--from-repo", metavar="SRC", help="upload what this repo has (org/name, org/name@revision)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be uploaded, and change nothing")
    parser.add_argument("--keep-originals", action="store_true", help="upload the original files, too")
    parser.add_argument("--revision", metavar="R", help="the branch to commit to (default: main)")
    parser.add_argument("--private", action="store_true", help="make the repo private, if it is made")
    parser.add_argument("--level", choices=("fast", "default", "max"), default="default", help="as in compress")
    _repo_type(parser)
    threads(parser)
    quiet(parser)
    as_json(parser)


def _pull(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repo", metavar="REPO", help="the repo, org/name")
    parser.add_argument("--revision", metavar="R", help="a branch, tag or commit (default: main)")
    parser.add_argument("--include", metavar="GLOB", action="append", help="only files like this (may be repeated)")
    parser.add_argument("--exclude", metavar="GLOB", action="append", help="no files like this (may be repeated)")
    parser.add_argument("--local-dir", metavar="DIR", help="put the files into this folder, not into the cache")
    parser.add_argument("--keep-compressed", action="store_true", help="fetch the .weft files, too")
    _repo_type(parser)
    threads(parser)
    quiet(parser)
    as_json(parser)


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("line", metavar="COMMAND", nargs=argparse.REMAINDER, help="the program and its arguments")


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", nargs="?", help="serve this folder instead of the Hub")
    parser.add_argument("--upstream", metavar="URL", help="the Hub to fetch from (default: HF_ENDPOINT, or the Hub)")
    parser.add_argument(
        "--port", type=port, default=8800, metavar="P", help="port (default: 8800; 0: any that is free)"
    )
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--cache-dir", metavar="DIR", help="where decoded files are kept")
    parser.add_argument(
        "--cache-size", type=byte_count, metavar="SIZE", help="how much of them, as in 50G (default: 50G)"
    )
    parser.add_argument("--verbose", action="store_true", help="a line for every request")
    quiet(parser)


def _repo_type(parser: argparse.ArgumentParser) -> None:
    kinds = ("model", "dataset", "space")
    parser.add_argument("--repo-type", choices=kinds, default="model", help="what kind of repo it is (default: model)")
