"""The block walk against the model's own forward pass, and its statistics against a direct product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nmforge.activations import Shape, SpilledWindows, Windows, is_saved
from nmforge.calibration import SLAB, InputStats, gather, walk_block
from nmforge.errors import NmforgeError
from nmforge.models.layers import BLOCK_LINEARS, check_supported, embed
from nmforge.models.sources import SOURCES


@pytest.fixture
def model() -> Any:
    return SOURCES["toy"]("toy", None, Path())[0].eval()


CPU = torch.device("cpu")


def walk(model: Any, index: int, start: torch.Tensor, compress: Any) -> torch.Tensor:
    """Walk one block with one window [1, T, hidden] in memory."""
    windows, length = Windows((1, *start.shape[1:]), CPU), start.shape[1]
    windows[0] = start
    walk_block(model, index, windows, windows, lambda width: Windows((1, length, width), CPU), compress)
    return windows[0]


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
    seen: dict[str, InputStats | None] = {}
    read: dict[str, torch.Tensor] = {}
    block = model.model.layers[0]
    block.self_attn.v_proj.weight.mul_(2)
    for name in BLOCK_LINEARS:
        block.get_submodule(name).register_forward_pre_hook(lambda _m, args, name=name: read.update({name: args[0][0]}))
    tokens = torch.arange(30)[None]
    walk(model, 0, embed(model, tokens), lambda names, stats: seen.update(dict.fromkeys(names, stats)))
    assert list(seen) == list(BLOCK_LINEARS)
    for name, stats in seen.items():
        assert stats is not None
        assert stats.count == 30
        assert torch.allclose(stats.gram, read[name].T @ read[name], rtol=1e-5, atol=1e-6)


def test_gram_matrix_of_a_width_that_needs_several_slabs() -> None:
    x = torch.randint(-8, 8, (2, 3, 50, 2 * SLAB + 7)).float()
    stats = gather(list(x))
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
    assert torch.equal(walk(model, 0, start, silence), start)


def test_unsupported_layers_are_named(model: Any) -> None:
    model.model.layers[1].mlp.extra = torch.nn.Linear(4, 4)
    with pytest.raises(NmforgeError, match=r"layer model\.layers\.1\.mlp\.extra is unsupported"):
        check_supported(model)
    with pytest.raises(NmforgeError, match=r"has no model\.layers"):
        check_supported(torch.nn.Linear(2, 2))


@torch.inference_mode()
def test_windows_in_a_file_are_those_in_memory(model: Any, tmp_path: Path) -> None:
    shape: Shape = (3, 20, 64)
    memory, file = Windows(shape, CPU), SpilledWindows(shape, CPU, tmp_path / "hidden")
    after = SpilledWindows(shape, CPU, tmp_path / "after")
    for index, window in enumerate(torch.randint(0, 257, (3, 1, 20), generator=torch.Generator().manual_seed(1))):
        memory[index] = file[index] = embed(model, window)
    walk_block(model, 0, memory, memory, lambda width: Windows((3, 20, width), CPU), lambda _names, _stats: None)
    room = lambda width: SpilledWindows((3, 20, width), CPU, tmp_path / "room")  # noqa: E731
    walk_block(model, 0, file, after, room, lambda _names, _stats: None)
    assert all(torch.equal(a, b) for a, b in zip(after, memory, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(after, file, strict=True))
    memory.save(tmp_path / "saved")
    after.save(tmp_path / "renamed")
    assert (tmp_path / "saved").read_bytes() == (tmp_path / "renamed").read_bytes()
    back = Windows(shape, CPU)
    back.load(tmp_path / "renamed")
    assert all(torch.equal(a, b) for a, b in zip(back, memory, strict=True))
    assert is_saved(tmp_path / "saved", shape)
    assert not is_saved(tmp_path / "saved", (4, 20, 64))
    assert not is_saved(tmp_path / "after", shape)
