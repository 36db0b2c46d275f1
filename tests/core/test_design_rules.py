"""Which settings go together: one sentence for each pair that does not, decided by what the entries say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nmforge.core.design import DesignPoint
from nmforge.core.design_rules import check_design, is_calibrated
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import DENSE, Pattern
from nmforge.core.registry import registry

TWO = Pattern(2, 4)


def point(pattern: Pattern, pruner: str, quantizer: str, transforms: tuple[str, ...] = ()) -> DesignPoint:
    return DesignPoint("p", pattern, pruner, quantizer, 4, 8, transforms=transforms)


@pytest.mark.parametrize(
    ("design", "sentence"),
    [
        (
            point(TWO, "best", "rtn"),
            "design p: pruner 'best' is unknown; use one of ",
        ),
        (replace(point(DENSE, "none", "rtn"), bits=12), "design p: bits = 12 is out of range; use 2..8, or 16"),
        (
            replace(point(TWO, "wanda", "rtn"), bits=16),
            "design p: bits 16 leaves every weight in bf16; set bits 2..8, or remove pattern, pruner and quantizer",
        ),
        (point(DENSE, "none", "none"), "design p: quantizer 'none' is unknown; use one of "),
        (point(DENSE, "none", "rtn", ("x",)), "design p: transform 'x' is unknown; use one of "),
        (
            point(TWO, "none", "rtn"),
            "pattern 2:4 and pruner none disagree; a dense pattern goes with pruner none, any other with a pruner",
        ),
        (
            replace(point(TWO, "magnitude", "rtn"), target="dense"),
            "target dense needs calibration text, which pruner magnitude and quantizer rtn do not read; "
            "set quantizer gptq, or remove target",
        ),
        (replace(point(DENSE, "none", "rtn"), dense_layers=("*",)), "dense_layers needs a sparse pattern; set one"),
        (
            point(Pattern(3, 6), "sparsegpt", "gptq"),
            "pattern 3:6 does not divide group_size 8; choose a multiple of 6",
        ),
        (point(TWO, "sparsegpt", "rtn"), "pruner sparsegpt leaves the mask to the quantizer; set quantizer gptq"),
        (point(Pattern(1, 4), "modelopt", "gptq"), "pruner modelopt has no masks of 1:4; set pattern 2:4"),
        (
            point(TWO, "modelopt", "gptq", ("permute",)),
            "pruner modelopt takes inputs in their own order; set pruner alps or alps-swaps or magnitude or ria or "
            "sparsegpt or wanda, or remove permute from transforms",
        ),
        (
            point(DENSE, "none", "gptq", ("permute",)),
            "transform permute needs a sparse pattern; set one, or remove permute from transforms",
        ),
        (
            point(DENSE, "none", "gptq", ("awq", "awq")),
            "transforms names awq twice; name it once",
        ),
        *(
            (
                point(TWO, pruner, quantizer, ("awq",)),
                f"transform awq changes the magnitudes that pruner {pruner} and quantizer {quantizer} compare; set "
                "pruner none, alps or alps-swaps or modelopt or sparsegpt or wanda and quantizer gptq or rtn, or "
                "remove awq from transforms",
            )
            for pruner, quantizer in (("magnitude", "rtn"), ("ria", "gptq"), ("wanda", "tensor-absmax"))
        ),
    ],
)
def test_a_combination_that_does_not_work_is_one_sentence(design: DesignPoint, sentence: str) -> None:
    with pytest.raises(NmforgeError) as caught:
        check_design(design)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("design p: ")


def test_what_needs_calibration_text() -> None:
    needs = {name for name in registry("pruner").names() if is_calibrated(point(TWO, name, "rtn"))}
    assert needs == set(registry("pruner").names()) - {"magnitude"}
    assert is_calibrated(point(DENSE, "none", "gptq"))
    assert is_calibrated(point(DENSE, "none", "rtn", ("awq",)))
    assert not is_calibrated(point(DENSE, "none", "rtn"))
    assert not is_calibrated(point(TWO, "magnitude", "tensor-absmax"))


def test_points_that_work_and_the_dense_one_are_let_through() -> None:
    check_design(point(TWO, "alps", "gptq", ("permute", "awq")))
    check_design(point(TWO, "magnitude", "rtn", ("permute",)))
    check_design(DesignPoint("d", DENSE, "none", "none", 16, 64))
