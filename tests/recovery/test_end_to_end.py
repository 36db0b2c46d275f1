"""Distillation: the forward pass is the artifact's arithmetic, the gradient autograd's, and a stopped run goes on."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy, kl_div, scaled_dot_product_attention
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from nmforge.artifact.format import load_linears
from nmforge.artifact.header import read_header
from nmforge.compression.run import compress_checkpoint
from nmforge.config import CalibrationConfig, RecoveryConfig
from nmforge.core.compressed_linear import random_linear
from nmforge.core.design import DesignPoint
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.core.reference import dequantize
from nmforge.models.llama import norm_names
from nmforge.models.load import load_checkpoint
from nmforge.recovery import distill
from nmforge.recovery import end_to_end as run
from nmforge.recovery.attention import QUERIES, blocked_causal
from nmforge.recovery.distill import Teacher, batches, divergence, learning_rate, next_tokens
from nmforge.recovery.end_to_end import recover_artifact
from nmforge.recovery.straight_through import LatentLinear, LatentNorm

pytestmark = pytest.mark.slow

SETTINGS = RecoveryConfig(start="x", steps=12, batch=2, seqlen=32, learning_rate=3e-3, save_every=3)


def test_forward_is_the_artifacts_arithmetic_and_codes_come_back() -> None:
    linear = random_linear(np.random.default_rng(0), 6, 64, Pattern(2, 4), 4, 16)
    layer, x = LatentLinear(linear), torch.randn(3, 64)
    assert torch.equal(layer(x), x @ torch.from_numpy(dequantize(linear)).T)
    assert (layer.to_linear().codes == linear.codes).all()


def test_latents_round_to_the_grid_and_pruned_ones_never_move() -> None:
    linear = random_linear(np.random.default_rng(1), 4, 32, Pattern(2, 4), 4, 8)
    layer = LatentLinear(linear)
    step = np.repeat(linear.group_mult * linear.row_scale[:, None].astype(np.float64), 8, axis=1)
    moved = dequantize(linear) + step * np.random.default_rng(2).uniform(-9, 9, step.shape)
    layer.latent.data.copy_(torch.from_numpy(moved))
    found = layer.to_linear()
    found.check("layer")
    wanted = np.clip(np.rint(layer.latent.detach().numpy() / step), -8, 7) * linear.keep_mask
    assert (found.codes == wanted).all()
    layer(torch.randn(5, 32)).sum().backward()
    assert layer.latent.grad is not None
    assert (layer.latent.grad.numpy()[~linear.keep_mask] == 0).all()
    assert (layer.latent.grad.numpy()[linear.keep_mask] != 0).all()


@pytest.mark.parametrize("hard_label_weight", [0.0, 0.3, 1.0])
def test_divergence_and_its_gradient_are_autograds(hard_label_weight: float) -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(300, 8, generator=generator) for _ in range(2))
    head = torch.randn(50, 8, generator=generator)
    sequences = torch.randint(50, (3, 100), generator=generator)
    loss, gradient = divergence(student, teacher, head, next_tokens(sequences), hard_label_weight)
    leaf = student.clone().requires_grad_()
    q, p = (leaf @ head.T).log_softmax(-1), (teacher @ head.T).log_softmax(-1)
    each = kl_div(q, p, log_target=True, reduction="none").sum(1)
    assert loss == pytest.approx(float(each.detach().mean()), rel=1e-5)
    inside = torch.arange(300) % 100 != 99  # the others have no next token
    text = cross_entropy(q.view(3, 100, 50)[:, :-1].flatten(0, 1), sequences[:, 1:].flatten(), reduction="sum")
    wanted = ((1 - hard_label_weight) * each[inside].sum() + each[~inside].sum() + hard_label_weight * text) / 300
    wanted.backward()  # type: ignore[no-untyped-call]
    assert torch.allclose(gradient, leaf.grad, atol=1e-7)


@pytest.mark.parametrize("length", [40, 3 * QUERIES])
def test_attention_by_blocks_is_causal_attention_and_so_are_its_gradients(length: int) -> None:
    generator = torch.Generator().manual_seed(3)
    query = torch.randn(2, 6, length, 8, generator=generator).requires_grad_()
    key, value = (torch.randn(2, 2, length, 8, generator=generator).requires_grad_() for _ in range(2))
    wanted = scaled_dot_product_attention(query, key, value, is_causal=True, scale=0.3, enable_gqa=True)
    found = blocked_causal(None, query, key, value, None, scaling=0.3)[0].transpose(1, 2)
    assert torch.allclose(found, wanted, atol=1e-5)
    weight = torch.randn(wanted.shape, generator=generator)
    for ours, theirs in zip(
        torch.autograd.grad((found * weight).sum(), (query, key, value)),
        torch.autograd.grad((wanted * weight).sum(), (query, key, value)),
        strict=True,
    ):
        assert torch.allclose(ours, theirs, atol=1e-4)


def test_a_trained_norm_is_the_models_with_the_rounded_weight() -> None:
    weight, x = torch.rand(16).bfloat16(), torch.randn(3, 16)
    theirs, ours = LlamaRMSNorm(16, 1e-5), LatentNorm(weight, 1e-5)
    ours.latent.data += 1e-5  # too little to reach another bf16 number
    theirs.weight.data.copy_(weight)
    assert torch.allclose(ours(x), theirs(x), rtol=1e-6)
    ours(x).sum().backward()
    theirs(x).sum().backward()
    assert ours.latent.grad is not None
    assert torch.allclose(ours.latent.grad, theirs.weight.grad, rtol=1e-5)


def test_the_dense_model_is_asked_once_for_each_sequence() -> None:
    asked: list[list[list[int]]] = []

    class Model:
        def model(self, tokens: torch.Tensor, use_cache: bool) -> object:
            asked.append(tokens.tolist())
            return type("Output", (), {"last_hidden_state": tokens[..., None].float()})

    teacher = Teacher(Model(), torch.arange(12).view(4, 3))
    assert teacher.states(torch.tensor([2, 0]))[:, 0].tolist() == [6, 7, 8, 0, 1, 2]
    assert teacher.states(torch.tensor([0, 3, 2]))[:, 0].tolist() == [0, 1, 2, 9, 10, 11, 6, 7, 8]
    assert asked == [[[6, 7, 8], [0, 1, 2]], [[9, 10, 11]]]


def test_schedule_rises_to_the_highest_rate_and_falls_to_zero() -> None:
    rates = [learning_rate(step, 100, 1.0) for step in range(100)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5] == 1.0
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] < 0.001


def test_batches_pass_over_every_window_and_go_on_where_they_stopped() -> None:
    whole = torch.cat(list(islice(batches(10, 4, 0, 0), 5))).tolist()
    assert sorted(whole[:10]) == sorted(whole[10:]) == list(range(10))
    assert whole[:10] != whole[10:]
    assert torch.cat(list(islice(batches(10, 4, 0, 3), 2))).tolist() == whole[12:]


def recover(folder: Path, name: str, settings: RecoveryConfig = SETTINGS) -> list[float]:
    return recover_artifact(folder / "checkpoint", folder / "start", folder / "tokens", name, settings, folder / name)


def test_training_brings_the_student_closer_and_keeps_masks_and_scales(start: Path) -> None:
    losses = recover(start, "trained", SETTINGS.model_copy(update={"steps": 40}))
    assert np.mean(losses[-4:]) < 0.6 * np.mean(losses[:4])
    before, after = load_linears(start / "start"), load_linears(start / "trained")
    for name, linear in after.items():
        assert (linear.keep_mask == before[name].keep_mask).all()
        assert (linear.row_scale == before[name].row_scale).all()
        assert (linear.group_mult == before[name].group_mult).all()
    checkpoint, trained = load_checkpoint(start / "checkpoint")[0], load_file(start / "trained")
    for name in norm_names(len(checkpoint.model.layers)):
        assert (trained[f"{name}.weight"] != checkpoint.get_submodule(name).weight).any()
    assert torch.equal(trained["model.embed_tokens.weight"].float(), checkpoint.model.embed_tokens.weight)
    assert any((linear.codes != before[name].codes).any() for name, linear in after.items())
    header = read_header(start / "trained")
    assert header["design"]["id"] == "trained"
    assert header["recovery"]["tokens"] == 40 * 2 * 32


def test_a_stopped_run_ends_in_the_same_bytes(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recover(start, "whole")
    left = iter(range(7))

    def stop(*arguments: object) -> float:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return distill.train_step(*arguments)  # type: ignore[arg-type]

    (start / "again").mkdir()
    out = start / "again" / "whole"
    sources = (start / "checkpoint", start / "start", start / "tokens", "whole", SETTINGS)
    monkeypatch.setattr(run, "train_step", stop)
    with pytest.raises(KeyboardInterrupt):
        recover_artifact(*sources, out)
    assert not out.exists()
    monkeypatch.setattr(run, "train_step", distill.train_step)
    other = SETTINGS.model_copy(update={"learning_rate": 1e-3})
    with pytest.raises(NmforgeError, match="belongs to a training run with other settings; remove it to start over"):
        recover_artifact(*sources[:4], other, out)
    point = DesignPoint("start", Pattern(2, 4), "magnitude", "rtn", 3, 32)
    compress_checkpoint(*sources[:1], sources[2], point, CalibrationConfig(), "bitmask", start / "other-start")
    with pytest.raises(NmforgeError, match="belongs to a training run with other settings; remove it to start over"):
        recover_artifact(sources[0], start / "other-start", *sources[2:], out)
    assert len(recover_artifact(*sources, out)) == SETTINGS.steps - 6
    assert out.read_bytes() == (start / "whole").read_bytes()
    assert list(out.parent.iterdir()) == [out]


def test_an_artifact_without_compressed_layers(start: Path) -> None:
    point = DesignPoint("dense", Pattern(1, 1), "none", "none", 16, 0)
    compress_checkpoint(start / "checkpoint", start / "tokens", point, CalibrationConfig(), "bitmask", start / "dense")
    with pytest.raises(NmforgeError, match="dense has no compressed layer to train; start from a compressed design"):
        recover_artifact(start / "checkpoint", start / "dense", start / "tokens", "d", SETTINGS, start / "d")
