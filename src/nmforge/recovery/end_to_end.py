"""Artifact in, artifact out: the same masks and scales, codes and norms trained on calibration text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from nmforge.artifact.format import load_linears, write_artifact
from nmforge.compression.passthrough import passthrough_tensors
from nmforge.config import RecoveryConfig
from nmforge.io.hashing import hash_json
from nmforge.io.progress import note, steps
from nmforge.linalg.device import compute_device
from nmforge.models.llama import norm_names
from nmforge.models.load import load_checkpoint
from nmforge.recovery import checkpoints as progress
from nmforge.recovery.data import recovered_header, training_sequences
from nmforge.recovery.device import attention_name, compute_dtype
from nmforge.recovery.distill import BETAS, Teacher, batches, learning_rate, train_step
from nmforge.recovery.start import read_start
from nmforge.recovery.straight_through import LatentLinear, LatentNorm

REPORTED_STEPS = 20  # steps between lines of the log, each with the mean KL of these steps, or of those since a resume


@dataclass
class Student:
    """The compressed model with trainable layers and norms, and those by name."""

    model: Any
    layers: dict[str, LatentLinear]
    norms: dict[str, LatentNorm]

    @property
    def latents(self) -> dict[str, nn.Parameter]:
        """The trained parameters."""
        return {name: part.latent for name, part in (self.layers | self.norms).items()}


def load_student(checkpoint: Path, artifact: Path, dtype: torch.dtype) -> Student:
    """The checkpoint's model in `dtype`, with the compressed layers and norms of the artifact made trainable."""
    model = load_dense(checkpoint, dtype)
    layers = {name: LatentLinear(linear) for name, linear in load_linears(artifact).items()}
    with safe_open(artifact, framework="pt") as handle:
        weights = {name: handle.get_tensor(f"{name}.weight") for name in norm_names(len(model.model.layers))}
    norms = {name: LatentNorm(weight, model.config.rms_norm_eps) for name, weight in weights.items()}
    for name, part in (layers | norms).items():
        model.set_submodule(name, part)
    return Student(model.to(compute_device()), layers, norms)


def load_dense(checkpoint: Path, dtype: torch.dtype) -> Any:
    """The checkpoint's model, frozen, where training runs."""
    model = load_checkpoint(checkpoint, dtype)[0].requires_grad_(requires_grad=False)
    model.set_attn_implementation(attention_name())
    return model.to(compute_device())


def recover_artifact(
    checkpoint: Path, artifact: Path, tokens: Path, design_id: str, settings: RecoveryConfig, out: Path,
    self_generated: Path | None = None,
) -> list[float]:  # fmt: skip
    """Train and write `out`; returns the loss of every step done by this call.

    self_generated: what `write_self_generated` wrote, if the settings ask for it. The state is saved next to `out`
    every `save_every` steps, so a run that was stopped continues; on a CPU the artifact does not depend on where.
    Raises NmforgeError for a start that is damaged, not compressed or of another checkpoint, a text too short, or a
    state of another run.
    """
    torch.set_flush_denormal(True)
    start, dtype = read_start(artifact, checkpoint), compute_dtype()
    student, dense = load_student(checkpoint, artifact, dtype), load_dense(checkpoint, dtype)
    sequences, revision = training_sequences(checkpoint, tokens, settings, self_generated)
    state = out.with_name(f".{out.name}.training")
    header = recovered_header(start, design_id, settings, sequences, revision, dtype)
    run = json.dumps([hash_json(start), header["recovery"], compute_device().type], sort_keys=True)
    losses = _train(student, Teacher(dense, sequences.to(compute_device())), settings, state, run)
    _write(student, dense.cpu(), checkpoint, header, start["index_encoding"], out)
    state.unlink(missing_ok=True)
    return losses


def _write(student: Student, dense: Any, checkpoint: Path, header: dict[str, Any], encoding: str, out: Path) -> None:
    """The trained layers and norms, and the rest of the dense model."""
    linears = {name: layer.to_linear() for name, layer in student.layers.items()}
    with torch.no_grad():
        for name, norm in student.norms.items():
            dense.get_submodule(name).weight.copy_(norm.weight())  # from where it was trained to here
    write_artifact(out, header, linears, passthrough_tensors(dense, linears, checkpoint), encoding)


def _train(student: Student, teacher: Teacher, settings: RecoveryConfig, state: Path, run: str) -> list[float]:
    """The loop; loss of every step. run: what a state found at `state` must have been saved with."""
    latents = student.latents
    optimizer = torch.optim.AdamW(
        latents.values(), lr=settings.learning_rate, betas=BETAS, weight_decay=0.0, fused=True
    )
    first = progress.load(state, run, latents, optimizer)
    losses: list[Tensor] = []
    order = batches(len(teacher.sequences), settings.batch, settings.seed, first)
    for step in steps(range(first, settings.steps), "recover", "step", settings.steps, first):
        rate = learning_rate(step, settings.steps, settings.learning_rate)
        losses.append(train_step(student.model, teacher, next(order), optimizer, rate, settings.hard_label_weight))
        done = step + 1
        if done % REPORTED_STEPS == 0 or done == settings.steps:
            kl = float(torch.stack(losses[-REPORTED_STEPS:]).mean())
            note(f"step {done} of {settings.steps}: KL {kl:.4f}, rate {rate:.2g}")
        if done % settings.save_every == 0 and done < settings.steps:
            progress.save(state, done, run, latents, optimizer)
    return [float(loss) for loss in losses]
