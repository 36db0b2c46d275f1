"""Masks that NVIDIA ModelOpt's SparseGPT chooses, a peer: its own code on the same weights and the same text.

ModelOpt lives in an environment of its own, `.venv-modelopt`, and keeps the masks of its search alone, not the weights
that SparseGPT moves to make up for them. Codes and scales behind its masks are ours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from nmforge.compression.pruning.masks import keep_largest
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.io.files import write_atomically
from nmforge.io.subprocesses import run_program

FOLDER = Path(".venv-modelopt")  # below the project's root, where every verb runs
WORKER = Path(__file__).with_name("modelopt_worker.py")
PATTERN = Pattern(2, 4)  # the only one it searches


def write_masks(checkpoint: Path, windows: Tensor, threads: int, out: Path, folder: Path = FOLDER) -> None:
    """Write bool[N, K], True = kept, for every linear layer of the checkpoint's blocks.

    windows: int64[W, T] calibration tokens. Raises NmforgeError where ModelOpt is not installed in `folder` or fails.
    """
    python = (folder / "bin" / "python").absolute()
    if not python.exists():
        raise NmforgeError(f"ModelOpt is not installed in {folder}; install it with make modelopt")
    with tempfile.TemporaryDirectory(prefix="modelopt-") as name:
        asked, found = Path(name) / "windows.safetensors", Path(name) / "masks.safetensors"
        save_file({"windows": windows.contiguous()}, asked)
        command: list[str | Path] = [python, "-P", WORKER, checkpoint.absolute(), asked, str(threads), found]
        run_program(command, f"ModelOpt on {checkpoint}", "install it again with make modelopt", cwd=Path(name))
        if not found.exists():
            raise NmforgeError(f"ModelOpt on {checkpoint} wrote no masks; install it again with make modelopt")
        write_atomically(out, lambda path: path.write_bytes(found.read_bytes()))


def read_masks(path: Path | None, names: list[str]) -> dict[str, Tensor]:
    """The masks of these layers; NmforgeError where there is no file or one of them is missing."""
    if path is None or not path.exists():
        raise NmforgeError(
            f"masks {path or 'of pruner modelopt'} are missing; make them with nmforge modelopt-masks and name them "
            "with --masks"
        )
    masks = load_file(path)
    for name in names:
        if name not in masks:
            raise NmforgeError(f"{path} has no mask of {name}; make it again from this checkpoint")
    return masks


def version_of(path: Path) -> str:
    """The version of ModelOpt that chose the masks of a file."""
    with safe_open(path, framework="pt") as handle:
        return str((handle.metadata() or {}).get("modelopt", "unknown"))


def stacked_masks(masks: Mapping[str, Tensor], names: list[str], weight: Tensor) -> Tensor:
    """The masks of layers one below the other, as their weights [N, K] lie.

    ModelOpt counts a kept weight that came out as zero among the pruned; windows that keep too few for it are filled up
    with their largest weights. Raises NmforgeError for masks of other shapes, or that keep too many.
    """
    for name in names:
        if masks[name].shape[1] != weight.shape[1]:
            raise NmforgeError(f"the mask of {name} has {masks[name].shape[1]} inputs, the layer {weight.shape[1]}")
        if (masks[name].unflatten(1, (-1, PATTERN.window)).sum(2) > PATTERN.keep).any():
            raise NmforgeError(f"the mask of {name} keeps more than {PATTERN.keep} of {PATTERN.window} weights")
    chosen = torch.cat([masks[name] for name in names]).to(weight.device)
    if len(chosen) != len(weight):
        raise NmforgeError(f"the masks of {', '.join(names)} have {len(chosen)} rows, the layers {len(weight)}")
    return keep_largest(weight.abs().masked_fill(chosen, torch.inf), PATTERN)
