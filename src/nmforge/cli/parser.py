"""The command line: which verbs there are, what they take, and how an error is told."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from nmforge.cli import hardware, verbs
from nmforge.cli.arguments import (
    BUILD,
    DEFAULT_CACHE,
    FIGURES,
    IN_TABLES,
    OUT,
    Arguments,
    add_artifact,
    add_inputs,
    add_paths,
    add_sizes,
)
from nmforge.core.errors import NmforgeError

TIMED = ("bench", "decode")  # verbs that measure torch as its users find it
# Looks of a thread of torch for more work before it sleeps. By default it keeps a core for milliseconds, which the
# threads of our own kernels wait for: compression takes a tenth longer.
SPINS = ("GOMP_SPINCOUNT", "20000")


CACHE: dict[str, tuple[Path | None, str]] = {"cache": (DEFAULT_CACHE, "folder that keeps downloads")}
Add = Callable[[Callable[[Arguments], None]], argparse.ArgumentParser]


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nmforge", description=verbs.__doc__.split("\n")[0].replace("`", ""))
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="settings (default: config.yaml)")
    commands = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add(verb: Callable[[Arguments], None]) -> argparse.ArgumentParser:
        name = verb.__name__.replace("_", "-")
        one = commands.add_parser(name, help=verb.__doc__, description=verb.__doc__)
        one.set_defaults(run=verb)
        return one

    _add_compression(add)
    _add_checks(add)
    _add_runs(add)
    hardware.add_verbs(commands)
    _add_results(add)
    return parser


def _add_compression(add: Add) -> None:
    """Checkpoint, text, compression and training."""
    add_paths(add(verbs.checkpoint), **CACHE, out=(None, "folder to write"))
    one = add(verbs.text)
    add_paths(one, **CACHE, **OUT)
    add_inputs(one, "checkpoint")
    one = add(verbs.compress)
    one.add_argument("--design", required=True, help="id of a design point in the config")
    _add_threads(one, "torch")
    add_paths(one, **OUT)
    add_inputs(one, "checkpoint", "tokens")
    one.add_argument("--masks", type=Path, help="masks of pruner modelopt, which modelopt-masks writes")
    one = add(verbs.modelopt_masks)
    _add_threads(one, "torch")
    add_paths(one, **OUT)
    add_inputs(one, "checkpoint", "tokens")
    one = add(verbs.recover)
    add_artifact(one)
    one.add_argument("--design", required=True, help="id of a design point with a recovery block")
    _add_threads(one, "torch")
    one.add_argument("--self-text", type=Path, help="what write-text wrote, for a point with recovery.self_text")
    add_paths(one, **OUT)
    add_inputs(one, "checkpoint", "tokens")
    one = add(verbs.write_text)
    one.add_argument("--windows", type=int, required=True, help="how many")
    add_sizes(one, seqlen=512, seed=0)
    _add_threads(one, "torch")
    add_paths(one, **OUT)
    add_inputs(one, "checkpoint", "tokens")


def _add_checks(add: Add) -> None:
    """What is in an artifact and how good it is."""
    add_artifact(add(verbs.inspect))
    one = add(verbs.evaluate)
    add_artifact(one)
    _add_threads(one, "torch and of the kernels")
    one.add_argument("--dense-point", type=Path, help="accuracy point of the bf16 design point")
    add_paths(one, **OUT)
    add_inputs(one, "tokens", "dense_hidden")
    one = add(verbs.layers)
    add_artifact(one)
    _add_threads(one, "torch")
    add_paths(one, dense=(None, "artifact of the bf16 design point"), **OUT)
    add_inputs(one, "tokens")
    one = add(verbs.sample)
    add_artifact(one)
    _add_threads(one, "the kernels")
    add_paths(one, **OUT)
    one = add(verbs.storage)
    add_artifact(one)
    add_paths(one, **OUT)
    one = add(verbs.coherence)
    add_artifact(one)
    add_paths(one, **BUILD, **OUT)


def _add_runs(add: Add) -> None:
    """Times of kernels and decoders, and text."""
    one = add(verbs.bench)
    one.add_argument("--limits", type=Path, help="also measure the machine's bandwidth and peak, and write them here")
    one.add_argument("--artifact", type=Path, help="an artifact, for the model's own shapes (kernels.model_shapes)")
    one.add_argument("--kernels", nargs="+", default=[], metavar="NAME", help="only those named so, as in 'gpu-*'")
    add_paths(one, **OUT)
    one = add(verbs.decode)
    one.add_argument("artifacts", type=Path, nargs="*", help="*.nmf.safetensors files to decode with")
    one.add_argument("--llama7b", action="store_true", help="a random LLaMA-7B in the formats of the config instead")
    add_paths(one, **CACHE, build=(Path("build/llama7b"), "folder for files of up to 14 GB, deleted again"), **OUT)
    add_inputs(one, "checkpoint")
    one = add(verbs.generate)
    add_artifact(one)
    one.add_argument("--prompt", required=True, help="text to continue")
    one.add_argument("--tokens", type=int, default=32, help="most tokens to generate")
    one.add_argument("--stream", action="store_true", help="print the text as it is made")
    one.add_argument("--backend", default="native", help="native, cpu, reference, or rtl: every layer in simulation")
    one.add_argument("--temperature", type=float, default=0, help="0: the likeliest token")
    one.add_argument("--seed", type=int, default=0, help="of the samples")
    _add_threads(one, "kernels and simulations")
    add_paths(one, **BUILD)
    one = add(verbs.rtl_text)
    one.add_argument("artifact", type=Path, help="an *.nmf.safetensors file")
    one.add_argument("--prompt", required=True, help="text to continue")
    one.add_argument("--tokens", type=int, default=8, help="most tokens to generate; default: 8")
    one.add_argument("--threads", type=int, default=1, help="simulations at once; default: 1")
    add_paths(one, **BUILD, **OUT)


def _add_results(add: Add) -> None:
    """Tables, figures and what is made of them."""
    one = add(verbs.table)
    one.add_argument("points", type=Path, nargs="+", help="point files")
    add_paths(one, **OUT)
    add_paths(add(verbs.scaling), **IN_TABLES)
    one = add(verbs.figures)
    one.add_argument("names", nargs="*", help="which figures; default: all")
    add_paths(one, **IN_TABLES, out=(FIGURES, "folder to draw into"))
    one = add(verbs.claims)
    either = one.add_mutually_exclusive_group()
    either.add_argument("--build", action="store_true", help="make the ledger from the tables first")
    either.add_argument("--into", type=Path, help="Markdown file: put the ledger between its ledger marks instead")
    add_paths(one, **IN_TABLES)
    add_paths(add(verbs.report), **IN_TABLES, figures=(FIGURES, "folder of the figures"), **OUT)
    add(verbs.schema)


def _add_threads(one: argparse.ArgumentParser, whose: str) -> None:
    one.add_argument("--threads", type=int, default=os.cpu_count(), help=f"threads of {whose}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; 0 on success, 2 with one sentence on an error the user can mend."""
    arguments = _build_parser().parse_args(argv)
    if arguments.verb not in TIMED:  # read when a verb imports torch
        os.environ.setdefault(*SPINS)
    try:
        arguments.run(arguments)
    except NmforgeError as error:
        print(f"nmforge {arguments.verb}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
