"""Accuracy points: the dense design point leaves what every other one is compared with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from factories.toy_artifacts import BF16, compressed_toy

from nmforge.config import EvaluationConfig
from nmforge.core.errors import NmforgeError
from nmforge.evaluation.perplexity import DenseResults, evaluate_artifact

SETTINGS = EvaluationConfig(seqlen=32, stride=32)


def rows(artifact: Path, start: Path, dense: DenseResults, out: Path) -> list[dict[str, Any]]:
    evaluate_artifact(artifact, start / "tokens", SETTINGS, {"model": "toy", "dataset": "letters"}, dense, out)
    return list(json.loads(out.read_text())["rows"])


def test_every_mode_is_compared_with_the_dense_design_point(start: Path, tmp_path: Path) -> None:
    dense = DenseResults(tmp_path / "dense.json", tmp_path / "hidden.safetensors")
    assert dense.point is not None
    (base,) = rows(compressed_toy(start / "checkpoint", BF16), start, DenseResults(None, dense.hidden), dense.point)
    assert (base["mode"], base["ratio_to_dense"], base["kl"]) == ("bf16", 1.0, None)
    found = rows(compressed_toy(start / "checkpoint"), start, dense, tmp_path / "rtn.json")
    assert [row["mode"] for row in found] == ["w4a16", "w4a8"]
    for row in found:
        assert row["ratio_to_dense"] == row["ppl"] / base["ppl"]
        assert row["kl"] > 0 and row["tokens"] == base["tokens"] and row["dataset"] == "letters"


def test_a_compressed_artifact_needs_the_dense_point(start: Path, tmp_path: Path) -> None:
    dense = DenseResults(None, tmp_path / "hidden.safetensors")
    with pytest.raises(NmforgeError, match="--dense-point is missing; name the accuracy point of the design point"):
        rows(compressed_toy(start / "checkpoint"), start, dense, tmp_path / "rtn.json")
    assert list(tmp_path.iterdir()) == []
