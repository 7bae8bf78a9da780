"""What verify says of a damaged file: the first damage in the order of the file, in terms of the original."""

from __future__ import annotations

import io

import numpy as np
import pytest

import codec
from codec.access import BytesSource
from codec.container import index as indexes
from codec.container import records
from codec.reader import WeftFile
from tests.test_recovery import FILES, File, file, flipped, zeroed


def verified(blob: bytes) -> codec.CodecError:
    """The error of a file that is not intact: one line that names the file and ends with advice."""
    with pytest.raises(codec.CodecError) as caught:
        codec.verify_file(io.BytesIO(blob), threads=2)
    message = str(caught.value)
    assert message.startswith("stream: ") and "\n" not in message
    assert message.endswith('; run "codec recover"') and "stream: " not in message[8:]
    assert caught.value.damage is not None
    return caught.value


def ranges(f: File) -> list[tuple[int, int, str | None, int, int]]:
    """(offset, end, tensor, begin, end of its bytes of the original) of each record but the index."""
    held = WeftFile(BytesSource(f.blob))
    out, at = [], records.HEADER_BYTES
    for k, entry in enumerate(held.index.spans):
        begin, end = held.starts[k], held.starts[k + 1]
        tensor = next((t.name for t in held.index.tensors if t.first <= k < t.first + t.spans), None)
        out.append((at, at + entry.record, tensor, begin, end))
        at += entry.record
        for number, size in enumerate(entry.chunks):
            first = begin + (number << 19)
            out.append((at, at + size, tensor, first, min(end, first + (1 << 19))))
            at += size
    return out


@pytest.mark.parametrize("kind", ["flipped", "zeroed"])
@pytest.mark.parametrize("name", ["model", "stack", "noise"])
def test_each_record_is_named(name: str, kind: str) -> None:
    f = file(name)
    for at, stop, tensor, begin, end in ranges(f):
        blob = flipped(f.blob, at + (stop - at) // 2) if kind == "flipped" else zeroed(f.blob, at, stop - at)
        error = verified(blob)
        assert type(error) is codec.CorruptFileError
        assert error.damage == codec.Damage(tensor, begin, end, at, stop)
        assert f"bytes [{begin}, {end}) of the original" in str(error) and f" byte {at}" in str(error)
        assert (f'tensor "{tensor}", ' in str(error)) == (tensor is not None)


@pytest.mark.parametrize("name", ["model", "noise"])
def test_the_first_of_several_is_named_even_without_an_index(name: str) -> None:
    f = file(name)
    listed = ranges(f)
    end, length = f.place(records.INDEX)
    for k, (at, stop, tensor, begin, _) in enumerate(listed):
        blob = f.blob
        for later, after, *_ in listed[k:]:
            blob = flipped(blob, later + (after - later) // 2)
        assert verified(blob).damage == codec.Damage(*listed[k][2:], *listed[k][:2])
        for broken in (flipped(blob, end + length // 2), flipped(blob, len(blob) - 1), blob[:-7]):
            damage = verified(broken).damage
            assert damage is not None and (damage.begin, damage.record) == (begin, at)
            assert damage.tensor == (tensor if k else None)
        # where a span record is damaged, nothing says how long the span was
        assert damage.record_end == stop and (damage.end is None) == (f.records[k][0] == records.SPAN)


@pytest.mark.parametrize("name", FILES)
def test_header_index_and_trailer(name: str) -> None:
    f = file(name)
    at, size = f.place(records.INDEX)
    assert verified(flipped(f.blob, 3)).damage == codec.Damage(None, None, None, 0, 16)
    with pytest.raises(codec.UnsupportedVersionError):  # what the check of a later version is, is open
        codec.verify_file(io.BytesIO(flipped(f.blob, 8)))
    for byte in (9, 10, 13):
        error = verified(flipped(f.blob, byte))
        assert type(error) is codec.CorruptFileError and error.damage == codec.Damage(None, None, None, 0, 16)
    for blob in (flipped(f.blob, at + 5 + size // 3), zeroed(f.blob, at, size)):
        error = verified(blob)
        assert type(error) is codec.CorruptFileError and "index: " in str(error)
        assert error.damage is not None and error.damage.record == at
    for byte in (0, 9, 17, 25):
        error = verified(flipped(f.blob, at + size + byte))
        assert error.damage == codec.Damage(None, None, None, at + size, len(f.blob)) and "trailer" in str(error)
    error = verified(f.blob + b"more")
    assert f"goes on behind its trailer, which ends at byte {len(f.blob)}" in str(error)


def test_cuts_are_truncations() -> None:
    f = file("model")
    for at, _, tensor, begin, end in ranges(f):
        for cut in (at, at + 3, at + 20):
            error = verified(f.blob[:cut])
            assert type(error) is codec.TruncatedFileError and error.damage is not None
            assert (error.damage.tensor, error.damage.begin, error.damage.record) == (
                tensor if at > 16 else None,
                begin,
                at,
            )
            assert error.damage.end in (None, end)
    at, size = f.place(records.INDEX)
    for cut in (at, at + size // 2, at + size, len(f.blob) - 1):
        error = verified(f.blob[:cut])
        assert type(error) is codec.TruncatedFileError and error.damage is not None
        assert error.damage.begin is None and error.damage.record in (at, at + size)


@pytest.mark.parametrize("name", ["model", "stack"])
def test_records_put_in_and_taken_out(name: str) -> None:
    f = file(name)
    for at, stop, tensor, begin, _ in ranges(f):
        damage = verified(f.blob[:at] + b"garbage" + f.blob[at:]).damage
        assert damage is not None and (damage.tensor, damage.begin, damage.record) == (tensor, begin, at)
        damage = verified(f.blob[:at] + f.blob[stop:]).damage
        assert damage is not None and (damage.tensor, damage.begin, damage.record) == (tensor, begin, at)


def test_an_index_that_lists_other_records() -> None:
    f = file("model")
    held = WeftFile(BytesSource(f.blob))
    sizes = held.index.spans[2].chunks
    sizes[0], sizes[1] = sizes[0] + 1, sizes[1] - 1
    at, _ = f.place(records.INDEX)
    last = records.record(records.INDEX, indexes.encode(held.index))
    error = verified(f.blob[:at] + last + records.trailer(at, len(last)))
    assert error.damage is not None and error.damage.tensor == "big" and "the index" in str(error)


def test_unknown_numbers_need_a_newer_reader() -> None:
    """What is sound but not known is no damage: recover could not read it either."""
    f = file("stack")
    at, size = f.place(records.SPAN, 1)
    body = bytearray(f.blob[at + 5 : at + size - 8])
    body[2] = 200  # the element type, behind a length of two bytes
    blob = f.blob[:at] + records.record(records.SPAN, bytes(body)) + f.blob[at + size :]
    with pytest.raises(codec.UnsupportedVersionError, match=r'tensor "0\.attention", .*element type 200') as caught:
        codec.verify_file(io.BytesIO(blob))
    assert "recover" not in str(caught.value) and caught.value.damage is not None


def test_no_weft_file_has_no_damage() -> None:
    for data in (b"", b"PK\3\4" * 100, np.random.default_rng(1).bytes(3000)):
        with pytest.raises(codec.NotWeftError) as caught:
            codec.verify_file(io.BytesIO(data))
        assert caught.value.damage is None and "recover" not in str(caught.value)
