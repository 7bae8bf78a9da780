"""Original bytes for test vectors, made of integers alone: the same on every machine and with every numpy."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

#: (exponent bits, mantissa bits) of the element types that are floats of whole bytes.
FLOATS = {
    "F16": (5, 10),
    "BF16": (8, 7),
    "F32": (8, 23),
    "F64": (11, 52),
    "C64": (8, 23),  # two of these an element
    "F8_E4M3": (4, 3),
    "F8_E5M2": (5, 2),
    "F8_E4M3FNUZ": (4, 3),
    "F8_E5M2FNUZ": (5, 2),
}
#: Bits of an element where its name does not say so.
BITS = {"BOOL": 8, "BF16": 16}
UINT = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}


def bits_of(dtype: str) -> int:
    """Bits of one element."""
    return BITS.get(dtype) or int("".join(c for c in dtype.split("_")[0] if c.isdigit()))


def words(count: int, seed: int) -> Words:
    """Random numbers of 64 bits: SplitMix64."""
    z = (np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed << 32)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return z ^ z >> np.uint64(31)


def noise(count: int, seed: int) -> bytes:
    """Random bytes."""
    return words(-(-count // 8), seed).astype("<u8").tobytes()[:count]


def halvings(random: Words, most: int) -> Words:
    """For each number k with probability 2^-(k+1), at most ``most``: its trailing zeros."""
    out = np.zeros(random.size, np.uint64)
    for k in range(1, most + 1):
        out += (random & np.uint64((1 << k) - 1)) == 0
    return out


def rare(count: int, seed: int, one_in: int) -> bytes:
    """Bytes that are 65, but one in so many (a power of two) is 66, and a few of those 67."""
    random = words(count, seed)
    seldom = (random & np.uint64(one_in - 1)) == 0
    return (65 + seldom + (seldom & (random >> np.uint64(40) & np.uint64(7) == 0))).astype(np.uint8).tobytes()


def geometric(count: int, seed: int, most: int = 20) -> bytes:
    """Bytes 0, 1, 2, ..., each half as likely as the one before."""
    return halvings(words(count, seed), most).astype(np.uint8).tobytes()


def floats(dtype: str, count: int, seed: int, row: int = 0) -> bytes:
    """Numbers somewhat like weights: small, of either sign, every binade half as full as the one above it.

    ``row``: so many elements share a scale.
    """
    exponent, mantissa = FLOATS[dtype]
    random, fine = words(count, seed), words(count, seed + 1)
    top = np.uint64((1 << exponent - 1) - (6 if exponent > 5 else 2))
    scale = words(count // row + 1, seed + 2)[np.arange(count) // row] & np.uint64(3) if row else np.uint64(0)
    field = top - scale - halvings(random, min(14, (1 << exponent - 1) - 8) if exponent > 4 else 3)
    x = random >> np.uint64(63) << np.uint64(exponent + mantissa) | field << np.uint64(mantissa)
    x |= fine & np.uint64((1 << mantissa) - 1)
    width = 1 + exponent + mantissa
    return x.astype(UINT[width]).astype(f"<u{width // 8}").tobytes()


def numbers(values: list[int], bits: int) -> bytes:
    """Integers (or the bit patterns of floats), little-endian."""
    return b"".join((v % (1 << bits)).to_bytes(bits // 8, "little") for v in values)


def steps(count: int, seed: int, bits: int, most: int) -> bytes:
    """Integers 0 to ``most`` of so many bits, smaller ones likelier."""
    random = words(count, seed)
    x = random % np.uint64(most + 1)
    x = np.minimum(x, (random >> np.uint64(32)) % np.uint64(most + 1))
    return x.astype(UINT[bits]).astype(f"<u{bits // 8}").tobytes()


def shuffled(data: bytes, width: int, seed: int) -> bytes:
    """The elements of ``width`` bytes in another order."""
    elements = np.frombuffer(data, f"V{width}")
    return elements[np.argsort(words(elements.size, seed), kind="stable")].tobytes()


def patterns(bits: int) -> bytes:
    """Every pattern of so many bits, in order."""
    return np.arange(1 << bits, dtype=f"<u{bits // 8}").tobytes()


Tensors = dict[str, tuple[str, tuple[int, ...], bytes]]


def safetensors(tensors: Tensors, metadata: dict[str, str] | None = None, order: list[str] | None = None) -> bytes:
    """A safetensors file; ``order``: of the names in its header."""
    fields: dict[str, object] = {} if metadata is None else {"__metadata__": metadata}
    at = 0
    for name, (dtype, shape, data) in tensors.items():
        fields[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    if order is not None:
        fields = {name: fields[name] for name in order}
    header = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + b"".join(data for _, _, data in tensors.values())


def sleb128(value: int) -> bytes:
    """A signed number, seven bits a byte, low bits first."""
    out = bytearray()
    while not -64 <= value < 64:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value & 127))
