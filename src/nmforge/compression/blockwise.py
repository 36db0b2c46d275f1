"""The loop over blocks: one block's weights in memory, activations in memory or in files, each finished block kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from nmforge.artifact.format import RawTensor, layer_header, layer_tensors
from nmforge.compression.calibration.activation_cache import SpilledWindows, Windows
from nmforge.compression.calibration.statistics import InputStats, Streams, walk_block
from nmforge.compression.checkpoints import STREAMS, finish_block, hidden_files, load_entering
from nmforge.compression.transforms.channel_permutation import ChannelOrder
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.errors import NmforgeError
from nmforge.core.reference import dequantize
from nmforge.linalg.bf16 import round_bf16
from nmforge.linalg.bf16_linear import Bf16Linear
from nmforge.models.checkpoint import Shards, empty, fill
from nmforge.models.llama import BLOCK_LINEARS, SCALED_BY, WRITERS, block_name, embed


@dataclass(frozen=True)
class Solved:
    """Compressed layers that read the same inputs, and what was done to these inputs first.

    order: where they were reordered. factors: float32[K], powers of two, what each is divided by before that.
    """

    layers: Mapping[str, CompressedLinear]
    order: ChannelOrder | None = None
    factors: Tensor | None = None

    def weight(self, name: str) -> Tensor:
        """A layer's weight float32[N, K], bf16 numbers, as the inputs before all this read it."""
        found = round_bf16(torch.from_numpy(dequantize(self.layers[name])))
        if self.order is not None:
            found = found[:, self.order.inputs.argsort()]
        return found if self.factors is None else found / self.factors.cpu()


# Layers float32[N, K] that read the same inputs, and statistics of those -> the layers compressed.
Solve = Callable[[Mapping[str, Tensor], InputStats | None], Solved]
# A block's tensors as the artifact stores them, and the header of each of its layers.
Finished = tuple[dict[str, RawTensor], dict[str, dict[str, Any]]]
# Index of a block and the activations that enter it -> the block, its outputs left in the streams given last.
Work = Callable[[int, Streams, Streams], Finished]


@dataclass(frozen=True)
class Room:
    """Where activations of `count` windows of `length` tokens go: to memory, or to files of a folder.

    walk_dense: there is a second stream, the dense model's.
    """

    count: int
    length: int
    device: torch.device
    folder: Path
    in_memory: bool
    walk_dense: bool = False

    def make(self, width: int, file: Path) -> Windows:
        """Room for windows [1, length, width]; `file` is used unless they go to memory."""
        shape = (self.count, self.length, width)
        return Windows(shape, self.device) if self.in_memory else SpilledWindows(shape, self.device, file)

    def streams(self, width: int, files: Mapping[str, Path]) -> Streams:
        """Room for the streams; `files` names one for each of STREAMS."""
        compressed, dense = (self.make(width, files[stream]) if self._has(stream) else None for stream in STREAMS)
        assert compressed is not None
        return Streams(compressed, dense)

    def _has(self, stream: str) -> bool:
        return stream == "hidden" or self.walk_dense

    def unfinished(self, width: int, name: str) -> Streams:
        """Room that does not outlive this process."""
        return self.streams(width, {stream: self.folder / f"{stream}-{name}.partial" for stream in STREAMS})


