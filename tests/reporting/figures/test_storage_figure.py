"""Figure `storage`."""

from __future__ import annotations

from factories.pictures import picture, plotted, words
from factories.tables import storage_table


def test_storage_factors_are_exact_and_start_at_zero() -> None:
    rows = plotted("storage", storage=storage_table()).set_index("label")["times_smaller"]
    assert rows["dense 16-bit"] == 1
    assert rows["paper-2of4, in place"] == 4
    assert "2:4 INT4, zeros stored" not in rows.index
    assert rows["2:4 INT4, offsets"] == 16 / 3.125
    assert rows["dense INT3"] == 16 / 3.125  # equal storage
    assert all(axes.get_xlim()[0] == 0 for axes in picture("storage", storage=storage_table()).axes)


def test_an_encoding_that_somebody_adds_is_labelled_by_its_name() -> None:
    storage = storage_table()
    added = storage[storage["encoding"] == "offset"].assign(encoding="runs")
    assert "2:4 INT4, runs" in set(plotted("storage", storage=added)["label"])


def test_the_claim_is_named() -> None:
    assert "4x claimed (arXiv 2512.24713)" in words(picture("storage", storage=storage_table()))
