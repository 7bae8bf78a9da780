"""The command bench: size and speed of one file in memory, on one thread, beside every codec installed."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codec.cli import peers
from codec.cli.console import Console
from codec.cli.failures import DONE, UsageError
from codec.cli.text import percent, printable, size, table


@dataclass(slots=True)
class Score:
    """What one codec did: bytes, and the seconds of its best round."""

    codec: peers.Codec
    stored: int
    encode: float = float("inf")
    decode: float = float("inf")


def run(options: argparse.Namespace) -> int:
    """Measure, and print a table."""
    import codec

    console = Console(as_json=options.json)
    data = Path(options.path).read_bytes()
    if not data:
        raise UsageError(f"{printable(options.path)}: is empty; there is nothing to measure")
    console.announce_kernels()
    bits = codec.estimate_file(options.path).bits
    dtype = max(bits, key=lambda name: sum(bits[name].values()), default="")
    skipped: dict[str, str] = {}
    # Some libraries print; standard output is for the result.
    with redirect_stdout(sys.stderr):
        scores = _first_round(data, dtype, skipped)
        for number in range(options.rounds):
            console.status(f"round {number + 1} of {options.rounds}")
            for score in scores:
                _round(score, data)
        console.status("")
    console.result(*_told(options, data, dtype, scores, skipped))
    return DONE


def _first_round(data: bytes, dtype: str, skipped: dict[str, str]) -> list[Score]:
    """Run every codec once, untimed: whatever must be loaded or compiled is, and the result is checked."""
    scores = []
    for name, make in peers.every(dtype):
        try:
            codec = make()
            blob = codec.encode(codec.prepare(data))
            if memoryview(codec.decode(blob)) != data:
                skipped[name] = "did not give the original back"
                continue
            scores.append(Score(codec, codec.size(blob)))
        except ImportError:
            skipped[name] = "not installed"
        except Exception as error:  # noqa: BLE001  # what other libraries raise is theirs; the others go on
            skipped[name] = printable(f"{type(error).__name__}: {error}")
    return scores


def _round(score: Score, data: bytes) -> None:
    codec = score.codec
    given = codec.prepare(data)
    seconds, blob = _timed(codec.encode, given)
    score.encode = min(score.encode, seconds)
    seconds, _ = _timed(codec.decode, blob)
    score.decode = min(score.decode, seconds)


def _timed(function: Callable[[Any], Any], given: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    made = function(given)
    return time.perf_counter() - start, made


def _told(
    options: argparse.Namespace, data: bytes, dtype: str, scores: list[Score], skipped: dict[str, str]
) -> tuple[dict[str, Any], str]:
    rows, records = [], []
    for score in scores:
        codec, ratio = score.codec, score.stored / len(data)
        speeds = (len(data) / score.encode, len(data) / score.decode)
        rows.append((codec.name, size(score.stored), percent(ratio), *(f"{size(speed)}/s" for speed in speeds)))
        record = {"name": codec.name, "version": codec.version, "stored_bytes": score.stored, "ratio": ratio}
        records.append(record | {"encode_seconds": score.encode, "decode_seconds": score.decode})
    rounds = "1 round" if options.rounds == 1 else f"the best of {options.rounds} rounds"
    text = (
        f"{printable(options.path)} : {size(len(data))}, mostly {dtype or 'opaque'}; "
        f"in memory, one thread, {rounds}\n\n"
    )
    text += table(("codec", "stored", "ratio", "encode", "decode"), rows)
    for name, why in skipped.items():
        text += f"\nskipped {name}: {why}"
    result = {"path": options.path, "original_bytes": len(data), "dtype": dtype, "rounds": options.rounds}
    return result | {"threads": 1, "codecs": records, "skipped": skipped}, text
