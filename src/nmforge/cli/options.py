"""What the verbs share: what a verb is, the settings of a run, and options that several verbs take."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nmforge.io import provenance
from nmforge.io.folders import DEFAULT_STUDY, Folders, study_folders
from nmforge.io.hashing import hash_json

if TYPE_CHECKING:
    from nmforge.config import Config

Arguments = argparse.Namespace
Parser = argparse.ArgumentParser
DEFAULT_CONFIG = Path("config.yaml")
DEFAULT_CACHE = Path(".cache/inputs")
# Options whose default is a place of the study that the config names, <model> standing for model.name.
PLACES: dict[str, Callable[[Folders, str], Path]] = {
    "checkpoint": Folders.checkpoint,
    "tokens": Folders.tokens,
    "dense_hidden": Folders.dense_hidden,
    "tables": lambda folders, _: folders.tables,
    "figures": lambda folders, _: folders.figures,
    "benchmarks": lambda folders, _: folders.benchmarks,
    "report": lambda folders, _: folders.results / "report.html",
}
CACHE: dict[str, tuple[Path | None, str]] = {"cache": (DEFAULT_CACHE, "folder that keeps downloads")}
OUT: dict[str, tuple[Path | None, str]] = {"out": (None, "file to write")}
BUILD: dict[str, tuple[Path | None, str]] = {"build": (Path("build/fpga"), "folder that keeps simulator builds")}


@dataclass(frozen=True)
class Verb:
    """One command: `run` does it, its docstring is the help text; `add_options` declares what it takes."""

    run: Callable[[Arguments], None]
    add_options: Callable[[Parser], None]

    @property
    def name(self) -> str:
        """What the user types."""
        return self.run.__name__.rstrip("_").replace("_", "-")


def add_verbs(parser: Parser, dest: str, prefix: str, verbs: list[Verb]) -> None:
    """Give a parser one subcommand a verb."""
    commands = parser.add_subparsers(dest=dest, required=True, metavar="VERB")
    for verb in verbs:
        one = commands.add_parser(verb.name, help=verb.run.__doc__, description=verb.run.__doc__)
        one.set_defaults(run=verb.run, verb=f"{prefix}{verb.name}")
        verb.add_options(one)


def read_config(arguments: Arguments) -> Config:
    """The config, whose hash goes into every measurement of this process; options in PLACES get their defaults."""
    from nmforge.config import load_config

    config = load_config(arguments.config)
    os.environ[provenance.CONFIG_HASH_VARIABLE] = hash_json(config.model_dump(mode="json"))[:16]
    _find_places(arguments, config.study, config.model.name)
    return config


def read_config_if_any(arguments: Arguments) -> Config | None:
    """The config; None where none is named and there is no config.yaml, as outside a project."""
    if arguments.config != DEFAULT_CONFIG or DEFAULT_CONFIG.exists():
        return read_config(arguments)
    _find_places(arguments, DEFAULT_STUDY, "")
    return None


def _find_places(arguments: Arguments, study: str, model: str) -> None:
    """Set the options in PLACES that the user left out."""
    for name, place in PLACES.items():
        if getattr(arguments, name, "not an option of this verb") is None:
            setattr(arguments, name, place(study_folders(study), model))


def add_paths(parser: Parser, **options: tuple[Path | None, str]) -> None:
    """Add path options; a default of None makes the option required."""
    for name, (default, explanation) in options.items():
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=Path, default=default, required=default is None, help=explanation)


def add_places(parser: Parser, *names: str) -> None:
    """Add options whose default is a place of the study."""
    for name in names:
        place = PLACES[name](study_folders(DEFAULT_STUDY), "<model>")
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, help=f"default: {place}, or the study's own")


def add_sizes(parser: Parser, **options: int) -> None:
    """Add options for whole numbers with defaults."""
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")


def add_artifact(parser: Parser) -> None:
    """Add the artifact a verb reads."""
    parser.add_argument("artifact", type=Path, help="an *.nmf.safetensors file")


def add_threads(parser: Parser, whose: str) -> None:
    """Add the number of threads; every core by default."""
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help=f"threads of {whose}")


def use_threads(arguments: Arguments) -> None:
    """Give torch the threads that the user asked for."""
    import torch

    torch.set_num_threads(arguments.threads)


def leave_cores_to_kernels() -> None:
    """Give torch one thread: its idle threads would spin on the cores that our kernels use."""
    import torch

    torch.set_num_threads(1)
