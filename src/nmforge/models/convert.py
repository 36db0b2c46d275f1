"""A local or Hugging Face checkpoint as bf16 shards, one tensor in memory at a time; none of its code runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from transformers import AutoConfig, AutoTokenizer

from nmforge.core.errors import NmforgeError
from nmforge.io.safetensors_stream import LazyTensor
from nmforge.models.checkpoint import Shards, open_shards, skeleton, tensor_names
from nmforge.models.checkpoint_writer import lazy_bf16, write_config, write_shards
from nmforge.models.forward import check_supported

WANTED = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt"]
REMEDY = "name a folder with config.json and safetensors, or a Hugging Face id in reach"


def convert(source: str, revision: str | None, folder: Path) -> str:
    """Write the checkpoint of a local folder or a Hugging Face id into `folder`; returns its revision.

    Raises NmforgeError naming model.source where it cannot be loaded, is no safetensors checkpoint, or misses a tensor.
    """
    try:
        found = _folder(source, revision)
        config = AutoConfig.from_pretrained(found, trust_remote_code=False)
        model = skeleton(config)
        tokenizer = AutoTokenizer.from_pretrained(found, trust_remote_code=False)
        shards = open_shards(found)
    except (OSError, ValueError, NmforgeError) as error:
        raise NmforgeError(
            f"model.source {source!r} cannot be loaded ({str(error).splitlines()[0]}); {REMEDY}"
        ) from error
    check_supported(model)
    tensors = {name: _bf16(model, shards, name) for name in tensor_names(model)}
    write_config(folder, model.config, type(model).__name__)
    write_shards(folder, tensors)
    tokenizer.save_pretrained(folder)
    if (found / "generation_config.json").exists():
        shutil.copy(found / "generation_config.json", folder)
    return revision or ("local" if Path(source).is_dir() else found.name)


def _folder(source: str, revision: str | None) -> Path:
    """A local folder, or the hub's snapshot, which is named after its commit."""
    if Path(source).is_dir():
        return Path(source)
    return Path(snapshot_download(source, revision=revision, allow_patterns=WANTED))


def _bf16(model: Any, shards: Shards, name: str) -> LazyTensor:
    """One tensor of the checkpoint in bf16; raises NmforgeError where its shape is not the model's."""
    shape, found = tuple(model.state_dict()[name].shape), shards.lazy(name).shape
    if found != shape:
        raise NmforgeError(
            f"checkpoint shard {shards.files[name]}: {name} is {list(found)} where config.json needs {list(shape)}; "
            "make or download the checkpoint again"
        )
    return lazy_bf16(shape, lambda: shards.read(name))
