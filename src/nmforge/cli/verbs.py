"""`nmforge VERB`: one thin verb for each rule of the workflow, usable by hand.

A verb reads settings from the config file, paths from its arguments, and calls one function. Heavy imports happen
inside the verb, so that the light ones start at once.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from nmforge.cli.arguments import Arguments, read_config
from nmforge.config import Config
from nmforge.core.errors import NmforgeError
from nmforge.io import provenance


def _threads(arguments: Arguments) -> None:
    import torch

    torch.set_num_threads(arguments.threads)


def _one_torch_thread() -> None:
    """Torch's waiting threads would take the cores from the kernels' own."""
    import torch

    torch.set_num_threads(1)


def checkpoint(arguments: Arguments) -> None:
    """fetch the model and write it as a folder of bf16 safetensors"""
    from nmforge.models.sources import prepare_checkpoint

    model = read_config(arguments).model
    prepare_checkpoint(model.source, model.revision, arguments.cache, arguments.out, model.blocks)


def text(arguments: Arguments) -> None:
    """fetch the text and tokenize its calibration and evaluation documents"""
    from nmforge.data.sources import load_corpus
    from nmforge.data.tokens import write_tokens
    from nmforge.models.sources import load_tokenizer

    settings = read_config(arguments).text
    tokenizer = load_tokenizer(arguments.checkpoint)
    write_tokens(load_corpus(settings.source, settings.revision, arguments.cache), tokenizer, arguments.out)


def compress(arguments: Arguments) -> None:
    """prune, quantize and pack one design point into an artifact"""
    from nmforge.compression.run import compress_checkpoint

    config = read_config(arguments)
    point = config.design(arguments.design).point()
    _threads(arguments)
    effort = compress_checkpoint(
        arguments.checkpoint,
        arguments.tokens,
        point,
        config.calibration,
        config.index_encoding,
        arguments.out,
        arguments.masks,
    )
    print(f"compress {point.id}: {effort}", file=sys.stderr)


def modelopt_masks(arguments: Arguments) -> None:
    """let NVIDIA ModelOpt choose 2:4 masks on our calibration text"""
    from nmforge.compression.run import write_peer_masks

    calibration = read_config(arguments).calibration
    write_peer_masks(arguments.checkpoint, arguments.tokens, calibration, arguments.threads, arguments.out)


def recover(arguments: Arguments) -> None:
    """train codes and norms of an artifact to follow the dense model, masks and scales kept"""
    from nmforge.recovery.blockwise import reconstruct_artifact
    from nmforge.recovery.end_to_end import recover_artifact

    config = read_config(arguments)
    design = config.design(arguments.design)
    if design.recovery is None:
        raise NmforgeError(f"design {design.id} has no recovery block; add one to the config")
    _threads(arguments)
    inputs = arguments.checkpoint, arguments.artifact, arguments.tokens, design.id, design.recovery
    if design.recovery.scope == "block":
        if arguments.self_text:
            raise NmforgeError("--self-text is for recovery.scope model; leave it out")
        reconstruct_artifact(*inputs, config.calibration.memory_gb, arguments.out)
    else:
        recover_artifact(*inputs, arguments.out, arguments.self_text)


def write_text(arguments: Arguments) -> None:
    """let the dense model write windows of training text itself"""
    from nmforge.recovery.self_generated import write_self_text

    read_config(arguments)
    _threads(arguments)
    write_self_text(
        arguments.checkpoint, arguments.tokens, arguments.windows, arguments.seqlen, arguments.seed, arguments.out
    )


def inspect(arguments: Arguments) -> None:
    """print what is in an artifact, after checking every hash"""
    from nmforge.artifact.inspect import describe

    print(describe(arguments.artifact))


def evaluate(arguments: Arguments) -> None:
    """perplexity, KL and top-1 agreement of one artifact, in every mode it has"""
    from nmforge.artifact.format import read_header
    from nmforge.evaluation.perplexity import evaluate_artifact

    config = read_config(arguments)
    dense = not read_header(arguments.artifact)["layers"]
    if not dense and arguments.dense_point is None:
        raise NmforgeError("--dense-point is missing; name the accuracy point of the design point left in bf16")
    _threads(arguments)
    modes = ["bf16"] if dense else ["w4a16", "w4a8"]
    names = {"model": config.model.name, "dataset": config.text.source}
    dense_point = None if dense else arguments.dense_point
    evaluate_artifact(
        arguments.artifact, arguments.tokens, config.evaluation, modes, names, dense_point, arguments.dense_hidden,
        arguments.out,
    )  # fmt: skip


def layers(arguments: Arguments) -> None:
    """error of every layer and block of one artifact against the bf16 design point"""
    from nmforge.evaluation.layer_errors import measure_layers

    config = read_config(arguments)
    _threads(arguments)
    measure_layers(
        arguments.artifact, arguments.dense, arguments.tokens, config.evaluation, config.model.name, arguments.out
    )


def sample(arguments: Arguments) -> None:
    """continue the prompt of the config with one artifact and write the text down"""
    from nmforge.evaluation.samples import write_sample

    config = read_config(arguments)
    _one_torch_thread()
    write_sample(arguments.artifact, config.samples, config.model.name, arguments.threads, arguments.out)


def storage(arguments: Arguments) -> None:
    """bytes on disk of one artifact, under every index encoding"""
    from nmforge.artifact.storage import measure_storage

    measure_storage(arguments.artifact, read_config(arguments).model.name, arguments.out)


def coherence(arguments: Arguments) -> None:
    """compare reference, C++ kernels and RTL simulation of one artifact bit for bit"""
    from nmforge.evaluation.coherence import check_coherence

    config = read_config(arguments)
    check_coherence(arguments.artifact, config.coherence, config.fpga, arguments.build, arguments.out)


def bench(arguments: Arguments) -> None:
    """time the kernels of this machine, peers alternated with ours"""
    from nmforge.benchmarks.kernels import kernels_like, run_bench
    from nmforge.benchmarks.machine_limits import write_limits
    from nmforge.benchmarks.registry import HERE, KERNELS
    from nmforge.benchmarks.shapes import model_shapes

    settings = read_config(arguments).kernels
    if settings.model_shapes and arguments.artifact is None:
        raise NmforgeError(
            "kernels.model_shapes wants the shapes of a model; name one with --artifact, or set it false"
        )
    shapes = [*settings.shapes, *(model_shapes(arguments.artifact) if settings.model_shapes else [])]
    run_bench(
        shapes, settings.m, settings.threads, arguments.out,
        kernels=kernels_like(arguments.kernels, tuple(KERNELS) if settings.peers else HERE),
        seconds=settings.seconds_per_kernel, llama7b=settings.llama7b,
    )  # fmt: skip
    if arguments.limits:
        write_limits(settings.threads, arguments.limits)


def decode(arguments: Arguments) -> None:
    """time the decoding of compressed models, or with --llama7b of a random LLaMA-7B"""
    from nmforge.benchmarks.decode import decode_artifacts, decode_llama7b
    from nmforge.models.sources import gguf_of

    config = read_config(arguments)
    threads, with_peers = max(config.kernels.threads), config.kernels.peers
    if arguments.llama7b:
        decode_llama7b(config.decode, threads, with_peers, arguments.build, arguments.out)
        return
    gguf = gguf_of(config.model.source, arguments.cache) if with_peers else None
    decode_artifacts(
        config.model.name, arguments.artifacts, arguments.checkpoint, gguf, config.decode, threads, arguments.out
    )


def rtl_text(arguments: Arguments) -> None:
    """generate a text with every linear layer in RTL simulation and compare sums and tokens with the kernels'"""
    from nmforge.evaluation.coherence import check_text

    _one_torch_thread()
    read_config(arguments)
    made = check_text(
        arguments.artifact, arguments.prompt, arguments.tokens, arguments.build, arguments.threads, arguments.out
    )
    assert made.simulated is not None
    print(f"{made.text!r}: {made.simulated.compared:,} sums of the RTL equal the CPU kernel's, and so do the tokens")


