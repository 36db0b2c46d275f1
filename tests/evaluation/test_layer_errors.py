"""Errors by layer against transformers' own hidden states and products by hand in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nmforge.evaluation.layer_errors import comparable, compare_models, watched_names
from nmforge.models.sources.toy import toy_model

WINDOWS = torch.stack([torch.arange(40) * 11 % 257, torch.arange(40) * 7 % 257])


def toy() -> Any:
    return toy_model().eval()


@pytest.fixture
def models() -> tuple[Any, Any]:
    """A model whose first block is damaged in its q_proj, and the sound one."""
    damaged = toy()
    with torch.no_grad():
        weight = damaged.model.layers[0].self_attn.q_proj.weight
        weight += 0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    return damaged, toy()


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).double().square().sum() / wanted.double().square().sum())


@torch.inference_mode()
def test_errors_are_those_of_the_activations(models: tuple[Any, Any]) -> None:
    damaged, sound = models
    sums = compare_models(damaged, sound, WINDOWS)
    blocks = len(sound.model.layers)
    assert list(sums) == watched_names(blocks)
    first = sums["model.layers.0.self_attn.q_proj"].columns()
    x = sound.model.layers[0].input_layernorm(sound.model.embed_tokens(WINDOWS))
    layers = [model.model.layers[0].self_attn.q_proj for model in models]
    assert first["input_error"] == 0
    assert first["output_error"] == pytest.approx(relative(*(x @ layer.weight.T for layer in layers)), rel=1e-4)
    assert first["input_peak"] == pytest.approx(float(x.abs().max() / x.square().mean().sqrt()), rel=1e-5)
    streams = [model.model(WINDOWS, output_hidden_states=True).hidden_states for model in models]
    for block in range(1, blocks):
        found = sums[f"model.layers.{block}"].columns()["input_error"]
        assert found == pytest.approx(relative(*(stream[block] for stream in streams)), rel=1e-3)
        assert found == pytest.approx(sums[f"model.layers.{block - 1}"].columns()["output_error"], rel=1e-6)


@pytest.mark.parametrize(
    ("transforms", "gone"),
    [
        ([], {}),
        (["permute"], {"mlp.up_proj": ["output_error"], "self_attn.o_proj": ["input_error"]}),
        (
            ["awq"],
            {
                "mlp.up_proj": ["input_error", "output_error"],
                "self_attn.o_proj": ["input_error"],
                "self_attn.q_proj": ["input_error"],
            },
        ),
    ],
)
def test_channels_reordered_or_scaled_are_not_compared(transforms: list[str], gone: dict[str, list[str]]) -> None:
    measured = {"input_error": 0.1, "output_error": 0.2, "input_peak": 9.0}
    for name in ("mlp.up_proj", "self_attn.o_proj", "self_attn.q_proj"):
        found = comparable({"transforms": transforms}, f"model.layers.7.{name}", measured)
        assert found == {key: None if key in gone.get(name, []) else value for key, value in measured.items()}
    assert comparable({"transforms": transforms}, "model.layers.7", measured) == measured


def test_a_model_compared_with_itself_has_no_error_and_no_hook_stays(models: tuple[Any, Any]) -> None:
    sound = models[1]
    for found in compare_models(toy(), sound, WINDOWS).values():
        assert found.columns()["output_error"] == 0
    assert not any(module._forward_hooks for module in sound.modules())
