"""Block-wise reconstruction: one block after another learns to give the outputs of the dense model's block.

The block is the unit, as in BRECQ (Li et al. 2021, arXiv 2102.05426, section 3.2); it reads the outputs of the
compressed blocks before it, so it also makes up for them. With h a block's outputs and h' the dense ones, the loss is

    mean of || h - h' ||^2 / || h' ||^2  +  sum || h - h' ||^2 / sum || h' ||^2        over tokens.

The first is what the normalization after the block sees of an error. The second belongs to the few tokens whose states
are hundreds of times larger than the others': attention rests on them (Sun et al. 2024, arXiv 2402.17762), and as one
among hundreds they would be given up for the others' sake.

As in end-to-end distillation codes and norms are trained, masks and scales stay; gradients are not clipped, since this
loss has no peaks. One block is in memory at a time, so it reaches models that distillation does not.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nmforge.artifact.format import RawTensor, load_linear, load_rest, write_streamed
from nmforge.compression.activation_store import ActivationStore
from nmforge.compression.blockwise import BlockResult, BlockWalk, fill_block, pack_block, walk_blocks
from nmforge.compression.calibration.activation_cache import ActivationCache
from nmforge.compression.calibration.statistics import Streams
from nmforge.compression.checkpoints import finished_tensors, open_state, state_folder
from nmforge.compression.passthrough import bf16_tensor
from nmforge.config import RecoveryConfig
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.reference import dequantize
from nmforge.io import provenance
from nmforge.io.files import remove_unfinished
from nmforge.io.hashing import hash_json, sha256_bytes
from nmforge.io.progress import note
from nmforge.linalg.bf16_linear import Bf16Linear
from nmforge.linalg.device import compute_device
from nmforge.models.checkpoint import TORCH_TYPES, Shards, empty, load_skeleton, open_shards
from nmforge.models.forward import block_output
from nmforge.models.llama import BLOCK_LINEARS, BLOCK_NORMS, block_name
from nmforge.recovery.data import recovered_header, training_sequences
from nmforge.recovery.device import attention_name, compute_dtype
from nmforge.recovery.distill import BETAS, batches, learning_rate
from nmforge.recovery.start import read_start
from nmforge.recovery.straight_through import LatentLinear, LatentNorm

REPORTED_SEQUENCES = 32  # sequences whose error is logged, before and after
TINY = 1e-30  # no token's square is less


@dataclass(frozen=True)
class ReconstructionJob:
    """What every block of a run needs."""

    model: Any
    shards: Shards
    artifact: Path
    rest: dict[str, RawTensor]
    settings: RecoveryConfig
    encoding: str
    store: ActivationStore


def reconstruct_artifact(
    checkpoint: Path, artifact: Path, tokens: Path, design_id: str, settings: RecoveryConfig, memory_gb: float,
    out: Path,
) -> int:  # fmt: skip
    """Train block after block and write `out`; returns how many blocks an earlier, interrupted call had finished.

    settings: `steps` are those of each block. As many sequences are walked as these steps read, at most the whole text;
    activations that would take more than `memory_gb` go to files. Finished blocks are kept next to `out`.
    Raises NmforgeError for a damaged artifact or checkpoint, a text too short, a start without compressed layers or of
    another model, the state of another run, or a full disk.
    """
    torch.set_flush_denormal(True)
    remove_unfinished(out)
    start, shards = read_start(artifact, checkpoint), open_shards(checkpoint)
    model = load_skeleton(checkpoint)
    model.set_attn_implementation(attention_name())
    sequences, revision = training_sequences(checkpoint, tokens, settings, most=settings.steps * settings.batch)
    header = recovered_header(start, design_id, settings, sequences, revision, compute_dtype())
    folder, encoding, device = state_folder(out), start["index_encoding"], compute_device()
    first = open_state(folder, _run(start, header, device))
    in_memory = 2 * 4 * sequences.numel() * model.config.hidden_size <= memory_gb * 1e9
    store = ActivationStore(len(sequences), settings.seqlen, device, folder, in_memory, walk_dense=True)
    rest = load_rest(artifact)
    job = ReconstructionJob(model, shards, artifact, rest, settings, encoding, store)
    with torch.no_grad():
        walk_blocks(
            BlockWalk(model, shards, sequences, store, first, f"reconstruct {design_id}"),
            lambda index, entering, leaving: _reconstruct_block(job, index, entering, leaving),
        )
    layers, tensors = finished_tensors(folder, len(model.model.layers))
    others = {name: (tensor.lazy(), sha256_bytes(tensor.data)) for name, tensor in rest.items()}
    write_streamed(out, header, layers, {**others, **tensors}, encoding)
    shutil.rmtree(folder)
    return first


def _run(start: dict[str, Any], header: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """What the bytes of finished blocks depend on."""
    return {
        "start": hash_json(start),
        "recovery": header["recovery"],
        "device": device.type,
        "threads": torch.get_num_threads(),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
    }


def _reconstruct_block(job: ReconstructionJob, index: int, entering: Streams, leaving: Streams) -> BlockResult:
    """Train one block; the outputs of the dense block and of the trained one go to `leaving`."""
    assert entering.dense is not None
    assert leaving.dense is not None
    block = job.model.model.layers[index]
    fill_block(job.model, index, job.shards, job.store.device)
    _forward(job.model, index, entering.dense, leaving.dense)
    dense_norms = {name: block.get_submodule(name) for name in BLOCK_NORMS}
    layers, norms = _make_trainable(job, index)
    before = _error(job, index, entering.compressed, leaving.dense)
    with torch.enable_grad():
        _train(job, index, [part.latent for part in (layers | norms).values()], entering.compressed, leaving.dense)
    trained = _error(job, index, entering.compressed, leaving.dense)
    note(f"{block_name(index)}: error {before:.4g}, trained {trained:.4g}")
    found = {f"{block_name(index)}.{name}": layer.to_linear() for name, layer in layers.items()}
    result = pack_block(found, job.encoding)
    for name, norm in norms.items():
        dense_norms[name].weight.copy_(norm.weight())
        block.set_submodule(name, dense_norms[name])
        result.tensors[f"{block_name(index)}.{name}.weight"] = bf16_tensor(norm.weight())
    _use_weights(block, found, job.store.device)
    _forward(job.model, index, entering.compressed, leaving.compressed)
    empty(block)
    return result


def _forward(model: Any, index: int, source: ActivationCache, target: ActivationCache) -> None:
    for place, sequence in enumerate(source):
        target[place] = block_output(model, index, sequence)


def _make_trainable(job: ReconstructionJob, index: int) -> tuple[dict[str, LatentLinear], dict[str, LatentNorm]]:
    """Put the start's layers and norms into a block of the model, trainable; both by their names in the block."""
    block, path = job.model.model.layers[index], block_name(index)
    layers = {name: LatentLinear(load_linear(job.artifact, f"{path}.{name}")) for name in BLOCK_LINEARS}
    norms = {}
    for name in BLOCK_NORMS:
        raw = job.rest[f"{path}.{name}.weight"]
        weight = torch.frombuffer(bytearray(raw.data), dtype=TORCH_TYPES[raw.dtype])
        norms[name] = LatentNorm(weight, job.model.config.rms_norm_eps)
    for name, part in (layers | norms).items():
        block.set_submodule(name, part.to(job.store.device))
    return layers, norms


