"""The section of a model card that says how to load a compressed repo."""

from __future__ import annotations

import re
from typing import Final

_BEGIN: Final = "<!-- weft: begin -->"
_END: Final = "<!-- weft: end -->"
_SECTION: Final = re.compile(rf"\n*{re.escape(_BEGIN)}.*?{re.escape(_END)}\n*", re.DOTALL)

_TEXT: Final = """\
## Compressed with weft

The `.weft` files of this repo hold the original files, bit for bit, in fewer bytes. `pip install weft`, then:

```
codec pull {repo_id}                  # into the standard cache: every program then finds ordinary files
codec run -- python your_program.py   # or: downloads of that program see the originals
codec decompress FILE.weft            # or: one file
```

From Python: `import hub; hub.enable()`, once, before anything is loaded.
"""


def with_section(card: str, repo_id: str) -> str:
    """A model card (possibly empty) with the section at its end, in the place of an earlier one.

    >>> card = with_section("# Model", "org/model")
    >>> with_section(card, "org/model") == card, card.startswith("# Model")
    (True, True)
    """
    card = _SECTION.sub("\n\n", card).strip("\n")
    card = card or f"# {repo_id.rpartition('/')[2]}"
    return f"{card}\n\n{_BEGIN}\n{_TEXT.format(repo_id=repo_id)}{_END}\n"
