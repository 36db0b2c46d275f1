"""Figure `llama7b_scaling`."""

from __future__ import annotations

import pytest
from factories.pictures import picture, plotted, words
from factories.tables import scaling_table

from nmforge.reporting.query import WHOLE_MODEL


def test_models_decoded_as_a_whole_are_compared_within_their_group() -> None:
    """The bf16 run's machine was half as fast: its time counts over that of the 2:4 INT4 measured with it."""
    whole = scaling_table().assign(scope=WHOLE_MODEL, context=512)
    whole["us_of_2of4"] = whole["us_per_token"].where(whole["pattern"] == "2:4", 186e3).where(whole["bits"] < 16, 372e3)
    whole.loc[whole["bits"] == 3, "us_of_2of4"] = float("nan")  # without a partner it is not drawn
    rows = plotted("llama7b_scaling", scaling=whole[whole["platform"] == "CPU"]).set_index("design_id")
    assert rows.loc["2of4-int4", "value"] == 1
    assert rows.loc["dense-bf16", "value"] == pytest.approx(372 / 812)
    assert "dense-int3" not in rows.index
    shown = words(picture("llama7b_scaling", scaling=whole))
    assert "2:4 INT4 of the same turns = 1" in shown
    assert "2:4 INT4 decodes 5.4 tokens/s" in shown


def test_a_platform_that_was_not_measured_is_named() -> None:
    assert "GPU: not measured here" in words(picture("llama7b_scaling", scaling=scaling_table()))


def test_the_claimed_line_is_at_136_percent_of_dense_int4() -> None:
    rows = plotted("llama7b_scaling", scaling=scaling_table())
    cpu = rows[(rows["platform"] == "CPU") & rows["claimed_at"].notna()]
    assert list(cpu["claimed_at"]) == pytest.approx([1.36 * 1e6 / 231e3])
    assert "1.36x dense, claimed" in words(picture("llama7b_scaling", scaling=scaling_table()))
