"""Artifact in, artifact out: the same masks and scales, codes and norms trained on calibration text."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from nmforge.artifact import load_linears, read_header, verify, write_artifact
from nmforge.compress import rest_tensors
from nmforge.config import RecoveryConfig
from nmforge.corpora.windows import random_windows, read_tokens
from nmforge.errors import NmforgeError
from nmforge.models.layers import norm_names
from nmforge.models.sources import load_checkpoint
from nmforge.provenance import hash_json, sha256_bytes
from nmforge.recovery import progress
from nmforge.recovery.device import attention_name, compute_dtype, training_device
from nmforge.recovery.distill import Teacher, batches, learning_rate, train_step
from nmforge.recovery.latent import LatentLinear, LatentNorm
from nmforge.recovery.self_text import read_self_text

BETAS = (0.9, 0.95)
REPORTED = 20  # steps between lines of the log, each with the mean KL of so many, or of those since a resume


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
    return Student(model.to(training_device()), layers, norms)


def load_dense(checkpoint: Path, dtype: torch.dtype) -> Any:
    """The checkpoint's model, frozen, where training runs."""
    model = load_checkpoint(checkpoint, dtype)[0].requires_grad_(requires_grad=False)
    model.set_attn_implementation(attention_name())
    return model.to(training_device())


def recover_artifact(
    checkpoint: Path, artifact: Path, tokens: Path, design_id: str, settings: RecoveryConfig, out: Path,
    self_text: Path | None = None,
) -> list[float]:  # fmt: skip
    """Train and write `out`; returns the loss of every step done by this call.

    self_text: what `write_self_text` wrote, if the settings ask for it. The state is saved beside `out` every
    `save_every` steps, so a run that was stopped goes on; on a CPU the finished artifact does not depend on where.
    Raises NmforgeError for a text too short or a state of another run.
    """
    torch.set_flush_denormal(True)
    verify(artifact)
    dtype = compute_dtype()
    student, dense = load_student(checkpoint, artifact, dtype), load_dense(checkpoint, dtype)
    windows, revision = _windows(checkpoint, tokens, settings, self_text)
    start, state = read_header(artifact), out.with_name(f".{out.name}.training")
    header = _header(start, design_id, settings, revision, dtype)
    header["recovery"]["windows"] = sha256_bytes(windows.numpy().tobytes())
    run = json.dumps([hash_json(start), header["recovery"], training_device().type], sort_keys=True)
    losses = _train(student, Teacher(dense, windows.to(training_device())), settings, state, run)
    _write(student, dense.cpu(), checkpoint, header, start["index_encoding"], out)
    state.unlink(missing_ok=True)
    return losses


def _windows(checkpoint: Path, tokens: Path, settings: RecoveryConfig, self_text: Path | None) -> tuple[Tensor, str]:
    """(int64[W, T], the text's revision): every whole window of the calibration text, then the self-written ones."""
    stream, revision = read_tokens(tokens, "calibration")
    length = settings.seqlen
    windows = random_windows(stream, len(stream) // length * length, length, settings.seed)
    if settings.self_text and self_text is None:
        raise NmforgeError(
            f"recovery.self_text asks for {settings.self_text} windows; name their file with --self-text, or write it "
            f"with nmforge write-text --windows {settings.self_text} --seqlen {length}"
        )
    if self_text is not None and not settings.self_text:
        raise NmforgeError("recovery.self_text of this design point is 0; set it, or leave out --self-text")
    if self_text is not None:
        written = read_self_text(self_text, settings.self_text, length, checkpoint, revision)
        windows = np.concatenate([windows, written])
    return torch.from_numpy(windows).long(), revision


def _write(student: Student, dense: Any, checkpoint: Path, header: dict[str, Any], encoding: str, out: Path) -> None:
    """The trained layers and norms, and the rest of the dense model."""
    linears = {name: layer.to_linear() for name, layer in student.layers.items()}
    with torch.no_grad():
        for name, norm in student.norms.items():
            dense.get_submodule(name).weight.copy_(norm.weight())  # from where it was trained to here
    write_artifact(out, header, linears, rest_tensors(dense, linears, checkpoint / "tokenizer.json"), encoding)


def _train(student: Student, teacher: Teacher, settings: RecoveryConfig, state: Path, run: str) -> list[float]:
    """The loop; loss of every step. run: what a state found at `state` must have been saved with."""
    latents = student.latents
    optimizer = torch.optim.AdamW(
        latents.values(), lr=settings.learning_rate, betas=BETAS, weight_decay=0.0, fused=True
    )
    first = progress.load(state, run, latents, optimizer)
    losses: list[Tensor] = []
    order = batches(len(teacher.windows), settings.batch, settings.seed, first)
    bar = tqdm(
        range(first, settings.steps), initial=first, total=settings.steps, desc="recover", unit="step", disable=None
    )
    for step in bar:
        rate = learning_rate(step, settings.steps, settings.learning_rate)
        losses.append(train_step(student.model, teacher, next(order), optimizer, rate, settings.truth))
        done = step + 1
        if done % REPORTED == 0 or done == settings.steps:
            kl = float(torch.stack(losses[-REPORTED:]).mean())
            tqdm.write(f"step {done} of {settings.steps}: KL {kl:.4f}, rate {rate:.2g}", file=sys.stderr)
        if done % settings.save_every == 0 and done < settings.steps:
            progress.save(state, done, run, latents, optimizer)
    return [float(loss) for loss in losses]


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
