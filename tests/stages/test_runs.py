"""Transform 10: its parameters, what it makes of any parts, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.limits import CHUNK_BYTES_MAX
from codec.stages.runs import OF_BITS, Runs, numbers_of, read, top_of
from tests.stages.spelling import read_back


def made(transform: Runs, numbers: list[int], values: bytes, length: int) -> bytes | None:
    """What the document says the span is, one number after the other; None if it is refused."""
    top, elements = top_of(transform.long), list[bytes]()
    bits = transform.code == OF_BITS
    width = 1 if bits else 1 << transform.code
    given_values = [values[at : at + width] for at in range(0, len(values), width)] if not bits else []
    if numbers[-1] == top or sum(number < top for number in numbers) != transform.others:
        return None
    for number in numbers:
        elements += [bytes(width)] * number
        if number < top:
            elements.append(b"\1" if bits else given_values.pop(0))
            if not any(elements[-1]):
                return None
    count = 8 * length if bits else length // width
    if len(elements) > count:
        return None
    elements += [bytes(width)] * (count - len(elements))
    data = b"".join(elements)
    return np.packbits(np.frombuffer(data, np.uint8), bitorder="little").tobytes() if bits else data


@st.composite
def given_parts(draw: st.DrawFn) -> tuple[Runs, list[int], bytes, int]:
    """Parameters, numbers, values and a length: mostly such as fit together."""
    code, long = draw(st.integers(0, OF_BITS)), draw(st.booleans())
    top = top_of(long)
    number = st.one_of(st.integers(0, 9), st.sampled_from([top, top - 1]), st.integers(0, min(top, 700)))
    numbers = draw(st.lists(number, min_size=1, max_size=12))
    if draw(st.booleans()):
        numbers[-1] = min(numbers[-1], top - 1)
    others = max(1, sum(number < top for number in numbers) + draw(st.sampled_from([0, 0, 0, 0, -1, 1])))
    width = 1 if code == OF_BITS else 1 << code
    value = st.one_of(st.integers(1, 256**width - 1), st.sampled_from([1, 1 << 8 * width - 1]))
    values = draw(st.lists(value, min_size=others, max_size=others))
    if draw(st.integers(0, 9)) == 0:
        values[draw(st.integers(0, others - 1))] = 0
    count = max(1, sum(numbers) + others + draw(st.one_of(st.integers(-3, 40), st.just(0))))
    length = -(-count // 8) if code == OF_BITS else count * width
    raw = b"".join(v.to_bytes(width, "little") for v in values)
    return Runs(code, long, len(numbers), others), numbers, b"" if code == OF_BITS else raw, length


@given(given_parts())
def test_any_parts_are_made_as_the_document_says_or_refused(drawn: tuple[Runs, list[int], bytes, int]) -> None:
    transform, numbers, values, length = drawn
    try:
        sizes = transform.parts(length)
    except ValueError:
        assert transform.others > min(len(numbers), 8 * length if transform.code == OF_BITS else length)
        return
    parts = [np.array(numbers, np.uint16 if transform.long else np.uint8).view(np.uint8)]
    parts += [np.frombuffer(values, np.uint8)] if transform.code != OF_BITS else []
    assert [part.size for part in parts] == sizes
    expected, out = made(transform, numbers, values, length), np.full(length, 77, np.uint8)
    if expected is None:
        with pytest.raises(ValueError, match=r"numbers do not fit|one of the others is zero"):
            transform.make(parts, out)
    else:
        transform.make(parts, out)
        assert out.tobytes() == expected


@given(st.lists(st.integers(0, 200_000), min_size=1, max_size=20, unique=True), st.booleans())
def test_numbers_lead_to_the_places(places: list[int], long: bool) -> None:
    at = np.array(sorted(places), np.int64)
    numbers = numbers_of(at, long)
    transform, out = Runs(0, long, numbers.size, at.size), np.empty(200_001, np.uint8)
    transform.make([numbers.view(np.uint8), np.full(at.size, 5, np.uint8)], out)
    assert np.array_equal(np.flatnonzero(out), at)


@given(st.binary(max_size=12))
def test_any_bytes_are_parameters_of_one_spelling_or_refused(data: bytes) -> None:
    found = read_back(read, data)
    if found is not None:
        assert 1 <= found.numbers and 1 <= found.others


def test_sizes_of_parts() -> None:
    assert Runs(2, True, 5, 3).parts(400) == [10, 12] and Runs(OF_BITS, False, 5, 3).parts(1) == [5]
    for transform, length, message in (
        (Runs(1, False, 5, 3), 9, "no whole elements"),
        (Runs(0, False, 5, 6), 90, "6 elements of 90, for which there are 5 numbers"),
        (Runs(0, False, 50, 10), 9, "10 elements of 9"),
        (Runs(0, True, CHUNK_BYTES_MAX // 2 + 1, 1), 9, "numbers of 524290 bytes"),
    ):
        with pytest.raises(ValueError, match=message):
            transform.parts(length)
