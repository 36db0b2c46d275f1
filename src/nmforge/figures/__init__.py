"""The figures of the paper: each module turns tables into the plotted rows, and those rows into a picture."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from nmforge.errors import NmforgeError
from nmforge.figures import accuracy_frontier, fpga, llama7b_scaling, speedup, storage, style


@dataclass(frozen=True)
class Drawing:
    """The tables a figure reads, what it plots (`data`), and the picture of exactly those rows (`plot`)."""

    tables: tuple[str, ...]
    data: Callable[[dict[str, pd.DataFrame]], pd.DataFrame]
    plot: Callable[[pd.DataFrame], Figure]


FIGURES: dict[str, Drawing] = {
    "storage": Drawing(storage.TABLES, storage.data, storage.plot),
    "speedup": Drawing(speedup.TABLES, speedup.data, speedup.plot),
    "llama7b_scaling": Drawing(llama7b_scaling.TABLES, llama7b_scaling.data, llama7b_scaling.plot),
    "accuracy_frontier": Drawing(accuracy_frontier.TABLES, accuracy_frontier.data, accuracy_frontier.plot),
    "fpga": Drawing(fpga.TABLES, fpga.data, fpga.plot),
}
# No clock, no library version: the same rows give the same bytes.
METADATA: dict[str, dict[str, str | None]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": "nmforge"},
    "png": {"Software": "nmforge"},
}


def read_tables(names: tuple[str, ...], tables_dir: Path) -> dict[str, pd.DataFrame]:
    """Read `<name>.parquet` of each table; a missing file is an error that names it."""
    tables = {}
    for name in names:
        path = Path(tables_dir) / f"{name}.parquet"
        if not path.is_file():
            raise NmforgeError(f"table {path} is missing; run `snakemake --cores all` to measure it first")
        tables[name] = pd.read_parquet(path)
    return tables


def draw(name: str, tables_dir: Path, out_dir: Path) -> list[Path]:
    """Draw one figure: `<name>.csv` with the plotted rows, then `<name>.pdf` and `<name>.png` of those rows.

    Every file is written under a temporary name and renamed. Raises NmforgeError for an unknown name.
    """
    if name not in FIGURES:
        raise NmforgeError(f"figure {name!r} is unknown; choose one of {', '.join(FIGURES)}")
    drawing, out = FIGURES[name], Path(out_dir)
    rows = drawing.data(read_tables(drawing.tables, tables_dir))
    out.mkdir(parents=True, exist_ok=True)
    with style.styled():
        figure = drawing.plot(rows)
        written = [_replace(out / f"{name}.csv", lambda path: rows.to_csv(path, index=False))]
        for kind, metadata in METADATA.items():
            written.append(_replace(out / f"{name}.{kind}", _saver(figure, kind, metadata)))
    return written


def _saver(figure: Figure, kind: str, metadata: dict[str, str | None]) -> Callable[[Path], None]:
    return lambda path: figure.savefig(path, format=kind, metadata=metadata)


def _replace(path: Path, write: Callable[[Path], object]) -> Path:
    """Write through a temporary neighbour, so a reader never sees half a file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
