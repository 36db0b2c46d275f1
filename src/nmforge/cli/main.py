"""The command line: the parser of all verbs, and how an error is told."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from importlib.metadata import requires
from pathlib import Path

from nmforge.cli import benchmark, compress, evaluate, fpga, generate, inputs, recover, report, settings
from nmforge.cli.options import DEFAULT_CONFIG, Verb, add_verbs
from nmforge.core.errors import NmforgeError

SUMMARY = "One verb for each stage of the pipeline; the workflow runs the same verbs."
VERBS: list[Verb] = [
    *inputs.VERBS,
    *compress.VERBS,
    *recover.VERBS,
    *evaluate.VERBS,
    *benchmark.VERBS,
    *generate.VERBS,
    *fpga.VERBS,
    *report.VERBS,
    *settings.VERBS,
]
PACKAGES = {"yaml": "pyyaml"}  # that are called otherwise than their modules
TIMED = ("bench", "decode")  # verbs that measure torch as its users find it
# How often a thread of torch looks for more work before it sleeps. By default it keeps a core for milliseconds, which
# the threads of our own kernels wait for: compression takes a tenth longer.
SPINS = ("GOMP_SPINCOUNT", "20000")


def build_parser() -> argparse.ArgumentParser:
    """The parser of `nmforge VERB`."""
    parser = argparse.ArgumentParser(prog="nmforge", description=SUMMARY)
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="settings (default: config.yaml)")
    add_verbs(parser, "command", "", VERBS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; 0 on success, 2 with one sentence on an error the user can mend."""
    arguments = build_parser().parse_args(argv)
    if arguments.verb not in TIMED:  # read when a verb imports torch
        os.environ.setdefault(*SPINS)
    try:
        arguments.run(arguments)
    except NmforgeError as error:
        print(f"nmforge {arguments.verb}: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        extra = _extra_with(error.name or "")
        if extra is None:
            raise
        remedy = f"install it with: pip install 'nmforge[{extra}]'"
        print(f"nmforge {arguments.verb}: the package {error.name} is not installed; {remedy}", file=sys.stderr)
        return 2
    return 0


def _extra_with(module: str) -> str | None:
    """The first extra of nmforge that installs a module; None where none does."""
    package = PACKAGES.get(module, module).replace("_", "-")
    for requirement in requires("nmforge") or []:
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", requirement)
        if extra and re.split(r"[^\w.-]", requirement)[0].replace("_", "-").lower() == package.lower():
            return extra[1]
    return None


if __name__ == "__main__":
    sys.exit(main())
