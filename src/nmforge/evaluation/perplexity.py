"""Perplexity of a design point in both modes, and how far its predictions are from the dense model's.

The dense model's final hidden states are kept (a few MB), so KL and top-1 agreement cost one more head product
on the compared positions instead of a second forward pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nmforge.artifact.header import read_header
from nmforge.artifact.storage import linear_bits_per_weight
from nmforge.config import EvaluationConfig
from nmforge.core.design import pattern_label
from nmforge.core.errors import NmforgeError
from nmforge.data.tokens import read_tokens, spread_sequences
from nmforge.io.files import write_atomically
from nmforge.io.progress import steps
from nmforge.io.records import read_points, write_point
from nmforge.linalg.bf16 import multiply, round_bf16
from nmforge.runtime.torch_model import load_packed

VOCABULARY_BLOCK = 1024  # head rows multiplied at once: their logits stay in the cache
DENSE_MODES, COMPRESSED_MODES = ("bf16",), ("w4a16", "w4a8")  # of an artifact left in bf16, of a compressed one
COMPARED_BLOCK = 256  # positions whose whole logits are held at once


@dataclass
class Scores:
    """Sums over the positions scored and the positions compared with the dense model."""

    nll: float = 0.0
    tokens: int = 0
    kl: float = 0.0
    agree: int = 0
    compared: int = 0

    @property
    def perplexity(self) -> float:
        """exp of the mean negative log-likelihood; infinite where that overflows."""
        mean = self.nll / self.tokens
        return math.exp(mean) if mean < 700 else math.inf


def score_sequence(
    model: Any, tokens: Tensor, dense_hidden: Tensor | None, settings: EvaluationConfig, scores: Scores
) -> Tensor:
    """Add one sequence int64[T] to `scores`; returns the final hidden states [T, hidden], rounded to bf16 as the input
    of every linear layer in bf16 is, the head's included."""
    hidden = round_bf16(model.model(tokens[None], use_cache=False).last_hidden_state[0])
    head: Tensor = model.lm_head.weight
    first = max(len(tokens) - settings.stride - 1, 0)  # with stride < seqlen, earlier positions are context only
    scores.nll += float(negative_log_likelihood(hidden[first:-1], head, tokens[first + 1 :]).sum())
    scores.tokens += len(tokens) - 1 - first
    if dense_hidden is not None:
        places, wide = torch.arange(first, len(tokens) - 1, settings.compare_every), head.float()
        for some in places.split(COMPARED_BLOCK):
            _compare(multiply(dense_hidden[some], wide), multiply(hidden[some], wide), scores)
    return hidden


