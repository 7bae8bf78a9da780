"""Test vectors of planes that lend bytes to rANS states (stages/18_lent.md)."""

from __future__ import annotations

from collections.abc import Iterator

import naive_writer as w
from naive_writer import Chunk, Plane, Span

Symbols = list[int]


def noise(count: int, most: int, seed: int) -> Symbols:
    """Numbers up to ``most``, about equally often."""
    out, x = [], seed
    for _ in range(count):
        x = (x * 1_103_515_245 + 12_345) % 2**31
        out.append((x >> 9) % (most + 1))
    return out


def few(count: int, seed: int) -> Symbols:
    """Numbers up to 3, small ones likelier."""
    return [min(x, y) for x, y in zip(noise(count, 3, seed), noise(count, 3, seed + 99), strict=True)]


def two(count: int, bits: int, lender: int | bytes, stage: int | bytes = 2, tile: int = 64, chunk: int = 0) -> Span:
    """Elements of a plane of ``bits`` bits that lends, and one of symbols."""
    symbols = few(count, 7)
    tables: list[w.Table | tuple[w.Table, bytes]] = [w.fitted(2, bytes(symbols))]
    held = []
    for at in range(0, count, chunk or count):
        stop = min(at + (chunk or count), count)
        held.append(Chunk([noise(stop - at, (1 << bits) - 1, 5 + at), symbols[at:stop]], [lender, stage]))
    of = 7 if stage == 7 else 2
    return Span([Plane(8 - bits, bits), Plane(8, 8, of, tables)], held, 2, tile=tile, chunk=chunk)


def file(span: Span) -> tuple[bytes, bytes]:
    """(the file, the original) of one span."""
    original = b"".join(w.original_of(span, chunk) for chunk in span.chunks)
    return w.weft([w.bodies(span)], original), original


def valid() -> Iterator[tuple[str, str, bytes, bytes]]:
    """(name, what it shows, the file, its original)."""
    for count, stage in ((2_048, 18), (16_384, 20), (65_536, 22), (131_072, 22), (131_072, 23)):
        lanes = 2 ** (stage - 16)
        yield f"lent-{count}-{lanes}", f"{count} symbols, {lanes} states", *file(two(count, 1, stage))
    for bits in (1, 2, 4):
        yield f"lent-{bits}-bits", f"a plane of {bits} bits lends", *file(two(2_100, bits, 18))
    yield "lent-by-columns-4", "to 4 states of stage 7", *file(two(2_050, 8, 18, 7))
    yield "lent-by-columns-32", "to 32 states of stage 7", *file(two(65_536, 1, 21, 7))
    yield "lent-all", "a plane of 8 bytes lends all of them", *file(drops(2_048, 0))
    yield "lent-drops", "tiles of the plane that lends are missing", *file(drops(2_048, 3))
    yield "lent-one-tile", "one tile", *file(two(2_050, 4, 18, tile=2_050))
    yield "lent-chunks", "three chunks; the last has one state, and nothing is lent", *file(several())
    escapes = two(2_100, 8, 18)
    escapes.escapes, escapes.chunks[0].escapes = True, {0: 9, 2_099: 300}
    escapes.chunks[0].values[1][0] = escapes.chunks[0].values[1][2_099] = 0
    yield "lent-escapes", "and elements escape", *file(escapes)
    three = two(2_050, 8, 0)
    three.planes.insert(0, Plane(0, 4))
    three.planes[1:] = [Plane(4, 8), Plane(12, 8, 2, three.planes[2].tables)]
    three.chunks[0].values.insert(0, noise(2_050, 15, 3))
    three.chunks[0].stages, three.width = [0, 18, 2], 4
    yield "lent-second", "the second of three planes", *file(three)


def drops(count: int, seed: int) -> Span:
    """Some tiles have no lower plane; with seed 0 all but 8 elements."""
    span = two(count, 8, 18, tile=8)
    span.drops = True
    missing = noise(count // 8, 1, seed) if seed else [1] * (count // 8 - 1) + [0]
    span.chunks[0].drops = missing
    for tile, absent in enumerate(missing):
        if absent:
            span.chunks[0].values[0][8 * tile : 8 * tile + 8] = [0] * 8
    return span


def several() -> Span:
    span = two(4_300, 8, 18, chunk=2_112)
    span.chunks[2].stages[0] = 0
    return span


def invalid() -> Iterator[tuple[str, str, bytes, str]]:
    """(name, what it breaks, the file, the error)."""
    corrupt = "Corrupt"

    def wrong(count: int, lender: int | bytes, stage: int | bytes = 2, bits: int = 8) -> bytes:
        return file(two(count, bits, lender, stage))[0]

    sound = two(2_048, 8, 18)
    data = b"".join(w.plane_tiles(sound, sound.chunks[0], 0))
    yield "lent-to-stored", "the last plane is stored", wrong(2_048, 18, 0), corrupt
    yield "lent-to-zstd", "the last plane is a zstd frame", wrong(2_048, 18, 4), corrupt
    yield "lent-to-lent", "the last plane lends, too", wrong(2_048, 18, 18), corrupt
    yield "lent-to-16", "to 16 states where there are 4", wrong(2_048, 20), corrupt
    yield "lent-to-4", "to 4 states where there are 16", wrong(16_384, 18), corrupt
    yield "lent-to-1", "to 4 states where there is one", wrong(2_040, 18), corrupt
    large = two(131_072, 1, 0)
    bits = b"".join(w.plane_tiles(large, large.chunks[0], 0))
    blob = wrong(131_072, b"\x17" + bits[:-256], bits=1)
    yield "lent-to-128", "to 128 states where there are 64", blob, corrupt
    for stage in (16, 17, 19, 24):
        blob = wrong(2_048, bytes((stage,)) + data[:-8])
        yield f"lent-stage-{stage}", f"stage {stage}", blob, "Unsupported"
    carrying = w.rans(w.plane_tiles(sound, sound.chunks[0], 1), sound.planes[1].known(), [0] * 32, carried=b"\1")
    yield "lent-by-none", "a state carries what no plane lends", wrong(2_048, 0, b"\2" + carrying), corrupt
    yield "lent-cut", "the record ends within the plane that lends", wrong(2_048, b"\x12" + data[:99], b""), corrupt
    small = drops(2_048, 0)
    small.chunks[0].values[0][-8:] = [0] * 8
    small.chunks[0].drops[-1] = 1
    yield "lent-nothing", "a plane without bytes lends 8", file(small)[0], corrupt
    first = two(2_048, 8, 18)
    first.planes.insert(1, Plane(8, 4))
    first.planes[2].shift, first.width = 12, 4
    first.chunks[0].values.insert(1, noise(2_048, 15, 3))
    first.chunks[0].stages = [18, 0, 2]
    yield "lent-first-of-three", "the first of three planes lends", file(first)[0], corrupt
    one = two(2_048, 8, 18)
    del one.planes[1], one.chunks[0].values[1], one.chunks[0].stages[1]
    yield "lent-alone", "the only plane lends", file(one)[0], corrupt
