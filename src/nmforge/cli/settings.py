"""The verbs about config.yaml itself."""

from __future__ import annotations

import json

from nmforge.cli.options import Arguments, Parser, Verb


def no_options(_parser: Parser) -> None:
    """A verb that takes nothing."""


def schema(_arguments: Arguments) -> None:
    """print the JSON Schema of config.yaml"""
    from nmforge.config import Config

    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    print(json.dumps(dialect | Config.model_json_schema(), indent=1))


VERBS = [Verb(schema, no_options)]