def generate(arguments: Arguments) -> None:
    """continue a text with the model of one artifact"""
    from nmforge.runtime.generate import generate as continue_text

    _one_torch_thread()
    show = (lambda piece: print(piece, end="", flush=True)) if arguments.stream else None
    made = continue_text(
        arguments.artifact, arguments.prompt, arguments.tokens, arguments.backend, threads=arguments.threads,
        temperature=arguments.temperature, seed=arguments.seed, build_dir=arguments.build,
        compare=arguments.backend == "rtl", stream=show,
    )  # fmt: skip
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


def table(arguments: Arguments) -> None:
    """collect points into one Parquet and CSV table"""
    from nmforge.io.records import read_points, write_table

    write_table(read_points(arguments.points), arguments.out)


def scaling(arguments: Arguments) -> None:
    """LLaMA-7B per token, from the kernel and accelerator tables"""
    from nmforge.io.records import read_table, write_table
    from nmforge.reporting.llama7b_scaling import llama_on_boards, scaling_table

    kernels, fpga, decoded = (
        read_table(arguments.tables / f"{name}.parquet") for name in ("kernels", "fpga", "decode")
    )
    write_table(scaling_table(kernels, fpga, decoded, here=provenance.cpu_name()), arguments.tables / "scaling.parquet")
    write_table(llama_on_boards(fpga), arguments.tables / "boards.parquet")


