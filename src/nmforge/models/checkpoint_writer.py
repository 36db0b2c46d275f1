"""A checkpoint folder written tensor by tensor, as safetensors shards of bounded size with their index."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from nmforge.io.files import write_atomically
from nmforge.io.safetensors_stream import DType, LazyTensor, write_tensors
from nmforge.models.checkpoint import INDEX

SHARD_BYTES = 1 << 30  # a shard is closed before it would pass this


def lazy_bf16(shape: tuple[int, ...], make: Callable[[], Tensor]) -> LazyTensor:
    """A tensor that `make` computes when it is written, rounded to bf16."""
    return LazyTensor(DType.BF16, shape, lambda: bf16_bytes(make()))


def bf16_bytes(tensor: Tensor) -> bytes:
    """Row-major bytes of a tensor, rounded to bf16."""
    return tensor.detach().to("cpu", torch.bfloat16).contiguous().view(torch.uint8).numpy().tobytes()


def write_shards(folder: Path, tensors: Mapping[str, LazyTensor]) -> None:
    """Write the tensors in the order given: `model.safetensors`, or numbered shards with the index of transformers."""
    groups: list[dict[str, LazyTensor]] = [{}]
    for name, tensor in tensors.items():
        size = sum(other.nbytes for other in groups[-1].values())
        if groups[-1] and size + tensor.nbytes > SHARD_BYTES:
            groups.append({})
        groups[-1][name] = tensor
    names = [f"model-{place:05}-of-{len(groups):05}.safetensors" for place in range(1, len(groups) + 1)]
    if len(groups) == 1:
        names = ["model.safetensors"]
    for name, group in zip(names, groups, strict=True):
        write_tensors(folder / name, group, {"format": "pt"})
    if len(groups) > 1:
        places = {tensor: name for name, group in zip(names, groups, strict=True) for tensor in group}
        index = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())}, "weight_map": places}
        write_atomically(folder / INDEX, lambda path: path.write_text(json.dumps(index, indent=1) + "\n"))


def write_config(folder: Path, config: PreTrainedConfig, architecture: str) -> None:
    """config.json of a bf16 checkpoint."""
    config.dtype = torch.bfloat16
    config.architectures = [architecture]
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
