"""The verbs that say what is in an artifact, how good it is, and whether all backends agree."""

from __future__ import annotations

from pathlib import Path

from nmforge.cli.options import (
    BUILD,
    OUT,
    Arguments,
    Parser,
    Verb,
    add_artifact,
    add_paths,
    add_places,
    add_threads,
    leave_cores_to_kernels,
    read_config,
    use_threads,
)


def inspect(arguments: Arguments) -> None:
    """print what is in an artifact, after checking every hash"""
    from nmforge.artifact.inspect import describe

    print(describe(arguments.artifact))


def evaluate_options(parser: Parser) -> None:
    """The artifact, the text and the dense model's results."""
    add_artifact(parser)
    add_threads(parser, "torch and of the kernels")
    parser.add_argument("--dense-point", type=Path, help="accuracy point of the bf16 design point")
    add_paths(parser, **OUT)
    add_places(parser, "tokens", "dense_hidden")


def evaluate(arguments: Arguments) -> None:
    """perplexity, KL and top-1 agreement of one artifact, in every mode it has"""
    from nmforge.evaluation.perplexity import DenseResults, evaluate_artifact

    config = read_config(arguments)
    use_threads(arguments)
    names = {"model": config.model.name, "dataset": config.text.source}
    dense = DenseResults(arguments.dense_point, arguments.dense_hidden)
    evaluate_artifact(arguments.artifact, arguments.tokens, config.evaluation, names, dense, arguments.out)


def layers_options(parser: Parser) -> None:
    """The artifact, the dense one and the text."""
    add_artifact(parser)
    add_threads(parser, "torch")
    add_paths(parser, dense=(None, "artifact of the bf16 design point"), **OUT)
    add_places(parser, "tokens")


def layers(arguments: Arguments) -> None:
    """error of every layer and block of one artifact against the bf16 design point"""
    from nmforge.evaluation.layer_errors import measure_layers

    config = read_config(arguments)
    use_threads(arguments)
    measure_layers(
        arguments.artifact, arguments.dense, arguments.tokens, config.evaluation, config.model.name, arguments.out
    )


def sample_options(parser: Parser) -> None:
    """The artifact that writes and the file of its text."""
    add_artifact(parser)
    add_threads(parser, "the kernels")
    add_paths(parser, **OUT)


def sample(arguments: Arguments) -> None:
    """continue the prompt of the config with one artifact and write the text down"""
    from nmforge.evaluation.samples import write_sample

    config = read_config(arguments)
    write_sample(arguments.artifact, config.samples, config.model.name, arguments.threads, arguments.out)


def storage_options(parser: Parser) -> None:
    """The artifact that is measured."""
    add_artifact(parser)
    add_paths(parser, **OUT)


def storage(arguments: Arguments) -> None:
    """bytes on disk of one artifact, under every index encoding"""
    from nmforge.artifact.storage import measure_storage

    measure_storage(arguments.artifact, read_config(arguments).model.name, arguments.out)


def coherence_options(parser: Parser) -> None:
    """The artifact, and where simulators are kept."""
    add_artifact(parser)
    add_paths(parser, **BUILD, **OUT)


def coherence(arguments: Arguments) -> None:
    """compare reference, C++ kernels and RTL simulation of one artifact bit for bit"""
    from nmforge.evaluation.coherence import check_coherence

    config = read_config(arguments)
    check_coherence(arguments.artifact, config.coherence, config.fpga, arguments.build, arguments.out)


def rtl_text_options(parser: Parser) -> None:
    """The artifact, the text and where simulators are kept."""
    add_artifact(parser)
    parser.add_argument("--prompt", required=True, help="text to continue")
    parser.add_argument("--tokens", type=int, default=8, help="most tokens to generate; default: 8")
    parser.add_argument("--threads", type=int, default=1, help="simulations at once; default: 1")
    add_paths(parser, **BUILD, **OUT)


def rtl_text(arguments: Arguments) -> None:
    """generate a text with every linear layer in RTL simulation and compare sums and tokens with the kernels'"""
    from nmforge.evaluation.coherence import check_text

    leave_cores_to_kernels()
    read_config(arguments)
    made = check_text(
        arguments.artifact, arguments.prompt, arguments.tokens, arguments.build, arguments.threads, arguments.out
    )
    assert made.simulated is not None
    print(f"{made.text!r}: {made.simulated.compared:,} sums of the RTL equal the CPU kernel's, and so do the tokens")


VERBS = [
    Verb(inspect, add_artifact),
    Verb(evaluate, evaluate_options),
    Verb(layers, layers_options),
    Verb(sample, sample_options),
    Verb(storage, storage_options),
    Verb(coherence, coherence_options),
    Verb(rtl_text, rtl_text_options),
]
