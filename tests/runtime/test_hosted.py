"""transformers' model around our layers: three backends with the same logits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from factories.toy_artifacts import BF16, compressed_toy

from nmforge.core.errors import NmforgeError
from nmforge.runtime.backends import cpu_backend
from nmforge.runtime.continuation import HOSTED, GenerationSettings, decode
from nmforge.runtime.generate import generate, make_backend
from nmforge.runtime.hosted import SharedQuantizer, hosted_logits, load_hosted
from nmforge.runtime.sampling import greedy
from nmforge.runtime.text import read_tokenizer

PROMPT = "Once upon"
ARRAY = (2, 2)  # builds in seconds


@pytest.fixture(scope="module")
def artifact(checkpoint: Path) -> Path:
    return compressed_toy(checkpoint)


@pytest.mark.rtl
def test_the_logits_of_every_backend_are_the_same_bits(artifact: Path, builds: Path) -> None:
    prompt = read_tokenizer(artifact).encode(PROMPT).ids
    logits = {}
    for name in HOSTED:
        backend = make_backend(GenerationSettings(backend=name, threads=2, build_dir=builds, array=ARRAY, compare=True))
        steps = list(islice(decode(hosted_logits(load_hosted(artifact, backend)), prompt, greedy), 4))
        logits[name] = np.stack([step.logits for step in steps])
    assert (logits["cpu"] == logits["reference"]).all()
    assert (logits["rtl"] == logits["reference"]).all()
    assert logits["rtl"].std() > 0.01


def test_layers_that_share_an_input_share_its_integers() -> None:
    quantizer, x = SharedQuantizer(), torch.ones(1, 2, 8)
    assert quantizer(x) is quantizer(x)
    assert quantizer(x.clone()) is not quantizer(x)
    with pytest.raises(NmforgeError, match="activations of a layer hold NaN or infinity"):
        quantizer(torch.tensor([[1.0, torch.nan]]))


@pytest.mark.parametrize(
    "act", [lambda a: generate(a, PROMPT, GenerationSettings(backend="cpu")), lambda a: load_hosted(a, cpu_backend(1))]
)
def test_a_dense_artifact_has_no_integers(checkpoint: Path, act: Callable[[Path], object]) -> None:
    dense = compressed_toy(checkpoint, BF16)
    with pytest.raises(NmforgeError, match=r"of design dense has no compressed layers.*; name the artifact of a"):
        act(dense)
