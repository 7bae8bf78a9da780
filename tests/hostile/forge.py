"""Weft files taken apart and put together again with good checksums, as an attacker would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import save

import codec
from codec.container import index as indexes
from codec.container import records
from codec.container.index import Index, SpanEntry

VECTORS = Path(__file__).resolve().parents[2] / "format_spec" / "vectors"


@dataclass
class Parts:
    """A weft file as its records' kinds and bodies, the last being the index."""

    header: bytes
    records: list[tuple[int, bytes]]

    @classmethod
    def of(cls, blob: bytes) -> Parts:
        """The parts of a file. Raises CodecError or ValueError if its records do not follow one another."""
        at, found = records.HEADER_BYTES, []
        while at < len(blob) - records.TRAILER_BYTES:
            kind, size = records.frame_size(blob[at : at + 5], "f", at)
            found.append((kind, bytes(blob[at + 5 : at + size - 8])))
            at += size
        if at != len(blob) - records.TRAILER_BYTES or not found or found[-1][0] != records.INDEX:
            raise ValueError("records do not end at the trailer")
        return cls(bytes(blob[:16]), found)

    @property
    def index(self) -> Index:
        return indexes.decode(self.records[-1][1], "f")

    def file(self) -> bytes:
        """The file, every checksum right."""
        parts = [sealed(kind, body) for kind, body in self.records]
        at = len(self.header) + sum(map(len, parts[:-1]))
        return b"".join((self.header, *parts, records.trailer(at, len(parts[-1]))))

    def relisted(self) -> bytes:
        """The file, and the lengths of the records in the index right, too."""
        listed, entries = self.index, []
        sizes = iter([len(body) + records.FRAME_BYTES for _, body in self.records[:-1]])
        for span in listed.spans:
            entries.append(SpanEntry(span.original, next(sizes), [next(sizes) for _ in span.chunks]))
        listed.spans = entries
        return Parts(self.header, [*self.records[:-1], (records.INDEX, indexes.encode(listed))]).file()

    def with_body(self, number: int, body: bytes) -> Parts:
        mine = list(self.records)
        mine[number] = (mine[number][0], body)
        return Parts(self.header, mine)


def sealed(kind: int, body: bytes) -> bytes:
    """A record of any kind and size, with a good check."""
    from xxhash import xxh3_64_intdigest

    front = bytes((kind & 255,)) + len(body).to_bytes(4, "little") + body
    return front + xxh3_64_intdigest(front).to_bytes(8, "little")


def file_of_index(index: Index | bytes, *spans: bytes) -> bytes:
    """A file of these records, and this index (or the body of its record)."""
    body = index if isinstance(index, bytes) else indexes.encode(index)
    at, last = 16 + sum(map(len, spans)), sealed(records.INDEX, body)
    return b"".join((records.header(), *spans, last, records.trailer(at, len(last))))


def flipped(data: bytes, bit: int) -> bytes:
    out = bytearray(data)
    out[bit >> 3] ^= 1 << (bit & 7)
    return bytes(out)


def bf16(seed: int, *shape: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal(shape, np.float32) * np.float32(0.02)
    return (x.view(np.uint32) >> 16).astype(np.uint16)


@cache
def small_files() -> dict[str, bytes]:
    """Files of a few hundred bytes, each with something of its own."""
    mixed = (bf16(3, 4, 40).astype(np.uint32) << 16).reshape(4, 40)
    mixed[1::2] |= np.uint32(0x1234)
    odd = bf16(4, 60)
    odd[7] = 0x7F81
    tensors = {
        "a": bf16(1, 3, 8).view(np.float16),
        "b": np.arange(6, dtype=np.int8),
        "none": np.zeros((0, 2), np.float32),
        "c": np.ones(3, np.float32),
    }
    two_chunks = np.full(1 << 20, 7, np.uint8)
    files = {
        "empty": codec.compress(b""),
        "text": codec.compress(b"again and again " * 9),
        "bf16": codec.compress(bf16(1, 64), "bfloat16", level="fast"),
        "bf16, rANS": codec.compress(bf16(2, 90), "bfloat16"),
        "fp32, some rows bf16": codec.compress(mixed, "float32"),
        "escape": codec.compress(odd, "bfloat16", level="fast"),
        "tail": codec.compress(bf16(5, 30).tobytes() + b"!", "bfloat16"),
        "two chunks": codec.compress(two_chunks),
    }
    import io

    out = io.BytesIO()
    codec.compress_file(io.BytesIO(save(tensors, {"format": "np"})), out)
    return files | {"safetensors": out.getvalue()}


def vectors(most: int) -> Iterator[tuple[str, bytes]]:
    """Valid vectors of fewer than ``most`` bytes."""
    for path in sorted((VECTORS / "valid").rglob("*.weft")):
        if path.stat().st_size < most:
            yield path.stem, path.read_bytes()
