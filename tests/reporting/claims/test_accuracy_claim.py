"""Claim `accuracy`: the paper's recipe, the best point of each family, and 2:4 INT4 against dense INT3."""

from __future__ import annotations

import pandas as pd
import pytest
from factories.ledgers import entries_of
from factories.rows import Row, accuracy_row

EQUAL_STORAGE = "2:4 INT4 as accurate as dense INT3 of equal storage"


def of_claim(accuracy: list[Row], claim: str) -> pd.DataFrame:
    """Rows whose claim contains the given words."""
    rows = entries_of("accuracy", accuracy=accuracy)
    return rows[rows["claim"].str.contains(claim, regex=False)]


def test_the_papers_recipe_is_shown_as_it_comes_out() -> None:
    row = of_claim([accuracy_row("paper-2of4", "2:4", 4, 1.25e6, 6e4)], "paper's recipe").iloc[0]
    assert row["verdict"] == "not reached" and "1.25e+06" in row["ours"]
    good = of_claim([accuracy_row("paper-2of4", "2:4", 4, 40.0, 2.0)], "paper's recipe").iloc[0]
    assert good["verdict"] == "reproduced"


@pytest.mark.parametrize(("int3", "expected"), [(50.0, "exceeded"), (40.0, "reproduced"), (30.0, "not reached")])
def test_best_2of4_against_best_int3(int3: float, expected: str) -> None:
    accuracy = [
        accuracy_row("paper-2of4", "2:4", 4, 1e6, 5e4),
        accuracy_row("sparsegpt-2of4-int4", "2:4", 4, 40.0, 2.0),
        accuracy_row("rtn-int3", "dense", 3, 99.0, 5.0),
        accuracy_row("gptq-int3", "dense", 3, int3, 1.9),
    ]
    row = of_claim(accuracy, EQUAL_STORAGE).iloc[0]
    assert row["verdict"] == expected and row["ours_value"] == int3 / 40
    assert row["platform"].startswith("sparsegpt-2of4-int4") and row["baseline"].startswith("gptq-int3")


def test_a_point_with_dense_layers_is_a_family_of_its_own() -> None:
    accuracy = [
        accuracy_row("alps-2of4-int4", "2:4", 4, 40.0, 2.0),
        accuracy_row("mixed-2of4-int4", "2:4+dense", 4, 25.0, 1.25),
        accuracy_row("gptq-int3", "dense", 3, 30.0, 1.5),
    ]
    pure, mixed = of_claim(accuracy, EQUAL_STORAGE).to_dict("records")
    assert pure["platform"].startswith("alps-2of4-int4") and pure["verdict"] == "not reached"
    assert mixed["platform"].startswith("mixed-2of4-int4") and mixed["verdict"] == "exceeded"
    assert of_claim(accuracy, "2:4+dense INT4 keeps").iloc[0]["ours"] == "ppl 25 = 1.25x dense"


def test_the_best_point_of_each_family_meets_the_same_bar() -> None:
    accuracy = [
        accuracy_row("rtn-int4", "dense", 4, 30.0, 1.5),
        accuracy_row("qep-int4", "dense", 4, 21.0, 1.05),
        accuracy_row("qep-2of4-int4", "2:4", 4, 41.0, 2.05),
    ]
    dense, sparse = (of_claim(accuracy, f"{family} keeps").iloc[0] for family in ("dense INT4", "2:4 INT4"))
    assert dense["platform"].startswith("qep-int4") and dense["verdict"] == "reproduced"
    assert sparse["ours"] == "ppl 41 = 2.05x dense" and sparse["verdict"] == "not reached"