def figures(arguments: Arguments) -> None:
    """draw figures from the tables"""
    from nmforge.reporting.figures.registry import FIGURES as KNOWN
    from nmforge.reporting.figures.registry import draw

    for name in arguments.names or KNOWN:
        draw(name, arguments.tables, arguments.out)


def claims(arguments: Arguments) -> None:
    """print the ledger of claims; with --build make it from the tables first"""
    from nmforge.io.records import read_table, write_atomically, write_table
    from nmforge.reporting.claims.ledger import format_ledger, insert, ledger, markdown

    path = arguments.tables / "claims.parquet"
    names = ("accuracy", "storage", "kernels", "decode", "fpga", "coherence", "scaling")
    files = {name: arguments.tables / f"{name}.parquet" for name in names}
    document: Path | None = arguments.into
    if document is None:
        if arguments.build:
            found = {name: read_table(file) for name, file in files.items() if file.exists()}
            write_table(ledger(found, here=provenance.cpu_name()), path)
        print(format_ledger(read_table(path)))
        return
    if not document.exists():
        raise NmforgeError(f"{document} is missing; name a Markdown file for --into")
    recorded = ledger({name: read_table(file) for name, file in files.items()})  # a reader is on another machine
    changed = insert(document.read_text(), markdown(recorded), str(document))
    write_atomically(document, lambda temporary: temporary.write_text(changed))


def report(arguments: Arguments) -> None:
    """the ledger, accuracy, samples and figures of a run as one page of Markdown"""
    from nmforge.io.records import read_table, write_atomically
    from nmforge.reporting.figures.registry import FIGURES as KNOWN
    from nmforge.reporting.report import TABLES, report

    tables = {name: read_table(arguments.tables / f"{name}.parquet") for name in TABLES}
    pictures = [arguments.figures / f"{name}.png" for name in KNOWN]
    links = [Path(os.path.relpath(picture, arguments.out.parent)) for picture in pictures if picture.exists()]
    page = report(tables, links)
    write_atomically(arguments.out, lambda temporary: temporary.write_text(page))


def schema(_arguments: Arguments) -> None:
    """print the JSON Schema of config.yaml"""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    print(json.dumps(dialect | Config.model_json_schema(), indent=1))
