"""Writes vectors/: files that a decoder must read, files that it must refuse, and the manifest that says which.

    python make_vectors.py            into an empty vectors/ only
    python make_vectors.py --force    in place of those that are there

Vectors are for ever: a file that was once valid stays so. They are written again only while no release has
promised them, and new ones are added beside the old. Every vector is read by the reference decoder first, and nothing
is written if one is not as it is meant to be. Needs the `codec` package beside it, whose encoder wrote many of them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import invalid_vectors  # noqa: E402
import reference_decoder as reference  # noqa: E402
import valid_vectors  # noqa: E402

#: Which of the reference decoder's ways of reading is which in a manifest.
WAYS = {"front_to_back": reference.decode, "by_index": reference.decode_by_index}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def valid_entry(v: valid_vectors.Valid) -> dict[str, Any]:
    for way, decode in WAYS.items():
        assert v.large or decode(v.blob) == v.original, f"{v.name}: {way}"
    found = [[name, dtype, list(shape)] for name, dtype, shape, _, _ in reference.tensors(v.blob)]
    entry = {"name": v.name, "shows": v.shows, "bytes": len(v.blob), "sha256": sha256(v.blob)}
    entry |= {"original_bytes": len(v.original), "original_sha256": sha256(v.original), "tensors": found}
    return entry | ({"large": True} if v.large else {})


def outcome(decode: Any, blob: bytes) -> str | bytes:
    try:
        found: bytes = decode(blob)
    except reference.FormatError as error:
        return type(error).__name__
    return found


def invalid_entry(v: invalid_vectors.Invalid) -> dict[str, Any]:
    for way, decode in WAYS.items():
        wanted = v.otherwise.get(way, v.error)
        found = outcome(decode, v.blob)
        assert found in (wanted if isinstance(wanted, list) else [wanted]), f"{v.name}: {way}: {found!r}"
    entry: dict[str, Any] = {"name": v.name, "breaks": v.breaks, "bytes": len(v.blob), "sha256": sha256(v.blob)}
    entry["error"] = v.error
    if v.otherwise:
        entry["otherwise"] = v.otherwise
    if v.original is not None:
        entry["original_sha256"] = sha256(v.original)
    return entry


def main(arguments: list[str]) -> int:
    target = FOLDER / "vectors"
    there = [kind for kind in ("valid", "invalid") if (target / kind).exists()]
    if arguments not in ([], ["--force"]) or (there and not arguments):
        print(f"{target} holds {' and '.join(there)} vectors: --force writes them again", file=sys.stderr)
        return 2
    held: dict[str, dict[str, bytes]] = {"valid": {}, "invalid": {}}
    manifest: dict[str, list[Any]] = {"valid": [], "invalid": []}
    for v in valid_vectors.vectors():
        manifest["valid"].append(valid_entry(v))
        held["valid"][v.name] = v.blob
    for i in invalid_vectors.vectors():
        manifest["invalid"].append(invalid_entry(i))
        held["invalid"][i.name] = i.blob
    for kind, blobs in held.items():
        assert len(blobs) == len(manifest[kind]), "two vectors of one name"
        shutil.rmtree(target / kind, ignore_errors=True)
        (target / kind).mkdir(parents=True)
        for name, blob in blobs.items():
            (target / kind / f"{name}.weft").write_bytes(blob)
    lines = [
        f'"{kind}": [\n' + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n]"
        for kind, entries in manifest.items()
    ]
    (target / "manifest.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8", newline="\n")
    for kind, blobs in held.items():
        print(f"{len(blobs)} {kind}, {sum(map(len, blobs.values()))} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
