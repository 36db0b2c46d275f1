"""Draw figures into files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from nmforge.io.files import write_atomically
from nmforge.io.records import read_table
from nmforge.reporting.figures.registry import REGISTRY
from nmforge.reporting.style import styled

# No clock, no library version: the same rows give the same bytes.
METADATA: dict[str, dict[str, str | None]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": "nmforge"},
    "png": {"Software": "nmforge"},
}


def draw_figures(names: Sequence[str], tables_dir: Path, out_dir: Path) -> list[Path]:
    """Draw the figures of these names, all where there are none; returns the files.

    Raises NmforgeError for a name that no figure has, before anything is drawn.
    """
    drawings = [REGISTRY.get(name) for name in names] or list(REGISTRY)
    return [file for drawing in drawings for file in draw(drawing.name, tables_dir, out_dir)]


def draw(name: str, tables_dir: Path, out_dir: Path) -> list[Path]:
    """Draw one figure: `<name>.csv` with the plotted rows, then `<name>.pdf` and `<name>.png` of those rows.

    Every file is written under a temporary name and renamed. Raises NmforgeError for an unknown name, and for
    a table `<tables_dir>/<table>.parquet` that is missing.
    """
    drawing = REGISTRY.get(name)
    rows = drawing.data({table: read_table(tables_dir / f"{table}.parquet") for table in drawing.tables})
    with styled():
        figure = drawing.plot(rows)
        writers: dict[str, Callable[[Path], object]] = {"csv": lambda path: rows.to_csv(path, index=False)}
        for kind, metadata in METADATA.items():
            writers[kind] = partial(figure.savefig, format=kind, metadata=metadata)
        for kind, write in writers.items():
            write_atomically(out_dir / f"{name}.{kind}", write)
    return [out_dir / f"{name}.{kind}" for kind in writers]
