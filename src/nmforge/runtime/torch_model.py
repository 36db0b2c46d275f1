"""An artifact as a model that runs: the rest of the model from the file, its linear layers in mode W4A16 or W4A8."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.initialization import no_init_weights

from nmforge.artifact.format import load_linears, verify
from nmforge.artifact.header import read_header
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.errors import NmforgeError
from nmforge.core.reference import dequantize
from nmforge.kernels.cpu.linear import CpuLinear
from nmforge.linalg.bf16_linear import Bf16Linear
from nmforge.models.llama import HEAD, linear_names


class IntegerLinear(nn.Module):
    """Mode W4A8 on the C++ kernel: the integers are the ones the accelerator computes."""

    def __init__(self, linear: CompressedLinear, threads: int) -> None:
        """Repack `linear` for the kernel, which uses `threads` threads."""
        super().__init__()
        self.kernel = CpuLinear(linear)
        self.threads = threads

    def forward(self, x: Tensor) -> Tensor:
        """[..., K] -> [..., N] in the type of x."""
        flat = x.reshape(-1, x.shape[-1]).float().contiguous()
        y = torch.from_numpy(self.kernel.forward(flat.numpy(), self.threads))
        return y.reshape(*x.shape[:-1], -1).to(x.dtype)


def load_packed(path: Path, mode: str, dtype: torch.dtype, threads: int) -> Any:
    """Model of an artifact in mode `bf16`, `w4a16` or `w4a8`; everything but the linear layers computes in `dtype`."""
    header = read_header(path)
    verify(path)
    dense = not header["layers"]
    if (mode == "bf16") != dense:
        raise NmforgeError(f"artifact {path} of design {header['design']['id']} cannot run in mode {mode}; "
                           f"use {'bf16' if dense else 'w4a16 or w4a8'}")  # fmt: skip
    settings = dict(header["model"]["config"])
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    with no_init_weights():  # every weight is replaced below
        model = AutoModelForCausalLM.from_config(config)
    _load_rest(model, path, header["layers"])
    model.to(dtype).eval()
    linears = load_linears(path)
    for name in linear_names(config.num_hidden_layers):
        if mode == "w4a8":
            layer: nn.Module = IntegerLinear(linears[name], threads)
        else:
            weight = model.get_submodule(name).weight if dense else torch.from_numpy(dequantize(linears[name]))
            layer = Bf16Linear.from_weight(weight.detach())
        model.set_submodule(name, layer)
    return model


def _load_rest(model: Any, path: Path, layers: Iterable[str]) -> None:
    """Copy every tensor but those of the compressed `layers` into the model; tied weights follow their twin."""
    wanted = model.state_dict()
    with safe_open(path, framework="pt") as handle:
        rest = {name: handle.get_tensor(name) for name in handle.keys() if name in wanted}  # noqa: SIM118
    missing = model.load_state_dict(rest, strict=False).missing_keys
    expected = {f"{name}.weight" for name in layers}
    if model.config.tie_word_embeddings:
        expected.add(f"{HEAD}.weight")
    for name in sorted(set(missing) - expected):
        raise NmforgeError(f"artifact {path} lacks tensor {name}; compress it again")
    model.tie_weights()
