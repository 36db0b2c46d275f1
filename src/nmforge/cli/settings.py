"""The verbs about config.yaml and about the workflow itself."""

from __future__ import annotations

import json
from pathlib import Path

from nmforge.cli.expected_times import record_times
from nmforge.cli.options import Arguments, Parser, Verb, add_paths, add_places, read_config_if_any
from nmforge.core.registry import HOMES, registry


def schema_options(parser: Parser) -> None:
    """In which form."""
    parser.add_argument("--markdown", action="store_true", help="as a page for readers, docs/config.md")


def schema(arguments: Arguments) -> None:
    """print the keys of config.yaml, as JSON Schema or for readers"""
    from nmforge.config import Config

    if arguments.markdown:
        from nmforge.reporting.config_docs import describe_config  # needs the extra of the report

        print(describe_config(Config.model_json_schema()), end="")
        return
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


def times_options(parser: Parser) -> None:
    """Where the times of the jobs are, and where the record goes."""
    add_places(parser, "benchmarks")
    add_paths(parser, out=(Path("workflow/records/times.json"), "file to write"))


def times(arguments: Arguments) -> None:
    """record how long every job of the last run took; later runs tell it before their first"""
    read_config_if_any(arguments)
    record_times(arguments.benchmarks, arguments.out)


VERBS = [Verb(schema, schema_options), Verb(list_, list_options), Verb(times, times_options)]
