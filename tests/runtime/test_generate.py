"""Generation from one file: three backends with the same logits, and a greedy loop that has no cache."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories.toy_artifacts import artifact_of

from nmforge.artifact.format import load_linears
from nmforge.core.compressed_linear import CompressedLinear, random_linear
from nmforge.core.design import DesignPoint
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import DENSE, Pattern
from nmforge.core.reference import forward_w4a8, quantize_activations
from nmforge.evaluation import coherence
from nmforge.evaluation.coherence import check_text
from nmforge.models.sources import load_checkpoint
from nmforge.runtime import generate as generation
from nmforge.runtime import rtl as rtl_backend
from nmforge.runtime.generate import (
    HOSTED,
    SharedQuantizer,
    cpu_backend,
    decode,
    generate,
    greedy,
    hosted_logits,
    load_model,
    load_tokenizer,
    make_backend,
    quantize,
    reference_backend,
    sampler,
)
from nmforge.runtime.rtl import RtlBackend, engine_of

PROMPT = "Once upon"
ARRAY = (2, 2)  # builds in seconds


@pytest.fixture(scope="module")
def artifact(checkpoint: Path) -> Path:
    return artifact_of(checkpoint, DesignPoint("rtn", Pattern(2, 4), "magnitude", "rtn", 4, 32))


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rtl")


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
    found = generate(artifact, PROMPT, 12)
    assert found.prompt_ids == list(load_checkpoint(checkpoint)[1](PROMPT)["input_ids"])
    assert found.token_ids == greedy_without_cache(checkpoint, artifact, found.prompt_ids, 12)
    assert found.text == load_checkpoint(checkpoint)[1].decode(found.token_ids)


def test_the_logits_of_every_backend_are_the_same_bits(artifact: Path, builds: Path) -> None:
    prompt = load_tokenizer(artifact).encode(PROMPT).ids
    logits = {}
    for name in HOSTED:
        backend = make_backend(name, 2, builds, True, ARRAY)
        steps = list(islice(decode(hosted_logits(load_model(artifact, backend)), prompt, greedy), 4))
        logits[name] = torch.stack([step.logits for step in steps])
    assert torch.equal(logits["cpu"], logits["reference"])
    assert torch.equal(logits["rtl"], logits["reference"])
    assert logits["rtl"].std() > 0.01


def test_what_the_simulator_counted(artifact: Path, builds: Path) -> None:
    found = generate(artifact, PROMPT, 2, "rtl", build_dir=builds, array=ARRAY, compare=True)
    channels = sum(linear.n for linear in load_linears(artifact).values())
    assert found.simulated is not None
    assert found.simulated.outputs == found.simulated.compared == channels * (len(found.prompt_ids) + 1)
    macs = sum(linear.n * linear.kept_per_row for linear in load_linears(artifact).values())
    tiles = -(-len(found.prompt_ids) // 2)
    ideal = macs // 2 * tiles + macs // 4  # a 2 x 2 GEMM array on tiles of 2 tokens, a GEMV array of 4 PEs
    assert ideal <= found.simulated.cycles <= 2 * ideal
    assert found.token_ids == generate(artifact, PROMPT, 2).token_ids
    assert generate(artifact, PROMPT, 2).simulated is None


def test_a_text_in_simulation_is_a_row_of_the_coherence_table(
    artifact: Path, builds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = check_text(artifact, PROMPT, 3, builds, 1, tmp_path / "point.json")
    (row,) = json.loads((tmp_path / "point.json").read_text())["rows"]
    channels = sum(linear.n for linear in load_linears(artifact).values())
    assert row["compared"] == channels * (len(made.prompt_ids) + 2)
    assert (row["backend"], row["layer"], row["mismatches"]) == ("rtl-text", "all", 0)

    def other_tokens(*given: object, **options: object) -> object:
        found = generate(*given, **options)  # type: ignore[arg-type]
        return found if found.simulated else replace(found, token_ids=[*found.token_ids, 1])

    monkeypatch.setattr(coherence, "generate", other_tokens)
    with pytest.raises(NmforgeError, match="the RTL goes on with tokens"):
        check_text(artifact, PROMPT, 3, builds, 1, tmp_path / "other.json")
    assert not (tmp_path / "other.json").exists()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_parts_of_a_layer_join_to_the_whole(builds: Path, threads: int) -> None:
    rng = np.random.default_rng(0)
    linear = random_linear(rng, 70, 64, Pattern(2, 4), 4, 32)
    sums = RtlBackend(builds, ARRAY, threads, expected=reference_backend)("layer", linear)
    for m in (1, 5):
        xq = rng.integers(-127, 128, (m, 64), dtype=np.int8)
        assert (sums(xq) == reference_backend("layer", linear)(xq)).all()


def test_a_wrong_sum_names_its_layer(builds: Path) -> None:
    rng = np.random.default_rng(0)
    linear = random_linear(rng, 8, 64, Pattern(2, 4), 4, 32)

    def wrong(name: str, linear: CompressedLinear) -> Any:
        return lambda xq: reference_backend(name, linear)(xq) + np.eye(1, linear.n, 3, dtype=np.int32)

    backend = RtlBackend(builds, ARRAY, expected=wrong)
    with pytest.raises(NmforgeError, match=r"layer mlp\.up: 1 of 8 sums of the RTL simulation differ from the CPU"):
        backend("mlp.up", linear)(np.ones((1, 64), dtype=np.int8))
    assert (backend.totals.outputs, backend.totals.compared) == (8, 0)


def test_an_engine_has_fewer_columns_where_groups_are_short() -> None:
    rng = np.random.default_rng(0)
    wide, short = (random_linear(rng, 8, 64, Pattern(1, 4), 4, group) for group in (64, 16))
    assert [engine_of(linear, 8, 4, "gemm").cols for linear in (wide, short)] == [4, 2]


def test_streamed_pieces_join_to_the_text(artifact: Path) -> None:
    pieces: list[str] = []
    found = generate(artifact, "é", 24, stream=pieces.append)
    assert "".join(pieces) == found.text
    assert all(pieces)


def test_a_character_in_two_tokens_is_handed_on_whole(artifact: Path) -> None:
    tokenizer = load_tokenizer(artifact)
    ids, pieces = tokenizer.encode("aé!").ids, list[str]()
    text = generation._Text(tokenizer, pieces.append)
    for end in range(1, len(ids) + 1):
        text.show(ids[:end])
    assert len(ids) == 4
    assert pieces == ["a", "é", "!"]
    assert text.finish(ids) == "aé!"


def test_generation_stops_at_an_end_token(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = generate(artifact, PROMPT, 12).token_ids
    end = tokens[3]
    monkeypatch.setattr(generation, "_end_tokens", lambda _header: [end])
    found = generate(artifact, PROMPT, 12)
    assert found.token_ids == tokens[: tokens.index(end)]
    assert found.decode_steps == tokens.index(end)


def test_samples_repeat_with_their_seed_and_follow_the_softmax(artifact: Path) -> None:
    first, again, other = (generate(artifact, PROMPT, 8, temperature=5, seed=seed).token_ids for seed in (1, 1, 2))
    assert first == again != other
    draw = sampler(2.0, 0)
    logits = torch.tensor([0.0, 2 * np.log(3), -1e30])
    assert sum(draw(logits) for _ in range(2000)) / 2000 == pytest.approx(0.75, abs=0.04)
    assert sampler(0, 0) is greedy


def test_rates(artifact: Path) -> None:
    found = generate(artifact, PROMPT, 3)
    assert found.prompt_rate == len(found.prompt_ids) / found.prompt_seconds
    assert found.decode_rate == 2 / found.decode_seconds
    assert generate(artifact, PROMPT, 1).decode_rate is None
    assert found.peak_rss > 100e6


def test_quantization_is_the_reference_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((9, 64)) * np.exp(rng.standard_normal((9, 1)) * 9)).astype(np.float32)
    x[3], x[4], x[5] = 1e-45, -3e-44, np.linspace(-127, 127, 64)  # steps that vanish, denormals, and ties
    for rows in (x, x[:1], x[4:5], x[5:6], x[3:4] * 0):
        (codes, step), (wanted_codes, wanted_step) = quantize(rows), quantize_activations(rows)
        assert (codes.tobytes(), step.tobytes()) == (wanted_codes.tobytes(), wanted_step.tobytes())
        assert (codes.dtype, step.dtype) == (np.int8, np.float32)


def test_layers_that_share_an_input_share_its_integers() -> None:
    quantizer, x = SharedQuantizer(), torch.ones(1, 2, 8)
    assert quantizer(x) is quantizer(x)
    assert quantizer(x.clone()) is not quantizer(x)
    with pytest.raises(NmforgeError, match="activations of a layer hold NaN or infinity"):
        quantizer(torch.tensor([[1.0, torch.nan]]))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"prompt": ""}, "the prompt is empty; give the model a text"),
        ({"tokens": 0}, "0 tokens are nothing to generate; ask for 1 or more"),
        ({"backend": "gpu"}, "backend 'gpu' is unknown; use one of native, cpu, reference, rtl"),
        ({"tokens": 504}, "a prompt of 9 tokens and 504 new ones exceed the model's context of 512; shorten"),
        ({"temperature": -1}, "temperature -1 is no temperature; use 0 for greedy decoding"),
        ({"temperature": float("nan")}, "temperature nan is no temperature"),
        ({"threads": 0}, "0 threads cannot work; use 1 or more"),
    ],
)
def test_sentences(artifact: Path, change: dict[str, Any], sentence: str) -> None:
    arguments: dict[str, Any] = {"artifact": artifact, "prompt": PROMPT, **change}
    with pytest.raises(NmforgeError, match=sentence):
        generate(**arguments)


@pytest.mark.parametrize("act", [lambda a: generate(a, PROMPT, backend="cpu"), lambda a: load_model(a, cpu_backend(1))])
def test_a_dense_artifact_has_no_integers(checkpoint: Path, act: Callable[[Path], object]) -> None:
    dense = artifact_of(checkpoint, DesignPoint("dense", DENSE, "none", "none", 16, 0))
    with pytest.raises(NmforgeError, match=r"of design dense has no compressed layers.*; name the artifact of a"):
        act(dense)


def test_the_simulation_is_started_once_for_a_part(builds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    linear = random_linear(rng, 16, 64, Pattern(2, 4), 4, 32)
    sums = RtlBackend(builds, ARRAY)("layer", linear)
    monkeypatch.delattr(rtl_backend, "write_weight_image")  # a call that made its image again would fail
    assert sums(np.ones((1, 64), dtype=np.int8)).shape == (1, 16)
