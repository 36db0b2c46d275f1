"""The verbs that train a compressed artifact."""

from __future__ import annotations

from pathlib import Path

from nmforge.cli.options import (
    OUT,
    Arguments,
    Parser,
    Verb,
    add_artifact,
    add_paths,
    add_places,
    add_sizes,
    add_threads,
    read_config,
    use_threads,
)
from nmforge.core.errors import NmforgeError


def recover_options(parser: Parser) -> None:
    """The artifact that training starts from, its inputs and the artifact it writes."""
    add_artifact(parser)
    parser.add_argument("--design", required=True, help="id of a design point with a recovery block")
    add_threads(parser, "torch")
    parser.add_argument("--self-generated", type=Path, help="text of self-generate, for recovery.self_generated")
    add_paths(parser, **OUT)
    add_places(parser, "checkpoint", "tokens")


def recover(arguments: Arguments) -> None:
    """train codes and norms of an artifact to follow the dense model, masks and scales kept"""
    from nmforge.recovery.blockwise import reconstruct_artifact
    from nmforge.recovery.end_to_end import recover_artifact

    config = read_config(arguments)
    design = config.design(arguments.design)
    if design.recovery is None:
        raise NmforgeError(f"design {design.id} has no recovery block; add one to the config")
    use_threads(arguments)
    inputs = arguments.checkpoint, arguments.artifact, arguments.tokens, design.id, design.recovery
    if design.recovery.scope == "block":
        if arguments.self_generated:
            raise NmforgeError("--self-generated is for recovery.scope model; leave it out")
        reconstruct_artifact(*inputs, config.calibration.memory_gb, arguments.out)
    else:
        recover_artifact(*inputs, arguments.out, arguments.self_generated)


def self_generate_options(parser: Parser) -> None:
    """How much text, whose, and where it goes."""
    parser.add_argument("--sequences", type=int, required=True, help="how many")
    add_sizes(parser, seqlen=512, seed=0)
    add_threads(parser, "torch")
    add_paths(parser, **OUT)
    add_places(parser, "checkpoint", "tokens")


def self_generate(arguments: Arguments) -> None:
    """let the dense model generate training text"""
    from nmforge.recovery.self_generated import write_self_generated

    read_config(arguments)
    use_threads(arguments)
    write_self_generated(
        arguments.checkpoint, arguments.tokens, arguments.sequences, arguments.seqlen, arguments.seed, arguments.out
    )


VERBS = [Verb(recover, recover_options), Verb(self_generate, self_generate_options)]
