"""What bench/ measures with, apart from measuring: the made inputs, what counts are taken of, the tables."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from bench import by_kind, cabac, contents, corpora, decode_kinds, gguf, integers, kinds, minilm, run, structured
from bench.corpora import Corpus
from codec.sources.gguf_types import BLOCKS

SMALL = 160_000


def tensors(case: str, dtype: str, size: int = SMALL) -> dict[str, np.ndarray]:
    data = structured.content(case, dtype, size)
    start = 8 + int.from_bytes(data[:8], "little")
    form = {"BF16": np.uint16, "F32": np.float32}
    return {
        name: np.frombuffer(
            data[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]], form[entry["dtype"]]
        )
        for name, entry in json.loads(data[8:start]).items()
    }


@pytest.mark.parametrize("name", structured.NAMES)
def test_structured_cases_are_the_same_each_time(name: str) -> None:
    case, dtype = name.removeprefix("structured-").removesuffix(".safetensors").rsplit("-", 1)
    assert structured.content(case, dtype, SMALL) == structured.content(case, dtype, SMALL)


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
@pytest.mark.parametrize(("case", "most"), [("int4", 15), ("int8", 255)])
def test_dequantised_weights_take_few_values(case: str, most: int, dtype: str) -> None:
    (values,) = tensors(case, dtype).values()
    assert most // 2 < len(np.unique(values)) <= most + 1  # -0 is another value


def test_sparse_weights_are_half_zeros() -> None:
    (values,) = tensors("sparse", "fp32").values()
    assert 0.48 < (values == 0).mean() < 0.52


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_repeats_are_forty(dtype: str) -> None:
    (whole,) = tensors("repeated", dtype).values()
    assert len({part.tobytes() for part in whole.reshape(40, -1)}) == 1
    parts = tensors("repeated-tensors", dtype)
    assert len(parts) == 40 and len({part.tobytes() for part in parts.values()}) == 1


def test_ties_and_copies_are_whole_tensors() -> None:
    held = tensors("checkpoint", "bf16")
    assert held["embedding"].tobytes() == held["output_projection"].tobytes()
    assert held["shared_0"].tobytes() == held["shared_2"].tobytes() == held["block_0"].tobytes()
    assert held["shared_1"].tobytes() == held["block_1"].tobytes() != held["block_0"].tobytes()
    tied = structured.tied(1, "bf16", width=16, vocabulary=32)
    assert tied["lm_head.weight"][1] is tied["model.embed_tokens.weight"][1]
    assert len(tied) == 5  # one layer at least


def test_gradients_are_the_same_on_any_machine() -> None:
    made = kinds.gradient(3, (8, 16)), kinds.gradient(4, (24,))
    found = [hashlib.sha256(values.astype("<f4").tobytes()).hexdigest()[:16] for values in made]
    assert found == ["a7b89ac09fd7bc48", "aaf612594dfce14f"]


def test_a_missing_writer_leaves_its_files_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    def missing(path: Path) -> None:
        raise ImportError("no such package")

    def written(path: Path) -> None:
        path.write_bytes(path.name.encode())

    monkeypatch.setattr(minilm, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(
        corpora, "MADE", {"kinds": ({"a.pt": 0, "b.h5": 0}, kinds.make), "structured": corpora.MADE["structured"]}
    )
    monkeypatch.setattr(
        kinds, "KINDS", {"a.pt": kinds.Kind(written, "float32"), "b.h5": kinds.Kind(missing, "float32")}
    )
    found = corpora.select(["kinds"], ())
    assert [(c.name, c.group, c.dtype, c.path.read_bytes()) for c in found] == [("a.pt", "kinds", "float32", b"a.pt")]
    assert "b.h5 (no such package)" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "kinds").iterdir()] == ["a.pt"]


def measured(file: str, codec: str, stored: int, *, exact: bool = True, failure: str = "") -> run.Measured:
    corpus = Corpus(file, "made", Path(file), "float32")
    return run.Measured(corpus, 1000, codec, 1, "1", failure, stored, exact)


TURNS = [
    measured("a", "weft", 500),
    measured("a", "zipnn", 510),
    measured("a", "openzl", 400, exact=False),
    measured("a", "xz-9", 490),
    measured("b", "weft", 700),
    measured("b", "zipnn", 0, failure="ValueError: |"),
    measured("b", "openzl", 740),
    measured("b", "xz-9", 710),
]
CODECS = ["weft", "zipnn", "openzl", "xz-9"]


def test_sizes_count_only_if_exact(tmp_path: Path) -> None:
    lines = by_kind.lines(TURNS)
    assert [line.stored for line in lines] == [
        {"weft": 500, "zipnn": 510, "xz-9": 490},
        {"weft": 700, "openzl": 740, "xz-9": 710},
    ]
    text = by_kind.write(lines, CODECS, {"weft": "1"}, tmp_path)
    assert text == (tmp_path / "sizes-by-kind.md").read_text()
    assert "| a | made | 1,000 | 0.5000 | 0.5100 | - | **0.4900** | xz-9 |" in text
    assert "| b | made | 1,000 | **0.7000** | - | 0.7400 | 0.7100 | xz-9 |" in text
    assert "| all | | 2,000 | 0.6000 | - | - | 0.6000 | |" in text
    assert "weft <= 0.98 of the sum of the best of zipnn, openzl per file: 1,200 / 1,250 = 0.9600: yes." in text
    assert "- a: 500, 1.0204 of xz-9's 490" in text
    assert "- b: " not in text
    assert "- openzl: did not give the bytes back" in text and "- zipnn: ValueError: /" in text
    with (tmp_path / "sizes-by-kind.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[1] == ["a", "made", "float32", "1000", "500", "510", "-", "490", "xz-9", "zipnn"]


def test_a_verdict_needs_something_to_compare_with() -> None:
    lines = by_kind.lines([measured("a", "weft", 500), measured("a", "zipnn", 1, failure="gone")])
    assert by_kind.verdict(lines, ["zipnn"], "weft") == "weft: nothing to compare with."
    assert by_kind.larger(lines, ["weft", "zipnn"], "weft") == []


def test_our_own_failure_is_said() -> None:
    lines = by_kind.lines([measured("a", "weft", 5, exact=False), measured("a", "zipnn", 9)])
    assert by_kind.larger(lines, ["weft", "zipnn"], "weft") == ["a: weft failed: did not give the bytes back"]


def test_every_codec_of_the_sizes_is_known() -> None:
    assert set(by_kind.CODECS) <= set(by_kind.REGISTRY)
    assert not any(by_kind.REGISTRY[codec].ours for codec in (*by_kind.FAST, *by_kind.VARIANTS))


def test_rounding_is_to_steps_of_the_deviation() -> None:
    values = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    coarse, fine = (integers.rounded(values, step) for step in (1.27, 0.001))
    assert coarse.dtype == np.int8 and fine.dtype == np.int16
    assert 0.45 < (coarse == 0).mean() < 0.5  # of a Gaussian; trained weights have more near 0
    assert np.abs(fine * (0.001 * values.std()) - values).max() < 0.001
    assert integers.entropy(np.zeros(9, np.int8)) == 0
    assert integers.entropy(np.arange(256)) == 8


def test_integers_are_coded_and_compared() -> None:
    matrices = [np.arange(-60, 60, dtype=np.int8).reshape(8, 15), np.full((4, 4), 300, np.int16)]
    found = integers.measure(matrices, None, 1)
    assert [coder.name for coder in found] == ["weft", "weft-max"]
    assert all(coder.exact and coder.stored and len(coder.encoding) == 1 for coder in found)
    line = integers.row(matrices, found)
    assert line.startswith("| 0.7 % | int8, int16 | 6.094 | ")
    assert line.count("|") == integers.head([coder.name for coder in found]).splitlines()[0].count("|")
    found[0].exact = False
    assert "| not exact |" in integers.row(matrices, found)


def test_a_missing_coder_is_a_reason(tmp_path: Path) -> None:
    with pytest.raises(cabac.CoderMissingError, match="no deepCABAC"):
        cabac.locate(str(tmp_path))


def blocks(name: str, count: int = 64) -> np.ndarray:
    size = BLOCKS[name].size
    return np.frombuffer(np.random.Generator(np.random.PCG64(1)).bytes(count * size), np.uint8).reshape(count, size)


@pytest.mark.parametrize(
    ("name", "field"), [(name, f) for name, b in BLOCKS.items() for f in b.fields if f.kind in gguf.BITS]
)
def test_packed_fields_come_apart_and_together(name: str, field) -> None:
    held = blocks(name)
    codes = gguf.unpacked(held, field)
    assert codes.shape == (64, field.size * 8 // gguf.BITS[field.kind])
    assert np.array_equal(contents.packed(codes, field), held[:, field.offset : field.offset + field.size])


@pytest.mark.parametrize("name", BLOCKS)
def test_ideal_bits_of_noise_are_all_bits(name: str) -> None:
    held = blocks(name, 4096)
    bits = gguf.ideal_bits(name, held.reshape(-1))
    assert 0.98 * 8 * held.size < bits <= 8 * held.size + 1e-6


def test_ideal_counts_whole_codes() -> None:
    """In Q5_0 a code is 5 bits: a tensor of two codes takes one bit a weight, whatever their halves are."""
    codes = np.tile(np.array([0, 31], np.uint8), (8, 16))
    d, high, low = BLOCKS["Q5_0"].fields
    data = np.concatenate(
        [np.zeros((8, d.size), np.uint8), contents.packed(codes >> 4, high), contents.packed(codes & 15, low)], axis=1
    )
    assert gguf.ideal_bits("Q5_0", data.reshape(-1)) == codes.size


def test_k_quants_are_what_the_package_dequantises() -> None:
    quants = pytest.importorskip("gguf").quants
    kinds_ = pytest.importorskip("gguf").GGMLQuantizationType
    values = np.random.default_rng(0).standard_normal((4, 1536)).astype(np.float32)
    for name, made, error in (("Q4_K", contents.q4_k(values), 0.3), ("Q6_K", contents.q6_k(values), 0.1)):
        held = quants.dequantize(made.reshape(4, -1), kinds_[name])
        assert np.abs(held - values).max() < error
        # Scales and minima as well as codes are taken apart as the package takes them.
        parts = gguf.symbols(name, made)
        assert sum(part.size for part in parts) > values.size


def test_contents_decode_and_make_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_kinds, "CALLED_BYTES", 1)
    content = decode_kinds.prepared("zero bytes", "default")
    content.turn(np.ones(content.data.size, np.uint8))
    assert content.row().startswith("| zero bytes | 8,388,608 | 0.0001 | ")


def test_gguf_table_is_per_weight() -> None:
    sums = gguf.Sums(tensors=1, weights=32, nominal=18, stored=17, ideal=128.0)
    line = gguf.table([("f.gguf", "Q4_0", sums)]).splitlines()[-1]
    assert line == "| f.gguf | Q4_0 | 1 | 32 | 4.5000 | 4.2500 | 4.0000 | 0.9444 | 1.0625 |"


def test_sizes_of_peers_are_taken_from_earlier_runs(tmp_path: Path) -> None:
    """Only of files of the same name and size, and not of what is measured now."""
    before = by_kind.lines([measured("a", "weft", 900), measured("a", "zipnn", 600), measured("b", "zipnn", 70)])
    by_kind.write(before, ["weft", "zipnn"], {"weft": "1", "zipnn": "2"}, tmp_path)
    now = by_kind.lines([measured("a", "weft", 500), measured("c", "weft", 5)])
    codecs = by_kind.complete(now, ["weft"], by_kind.earlier([tmp_path / "sizes-by-kind.csv"]))
    assert codecs == ["weft", "zipnn"]
    assert [line.stored for line in now] == [{"weft": 500, "zipnn": 600}, {"weft": 5}]
