"""Scaled channels: folding changes no bit, and factors are those that round best."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from factories.registered import registered
from torch import Tensor, nn

from nmforge.artifact.format import load_linears
from nmforge.artifact.header import read_header
from nmforge.compression import blockwise as block_loop
from nmforge.compression.calibration.statistics import InputStats
from nmforge.compression.layer_group import LayerGroup
from nmforge.compression.quantization.rtn import rtn
from nmforge.compression.run import compress_checkpoint
from nmforge.compression.transforms.awq import ALPHAS, LARGEST, find_factors
from nmforge.compression.transforms.input_change import ChannelFactors
from nmforge.compression.transforms.registry import REGISTRY, Transform
from nmforge.config import CalibrationConfig
from nmforge.core.design import DesignPoint
from nmforge.core.formats import DENSE, Pattern, QuantScheme
from nmforge.linalg.bf16 import ROWS
from nmforge.linalg.bf16_linear import Bf16Linear
from nmforge.models.llama import BLOCK_LINEARS, InputGroups
from nmforge.models.load import load_checkpoint
from nmforge.runtime.torch_model import load_packed

CALIBRATION = CalibrationConfig(tokens=256, seqlen=64)
TOKENS = torch.arange(ROWS + 4)[None] * 11 % 257  # enough for our own products


def logits(model: nn.Module) -> Tensor:
    with torch.inference_mode():
        found: Tensor = model(TOKENS).logits
    return found


def any_factors(group: LayerGroup, inputs: InputGroups | None) -> ChannelFactors:
    """Random factors, the same ones where heads read the same rows."""
    k = group.weight.shape[1]
    width, shared = (inputs.size, inputs.shared_by) if inputs else (k, 1)
    own = torch.randint(-2, 3, (k // (width * shared), 1, width)).float().exp2()
    return ChannelFactors(own.expand(-1, shared, width).reshape(-1))


def factors_of(
    weights: list[Tensor], gram: Tensor, pattern: Pattern, scheme: QuantScheme, inputs: InputGroups | None = None
) -> Tensor:
    """The factors found for layers that read inputs with this Gram matrix."""
    point = DesignPoint("p", pattern, "wanda", "rtn", scheme.bits, scheme.group_size)
    named = {str(place): weight for place, weight in enumerate(weights)}
    return find_factors(LayerGroup.stack(named, InputStats(1, gram), point, {}), inputs).factors


def test_folded_factors_leave_every_bit_of_the_model(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[dict[str, Tensor]] = []

    def keep(block: nn.Module) -> None:
        if hasattr(block, "self_attn"):
            walked.append({name: block.get_submodule(name).weight.clone() for name in BLOCK_LINEARS})

    monkeypatch.setattr(block_loop, "empty", keep)
    point = DesignPoint("p", DENSE, "none", "rtn", 8, 32, transforms=("any-factors",))
    with registered(REGISTRY, Transform("any-factors", "scales", any_factors, order=2, scales=True)):
        compress_checkpoint(start / "checkpoint", start / "tokens", point, CALIBRATION, "offset", start / "folded")
    unfolded = load_checkpoint(start / "checkpoint")[0]
    for index, weights in enumerate(walked):
        for name, weight in weights.items():
            path = f"model.layers.{index}.{name}"
            original = unfolded.get_submodule(path).weight
            assert (weight - original).abs().max() < 0.1 * original.abs().max()  # 8 bits, factors up to 4
            unfolded.set_submodule(path, Bf16Linear.from_weight(weight))
    assert len(walked) == 2
    assert torch.equal(logits(load_packed(start / "folded", "w4a16", torch.float32, 1)), logits(unfolded))
    norms = load_packed(start / "folded", "w4a16", torch.float32, 1).model.layers[0]
    dense = load_checkpoint(start / "checkpoint")[0].model.layers[0]
    assert (norms.input_layernorm.weight != dense.input_layernorm.weight).any()


def output_error(weight: Tensor, factors: Tensor, x: Tensor, kept: Tensor, scheme: QuantScheme) -> float:
    """Squared error of the outputs for inputs [T, K], straight from the definition."""
    found = rtn(weight * factors, kept, scheme)
    step = found.group_mult.double() * found.row_scale.double()[:, None]
    rounded = found.codes.double() * step.repeat_interleave(scheme.group_size, dim=1) / factors.double()
    return float(((x.double() @ (rounded - weight.double()).T) ** 2).sum())


@pytest.mark.parametrize(("pattern", "shared"), list(product([DENSE, Pattern(2, 4)], [1, 2])))
def test_factors_are_the_best_of_those_tried(pattern: Pattern, shared: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 32, generator=generator) * torch.rand(32, generator=generator).mul(6).exp2()
    x[:, 5] = 0
    weight, scheme = torch.randn(12, 32, generator=generator), QuantScheme(3, 8)
    gram = x.T @ x
    found = factors_of([weight[:5], weight[5:]], gram, pattern, scheme, InputGroups(8, shared))
    score = (weight.square() * gram.diagonal()).view(12, -1, pattern.window)
    kept = (score.argsort(dim=2, descending=True).argsort(dim=2) < pattern.keep).view(12, 32)
    assert torch.equal(found.log2(), found.log2().round())
    assert torch.equal(*(found.view(-1, shared, 8)[:, place] for place in (0, -1)))
    rms = (gram.diagonal().view(-1, shared, 8).mean(dim=1, keepdim=True).expand(-1, shared, 8).reshape(-1)).sqrt()
    logs = torch.where(rms > 0, rms.log2() - rms[rms > 0].log2().mean(), 0.0)
    candidates = [(alpha * logs).round().exp2() for alpha in ALPHAS]
    errors = [output_error(weight, factors, x, kept, scheme) for factors in candidates]
    assert output_error(weight, found, x, kept, scheme) == pytest.approx(min(errors), rel=1e-4)
    assert min(errors) < 0.9 * errors[0]  # against no factors at all


def test_a_channel_that_is_hardly_active_is_not_scaled_beyond_reason() -> None:
    gram = torch.eye(16)
    gram[3, 3] = 1e-30
    factors = factors_of([torch.randn(4, 16) * 1000 ** torch.rand(16)], gram, DENSE, QuantScheme(2, 16))
    assert factors.log2().abs().max() <= LARGEST


def test_a_layer_without_inputs_keeps_its_scale() -> None:
    assert (factors_of([torch.randn(4, 16)], torch.zeros(16, 16), DENSE, QuantScheme(4, 16)) == 1).all()


@pytest.mark.parametrize(
    "point",
    [
        DesignPoint("p", DENSE, "none", "rtn", 3, 32, transforms=("awq",)),
        DesignPoint("p", Pattern(2, 4), "alps", "gptq", 3, 32, "dense", ("permute", "awq")),
    ],
)
def test_a_scaled_point_is_calibrated_on_what_it_will_be(start: Path, tmp_path: Path, point: DesignPoint) -> None:
    out = {}
    others = tuple(name for name in point.transforms if name != "awq")
    for awq, transforms in ((False, others), (True, point.transforms)):
        path = tmp_path / str(awq)
        own = replace(point, transforms=transforms)
        compress_checkpoint(start / "checkpoint", start / "tokens", own, CALIBRATION, "offset", path)
        out[awq] = logits(load_packed(path, "w4a16", torch.float32, 1))
    wanted = logits(load_checkpoint(start / "checkpoint")[0])
    plain, scaled = (float((found - wanted).square().mean()) for found in out.values())
    assert scaled != plain
    assert scaled < (1.1 if point.quantizer == "rtn" else 1.5) * plain  # its inputs are all as active
    assert read_header(tmp_path / "True")["calibration"]["tokens"] > 0
    assert load_linears(tmp_path / "True").keys() == load_linears(tmp_path / "False").keys()
