"""Pickles, read but never run: which objects a pickle would build, as plain descriptions.

The opcodes of protocols 2 to 5 are followed by a machine that has a stack and a memo as pickle's own has, but that
can neither import nor call anything: a global is its two names, a call is a note of what would be called with what,
and what ``persistent_id`` made is kept as it is. Python's pickle module is not imported.

    int, str, None, bool    themselves; numbers beyond 64 bits, long strings, bytes and floats are OTHER
    tuple, list             themselves; a set is a list
    dict                    Pairs, in order of insertion
    module.name             Global
    persistent id           Persistent
    f(*arguments), and what was put into it afterwards    Made

Lists and Pairs may contain themselves, and one object may lie in many places: who walks them keeps account. Never
compare or hash a value whose type is not known: Python does that by recursion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from codec.sources.segment import RefusedError

#: Opcodes, and objects that are more than a number or a string, of one pickle, at most: that is 3 s and
#: 350 MiB. A tensor takes about 32 opcodes and 8 objects.
OPCODES_MAX: Final = 1 << 22
OBJECTS_MAX: Final = 1 << 20

#: Longer strings are OTHER. No name of a tensor is so long.
_STRING_MAX: Final = 1 << 12


class BadPickleError(RefusedError):
    """The bytes are no pickle, or one with opcodes that no model file has."""


class CutPickleError(BadPickleError):
    """The bytes end before the pickle does."""


class Other:
    """Something that nobody asks about."""


OTHER: Final = Other()


@dataclass(frozen=True, slots=True, eq=False)
class Global:
    """A class or function, by name."""

    module: str
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Persistent:
    """What a persistent id stands for; ``id`` is any value."""

    id: object


class Pairs(list[tuple[object, object]]):
    """Keys and values of a dictionary."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class Made:
    """What a call would return. ``items``: lists or Pairs added to it; ``state``: what its attributes were set to."""

    function: object
    arguments: object
    items: Pairs | list[object] | None = None
    state: object = None


@dataclass(frozen=True, slots=True)
class Scan:
    """``value``: what the pickle would give; ``stop``: where it ends; ``persistent``: all in it, in order.

    ``whole`` is False if the pickle has more opcodes or objects than this machine follows: then ``value`` is OTHER,
    and ``persistent`` has those up to there.
    """

    value: object
    stop: int
    persistent: list[Persistent]
    whole: bool


def scan(data: bytes, start: int = 0) -> Scan:
    """Follow the pickle that begins at ``start``. Raises :class:`BadPickleError`.

    >>> import pickle
    >>> found = scan(pickle.dumps({"a": (1, [2])}))
    >>> found.value, found.stop, found.whole
    ([('a', (1, [2]))], 28, True)
    >>> scan(pickle.dumps(len, 2)).value
    Global(module='__builtin__', name='len')
    """
    machine = _Machine(data, start)
    try:
        return machine.run()
    except IndexError:
        if machine.at >= len(data):
            raise CutPickleError(f"the pickle is cut short at byte {len(data)}") from None
        raise BadPickleError(f"the opcode before byte {machine.at} finds nothing on the stack") from None


