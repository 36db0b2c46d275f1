"""Reordered channels leave the model what it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from factories.registered import registered
from torch import Tensor

from nmforge.artifact.format import load_linears
from nmforge.compression.layer_group import LayerGroup
from nmforge.compression.run import compress_checkpoint
from nmforge.compression.transforms.input_change import ChannelOrder
from nmforge.compression.transforms.registry import REGISTRY, Transform
from nmforge.config import CalibrationConfig
from nmforge.core.design import DesignPoint
from nmforge.core.formats import DENSE, Pattern
from nmforge.data.corpora.registry import Documents
from nmforge.data.tokens import write_tokens
from nmforge.models.llama import InputGroups
from nmforge.models.load import load_tokenizer
from nmforge.runtime.torch_model import load_packed

TOKENS = torch.arange(60)[None] * 11 % 257
CALIBRATION = CalibrationConfig(tokens=256, seqlen=64)


@pytest.fixture
def tokens(checkpoint: Path, tmp_path: Path) -> Path:
    text = ["".join(chr(97 + (i * j) % 26) for i in range(200)) for j in range(1, 9)]
    write_tokens(Documents(text, text[:1], "r"), load_tokenizer(checkpoint), tmp_path / "tokens")
    return tmp_path / "tokens"


def logits(artifact: Path) -> Tensor:
    with torch.inference_mode():
        return load_packed(artifact, "w4a16", torch.float32, 1)(TOKENS).logits


def shuffle(group: LayerGroup, inputs: InputGroups | None) -> ChannelOrder | None:
    """A random order where one is allowed."""
    if inputs is None:
        return None
    width, shared = inputs.size, inputs.shared_by
    groups = group.weight.shape[1] // (width * shared)
    within = torch.stack([torch.randperm(width) for _ in range(groups)])
    writers = (within + width * torch.arange(groups)[:, None]).flatten()
    order = torch.cat([within[g] + width * (g * shared + s) for g in range(groups) for s in range(shared)])
    return ChannelOrder(order, writers)


def test_any_allowed_order_gives_the_same_model(checkpoint: Path, tokens: Path, tmp_path: Path) -> None:
    point = DesignPoint("p", DENSE, "none", "rtn", 8, 0)  # rounded row by row, which no order of the columns changes
    compress_checkpoint(checkpoint, tokens, point, CALIBRATION, "offset", tmp_path / "as-it-was")
    with registered(REGISTRY, Transform("shuffle", "shuffles", shuffle, order=2, reorders=True)):
        moved = replace(point, transforms=("shuffle",))
        compress_checkpoint(checkpoint, tokens, moved, CALIBRATION, "offset", tmp_path / "reordered")
    before, after = load_linears(tmp_path / "as-it-was"), load_linears(tmp_path / "reordered")
    changed = {name.split(".")[-1] for name in before if (before[name].codes != after[name].codes).any()}
    assert changed == {"v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert torch.allclose(logits(tmp_path / "as-it-was"), logits(tmp_path / "reordered"), atol=1e-3)


def test_a_point_with_permute_is_calibrated_on_what_it_will_be(checkpoint: Path, tokens: Path, tmp_path: Path) -> None:
    outputs = []
    for transforms in ((), ("permute",)):
        point = DesignPoint("p", Pattern(2, 4), "alps", "gptq", 4, 32, "dense", transforms)
        out = tmp_path / f"{len(transforms)}"
        compress_checkpoint(checkpoint, tokens, point, CALIBRATION, "offset", out)
        outputs.append(logits(out))
    dense = DesignPoint("d", DENSE, "none", "none", 16, 0)
    compress_checkpoint(checkpoint, tokens, dense, CALIBRATION, "offset", tmp_path / "dense")
    with torch.inference_mode():
        wanted = load_packed(tmp_path / "dense", "bf16", torch.float32, 1)(TOKENS).logits
    plain, permuted = (float((found - wanted).square().mean()) for found in outputs)
    assert plain != permuted
    assert permuted < 1.5 * plain