def compute_device() -> torch.device:
    """Where blocks are computed: the GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@torch.inference_mode()
def compress_blocks(
    model: Any, shards: Shards, windows: Tensor, room: Room, first: int, solve: Solve, encoding: str, name: str
) -> None:
    """Compress the blocks from `first` on and leave them in the folder of `room`; errors of earlier blocks propagate.

    Arguments as those of `walk_blocks`; no windows for a point that needs none.
    """
    walk_blocks(
        model, shards, windows, room, first, name,
        lambda index, hidden, after: _compress_block(model, shards, index, hidden, after, room, solve, encoding),
    )  # fmt: skip


def walk_blocks(model: Any, shards: Shards, windows: Tensor, room: Room, first: int, name: str, work: Work) -> None:
    """Let `work` make each block from `first` on, and keep it and the activations behind it in the folder of `room`.

    model: a skeleton. windows: int64[W, T] calibration tokens, W = 0 where none are needed. name: for progress.
    """
    blocks = model.model.layers
    if first == len(blocks):
        return
    with _on(room.device):
        model.model.rotary_emb.to(room.device)
        hidden = _entering(model, shards, windows, room, first)
        bar = range(first, len(blocks))
        for index in tqdm(bar, name, len(blocks), initial=first, unit="block", disable=None):
            after = hidden if room.in_memory else room.unfinished(model.config.hidden_size, "after")
            tensors, layers = work(index, hidden, after)
            needed = len(windows) > 0 and index + 1 < len(blocks)
            finish_block(room.folder, index, tensors, layers, after if needed else None)
            hidden = after


def _on(device: torch.device) -> AbstractContextManager[Any]:
    """Make new tensors on `device`; on the CPU they are anyway, and the context would slow each call."""
    return nullcontext() if device.type == "cpu" else device


def _entering(model: Any, shards: Shards, windows: Tensor, room: Room, first: int) -> Streams:
    """The activations that enter block `first`: the embedded tokens, or what the block before it left."""
    hidden = room.streams(model.config.hidden_size, hidden_files(room.folder, first))
    if not len(windows):
        return hidden
    if first:
        load_entering(room.folder, first, hidden)
        return hidden
    fill(model.model.embed_tokens, "model.embed_tokens", shards, torch.bfloat16, room.device)
    for place, window in enumerate(windows):
        embedded = embed(model, window[None].to(room.device))
        for stream in hidden.each():
            stream[place] = embedded
    empty(model.model.embed_tokens)
    return hidden


def _compress_block(
    model: Any, shards: Shards, index: int, hidden: Streams, after: Streams, room: Room, solve: Solve, encoding: str
) -> Finished:
    """One block, compressed; its outputs go to `after`."""
    block, path = model.model.layers[index], block_name(index)
    linears: dict[str, CompressedLinear] = {}
    norms: dict[str, RawTensor] = {}

    def visit(names: tuple[str, ...], stats: InputStats | None) -> None:
        weights = {f"{path}.{name}": block.get_submodule(name).weight for name in names}
        try:
            found = solve(weights, stats)
        except NmforgeError as error:
            raise NmforgeError(f"{shards.files[f'{next(iter(weights))}.weight']}: {error}") from error
        for name in found.layers:
            weights[name].copy_(found.weight(name))
        linears.update(found.layers)  # activations are walked as they were, files hold what was done to them
        if found.factors is not None:
            _divide_outputs(block, path, SCALED_BY[names[0]], found.factors, linears, norms)
        if found.order is not None:
            for writer in WRITERS[names[0]]:
                linears[f"{path}.{writer}"] = linears[f"{path}.{writer}"].take_rows(found.order.writers.numpy())

    fill_block(model, index, shards, room.device)
    walk_block(model, index, hidden, after, lambda width: room.unfinished(width, "inputs"), visit)
    empty(block)
    tensors, headers = stored(linears, encoding)
    return tensors | norms, headers


def _divide_outputs(
    block: Any, path: str, writer: str, factors: Tensor, linears: dict[str, CompressedLinear],
    norms: dict[str, RawTensor],
) -> None:  # fmt: skip
    """Divide what a block's norm or finished layer `writer` writes by factors float32[K], powers of two.

    Heads that read the same rows have the same factors: those of the first of them count.
    """
    name = f"{path}.{writer}"
    if name not in linears:
        norms[f"{name}.weight"] = bf16_tensor(block.get_submodule(writer).weight / factors)
        return
    layer = linears[name]
    if len(factors) != layer.n:
        width = block.self_attn.head_dim
        factors = factors.view(layer.n // width, -1, width)[:, 0].reshape(-1)
    linears[name] = replace(layer, row_scale=layer.row_scale / factors.cpu().numpy())


def bf16_tensor(weight: Tensor) -> RawTensor:
    """A weight as the artifact stores what belongs to no compressed layer."""
    data = weight.detach().to("cpu", torch.bfloat16).contiguous().view(torch.uint8).numpy().tobytes()
    return RawTensor("bfloat16", tuple(weight.shape), data)


def fill_block(model: Any, index: int, shards: Shards, device: torch.device) -> None:
    """Give a block of a skeleton the checkpoint's weights, its linear layers in the arithmetic of mode W4A16."""
    block = model.model.layers[index]
    for name in BLOCK_LINEARS:
        layer = block.get_submodule(name)
        block.set_submodule(name, Bf16Linear(layer.in_features, layer.out_features, "meta"))
    fill(block, block_name(index), shards, torch.float32, device)


def stored(linears: Mapping[str, CompressedLinear], encoding: str) -> Finished:
    """The layers of a block as `walk_blocks` keeps them."""
    tensors: dict[str, RawTensor] = {}
    for name, linear in linears.items():
        tensors |= layer_tensors(name, linear, encoding)
    return tensors, {name: layer_header(linear) for name, linear in linears.items()}
