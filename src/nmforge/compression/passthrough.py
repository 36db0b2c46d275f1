"""What an artifact holds besides its compressed layers: the rest of the model, in bf16, and the tokenizer."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any

from torch import Tensor

from nmforge.artifact.format import RawTensor
from nmforge.io.hashing import sha256_bytes
from nmforge.io.safetensors_stream import DType, LazyTensor
from nmforge.models.checkpoint import Shards, tensor_names
from nmforge.models.checkpoint_writer import bf16_bytes

TOKENIZER = "tokenizer.json"  # a file of a checkpoint folder, and the tensor that holds its bytes


def passthrough_tensors(model: Any, layers: Container[str], checkpoint: Path) -> dict[str, RawTensor]:
    """Every tensor of a loaded model that belongs to none of the layers, and the tokenizer; tied tensors once."""
    data = (checkpoint / TOKENIZER).read_bytes()
    state = model.state_dict()
    rest = {name: bf16_tensor(state[name]) for name in _names(model, layers)}
    return {TOKENIZER: RawTensor(DType.U8, (len(data),), data), **rest}


def lazy_passthrough(
    shards: Shards, model: Any, layers: Container[str], checkpoint: Path
) -> dict[str, tuple[LazyTensor, str]]:
    """What `passthrough_tensors` returns, its bytes left in the bf16 checkpoint until they are written, with sha256.

    model: a skeleton.
    """
    file = checkpoint / TOKENIZER
    lazy = {TOKENIZER: LazyTensor(DType.U8, (file.stat().st_size,), file.read_bytes)}
    lazy |= {name: shards.lazy(name) for name in _names(model, layers)}
    return {name: (tensor, sha256_bytes(tensor.read())) for name, tensor in lazy.items()}


def _names(model: Any, layers: Container[str]) -> list[str]:
    return [name for name in tensor_names(model) if name.removesuffix(".weight") not in layers]


def bf16_tensor(weight: Tensor) -> RawTensor:
    """A weight as the artifact stores what belongs to no compressed layer."""
    return RawTensor(DType.BF16, tuple(weight.shape), bf16_bytes(weight))
