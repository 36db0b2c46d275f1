"""Masks that NVIDIA ModelOpt's SparseGPT chooses, a library that we run: its own code on the same weights and text.

ModelOpt is installed in an environment of its own, `.venv-modelopt`, and keeps the masks of its search alone, not the
weights that SparseGPT moves to make up for them. Codes and scales under its masks are ours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.numpy import save_file

from nmforge.compression.pruning.masks import keep_largest
from nmforge.compression.pruning.registry import REGISTRY, Pruned, Pruner
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.core.lazy import torch
from nmforge.io.files import write_atomically
from nmforge.io.subprocesses import environment_python, run_program

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.layer_group import LayerGroup

FOLDER = Path(".venv-modelopt")  # below the project's root, where every verb runs
WORKER = Path(__file__).with_name("_modelopt_worker.py")
PATTERN = Pattern(2, 4)  # the only one it searches
AGAIN = "make the masks of this checkpoint again with nmforge modelopt-masks"


def prune(group: LayerGroup) -> Pruned:
    """The weights as they are, with ModelOpt's masks."""
    return Pruned(group.weight, stacked_masks(group.masks, list(group.rows), group.weight))


def stacked_masks(masks: Mapping[str, Tensor], names: Sequence[str], weight: Tensor) -> Tensor:
    """The masks of layers one below the other, in the order of the rows of their weights [N, K].

    ModelOpt counts a kept weight that came out as zero among the pruned; windows that keep too few for it are filled up
    with their largest weights. Raises NmforgeError for masks of other shapes, or that keep too many.
    """
    for name in names:
        if masks[name].shape[1] != weight.shape[1]:
            raise NmforgeError(
                f"the mask of {name} has {masks[name].shape[1]} inputs, the layer {weight.shape[1]}; {AGAIN}"
            )
        if (masks[name].unflatten(1, (-1, PATTERN.window)).sum(2) > PATTERN.keep).any():
            raise NmforgeError(
                f"the mask of {name} keeps more than {PATTERN.keep} of {PATTERN.window} weights; {AGAIN}"
            )
    chosen = torch.cat([masks[name] for name in names]).to(weight.device)
    if len(chosen) != len(weight):
        raise NmforgeError(
            f"the masks of {', '.join(names)} have {len(chosen)} rows, the layers {len(weight)}; {AGAIN}"
        )
    return keep_largest(weight.abs().masked_fill(chosen, torch.inf), PATTERN)


def write_masks(checkpoint: Path, sequences: Tensor, threads: int, out: Path, folder: Path = FOLDER) -> None:
    """Write bool[N, K], True = kept, for every linear layer of the checkpoint's blocks.

    sequences: int64[S, T] calibration tokens. Raises NmforgeError where ModelOpt is not installed in `folder` or fails.
    """
    python = environment_python(folder, "ModelOpt", "make modelopt")
    with tempfile.TemporaryDirectory(prefix="modelopt-") as name:
        asked, found = Path(name) / "sequences.safetensors", Path(name) / "masks.safetensors"
        save_file({"sequences": sequences.contiguous().numpy()}, asked)
        command: list[str | Path] = [python, "-P", WORKER, checkpoint.absolute(), asked, str(threads), found]
        run_program(command, f"ModelOpt on {checkpoint}", "install it again with make modelopt", cwd=Path(name))
        if not found.exists():
            raise NmforgeError(f"ModelOpt on {checkpoint} wrote no masks; install it again with make modelopt")
        write_atomically(out, lambda path: path.write_bytes(found.read_bytes()))


REGISTRY.add(
    Pruner(
        "modelopt", "takes the masks of NVIDIA ModelOpt's SparseGPT", prune, calibrated=True, permutable=False,
        patterns=(str(PATTERN),), masks_from="modelopt-masks",
    )
)  # fmt: skip
