"""transformers' model around the layers of an artifact: a backend computes the INT32 sums of each layer and nothing
else, so logits of all backends are the same bits. float32 everywhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DynamicCache

from nmforge.artifact.format import load_linear, verify
from nmforge.artifact.header import Header, read_header
from nmforge.core import reference
from nmforge.core.compressed_linear import Float32, Int8
from nmforge.core.errors import NmforgeError
from nmforge.runtime.artifact_model import check_complete, load_model
from nmforge.runtime.backends import Backend, Sums
from nmforge.runtime.native import Logits


class SharedQuantizer:
    """Layers that read the same tensor one after the other quantize it once."""

    def __init__(self) -> None:
        self._x: Tensor | None = None
        self._result: tuple[Int8, Float32] | None = None

    def __call__(self, x: Tensor) -> tuple[Int8, Float32]:
        """float32[..., K] -> (int8[M, K], float32[M] steps); raises NmforgeError where x holds NaN or infinity."""
        if self._result is None or x is not self._x:
            flat = x.reshape(-1, x.shape[-1]).numpy()
            if not np.isfinite(flat).all():
                raise NmforgeError(
                    "the activations of a layer hold NaN or infinity; check the artifact with nmforge inspect"
                )
            self._x, self._result = x, reference.quantize_activations(flat)
        return self._result


class SummedLinear(nn.Module):
    """A linear layer in mode W4A8 whose sums come from a backend."""

    def __init__(self, sums: Sums, row_scale: Float32, quantizer: SharedQuantizer) -> None:
        """sums: int8[M, K] -> int32[M, N]; row_scale: float32[N]."""
        super().__init__()
        self.sums, self.row_scale, self.quantizer = sums, row_scale, quantizer

    def forward(self, x: Tensor) -> Tensor:
        """float32[..., K] -> float32[..., N]."""
        xq, step = self.quantizer(x)
        y = reference.scale_output(self.sums(xq), step, self.row_scale)
        return torch.from_numpy(y).view(*x.shape[:-1], y.shape[1])


def load_hosted(artifact: Path, backend: Backend) -> Any:
    """Model of a compressed artifact in float32, its linear layers summed by `backend`.

    Raises NmforgeError where a tensor is altered or missing, or the artifact has no compressed layers.
    """
    header = read_header(artifact)
    _check_compressed(artifact, header)
    verify(artifact)
    model = load_model(artifact, header, torch.float32)
    quantizer = SharedQuantizer()
    for name in header["layers"]:
        linear = load_linear(artifact, name)  # one at a time: unpacked, it takes three times its kernel's memory
        model.set_submodule(name, SummedLinear(backend(name, linear), linear.row_scale, quantizer))
    check_complete(model, artifact)
    return model


def hosted_logits(model: Any) -> Logits:
    """The logits of a model of `load_hosted`, over transformers' key-value cache."""
    cache = DynamicCache(config=model.config)

    @torch.inference_mode()
    def logits(ids: list[int]) -> Float32:
        found = model(torch.tensor([ids]), past_key_values=cache, use_cache=True, logits_to_keep=1)
        last: Float32 = found.logits[0, -1].numpy()
        return last

    return logits


def _check_compressed(artifact: Path, header: Header) -> None:
    if not header["layers"]:
        raise NmforgeError(
            f"artifact {artifact} of design {header['design']['id']} has no compressed layers, and this backend "
            "sums integers; name the artifact of a compressed design, or use --backend native"
        )
