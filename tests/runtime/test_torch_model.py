"""A model loaded from its artifact against the checkpoint's own model with every linear layer swapped by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from factories.toy_artifacts import BF16, compressed_toy

from nmforge.artifact.format import load_linears
from nmforge.core.errors import NmforgeError
from nmforge.core.reference import dequantize, forward_w4a8
from nmforge.models.llama import linear_names
from nmforge.models.load import load_checkpoint
from nmforge.runtime.torch_model import load_packed

TOKENS = torch.arange(48)[None] * 7 % 257


def swapped(checkpoint: Path, layers: dict[str, Any]) -> Any:
    """The checkpoint's model whose linear layers compute `layers[name](x)`."""
    model = load_checkpoint(checkpoint)[0]
    for name, forward in layers.items():
        model.get_submodule(name).forward = forward
    return model


@torch.inference_mode()
def test_bf16_mode_rounds_the_inputs_of_linear_layers(checkpoint: Path) -> None:
    artifact = compressed_toy(checkpoint, BF16)
    model = load_checkpoint(checkpoint)[0]
    weights = {name: model.get_submodule(name).weight for name in linear_names(2)}
    oracle = swapped(checkpoint, {n: lambda x, w=w: x.bfloat16().float() @ w.T for n, w in weights.items()})
    logits = load_packed(artifact, "bf16", torch.float32, 1)(TOKENS).logits
    assert torch.allclose(logits, oracle(TOKENS).logits, atol=1e-5)
    assert logits.std() > 0.01


@torch.inference_mode()
def test_both_modes_of_a_compressed_artifact(checkpoint: Path) -> None:
    artifact = compressed_toy(checkpoint)
    linears = load_linears(artifact)
    weights = {name: torch.from_numpy(dequantize(linear)).bfloat16().float() for name, linear in linears.items()}
    oracles = {
        "w4a16": {n: lambda x, w=w: x.bfloat16().float() @ w.T for n, w in weights.items()},
        "w4a8": {n: lambda x, c=c: torch.from_numpy(forward_w4a8(c, x[0].numpy()))[None] for n, c in linears.items()},
    }
    for mode, layers in oracles.items():
        logits = load_packed(artifact, mode, torch.float32, 1)(TOKENS).logits
        assert torch.allclose(logits, swapped(checkpoint, layers)(TOKENS).logits, atol=1e-5), mode


def test_a_mode_the_artifact_lacks(checkpoint: Path) -> None:
    artifact = compressed_toy(checkpoint, BF16)
    with pytest.raises(NmforgeError, match="of design dense cannot run in mode w4a8; use bf16"):
        load_packed(artifact, "w4a8", torch.float32, 1)
