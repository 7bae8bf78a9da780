"""Two decoders, one written from the document and one for speed, say the same of every file, sound or damaged."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import zstandard
from safetensors.numpy import save
from xxhash import xxh3_64_intdigest

import codec
from codec.container import index as indexes
from codec.container import records
from codec.streaming import decode_stream
from codec.wire import text, varint

SPEC = Path(__file__).resolve().parents[1] / "format_spec"
PATH = SPEC / "reference_decoder.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_decoder", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


reference = load()

CLASSES = {
    reference.NotWeft: codec.NotWeftError,
    reference.Truncated: codec.TruncatedFileError,
    reference.Unsupported: codec.UnsupportedVersionError,
    reference.Corrupt: codec.CorruptFileError,
    reference.LimitExceeded: codec.LimitExceededError,
}
CORRUPT, UNSUPPORTED = codec.CorruptFileError, codec.UnsupportedVersionError


def stream(blob: bytes) -> bytes:
    out = io.BytesIO()
    decode_stream(io.BytesIO(blob).read, out.write, "f")
    return out.getvalue()


def outcome(decode: Callable[[bytes], bytes], blob: bytes) -> tuple[Any, str]:
    """The original, or the class of error in terms of codec; and what the error says."""
    try:
        return decode(blob), ""
    except reference.FormatError as error:
        return CLASSES[type(error)], str(error)
    except codec.CodecError as error:
        return type(error), str(error)


def whole_file(blob: bytes) -> bytes:
    """By the index, and the SHA-256 compared, as who reads only parts does not."""
    original = codec.decompress(blob)
    codec.verify_file(io.BytesIO(blob))
    return original


ROUTES = (("front to back", reference.decode, stream), ("by the index", reference.decode_by_index, whole_file))


def agreed(blob: bytes, what: object = "") -> list[Any]:
    """What both decoders make of a file, front to back and by its index."""
    found = []
    for route, slow, quick in ROUTES:
        (expected, why), (got, other) = outcome(slow, blob), outcome(quick, blob)
        assert got == expected, f"{what} {route}: {why!r}, but codec: {other!r}"
        found.append(expected)
    return found


def bodies(blob: bytes) -> Iterator[tuple[int, int, int]]:
    """(kind, offset, bytes) of each record."""
    at = 16
    while at < len(blob) - 32:
        size = 13 + int.from_bytes(blob[at + 1 : at + 5], "little")
        yield blob[at], at, size
        at += size


def resealed(blob: bytes, at: int, size: int, body: bytes) -> bytes:
    return blob[:at] + records.record(blob[at], body) + blob[at + size :]


# ---- Sound files ------------------------------------------------------------------------------------------------


def normal(rng: np.random.Generator, n: int) -> np.ndarray:
    return (rng.standard_normal(n) * 0.02).astype(np.float32)


def bf16(x: np.ndarray) -> np.ndarray:
    return (x.view(np.uint32) >> 16).astype(np.uint16)


def originals() -> dict[str, tuple[str | None, bytes]]:
    rng = np.random.default_rng(7)
    x = normal(rng, 5003)
    odd = bf16(x)
    odd[::97], odd[5], odd[-1] = 0x7F81, 0xFFFF, 0x8000  # NaN payloads among them
    mixed = normal(rng, 4800).reshape(40, 120).view(np.uint32)
    mixed[::3] &= 0xFFFFE000
    return {
        "empty": (None, b""),
        "one byte": (None, b"x"),
        "three bytes": ("bfloat16", b"abc"),
        "bf16": ("bfloat16", bf16(x).tobytes()),
        "bf16, strange": ("bfloat16", odd.tobytes() + b"?"),
        "f16": ("float16", x.astype(np.float16).tobytes()),
        "f32": ("float32", x.tobytes() + b"odd"),
        "f32 that holds f16": ("float32", mixed.tobytes()),
        "f64": ("float64", x[:3001].astype(np.float64).tobytes()),
        "f64 that are": ("float64", rng.standard_normal(2000).tobytes()),
        "f8": ("float8_e4m3fn", (bf16(x) >> 8).astype(np.uint8).tobytes()),
        "u8": ("uint8", rng.poisson(9, 3000).astype(np.uint8).tobytes()),
        "i32": ("int32", np.cumsum(rng.integers(-3, 9, 3000)).astype(np.int32).tobytes()),
        "i64": ("int64", rng.integers(0, 50_000, 1500).astype(np.int64).tobytes()),
        "packed": ("F4", rng.bytes(777)),
        "constant": ("float32", bytes(40_000)),
        "constant but tail": ("float64", b"\x07" * 8003),
        "text": (None, b"again and again, " * 300),
        "noise": (None, rng.bytes(5000)),
        "60,001 of bf16": ("bfloat16", bf16(normal(rng, 60_001)).tobytes()),  # lanes: 16; tiles with a choice of tables
    }


@cache
def files() -> dict[str, tuple[bytes, bytes]]:
    """(blob, original) by name."""
    made = {}
    for name, (dtype, original) in originals().items():
        for level in ("fast", "default", "max") if len(original) < 100_000 else ("default",):
            shape = (40, 120) if name == "f32 that holds f16" else None  # drops go by rows
            made[f"{name}, {level}"] = codec.compress(original, dtype, shape, level), original
    return made


@pytest.mark.parametrize("name", originals())
def test_same_bytes(name: str) -> None:
    found = [(key, *value) for key, value in files().items() if key.startswith(name + ", ")]
    assert found
    for key, blob, original in found:
        assert agreed(blob, key) == [original] * 2


def test_all_stages_and_features_are_met() -> None:
    """The examples above would say little if they used little of the format."""
    flags, stages = 0, set()
    for blob, _ in files().values():
        for kind, at, _ in bodies(blob):
            if kind == reference.SPAN:
                body = reference.Cursor(blob[at + 5 :])
                body.varint()
                flags |= body.integer(2) >> 8
                body.at = 0
                stages |= {plane.stage for plane in reference.read_span(body).planes}
    assert flags & 0b1111100 == 0b1111100  # fold, window, constant, drops, escapes
    assert stages == {0, 2, 3}


def test_several_chunks() -> None:
    original = (0x3F00 + np.arange(600_000) // 300 % 977).astype(np.uint16)  # more values than a palette is tried for
    original[500_000:] = 1
    blob = codec.compress(original.tobytes(), dtype="bfloat16", level="fast")
    assert [kind for kind, _, _ in bodies(blob)][:3] == [1, 2, 2]
    assert agreed(blob) == [original.tobytes()] * 2
    # Chunks that changed places.
    (_, a, m), (_, b, n) = [r for r in bodies(blob) if r[0] == 2][:2]
    assert agreed(blob[:a] + blob[b : b + n] + blob[a : a + m] + blob[b + n :])[0] is CORRUPT


@cache
def container() -> tuple[bytes, bytes]:
    """(weft file, safetensors file)."""
    rng = np.random.default_rng(3)
    x = normal(rng, 700)
    tensors = {"a": x.reshape(7, 100), "b.c": x.astype(np.float16), "none": x[:0].reshape(0, 4), "i": np.arange(9)}
    original = save(tensors, {"format": "np"})
    out = io.BytesIO()
    codec.compress_file(io.BytesIO(original), out)
    return out.getvalue(), original


def test_file_with_tensors() -> None:
    blob, original = container()
    assert agreed(blob) == [original] * 2
    held = codec.inspect_file(io.BytesIO(blob)).tensors
    assert len(held) == 4
    assert reference.tensors(blob) == [(t.name, t.dtype, t.shape, t.start, t.start + t.original_bytes) for t in held]
    number = codec.compress(b"abcd", "float32", ())
    assert reference.tensors(number) == [("data", "F32", (), 0, 4)] and agreed(number) == [b"abcd"] * 2


def test_sha256_is_compared() -> None:
    blob, original = container()
    digest = hashlib.sha256(original).digest()
    *_, (_, at, size) = bodies(blob)
    body = indexes.decode(blob[at + 5 : at + size - 8], "f")
    assert body.sha256 == digest
    body.sha256 = digest[::-1]
    last = records.record(3, indexes.encode(body))
    forged = blob[:at] + last + records.trailer(at, len(last))
    assert agreed(forged) == [CORRUPT] * 2


def test_command_line(tmp_path: Path) -> None:
    blob, original = files()["bf16, fast"]
    (tmp_path / "a.weft").write_bytes(blob)
    (tmp_path / "b.weft").write_bytes(blob[:-1])
    run = [sys.executable, str(PATH)]
    subprocess.run([*run, tmp_path / "a.weft", tmp_path / "a"], check=True)
    assert (tmp_path / "a").read_bytes() == original
    assert subprocess.run([*run, tmp_path / "a.weft"], check=True, capture_output=True).stdout == original
    ran = subprocess.run([*run, tmp_path / "b.weft", tmp_path / "b"], capture_output=True, text=True)
    assert ran.returncode == 1 and not (tmp_path / "b").exists()
    assert "Truncated" in ran.stderr and ran.stderr.count("\n") == 1


def test_example_in_the_document() -> None:
    """The table of FORMAT.md, section 13, is a file, and decodes to the bytes that the document states."""
    section = (SPEC / "FORMAT.md").read_text(encoding="utf-8").partition("\n## 13. A worked example\n")[2]
    blob = b""
    for offset, raw in re.findall(r"^\| (\d+) \| `([0-9a-f ]+)` \|", section, re.M):
        assert int(offset) == len(blob)
        blob += bytes.fromhex(raw)
    original = bytes.fromhex(section.split("```")[1])
    assert f"{len(original)} bytes:" in section and f"{len(blob)} bytes." in section
    assert agreed(blob) == [original] * 2
    assert reference.tensors(blob) == [("data", "BF16", (16,), 0, 32)]
    numbers = [0.5, -0.25, 0.125, -1, 2, 1.5, 0.75, 1] * 2
    assert bf16(np.float32(numbers)).tobytes() == original


# ---- Damage -----------------------------------------------------------------------------------------------------


@cache
def victims() -> list[tuple[str, bytes, bytes]]:
    """(name, blob, original): small files, for each is decoded often."""
    made = [("container", *container()), ("drops", *files()["f32 that holds f16, default"])]
    for name, size, levels in (
        ("bf16", 1200, ("fast", "max")),
        ("bf16, strange", 1201, ("default",)),
        ("f64", 803, ("fast",)),
        ("packed", 300, ("fast",)),
        ("text", 900, ("default",)),
    ):
        dtype, original = originals()[name]
        for level in levels:
            made.append((f"{name}, {level}", codec.compress(original[:size], dtype, level=level), original[:size]))
    return made


def test_cut() -> None:
    rng = np.random.default_rng(11)
    for name, blob, _ in victims():
        for end in [*range(36), *range(len(blob) - 36, len(blob)), *rng.integers(36, len(blob), 12)]:
            expected = codec.NotWeftError if end == 0 else codec.TruncatedFileError
            assert agreed(blob[:end], (name, "cut", end)) == [expected] * 2


def test_more_behind_the_end() -> None:
    for name, blob, _ in victims():
        for more in (b"\0", bytes(32), blob):
            agreed(blob + more, (name, more[:9]))


def test_flipped_bits() -> None:
    rng = np.random.default_rng(12)
    for name, blob, _ in victims():
        damaged = bytearray(blob)
        for bit in [
            *range(8 * 21),
            *rng.integers(0, 8 * len(blob), 40),
            *rng.integers(8 * len(blob) - 256, 8 * len(blob), 20),
        ]:
            damaged[bit >> 3] ^= 1 << (bit & 7)
            assert bytes not in map(type, agreed(bytes(damaged), (name, "bit", bit)))
            damaged[bit >> 3] ^= 1 << (bit & 7)


def test_flipped_bits_under_good_checksums() -> None:
    """An attacker computes checksums, too: damage reaches the fields behind them."""
    rng = np.random.default_rng(13)
    for name, blob, original in victims():
        for kind, at, size in bodies(blob):
            body = bytearray(blob[at + 5 : at + size - 8])
            few = 50 if len(blob) < 5000 else 12
            for bit in [*rng.integers(0, min(8 * 40, 8 * len(body)), few), *rng.integers(0, 8 * len(body), few)]:
                body[bit >> 3] ^= 1 << (bit & 7)
                damaged = resealed(blob, at, size, bytes(body))
                for found in agreed(damaged, (name, kind, "bit", bit)):
                    assert found == original or isinstance(found, type)
                body[bit >> 3] ^= 1 << (bit & 7)


def test_bytes_replaced_under_good_checksums() -> None:
    """Several faults at once: which of them is named may differ, not whether there is one."""
    rng = np.random.default_rng(14)
    for name, blob, original in victims():
        held = list(bodies(blob))
        for turn in range(40 if len(blob) < 5000 else 12):
            _, at, size = held[rng.integers(0, len(held))]
            body = bytearray(blob[at + 5 : at + size - 8])
            start = int(rng.integers(0, min(80, len(body)) if turn % 2 else len(body)))
            new = rng.bytes(3)[: len(body) - start]
            body[start : start + len(new)] = new
            damaged = resealed(blob, at, size, bytes(body))
            for route, slow, quick in ROUTES:
                (found, why), (got, other) = outcome(slow, damaged), outcome(quick, damaged)
                assert all(x == original or isinstance(x, type) for x in (found, got))
                assert (found == original) == (got == original), (name, route, at, new, why, other)


def test_rubbish() -> None:
    rng = np.random.default_rng(15)
    head, tail = records.header(), records.trailer(16, 30)
    for size in range(90):
        noise = rng.bytes(size)
        for blob in (noise, head + noise, head + noise + tail, head + records.record(1 + size % 3, noise) + tail):
            for decode in (*ROUTES[0][1:], *ROUTES[1][1:]):
                assert type(outcome(decode, blob)[0]) is type  # which of many faults is named may differ


# ---- Files made by hand, each with one thing that the document forbids, or only just allows ----------------------


def hash64(data: bytes) -> bytes:
    return xxh3_64_intdigest(data).to_bytes(8, "little")


def whole(spans: list[tuple[int, list[bytes]]], index: bytes | None = None, encoding: bytes | None = None) -> bytes:
    """A file of spans: original bytes, and bodies of the span record and its chunk records."""
    out = records.header()
    listed = varint(sum(length for length, _ in spans)) + b"\0" + text("opaque") + text("fast") + varint(len(spans))
    for length, held in spans:
        made = [records.record(1 if k == 0 else 2, body) for k, body in enumerate(held)]
        out += b"".join(made)
        listed += varint(length) + varint(len(made[0])) + varint(len(made) - 1)
        listed += b"".join(varint(len(record)) for record in made[1:])
    proper = listed + b"\0" if index is None else listed + index
    last = records.record(3, b"\0" + varint(len(proper)) + proper if encoding is None else encoding)
    return out + last + records.trailer(len(out), len(last))


def one(original: bytes, layout: str, body: str, tail: bytes = b"") -> bytes:
    """A file of one span in one chunk. ``layout`` and ``body`` (behind the chunk's hash) are hex."""
    head = varint(len(original)) + b"\0" + bytes.fromhex(layout)
    return whole([(len(original), [head + hash64(original) + bytes.fromhex(body) + tail])])


def zstd(data: bytes, **options: Any) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(data)


def as_stage(frame: bytes) -> str:
    return (b"\x04" + varint(len(frame)) + frame).hex()


SKIPPABLE = bytes.fromhex("50 2a 4d 18 03 00 00 00 00 00 00")
TEXT = bytes(range(48, 58)) * 3
# layout, [fold], [window], [constant], tile, chunk, planes, then place and tables of each plane
BYTES = "00 08 08 01 c0 00"  # 8-bit elements in one plane, chunks of 8
NIBBLES = "00 08 08 02 80 00 84 00"  # 8-bit elements in two planes of 4 bits
PAIRS = "01 08 08 02 c0 00 c8 00"  # 16-bit elements in two planes
ESCAPED = "41 08 08 02 c0 00 c8 00"
DROPS = "21 08 08 02 c0 00 c8 00"
LONG = "00 1e 1e 01 c0 00"
RANS_TABLE = "61 01 00 0b"  # a and b, each 2048: b is the rest, a is 12 bits long, 0 more given


ESCAPES = "{} {} {}"

CASES: dict[str, tuple[bytes, Any]] = {
    "stored": (one(b"abcdefgh", BYTES, "00 6162636465666768"), b"abcdefgh"),
    "constant": (one(b"aaaaaaaa", BYTES, "01 61"), b"aaaaaaaa"),
    "a byte missing": (one(b"abcdefgh", BYTES, "00 61626364656667"), CORRUPT),
    "a byte more": (one(b"abcdefgh", BYTES, "00 6162636465666768 00"), CORRUPT),
    "another hash": (one(b"abcdefgh", BYTES, "00 6162636465666767"), CORRUPT),
    "stage 5": (one(b"aaaaaaaa", BYTES, "05 61"), UNSUPPORTED),
    "rANS without tables": (one(b"aaaaaaaa", BYTES, "02 61"), CORRUPT),
    "Huffman without tables": (one(b"aaaaaaaa", BYTES, "03 61"), CORRUPT),
    "tables of stage 1": (one(b"aaaaaaaa", "00 08 08 01 c0 21 00", "01 61"), UNSUPPORTED),
    "tables of stage 0": (one(b"aaaaaaaa", "00 08 08 01 c0 01 00", "01 61"), UNSUPPORTED),
    "no tables of stage 2": (one(b"aaaaaaaa", "00 08 08 01 c0 40", "01 61"), CORRUPT),
    "17 tables": (one(b"aaaaaaaa", "00 08 08 01 c0 51 00", "01 61"), CORRUPT),
    "transform 0": (one(b"aaaaaaaa", "80 08 08 01 c0 00", "01 61"), UNSUPPORTED),
    "tile 0": (one(b"aaaaaaaa", "00 00 08 01 c0 00", "01 61"), CORRUPT),
    "tile 7 of 8": (one(b"aaaaaaaa", "00 07 07 01 c0 00", "01 61"), CORRUPT),
    "tile 7 of 7": (one(b"aaaaaaa", "00 07 07 01 c0 00", "01 61"), b"aaaaaaa"),
    "tile larger than the span": (one(b"aaa", "00 08 10 01 c0 00", "01 61"), b"aaa"),
    "tile 16,384": (one(b"aaaaaaaa", "00 808001 808001 01 c0 00", "01 61"), b"aaaaaaaa"),
    "tile 16,385": (one(b"aaaaaaaa", "00 818001 818001 01 c0 00", "01 61"), CORRUPT),
    "chunk 0": (one(b"aaaaaaaa", "00 08 00 01 c0 00", "01 61"), CORRUPT),
    "chunk of no whole tiles": (one(b"aaaaaaaa", "00 08 0c 01 c0 00", "01 61"), CORRUPT),
    "chunk of 524,288 bytes": (one(b"aaaaaaaa", "00 08 808020 01 c0 00", "01 61"), b"aaaaaaaa"),
    "chunk of more": (one(b"aaaaaaaa", "00 08 888020 01 c0 00", "01 61"), CORRUPT),
    "no planes": (one(bytes(8), "00 08 08 00", ""), bytes(8)),
    "no planes, a constant": (one(b"ab" * 4, "11 6162 08 08 00", ""), b"ab" * 4),
    "64 planes": (one(b"\x81" * 16, "03 02 02 40" + "".join(f"{k:02x} 00" for k in range(64)),
                      "01 03 01 00 01 00 01 00 01 00 01 00 01 00 01 03" * 8), b"\x81" * 16),
    "65 planes": (one(b"\x81" * 16, "03 02 02 41" + "00 00" * 65, ""), CORRUPT),
    "planes overlap": (one(bytes(8), "00 08 08 02 80 00 83 00", "01 00 01 00"), CORRUPT),
    "planes out of order": (one(bytes(8), "00 08 08 02 84 00 80 00", "01 00 01 00"), CORRUPT),
    "plane beyond the element": (one(bytes(8), "00 08 08 01 85 00", "01 00"), CORRUPT),
    "window": (one(bytes(8), "08 03 08 08 01 c0 00", "01 00"), bytes(8)),
    "window on 4 bits": (one(bytes(8), "08 03 08 08 01 80 00", "01 00"), CORRUPT),
    "window of 65,535, beyond the element": (one(b"\xf0" * 8, "08 ffff03 08 08 01 c4 00", "01 10"), b"\xf0" * 8),
    "window of 65,536": (one(bytes(8), "08 808004 08 08 01 c0 00", "01 00"), CORRUPT),
    "window without planes": (one(bytes(8), "08 03 08 08 00", ""), CORRUPT),
    "escapes without planes": (one(bytes(8), "40 08 08 00", "00"), CORRUPT),
    "fold": (one(b"\x81" * 8, "04 00 08 08 01 c0 00", "01 03"), b"\x81" * 8),
    "fold 8 of 8": (one(b"\x81" * 8, "04 08 08 08 01 c0 00", "01 03"), CORRUPT),
    "element type 23": (whole([(3, [bytes.fromhex("03 17 00 08 08 00") + hash64(bytes(3))])]), UNSUPPORTED),
    "span of no bytes": (whole([(0, [bytes.fromhex("00 00")])]), CORRUPT),
    "tail only": (one(b"a", PAIRS, "01 00 01 00", b"a"), b"a"),
    "tail missing": (one(b"a", PAIRS, "01 00 01 00"), CORRUPT),
    "elements and tail": (one(b"ababa", PAIRS, "01 61 01 62 61"), b"ababa"),
    "escape": (one(b"a\0a\1", ESCAPED, ESCAPES.format("01", "01", "01") + "01 61 01 00"), b"a\0a\1"),
    "escape of 0": (one(b"a\0a\0", ESCAPED, ESCAPES.format("01", "01", "00") + "01 61 01 00"), CORRUPT),
    "escape outside": (one(b"a\0a\1", ESCAPED, ESCAPES.format("01", "02", "01") + "01 61 01 00"), CORRUPT),
    "three escapes of 2": (one(b"a\0", ESCAPED, "03 000000 010101" + "01 61 01 00"), CORRUPT),
    "the second escape outside": (one(b"a\0a\1", ESCAPED, "02 01 00 01 01 01 61 01 00"), CORRUPT),
    "escape, bits above the element": (one(b"aa", "40 08 08 01 c0 00", ESCAPES.format("01", "01", "e1 02") +
                                           "00 61 00"), b"aa"),
    "drops": (one(b"\0b" * 3, DROPS, "01 01 01 00 01 62"), b"\0b" * 3),
    "drops all": (one(bytes(6), DROPS, "01 02 01 00 01 00"), bytes(6)),
    "drops 3 of 2": (one(bytes(6), DROPS, "01 03 01 00 01 00"), CORRUPT),
    "drops by rANS": (one(bytes(6), DROPS, "02 02 01 00 01 00"), UNSUPPORTED),
    "drops by zstd": (one(b"\0b" * 3, DROPS, as_stage(zstd(b"\1")) + "01 00 01 62"), b"\0b" * 3),
    "drops of no tiles": (one(b"a", DROPS, "01 00 01 00 01 00", b"a"), b"a"),
    "an escape where all is dropped": (one(b"\0\1", "61 08 08 02 c0 00 c8 00", "01 02" +
                                           ESCAPES.format("01", "00", "01") + "01 00 01 00"), CORRUPT),
    "zstd": (one(TEXT, LONG, as_stage(zstd(TEXT))), TEXT),
    "zstd without content size": (one(TEXT, LONG, as_stage(zstd(TEXT, write_content_size=False))), TEXT),
    "zstd with a checksum": (one(TEXT, LONG, as_stage(zstd(TEXT, write_checksum=True))), TEXT),
    "zstd of another size": (one(TEXT, LONG, as_stage(zstd(TEXT[1:]))), CORRUPT),
    "zstd of another size, untold": (one(TEXT, LONG, as_stage(zstd(TEXT + b"?", write_content_size=False))), CORRUPT),
    "zstd cut off": (one(TEXT, LONG, as_stage(zstd(TEXT)[:-1])), CORRUPT),
    "zstd and more": (one(TEXT, LONG, as_stage(zstd(TEXT) + b"\0")), CORRUPT),
    "two zstd frames": (one(TEXT, LONG, as_stage(zstd(TEXT[:10]) + zstd(TEXT[10:]))), CORRUPT),
    "a skippable frame": (one(b"aaa", BYTES, as_stage(SKIPPABLE)), CORRUPT),
    "a skippable frame before": (one(TEXT, LONG, as_stage(SKIPPABLE + zstd(TEXT))), CORRUPT),
    "a skippable frame behind": (one(TEXT, LONG, as_stage(zstd(TEXT) + SKIPPABLE)), CORRUPT),
    "an empty zstd frame": (one(TEXT, LONG, as_stage(b"")), CORRUPT),
    # header: no single segment, no content size; window descriptor; one last raw block
    "a window of 2^27": (one(b"aaa", BYTES, as_stage(bytes.fromhex("28b52ffd 00 88 190000 616161"))), b"aaa"),
    "a window of more": (one(b"aaa", BYTES, as_stage(bytes.fromhex("28b52ffd 00 89 190000 616161"))), CORRUPT),
    "a dictionary": (one(b"aaa", BYTES, as_stage(bytes.fromhex("28b52ffd 01 00 07 190000 616161"))), CORRUPT),
    "index, encoding 2": (whole([], encoding=b"\2\0"), UNSUPPORTED),
    "index, skippable frame": (whole([], encoding=b"\1\3" + SKIPPABLE), CORRUPT),
    "index of no bytes": (whole([], encoding=b"\0\0"), CORRUPT),
    "index of no bytes, zstd": (whole([], encoding=b"\1\0" + zstd(b"")), CORRUPT),
    "index, digest 2": (whole([], encoding=b"\0\2\0\2"), UNSUPPORTED),
    "index, original of 1 byte without spans": (whole([], encoding=b"\0\6\1\0\0\0\0\0"), CORRUPT),
    "index, the least": (whole([], encoding=b"\0\6\0\0\0\0\0\0"), b""),
    "index, zstd": (whole([], encoding=b"\1\6" + zstd(bytes(6))), b""),
    "index, zstd, a window of more": (
        whole([], encoding=bytes.fromhex("01 06 28b52ffd 00 89 310000 000000000000")), CORRUPT),
    "index, a varint with a needless byte": (whole([], encoding=b"\0\7\x80\0\0\0\0\0\0"), CORRUPT),
    "index, a source that is no text": (whole([], encoding=b"\0\7\0\0\1\xff\0\0\0"), CORRUPT),
    "index, a level of 65,537 bytes": (whole([], encoding=b"\0" + varint(65544) + bytes(3) + varint(65537) +
                                             b"a" * 65537 + bytes(2)), CORRUPT),
}  # fmt: skip

# Tensors of a file of two spans of 3 bytes
TENSORS: dict[str, tuple[bytes, Any]] = {
    "two": (b"\2" + b"\1a\2\1\3\0\1" + b"\1b\2\1\3\1\1", bytes(6)),
    "the same name": (b"\2" + b"\1a\2\1\3\0\1" + b"\1a\2\1\3\1\1", CORRUPT),
    "no name": (b"\1" + b"\0\2\1\3\0\1", bytes(6)),
    "over both": (b"\1" + b"\1a\2\2\2\3\0\2", bytes(6)),
    "beyond": (b"\1" + b"\1a\2\2\3\3\0\3", CORRUPT),
    "overlap": (b"\2" + b"\1a\2\1\6\0\2" + b"\1b\2\1\3\1\1", CORRUPT),
    "out of order": (b"\2" + b"\1a\2\1\3\1\1" + b"\1b\2\1\3\0\1", CORRUPT),
    "none at the end": (b"\1" + b"\1a\2\1\0\2\0", bytes(6)),
    "none beyond": (b"\1" + b"\1a\2\1\0\3\0", CORRUPT),
    "none within": (b"\2" + b"\1a\2\1\6\0\2" + b"\1b\2\1\0\1\0", CORRUPT),
    "dtype 0": (b"\1" + b"\1a\0\1\3\0\1", UNSUPPORTED),
    "dtype 23": (b"\1" + b"\1a\x17\1\3\0\1", UNSUPPORTED),
    "too large": (b"\1" + b"\1a\2\1\4\0\1", CORRUPT),
    "6 F4": (b"\1" + b"\1a\x16\1\6\0\1", bytes(6)),
    "5 F4": (b"\1" + b"\1a\x16\1\5\0\1", CORRUPT),
    "4 F6": (b"\1" + b"\1a\x14\1\4\0\1", bytes(6)),
    "huge and empty": (b"\1" + b"\1a\2\3" + varint(2**64 - 1) * 2 + b"\0\0\0", bytes(6)),
    "64 dimensions": (b"\1" + b"\1a\2\x40" + b"\1" * 63 + b"\3\0\1", bytes(6)),
    "65 dimensions": (b"\1" + b"\1a\2\x41" + b"\1" * 64 + b"\3\0\1", CORRUPT),
    "a byte behind": (b"\0\0", CORRUPT),
}


@pytest.mark.parametrize("name", CASES)
def test_by_hand(name: str) -> None:
    blob, expected = CASES[name]
    assert agreed(blob) == [expected] * 2


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_by_hand(name: str) -> None:
    tensors, expected = TENSORS[name]
    zeros = bytes.fromhex("03 00 00 08 08 00") + hash64(bytes(3))
    assert agreed(whole([(3, [zeros]), (3, [zeros])], tensors)) == [expected] * 2


def bits(written: str) -> str:
    """Bits, first to last, padded to bytes; in hex."""
    written = written.replace(" ", "")
    written += "0" * (-len(written) % 8)
    return bytes(int(written[k : k + 8][::-1], 2) for k in range(0, len(written), 8)).hex()


def byte(value: int) -> str:
    return f"{value:08b}"[::-1]


# Tables of two symbols, a and b. rANS: a has 2048 slots (12 bits, 11 more than the 1 before; 1 bit given), b the rest.
RANS = f"{byte(97)} {byte(1)} {byte(1)} 1000 {'1' * 21}0 0"
EXACT = f"{byte(97)} {byte(1)} {byte(1)} 1111 {'1' * 21}0 {'0' * 11}"  # the same, with all of the bits of a's
# Huffman: a has the code 0 (1 bit, 4 less than the 5 before), b 1.
HUFFMAN = f"{byte(97)} {byte(1)} {'1' * 8}0 0"
WORD = b"abbabba"
STREAM = "0110110"


def coded(tables: str, payload: str, stage: int, count: int = 1) -> bytes:
    return one(WORD, f"00 08 08 01 c0 {stage << 5 | count:02x}" + tables, f"{stage:02x}" + payload)


def huffman(table: str = HUFFMAN, payload: str = "00 00 00 01" + bits(STREAM)) -> bytes:
    return coded(bits(table), payload, 3)


def rans(table: str = RANS, payload: str = "00 07001b00") -> bytes:
    return coded(bits(table), payload, 2)


def choosing(choice: str, tables: int) -> bytes:
    return coded(bits(HUFFMAN) * tables, "00 00 00 01" + choice + bits(STREAM), 3, tables)


CODED: dict[str, tuple[bytes, Any]] = {
    "Huffman": (huffman(), WORD),
    "25 ones": (huffman(f"{byte(97)} {byte(1)} {'1' * 25}0 0"), CORRUPT),
    "length -1": (huffman(f"{byte(97)} {byte(1)} {'1' * 12}0 0"), CORRUPT),
    "not complete": (huffman(f"{byte(97)} {byte(1)} {'1' * 8}0 10"), CORRUPT),
    "more than complete": (huffman(f"{byte(97)} {byte(2)} {'1' * 8}0 00"), CORRUPT),
    "one symbol": (huffman(f"{byte(97)} {byte(0)} {'1' * 8}0"), CORRUPT),
    "symbol 256": (huffman(f"{byte(255)} {byte(1)} {'1' * 8}0 0"), CORRUPT),
    "stream padded with 1": (huffman(payload="00 00 00 01" + bits(STREAM + "1")), CORRUPT),
    "stream too long": (huffman(payload="00 00 00 02" + bits(STREAM) + "00"), CORRUPT),
    "stream without tiles but bytes": (huffman(payload="01 00 00 01 00" + bits(STREAM)), CORRUPT),
    "stream in another place": (huffman(payload="01 00 00 00" + bits(STREAM)), CORRUPT),
    "rANS": (rans(), WORD),
    "precision 15": (rans(EXACT), WORD),
    "nothing left for the filler": (rans(RANS[:-1] + "1 "), CORRUPT),
    "filler outside": (rans(f"{byte(97)} {byte(1)} {byte(2)} 1000 {'1' * 21}0 0 {'1' * 20}0 0"), CORRUPT),
    "frequency of 13 bits": (rans(f"{byte(97)} {byte(1)} {byte(1)} 1000 {'1' * 23}0 0"), CORRUPT),
    "another state": (rans(payload="00 07002b00"), CORRUPT),
    "bits behind the state": (rans(payload="00 07001b80"), CORRUPT),
    "a word too many": (rans(payload="01 07001b00 00 00"), CORRUPT),
    "words beyond the record": (rans(payload="02 07001b00"), CORRUPT),
    "tables of the other stage": (one(WORD, "00 08 08 01 c0 61" + bits(HUFFMAN), "0200 00 b0 81 00"), CORRUPT),
    "choice of 2": (choosing("01", 2), WORD),
    "choice of 2, unused bits": (choosing("03", 2), CORRUPT),
    "choice of 3": (choosing("02", 3), WORD),
    "choice of 3, beyond": (choosing("03", 3), CORRUPT),
    "choice of 16": (choosing("0f", 16), WORD),
}


@pytest.mark.parametrize("name", CODED)
def test_tables_by_hand(name: str) -> None:
    blob, expected = CODED[name]
    assert agreed(blob) == [expected] * 2


# One original, one file: what would decode to the right bytes, but is spelt in a way that the document forbids.
MISSPELT = {
    "bits of a tile": (one(b"abc", NIBBLES, "00 31 02 00 66 16"), b"abc"),
    "bits of a constant tile": (one(b"abc", NIBBLES, "00 31 02 01 66"), b"abc"),
    "padding of a rANS table": (rans(RANS + "1"), WORD),
    "padding of a Huffman table": (huffman(HUFFMAN + "1"), WORD),
    "escape where the last plane is not 0": (
        one(b"a\1a\1", ESCAPED, ESCAPES.format("01", "01", "01") + "01 61 01 01"), b"a\1a\1"),
    "no elements, stage 0": (one(b"a", PAIRS, "00 01 00", b"a"), b"a"),
    "no elements, constant 1": (one(b"a", PAIRS, "01 01 01 00", b"a"), b"a"),
    "no tiles, stage 0": (one(b"a", DROPS, "00 01 00 01 00", b"a"), b"a"),
    "no tiles, constant 1": (one(b"a", DROPS, "01 01 01 00 01 00", b"a"), b"a"),
    "all dropped, stage 0": (one(bytes(6), DROPS, "01 02 00 01 00"), bytes(6)),
}  # fmt: skip


@pytest.mark.parametrize("name", MISSPELT)
def test_one_spelling(name: str) -> None:
    blob, _ = MISSPELT[name]
    assert agreed(blob) == [CORRUPT] * 2