def _use_weights(block: Any, layers: Mapping[str, CompressedLinear], device: torch.device) -> None:
    """Give a block the weights of finished layers, on `device`, in the arithmetic of mode W4A16."""
    for name, linear in layers.items():
        weight = torch.from_numpy(dequantize(linear)).to(device)
        block.set_submodule(name.split(".", 3)[-1], Bf16Linear.from_weight(weight))


def _train(
    job: ReconstructionJob, index: int, latents: list[nn.Parameter], inputs: ActivationCache, wanted: ActivationCache
) -> None:
    """Train the latents of one block to give `wanted` for `inputs`."""
    settings, dtype = job.settings, compute_dtype()
    optimizer = torch.optim.AdamW(latents, lr=settings.learning_rate, betas=BETAS, weight_decay=0.0, fused=True)
    order = batches(len(inputs), settings.batch, settings.seed, 0)
    for step in range(settings.steps):
        chosen = next(order).tolist()
        x, target = (torch.cat([sequences[place] for place in chosen]) for sequences in (inputs, wanted))
        loss = relative_error(block_output(job.model, index, x.to(dtype)).float(), target)
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings.steps, settings.learning_rate)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def _error(job: ReconstructionJob, index: int, inputs: ActivationCache, wanted: ActivationCache) -> float:
    """The loss of a block on the first sequences."""
    places, dtype = range(min(len(inputs), REPORTED_SEQUENCES)), compute_dtype()
    outputs = ((block_output(job.model, index, inputs[place].to(dtype)).float(), wanted[place]) for place in places)
    return sum(float(relative_error(*pair)) for pair in outputs) / len(places)


def relative_error(outputs: Tensor, wanted: Tensor) -> Tensor:
    """The loss, of [B, T, hidden] each."""
    errors, sizes = (x.square().sum(-1) for x in (outputs - wanted, wanted))
    return (errors / sizes.clamp(min=TINY)).mean() + errors.sum() / sizes.sum().clamp(min=TINY)
