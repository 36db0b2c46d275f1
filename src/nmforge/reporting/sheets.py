"""Tables as sheets of the report: cells with a text and a value to sort by, and where every row came from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from nmforge.core.lazy import pd
from nmforge.reporting.tables._columns import PROVENANCE
from nmforge.reporting.tables.registry import REGISTRY, Column

if TYPE_CHECKING:
    from nmforge.reporting.query import Tables

SOURCE = "source"
SHARES = ("top1_agreement", "efficiency", "model_error", "share_of_bandwidth", "memory_share", "lut_share")
UNKNOWN = Column("")


@dataclass(frozen=True)
class Cell:
    """One cell. text: what is read. key: what its column sorts by; empty where nothing was measured.

    number: whether the key is a number. link: id of the place in the page that the cell points to. id: its own.
    """

    text: str
    key: str = ""
    number: bool = False
    link: str = ""
    id: str = ""


@dataclass(frozen=True)
class Head:
    """Heading of a column: its name with the unit, and what the column means."""

    name: str
    meaning: str = ""


@dataclass(frozen=True)
class Sheet:
    """A table of the report. caption: what a row is. Every row has one cell a heading."""

    caption: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Origins:
    """The places that rows came from, numbered: one machine on one day, with one commit, config and set of versions."""

    def __init__(self, tables: Tables) -> None:
        """tables: all that the page shows; those without columns of provenance give no place."""
        found = [_origin(row) for table in tables.values() for row in table.to_dict("records") if _has_origin(row)]
        self._number = {origin: i for i, origin in enumerate(dict.fromkeys(found), start=1)}

    def cell(self, row: Mapping[Any, Any]) -> Cell:
        """The source of a row: the number of its place, or the words of its own column `source`."""
        if not _has_origin(row):
            return cell(row.get(SOURCE))
        number = self._number[_origin(row)]
        return Cell(f"run {number}", str(number), number=True, link=f"run-{number}")

    def rows(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Id in the page and the columns of provenance of every place."""
        for origin, number in self._number.items():
            yield f"run-{number}", dict(zip(PROVENANCE, origin, strict=True))


def _has_origin(row: Mapping[Any, Any]) -> bool:
    return all(not pd.isna(row.get(name)) for name in PROVENANCE)


def _origin(row: Mapping[Any, Any]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in PROVENANCE)


def sheet(name: str, table: pd.DataFrame, columns: Sequence[str], origins: Origins, caption: str = "") -> Sheet:
    """Some columns of a table as a sheet, and the source of every row at the end.

    name: of the table in the registry, which explains the columns. columns: those wanted; one that the table has not,
    or that is empty in all rows, is left out. caption: default: what one row of this table is.
    """
    entry = REGISTRY.get(name)
    shown = [column for column in columns if column in table and not table[column].isna().all()]
    heads = [_head(column, entry.columns.get(column, UNKNOWN)) for column in shown]
    rows = (
        (*(cell(row[column], column) for column in shown), origins.cell(row)) for row in table.to_dict("records")
    )  # fmt: skip
    source = Head(SOURCE, "where the numbers of the row came from")
    return Sheet(caption or f"One row: {entry.summary}.", (*heads, source), tuple(rows))


def _head(column: str, explained: Column) -> Head:
    unit = f" ({explained.unit})" if explained.unit and not explained.unit.startswith("see") else ""
    return Head(f"{column.replace('_', ' ')}{unit}", explained.meaning.replace("`", ""))


def cell(value: Any, column: str = "") -> Cell:
    """A value as a cell: four digits of a fraction, all of an integer, a percentage for a share, a dash for nothing."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return Cell("-")
    if isinstance(value, str | bool):
        return Cell(str(value), str(value))
    if isinstance(value, Real):
        return Cell(_number(value, column), repr(float(value)), number=True)
    return Cell(str(value), str(value))


def _number(value: Any, column: str) -> str:
    if column in SHARES:
        return f"{value:.1%}"
    if isinstance(value, Integral) or float(value).is_integer():
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 1e-3 else f"{value:.2e}"


def machines(origins: Origins) -> Sheet:
    """Every place that rows came from: the machine, the day, the commit, the hash of the settings, the versions."""
    rows = []
    for identity, origin in origins.rows():
        number = identity.removeprefix("run-")
        versions = ", ".join(f"{name} {version}" for name, version in json.loads(origin["versions"]).items())
        texts = [*(origin[name] for name in ("host", "date", "commit", "config_hash")), versions]
        rows.append((Cell(f"run {number}", number, number=True, id=identity), *map(cell, texts)))
    names = ("run", "machine", "date", "commit", "hash of the settings", "versions")
    return Sheet("One row: a run that the column source of other tables names.", tuple(map(Head, names)), tuple(rows))
