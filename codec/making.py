"""The record of a made span from what its parts hold (FORMAT.md, section 4a)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from xxhash import xxh3_64_intdigest

from codec.container import records
from codec.container.index import SpanEntry
from codec.dtypes import DType
from codec.encode import EncodedSpan, encode_span
from codec.planner.levels import Level
from codec.stages import layout
from codec.stages.geometry import Bytes
from codec.stages.transforms import Transform
from codec.ways import Part
from codec.wire import varint

#: Codes a span, as encode_span does: the same bytes.
Code = Callable[[Any, DType | None, tuple[int, ...], Level], EncodedSpan]


def made(
    data: Bytes, dtype: DType | None, transform: Transform, parts: list[Part], level: Level, code: Code = encode_span
) -> EncodedSpan:
    """The record of a span that is made of these parts."""
    if [part.data.size for part in parts] != transform.parts(data.size):
        raise AssertionError(f"parts of {[part.data.size for part in parts]} bytes for {transform}")
    head = layout.encode(layout.made(data.size, dtype.code if dtype else 0, transform))
    out, fields = [head], {"headers": 0}
    for part in parts:
        coded = code(part.data, part.dtype, part.shape, level)
        assert not coded.entry.chunks  # PART_BYTES sees to it
        body = coded.stored[records.HEAD_BYTES : -8]
        out += [varint(body.size), body.tobytes()]
        for name, size in coded.fields.items():
            key = part.name if part.name and name in ("symbol", "rest", "bytes") else name
            fields[key] = fields.get(key, 0) + size
    out.append(xxh3_64_intdigest(data.data).to_bytes(8, "little"))
    record = np.frombuffer(records.record(records.SPAN, b"".join(out)), np.uint8)
    fields["headers"] += record.size - sum(fields.values())
    return EncodedSpan(record, SpanEntry(data.size, record.size), fields)
