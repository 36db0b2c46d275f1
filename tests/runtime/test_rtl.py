"""Sums of the simulated accelerator: whole texts, layers in parts, and sums that are wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.toy_artifacts import compressed_toy

from nmforge.artifact.format import load_linears
from nmforge.core.compressed_linear import CompressedLinear, random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.evaluation import coherence
from nmforge.evaluation.coherence import check_text
from nmforge.runtime import rtl as rtl_backend
from nmforge.runtime.backends import reference_backend
from nmforge.runtime.continuation import GenerationSettings
from nmforge.runtime.generate import generate
from nmforge.runtime.rtl import RtlBackend, engine_of

pytestmark = pytest.mark.rtl
PROMPT = "Once upon"
ARRAY = (2, 2)  # builds in seconds


@pytest.fixture(scope="module")
def artifact(checkpoint: Path) -> Path:
    return compressed_toy(checkpoint)


def test_what_the_simulator_counted(artifact: Path, builds: Path) -> None:
    found = generate(artifact, PROMPT, GenerationSettings(2, "rtl", build_dir=builds, array=ARRAY, compare=True))
    channels = sum(linear.n for linear in load_linears(artifact).values())
    assert found.simulated is not None
    assert found.simulated.outputs == found.simulated.compared == channels * (len(found.prompt_ids) + 1)
    macs = sum(linear.n * linear.kept_per_row for linear in load_linears(artifact).values())
    tiles = -(-len(found.prompt_ids) // 2)
    ideal = macs // 2 * tiles + macs // 4  # a 2 x 2 GEMM array on tiles of 2 tokens, a GEMV array of 4 PEs
    assert ideal <= found.simulated.cycles <= 2 * ideal
    assert found.token_ids == generate(artifact, PROMPT, GenerationSettings(2)).token_ids
    assert generate(artifact, PROMPT, GenerationSettings(2)).simulated is None


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
    with pytest.raises(
        NmforgeError, match=r"the RTL generates tokens .* integer accumulators agree, so the float code around"
    ):
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


def test_the_simulation_is_started_once_for_a_part(builds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    linear = random_linear(rng, 16, 64, Pattern(2, 4), 4, 32)
    sums = RtlBackend(builds, ARRAY)("layer", linear)
    monkeypatch.delattr(rtl_backend, "write_weight_image")  # a call that made its image again would fail
    assert sums(np.ones((1, 64), dtype=np.int8)).shape == (1, 16)
