"""The block walk against the model's own forward pass, and its statistics against a direct product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nmforge.bf16 import round_bf16
from nmforge.calibration import SLAB, InputStats, Streams, gather, walk_block
from nmforge.errors import NmforgeError
from nmforge.models.layers import BLOCK_LINEARS, check_supported, embed
from nmforge.models.sources import SOURCES


@pytest.fixture
def model() -> Any:
    return SOURCES["toy"]("toy", None, Path())[0].eval()


@torch.inference_mode()
def test_walking_every_block_is_the_forward_pass(model: Any) -> None:
    tokens = torch.arange(40)[None] * 5 % 257
    hidden = Streams([embed(model, tokens)])
    for index in range(2):
        hidden = walk_block(model, index, hidden, lambda _names, _stats: None)
    expected = model.model(tokens, use_cache=False).last_hidden_state
    assert torch.equal(model.model.norm(hidden.compressed[0]), expected)


@torch.inference_mode()
def test_statistics_are_those_of_what_each_layer_really_reads(model: Any) -> None:
    seen: dict[str, InputStats | None] = {}
    read: dict[str, torch.Tensor] = {}
    block = model.model.layers[0]
    block.self_attn.v_proj.weight.mul_(2)
    for name in BLOCK_LINEARS:
        block.get_submodule(name).register_forward_pre_hook(lambda _m, args, name=name: read.update({name: args[0][0]}))
    tokens = torch.arange(30)[None]
    walk_block(model, 0, Streams([embed(model, tokens)]), lambda names, stats: seen.update(dict.fromkeys(names, stats)))
    assert list(seen) == list(BLOCK_LINEARS)
    for name, stats in seen.items():
        assert stats is not None
        assert stats.count == 30
        x = round_bf16(read[name])
        assert torch.allclose(stats.gram, x.T @ x, rtol=1e-5, atol=1e-6)


def test_gram_matrix_of_a_width_that_needs_several_slabs() -> None:
    x = torch.randint(-8, 8, (2, 3, 50, 2 * SLAB + 7)).float()
    stats = gather(Streams(list(x)))
    flat = x.flatten(0, 2)
    assert stats is not None
    assert stats.count == len(flat)
    assert torch.equal(stats.gram, flat.T @ flat)


@torch.inference_mode()
def test_later_layers_are_calibrated_on_the_compressed_ones(model: Any) -> None:
    tokens, block = torch.arange(30)[None], model.model.layers[0]

    def silence(names: tuple[str, ...], stats: InputStats | None) -> None:
        assert stats is not None
        if "mlp.down_proj" in names:
            assert not stats.gram.any()
        for name in names:
            block.get_submodule(name).weight.zero_()

    start = embed(model, tokens)
    assert torch.equal(walk_block(model, 0, Streams([start]), silence).compressed[0], start)


@torch.inference_mode()
def test_drift_and_residual_are_what_the_dense_model_has_and_the_compressed_one_lacks(model: Any) -> None:
    tokens, block = torch.arange(30)[None] * 3 % 257, model.model.layers[0]
    found: dict[str, InputStats] = {}

    def halve(names: tuple[str, ...], stats: InputStats | None) -> None:
        assert stats is not None
        found.update(dict.fromkeys(names, stats))
        for name in names:
            block.get_submodule(name).weight.mul_(0.5)

    start = embed(model, tokens)
    dense, left = observed(block, model, start)
    walked = walk_block(model, 0, Streams([start], [start]), halve)
    halved, right = observed(block, model, start)
    assert walked.dense is not None
    assert torch.allclose(walked.dense[0], left)
    assert torch.allclose(walked.compressed[0], right)
    for name, stats in found.items():
        drift = (round_bf16(dense[name]) - round_bf16(halved[name])).T @ round_bf16(halved[name])
        assert stats.drift is not None
        assert torch.allclose(stats.drift, drift, rtol=1e-4, atol=1e-4 * float(drift.abs().max()) + 1e-9)
    first = found["self_attn.q_proj"]
    assert torch.allclose(first.drift, torch.zeros_like(first.gram), atol=1e-5 * float(first.gram.max()))
    attended = dense["middle"] - halved["middle"]
    wanted = round_bf16(attended).T @ round_bf16(halved["mlp.down_proj"])
    assert torch.allclose(found["mlp.down_proj"].residual, wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))
    assert not found["self_attn.o_proj"].residual.any()  # type: ignore[union-attr]
    assert found["mlp.up_proj"].residual is None


def observed(block: Any, model: Any, start: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Inputs of every linear layer of a block and of its second norm (`middle`), and the block's outputs."""
    read: dict[str, torch.Tensor] = {}
    modules = {name: block.get_submodule(name) for name in BLOCK_LINEARS} | {"middle": block.post_attention_layernorm}
    hooks = [
        module.register_forward_pre_hook(lambda _m, args, name=name: read.update({name: args[0][0].clone()}))
        for name, module in modules.items()
    ]
    rotary = model.model.rotary_emb(start, torch.arange(start.shape[1])[None])
    outputs = block(start, position_embeddings=rotary, attention_mask=None)
    for hook in hooks:
        hook.remove()
    return read, outputs


def test_unsupported_layers_are_named(model: Any) -> None:
    model.model.layers[1].mlp.extra = torch.nn.Linear(4, 4)
    with pytest.raises(NmforgeError, match=r"layer model\.layers\.1\.mlp\.extra is unsupported"):
        check_supported(model)
    with pytest.raises(NmforgeError, match=r"has no model\.layers"):
        check_supported(torch.nn.Linear(2, 2))
