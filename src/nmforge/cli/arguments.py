"""What the verbs share: the settings of a run, and options that several of them take."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from nmforge.config import Config, load_config
from nmforge.io import provenance

Arguments = argparse.Namespace
DEFAULT_CACHE = Path(".cache/inputs")
# Where the workflow keeps the inputs of a model; a verb that is not told otherwise looks there.
INPUTS = {
    "checkpoint": "results/checkpoints/{model}",
    "tokens": "results/tokens/{model}.safetensors",
    "dense_hidden": "results/cache/{model}-dense_hidden.safetensors",
}
TABLES, FIGURES = Path("results/tables"), Path("paper_figures")
OUT: dict[str, tuple[Path | None, str]] = {"out": (None, "file to write")}
BUILD: dict[str, tuple[Path | None, str]] = {"build": (Path("build/fpga"), "folder that keeps simulator builds")}
IN_TABLES: dict[str, tuple[Path | None, str]] = {"tables": (TABLES, "folder of the tables")}


def read_config(arguments: Arguments) -> Config:
    """The config, whose hash goes into every measurement of this process."""
    config = load_config(arguments.config)
    os.environ[provenance.CONFIG_HASH_VARIABLE] = provenance.hash_json(config.model_dump(mode="json"))[:16]
    for name, path in INPUTS.items():
        if getattr(arguments, name, path) is None:
            setattr(arguments, name, Path(path.format(model=config.model.name)))
    return config


def add_paths(parser: argparse.ArgumentParser, **options: tuple[Path | None, str]) -> None:
    """Add path options; a default of None makes the option required."""
    for name, (default, explanation) in options.items():
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=Path, default=default, required=default is None, help=explanation)


def add_inputs(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add options for inputs whose default place is the workflow's."""
    for name in names:
        place = INPUTS[name].format(model="<model.name>")
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, help=f"default: {place}")


def add_sizes(parser: argparse.ArgumentParser, **options: int) -> None:
    """Add options for whole numbers with defaults."""
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")


def add_artifact(parser: argparse.ArgumentParser) -> None:
    """Add the artifact a verb reads."""
    parser.add_argument("artifact", type=Path, help="an *.nmf.safetensors file")
