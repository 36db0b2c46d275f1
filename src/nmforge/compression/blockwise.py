"""The walk over blocks: one block's weights in memory, activations in memory or in files, each finished block kept."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from nmforge.artifact.format import RawTensor, layer_header, layer_tensors
from nmforge.compression.activation_store import ActivationStore
from nmforge.compression.calibration.statistics import InputStats, Streams, walk_block
from nmforge.compression.checkpoints import finish_block, hidden_files, load_entering
from nmforge.compression.layer_solver import LayerSolver
from nmforge.compression.passthrough import bf16_tensor
from nmforge.compression.transforms.input_change import ChannelFactors, InputChange
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.errors import NmforgeError
from nmforge.io.progress import steps
from nmforge.linalg.bf16_linear import Bf16Linear
from nmforge.models.checkpoint import Shards, empty, fill
from nmforge.models.forward import embed
from nmforge.models.llama import BLOCK_LINEARS, EMBEDDING, SCALED_BY, WRITERS, block_name


@dataclass(frozen=True)
class BlockWalk:
    """A walk over the blocks of a model.

    model: a skeleton. sequences: int64[S, T] calibration tokens, S = 0 where none are needed. first: the block it
    starts with; those before it are finished and in the store's folder. name: for progress.
    """

    model: Any
    shards: Shards
    sequences: Tensor
    store: ActivationStore
    first: int
    name: str


@dataclass(frozen=True)
class BlockResult:
    """A finished block: its tensors as the artifact stores them, and the header of each of its layers."""

    tensors: dict[str, RawTensor]
    layers: dict[str, dict[str, Any]]


class BlockSolver(Protocol):
    """Makes one block of a walk."""

    def __call__(self, index: int, entering: Streams, leaving: Streams) -> BlockResult:
        """Make block `index` from the activations that enter it, and put its outputs into `leaving`."""


@torch.inference_mode()
def compress_blocks(walk: BlockWalk, solve: LayerSolver, encoding: str) -> None:
    """Compress the blocks of a walk and leave them in its folder; errors of earlier blocks propagate."""
    walk_blocks(walk, lambda index, entering, leaving: _compress_block(walk, index, entering, leaving, solve, encoding))


def walk_blocks(walk: BlockWalk, solve: BlockSolver) -> None:
    """Let `solve` make each block of a walk, and keep it and the activations that leave it in the store's folder."""
    store, width, blocks = walk.store, walk.model.config.hidden_size, len(walk.model.model.layers)
    if walk.first == blocks:
        return
    with _on(store.device):
        walk.model.model.rotary_emb.to(store.device)
        hidden = _entering(walk)
        for index in steps(range(walk.first, blocks), walk.name, "block", blocks, walk.first):
            leaving = hidden if store.in_memory else store.unfinished(width, "after")
            result = solve(index, hidden, leaving)
            needed = len(walk.sequences) > 0 and index + 1 < blocks
            finish_block(store.folder, index, result.tensors, result.layers, leaving if needed else None)
            hidden = leaving


def _on(device: torch.device) -> AbstractContextManager[Any]:
    """Make new tensors on `device`; on the CPU they are anyway, and the context would slow each call."""
    return nullcontext() if device.type == "cpu" else device


def _entering(walk: BlockWalk) -> Streams:
    """The activations that enter the first block: the embedded tokens, or what the block before it left."""
    model, store = walk.model, walk.store
    hidden = store.streams(model.config.hidden_size, hidden_files(store.folder, walk.first))
    if not len(walk.sequences):
        return hidden
    if walk.first:
        load_entering(store.folder, walk.first, hidden)
        return hidden
    embedding = model.get_submodule(EMBEDDING)
    fill(embedding, EMBEDDING, walk.shards, torch.bfloat16, store.device)
    for place, sequence in enumerate(walk.sequences):
        embedded = embed(model, sequence[None].to(store.device))
        for stream in hidden.each():
            stream[place] = embedded
    empty(embedding)
    return hidden


def _compress_block(
    walk: BlockWalk, index: int, entering: Streams, leaving: Streams, solve: LayerSolver, encoding: str
) -> BlockResult:
    """One block, compressed; its outputs go to `leaving`."""
    block, path, store = walk.model.model.layers[index], block_name(index), walk.store
    linears: dict[str, CompressedLinear] = {}
    norms: dict[str, Tensor] = {}

    def visit(names: tuple[str, ...], stats: InputStats) -> None:
        weights = {f"{path}.{name}": block.get_submodule(name).weight for name in names}
        try:
            found = solve(weights, stats)
        except NmforgeError as error:
            raise NmforgeError(f"{walk.shards.files[f'{next(iter(weights))}.weight']}: {error}") from error
        for name in found.layers:
            weights[name].copy_(found.weight(name))
        linears.update(found.layers)  # activations are walked as they were, files hold what was done to them
        for change in found.changes:
            _change_writers(block, path, names[0], change, linears, norms)

    fill_block(walk.model, index, walk.shards, store.device)
    walk_block(walk.model, index, entering, leaving, lambda width: store.unfinished(width, "inputs"), visit)
    empty(block)
    result = pack_block(linears, encoding)
    scaled = {f"{path}.{name}.weight": bf16_tensor(weight) for name, weight in norms.items()}
    return BlockResult(result.tensors | scaled, result.layers)


def _change_writers(
    block: Any, path: str, reader: str, change: InputChange, linears: dict[str, CompressedLinear],
    norms: dict[str, Tensor],
) -> None:  # fmt: skip
    """Let what writes the inputs of layer `reader` take their change over: finished layers, or a norm of the block.

    Heads that read the same rows have the same factors: those of the first of them count.
    """
    if not isinstance(change, ChannelFactors):
        for writer in WRITERS[reader]:
            linears[f"{path}.{writer}"] = linears[f"{path}.{writer}"].take_rows(change.writers.numpy())
        return
    writer, factors = SCALED_BY[reader], change.factors
    if f"{path}.{writer}" not in linears:
        norms[writer] = norms.get(writer, block.get_submodule(writer).weight) / factors
        return
    layer = linears[f"{path}.{writer}"]
    if len(factors) != layer.n:
        width = block.self_attn.head_dim
        factors = factors.view(layer.n // width, -1, width)[:, 0].reshape(-1)
    linears[f"{path}.{writer}"] = replace(layer, row_scale=layer.row_scale / factors.cpu().numpy())


def fill_block(model: Any, index: int, shards: Shards, device: torch.device) -> None:
    """Give a block of a skeleton the checkpoint's weights, its linear layers in the arithmetic of mode W4A16."""
    block = model.model.layers[index]
    for name in BLOCK_LINEARS:
        layer = block.get_submodule(name)
        block.set_submodule(name, Bf16Linear(layer.in_features, layer.out_features, "meta"))
    fill(block, block_name(index), shards, torch.float32, device)


def pack_block(linears: Mapping[str, CompressedLinear], encoding: str) -> BlockResult:
    """The compressed layers of a block as the artifact stores them."""
    tensors: dict[str, RawTensor] = {}
    for name, linear in linears.items():
        tensors |= layer_tensors(name, linear, encoding)
    return BlockResult(tensors, {name: layer_header(linear) for name, linear in linears.items()})
