"""The section of a model card that says how to load a compressed repo."""

from __future__ import annotations

import re
from typing import Final

import yaml

import codec

_BEGIN: Final = b"<!-- weft: begin -->"
_END: Final = b"<!-- weft: end -->"
_SECTION: Final = re.compile(rb"(\r?\n)*" + re.escape(_BEGIN) + rb".*?" + re.escape(_END) + rb"(\r?\n)*", re.DOTALL)
_METADATA: Final = re.compile(rb"\A\s*---\r?\n(.*?)\r?\n---\s*(\r?\n|\Z)", re.DOTALL)

_TEXT: Final = """\
## Compressed with weft

The `.weft` files of this repo hold the original files, bit for bit, in fewer bytes. `pip install weft`, then:

```
codec pull {repo}                  # into the standard cache: every program then finds ordinary files
codec run -- python your_program.py   # or: downloads of that program see the originals
codec decompress FILE.weft            # or: one file
```

From Python: `import hub; hub.enable()`, once, before anything is loaded.
"""


def with_section(card: bytes, repo_id: str, repo_type: str = "model") -> bytes:
    """A model card (possibly empty) with the section at its end, in the place of an earlier one. All else in it stays.

    >>> card = with_section(b"# Model", "org/model")
    >>> with_section(card, "org/model") == card, card.startswith(b"# Model")
    (True, True)
    """
    line = b"\r\n" if b"\r\n" in card else b"\n"
    card = _SECTION.sub(line * 2, card).strip(b"\r\n") or f"# {repo_id.rpartition('/')[2]}".encode()
    repo = repo_id if repo_type == "model" else f"{repo_id} --repo-type {repo_type}"
    section = _BEGIN + b"\n" + _TEXT.format(repo=repo).encode() + _END + b"\n"
    return card + line * 2 + section.replace(b"\n", line)


def check_card(card: bytes) -> None:
    """Raise codec.CodecError for a card that the Hub would refuse in the end, when all else is uploaded."""
    try:
        card.decode("utf-8")
        found = _METADATA.match(card)
        metadata = yaml.safe_load(found[1].decode("utf-8")) if found else {}
    except UnicodeDecodeError as error:
        raise codec.CodecError(f"README.md: not UTF-8 at byte {error.start}; the Hub takes no other") from None
    except yaml.YAMLError as error:
        raise codec.CodecError(f"README.md: its metadata is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(metadata, dict | None):
        raise codec.CodecError("README.md: its metadata is no list of names and values")
