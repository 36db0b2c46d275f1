"""Checkpoint in, artifact out: prune and quantize the layers of each block on what they really read."""

from __future__ import annotations

import fnmatch
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmforge.artifact.format import write_streamed
from nmforge.compression.activation_store import ActivationStore
from nmforge.compression.blockwise import BlockWalk, compress_blocks
from nmforge.compression.checkpoints import finished_tensors, open_state, state_folder
from nmforge.compression.layer_solver import DesignSolver
from nmforge.compression.mask_file import MaskFile, read_mask_file
from nmforge.compression.passthrough import lazy_passthrough
from nmforge.compression.pruning.registry import REGISTRY as PRUNERS
from nmforge.config import CalibrationConfig
from nmforge.core.design import NO_PRUNER, DesignPoint
from nmforge.core.design_rules import check_design, is_calibrated
from nmforge.core.errors import NmforgeError
from nmforge.core.header_words import design_header
from nmforge.data.tokens import random_sequences, read_tokens
from nmforge.io import provenance
from nmforge.io.files import remove_unfinished
from nmforge.io.hashing import sha256_bytes
from nmforge.linalg.device import compute_device
from nmforge.models.checkpoint import load_skeleton, open_shards, verify_shards
from nmforge.models.llama import input_groups, linear_names

ACTIVATION_BYTES = 4  # float32


@dataclass(frozen=True)
class CompressionSummary:
    """Blocks compressed and resumed, wall time, device, peak memory.

    resumed: blocks an earlier call had finished. seconds: of this call's blocks. peak_bytes: of this process.
    """

    blocks: int
    resumed: int
    seconds: float
    device: torch.device
    peak_bytes: int

    def __str__(self) -> str:
        """One line for a person."""
        now = self.blocks - self.resumed
        before = f" ({self.resumed} from an earlier run)" if self.resumed else ""
        rate = f", {self.seconds / now:.3g} s a block on {self.device.type}" if now else ""
        return f"{self.blocks} blocks{before}{rate}, peak {self.peak_bytes / 1e9:.2f} GB"


def compress_checkpoint(
    checkpoint: Path,
    tokens: Path,
    point: DesignPoint,
    calibration: CalibrationConfig,
    encoding: str,
    out: Path,
    masks: Path | None = None,
) -> CompressionSummary:
    """Checkpoint folder -> artifact file, one block in memory at a time.

    masks: the file of a pruner that takes its masks from one.

    Finished blocks are kept in a folder next to `out`: after an interruption the same call continues after the last of
    them and writes the same bytes. Raises NmforgeError for a damaged checkpoint, layers or activations that are not
    finite, a text too short, a full disk, or the state of other settings.
    """
    check_design(point)
    torch.set_flush_denormal(True)
    remove_unfinished(out)
    identity, shards, model = verify_shards(checkpoint), open_shards(checkpoint), load_skeleton(checkpoint)
    names = linear_names(len(model.model.layers))
    _check_dense_layers(point, names)
    sequences, used = _calibration_sequences(tokens, point, calibration)
    given = _masks_of(point, masks, names)
    header = {
        "model": {**identity, "config": model.config.to_dict()},
        "design": design_header(point),
        "calibration": used,
        "versions": provenance.versions(),
        **({"masks": given.origin} if given.origin else {}),
    }
    folder, blocks, first, start = state_folder(out), 0, 0, time.perf_counter()
    if not point.is_dense_bf16:
        blocks, first = len(model.model.layers), open_state(folder, _run_settings(header, encoding, sequences))
        store = _activation_store(model.config, point, sequences, folder, calibration.memory_gb)
        walk = BlockWalk(model, shards, sequences, store, first, f"compress {point.id}")
        compress_blocks(walk, DesignSolver(point, input_groups(model.config), given.masks), encoding)
    seconds = time.perf_counter() - start
    layers, tensors = finished_tensors(folder, blocks)
    rest = lazy_passthrough(shards, model, layers, checkpoint)
    write_streamed(out, header, layers, {**rest, **tensors}, encoding)
    shutil.rmtree(folder, ignore_errors=True)
    return CompressionSummary(blocks, first, seconds, compute_device(), provenance.peak_rss())


def _check_dense_layers(point: DesignPoint, names: list[str]) -> None:
    """Raise NmforgeError on an entry of `dense_layers` that names none of a model's layers."""
    for entry in point.dense_layers:
        if not fnmatch.filter(names, entry):
            raise NmforgeError(
                f"design {point.id}: dense_layers entry {entry!r} names no layer; layers are called "
                f"{names[0]} to {names[-1]}"
            )


def _masks_of(point: DesignPoint, file: Path | None, names: list[str]) -> MaskFile:
    """The masks of a pruner that takes them from a file; none for any other, which may not be given one."""
    pruner = None if point.pruner == NO_PRUNER else PRUNERS.get(point.pruner)
    if pruner is not None and pruner.masks_from:
        return read_mask_file(file, pruner, names)
    if file is not None:
        raise NmforgeError(f"design {point.id}: pruner {point.pruner} chooses its own masks; leave out --masks")
    return MaskFile({}, {})


def _calibration_sequences(
    tokens: Path, point: DesignPoint, calibration: CalibrationConfig
) -> tuple[Tensor, dict[str, Any]]:
    """(int64[S, T], what the header says of them); no sequences for a point that needs none."""
    if not is_calibrated(point):
        return torch.empty(0, calibration.seqlen, dtype=torch.int64), {"tokens": 0}
    stream, revision = read_tokens(tokens, "calibration")
    chosen = random_sequences(stream, calibration.tokens, calibration.seqlen, calibration.seed)
    sequences = torch.from_numpy(chosen).long()
    settings = calibration.model_dump(exclude={"tokens", "memory_gb"})
    return sequences, {"revision": revision, "tokens": sequences.numel(), **settings}


def _run_settings(header: Mapping[str, Any], encoding: str, sequences: Tensor) -> dict[str, Any]:
    """What the bytes of finished blocks depend on."""
    return {
        **header,
        "index_encoding": encoding,
        "sequences": sha256_bytes(sequences.numpy().tobytes()),
        "device": compute_device().type,
        "threads": torch.get_num_threads(),
        "commit": provenance.commit(),
    }


def _activation_store(
    config: Any, point: DesignPoint, sequences: Tensor, folder: Path, memory_gb: float
) -> ActivationStore:
    """In memory where two widths of every stream fit into `memory_gb`. config: the model's."""
    count, length = sequences.shape
    walk_dense = point.target == "dense"
    widths = config.hidden_size + max(config.hidden_size, config.intermediate_size)
    in_memory = ACTIVATION_BYTES * count * length * widths * (1 + walk_dense) <= memory_gb * 1e9
    return ActivationStore(count, length, compute_device(), folder, in_memory, walk_dense)
