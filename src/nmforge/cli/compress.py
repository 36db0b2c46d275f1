"""The verbs that compress a checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path

from nmforge.cli.options import (
    OUT,
    Arguments,
    Parser,
    Verb,
    add_paths,
    add_places,
    add_threads,
    read_config,
    use_threads,
)


def compress_options(parser: Parser) -> None:
    """The design point, its inputs and the artifact."""
    parser.add_argument("--design", required=True, help="id of a design point in the config")
    add_threads(parser, "torch")
    add_paths(parser, **OUT)
    add_places(parser, "checkpoint", "tokens")
    parser.add_argument("--masks", type=Path, help="file of masks, for a pruner that takes its masks from one")


def compress(arguments: Arguments) -> None:
    """prune, quantize and pack one design point into an artifact"""
    from nmforge.compression.run import compress_checkpoint

    config = read_config(arguments)
    point = config.design(arguments.design).point()
    use_threads(arguments)
    summary = compress_checkpoint(
        arguments.checkpoint, arguments.tokens, point, config.calibration, config.index_encoding, arguments.out,
        arguments.masks,
    )  # fmt: skip
    print(f"compress {point.id}: {summary}", file=sys.stderr)


def modelopt_masks_options(parser: Parser) -> None:
    """The inputs of ModelOpt and the file of masks."""
    add_threads(parser, "torch")
    add_paths(parser, **OUT)
    add_places(parser, "checkpoint", "tokens")


def modelopt_masks(arguments: Arguments) -> None:
    """let NVIDIA ModelOpt choose 2:4 masks on our calibration text"""
    from nmforge.compression.modelopt_masks import write_modelopt_masks

    calibration = read_config(arguments).calibration
    write_modelopt_masks(arguments.checkpoint, arguments.tokens, calibration, arguments.threads, arguments.out)


VERBS = [Verb(compress, compress_options), Verb(modelopt_masks, modelopt_masks_options)]
