"""Records -> original bytes: one chunk, or all of a span. Never imports what only an encoder needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from xxhash import xxh3_64_intdigest

from codec.errors import CorruptFileError, UnsupportedVersionError
from codec.kernels import planes as plane_kernel
from codec.limits import RECORD_BODY_MAX
from codec.stages import layout as layouts
from codec.stages import plain, registry
from codec.stages.delta import Delta
from codec.stages.geometry import Bytes, plane_geometry, read_only, view, working
from codec.stages.layout import UINT, Layout
from codec.stages.transforms import Copy, Transform
from codec.wire import Cursor

Earlier = Callable[[int, Bytes], None]

_NONE: Final = np.zeros(0, np.uint8)
_ZEROS: Final = np.zeros(1 << 14, np.uint8)


class SpanDecoder:
    """One span, from its span record's body: decodes its chunks, in any order, from any thread.

    ``what`` names the span in messages ('model.weft: tensor "lm_head.weight"'). ``earlier(distance, out)`` fills out
    (uint8) with the bytes so far before the span, for a copy or a delta. Raises the errors of codec.errors.
    """

    __slots__ = ("_cursor_at", "_earlier", "_head", "_ints", "_kernels", "_places", "_shapes", "layout", "what")

    def __init__(self, body: bytes | memoryview, what: str, earlier: Earlier | None = None) -> None:
        cursor = Cursor(memoryview(body), what)
        self.layout: Layout = layouts.decode(cursor)
        self.what, self._head, self._cursor_at, self._earlier = what, body, cursor.at, earlier
        lay = self.layout
        if lay.transform is not None:
            return
        fold = lay.width * 8 - 1 if lay.fold is None else lay.fold
        self._kernels = plane_kernel.kernels_for(tuple(p.width for p in lay.planes))
        self._ints = plane_kernel.numbers(lay.tile, fold, lay.window or 0, 255, lay.constant)
        zeros = [0] * len(lay.planes)
        self._places = np.array([lay.shifts, lay.widths, zeros, zeros], np.int64)
        self._shapes = [plane_geometry(lay.chunk, lay.tile, p.width, None) for p in lay.planes]
        if self.layout.chunks > 1:
            cursor.done()

    @property
    def inline(self) -> bool:
        """Whether the only chunk lies in the span record."""
        return self.layout.chunks == 1

    def decode_inline(self, out: Bytes) -> None:
        """Decode the chunk in the span record into ``out`` (uint8, the span's length)."""
        if self.layout.transform is not None:
            self._make(self.layout.transform, out)
            return
        self._chunk(Cursor(memoryview(self._head), self.what, self._cursor_at), 0, out)

    def decode_chunk(self, number: int, body: memoryview, out: Bytes) -> None:
        """Decode a chunk record's body into ``out`` (uint8, exactly the chunk's length)."""
        cursor = Cursor(body, f"{self.what}, chunk {number}")
        found = cursor.varint()
        if found != number:
            raise CorruptFileError(f"{self.what}: chunk {found} lies where chunk {number} should")
        self._chunk(cursor, number, out)

    def passed(self, plane: int, size: int) -> None:
        """Told of the stored bytes of each payload of a plane, and of the escapes of the last, as they are passed over:
        for who counts them (codec.anatomy).
        """

    def part(self, number: int, body: bytes | memoryview, what: str) -> SpanDecoder:
        """The decoder of a part of a made span."""
        return SpanDecoder(body, what)

    def _chunk(self, c: Cursor, number: int, out: Bytes) -> None:
        lay = self.layout
        first, stop = lay.chunk_range(number)
        if out.size != stop - first:
            raise ValueError(f"chunk {number} has {stop - first} bytes, the output {out.size}")
        stored = c.u64()
        tail = lay.tail if number == lay.chunks - 1 else 0
        elements = (out.size - tail) // lay.width
        body = view(c.data)
        drops = self._drops(c, body, -(-elements // lay.tile)) if lay.drops else _NONE
        escapes = self._escapes(c, elements) if lay.escapes else _NONE
        self._planes(c, body, elements, drops, out[: out.size - tail] if tail else out, escapes)
        if tail:
            out[out.size - tail :] = np.frombuffer(c.take(tail), np.uint8)
        c.done()
        _compare(c.what, stored, out)

    def _make(self, transform: Transform, out: Bytes) -> None:
        """Decode the parts of a made span, and make its bytes of them."""
        c = Cursor(memoryview(self._head), self.what, self._cursor_at)
        sizes = transform.parts(self.layout.length)
        target = out if out.ctypes.data % 8 == 0 else np.empty(out.size, np.uint8)
        if isinstance(transform, Copy | Delta):
            if self._earlier is None:
                raise CorruptFileError(f"{self.what}: a copy or a delta, where nothing came before")
            # first, since what decodes the source may work where the parts are put
            self._earlier(transform.distance, target)
        room, parts, at = working("parts", sum(size + 7 & ~7 for size in sizes) + 8), [], 0
        at = -room.ctypes.data % 8
        for number, size in enumerate(sizes):
            what = f"{self.what}, part {number}"
            part = self.part(number, c.take(c.varint(RECORD_BODY_MAX)), what)
            lay = part.layout
            if lay.transform is not None or lay.length != size or not part.inline:
                raise CorruptFileError(f"{what}: expected {size} bytes in one chunk, not made of parts")
            parts.append(room[at : at + size])
            part.decode_inline(parts[-1])
            at += size + 7 & ~7
        try:
            transform.make(parts, target)
        except ValueError as error:
            raise CorruptFileError(f"{self.what}: {error}") from None
        if target is not out:
            out[:] = target
        stored = c.u64()
        c.done()
        _compare(c.what, stored, out)

    def _drops(self, c: Cursor, body: Bytes, tiles: int) -> Bytes:
        stage = c.u8()
        if stage not in registry.DROP_STAGES:
            raise UnsupportedVersionError(f"{c.what}: drops are coded by stage {stage}")
        self._empty(c, tiles, stage)
        drops = np.empty(tiles, np.uint8)
        where = registry.DECODERS[stage](c, body, plane_geometry(tiles, 1, 8, None), None, drops)
        drops = body[where : where + tiles] if where >= 0 else drops
        if tiles and int(drops.max()) > len(self.layout.planes):
            raise c.bad(f"a tile drops {int(drops.max())} planes of {len(self.layout.planes)}")
        return drops

    def _escapes(self, c: Cursor, elements: int) -> Bytes:
        """Positions (u32) and then values (u16) of a chunk's escapes."""
        count, before, at = c.varint(min(elements, c.end - c.at)), c.at, -1
        positions, values = np.empty(count, "<u4"), np.empty(count, "<u2")
        for k in range(count):
            at += 1 + c.varint(elements)
            if at >= elements:
                raise c.bad("an escape lies outside the chunk")
            positions[k] = at
        for k in range(count):
            values[k] = c.varint(65535)
        self.passed(len(self.layout.planes) - 1, c.at - before)
        return np.concatenate([positions.view(np.uint8), values.view(np.uint8)])

    @staticmethod
    def _empty(c: Cursor, size: int, stage: int) -> None:
        """What has no bytes is constant 0: one spelling."""
        if size == 0 and (stage != plain.CONSTANT or c.at >= c.end or c.data[c.at] != 0):
            raise c.bad("a plane without bytes is not coded as constant 0")

    def _planes(self, c: Cursor, body: Bytes, elements: int, drops: Bytes, out: Bytes, escapes: Bytes) -> None:
        lay = self.layout
        planes = lay.planes
        direct = lay.width == 1 and len(planes) == 1 and planes[0].width == 8 and lay.fold is None
        direct = direct and planes[0].shift == 0 and lay.window is None
        direct = direct and not (lay.constant or lay.drops or lay.escapes)
        shapes = self._shapes
        if lay.drops or elements != lay.chunk:
            shapes = [
                plane_geometry(elements, lay.tile, p.width, drops <= k if lay.drops else None)
                for k, p in enumerate(planes)
            ]
        scratch = out if direct else working("decoded", sum(g.size for g in shapes) + 16)
        places, used, lent = self._places.copy(), 0, _NONE
        for k, (p, g) in enumerate(zip(planes, shapes, strict=True)):
            stage = c.u8()
            if stage not in registry.PLANE_STAGES:
                raise UnsupportedVersionError(
                    f"{c.what}: stage {stage}; this reader knows {registry.known(registry.PLANE_STAGES)}"
                )
            if stage in registry.TABLE_READERS and (p.tables is None or p.tables.stage != stage):
                raise c.bad(f"plane {k} is coded by stage {stage} but has no tables for it")
            self._empty(c, g.size, stage)
            before = c.at
            target = scratch[used : used + g.size]
            if lent.size and stage not in registry.CARRIERS:
                raise c.bad(f"plane {k - 1} lends bytes to plane {k}, which is coded by stage {stage}")
            if stage in plain.LENT_STAGES:
                if k != len(planes) - 2:
                    raise c.bad(f"plane {k} lends bytes, but is not the one before the last")
                where, lent = -1, plain.decode_lent(c, stage, target)
                before -= lent.size  # which is stored all the same
            elif lent.size:
                where = registry.CARRIERS[stage](c, body, g, p.tables, target, lent)
                before += lent.size
            else:
                where = registry.DECODERS[stage](c, body, g, p.tables, target)
            self.passed(k, c.at - before)
            places[plane_kernel.CURSOR, k] = where if where >= 0 else used
            places[plane_kernel.INSIDE, k] = where >= 0
            used += g.size if where < 0 else 0
            if direct:
                if where >= 0:
                    out[:] = body[where : where + out.size]
                return
        kind = UINT[lay.width]
        aligned = out.ctypes.data % lay.width == 0
        target = out.view(kind) if aligned else np.empty(elements, kind)
        count = escapes.size // 6
        scratch = read_only(scratch)
        if count and plane_kernel.check_escapes(elements, self._ints, drops, places, body, scratch, escapes, count) < 0:
            raise c.bad("an escape is where the last plane is missing or not 0")
        if self._kernels.merge(target, self._ints, drops, places, body, scratch, _ZEROS) < 0:
            raise c.bad("bits that no element uses are not 0")
        if count:
            shift = planes[-1].shift
            kernel = plane_kernel.put_escapes
            if kernel(target, self._ints, drops, shift, len(planes), escapes, count) < 0:
                raise c.bad("an escape is zero, or in a tile without the last plane")
        if not aligned:
            out[:] = target.view(np.uint8)


def _compare(what: str, stored: int, out: Bytes) -> None:
    """Decoded bytes with the hash that was stored for them."""
    actual = xxh3_64_intdigest(out.data)
    if actual != stored:
        raise CorruptFileError(
            f"{what}: stored checksum {stored:#018x} but decoded bytes hash to {actual:#018x} (damaged)"
        )
