"""Oracles: every kernel again, in plain Python integers and lists, written from format_spec, not from kernels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def varint(value: int) -> bytes:
    """Seven bits a byte, low bits first, the high bit set on all but the last."""
    return bytes((value,)) if value < 128 else bytes((value & 127 | 128,)) + varint(value >> 7)


def starts_of(freq: Sequence[int]) -> list[int]:
    """First slot of each symbol."""
    out, total = [], 0
    for f in freq:
        out.append(total)
        total += f
    return out


def tiles_of(n: int, tile: int) -> list[range]:
    return [range(a, min(a + tile, n)) for a in range(0, n, tile)]


def rans_encode(
    data: Sequence[int], tile: int, choice: Sequence[int], freqs: Sequence[Sequence[int]], lanes: int,
    each: bool = False, carried: bytes = b"",
) -> tuple[list[int], list[int]]:  # fmt: skip
    """States for the decoder to start with, and words in the order it reads them.

    ``choice``: the table of each tile, or of ``each`` element. ``carried``: 2 bytes for each state, or none.
    """
    tiles = tiles_of(len(data), tile)
    of = choice if each else [c for r, c in zip(tiles, choice, strict=True) for _ in r]
    order = [(i, j % lanes, of[i]) for r in tiles for j, i in enumerate(r)]
    starts = [starts_of(f) for f in freqs]
    states, words = [65536 + int.from_bytes(carried[2 * k : 2 * k + 2], "little") for k in range(lanes)], []
    for i, lane, c in reversed(order):
        s, x = data[i], states[lane]
        f = freqs[c][s]
        if x >= f << 20:
            words.append(x % 65536)
            x //= 65536
        states[lane] = (x // f) * 4096 + x % f + starts[c][s]
    return states, words[::-1]


def write_states(states: Iterable[int]) -> bytes:
    """States as stage 2 spells them: 4 bits for the length of each above 17, and the bits below its leading one."""
    bits = ""
    for x in map(int, states):
        low = format(x, "b")[1:]
        bits += format(len(low) - 16, "04b")[::-1] + low[::-1]
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[k : k + 8][::-1], 2) for k in range(0, len(bits), 8))


def write_escapes(places: Sequence[int], values: Sequence[int]) -> bytes:
    """The escapes of a chunk; places that do not ascend are written as gaps of 64 bits."""
    gaps = [(int(b) - int(a) - 1) % (1 << 64) for a, b in zip([-1, *places], places, strict=False)]
    return b"".join(map(varint, [len(places), *gaps, *map(int, values)]))


def rans_decode(
    n: int,
    tile: int,
    choice: Sequence[int],
    freqs: Sequence[Sequence[int]],
    states: Sequence[int],
    words: Sequence[int],
) -> list[int]:
    owner = [[s for s, f in enumerate(freq) for _ in range(f)] for freq in freqs]
    starts = [starts_of(f) for f in freqs]
    xs, at, out, lanes = list(states), 0, [], len(states)
    for r, c in zip(tiles_of(n, tile), choice, strict=True):
        for j in range(len(r)):
            x = xs[j % lanes]
            slot = x % 4096
            s = owner[c][slot]
            out.append(s)
            x = freqs[c][s] * (x // 4096) + slot - starts[c][s]
            if x < 65536:
                x = x * 65536 + words[at]
                at += 1
            xs[j % lanes] = x
    assert at == len(words) and set(xs) == {65536}
    return out


def huffman_codes(lengths: Sequence[int]) -> dict[int, str]:
    """Canonical codes as strings of bits, first bit first."""
    codes, code, last = {}, 0, 0
    for length, s in sorted((n, s) for s, n in enumerate(lengths) if n):
        code <<= length - last
        codes[s] = format(code, f"0{length}b")
        code, last = code + 1, length
    return codes


def huffman_encode(
    data: Sequence[int], tile: int, choice: Sequence[int], lengths: Sequence[Sequence[int]]
) -> list[bytes]:
    """The four streams."""
    codes = [huffman_codes(n) for n in lengths]
    tiles = tiles_of(len(data), tile)
    t = len(tiles)
    streams = []
    for j in range(4):
        mine = range(j * t // 4, (j + 1) * t // 4)
        bits = "".join(codes[choice[k]][data[i]] for k in mine for i in tiles[k])
        bits += "0" * (-len(bits) % 8)
        streams.append(bytes(int(bits[a : a + 8][::-1], 2) for a in range(0, len(bits), 8)))
    return streams


def huffman_decode(
    streams: Sequence[bytes], n: int, tile: int, choice: Sequence[int], lengths: Sequence[Sequence[int]]
) -> list[int] | None:
    """The bytes, or None if a stream is too short, or does not end within its last byte, or its padding is not 0."""
    symbols = [{code: s for s, code in huffman_codes(row).items()} for row in lengths]
    tiles, out = tiles_of(n, tile), []
    t = len(tiles)
    for j, stream in enumerate(streams):
        bits = "".join(format(byte, "08b")[::-1] for byte in stream)
        at = 0
        for k in range(j * t // 4, (j + 1) * t // 4):
            for _ in tiles[k]:
                size = 1
                while bits[at : at + size] not in symbols[choice[k]]:
                    size += 1
                    if at + size > len(bits):
                        return None
                out.append(symbols[choice[k]][bits[at : at + size]])
                at += size
        if len(bits) - at >= 8 or "1" in bits[at:]:
            return None
    return out


def pack(values: Sequence[int], width: int) -> bytes:
    """One tile of one plane: element i is in byte i mod q at bit width * (i div q)."""
    q = -(-len(values) * width // 8)
    out = bytearray(q)
    for i, v in enumerate(values):
        out[i % q] |= v << width * (i // q)
    return bytes(out)


def unpack(data: bytes, m: int, width: int) -> list[int]:
    q = -(-m * width // 8)
    assert len(data) == q
    return [data[i % q] >> width * (i // q) & ((1 << width) - 1) for i in range(m)]


def fold(x: int, bits: int, f: int) -> int:
    """Move the sign, the top bit, down to bit f; the bits above f move up by one."""
    sign, low, high = x >> (bits - 1), x & ((1 << f) - 1), (x >> f) & ((1 << (bits - 1 - f)) - 1)
    return high << (f + 1) | sign << f | low


def unfold(y: int, bits: int, f: int) -> int:
    return y & ((1 << f) - 1) | (y >> (f + 1)) << f | (y >> f & 1) << (bits - 1)


class Bits:
    """Bits of bytes, low bit of each first. Raises EOFError at the end."""

    def __init__(self, data: bytes) -> None:
        self.bits = [byte >> k & 1 for byte in data for k in range(8)]
        self.at = 0

    def one(self) -> int:
        if self.at >= len(self.bits):
            raise EOFError
        self.at += 1
        return self.bits[self.at - 1]

    def low_first(self, count: int) -> int:
        return sum(self.one() << k for k in range(count))

    def high_first(self, count: int) -> int:
        return sum(self.one() << k for k in reversed(range(count)))

    def difference(self) -> int:
        """0, +1, -1, +2, ... as ones closed by a zero, at most 24 ones."""
        ones = 0
        while self.one():
            ones += 1
            if ones > 24:
                raise EOFError
        return (ones + 1) // 2 if ones % 2 else -(ones // 2)

    def rest(self) -> bool:
        """Whether a bit is set in the rest of the byte."""
        return any(self.bits[self.at : -(-self.at // 8) * 8])


def bytes_of(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[a : a + 8][::-1], 2) for a in range(0, len(bits), 8))


def _low_first(value: int, count: int) -> str:
    return format(value, f"0{count}b")[::-1]


def _difference(step: int) -> str:
    return "1" * (2 * step - 1 if step > 0 else -2 * step) + "0"


def write_table(freq: Sequence[int], filler: int, precision: int) -> bytes:
    """A frequency table (stages/2_rans.md). The frequencies must be ones that the precision can say."""
    used = [s for s, f in enumerate(freq) if f]
    first, last = used[0], used[-1]
    bits = _low_first(first, 8) + _low_first(last - first, 8) + _low_first(filler - first, 8) + _low_first(precision, 4)
    before = 1
    for s in range(first, last + 1):
        if s != filler:
            b = freq[s].bit_length()
            bits += _difference(b - before) + format(freq[s], "b")[1 : 1 + precision] * (b > 1)
            before = b
    return bytes_of(bits)


def log2_of(x: int, table: Sequence[int]) -> int:
    """log2 of x > 0 with 12 fractional bits, by its 12 leading bits; ``table`` has those of 0..4096."""
    shift = max(0, x.bit_length() - 12)
    return int(table[x >> shift]) + shift * 4096


def entropy(counts: Sequence[int], table: Sequence[int]) -> int:
    """Bits that so many of each symbol take at their own entropy, times 4096."""
    total = sum(counts)
    return sum(c * (log2_of(total, table) - log2_of(c, table)) for c in counts if c)


def fit_table(counts: Sequence[int], scale: int, log2: Sequence[int]) -> tuple[list[int], bytes]:
    """The precision that takes the fewest bits, table and data together: its frequencies and its table."""
    total, filler = sum(counts), counts.index(max(counts))
    best: tuple[int, list[int], bytes] | None = None
    seen = total * scale
    for precision in range(4 if seen > 100_000 else 1, (8 if seen > 10_000 else 5) + 1):
        freq, target = [0] * 256, 4096 + 128
        while freq[filler] < 1:
            target -= 128
            for s, c in enumerate(counts):
                x = max(1, (c * target + total // 2) // total) if c else 0
                cut = max(0, x.bit_length() - 1 - precision)
                freq[s] = (x + (1 << cut >> 1)) >> cut << cut
            freq[filler] = 4096 - sum(freq) + freq[filler]
        raw = write_table(freq, filler, precision)
        bits = scale * sum(c * (12 * 4096 - int(log2[f])) for c, f in zip(counts, freq, strict=True) if c)
        bits += len(raw) * 8 * 4096
        if best is None or bits < best[0]:
            best = (bits, freq, raw)
    assert best is not None
    return best[1], best[2]


def read_table(data: bytes) -> tuple[list[int], int] | None:
    """(frequencies, bytes used) of the table at the front of ``data``; None if it is corrupt."""
    src = Bits(data)
    freq = [0] * 256
    try:
        first, span, filler, precision = (src.low_first(n) for n in (8, 8, 8, 4))
        if span < 1 or first + span > 255 or filler > span:
            return None
        b = 1
        for s in range(first, first + span + 1):
            if s != first + filler:
                b += src.difference()
                if not 0 <= b <= 12:
                    return None
                kept = max(0, min(precision, b - 1))
                freq[s] = ((1 << kept) + src.high_first(kept)) << (b - 1 - kept) if b else 0
    except EOFError:
        return None
    freq[first + filler] = 4096 - sum(freq)
    return (freq, -(-src.at // 8)) if 1 <= freq[first + filler] <= 4095 and not src.rest() else None


def write_column_table(
    freq: Sequence[int], first: int, span: int, filler: int, precision: int, mirrored: bool
) -> bytes:
    """A frequency table of stage 7; ``filler`` as an offset, 0 if it is mirrored."""
    bits = _low_first(first, 8) + _low_first(span, 8) + _low_first(precision, 4) + str(int(mirrored))
    bits += "" if mirrored else _low_first(filler, 8)
    before = 1
    for k in range(span + 1):
        if k != filler:
            f = freq[(first + k) % 256]
            b = f.bit_length()
            bits += _difference(b - before) + format(f, "b")[1 : 1 + precision] * (b > 1)
            before = b
    return bytes_of(bits)


def read_column_table(data: bytes) -> tuple[list[int], int] | None:
    """(frequencies, bytes used) of the table of stage 7 at the front of ``data``; None if it is corrupt."""
    src, freq = Bits(data), [0] * 256
    try:
        first, span, precision, mirrored = (src.low_first(n) for n in (8, 8, 4, 1))
        filler = 0 if mirrored else src.low_first(8)
        if not 1 <= span <= (127 if mirrored else 255) or filler > span:
            return None
        b = 1
        for k in range(span + 1):
            if k != filler:
                b += src.difference()
                if not 0 <= b <= 12:
                    return None
                kept = max(0, min(precision, b - 1))
                f = ((1 << kept) + src.high_first(kept)) << (b - 1 - kept) if b else 0
                freq[(first + k) % 256] = f
                if mirrored:
                    freq[(first - k) % 256] = f
    except EOFError:
        return None
    rest = 4096 - sum(freq)
    freq[(first + filler) % 256] += rest
    return (freq, -(-src.at // 8)) if 1 <= rest <= 4095 and not src.rest() else None


def write_lengths(lengths: Sequence[int]) -> bytes:
    """Code lengths (stages/3_huffman.md)."""
    used = [s for s, n in enumerate(lengths) if n]
    bits = _low_first(used[0], 8) + _low_first(used[-1] - used[0], 8)
    before = 5
    for s in range(used[0], used[-1] + 1):
        bits += _difference(lengths[s] - before)
        before = lengths[s]
    return bytes_of(bits)


def read_lengths(data: bytes) -> tuple[list[int], int] | None:
    """(code lengths, bytes used); None if they are corrupt or not complete."""
    src = Bits(data)
    lengths = [0] * 256
    try:
        first, span = src.low_first(8), src.low_first(8)
        if span < 1 or first + span > 255:
            return None
        n = 5
        for s in range(first, first + span + 1):
            n += src.difference()
            if not 0 <= n <= 11:
                return None
            lengths[s] = n
    except EOFError:
        return None
    return (lengths, -(-src.at // 8)) if sum(2048 >> n for n in lengths if n) == 2048 and not src.rest() else None
