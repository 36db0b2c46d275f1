"""Artifact in, artifact out: the same masks and scales, codes trained on calibration text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from nmforge.artifact import load_linears, read_header, verify, write_artifact
from nmforge.compress import rest_tensors
from nmforge.config import RecoveryConfig
from nmforge.corpora.windows import random_windows, read_tokens
from nmforge.errors import NmforgeError
from nmforge.models.sources import load_checkpoint
from nmforge.recovery import progress
from nmforge.recovery.distill import batches, learning_rate, train_step
from nmforge.recovery.latent import LatentLinear

BETAS = (0.9, 0.95)


@dataclass
class Student:
    """The compressed model with trainable layers, and those layers by name."""

    model: Any
    layers: dict[str, LatentLinear]

    @property
    def latents(self) -> dict[str, nn.Parameter]:
        """The trained parameters."""
        return {name: layer.latent for name, layer in self.layers.items()}


def load_student(checkpoint: Path, artifact: Path) -> Student:
    """The checkpoint's model with every compressed layer of the artifact made trainable; the rest is frozen."""
    model = load_checkpoint(checkpoint)[0].requires_grad_(requires_grad=False)
    layers = {name: LatentLinear(linear) for name, linear in load_linears(artifact).items()}
    if not layers:
        raise NmforgeError(
            f"artifact {artifact} has no compressed layer to train; start from a compressed design point"
        )
    for name, layer in layers.items():
        model.set_submodule(name, layer)
    return Student(model, layers)


def recover_artifact(
    checkpoint: Path, artifact: Path, tokens: Path, design_id: str, settings: RecoveryConfig, out: Path
) -> list[float]:
    """Train and write `out`; returns the loss of every step done by this call.

    The state is saved beside `out` every `save_every` steps, so a run that was stopped goes on; the finished artifact
    does not depend on where it was stopped. Raises NmforgeError for a text too short or a state of another run.
    """
    torch.set_flush_denormal(True)
    verify(artifact)
    student, teacher = load_student(checkpoint, artifact), load_checkpoint(checkpoint)[0]
    stream, revision = read_tokens(tokens, "calibration")
    length = settings.seqlen
    windows = torch.from_numpy(random_windows(stream, len(stream) // length * length, length, settings.seed)).long()
    losses = _train(student, teacher, windows, settings, out.with_name(f".{out.name}.training"))
    header = _header(read_header(artifact), design_id, settings, revision)
    linears = {name: layer.to_linear() for name, layer in student.layers.items()}
    write_artifact(out, header, linears, rest_tensors(teacher, linears, checkpoint / "tokenizer.json"),
                   read_header(artifact)["index_encoding"])  # fmt: skip
    out.with_name(f".{out.name}.training").unlink(missing_ok=True)
    return losses


def _train(student: Student, teacher: Any, windows: Tensor, settings: RecoveryConfig, state: Path) -> list[float]:
    """The loop; loss of every step."""
    latents = student.latents
    optimizer = torch.optim.AdamW(latents.values(), lr=settings.learning_rate, betas=BETAS, weight_decay=0.0)
    run = json.dumps(settings.model_dump(), sort_keys=True)
    first, losses = progress.load(state, run, latents, optimizer), []
    order = batches(len(windows), settings.batch, settings.seed, first)
    bar = tqdm(
        range(first, settings.steps), initial=first, total=settings.steps, desc="recover", unit="step", disable=None
    )
    for step in bar:
        rate = learning_rate(step, settings.steps, settings.learning_rate)
        losses.append(train_step(student.model, teacher, windows[next(order)], optimizer, rate))
        bar.set_postfix(kl=f"{losses[-1]:.3f}")
        if (step + 1) % settings.save_every == 0 and step + 1 < settings.steps:
            progress.save(state, step + 1, run, latents, optimizer)
    return losses


def _header(start: dict[str, Any], design_id: str, settings: RecoveryConfig, revision: str) -> dict[str, Any]:
    """The starting artifact's header fields with the new id and what training saw."""
    trained = settings.steps * settings.batch * settings.seqlen
    return {
        "model": start["model"],
        "design": {**start["design"], "id": design_id},
        "calibration": start["calibration"],
        "recovery": {**settings.model_dump(), "tokens": trained, "revision": revision},
        "versions": start["versions"],
    }
