"""The registry of figures: each module of this package adds one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nmforge.core.registry import Registry

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from nmforge.reporting.query import Tables


@dataclass(frozen=True)
class Drawing:
    """One figure.

    name: of its files in `paper_figures`. summary: what it shows, one line.
    tables: the tables it reads, names of entries of the registry `table`.
    data: those tables by name -> the plotted rows, with provenance; no rows where nothing was measured.
    plot: the picture of exactly those rows, which says so where there are none.
    order: place in the report; a figure that names none comes last.
    caption: what a reader is to see in it, one or two plain sentences.
    """

    name: str
    summary: str
    tables: tuple[str, ...]
    data: Callable[[Tables], pd.DataFrame]
    plot: Callable[[pd.DataFrame], Figure]
    order: int = 1000
    caption: str = field(kw_only=True)


REGISTRY: Registry[Drawing] = Registry("figure")
