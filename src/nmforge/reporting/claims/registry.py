"""The registry of claims: each module of this package adds one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmforge.core.registry import Registry

if TYPE_CHECKING:
    from nmforge.reporting.query import Tables
    from nmforge.reporting.verdicts import Entry


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, or one question that it leaves open.

    name: in a config. summary: what is claimed or asked, one line.
    tables: the tables it reads, names of entries of the registry `table`.
    entries: (those tables by name, host of this machine or None) -> rows of the ledger. A table that this run does not
        have is an empty frame. A claim that no row of a table speaks to has an entry that gives the reason.
    order: place in the ledger; a claim that names none comes last.
    """

    name: str
    summary: str
    tables: tuple[str, ...]
    entries: Callable[[Tables, str | None], Iterator[Entry]]
    order: int = 1000


REGISTRY: Registry[Claim] = Registry("claim")
