"""The block walk against the model's own forward pass, and its statistics against a direct product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nmforge.compression.calibration.activation_cache import ActivationCache, Shape, SpilledActivationCache, is_saved
from nmforge.compression.calibration.statistics import MIRRORED, NO_TEXT, InputStats, Streams, gather, walk_block
from nmforge.core.errors import NmforgeError
from nmforge.linalg.bf16 import round_bf16
from nmforge.models.forward import check_supported, embed
from nmforge.models.llama import BLOCK_LINEARS
from nmforge.models.sources.toy import toy_model


@pytest.fixture
def model() -> Any:
    return toy_model().eval()


CPU = torch.device("cpu")


def walk(model: Any, index: int, start: torch.Tensor, compress: Any) -> torch.Tensor:
    """Walk one block with one sequence [1, T, hidden] in memory."""
    hidden = Streams(held(start))
    length = start.shape[1]
    walk_block(model, index, hidden, hidden, lambda width: Streams(ActivationCache((1, length, width), CPU)), compress)
    return hidden.compressed[0]


def held(sequence: torch.Tensor) -> ActivationCache:
    """One sequence [1, T, width] in memory."""
    sequences = ActivationCache((1, *sequence.shape[1:]), CPU)
    sequences[0] = sequence
    return sequences


@torch.inference_mode()
def test_walking_every_block_is_the_forward_pass(model: Any) -> None:
    tokens = torch.arange(40)[None] * 5 % 257
    hidden = embed(model, tokens)
    for index in range(2):
        hidden = walk(model, index, hidden, lambda _names, _stats: None)
    expected = model.model(tokens, use_cache=False).last_hidden_state
    assert torch.equal(model.model.norm(hidden), expected)


@torch.inference_mode()
def test_statistics_are_those_of_what_each_layer_really_reads(model: Any) -> None:
    seen: dict[str, InputStats] = {}
    read: dict[str, torch.Tensor] = {}
    block = model.model.layers[0]
    block.self_attn.v_proj.weight.mul_(2)
    for name in BLOCK_LINEARS:
        block.get_submodule(name).register_forward_pre_hook(lambda _m, args, name=name: read.update({name: args[0][0]}))
    tokens = torch.arange(30)[None]
    walk(model, 0, embed(model, tokens), lambda names, stats: seen.update(dict.fromkeys(names, stats)))
    assert list(seen) == list(BLOCK_LINEARS)
    for name, stats in seen.items():
        assert stats.count == 30
        x = round_bf16(read[name])
        assert torch.allclose(stats.gram, x.T @ x, rtol=1e-5, atol=1e-6)


def test_gram_matrix_of_a_width_that_needs_several_pieces() -> None:
    x = torch.randint(-8, 8, (2, 50, 2 * MIRRORED + 7)).float()
    sequences = ActivationCache(x.shape, CPU)
    sequences[0], sequences[1] = x[:1], x[1:]
    stats = gather(Streams(sequences))
    flat = x.flatten(0, 1)
    assert stats.count == len(flat)
    assert torch.equal(stats.gram, flat.T @ flat)


def test_without_sequences_there_are_no_statistics() -> None:
    assert gather(Streams(ActivationCache((0, 5, 7), CPU))) is NO_TEXT
    assert NO_TEXT.count == 0
    assert NO_TEXT.sum_of_squares.shape == (0,)


@torch.inference_mode()
def test_later_layers_are_calibrated_on_the_compressed_ones(model: Any) -> None:
    tokens, block = torch.arange(30)[None], model.model.layers[0]

    def silence(names: tuple[str, ...], stats: InputStats) -> None:
        if "mlp.down_proj" in names:
            assert not stats.gram.any()
        for name in names:
            block.get_submodule(name).weight.zero_()

    start = embed(model, tokens)
    assert torch.equal(walk(model, 0, start, silence), start)


@torch.inference_mode()
def test_each_layer_is_told_its_drift_or_the_error_of_the_residual_stream(model: Any) -> None:
    tokens, block = torch.arange(30)[None] * 3 % 257, model.model.layers[0]
    found: dict[str, InputStats] = {}

    def halve(names: tuple[str, ...], stats: InputStats) -> None:
        found.update(dict.fromkeys(names, stats))
        for name in names:
            block.get_submodule(name).weight.mul_(0.5)

    start = embed(model, tokens)
    dense, left = observed(block, model, start)
    walked = Streams(held(start), held(start))
    walk_block(
        model,
        0,
        walked,
        walked,
        lambda width: Streams(*(ActivationCache((1, 30, width), CPU) for _ in range(2))),
        halve,
    )
    halved, right = observed(block, model, start)
    assert walked.dense is not None
    assert torch.allclose(walked.dense[0], left)
    assert torch.allclose(walked.compressed[0], right)
    for name in ("self_attn.q_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj"):
        drift = (round_bf16(dense[name]) - round_bf16(halved[name])).T @ round_bf16(halved[name])
        assert_close(found[name].drift, drift)
        assert found[name].residual_error is None
    first = found["self_attn.q_proj"]
    assert torch.allclose(first.drift, torch.zeros_like(first.gram), atol=1e-5 * float(first.gram.max()))
    for name, after, before in (
        ("self_attn.o_proj", dense["middle"], start[0]),
        ("mlp.down_proj", left[0], halved["middle"]),
    ):
        as_it_is = 2 * halved[name] @ block.get_submodule(name).weight.T
        error = after - (before + as_it_is)
        assert error.any()
        assert_close(found[name].residual_error, round_bf16(error).T @ round_bf16(halved[name]), 1e-3)
        assert found[name].drift is None


def assert_close(found: torch.Tensor | None, wanted: torch.Tensor, share: float = 1e-4) -> None:
    """Equal but for the order of sums, or for a few of many factors rounded the other way to bf16."""
    assert found is not None
    assert torch.allclose(found, wanted, rtol=share, atol=share * float(wanted.abs().max()) + 1e-9)


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


@torch.inference_mode()
def test_activations_in_a_file_are_those_in_memory(model: Any, tmp_path: Path) -> None:
    shape: Shape = (3, 20, 64)
    memory, file = ActivationCache(shape, CPU), SpilledActivationCache(shape, CPU, tmp_path / "hidden")
    after = SpilledActivationCache(shape, CPU, tmp_path / "after")
    for index, sequence in enumerate(torch.randint(0, 257, (3, 1, 20), generator=torch.Generator().manual_seed(1))):
        memory[index] = file[index] = embed(model, sequence)
    nothing = lambda _names, _stats: None  # noqa: E731
    store = lambda width: Streams(ActivationCache((3, 20, width), CPU))  # noqa: E731
    walk_block(model, 0, Streams(memory), Streams(memory), store, nothing)
    on_disk = lambda width: Streams(SpilledActivationCache((3, 20, width), CPU, tmp_path / "store"))  # noqa: E731
    walk_block(model, 0, Streams(file), Streams(after), on_disk, nothing)
    assert all(torch.equal(a, b) for a, b in zip(after, memory, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(after, file, strict=True))
    memory.save(tmp_path / "saved")
    after.save(tmp_path / "renamed")
    assert (tmp_path / "saved").read_bytes() == (tmp_path / "renamed").read_bytes()
    back = ActivationCache(shape, CPU)
    back.load(tmp_path / "renamed")
    assert all(torch.equal(a, b) for a, b in zip(back, memory, strict=True))
    assert is_saved(tmp_path / "saved", shape)
    assert not is_saved(tmp_path / "saved", (4, 20, 64))
    assert not is_saved(tmp_path / "after", shape)
