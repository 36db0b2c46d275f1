"""Large libraries that are imported at their first use, not when a module that names them is.

Reading a config asks every registry for its names, and a registry imports all its entries. Entries therefore take torch
and the plotting libraries from here: `from nmforge.core.lazy import torch`. A type checker sees the real libraries.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any


class LazyModule(ModuleType):
    """Stands for a module and imports it when an attribute is asked for."""

    def __getattr__(self, name: str) -> Any:
        """An attribute of the module."""
        return getattr(import_module(self.__name__), name)


if TYPE_CHECKING:
    import matplotlib.figure as mpl_figure
    import matplotlib.lines as mpl_lines
    import matplotlib.pyplot as plt
    import matplotlib.ticker as mpl_ticker
    import pandas as pd
    import seaborn as sns
    import torch
else:
    mpl_figure, mpl_lines, mpl_ticker = (LazyModule(f"matplotlib.{name}") for name in ("figure", "lines", "ticker"))
    plt, pd, sns, torch = map(LazyModule, ("matplotlib.pyplot", "pandas", "seaborn", "torch"))

__all__ = ["mpl_figure", "mpl_lines", "mpl_ticker", "pd", "plt", "sns", "torch"]
