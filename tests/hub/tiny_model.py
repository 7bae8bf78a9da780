"""A program that makes tiny models, or loads them: it knows transformers, and nothing of weft.

``make FOLDER`` saves each of MODELS below a folder; ``load REPO ...`` loads repos of the Hub. Either prints one JSON
object: by name, the digest of the logits, or the error that came instead.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

#: Type of the model, type of its numbers, and the size of a shard.
MODELS = {
    "one-file": ("llama", "bfloat16", "1GB"),
    "sharded": ("llama", "float32", "500KB"),
    "encoder": ("bert", "float32", "1GB"),
}


def digest(model: Any) -> str:
    """Of what a model says to a fixed text: equal only if every bit is."""
    import torch

    ids = (torch.arange(24) * 7 % model.config.vocab_size).view(2, 12)
    with torch.inference_mode():
        logits = model.eval()(ids).logits
    assert logits.isfinite().all() and logits.std() > 0
    shape = ",".join(map(str, logits.shape))
    return f"{shape}:{hashlib.sha256(logits.float().numpy().tobytes()).hexdigest()}"


def make(folder: Path) -> dict[str, str]:
    """Save models with fixed weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

    made = {}
    for seed, (name, (kind, dtype, shard)) in enumerate(MODELS.items()):
        torch.manual_seed(seed)
        config = AutoConfig.for_model(
            kind, vocab_size=512, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4
        )
        auto = AutoModelForMaskedLM if kind == "bert" else AutoModelForCausalLM
        model = auto.from_config(config, dtype=getattr(torch, dtype))
        model.save_pretrained(folder / name, max_shard_size=shard)
        made[name] = digest(model)
    return made


def load(repos: list[str], **options: Any) -> dict[str, str]:
    """Load models by the names of their repos."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

    found = {}
    for repo in repos:
        try:
            config = AutoConfig.from_pretrained(repo, **options)
            auto = AutoModelForMaskedLM if config.model_type == "bert" else AutoModelForCausalLM
            found[repo] = digest(auto.from_pretrained(repo, **options))
        except OSError as error:
            found[repo] = f"{type(error).__name__}: {error}"
    return found


def main() -> None:
    """See the head of this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["make", "load"])
    parser.add_argument("names", nargs="+")
    parser.add_argument("--cache-dir")
    parser.add_argument("--local-files-only", action="store_true")
    options = parser.parse_args()
    if options.what == "make":
        result = make(Path(options.names[0]))
    else:
        result = load(options.names, cache_dir=options.cache_dir, local_files_only=options.local_files_only)
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
