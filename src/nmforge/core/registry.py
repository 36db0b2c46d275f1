"""Registries: one for each kind of thing that a config can name, such as pruners, kernels or boards.

An entry is one file in the home package of its kind. The file registers itself when it is imported:

    REGISTRY.add(Pruner("wanda", ...))

A registry imports every module of its home package when somebody first asks for a name, so a new file needs no list.
Packages of other people add entries through an entry point of the group `nmforge.<kind>`, say `nmforge.pruner`, that
names a module which does the same. Modules whose name starts with `_`, and `registry` itself, hold no entries.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Generic, Protocol, TypeVar

from nmforge.core.errors import NmforgeError

# The package of each kind; its module `registry` holds REGISTRY and the class of the entries.
HOMES = {
    "pruner": "nmforge.compression.pruning",
    "quantizer": "nmforge.compression.quantization",
    "transform": "nmforge.compression.transforms",
    "index_encoding": "nmforge.artifact.packing",
    "kernel": "nmforge.benchmarks.candidates",
    "library": "nmforge.benchmarks.candidates.external",
    "figure": "nmforge.reporting.figures",
    "table": "nmforge.reporting.tables",
    "claim": "nmforge.reporting.claims",
    "corpus": "nmforge.data.corpora",
    "checkpoint_source": "nmforge.models.sources",
    "fpga_family": "nmforge.fpga.synth.families",
    "board": "nmforge.fpga.boards",
}


class Entry(Protocol):
    """What every entry has: the name a config calls it by, and one line that says what it is."""

    @property
    def name(self) -> str:
        """Name in a config."""

    @property
    def summary(self) -> str:
        """One line for `nmforge list`."""


E = TypeVar("E", bound=Entry)


class Registry(Generic[E]):
    """The entries of one kind by name, in the order of their `order` where they have one, then of their names."""

    def __init__(self, kind: str) -> None:
        """kind: a key of HOMES."""
        self.kind, self.home = kind, HOMES[kind]
        self._entries: dict[str, E] = {}
        self._files: dict[str, Path] = {}
        self._loaded = self._loading = False  # a module that is imported here may ask for names

    def add(self, entry: E, file: Path | None = None) -> E:
        """Register an entry and return it; raises NmforgeError where another one has its name.

        file: where the entry is written down, where that is not the Python file that calls.
        """
        if self._entries.setdefault(entry.name, entry) is not entry:
            raise NmforgeError(f"two entries are called {self.kind} {entry.name!r}; rename one of them")
        self._files[entry.name] = file or Path(sys._getframe(1).f_globals["__file__"]).resolve()
        return entry

    def files(self, names: Collection[str] | None = None) -> set[Path]:
        """Files of the entries of these names, of all entries without names."""
        self._load()
        return {self._files[name] for name in (self._files if names is None else names)}

    def names(self) -> list[str]:
        """All names, in order."""
        self._load()
        return sorted(self._entries, key=lambda name: (getattr(self._entries[name], "order", 0), name))

    def get(self, name: str, key: str = "") -> E:
        """The entry of that name; raises NmforgeError that lists the known ones. key: of the config, for its text."""
        self._load()
        if name not in self._entries:
            where = f"{key}: " if key else ""
            kind = self.kind.replace("_", " ")
            raise NmforgeError(f"{where}{kind} {name!r} is unknown; use one of {', '.join(self.names())}")
        return self._entries[name]

    def __iter__(self) -> Iterator[E]:
        """Entries in order."""
        return (self._entries[name] for name in self.names())

    def __contains__(self, name: object) -> bool:
        """Whether an entry has that name."""
        self._load()
        return name in self._entries

    def _load(self) -> None:
        """Import what registers entries, once."""
        if self._loaded or self._loading:
            return
        self._loading = True
        try:
            self._discover()
            for point in entry_points(group=f"nmforge.{self.kind}"):
                _load_entry(point)
        finally:
            self._loading = False
        self._loaded = True

    def _discover(self) -> None:
        """Import every module of the home package."""
        for module in iter_modules(import_module(self.home).__path__):
            if not module.name.startswith("_") and module.name != "registry":
                import_module(f"{self.home}.{module.name}")


def _load_entry(point: EntryPoint) -> None:
    """Import what another package adds."""
    try:
        point.load()
    except Exception as error:
        owner = point.dist.name if point.dist else point.value
        raise NmforgeError(
            f"package {owner} adds {point.name} through entry point {point.group}, which cannot be loaded ({error}); "
            "repair or uninstall that package"
        ) from error


def registry(kind: str) -> Registry[Any]:
    """The registry of a kind, its home package imported now. kind: a key of HOMES."""
    found: Registry[Any] = import_module(f"{HOMES[kind]}.registry").REGISTRY
    return found
