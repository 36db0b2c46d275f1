"""The figure of LLaMA-7B on FPGA boards."""

from __future__ import annotations

import pandas as pd
from factories.board_engines import FPGA, LLAMA, ideal, only
from matplotlib.figure import Figure

from nmforge.core.registry import registry
from nmforge.fpga.boards.table import board_table
from nmforge.reporting import style
from nmforge.reporting.figures import boards as figure


def drawn(rows: pd.DataFrame) -> tuple[Figure, str]:
    with style.styled():
        picture = figure.plot(rows)
    texts = [t.get_text() for t in picture.texts] + [t.get_text() for axes in picture.axes for t in axes.texts]
    return picture, " ".join(texts).replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ")


def test_the_figure_draws_values_and_marks_and_nothing_else() -> None:
    rows = figure.data({"boards": board_table(FPGA, ideal, registry("board"), LLAMA)})
    picture, text = drawn(rows)
    assert len(picture.axes) == 2 * 3  # U280, VCK190 and KV260; nothing runs on the ECP5 board
    assert sum(len(axes.patches) for axes in picture.axes) == rows["value"].notna().sum() - 2 == 36
    for part in ("modelled", "55.0 published", "Not measured", "does not run on ButterStick: too little memory"):
        assert part in text
    assert "arXiv 2401.03868" in text and "arXiv 2502.10659" in text


def test_a_format_without_a_value_has_words_instead_of_a_bar() -> None:
    small = only("KV260", capacity=3.9e9)
    picture, text = drawn(figure.data({"boards": board_table(FPGA, ideal, small, LLAMA)}))
    assert text.count("does not fit") == 2  # dense INT4, decode and prefill
    assert [len(axes.patches) for axes in picture.axes] == [5, 5]


def test_nothing_to_model_is_said() -> None:
    for rows in (pd.DataFrame(), board_table(pd.DataFrame(), ideal, registry("board"), LLAMA)):
        _, text = drawn(figure.data({"boards": rows}))
        assert text == "FPGA boards: not measured here, no synthesized engine"
