"""Measurement rows: a stage writes one JSON per point, a table collects the points.

results/points/<table>/<point>.json   {"table": ..., "provenance": {...}, "rows": [{...}, ...]}
results/tables/<table>.parquet, .csv  one line per row, provenance columns last
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nmforge.core.errors import NmforgeError
from nmforge.core.lazy import pd
from nmforge.io import provenance
from nmforge.io.files import write_atomically

Row = Mapping[str, Any]


def write_point(path: Path, table: str, rows: Sequence[Row]) -> None:
    """Write the rows of one point with today's provenance."""
    document = {"table": table, "provenance": provenance.current(), "rows": [_clean(row) for row in rows]}
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text))


def _clean(row: Row) -> dict[str, Any]:
    """JSON has no infinity and no NaN: a value that is not finite is written as null."""
    return {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in row.items()}


def read_points(paths: Iterable[Path]) -> pd.DataFrame:
    """All rows of some points, provenance columns after the measured ones."""
    rows: list[dict[str, Any]] = []
    for path in paths:
        try:
            document = json.loads(path.read_text())
            rows += [{**row, **document["provenance"]} for row in document["rows"]]
        except (OSError, ValueError, KeyError) as error:
            raise NmforgeError(f"{path} is not a readable point file ({error}); delete it and run again") from error
    return pd.DataFrame(rows)


def write_table(frame: pd.DataFrame, parquet: Path) -> None:
    """Write a table as Parquet and, next to it, as CSV."""
    write_atomically(parquet, lambda temporary: frame.to_parquet(temporary, index=False))
    csv = parquet.with_suffix(".csv")
    write_atomically(csv, lambda temporary: frame.to_csv(temporary, index=False))


def read_table(path: Path) -> pd.DataFrame:
    """Read a Parquet table; raises NmforgeError naming the file where it is missing."""
    if not path.exists():
        raise NmforgeError(f"table {path} is missing; run snakemake --cores all, or name another --tables folder")
    return pd.read_parquet(path)
