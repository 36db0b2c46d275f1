"""Figures drawn in memory, and what they show."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text

from nmforge.core.registry import registry
from nmforge.reporting.style import styled


def plotted(name: str, **tables: pd.DataFrame) -> pd.DataFrame:
    """The rows that a figure plots."""
    rows: pd.DataFrame = registry("figure").get(name).data(tables)
    return rows


def picture(name: str, **tables: pd.DataFrame) -> Figure:
    """A figure of some tables."""
    with styled():
        figure: Figure = registry("figure").get(name).plot(plotted(name, **tables))
    return figure


def words(figure: Figure) -> str:
    """All text a figure shows, line breaks folded."""
    return " ".join(" ".join(t.get_text().split()) for t in figure.findobj(Text) if t.get_visible())


def bars(figure: Figure) -> list[float]:
    """Lengths of all bars, in drawing order."""
    return [patch.get_width() for axes in figure.axes for patch in axes.patches]
