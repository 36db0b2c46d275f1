"""A checkpoint folder read tensor by tensor: a model of any size, one block of weights in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig

from nmforge.core.errors import NmforgeError
from nmforge.io.hashing import sha256_file
from nmforge.io.safetensors_stream import DType, LazyTensor, read_tensors
from nmforge.models.llama import HEAD

INDEX = "model.safetensors.index.json"
TORCH_TYPES = {dtype: getattr(torch, dtype.array_name) for dtype in DType}


@dataclass(frozen=True)
class Shards:
    """The tensors of a checkpoint folder by name, and the file each of them is in."""

    folder: Path
    tensors: Mapping[str, LazyTensor]
    files: Mapping[str, Path]

    def lazy(self, name: str) -> LazyTensor:
        """One tensor, its data still on disk; raises NmforgeError where the checkpoint has none of that name."""
        if name not in self.tensors:
            raise NmforgeError(f"checkpoint {self.folder} has no tensor {name}; make or download it again")
        return self.tensors[name]

    def read(self, name: str) -> Tensor:
        """One tensor in the type it has on disk."""
        lazy = self.lazy(name)
        return torch.frombuffer(bytearray(lazy.read()), dtype=TORCH_TYPES[lazy.dtype]).reshape(lazy.shape)


def open_shards(folder: Path) -> Shards:
    """The safetensors files of a folder, those its index names if it has one; no data is read yet.

    Raises NmforgeError naming the file where one is missing or truncated, or where there is none.
    """
    index = folder / INDEX
    names = sorted(set(json.loads(index.read_text())["weight_map"].values())) if index.exists() else []
    files = [folder / name for name in names] or sorted(folder.glob("*.safetensors"))
    if not files:
        raise NmforgeError(f"checkpoint {folder} has no safetensors file; make or download it again")
    tensors: dict[str, LazyTensor] = {}
    where: dict[str, Path] = {}
    for file in files:
        found = _open(file)
        tensors |= found
        where |= dict.fromkeys(found, file)
    return Shards(folder, tensors, where)


def _open(file: Path) -> dict[str, LazyTensor]:
    if not file.exists():
        raise NmforgeError(f"checkpoint shard {file} is missing; make or download the checkpoint again")
    try:
        safe_open(file, framework="np")  # checks the header and the file's length
    except (SafetensorError, OSError) as error:
        raise NmforgeError(
            f"checkpoint shard {file} is truncated or not a safetensors file ({error}); "
            "make or download the checkpoint again"
        ) from error
    return read_tensors(file)[0]


def read_identity(folder: Path) -> dict[str, Any]:
    """source.json of a folder that `prepare_checkpoint` wrote: source, revision, sha256 of each shard."""
    path = folder / "source.json"
    if not path.exists():
        raise NmforgeError(f"checkpoint {folder} is missing; make it with nmforge checkpoint")
    identity: dict[str, Any] = json.loads(path.read_text())
    return identity


def verify_shards(folder: Path) -> dict[str, Any]:
    """The identity of a checkpoint, after the hash of each of its shards; NmforgeError names one that differs."""
    identity = read_identity(folder)
    for name, digest in identity["sha256"].items():
        shard = folder / name
        if not shard.exists():
            raise NmforgeError(f"checkpoint shard {shard} is missing; make it again with nmforge checkpoint")
        if sha256_file(shard) != digest:
            raise NmforgeError(f"checkpoint shard {shard} is altered (sha256 differs from source.json); "
                               "make it again with nmforge checkpoint")  # fmt: skip
    return identity


def skeleton(config: PreTrainedConfig) -> Any:
    """The model of a configuration without its weights, in eval mode; rotary embeddings are real."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False).eval()
    rotary = getattr(getattr(model, "model", None), "rotary_emb", None)
    if rotary is not None:
        model.model.rotary_emb = type(rotary)(model.config)
    return model


def load_skeleton(folder: Path) -> Any:
    """`skeleton` of a checkpoint folder, float32 in name: its config is that of `load_checkpoint`'s model."""
    config = AutoConfig.from_pretrained(folder)
    config.dtype = torch.float32
    return skeleton(config)


def tensor_names(model: Any) -> list[str]:
    """Names of the tensors a checkpoint of this model holds: a head tied to the embedding is stored once."""
    tied = model.config.tie_word_embeddings
    return [name for name in model.state_dict() if not (tied and name == f"{HEAD}.weight")]


def fill(module: nn.Module, path: str, shards: Shards, dtype: torch.dtype, device: torch.device) -> None:
    """Give a module of a skeleton, `path` in the model, its weights in `dtype`."""
    state = {name: shards.read(f"{path}.{name}").to(device, dtype) for name in module.state_dict()}
    for name, weight in module.state_dict().items():
        if weight.shape != state[name].shape:
            raise NmforgeError(
                f"checkpoint shard {shards.files[f'{path}.{name}']}: {path}.{name} is {list(state[name].shape)} where "
                f"config.json needs {list(weight.shape)}; make or download the checkpoint again"
            )
    module.load_state_dict(state, assign=True)


def empty(module: nn.Module) -> None:
    """Take the weights of a filled module away again."""
    module.to("meta")
