"""What a verb's result depends on: the text of the verb, of helpers next to it, and the closure of what they import."""

from __future__ import annotations

import ast
import inspect
from argparse import ArgumentParser
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FunctionType

from nmforge.cli.fpga import FPGA_VERBS
from nmforge.cli.main import VERBS
from nmforge.cli.options import Verb
from nmforge.core.errors import NmforgeError
from nmforge.core.registry import HOMES
from nmforge.io.hashing import hash_json
from nmforge.io.import_closure import ASKS, Entries, module_path, source_files, source_hash


def verb_hash(name: str, entries: Entries | None = None) -> str:
    """Hash that changes when code changes that the verb `name`, such as `compress` or `fpga place`, runs.

    entries: by kind, the names of the registry entries that take part in this call; absent kinds take part whole.
    Raises NmforgeError where no verb has that name.
    """
    roots, texts, defaults = _verb_code(name)
    return hash_json([texts, defaults, source_hash(roots, entries)])[:12]


def verb_files(name: str, entries: Entries | None = None) -> list[Path]:
    """The files behind `verb_hash`, the module of the verb itself apart, of which only some functions count."""
    return source_files(_verb_code(name)[0], entries)


@cache
def _verb_code(name: str) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, str]]:
    """(modules that a verb imports, texts of the verb and of the helpers it calls, defaults of its options)."""
    known = {verb.name: verb for verb in VERBS} | {f"fpga {verb.name}": verb for verb in FPGA_VERBS}
    if name not in known:
        raise NmforgeError(f"there is no verb {name!r}; use one of {', '.join(known)}")
    functions = list(_with_helpers(known[name].run, set()))
    texts = tuple(inspect.getsource(function) for function in functions)
    imported = {module for text in texts for module in _imported(text)}
    asked = {f"{HOMES[kind]}.registry" for text in texts for kind in ASKS.findall(text)}
    return tuple(sorted(imported | asked)), texts, _defaults(known[name])


def _defaults(verb: Verb) -> dict[str, str]:
    """Defaults of a verb's options, which reach a result where a rule does not set them; threads follow the machine."""
    parser = ArgumentParser(add_help=False)
    verb.add_options(parser)
    return {option.dest: str(option.default) for option in parser._actions if option.dest != "threads"}


def _with_helpers(function: object, seen: set[str]) -> Iterator[FunctionType]:
    """A function and the functions of the command line that it names."""
    if not isinstance(function, FunctionType) or function.__name__ in seen:
        return
    seen.add(function.__name__)
    yield function
    for node in ast.walk(ast.parse(inspect.getsource(function))):
        helper = function.__globals__.get(node.id) if isinstance(node, ast.Name) else None
        if isinstance(helper, FunctionType) and helper.__module__.startswith("nmforge.cli"):
            yield from _with_helpers(helper, seen)


def _imported(text: str) -> set[str]:
    """Modules of the package that the text of a function imports; a name may be a module of its own."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("nmforge"):
            modules = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in modules if module_path(name).exists()} or {node.module}
    return found
