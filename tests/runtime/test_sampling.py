"""Draws from logits follow the softmax and repeat with their seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from factories.toy_artifacts import compressed_toy

from nmforge.runtime.continuation import GenerationSettings
from nmforge.runtime.generate import generate
from nmforge.runtime.sampling import greedy, sampler

PROMPT = "Once upon"


@pytest.fixture(scope="module")
def artifact(checkpoint: Path) -> Path:
    return compressed_toy(checkpoint)


def test_samples_repeat_with_their_seed_and_follow_the_softmax(artifact: Path) -> None:
    first, again, other = (
        generate(artifact, PROMPT, GenerationSettings(8, temperature=5, seed=seed)).token_ids for seed in (1, 1, 2)
    )
    assert first == again != other
    draw = sampler(2.0, 0)
    logits = np.array([0.0, 2 * np.log(3), -1e30], dtype=np.float32)
    assert sum(draw(logits) for _ in range(2000)) / 2000 == pytest.approx(0.75, abs=0.04)
    assert sampler(0, 0) is greedy


def test_the_first_of_equal_logits_is_taken() -> None:
    assert greedy(np.array([1, 3, 2, 3], dtype=np.float32)) == 1


def test_large_logits_at_a_small_temperature_are_greedy() -> None:
    draw = sampler(1e-3, 0)
    assert [draw(np.array([1e30, 3e30, -1e38], dtype=np.float32)) for _ in range(5)] == [1] * 5
