"""The verb that continues a text."""

from __future__ import annotations

import sys

from nmforge.cli.options import (
    BUILD,
    Arguments,
    Parser,
    Verb,
    add_artifact,
    add_paths,
    add_threads,
    leave_cores_to_kernels,
)


def generate_options(parser: Parser) -> None:
    """The artifact, the text, the backend and how a token is chosen."""
    add_artifact(parser)
    parser.add_argument("--prompt", required=True, help="text to continue")
    parser.add_argument("--tokens", type=int, default=32, help="most tokens to generate")
    parser.add_argument("--stream", action="store_true", help="print the text as it is made")
    parser.add_argument("--backend", default="native", help="native, cpu, reference, or rtl: every layer in simulation")
    parser.add_argument("--temperature", type=float, default=0, help="0: the likeliest token")
    parser.add_argument("--seed", type=int, default=0, help="of the samples")
    add_threads(parser, "kernels and simulations")
    add_paths(parser, **BUILD)


def generate(arguments: Arguments) -> None:
    """continue a text with the model of one artifact"""
    from nmforge.runtime.continuation import GenerationSettings
    from nmforge.runtime.generate import generate as continue_text

    if arguments.backend != "native":  # which needs no torch
        leave_cores_to_kernels()
    settings = GenerationSettings(
        arguments.tokens, arguments.backend, arguments.threads, arguments.temperature, arguments.seed,
        arguments.build, compare=arguments.backend == "rtl",
    )  # fmt: skip
    show = (lambda piece: print(piece, end="", flush=True)) if arguments.stream else None
    made = continue_text(arguments.artifact, arguments.prompt, settings, show)
    print("" if arguments.stream else made.text)
    decode = f"{made.decode_rate:.2f}" if made.decode_rate else "-"
    speed = f"prompt {made.prompt_rate:.2f} tokens/s, decode {decode} tokens/s"
    print(f"{speed}, peak memory {made.peak_rss / 1e6:.0f} MB", file=sys.stderr)
    if made.simulated:
        rtl = made.simulated
        print(
            f"RTL: {rtl.outputs:,} sums, {rtl.compared:,} equal to the CPU kernel's, {rtl.cycles:,} cycles",
            file=sys.stderr,
        )


VERBS = [Verb(generate, generate_options)]
