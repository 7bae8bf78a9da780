"""Any bytes as the header of a safetensors file: segments without holes, or refused and compressed as opaque bytes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import numpy as np
from safetensors.numpy import save

import codec
from codec.sources import segments_of
from codec.sources.safetensors import NotSafetensorsError, metadata_of, parse
from tests.fuzz.engine import main


def seeds() -> Iterator[bytes]:
    yield save({"a": np.zeros(3, np.float16), "b": np.ones((2, 2), np.int8)}, {"format": "np"})
    yield save({"": np.zeros(())})
    for text in (
        '{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}',
        "{}",
        '{"__metadata__":{"x":"\\ud83d\\ude00"}}',
    ):
        yield len(text).to_bytes(8, "little") + text.encode() + b"\x12"
    deep = json.dumps({"a": {"dtype": "U8", "shape": [0] * 64, "data_offsets": [0, 0]}, "b": [[[[]]]]})
    yield len(deep).to_bytes(8, "little") + deep.encode()


def mutate(data: bytes, rng: object, inner: object) -> bytes:
    """The length kept right."""
    length = int.from_bytes(data[:8], "little")
    if length > len(data):
        return inner(data)  # type: ignore[operator]
    text = inner(data[8 : 8 + length])  # type: ignore[operator]
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def check(data: bytes) -> None:
    kind, segments = segments_of(lambda n: data[:n], len(data))
    at = 0
    for segment in segments:
        assert segment.start == at <= segment.stop
        at = segment.stop
    assert at == len(data) and kind in ("safetensors", "opaque")
    for size in (len(data), None):
        try:
            parse(lambda n: data[:n], size)
            metadata_of(data)
        except NotSafetensorsError as error:
            assert "\n" not in str(error) and len(str(error)) < 2000  # noqa: PT017
    assert codec.decompress(codec.compress(data, level="fast", threads=1), threads=1) == data


if __name__ == "__main__":
    sys.exit(main("header"))
