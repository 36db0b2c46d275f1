"""The command line: the parser of all verbs, and how an error is told."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from nmforge.cli import benchmark, compress, evaluate, fpga, generate, inputs, recover, report, settings
from nmforge.cli.options import DEFAULT_CONFIG, Verb, add_verbs
from nmforge.core.errors import NmforgeError
from nmforge.io.progress import telling

SUMMARY = "One verb for each stage of the pipeline; the workflow runs the same verbs."
# The modules that hold the verbs, and the extra of the package that installs what they import.
EXTRAS = {
    inputs: "compress",
    compress: "compress",
    recover: "compress",
    evaluate: "all",
    benchmark: "bench",
    generate: "compress",
    fpga: "fpga",
    report: "report",
    settings: "workflow",
}
VERBS: list[Verb] = [verb for module in EXTRAS for verb in module.VERBS]
OUTPUTS = ("out", "limits")  # options that name what a verb writes
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
        with telling(_job(arguments), thread=arguments.verb not in TIMED):
            arguments.run(arguments)
            _tell_written(arguments)
    except NmforgeError as error:
        print(f"nmforge {arguments.verb}: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "nmforge":
            raise
        remedy = f"install it with: pip install 'nmforge[{_extra(arguments.command)}]'"
        print(f"nmforge {arguments.verb}: the package {error.name} is not installed; {remedy}", file=sys.stderr)
        return 2
    return 0


def _job(arguments: argparse.Namespace) -> str:
    """What a process is told by: the verb, and what it is about."""
    about = getattr(arguments, "design", None) or getattr(arguments, "artifact", None) or getattr(arguments, "out", "")
    return f"{arguments.verb} {Path(about or '').name.partition('.')[0]}".rstrip()


def _tell_written(arguments: argparse.Namespace) -> None:
    """A line for each file or folder that the verb was told to write, so that no log is empty."""
    for path in (getattr(arguments, name, None) for name in OUTPUTS):
        if path is not None and path.exists():
            size = f"{path.stat().st_size:,} bytes" if path.is_file() else f"{len(list(path.iterdir()))} files"
            print(f"wrote {path}, {size}")


def _extra(command: str) -> str:
    """The extra that installs what a command imports."""
    return next(extra for module, extra in EXTRAS.items() if command in [verb.name for verb in module.VERBS])


if __name__ == "__main__":
    sys.exit(main())
