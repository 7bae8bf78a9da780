"""JSON as a careful reader wants it: what two parsers could read differently is refused.

Python's :mod:`json` takes NaN and Infinity, a key twice in one object, half a surrogate pair in a string,
and nesting as deep as the Python stack happens to be. None of that passes here. Time and memory are
linear in the length of the text, and the answer depends on the text alone.
"""

from __future__ import annotations

import json
import math
import re
from typing import Final, NoReturn

#: Objects and arrays inside each other, at most: the limit of the JSON parser in the safetensors library.
NESTING_MAX: Final = 127

#: Characters in one number, at most. Turning digits into a number costs more than linear time.
NUMBER_CHARACTERS_MAX: Final = 400

_U64_DIGITS: Final = 20
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def loads(text: str) -> object:
    """The value that ``text`` spells, as :func:`json.loads` gives it.

    Raises ``ValueError`` with a one-line message that says which rule is broken.

    >>> loads('{"shape": [2, 3]}')
    {'shape': [2, 3]}
    >>> loads('{"shape": [2], "shape": [3]}')
    Traceback (most recent call last):
    ...
    ValueError: duplicate key 'shape'
    """
    try:
        value: object = _DECODER.decode(text)
        if _SURROGATE_ESCAPE.search(text):  # half a pair becomes a character that UTF-8 cannot write
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ValueError(f"nested deeper than {NESTING_MAX}") from None
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair in a string") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos}") from None  # without a copy of the text
    if _is_nested_deeper(value, NESTING_MAX):
        raise ValueError(f"nested deeper than {NESTING_MAX}")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"duplicate key {key[:80]!r}")
            seen.add(key)
    return fields


def _integer(digits: str) -> int | float:
    """An int if it may fit 64 bits; "-0" and longer ones are floats, as in the safetensors library."""
    return _float(digits) if digits == "-0" or len(digits) > _U64_DIGITS else int(digits)


def _float(digits: str) -> float:
    if len(digits) > NUMBER_CHARACTERS_MAX:
        raise ValueError(f"a number of {len(digits)} characters, the limit is {NUMBER_CHARACTERS_MAX}")
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"number {digits[:80]} is out of range")
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def _is_nested_deeper(value: object, limit: int) -> bool:
    """Level by level and without recursion, so that Python's stack has no say in the answer."""
    level = [value]
    for _ in range(limit + 1):
        containers = [item for item in level if isinstance(item, (dict, list))]
        if not containers:
            return False
        level = [inner for c in containers for inner in (c.values() if isinstance(c, dict) else c)]
    return True
