"""Do the tables of a run agree with the published ones, row by row?

Rows are matched by what they measured. Bytes, cycles and counts must be equal. A number of floating point may differ by
the tolerance of its kind, relative to the published one. A row that only one side has is counted and is no difference:
a study measures a part, and times of another processor have other keys.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmforge.core.errors import NmforgeError
from nmforge.core.lazy import pd

EXACT, RATIO, PERPLEXITY, CLOCK, TIME = "exact", "bits and ratios", "perplexity", "clock", "time"
TOLERANCES = {EXACT: 0.0, RATIO: 1e-9, PERPLEXITY: 0.01, CLOCK: 0.05, TIME: 0.25}
SHOWN = 20  # differences that the text names


@dataclass(frozen=True)
class Compared:
    """How the rows of a table are matched, and the kind of each number that is compared."""

    keys: tuple[str, ...]
    kinds: Mapping[str, str]


def _kinds(columns: Mapping[str, str]) -> dict[str, str]:
    """Kind of each column, from the columns of each kind, separated by spaces."""
    return {column: kind for kind, names in columns.items() for column in names.split()}


SIZE = "bits_per_weight"
MACHINE = ("device", "isa", "threads")
COMPARED = {
    "storage": Compared(("model", "design_id", "scope", "encoding"), _kinds({EXACT: "bytes", RATIO: SIZE})),
    "accuracy": Compared(
        ("model", "design_id", "mode", "dataset", "tokens", "seqlen"), _kinds({PERPLEXITY: "ppl", RATIO: SIZE})
    ),
    "coherence": Compared(("design_id", "layer", "backend", "note"), _kinds({EXACT: "compared mismatches"})),
    "fpga": Compared(
        ("stage", "engine", "pattern", "bits", "window", "lanes", "rows", "cols", "target", "seed", "m", "n", "k",
         "board", "memory_rate", "theorem"),
        _kinds({EXACT: "cycles ideal_cycles outputs_compared mismatches lut ff dsp ram", CLOCK: "fmax_mhz"}),
    ),
    "kernels": Compared(
        ("kernel", "stage", "m", "n", "k", "cache", *MACHINE), _kinds({EXACT: "weight_bytes", TIME: "median_us"})
    ),
    "decode": Compared(
        ("model", "candidate", "context", *MACHINE), _kinds({EXACT: "bytes_per_token", TIME: "median_us"})
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """A number that does not agree: its row, its column, and both values."""

    row: str
    column: str
    here: float
    published: float
    kind: str

    def __str__(self) -> str:
        tolerance = f"within {TOLERANCES[self.kind]:.0%}" if self.kind in (PERPLEXITY, CLOCK, TIME) else "exactly"
        return f"{self.row}: {self.column} is {self.here:.10g} here, {self.published:.10g} published ({tolerance})"


@dataclass(frozen=True)
class Comparison:
    """One table against its published one: rows of both sides, of one side only, and the numbers that differ."""

    table: str
    both: int
    only_here: int
    only_published: int
    differences: tuple[Difference, ...]


def agrees(here: float, published: float, kind: str) -> bool:
    """Whether two numbers of a kind agree; a missing one agrees with a missing one only."""
    if math.isnan(here) or math.isnan(published):
        return math.isnan(here) and math.isnan(published)
    return abs(here - published) <= TOLERANCES[kind] * abs(published)


def compare_table(name: str, here: pd.DataFrame, published: pd.DataFrame) -> Comparison:
    """Match the rows of two tables and compare their numbers; rows measured several times count with their median."""
    rows, others = _by_key(name, here), _by_key(name, published)
    both = [key for key in rows if key in others]
    found = [one for key in both for one in _differences(name, key, rows[key], others[key])]
    return Comparison(name, len(both), len(rows) - len(both), len(others) - len(both), tuple(found))


def compare_tables(tables: Path, published: Path) -> list[Comparison]:
    """Every table that both folders hold, this run's as Parquet, the published ones as CSV.

    Raises NmforgeError where no row is in both, so that a comparison of nothing never agrees.
    """
    files = {name: (tables / f"{name}.parquet", published / f"{name}.csv") for name in COMPARED}
    found = [
        compare_table(name, pd.read_parquet(ours), pd.read_csv(theirs))
        for name, (ours, theirs) in files.items()
        if ours.exists() and theirs.exists()
    ]
    if not any(one.both for one in found):
        raise NmforgeError(
            f"no row of {tables} has a published one in {published}; make this run's tables with "
            "snakemake --cores all, or name other folders with --tables and --published"
        )
    return found


def compare_text(found: Sequence[Comparison]) -> str:
    """A line for each table, then the numbers that differ, the first twenty by name."""
    lines = [
        f"{one.table}: {one.both} rows compared, {len(one.differences)} numbers differ; "
        f"{one.only_here} rows only here, {one.only_published} only published"
        for one in found
    ]
    differences = [f"{one.table}: {difference}" for one in found for difference in one.differences]
    more = [f"and {len(differences) - SHOWN} more"] if len(differences) > SHOWN else []
    verdict = "This run agrees with the published tables." if not differences else "This run does not agree:"
    return "\n".join([*lines, "", verdict, *differences[:SHOWN], *more])


def _by_key(name: str, table: pd.DataFrame) -> dict[tuple[str, ...], pd.Series]:
    """The numbers of each row by what it measured."""
    asked = COMPARED[name]
    numbers = table.reindex(columns=list(asked.kinds)).apply(pd.to_numeric)
    keys = table.reindex(columns=list(asked.keys)).map(_text)
    grouped = pd.concat([keys, numbers], axis=1).groupby(list(asked.keys), sort=False).median()
    return dict(zip(grouped.index, (row for _, row in grouped.iterrows()), strict=True))


def _text(value: object) -> str:
    """A cell of a key, the same from CSV and from Parquet: `8` for 8 and 8.0, nothing for a missing one."""
    if value is None or value != value:
        return ""
    return f"{value:.10g}" if isinstance(value, int | float) else str(value)


def _differences(name: str, key: tuple[str, ...], here: pd.Series, published: pd.Series) -> Iterator[Difference]:
    row = ", ".join(f"{column} {cell}" for column, cell in zip(COMPARED[name].keys, key, strict=True) if cell)
    for column, kind in COMPARED[name].kinds.items():
        if not agrees(float(here[column]), float(published[column]), kind):
            yield Difference(row, column, float(here[column]), float(published[column]), kind)
