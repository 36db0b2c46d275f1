"""A file of masks that another program chose: bool[N, K] for each layer; metadata names the program and its version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open

from nmforge.core.errors import NmforgeError
from nmforge.core.lazy import torch
from nmforge.io.hashing import sha256_file

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.pruning.registry import Pruner


@dataclass(frozen=True)
class MaskFile:
    """masks: bool[N, K] by the name of the layer, True = kept. origin: what an artifact's header says of the file."""

    masks: Mapping[str, Tensor]
    origin: Mapping[str, str]


def read_mask_file(path: Path | None, pruner: Pruner, names: Sequence[str]) -> MaskFile:
    """The masks of these layers; NmforgeError where there is no file or one of them is missing."""
    if path is None or not path.exists():
        raise NmforgeError(
            f"masks {path or f'of pruner {pruner.name}'} are missing; make them with nmforge {pruner.masks_from} and "
            "name them with --masks"
        )
    with safe_open(path, framework="np") as handle:
        found = set(handle.keys())
        for name in names:
            if name not in found:
                raise NmforgeError(f"{path} has no mask of {name}; make it again from this checkpoint")
        masks = {name: torch.from_numpy(handle.get_tensor(name)) for name in names}
        return MaskFile(masks, {"sha256": sha256_file(path), **(handle.metadata() or {})})
