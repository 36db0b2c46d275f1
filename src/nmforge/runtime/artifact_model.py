"""transformers' model of an artifact, without its compressed layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoConfig

from nmforge.artifact.header import Header
from nmforge.core.errors import NmforgeError
from nmforge.models.checkpoint import skeleton


def load_model(artifact: Path, header: Header, dtype: torch.dtype) -> Any:
    """The model with every tensor that the artifact stores as such; parameters of compressed layers hold no memory."""
    settings = dict(header["model"]["config"])
    model = skeleton(AutoConfig.for_model(settings.pop("model_type"), **settings))
    wanted = model.state_dict().keys()
    with safe_open(artifact, framework="pt") as handle:
        rest = {name: handle.get_tensor(name).to(dtype) for name in handle.keys() if name in wanted}  # noqa: SIM118
    model.load_state_dict(rest, strict=False, assign=True)
    model.tie_weights()
    return model.eval()


def check_complete(model: Any, artifact: Path) -> None:
    """Raise NmforgeError where a parameter got no values; called once the compressed layers are in the model."""
    for name, parameter in model.named_parameters():
        if parameter.is_meta:
            raise NmforgeError(f"artifact {artifact} lacks tensor {name}; compress it again")
