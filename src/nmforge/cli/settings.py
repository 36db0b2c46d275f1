"""The verbs about config.yaml itself."""

from __future__ import annotations

import json

from nmforge.cli.options import Arguments, Parser, Verb
from nmforge.core.registry import HOMES, registry


def no_options(_parser: Parser) -> None:
    """A verb that takes nothing."""


def schema(_arguments: Arguments) -> None:
    """print the JSON Schema of config.yaml"""
    from nmforge.config import Config

    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    print(json.dumps(dialect | Config.model_json_schema(), indent=1))


def list_options(parser: Parser) -> None:
    """Which kind."""
    parser.add_argument("kind", nargs="?", choices=sorted(HOMES), metavar="KIND", help="a kind of entry; default: all")


def list_(arguments: Arguments) -> None:
    """print what a config can name: pruners, quantizers, kernels, figures, boards and so on"""
    for kind in [arguments.kind] if arguments.kind else HOMES:
        print(kind.replace("_", " "))
        for entry in registry(kind):
            print(f"  {entry.name:<28} {entry.summary}")


VERBS = [Verb(schema, no_options), Verb(list_, list_options)]
