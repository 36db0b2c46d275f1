"""Scores of a window against torch's own cross entropy and Kullback-Leibler divergence."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div

from nmforge.config import EvaluationConfig
from nmforge.evaluation import perplexity as evaluate
from nmforge.evaluation.perplexity import VOCABULARY_BLOCK, Scores, negative_log_likelihood, score_sequence
from nmforge.linalg.bf16 import ROWS, round_bf16
from nmforge.models.sources.toy import toy_model

TOKENS = torch.arange(64) * 11 % 257


@pytest.fixture
def model() -> Any:
    return toy_model().eval()


@pytest.mark.parametrize("length", [37, ROWS + 1])  # by torch, and by our kernel
def test_blockwise_likelihood_is_cross_entropy_in_float64(length: int) -> None:
    generator = torch.Generator().manual_seed(0)
    hidden = round_bf16(torch.randn(length, 16, generator=generator) * 5)
    head = round_bf16(torch.randn(2 * VOCABULARY_BLOCK + 300, 16, generator=generator))
    targets = torch.randint(0, len(head), (length,), generator=generator)
    wanted = cross_entropy(hidden.double() @ head.double().T, targets, reduction="none")
    assert torch.allclose(negative_log_likelihood(hidden, head, targets).double(), wanted, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("stride", [64, 24])
def test_a_stride_shorter_than_the_window_scores_its_last_tokens_only(model: Any, stride: int) -> None:
    scores = Scores()
    score_sequence(model, TOKENS, None, EvaluationConfig(seqlen=64, stride=stride), scores)
    hidden = model.model(TOKENS[None]).last_hidden_state[0].bfloat16()  # what the head reads
    logits = hidden.double() @ model.lm_head.weight.double().T
    scored = min(stride, 63)
    wanted = cross_entropy(logits[:-1][-scored:], TOKENS[1:][-scored:], reduction="sum")
    assert scores.tokens == scored
    assert scores.nll == pytest.approx(float(wanted), rel=1e-5)


@pytest.mark.parametrize("block", [evaluate.COMPARED_BLOCK, 3])
@torch.inference_mode()
def test_divergence_and_agreement_on_one_position_in_eight(
    model: Any, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(evaluate, "COMPARED_BLOCK", block)
    settings = EvaluationConfig(seqlen=64, stride=64)
    dense_hidden = score_sequence(model, TOKENS, None, settings, Scores())
    same = Scores()
    score_sequence(model, TOKENS, dense_hidden, settings, same)
    assert (same.compared, same.agree) == (8, 8)
    assert same.kl == pytest.approx(0, abs=1e-6)
    other, scores = toy_model().eval(), Scores()
    other.model.layers[0].mlp.down_proj.weight.mul_(20)
    hidden = score_sequence(other, TOKENS, dense_hidden, settings, scores)
    p = (dense_hidden[:63:8] @ model.lm_head.weight.T).double().log_softmax(-1)
    q = (hidden[:63:8] @ model.lm_head.weight.T).double().log_softmax(-1)
    assert scores.kl == pytest.approx(float(kl_div(q, p, log_target=True, reduction="sum")), rel=1e-3)
    assert scores.agree == int((p.argmax(-1) == q.argmax(-1)).sum())
