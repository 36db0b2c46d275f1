"""What holds for every figure: its files, its bytes, its texts, and words where nothing was measured."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest
from factories.pictures import bars, picture, words
from factories.tables import BUILDERS, accuracy_table, kernels_table
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from nmforge.core.errors import NmforgeError
from nmforge.reporting import style
from nmforge.reporting.draw import draw, draw_figures
from nmforge.reporting.figures.registry import REGISTRY

pytestmark = pytest.mark.slow

NAMES = REGISTRY.names()


@pytest.mark.parametrize("name", NAMES)
def test_draw_leaves_three_files_and_nothing_else(name: str, tables: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures"
    written = draw(name, tables, out)
    assert sorted(p.name for p in written) == sorted(p.name for p in out.iterdir())
    assert {p.name for p in written} == {f"{name}.{kind}" for kind in ("csv", "pdf", "png")}
    inches = Image.open(out / f"{name}.png").size[0] / 300
    assert inches == pytest.approx(7.0 if name in ("speedup", "accuracy_frontier") else 3.4)


@pytest.mark.parametrize("name", NAMES)
def test_same_tables_give_the_same_bytes(name: str, tables: Path, tmp_path: Path) -> None:
    once, again = draw(name, tables, tmp_path / "a"), draw(name, tables, tmp_path / "b")
    assert [p.read_bytes() for p in once] == [p.read_bytes() for p in again]


@pytest.mark.parametrize("name", NAMES)
def test_no_text_is_smaller_than_seven_points_or_outside(name: str) -> None:
    figure = picture(name, **{table: BUILDERS[table]() for table in REGISTRY.get(name).tables})
    figure.draw_without_rendering()
    page, unseen = figure.bbox, _undrawn_ticks(figure)
    for text in figure.findobj(Text):
        box = text.get_window_extent()
        if text.get_text().strip() and text.get_visible() and box.width:
            assert text.get_fontsize() >= 7, text
            inside = box.x0 >= -1 and box.x1 <= page.x1 + 1 and box.y0 >= -1 and box.y1 <= page.y1 + 1
            assert inside or text in unseen, f"{text.get_text()!r} leaves the page"


@pytest.mark.parametrize("name", NAMES)
def test_no_two_texts_overlap(name: str) -> None:
    figure = picture(name, **{table: BUILDERS[table]() for table in REGISTRY.get(name).tables})
    figure.draw_without_rendering()
    unseen = _undrawn_ticks(figure)
    drawn = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and t not in unseen]
    boxes = [(text.get_text(), text.get_window_extent()) for text in drawn]
    for (one, a), (other, b) in combinations(boxes, 2):
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide <= 0.5 or high <= 0.5, f"{one!r} overlaps {other!r}"


def _undrawn_ticks(figure: Figure) -> list[Text]:
    """Labels of ticks beyond the limits of their axis, which Matplotlib keeps and never draws."""
    labels = []
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            beyond = [tick for tick in ticks if not low <= tick.get_loc() <= high]
            labels += [label for tick in beyond for label in (tick.label1, tick.label2)]
    return labels


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_table_is_a_sentence_not_a_crash(name: str) -> None:
    figure = picture(name, **{table: BUILDERS[table]().iloc[:0] for table in REGISTRY.get(name).tables})
    assert "not measured here" in words(figure)


@pytest.mark.parametrize(
    ("name", "column"),
    [("storage", "times_smaller"), ("speedup", "speedup"), ("llama7b_scaling", "value"), ("fpga", "value")],
)
def test_csv_holds_the_plotted_bars(name: str, column: str, tables: Path, tmp_path: Path) -> None:
    draw(name, tables, tmp_path)
    csv = pd.read_csv(tmp_path / f"{name}.csv")
    drawn = picture(name, **{table: BUILDERS[table]() for table in REGISTRY.get(name).tables})
    assert bars(drawn) == pytest.approx(list(csv[column]))


def test_only_the_named_figures_are_drawn(tables: Path, tmp_path: Path) -> None:
    written = draw_figures(["fpga", "storage"], tables, tmp_path / "out")
    assert {p.stem for p in written} == {p.stem for p in (tmp_path / "out").iterdir()} == {"fpga", "storage"}


def test_unknown_figure_and_missing_table_are_sentences(tables: Path, tmp_path: Path) -> None:
    with pytest.raises(NmforgeError) as error:
        draw_figures(["storage", "pie"], tables, tmp_path / "out")
    assert str(error.value) == f"figure 'pie' is unknown; use one of {', '.join(NAMES)}"
    with pytest.raises(NmforgeError, match=r"fpga.parquet is missing; run snakemake --cores all"):
        draw("fpga", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_figure_reads_documented_tables_and_has_a_summary() -> None:
    for drawing in REGISTRY:
        assert set(drawing.tables) <= set(BUILDERS)
        assert drawing.summary and "\n" not in drawing.summary


def test_every_caption_is_one_to_three_sentences() -> None:
    for drawing in REGISTRY:
        assert drawing.caption.strip() == drawing.caption and drawing.caption.endswith(".")
        assert 1 <= len(drawing.caption.split(". ")) <= 3, drawing.name


def test_provenance_is_read_from_the_rows() -> None:
    assert json.loads(kernels_table()["versions"].iloc[0]) == {}
    assert style.measured(kernels_table()) == "Measured on AMD EPYC 7B13, 2 cores, 2026-01-02, commit abc"
    assert style.measured(accuracy_table().assign(host="bench-1")) == "Measured on bench-1, 2026-01-02, commit abc"
