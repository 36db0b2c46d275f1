"""Generation from one file against a greedy loop that has no cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from factories.toy_artifacts import compressed_toy

from nmforge.artifact.format import load_linears, load_rest, write_artifact
from nmforge.artifact.header import read_header
from nmforge.core.errors import NmforgeError
from nmforge.core.reference import forward_w4a8
from nmforge.models.load import load_checkpoint
from nmforge.runtime.generate import (
    GenerationSettings,
    generate,
)
from nmforge.runtime.native import load_native
from nmforge.runtime.native_text import generate_native

PROMPT = "Once upon"


@pytest.fixture(scope="module")
def artifact(checkpoint: Path) -> Path:
    return compressed_toy(checkpoint)


@torch.inference_mode()
def greedy_without_cache(checkpoint: Path, artifact: Path, ids: list[int], tokens: int) -> list[int]:
    """The whole sequence anew for every token, on the checkpoint's own model with `forward_w4a8` for its layers."""
    model = load_checkpoint(checkpoint)[0]
    for name, linear in load_linears(artifact).items():
        model.get_submodule(name).forward = lambda x, c=linear: torch.from_numpy(forward_w4a8(c, x[0].numpy()))[None]
    sequence = list(ids)
    for _ in range(tokens):
        logits = model(torch.tensor([sequence]), use_cache=False).logits[0, -1]
        first, second = logits.topk(2).values
        assert first - second > 1e-4  # or float rounding could decide, which differs with and without cache
        sequence.append(int(logits.argmax()))
    return sequence[len(ids) :]


def test_greedy_tokens_are_those_of_a_loop_without_cache(checkpoint: Path, artifact: Path) -> None:
    found = generate(artifact, PROMPT, GenerationSettings(12))
    assert found.prompt_ids == list(load_checkpoint(checkpoint)[1](PROMPT)["input_ids"])
    assert found.token_ids == greedy_without_cache(checkpoint, artifact, found.prompt_ids, 12)
    assert found.text == load_checkpoint(checkpoint)[1].decode(found.token_ids)


def test_streamed_pieces_join_to_the_text(artifact: Path) -> None:
    pieces: list[str] = []
    found = generate(artifact, "é", GenerationSettings(24), pieces.append)
    assert "".join(pieces) == found.text
    assert all(pieces)


def test_generation_stops_at_an_end_token(artifact: Path, tmp_path: Path) -> None:
    tokens = generate(artifact, PROMPT, GenerationSettings(12)).token_ids
    header, end = read_header(artifact), tokens[3]
    model = header["model"] | {"config": header["model"]["config"] | {"eos_token_id": [end, 3]}}
    ending = tmp_path / "ending.nmf.safetensors"
    write_artifact(ending, header | {"model": model}, load_linears(artifact), load_rest(artifact), "offset")
    found = generate(ending, PROMPT, GenerationSettings(12))
    assert found.token_ids == tokens[: tokens.index(end)]
    assert found.decode_steps == tokens.index(end)


def test_a_loaded_decoder_starts_anew(artifact: Path) -> None:
    native, once = load_native(artifact), generate(artifact, PROMPT)
    for _ in range(2):
        assert generate_native(artifact, PROMPT, decoder=lambda needed: native).token_ids == once.token_ids
        assert native.length == len(once.prompt_ids) + once.decode_steps  # nothing of an earlier call


def test_rates(artifact: Path) -> None:
    found = generate(artifact, PROMPT, GenerationSettings(3))
    assert found.prompt_rate == len(found.prompt_ids) / found.prompt_seconds
    assert found.decode_rate == 2 / found.decode_seconds
    assert generate(artifact, PROMPT, GenerationSettings(1)).decode_rate is None
    assert found.peak_rss > 100e6


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"prompt": ""}, "the prompt is empty; give the model a text"),
        ({"tokens": 0}, "tokens = 0 is out of range; ask for 1 or more"),
        ({"backend": "gpu"}, "backend 'gpu' is unknown; use one of native, cpu, reference, rtl"),
        ({"tokens": 504}, "a prompt of 9 tokens and 504 new ones exceed the model's context of 512; shorten"),
        ({"temperature": -1}, "temperature = -1 must be >= 0 and finite; use 0 for greedy"),
        ({"temperature": float("nan")}, "temperature = nan must be >= 0 and finite; use 0 for greedy"),
        ({"threads": 0}, "threads = 0 is out of range; use 1 or more"),
    ],
)
def test_error_messages_of_settings(artifact: Path, change: dict[str, Any], sentence: str) -> None:
    settings = {"prompt": PROMPT, **change}
    prompt: str = settings.pop("prompt")
    with pytest.raises(NmforgeError, match=sentence):
        generate(artifact, prompt, GenerationSettings(**settings))
