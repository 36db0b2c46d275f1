"""Artifact in, artifact out: the same masks and scales, codes and norms trained on calibration text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from nmforge.artifact import load_linears, read_header, verify, write_artifact
from nmforge.compress import rest_tensors
from nmforge.config import RecoveryConfig
from nmforge.corpora.windows import random_windows, read_tokens
from nmforge.errors import NmforgeError
from nmforge.models.layers import norm_names
from nmforge.models.sources import load_checkpoint
from nmforge.provenance import hash_json
from nmforge.recovery import attention, progress
from nmforge.recovery.distill import Teacher, batches, learning_rate, train_step
from nmforge.recovery.latent import LatentLinear, LatentNorm

BETAS = (0.9, 0.95)


def compute_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies it, else float32, which elsewhere is the faster of the two."""
    return torch.bfloat16 if torch.cpu.get_capabilities().get("avx512_bf16") else torch.float32


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
    """The checkpoint's model in `dtype`, with the compressed layers of the artifact and all norms made trainable."""
    model = load_dense(checkpoint, dtype)
    layers = {name: LatentLinear(linear) for name, linear in load_linears(artifact).items()}
    if not layers:
        raise NmforgeError(
            f"artifact {artifact} has no compressed layer to train; start from a compressed design point"
        )
    norms = {
        name: LatentNorm(model.get_submodule(name).weight, model.config.rms_norm_eps) for name in norm_names(model)
    }
    for name, part in (layers | norms).items():
        model.set_submodule(name, part)
    return Student(model, layers, norms)


def load_dense(checkpoint: Path, dtype: torch.dtype) -> Any:
    """The checkpoint's model, frozen, with attention by blocks."""
    model = load_checkpoint(checkpoint, dtype)[0].requires_grad_(requires_grad=False)
    model.set_attn_implementation(attention.NAME)
    return model


def recover_artifact(
    checkpoint: Path, artifact: Path, tokens: Path, design_id: str, settings: RecoveryConfig, out: Path
) -> list[float]:
    """Train and write `out`; returns the loss of every step done by this call.

    The state is saved beside `out` every `save_every` steps, so a run that was stopped goes on; the finished artifact
    does not depend on where it was stopped. Raises NmforgeError for a text too short or a state of another run.
    """
    torch.set_flush_denormal(True)
    verify(artifact)
    dtype = compute_dtype()
    student, dense = load_student(checkpoint, artifact, dtype), load_dense(checkpoint, dtype)
    stream, revision = read_tokens(tokens, "calibration")
    length = settings.seqlen
    windows = torch.from_numpy(random_windows(stream, len(stream) // length * length, length, settings.seed)).long()
    start, state = read_header(artifact), out.with_name(f".{out.name}.training")
    header = _header(start, design_id, settings, revision, dtype)
    run = json.dumps([hash_json(start), header["recovery"]], sort_keys=True)
    losses = _train(student, Teacher(dense, windows), settings, state, run)
    _write(student, dense, checkpoint, header, start["index_encoding"], out)
    state.unlink(missing_ok=True)
    return losses


def _write(student: Student, dense: Any, checkpoint: Path, header: dict[str, Any], encoding: str, out: Path) -> None:
    """The trained layers and norms, and the rest of the dense model."""
    linears = {name: layer.to_linear() for name, layer in student.layers.items()}
    with torch.no_grad():
        for name, norm in student.norms.items():
            dense.get_submodule(name).weight.copy_(norm.weight())
    write_artifact(out, header, linears, rest_tensors(dense, linears, checkpoint / "tokenizer.json"), encoding)


def _train(student: Student, teacher: Teacher, settings: RecoveryConfig, state: Path, run: str) -> list[float]:
    """The loop; loss of every step. run: what a state found at `state` must have been saved with."""
    latents = student.latents
    optimizer = torch.optim.AdamW(
        latents.values(), lr=settings.learning_rate, betas=BETAS, weight_decay=0.0, fused=True
    )
    first, losses = progress.load(state, run, latents, optimizer), []
    order = batches(len(teacher.windows), settings.batch, settings.seed, first)
    bar = tqdm(
        range(first, settings.steps), initial=first, total=settings.steps, desc="recover", unit="step", disable=None
    )
    for step in bar:
        rate = learning_rate(step, settings.steps, settings.learning_rate)
        losses.append(train_step(student.model, teacher, next(order), optimizer, rate, settings.truth))
        bar.set_postfix(kl=f"{losses[-1]:.3f}")
        if (step + 1) % settings.save_every == 0 and step + 1 < settings.steps:
            progress.save(state, step + 1, run, latents, optimizer)
    return losses


def _header(
    start: dict[str, Any], design_id: str, settings: RecoveryConfig, revision: str, dtype: torch.dtype
) -> dict[str, Any]:
    """The starting artifact's header fields with the new id and what training saw."""
    trained = settings.steps * settings.batch * settings.seqlen
    return {
        "model": start["model"],
        "design": {**start["design"], "id": design_id},
        "calibration": start["calibration"],
        "recovery": {
            **settings.model_dump(),
            "tokens": trained,
            "revision": revision,
            "dtype": str(dtype).removeprefix("torch."),
        },
        "versions": start["versions"],
    }
