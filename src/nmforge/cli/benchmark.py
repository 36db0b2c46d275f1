"""The verbs that time kernels and decoders."""

from __future__ import annotations

from pathlib import Path

from nmforge.cli.options import CACHE, OUT, Arguments, Parser, Verb, add_paths, add_places, read_config
from nmforge.core.errors import NmforgeError


def bench_options(parser: Parser) -> None:
    """Which kernels, on which shapes, and where the times go."""
    parser.add_argument("--limits", type=Path, help="also measure bandwidth and peak of the machine into this file")
    parser.add_argument("--artifact", type=Path, help="an artifact, for the model's own shapes (kernels.model_shapes)")
    parser.add_argument("--kernels", nargs="+", default=[], metavar="NAME", help="only names like these, as in 'gpu-*'")
    add_paths(parser, **OUT)


def bench(arguments: Arguments) -> None:
    """time the kernels of this machine, other libraries alternated with ours"""
    from nmforge.benchmarks.kernels import BenchSettings, kernels_of, run_bench
    from nmforge.benchmarks.machine_limits import write_limits
    from nmforge.benchmarks.shapes import model_shapes

    config = read_config(arguments).kernels
    if config.model_shapes and arguments.artifact is None:
        raise NmforgeError(
            "kernels.model_shapes needs the shapes of a model; name one with --artifact, or set it to false"
        )
    settings = BenchSettings(
        shapes=[*config.shapes, *(model_shapes(arguments.artifact) if config.model_shapes else [])],
        tokens=config.m,
        threads=config.threads,
        kernels=kernels_of(config, arguments.kernels),
        seconds=config.seconds_per_kernel,
        llama7b=config.llama7b,
    )
    run_bench(settings, arguments.out)
    if arguments.limits:
        write_limits(config.threads, arguments.limits)


def decode_options(parser: Parser) -> None:
    """What is decoded, and where the times go."""
    parser.add_argument("artifacts", type=Path, nargs="*", help="*.nmf.safetensors files to decode with")
    parser.add_argument("--llama7b", action="store_true", help="a random LLaMA-7B in the formats of the config instead")
    add_paths(parser, **CACHE, build=(Path("build/llama7b"), "folder for files of up to 14 GB, deleted again"), **OUT)
    add_places(parser, "checkpoint")


def decode(arguments: Arguments) -> None:
    """time the decoding of compressed models, or with --llama7b of a random LLaMA-7B"""
    from nmforge.benchmarks.decode import ModelFiles, decode_artifacts, decode_llama7b
    from nmforge.models.prepare import gguf_of

    config = read_config(arguments)
    threads, with_libraries = max(config.kernels.threads), config.kernels.libraries
    if arguments.llama7b:
        decode_llama7b(config.decode, threads, with_libraries, arguments.build, arguments.out)
        return
    gguf = gguf_of(config.model.source, arguments.cache) if with_libraries else None
    files = ModelFiles(config.model.name, arguments.artifacts, arguments.checkpoint, gguf)
    decode_artifacts(files, config.decode, threads, arguments.out)


VERBS = [Verb(bench, bench_options), Verb(decode, decode_options)]
