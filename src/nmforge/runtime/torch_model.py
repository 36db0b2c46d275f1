"""An artifact as a model that runs: the rest of the model from the file, its linear layers in mode W4A16 or W4A8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nmforge.artifact.format import load_linears, verify
from nmforge.artifact.header import read_header
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.errors import NmforgeError
from nmforge.core.reference import dequantize
from nmforge.kernels.cpu.linear import CpuLinear
from nmforge.linalg.bf16_linear import Bf16Linear
from nmforge.models.llama import linear_names
from nmforge.runtime.artifact_model import check_complete, load_model


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
    model = load_model(path, header, dtype)
    linears = load_linears(path)
    for name in linear_names(model.config.num_hidden_layers):
        if mode == "w4a8":
            layer: nn.Module = IntegerLinear(linears[name], threads)
        else:
            weight = model.get_submodule(name).weight if dense else torch.from_numpy(dequantize(linears[name]))
            layer = Bf16Linear.from_weight(weight.detach())
        model.set_submodule(name, layer)
    check_complete(model, path)
    return model
