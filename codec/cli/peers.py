"""Other codecs, if they are installed, each set up as its own documentation advises for speed.

All work in memory on one thread. Their modules are imported by name when asked for, since none but
zstandard is a dependency.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

#: Bytes in an OpenZL frame: its buffers stay in cache, which halves its time on large files. For what is not
#: floats it looks for matches too, and is given more to find them in.
_FRAME: Final = 128 << 10
_LONG_FRAME: Final = 1 << 20
#: The value of OpenZL's checksum parameters that means off.
_OFF: Final = 2
_WIDTHS: Final = {"BF16": 2, "F16": 2, "I16": 2, "U16": 2, "F32": 4, "I32": 4, "U32": 4, "F64": 8, "I64": 8}


@dataclass(frozen=True, slots=True)
class Codec:
    """One codec at one setting.

    ``prepare`` is not timed: it makes what ``encode`` is given. ``keep`` is what must not be freed before.
    """

    name: str
    version: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]
    size: Callable[[Any], int] = len
    prepare: Callable[[bytes], Any] = lambda data: data
    keep: Any = None


def version(distribution: str) -> str:
    """The version of an installed distribution."""
    # The import takes 40 ms, which every command would pay at the top of this file.
    from importlib import metadata

    return metadata.version(distribution)


def weft(level: str) -> Codec:
    """This package."""
    import codec

    return Codec(
        name=f"weft {level}",
        version=codec.__version__,
        encode=lambda data: codec.compress(data, level=level, threads=1),
        decode=codec.decompress,
    )


def zstd(level: int) -> Codec:
    """zstd on the bytes as they are."""
    zstandard = import_module("zstandard")
    return Codec(
        name=f"zstd -{level}",
        version=version("zstandard"),
        encode=zstandard.ZstdCompressor(level=level).compress,
        decode=zstandard.ZstdDecompressor().decompress,
    )


def lz4() -> Codec:
    """LZ4 frames at the default level."""
    frame = import_module("lz4.frame")
    return Codec("lz4", version("lz4"), frame.compress, frame.decompress)


def blosc2(dtype: str) -> Codec:
    """Blosc2 with zstd behind its bit shuffle."""
    module = import_module("blosc2")
    options = {
        "typesize": _WIDTHS.get(dtype, 1),
        "codec": module.Codec.ZSTD,
        "clevel": 5,
        "filters": [module.Filter.BITSHUFFLE],
        "nthreads": 1,
    }
    return Codec(
        name="blosc2 zstd",
        version=version("blosc2"),
        encode=lambda data: module.compress2(data, **options),
        decode=lambda blob: module.decompress2(blob, nthreads=1),
    )


def zipnn(dtype: str) -> Codec:
    """ZipNN, told the element type. It spoils its input, so it is given a copy each time."""
    kinds = {"BF16": "bfloat16", "F16": "float16", "I16": "float16", "U16": "float16"}
    kinds |= {name: "float32" for name, width in _WIDTHS.items() if width >= 4}
    kind = kinds.get(dtype, "float8_e4m3fn")
    make = import_module("zipnn").ZipNN
    import_module("torch").set_num_threads(1)
    context = make(bytearray_dtype=kind, input_format="byte", threads=1)
    return Codec("zipnn", version("zipnn"), context.compress, context.decompress, prepare=bytearray)


def openzl(dtype: str) -> Codec:
    """OpenZL with the graph that suits the element type."""
    ext = import_module("openzl.ext")
    np = import_module("numpy")
    width = _WIDTHS.get(dtype, 1)
    compressor, context, decoder = ext.Compressor(), ext.CCtx(), ext.DCtx()
    compressor.select_starting_graph(_openzl_graph(ext, compressor, dtype))
    context.set_parameter(ext.CParam.StickyParameters, 1)
    context.ref_compressor(compressor)
    context.set_parameter(ext.CParam.FormatVersion, ext.MAX_FORMAT_VERSION)
    context.set_parameter(ext.CParam.ContentChecksum, _OFF)
    context.set_parameter(ext.CParam.CompressedChecksum, _OFF)
    kind = ext.Type.Serial if width == 1 else ext.Type.Numeric

    def encode(data: bytes) -> tuple[int, list[bytes], bytes]:
        whole = len(data) // width * width
        elements = np.frombuffer(data, f"u{width}", whole // width)
        step = (_FRAME if dtype in ("BF16", "F16", "F32") else _LONG_FRAME) // width
        pieces = (elements[start : start + step] for start in range(0, len(elements), step))
        return whole, [context.compress([ext.Input(kind, piece)]) for piece in pieces], data[whole:]

    def size(blob: tuple[int, list[bytes], bytes]) -> int:
        return sum(map(len, blob[1])) + len(blob[2])

    def decode(blob: tuple[int, list[bytes], bytes]) -> Any:
        whole, frames, tail = blob
        out = np.empty(whole + len(tail), np.uint8)
        at = 0
        for frame in frames:
            piece = decoder.decompress(frame)[0].content.as_nparray().view(np.uint8)
            out[at : at + len(piece)] = piece
            at += len(piece)
        out[whole:] = np.frombuffer(tail, np.uint8)
        return out

    # The context refers to the compressor, so both must live as long as the codec does.
    return Codec("openzl", version("openzl"), encode, decode, size, keep=compressor)


def _openzl_graph(ext: Any, compressor: Any, dtype: str) -> Any:
    graphs, nodes = ext.graphs, ext.nodes
    if dtype == "BF16":
        return nodes.BFloat16Deconstruct()(compressor, graphs.Store(), graphs.Entropy())
    if dtype in ("F16", "F32"):
        lanes = nodes.TransposeSplit()(compressor, graphs.Entropy())
        return nodes.ConvertNumToStructLE()(compressor, lanes)
    return graphs.Compress()(compressor)


def every(dtype: str) -> Iterator[tuple[str, Callable[[], Codec]]]:
    """Names of codecs and what makes them, for a file whose elements are mostly of this type."""
    yield "weft fast", lambda: weft("fast")
    yield "weft default", lambda: weft("default")
    yield "zstd -3", lambda: zstd(3)
    yield "zipnn", lambda: zipnn(dtype)
    yield "openzl", lambda: openzl(dtype)
    yield "lz4", lz4
    yield "blosc2 zstd", lambda: blosc2(dtype)
