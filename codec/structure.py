"""Spans that are made of parts: which bytes have such a structure, and how their records are written.

FORMAT.md, section 4a. A palette, a mask and an offset are tried, and kept only if they are smaller than the plain way.
A progression is always taken, and so are the fields that a source knows.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

import numpy as np

from codec.blocks import CODES_MAX, codes_of, parts_of, saved_by_counts
from codec.dtypes import DTYPES, DType
from codec.encode import EncodedSpan, encode_span
from codec.kernels import leb128
from codec.kernels import transforms as kernel
from codec.likely import likely
from codec.limits import CHUNK_BYTES_MAX
from codec.making import Code, made
from codec.memory import kept
from codec.packed import encode_packed
from codec.planner.levels import Level, level_of
from codec.planner.tiles import chunk_for, tile_for
from codec.sources.segment import Field, Packed
from codec.sparse import encode_sparse, few
from codec.stages.codes import Codes
from codec.stages.delta import Delta
from codec.stages.geometry import Bytes, read_only
from codec.stages.numbers import Leb128
from codec.stages.runs import Runs
from codec.stages.transforms import Copy, Fields, Transform
from codec.ways import UINT, WAYS, Found, Part, ramp_of

#: Original bytes of a made span, at most, but for elements of 2 bytes: its parts are a chunk each, and one holds
#: 524,288 bytes less one tile, which may be 16,384 elements of 8 bytes.
PART_BYTES: Final = 393_216
#: Of 256 elements looked at, in runs of 64, so many distinct ones are worth a look for integers, and so many zeros a
#: mask. Weights in bf16 have 246 distinct ones, those that were int8 once about 190, or 220 with a scale for every 64;
#: in fp16 and fp32 nearly all differ. Of fp32 weights a mask gains from 3 % zeros on, of bf16 from 4 to 12 %: with the
#: zeros go the rows, and their tables.
_FEW: Final = {"BF16": 234, "F16": 250, "F32": 250}
_ZEROS: Final = 8
#: Elements of fewer bytes in all are left alone: a palette would not pay.
LEAST: Final = 4096


def encode_fields(
    data: Bytes, fields: tuple[Field, ...], dtype: DType | None, row: int, level: Level, code: Code = encode_span
) -> list[EncodedSpan]:
    """Code blocks of ``fields``; ``row``: blocks in one row of the tensor.

    ``data`` is a whole number of blocks, each of ``FIELD_BYTES_MAX`` bytes at most. Codes that fields have together are
    coded so, or each field by itself where that is smaller. It is tried unless counts alone say that it can't be, or a
    piece takes less than one by itself last did, or would have.
    """
    block = sum(field.size for field in fields)
    apart, together = Fields(tuple(field.size for field in fields)), codes_of(fields)
    each = PART_BYTES // block if together is None else min(PART_BYTES // block, CODES_MAX // max(together.codes))
    each = each // row * row or each  # whole rows, where they fit

    def coded(piece: Bytes, way: Fields | Codes) -> EncodedSpan:
        return made(piece, dtype, way, [Part(*part) for part in parts_of(piece, fields, way, row)], level, code)

    spans, known, of = [], 0, 1  # what fields by themselves took when last looked at: stored bytes, of how many
    for at in range(0, data.size, each * block):
        piece = read_only(data[at : at + each * block])
        best = coded(piece, together or apart)
        if together is not None and best.stored.size * of > known * piece.size:
            more = saved_by_counts(piece, together, best.stored.size)
            known, of = best.stored.size + more, piece.size
            if not more:
                other = coded(piece, apart)
                known = other.stored.size
                best = other if known < best.stored.size else best
        spans.append(best)
    return spans


def encode_leb128(data: Bytes, packed: Packed, level: Level) -> list[EncodedSpan] | None:
    """Code bytes that are LEB128; None if they are not."""
    values, ends = np.empty(data.size, np.int64), np.empty(data.size, np.int64)
    count = int(leb128.read(read_only(data), packed.signed, values, ends))
    values, columns = values[:count], packed.columns
    whole = int(ends[count - 1]) if count else 0
    if whole < data.size - 16:  # what is cut off by the end of a piece, but no more
        return None
    spans, at, begin = [], 0, 0
    while at < count:
        ahead = values[at : at + PART_BYTES]
        low, high = int(ahead.min()), int(ahead.max())
        bits = DTYPES[packed.dtype].bits if packed.dtype else 0
        as_floats = 0 < bits and 0 <= low and high < 1 << bits
        low = 0 if as_floats else low
        code = bits.bit_length() - 4 if as_floats else next(k for k in range(4) if high - low < 1 << (8 << k))
        each = PART_BYTES >> code
        stop = min(at + (each // columns * columns or each), count)
        while int(ends[stop - 1]) - begin > CHUNK_BYTES_MAX:  # of values far from 0, which have more bytes than these
            stop = at + (stop - at) // 2
        end = int(ends[stop - 1])
        part = (values[at:stop] - low).astype(UINT[1 << code]).view(np.uint8)
        dtype = DTYPES[packed.dtype if as_floats else f"U{8 << code}"]
        parts = [Part(part, dtype, (-(-(stop - at) // columns), columns), "" if as_floats else "symbol")]
        spans.append(made(data[begin:end], None, Leb128(code, stop - at, low % (1 << 64), packed.signed), parts, level))
        at, begin = stop, end
    if begin < data.size:
        spans.append(encode_span(data[begin:], None, (), level))
    if level.mixing and not packed.dtype:  # which knows LEB128, and learns from longer runs of bytes than fit here
        plain = encode_span(data, None, (), level)
        if plain.stored.size < sum(span.stored.size for span in spans):
            return [plain]
    return spans


def encode_copy(data: Bytes, dtype: DType | None, distance: int) -> EncodedSpan:
    """Code at most 524,288 bytes that the original had ``distance`` bytes before."""
    return replace(made(data, dtype, Copy(distance), [], level_of("default")), distance=distance)


def encode_delta(
    data: Bytes, source: Bytes, dtype: DType, shape: tuple[int, ...], distance: int, level: Level,
    code: Code = encode_span,
) -> list[EncodedSpan]:  # fmt: skip
    """Code elements by their difference to those of ``source``, which the original had ``distance`` bytes before."""
    transform = Delta((dtype.bits // 8).bit_length() - 1, distance, True)
    row = dtype.bits // 8 * math.prod(shape[1:])
    each = PART_BYTES // row * row or PART_BYTES
    kind, spans = DTYPES[f"U{dtype.bits}"], []
    for at in range(0, data.size, each):
        piece = data[at : at + each]
        part = Part(transform.differences(piece, source[at : at + each]), kind, shape, "difference")
        spans.append(replace(made(piece, dtype, transform, [part], level, code), distance=distance))
    return spans


def encode_structured(
    data: Bytes, dtype: DType | None, shape: tuple[int, ...], level: Level, code: Code = encode_span
) -> list[EncodedSpan] | None:
    """Code a piece whose elements repeat, are often zero, integers that need fewer bytes, or an arithmetic progression;
    None if they are nothing of that, or that saves nothing.
    """
    width = 0 if dtype is None else 4 if dtype.name == "C64" else dtype.bits // 8
    if dtype is not None and dtype.name[0] in "IU" and (packed := encode_packed(data, dtype, shape, level, code)):
        return packed
    if width == 1 and dtype is not None:
        return encode_sparse(data, dtype, shape, level, code)
    if width < 2 or data.size < LEAST or data.size % width or dtype is None:
        return None
    sample, counts = _look()
    kernel.glance(read_only(data), width, sample, counts)
    looked, zeros, kinds = counts.tolist()
    x = read_only(data).view(UINT[width])
    whole = dtype.name[0] in "IU"
    if whole and width > 2:
        ramp = ramp_of(x, width)
        if ramp is not None:
            runs = (x[at : at + PART_BYTES // width] for at in range(0, x.size, PART_BYTES // width))
            return [made(r.view(np.uint8), dtype, replace(ramp, start=int(r[0])), [], level, code) for r in runs]
    if not whole and kinds * 256 > _FEW.get(dtype.name, 228) * looked and zeros * 256 < _ZEROS * looked:
        return None
    row = int(np.prod(shape[1:], dtype=object)) if len(shape) > 1 else 1
    each = PART_BYTES // width
    if width == 2:  # whatever part there is of a chunk of these, it is one chunk; of 4 bytes more take 128 rANS states
        each = chunk_for(tile_for(shape, x.size), width)
    each = each // row * row or each  # whole rows, where they fit
    cut = [x[at : at + each] for at in range(0, x.size, each)]
    ways = [(None if level.probe else likely(part, dtype, shape)) or _every(part, dtype, shape) for part in cut]
    if not any(tried for tried, _ in ways):
        return None
    spans: list[EncodedSpan] = []
    found: list[tuple[tuple[Transform, list[Part]] | None, bool]] = []
    quick = replace(level, mixing=False)  # which stage 8 would find out twenty times slower
    for part, (tried, plainly) in zip(cut, ways, strict=True):
        data, chosen = part.view(np.uint8), None
        best = plain = code(data, dtype, shape, quick) if plainly else None
        for way in tried:
            coded = made(data, dtype, *way, quick, code)
            most = coded.stored.size + 1 if best is None else best.stored.size
            if coded.stored.size < (few(most, level) if isinstance(way[0], Runs) and best is not None else most):
                best, chosen = coded, way
        assert best is not None
        # which codes integers of several bytes in one plane, as nothing else does
        found.append((chosen, whole or plain is None or best.stored.size * 100 > plain.stored.size * 95))
        spans.append(best)
    if all(chosen is None for chosen, _ in found):
        return None
    if level.mixing:
        spans = []
        for part, (chosen, close) in zip(cut, found, strict=True):
            data = part.view(np.uint8)
            both = [made(data, dtype, *chosen, level, code)] if chosen is not None else []
            both += [code(data, dtype, shape, level)] if close else []
            spans.append(min(both, key=lambda b: b.stored.size))
    return spans


def _every(x: Any, dtype: DType, shape: tuple[int, ...]) -> tuple[list[Found], bool]:
    """What structures elements have; and that the plain way is to be tried."""
    return list(filter(None, (way(x, dtype, shape) for way in WAYS))), True


def _look() -> tuple[Any, Any]:
    """This thread's working arrays for a look."""
    held: tuple[Any, Any] | None = kept().get(kernel.glance)
    if held is None:
        held = kept()[kernel.glance] = np.zeros(256, np.uint64), np.zeros(3, np.int64)
    return held
