"""The files that a result depends on: the import closure of the code that made it, data and C++ included.

The workflow gives every rule the hash of these files as a parameter, so that Snakemake runs a rule again when one of
them changed, and only then. Nothing is listed by hand:

Python     modules that are imported from a root on, at its top or inside a function, but not for type checkers alone
registry   where a module asks a registry, the files of its entries (of all, or of the ones that the caller names); a
           module asks it that uses its REGISTRY for anything but adding to it
data       files that are no Python next to a module, or in folders there that are no packages: RTL, YAML, testbenches
workers    a Python file that a module names with `with_name`, since it runs in an environment of its own
C++        for `from nmforge.kernels._native import w4a8`: csrc/bindings/w4a8.cpp, every folder of csrc that its
           `#include` lines reach, and CMakeLists.txt
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nmforge.core.registry import HOMES, registry
from nmforge.io.hashing import hash_json, sha256_file

if TYPE_CHECKING:
    from grimp import ImportGraph

PACKAGE = Path(__file__).resolve().parents[1]
CHECKOUT = PACKAGE.parents[1]
CSRC, BUILD_FILE = CHECKOUT / "csrc", CHECKOUT / "CMakeLists.txt"
SETTINGS = "nmforge.config"  # what it reads reaches a rule as parameters; its code does not
REGISTRIES = {f"{home}.registry": kind for kind, home in HOMES.items()}
ASKS = re.compile(r'\bregistry\("(\w+)"\)')
IMPORT = re.compile(r"^from ([\w.]+\.registry) import (\([^)]*\)|[^\n]*)", re.MULTILINE)
REGISTRY_AS = re.compile(r"\bREGISTRY\b(?: as (\w+))?")
WORKER = re.compile(r'with_name\("(\w+\.py)"\)')
EXTENSION = re.compile(r"from nmforge\.kernels\._native import ([\w, ]+)")
INCLUDE = re.compile(r'^#include "([\w/.]+)"', re.MULTILINE)
NOT_DATA = (".py", ".pyi", ".pyc", ".md", ".so", ".typed")

Entries = Mapping[str, Collection[str]]


def source_files(roots: Iterable[str], entries: Entries | None = None) -> list[Path]:
    """Files that the modules `roots` depend on, sorted; a root that is a registry's module stands for its entries.

    entries: by kind, the names of the registry entries that take part; a kind that is absent takes part whole.
    """
    named = {kind: tuple(sorted(names)) for kind, names in (entries or {}).items()}
    return list(_source_files(tuple(sorted(roots)), tuple(sorted(named.items()))))


def source_hash(roots: Iterable[str], entries: Entries | None = None) -> str:
    """Hash of the names and contents of `source_files`, 12 hexadecimal digits."""
    named = {_name(path): _digest(path) for path in source_files(roots, entries)}
    return hash_json(named)[:12]


def _name(path: Path) -> str:
    """The path below the checkout; the whole path of an entry of another package."""
    return path.relative_to(CHECKOUT).as_posix() if path.is_relative_to(CHECKOUT) else path.as_posix()


@cache
def _source_files(roots: tuple[str, ...], entries: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[Path, ...]:
    modules, files = _closure(roots, dict(entries))
    for module in modules:
        path = module_path(module)
        files |= {path, *_data(path.parent, path.name), *_workers(path), *_extension_files(path)}
    others = {file for kind, names in entries for file in registry(kind).files() - registry(kind).files(names)}
    # Python counts where it is imported, whichever entries are named.
    return tuple(sorted(files - {file for file in others if file.suffix != ".py"}))


@cache
def _graph() -> ImportGraph:
    from grimp import build_graph

    return build_graph("nmforge", exclude_type_checking_imports=True, cache_dir=None)


def _closure(roots: Iterable[str], entries: Entries) -> tuple[set[str], set[Path]]:
    """Modules of the package that are reached, and files of entries that are no modules."""
    left, seen, files = _without_settings(roots), set[str](), set[Path]()
    by_root = {module: frozenset({REGISTRIES[module]}) for module in left & set(REGISTRIES)}
    while left:
        module = left.pop()
        seen.add(module)
        imported = set() if module == "nmforge" else _imports(module)
        for kind in _asked(module) | by_root.get(module, frozenset()):
            names = entries.get(kind)
            imported.add(f"{HOMES[kind]}.registry")
            for file in registry(kind).files(names):
                inside = file.suffix == ".py" and PACKAGE in file.parents
                imported |= {_module(file)} if inside else set()
                files |= set() if inside else {file}
        left |= _without_settings(imported) - seen
    return seen, files


def _without_settings(modules: Iterable[str]) -> set[str]:
    return {module for module in modules if not f"{module}.".startswith(f"{SETTINGS}.")}


def _imports(module: str) -> set[str]:
    """Modules that a module imports, and the packages around it, which Python imports first."""
    parts = module.split(".")
    around = {".".join(parts[:end]) for end in range(1, len(parts))}
    return set(_graph().find_modules_directly_imported_by(module)) | around


@cache
def _asked(module: str) -> frozenset[str]:
    """Kinds whose registry a module asks for entries, not only adds to."""
    text = _text(module_path(module))
    kinds = set(ASKS.findall(text))
    for source, names in IMPORT.findall(text):
        found = REGISTRY_AS.search(names)
        if found and source in REGISTRIES:
            uses = re.findall(rf"\b{found[1] or 'REGISTRY'}\b(?!\.add\()", text)
            kinds |= {REGISTRIES[source]} if len(uses) > 1 else set()  # one is the import
    return frozenset(kinds)


@cache
def module_path(module: str) -> Path:
    """The file of a module of the package, or the one it would have."""
    below = PACKAGE.joinpath(*module.split(".")[1:])
    return below / "__init__.py" if below.is_dir() else below.with_suffix(".py")


def _module(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


@cache
def _data(folder: Path, module: str) -> frozenset[Path]:
    """Files in a package's folder that are no Python, those of folders that are no packages with them."""
    if module == "__init__.py":
        return frozenset()
    found: set[Path] = set()
    for path in folder.iterdir():
        if path.is_dir() and path.name != "__pycache__" and not (path / "__init__.py").exists():
            found |= {file for file in path.rglob("*") if file.is_file() and file.suffix not in NOT_DATA}
        elif path.is_file() and path.suffix not in NOT_DATA:
            found.add(path)
    return frozenset(found)


def _workers(path: Path) -> set[Path]:
    return {path.with_name(name) for name in WORKER.findall(_text(path))}


@cache
def _extension_files(path: Path) -> frozenset[Path]:
    """C++ sources of the parts of the extension that a Python file imports; none where there is no checkout."""
    names = [name.strip() for found in EXTENSION.findall(_text(path)) for name in found.split(",")]
    if not names or not CSRC.exists():
        return frozenset()
    files = {BUILD_FILE}
    left = {CSRC / "bindings" / f"{name}.cpp" for name in names}
    while left:
        file = left.pop()
        files.add(file)
        for header in (CSRC / name for name in INCLUDE.findall(_text(file))):
            together = {header} if header.parent.name == "bindings" else set(header.parent.glob("*.*pp"))
            left |= together - files
    return frozenset(files)


@cache
def _text(path: Path) -> str:
    return path.read_text()


@cache
def _digest(path: Path) -> str:
    return sha256_file(path)
