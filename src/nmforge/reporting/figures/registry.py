"""The figures of the paper: each module turns tables into the plotted rows, and those rows into a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from nmforge.core.errors import NmforgeError
from nmforge.io.files import write_atomically
from nmforge.io.records import read_table
from nmforge.reporting.figures import (
    accuracy_frontier,
    bandwidth,
    boards,
    error_by_layer,
    fpga,
    llama7b_scaling,
    roofline,
    speedup,
    storage,
    style,
)


@dataclass(frozen=True)
class Drawing:
    """The tables a figure reads, what it plots (`data`), and the picture of exactly those rows (`plot`)."""

    tables: tuple[str, ...]
    data: Callable[[dict[str, pd.DataFrame]], pd.DataFrame]
    plot: Callable[[pd.DataFrame], Figure]


FIGURES: dict[str, Drawing] = {
    "storage": Drawing(storage.TABLES, storage.data, storage.plot),
    "speedup": Drawing(speedup.TABLES, speedup.data, speedup.plot),
    "roofline": Drawing(roofline.TABLES, roofline.data, roofline.plot),
    "llama7b_scaling": Drawing(llama7b_scaling.TABLES, llama7b_scaling.data, llama7b_scaling.plot),
    "accuracy_frontier": Drawing(accuracy_frontier.TABLES, accuracy_frontier.data, accuracy_frontier.plot),
    "error_by_layer": Drawing(error_by_layer.TABLES, error_by_layer.data, error_by_layer.plot),
    "fpga": Drawing(fpga.TABLES, fpga.data, fpga.plot),
    "bandwidth": Drawing(bandwidth.TABLES, bandwidth.data, bandwidth.plot),
    "boards": Drawing(boards.TABLES, boards.data, boards.plot),
}
# No clock, no library version: the same rows give the same bytes.
METADATA: dict[str, dict[str, str | None]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": "nmforge"},
    "png": {"Software": "nmforge"},
}


def draw(name: str, tables_dir: Path, out_dir: Path) -> list[Path]:
    """Draw one figure: `<name>.csv` with the plotted rows, then `<name>.pdf` and `<name>.png` of those rows.

    Every file is written under a temporary name and renamed. Raises NmforgeError for an unknown name, and for
    a table `<tables_dir>/<table>.parquet` that is missing.
    """
    if name not in FIGURES:
        raise NmforgeError(f"figure {name!r} is unknown; choose one of {', '.join(FIGURES)}")
    drawing, out = FIGURES[name], Path(out_dir)
    rows = drawing.data({table: read_table(Path(tables_dir) / f"{table}.parquet") for table in drawing.tables})
    with style.styled():
        figure = drawing.plot(rows)
        writers: dict[str, Callable[[Path], object]] = {"csv": lambda path: rows.to_csv(path, index=False)}
        for kind, metadata in METADATA.items():
            writers[kind] = partial(figure.savefig, format=kind, metadata=metadata)
        for kind, write in writers.items():
            write_atomically(out / f"{name}.{kind}", write)
    return [out / f"{name}.{kind}" for kind in writers]