def negative_log_likelihood(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """-log softmax(hidden @ head^T)[target] in nats: bf16 numbers [T, H], [V, H], int64[T] -> float32[T].

    The vocabulary is walked block by block with a running maximum and sum (Milakov and Gimelshein 2018,
    arXiv 1805.02867, algorithm 3), so the [T, V] logits never reach memory.
    """
    highest, total = torch.full((len(hidden),), -torch.inf), torch.zeros(len(hidden))
    chosen = torch.zeros(len(hidden))
    for first in range(0, len(head), VOCABULARY_BLOCK):
        logits = multiply(hidden, head[first : first + VOCABULARY_BLOCK].float())
        inside = ((targets >= first) & (targets < first + VOCABULARY_BLOCK)).nonzero()[:, 0]
        chosen[inside] = logits[inside, targets[inside] - first]
        higher = torch.maximum(highest, logits.amax(dim=1))
        total = total * (highest - higher).exp() + logits.sub_(higher[:, None]).exp_().sum(dim=1)
        highest = higher
    return total.log() + highest - chosen


def _compare(dense: Tensor, logits: Tensor, scores: Scores) -> None:
    """Add KL(dense || compressed) in nats and top-1 agreement over rows of logits."""
    p, q = dense.float().log_softmax(-1), logits.float().log_softmax(-1)
    scores.kl += float((p.exp() * (p - q)).sum())
    scores.agree += int((p.argmax(-1) == q.argmax(-1)).sum())
    scores.compared += len(p)


@torch.inference_mode()
def evaluate_mode(
    artifact: Path, sequences: Tensor, mode: str, settings: EvaluationConfig, dense_hidden: Tensor | None
) -> tuple[Scores, Tensor]:
    """Scores over int64[S, T] sequences and the hidden states [S, T, hidden] in the evaluation's type."""
    dtype = getattr(torch, settings.dtype)
    model = load_packed(artifact, mode, dtype, torch.get_num_threads())
    scores, hidden = Scores(), []
    label = f"evaluate {artifact.name.removesuffix('.nmf.safetensors')} {mode}"
    for index, sequence in enumerate(steps(sequences, label, "sequence", len(sequences))):
        dense = None if dense_hidden is None else dense_hidden[index]
        hidden.append(score_sequence(model, sequence, dense, settings, scores))
    return scores, torch.stack(hidden)


@dataclass(frozen=True)
class DenseResults:
    """What evaluating the dense bf16 design point leaves for every other one.

    point: its accuracy point. hidden: safetensors file of its final hidden states [S, T, hidden].
    """

    point: Path | None
    hidden: Path


def evaluate_artifact(
    artifact: Path, tokens: Path, settings: EvaluationConfig, names: dict[str, str], dense: DenseResults, out: Path
) -> None:
    """Write the accuracy rows of one design point, one for each mode that it has.

    names: `model` and `dataset`, as the table shows them. The dense design point leaves its hidden states at
    `dense.hidden`, and its `dense.point` is ignored; every other one reads both.
    Raises NmforgeError where the artifact is compressed and `dense.point` is None.
    """
    torch.set_flush_denormal(True)
    header = read_header(artifact)
    compressed = bool(header["layers"])
    if compressed and dense.point is None:
        raise NmforgeError("--dense-point is missing; name the accuracy point of the design point left in bf16")
    stream, revision = read_tokens(tokens, "evaluation")
    chosen = spread_sequences(stream, settings.sequences, settings.seqlen, settings.stride)
    sequences = torch.from_numpy(chosen.astype(np.int64))
    reference, dense_ppl = _read_dense(dense) if compressed else (None, None)
    rows = []
    for mode in COMPRESSED_MODES if compressed else DENSE_MODES:
        scores, hidden = evaluate_mode(artifact, sequences, mode, settings, reference)
        row = _row(header, artifact, mode, scores, dense_ppl, settings)
        rows.append(row | names | {"dataset_revision": revision})
        if not compressed:
            write_atomically(dense.hidden, partial(_save_hidden, hidden))
    write_point(out, "accuracy", rows)


def _read_dense(dense: DenseResults) -> tuple[Tensor, float]:
    """Hidden states and perplexity of the dense design point."""
    assert dense.point is not None
    return load_file(dense.hidden)["hidden"], float(read_points([dense.point])["ppl"].iloc[0])


def _save_hidden(hidden: Tensor, path: Path) -> None:
    save_file({"hidden": hidden}, path)


def _row(
    header: dict[str, Any], artifact: Path, mode: str, scores: Scores, dense_ppl: float | None,
    settings: EvaluationConfig,
) -> dict[str, Any]:  # fmt: skip
    """One accuracy row; the dense point agrees with itself by definition, so it has no KL."""
    design = header["design"]
    compared = scores.compared
    return {
        "design_id": design["id"],
        "mode": mode,
        "pattern": pattern_label(design),
        "pruner": design["pruner"],
        "quantizer": design["quantizer"],
        "bits": design["bits"],
        "group_size": design["group_size"],
        "target": design["target"],
        "ppl": scores.perplexity,
        "ratio_to_dense": scores.perplexity / dense_ppl if dense_ppl else 1.0,
        "kl": scores.kl / compared if compared else None,
        "top1_agreement": scores.agree / compared if compared else None,
        "compared_tokens": compared,
        "tokens": scores.tokens,
        "seqlen": settings.seqlen,
        "stride": settings.stride,
        "dtype": settings.dtype,
        "calibration_tokens": header["calibration"]["tokens"],
        "recovery_tokens": header.get("recovery", {}).get("tokens", 0),
        "bits_per_weight": linear_bits_per_weight(artifact),
    }
