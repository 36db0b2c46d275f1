"""Artifacts for tests: the toy checkpoint compressed, and a random model of one block that needs neither a checkpoint
nor torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from nmforge.artifact.format import RawTensor, write_artifact
from nmforge.core.compressed_linear import random_linear
from nmforge.core.design import DesignPoint
from nmforge.core.formats import DENSE, Pattern
from nmforge.models.llama import BLOCK_LINEARS, BLOCK_NORMS, LlamaShape

RTN = DesignPoint("rtn", Pattern(2, 4), "magnitude", "rtn", 4, 32)
BF16 = DesignPoint("dense", DENSE, "none", "none", 16, 0)
CONFIG = {
    "model_type": "llama", "hidden_act": "silu", "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 1,
    "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 16, "vocab_size": 20, "rms_norm_eps": 1e-5,
    "max_position_embeddings": 64, "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
    "tie_word_embeddings": True,
}  # fmt: skip


@dataclass(frozen=True)
class Format:
    """How the layers of a random model are stored."""

    pattern: str
    bits: int
    group_size: int
    encoding: str


def compressed_toy(checkpoint: Path, point: DesignPoint = RTN) -> Path:
    """A design point that needs no calibration, written next to the checkpoint."""
    from nmforge.compression.run import compress_checkpoint  # torch, which the other factory does without
    from nmforge.config import CalibrationConfig

    out = checkpoint.parent / f"{point.id}.nmf.safetensors"
    compress_checkpoint(checkpoint, Path("unused"), point, CalibrationConfig(), "bitmask", out)
    return out


def random_model(path: Path, kind: Format | None, tokenizer: Tokenizer | None = None) -> None:
    """Write a whole model of one block, compressed or (None) in bf16; with a tokenizer it can generate."""
    rng = np.random.default_rng(0)
    config = CONFIG if tokenizer is None else CONFIG | {"vocab_size": tokenizer.get_vocab_size()}
    sizes = dict(zip(BLOCK_LINEARS, LlamaShape.from_config(config).linear_sizes, strict=True))
    rest = {
        "model.embed_tokens.weight": random_bf16(rng, config["vocab_size"], 48),
        "model.norm.weight": random_bf16(rng, 48),
        **{f"model.layers.0.{name}.weight": random_bf16(rng, 48) for name in BLOCK_NORMS},
    }
    header = {"model": {"config": config}, "design": {"id": "random"}}
    if tokenizer is not None:
        text = tokenizer.to_str().encode()
        rest["tokenizer.json"] = RawTensor("uint8", (len(text),), text)
    if kind is None:
        rest |= {f"model.layers.0.{name}.weight": random_bf16(rng, *size) for name, size in sizes.items()}
        write_artifact(path, header, {}, rest, "offset")
        return
    linears = {
        f"model.layers.0.{name}": random_linear(rng, n, k, Pattern.parse(kind.pattern), kind.bits, kind.group_size)
        for name, (n, k) in sizes.items()
    }
    write_artifact(path, header, linears, rest, kind.encoding)


def random_bf16(rng: np.random.Generator, *shape: int) -> RawTensor:
    """Normal numbers, truncated to bf16."""
    bits = (rng.standard_normal(shape, dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return RawTensor("bfloat16", shape, bits.tobytes())


def byte_tokenizer() -> Tokenizer:
    """256 tokens, one for each byte; no merges."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={symbol: index for index, symbol in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