class _Machine:
    """``marks``: depths of the stack at which marks lie."""

    def __init__(self, data: bytes, start: int) -> None:
        self.data, self.at = data, start
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}
        self.persistent: list[Persistent] = []
        self.left = OBJECTS_MAX

    def run(self) -> Scan:
        """Until STOP. Raises IndexError where data or stack end before."""
        data, ops = self.data, _OPCODES
        for _ in range(OPCODES_MAX):
            opcode = data[self.at]
            if opcode == _STOP:
                value = self.pop()
                if self.stack:
                    raise BadPickleError(f"the pickle leaves {len(self.stack)} values on the stack")
                return Scan(value, self.at + 1, self.persistent, True)
            run = ops.get(opcode)
            if run is None:
                raise BadPickleError(f"opcode {opcode:#04x} at byte {self.at}")
            self.at += 1
            run(self)
            if self.left < 0:
                break
        return Scan(OTHER, self.at, self.persistent, False)

    # What the opcodes do with the data behind them.

    def take(self, size: int) -> bytes:
        """The next bytes."""
        end = self.at + size
        if end > len(self.data):
            self.at = len(self.data)
            raise IndexError
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def number(self, size: int) -> int:
        """The next little-endian number, unsigned."""
        return int.from_bytes(self.take(size), "little")

    def line(self) -> str:
        """Up to the next line feed."""
        end = self.data.find(b"\n", self.at, self.at + _STRING_MAX)
        if end < 0:
            if len(self.data) - self.at < _STRING_MAX:
                self.at = len(self.data)
                raise IndexError
            raise BadPickleError(f"a name at byte {self.at} that does not end")
        return text(self.take(end + 1 - self.at)[:-1])

    def skip(self, size: int) -> None:
        """Pass by bytes that nobody asks about."""
        if size > len(self.data) - self.at:
            self.at = len(self.data)
            raise IndexError
        self.at += size
        self.stack.append(OTHER)

    def string(self, size: int) -> None:
        """The next bytes as text."""
        if size > _STRING_MAX:
            self.skip(size)
        else:
            self.stack.append(text(self.take(size)))

    def long(self, size: int) -> None:
        """The next bytes as a signed number."""
        if size > 8:
            self.skip(size)
        else:
            self.stack.append(int.from_bytes(self.take(size), "little", signed=True))

    # And with the stack.

    def pop(self) -> object:
        """The topmost value, of those above the topmost mark."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise BadPickleError(f"the opcode before byte {self.at} takes a mark for a value")
        return self.stack.pop()

    def marked(self) -> list[object]:
        """The values above the topmost mark, and the mark, taken from the stack."""
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def new(self, value: object) -> None:
        """An object."""
        self.left -= 1
        self.stack.append(value)

    def last(self, count: int) -> None:
        """A tuple of the topmost values."""
        values = [self.pop() for _ in range(count)]
        self.new(tuple(reversed(values)))

    def add(self, values: list[object]) -> None:
        """To the list that is topmost."""
        into = self.top()
        if isinstance(into, Made):
            if into.items is None:
                into.items = []
            into = into.items
        if isinstance(into, list) and not isinstance(into, Pairs):
            into.extend(values)

    def put(self, values: list[object]) -> None:
        """Keys and values, in turn, into the dictionary that is topmost."""
        into = self.top()
        if len(values) % 2:
            raise BadPickleError(f"a key without a value before byte {self.at}")
        if isinstance(into, Made):
            if into.items is None:
                into.items = Pairs()
            into = into.items
        if isinstance(into, Pairs):
            self.left -= len(values) // 2
            into.extend(zip(values[::2], values[1::2], strict=True))

    def top(self) -> object:
        """The topmost value, which stays."""
        value = self.pop()
        self.stack.append(value)
        return value

    def remember(self, index: int) -> None:
        """The topmost value, under a number."""
        self.memo[index] = self.top()

    def recall(self, index: int) -> None:
        """What has that number."""
        if index not in self.memo:
            raise BadPickleError(f"nothing in the memo under {index} before byte {self.at}")
        self.stack.append(self.memo[index])

    def call(self) -> None:
        """REDUCE and NEWOBJ: function and arguments are topmost."""
        arguments = self.pop()
        self.new(Made(self.pop(), arguments))

    def call_with_names(self) -> None:
        """NEWOBJ_EX."""
        names, arguments = self.pop(), self.pop()
        self.new(Made(self.pop(), arguments, state=names))

    def build(self) -> None:
        """BUILD: the state is topmost, the object below."""
        state, into = self.pop(), self.top()
        if isinstance(into, Made):
            into.state = state

    def named(self) -> None:
        """STACK_GLOBAL."""
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise BadPickleError(f"a global before byte {self.at} whose names are no strings")
        self.new(Global(module, name))

    def persist(self) -> None:
        """BINPERSID."""
        found = Persistent(self.pop())
        self.persistent.append(found)
        self.new(found)

    def protocol(self) -> None:
        """PROTO."""
        if not 2 <= (found := self.number(1)) <= 5:
            raise BadPickleError(f"pickle protocol {found}")


def text(raw: bytes) -> str:
    """Strings, as pickle reads them (with halves of surrogate pairs). Raises BadPickleError."""
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise BadPickleError("a string that is not valid UTF-8") from None


def _dictionary(m: _Machine) -> None:
    values = m.marked()
    m.new(Pairs())
    m.put(values)


def _object(m: _Machine) -> None:
    values = m.marked()
    m.new(Made(values[0] if values else OTHER, tuple(values[1:])))


_STOP: Final = ord(".")
_OPCODES: Final[dict[int, Callable[[_Machine], object]]] = {
    # around the values
    0x80: _Machine.protocol,
    0x95: lambda m: m.number(8),  # FRAME
    ord("("): lambda m: m.marks.append(len(m.stack)),
    ord("0"): lambda m: m.pop() if len(m.stack) > (m.marks[-1] if m.marks else 0) else m.marks.pop(),
    ord("1"): _Machine.marked,
    ord("2"): lambda m: m.stack.append(m.top()),
    # the memo
    ord("q"): lambda m: m.remember(m.number(1)),
    ord("r"): lambda m: m.remember(m.number(4)),
    0x94: lambda m: m.remember(len(m.memo)),
    ord("h"): lambda m: m.recall(m.number(1)),
    ord("j"): lambda m: m.recall(m.number(4)),
    # plain values
    ord("N"): lambda m: m.stack.append(None),
    0x88: lambda m: m.stack.append(True),
    0x89: lambda m: m.stack.append(False),
    ord("K"): lambda m: m.stack.append(m.number(1)),
    ord("M"): lambda m: m.stack.append(m.number(2)),
    ord("J"): lambda m: m.long(4),
    0x8A: lambda m: m.long(m.number(1)),
    0x8B: lambda m: m.long(m.number(4)),
    ord("G"): lambda m: m.skip(8),
    # strings: of Python 2, of Python 3, bytes, bytearray
    ord("U"): lambda m: m.string(m.number(1)),
    ord("T"): lambda m: m.string(m.number(4)),
    0x8C: lambda m: m.string(m.number(1)),
    ord("X"): lambda m: m.string(m.number(4)),
    0x8D: lambda m: m.string(m.number(8)),
    ord("C"): lambda m: m.skip(m.number(1)),
    ord("B"): lambda m: m.skip(m.number(4)),
    0x8E: lambda m: m.skip(m.number(8)),
    0x96: lambda m: m.skip(m.number(8)),
    # containers
    ord(")"): lambda m: m.stack.append(()),
    0x85: lambda m: m.last(1),
    0x86: lambda m: m.last(2),
    0x87: lambda m: m.last(3),
    ord("t"): lambda m: m.new(tuple(m.marked())),
    ord("]"): lambda m: m.new([]),
    ord("l"): lambda m: m.new(m.marked()),
    ord("a"): lambda m: m.add([m.pop()]),
    ord("e"): lambda m: m.add(m.marked()),
    ord("}"): lambda m: m.new(Pairs()),
    ord("d"): _dictionary,
    ord("s"): lambda m: m.put([m.pop(), m.pop()][::-1]),
    ord("u"): lambda m: m.put(m.marked()),
    0x8F: lambda m: m.new([]),  # EMPTY_SET
    0x90: lambda m: m.add(m.marked()),
    0x91: lambda m: m.new(m.marked()),  # FROZENSET
    # objects
    ord("c"): lambda m: m.new(Global(m.line(), m.line())),
    0x93: _Machine.named,
    ord("Q"): _Machine.persist,
    ord("R"): _Machine.call,
    0x81: _Machine.call,
    0x92: _Machine.call_with_names,
    ord("b"): _Machine.build,
    ord("o"): _object,
}
