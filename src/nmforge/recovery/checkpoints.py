"""What a training run needs to continue: latents, optimizer moments and the step, in one safetensors file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from nmforge.core.errors import NmforgeError
from nmforge.io.files import write_atomically

MOMENTS = ("exp_avg", "exp_avg_sq")


def save(
    path: Path, step: int, run: str, latents: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> None:
    """Write the state after `step` updates of the run described by `run`."""
    tensors = {}
    for name, latent in latents.items():
        tensors[f"{name}.latent"] = latent.detach()
        for moment in MOMENTS:
            tensors[f"{name}.{moment}"] = optimizer.state[latent][moment]
    write_atomically(path, lambda temporary: save_file(tensors, temporary, {"step": str(step), "run": run}))


def load(path: Path, run: str, latents: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> int:
    """Restore a state; returns the updates done, 0 where there is no file. NmforgeError where it is another run's."""
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as handle:
        metadata = handle.metadata() or {}
        if metadata.get("run") != run:
            raise NmforgeError(f"{path} belongs to a training run with other settings; remove it to start over")
        step = int(metadata["step"])
        for name, latent in latents.items():
            latent.data.copy_(handle.get_tensor(f"{name}.latent"))
            moments = {moment: handle.get_tensor(f"{name}.{moment}").to(latent.device) for moment in MOMENTS}
            optimizer.state[latent] = {"step": torch.tensor(float(step), device=latent.device), **moments}
    return step
