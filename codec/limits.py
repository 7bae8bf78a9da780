"""Every bound in one place. A length read from a file is compared with these before it is believed."""

from __future__ import annotations

from typing import Final

#: Largest safetensors header, in bytes; the same cap as the safetensors library's own.
SAFETENSORS_HEADER_MAX: Final = 100_000_000

#: Original bytes in one chunk, at most. Chunks are the unit of parallel work and random access.
CHUNK_BYTES_MAX: Final = 1 << 19

#: Original bytes in one span, at most. A span shares one plan and one set of tables.
SPAN_BYTES_MAX: Final = 1 << 23

#: Elements in one tile, at most. A tile picks one frequency table.
TILE_ELEMENTS_MAX: Final = 1 << 14

#: Planes in one element layout, at most (a 64-bit element cut in single bits).
PLANES_MAX: Final = 64

#: Fields of a block, and bytes of one field, at most (transforms 1 and 9).
FIELDS_MAX: Final = 16
FIELD_BYTES_MAX: Final = 1 << 16

#: Frequency tables of one plane, at most.
TABLES_MAX: Final = 16

#: Columns of one plane, at most.
COLUMNS_MAX: Final = 1 << 16

#: And of all planes of a span together.
SPAN_TABLES_MAX: Final = 128

#: Stored bytes of one record's body, at most: a chunk that did not compress, its tables and its headers.
RECORD_BODY_MAX: Final = CHUNK_BYTES_MAX + (1 << 17)

#: Stored bytes of the index record's body, at most.
INDEX_STORED_MAX: Final = 1 << 28

#: Bytes of the index after decompression, at most; and how many times larger than stored it may be, beside some that
#: are free. (Those of real files inflate 2 to 20 times, of which the free bytes take the most.)
INDEX_BYTES_MAX: Final = 1 << 30
INDEX_RATIO_MAX: Final = 8
INDEX_FREE_BYTES: Final = 1 << 20

#: Tensors in one file, at most.
TENSORS_MAX: Final = 1 << 24
#: Of the tensors, those without bytes, at most: the others cost the file a span each.
EMPTY_TENSORS_MAX: Final = 1 << 12

#: Dimensions of one tensor, bytes in one tensor name, at most.
DIMENSIONS_MAX: Final = 64
NAME_BYTES_MAX: Final = 1 << 16
