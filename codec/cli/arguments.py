"""The arguments of every command, and their help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from textwrap import fill
from typing import NoReturn

from codec._version import __version__
from codec.cli import hub_arguments
from codec.cli.failures import UsageError
from codec.cli.options import as_json, count, quiet, threads
from codec.names import MODEL_PATTERNS, SMALL

EXIT_CODES = """\
exit codes:
  0    done
  1    the input is bad: corrupt, truncated, not supported (recover: something
       is lost; what is not has been written)
  2    the command line is wrong
  3    the environment failed: disk full, no permission, no such file, or the
       output exists already and --force was not given
  130  interrupted (143: terminated; 141: the reader of standard output left)
Of several paths, each is done on its own; the highest code is reported.
"""

_FOLDERS = f"""\
folders:
  A folder becomes a folder, sub-folders and all. Model files become NAME.weft;
  files under {SMALL // 1024} KiB and all others are copied unchanged, and decompressing
  gives the same folder back. Links must be relative and stay inside. Model
  files are, by name:
"""


class _Layout(argparse.RawDescriptionHelpFormatter):
    """Examples as they are written, and room for the name of an option beside its explanation."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, raised instead of printed."""

    def error(self, message: str) -> NoReturn:
        """Raise the complaint."""
        raise UsageError(f"{message}; see '{self.prog} --help'")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of one call; raises UsageError, and SystemExit after --help and --version."""
    top, commands = _parsers()
    parser = commands.get(argv[0]) if argv else None
    if parser is None:
        found = top.parse_args(argv)
        if "command" not in found:
            raise UsageError("no command given; see 'codec --help'")
        return found
    # Intermixed, so that a path may stand behind an option; that mode can't take paths after "--".
    read = parser.parse_args if "--" in argv or argv[0] == "run" else parser.parse_intermixed_args
    return read(list(argv[1:]))


def _parsers() -> tuple[Parser, dict[str, Parser]]:
    top = Parser(
        prog="codec",
        description="Lossless compression of AI model files: every .weft file gives the original back, bit for bit.",
        epilog="'codec COMMAND --help' tells more of each.\n\n" + EXIT_CODES,
        formatter_class=_Layout,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"weft {__version__}")
    group = top.add_subparsers(title="commands", metavar="COMMAND PATH", parser_class=Parser)

    def command(name: str, summary: str, examples: str) -> Parser:
        parser = group.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=f"examples:\n{examples}\n{EXIT_CODES}",
            formatter_class=_Layout,
            allow_abbrev=False,
        )
        parser.set_defaults(command=name)
        return parser

    _compress(command("compress", "compress files and folders", _COMPRESS_EXAMPLES))
    _decompress(command("decompress", "give the original files and folders back", _DECOMPRESS_EXAMPLES))
    _inspect(command("inspect", "say what is inside a .weft file, from its header and index", _INSPECT_EXAMPLES))
    _verify(command("verify", "decode everything, check every checksum, write nothing", _VERIFY_EXAMPLES))
    _recover(command("recover", "save what is sound in a damaged .weft file, list what is lost", _RECOVER_EXAMPLES))
    _estimate(command("estimate", "predict the compressed size from a sample", _ESTIMATE_EXAMPLES))
    _bench(command("bench", "measure size and speed here, beside every other codec installed", _BENCH_EXAMPLES))
    hub_arguments.add(command)
    return top, dict(group.choices)


def _patterns() -> str:
    indent = " " * 4
    text = "  ".join(MODEL_PATTERNS)
    return fill(text, 76, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


_COMPRESS_EXAMPLES = f"""\
  codec compress model.safetensors              # writes model.safetensors.weft
  codec compress model.safetensors -o small.weft --level max
  codec compress my-model/                      # writes the folder my-model.weft/
  cat model.safetensors | codec compress - > model.safetensors.weft

{_FOLDERS}{_patterns()}
"""

_DECOMPRESS_EXAMPLES = """\
  codec decompress model.safetensors.weft       # writes model.safetensors
  codec decompress model.safetensors.weft -o - | sha256sum
  codec decompress my-model.weft/ -o restored/
"""

_INSPECT_EXAMPLES = """\
  codec inspect model.safetensors.weft
  codec inspect model.safetensors.weft --tensors
  codec inspect model.safetensors.weft --plot bits.png --html bits.html

--fields, --plot and --html tell signs, exponents, mantissas, scales and so on
apart, for which all of the file is decoded; --plot needs matplotlib
(pip install "weft[plot]").
"""

_VERIFY_EXAMPLES = """\
  codec verify model.safetensors.weft
  codec verify model.safetensors.weft --against model.safetensors && rm model.safetensors
"""

_RECOVER_EXAMPLES = """\
  codec recover damaged.safetensors.weft -o saved.safetensors

what OUT is:
  if nothing is lost   the original, byte for byte (exit code 0; else 1)
  of a safetensors     the same without the tensors that are damaged; what is
  file                 sound but has no known place is in it as recovered_0001, ...
  of any other file    its bytes, zeros in place of what is lost
The damaged file is only read.
"""

_ESTIMATE_EXAMPLES = """\
  codec estimate model.safetensors
"""

_BENCH_EXAMPLES = """\
  codec bench model.safetensors                 # in memory, on one thread
"""


def _compress(parser: Parser) -> None:
    _paths(parser, "file or folder to compress; - is standard input")
    parser.add_argument(
        "--level",
        choices=("fast", "default", "max"),
        default="default",
        help="fast: decodes fastest without AVX-512; max: searches longer for a smaller file",
    )
    _work(parser)


def _decompress(parser: Parser) -> None:
    _paths(parser, ".weft file or folder to restore; - is standard input")
    _work(parser)


def _inspect(parser: Parser) -> None:
    parser.add_argument("path", metavar="FILE.weft", help="the file to look into")
    parser.add_argument("--tensors", action="store_true", help="one line for every tensor")
    parser.add_argument("--fields", action="store_true", help="stored bytes by field; with --tensors of each tensor")
    parser.add_argument("--plot", metavar="FILE.png", help="draw where the bits go")
    parser.add_argument("--html", metavar="FILE", help="the same as a page for a browser")
    parser.add_argument("--force", action="store_true", help="replace outputs that exist")
    threads(parser)
    as_json(parser)


def _verify(parser: Parser) -> None:
    parser.add_argument("path", metavar="FILE.weft", help="the file to check")
    parser.add_argument("--against", metavar="ORIGINAL", help="compare with this file too, byte for byte")
    threads(parser)
    quiet(parser)
    as_json(parser)


def _recover(parser: Parser) -> None:
    parser.add_argument("path", metavar="FILE.weft", help="the damaged file")
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="the file to write")
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    quiet(parser)
    as_json(parser)


def _estimate(parser: Parser) -> None:
    parser.add_argument("path", metavar="FILE", help="the file that might be compressed")
    parser.add_argument("--level", choices=("fast", "default", "max"), default="default", help="level to predict")
    as_json(parser)


def _bench(parser: Parser) -> None:
    parser.add_argument("path", metavar="FILE", help="the file to measure with; it is read into memory")
    parser.add_argument("--rounds", type=count, default=3, metavar="N", help="timed rounds (default: 3)")
    as_json(parser)


def _paths(parser: Parser, text: str) -> None:
    parser.add_argument("paths", metavar="PATH", nargs="+", help=text)
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="where to write: a file, an existing folder, or - for standard output",
    )


def _work(parser: Parser) -> None:
    threads(parser)
    parser.add_argument("--force", action="store_true", help="replace outputs that exist")
    quiet(parser)
    as_json(parser)
