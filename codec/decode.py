"""Records -> original bytes: one chunk, or all of a span. Never imports what only an encoder needs."""

from __future__ import annotations

import threading
from typing import Final

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from codec.container import records
from codec.errors import CodecError, CorruptFileError, UnsupportedVersionError
from codec.kernels import planes as plane_kernel
from codec.stages import layout as layouts
from codec.stages import registry
from codec.stages.geometry import Bytes, plane_geometry, view
from codec.stages.layout import UINT, Layout
from codec.wire import Cursor

_NONE: Final = np.zeros(0, np.uint8)
_ZEROS: Final = np.zeros(1 << 14, np.uint8)
_local = threading.local()


def _scratch(size: int) -> Bytes:
    """Working bytes of this thread, at least ``size``, from one call to the next."""
    held: Bytes | None = getattr(_local, "scratch", None)
    if held is None or held.size < size:
        held = _local.scratch = np.empty(max(size, 1 << 20), np.uint8)
    return held


class SpanDecoder:
    """One span, from its span record's body: decodes its chunks, in any order, from any thread.

    ``what`` names the span in messages ('model.weft: tensor "lm_head.weight"'). Raises the typed errors of codec.errors.
    """

    __slots__ = ("_cursor_at", "_head", "_widths", "layout", "vector", "what")

    def __init__(self, body: bytes | memoryview, what: str) -> None:
        cursor = Cursor(memoryview(body), what)
        self.layout: Layout = layouts.decode(cursor)
        self.what, self._head, self._cursor_at = what, body, cursor.at
        self.vector = plane_kernel.layout_of(tuple(p.width for p in self.layout.planes))
        self._widths = (self.layout.shifts, self.layout.widths)
        if self.layout.chunks > 1:
            cursor.done()

    @property
    def inline(self) -> bool:
        """Whether the only chunk lies in the span record."""
        return self.layout.chunks == 1

    def decode_inline(self, out: Bytes) -> None:
        """Decode the chunk in the span record into ``out`` (uint8, the span's length)."""
        self._chunk(Cursor(memoryview(self._head), self.what, self._cursor_at), 0, out)

    def decode_chunk(self, number: int, body: memoryview, out: Bytes) -> None:
        """Decode a chunk record's body into ``out`` (uint8, exactly the chunk's length)."""
        cursor = Cursor(body, f"{self.what}, chunk {number}")
        found = cursor.varint()
        if found != number:
            raise CorruptFileError(f"{self.what}: chunk {found} lies where chunk {number} should")
        self._chunk(cursor, number, out)

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
        at, values = self._escapes(c, elements) if lay.escapes else (None, None)
        self._planes(c, body, elements, drops, out[: out.size - tail], at, values)
        if tail:
            out[out.size - tail :] = np.frombuffer(c.take(tail), np.uint8)
        c.done()
        actual = xxh3_64_intdigest(out)
        if actual != stored:
            raise CorruptFileError(
                f"{c.what}: stored checksum {stored:#018x} but decoded bytes hash to {actual:#018x} (damaged)"
            )

    def _drops(self, c: Cursor, body: Bytes, tiles: int) -> Bytes:
        stage = c.u8()
        if stage not in registry.DROP_STAGES:
            raise UnsupportedVersionError(f"{c.what}: drops are coded by stage {stage}")
        drops = np.empty(tiles, np.uint8)
        where = registry.DECODERS[stage](c, body, plane_geometry(tiles, 1, 8, None), None, drops)
        drops = body[where : where + tiles] if where >= 0 else drops
        if tiles and int(drops.max()) > len(self.layout.planes):
            raise c.bad(f"a tile drops {int(drops.max())} planes of {len(self.layout.planes)}")
        return drops

    def _escapes(self, c: Cursor, elements: int) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]:
        count = c.u32()
        if count > elements:
            raise c.bad(f"{count} escapes among {elements} elements")
        at = np.frombuffer(c.take(4 * count), np.dtype("<u4"))
        values = np.frombuffer(c.take(2 * count), np.dtype("<u2")).astype(np.uint64)
        if count and (int(at[-1]) >= elements or (at[1:] <= at[:-1]).any() or not values.all()):
            raise c.bad("escapes are out of order, outside the chunk, or zero")
        return at, values

    def _planes(
        self,
        c: Cursor,
        body: Bytes,
        elements: int,
        drops: Bytes,
        out: Bytes,
        at: NDArray[np.uint32] | None,
        values: NDArray[np.uint64] | None,
    ) -> None:
        lay = self.layout
        count = len(lay.planes)
        direct = lay.width == 1 and count == 1 and lay.planes[0].width == 8 and lay.fold is None
        direct = direct and not (lay.window or lay.constant or lay.drops or lay.escapes)
        shapes = [
            plane_geometry(elements, lay.tile, p.width, drops <= k if lay.drops else None)
            for k, p in enumerate(lay.planes)
        ]
        scratch = out if direct else _scratch(sum(g.size for g in shapes) + 16)
        inside, cursor, used = np.zeros(count, np.uint8), np.zeros(count, np.int64), 0
        for k, (p, g) in enumerate(zip(lay.planes, shapes, strict=True)):
            stage = c.u8()
            decoder = registry.DECODERS.get(stage)
            if decoder is None:
                raise UnsupportedVersionError(f"{c.what}: stage {stage}; this reader knows {registry.known()}")
            if stage in registry.TABLE_READERS and (p.tables is None or p.tables.stage != stage):
                raise c.bad(f"plane {k} is coded by stage {stage} but has no tables for it")
            where = decoder(c, body, g, p.tables, scratch[used : used + g.size])
            inside[k], cursor[k] = where >= 0, where if where >= 0 else used
            used += g.size if where < 0 else 0
        if direct:
            if count and inside[0]:
                out[:] = body[cursor[0] : cursor[0] + out.size]
            return
        kind = UINT[lay.width]
        fold = lay.width * 8 - 1 if lay.fold is None else lay.fold
        escaped = at is not None and at.size > 0
        aligned = out.ctypes.data % lay.width == 0
        target = out.view(kind) if aligned else np.empty(elements, kind)
        plane_kernel.merge(
            self.vector, kind(lay.constant), target, lay.tile, fold, lay.window or 0, drops, *self._widths, body, view(scratch), inside, cursor, _ZEROS,
        )  # fmt: skip
        if escaped:
            assert at is not None and values is not None
            self._put_escapes(c, target, at, values, drops, fold)
        if not aligned:
            out[:] = target.view(np.uint8)

    def _put_escapes(
        self,
        c: Cursor,
        target: NDArray[np.unsignedinteger],
        at: NDArray[np.uint32],
        values: NDArray[np.uint64],
        drops: Bytes,
        fold: int,
    ) -> None:
        """Step 3 of FORMAT.md, section 5, after step 4: moving bits commutes with OR."""
        lay, kind = self.layout, UINT[self.layout.width]
        if lay.drops and (drops[at // lay.tile] >= len(lay.planes)).any():
            raise c.bad("escape in a tile without the last plane")
        y = (values << np.uint64(lay.planes[-1].shift)).astype(kind)
        f, one = kind(fold), kind(1)
        low, high = y & kind((1 << fold) - 1), y >> f
        target[at] |= low | (high >> one) << f | (high & one) << kind(8 * lay.width - 1)


def open_span(record: memoryview, name: str, at: int, what: str) -> SpanDecoder:
    """The decoder of a whole span record that lies at offset ``at`` of the file ``name``."""
    try:
        return SpanDecoder(records.body_of(record, records.SPAN, name, at), what)
    except CodecError:
        raise
