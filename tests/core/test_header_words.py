"""The words of an artifact's header: what version 1 wrote from the start, field by field."""

from __future__ import annotations

from nmforge.config import RecoveryConfig
from nmforge.core.design import DesignPoint
from nmforge.core.formats import Pattern
from nmforge.core.header_words import design_header, header_transforms, recovery_header


def point(*transforms: str) -> DesignPoint:
    return DesignPoint("p", Pattern(2, 4), "alps", "gptq", 4, 64, "dense", transforms, ("model.layers.1.*",))


def test_a_design_point_is_spelled_as_the_first_release_spelled_it() -> None:
    assert design_header(point("permute")) == {
        "id": "p", "pattern": "2:4", "pruner": "alps", "quantizer": "gptq", "bits": 4, "group_size": 64,
        "target": "dense", "permute": True, "dense_layers": ("model.layers.1.*",), "awq": False,
    }  # fmt: skip


def test_transforms_come_back_from_the_header_later_ones_too() -> None:
    for transforms in ([], ["awq"], ["permute"], ["awq", "permute"], ["awq", "hadamard"]):
        assert header_transforms(design_header(point(*transforms))) == transforms
    assert "transforms" not in design_header(point("awq"))
    assert design_header(point("hadamard"))["transforms"] == ["hadamard"]


def test_training_is_spelled_as_the_first_release_spelled_it() -> None:
    fields = {**RecoveryConfig(start="p", steps=3).model_dump(), "tokens": 5, "sequences": "0f"}
    assert set(recovery_header(fields)) == {
        "start", "scope", "steps", "batch", "seqlen", "learning_rate", "truth", "self_text", "seed", "save_every",
        "tokens", "windows",
    }  # fmt: skip
