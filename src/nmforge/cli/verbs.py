"""`nmforge VERB`: one thin verb for each rule of the workflow, usable by hand.

A verb reads settings from the config file, paths from its arguments, and calls one function. Heavy imports happen
inside the verb, so that the light ones start at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from nmforge import provenance
from nmforge.config import Config, load_config
from nmforge.errors import NmforgeError

Arguments = argparse.Namespace
DEFAULT_CACHE = Path(".cache/inputs")
# Where the workflow keeps the inputs of a model; a verb that is not told otherwise looks there.
INPUTS = {
    "checkpoint": "results/checkpoints/{model}",
    "tokens": "results/tokens/{model}.safetensors",
    "dense_hidden": "results/cache/{model}-dense_hidden.safetensors",
}
TABLES, FIGURES = Path("results/tables"), Path("paper_figures")


def _config(arguments: Arguments) -> Config:
    """The config, whose hash goes into every measurement of this process."""
    config = load_config(arguments.config)
    os.environ[provenance.CONFIG_HASH_VARIABLE] = provenance.hash_json(config.model_dump(mode="json"))[:16]
    for name, path in INPUTS.items():
        if getattr(arguments, name, path) is None:
            setattr(arguments, name, Path(path.format(model=config.model.name)))
    return config


def _threads(arguments: Arguments) -> None:
    import torch

    torch.set_num_threads(arguments.threads)


def checkpoint(arguments: Arguments) -> None:
    """fetch the model and write it as a folder of bf16 safetensors"""
    from nmforge.models.sources import prepare_checkpoint

    model = _config(arguments).model
    prepare_checkpoint(model.source, model.revision, arguments.cache, arguments.out, model.blocks)


def text(arguments: Arguments) -> None:
    """fetch the text and tokenize its calibration and evaluation documents"""
    from nmforge.corpora.sources import load_corpus
    from nmforge.corpora.windows import write_tokens
    from nmforge.models.sources import load_tokenizer

    settings = _config(arguments).text
    tokenizer = load_tokenizer(arguments.checkpoint)
    write_tokens(load_corpus(settings.source, settings.revision, arguments.cache), tokenizer, arguments.out)


def compress(arguments: Arguments) -> None:
    """prune, quantize and pack one design point into an artifact"""
    from nmforge.compress import compress_checkpoint

    config = _config(arguments)
    point = config.design(arguments.design).point()
    _threads(arguments)
    effort = compress_checkpoint(
        arguments.checkpoint,
        arguments.tokens,
        point,
        config.calibration,
        config.index_encoding,
        arguments.out,
    )
    print(f"compress {point.id}: {effort}", file=sys.stderr)


def recover(arguments: Arguments) -> None:
    """train the codes of an artifact to follow the dense model, masks and scales kept"""
    from nmforge.recovery.run import recover_artifact

    design = _config(arguments).design(arguments.design)
    if design.recovery is None:
        raise NmforgeError(f"design {design.id} has no recovery block; add one to the config")
    _threads(arguments)
    recover_artifact(
        arguments.checkpoint, arguments.artifact, arguments.tokens, design.id, design.recovery, arguments.out
    )


def inspect(arguments: Arguments) -> None:
    """print what is in an artifact, after checking every hash"""
    from nmforge.inspection import describe

    print(describe(arguments.artifact))


def evaluate(arguments: Arguments) -> None:
    """perplexity, KL and top-1 agreement of one artifact, in every mode it has"""
    from nmforge.artifact import read_header
    from nmforge.evaluate import evaluate_artifact

    config = _config(arguments)
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


def storage(arguments: Arguments) -> None:
    """bytes on disk of one artifact, under every index encoding"""
    from nmforge.storage import measure_storage

    measure_storage(arguments.artifact, _config(arguments).model.name, arguments.out)


def coherence(arguments: Arguments) -> None:
    """compare reference, C++ kernels and RTL simulation of one artifact bit for bit"""
    from nmforge.coherence import check_coherence

    config = _config(arguments)
    check_coherence(arguments.artifact, config.coherence, config.fpga, arguments.build, arguments.out)


def bench(arguments: Arguments) -> None:
    """time the kernels of this machine, peers alternated with ours"""
    from nmforge.bench.limits import write_limits
    from nmforge.bench.run import run_bench
    from nmforge.bench.shapes import model_shapes
    from nmforge.kernels.table import HERE, KERNELS

    settings = _config(arguments).kernels
    shapes = [*settings.shapes, *(model_shapes(arguments.artifact) if settings.model_shapes else [])]
    run_bench(
        shapes, settings.m, settings.threads, arguments.out,
        kernels=tuple(KERNELS) if settings.peers else HERE, seconds=settings.seconds_per_kernel,
        llama7b=settings.llama7b,
    )  # fmt: skip
    if arguments.limits:
        write_limits(settings.threads, arguments.limits)


def decode(arguments: Arguments) -> None:
    """time the decoding of compressed models, or with --llama7b of a random LLaMA-7B"""
    from nmforge.bench.decode import decode_artifacts, decode_llama7b
    from nmforge.models.sources import gguf_of

    config = _config(arguments)
    threads, with_peers = max(config.kernels.threads), config.kernels.peers
    if arguments.llama7b:
        decode_llama7b(config.decode, threads, with_peers, arguments.build, arguments.out)
        return
    gguf = gguf_of(config.model.source, arguments.cache) if with_peers else None
    decode_artifacts(
        config.model.name, arguments.artifacts, arguments.checkpoint, gguf, config.decode, threads, arguments.out
    )


def generate(arguments: Arguments) -> None:
    """continue a text with the model of one artifact"""
    import torch

    from nmforge.generation import generate as continue_text

    torch.set_num_threads(1)  # torch's waiting threads take the cores from the kernels' own
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


def simulate(arguments: Arguments) -> None:
    """simulate one engine cycle by cycle on a tile of an artifact's layer"""
    from nmforge.fpga.run import simulate_point

    settings = _config(arguments).fpga
    simulate_point(
        arguments.artifact, arguments.layer, arguments.of, settings.rows, settings.cols, settings.tile_rows,
        settings.tokens, arguments.build, arguments.out,
    )  # fmt: skip


def synthesize(arguments: Arguments) -> None:
    """count the LUTs, flip-flops and DSPs of one engine with Yosys"""
    from nmforge.fpga.run import synthesize_point

    settings = _config(arguments).fpga
    synthesize_point(
        arguments.engine, arguments.of, settings.rows, settings.cols, arguments.target, arguments.build, arguments.out
    )


def place(arguments: Arguments) -> None:
    """place and route one engine with its banks on an ECP5; with --bitstream pack it too"""
    from nmforge.fpga.run import place_point

    _config(arguments)
    place_point(
        arguments.of, arguments.rows, arguments.cols, arguments.lanes, arguments.seed, arguments.build, arguments.out,
        arguments.bitstream,
    )  # fmt: skip


def netlist(arguments: Arguments) -> None:
    """run a layer through the placed-and-routed netlist of a device and compare every sum"""
    from nmforge.fpga.run import check_netlist

    _config(arguments)
    check_netlist(
        arguments.artifact, arguments.layer, arguments.rows, arguments.cols, arguments.seed, arguments.tokens,
        arguments.build, arguments.out,
    )  # fmt: skip


def table(arguments: Arguments) -> None:
    """collect points into one Parquet and CSV table"""
    from nmforge.records import read_points, write_table

    write_table(read_points(arguments.points), arguments.out)


def scaling(arguments: Arguments) -> None:
    """LLaMA-7B per token, from the kernel and accelerator tables"""
    from nmforge.records import read_table, write_table
    from nmforge.scaling import llama_on_boards, scaling_table

    kernels, fpga, decoded = (
        read_table(arguments.tables / f"{name}.parquet") for name in ("kernels", "fpga", "decode")
    )
    write_table(scaling_table(kernels, fpga, decoded, here=provenance.cpu_name()), arguments.tables / "scaling.parquet")
    write_table(llama_on_boards(fpga), arguments.tables / "boards.parquet")


def figures(arguments: Arguments) -> None:
    """draw figures from the tables"""
    from nmforge.figures import FIGURES as KNOWN
    from nmforge.figures import draw

    for name in arguments.names or KNOWN:
        draw(name, arguments.tables, arguments.out)


def claims(arguments: Arguments) -> None:
    """print the ledger of claims; with --build make it from the tables first"""
    from nmforge.claims import format_ledger, insert, ledger, markdown
    from nmforge.records import read_table, write_atomically, write_table

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


def schema(_arguments: Arguments) -> None:
    """print the JSON Schema of config.yaml"""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    print(json.dumps(dialect | Config.model_json_schema(), indent=1))


def _paths(parser: argparse.ArgumentParser, **options: tuple[Path | None, str]) -> None:
    """Add path options; a default of None makes the option required."""
    for name, (default, explanation) in options.items():
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=Path, default=default, required=default is None, help=explanation)


def _input(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add options for inputs whose default place is the workflow's."""
    for name in names:
        place = INPUTS[name].format(model="<model.name>")
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, help=f"default: {place}")


def _artifact_verb(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifact", type=Path, help="an *.nmf.safetensors file")


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nmforge", description=__doc__.split("\n")[0].replace("`", ""))
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="settings (default: config.yaml)")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    out = {"out": (None, "file to write")}
    build = {"build": (Path("build/fpga"), "folder that keeps simulator builds")}
    inputs = {"cache": (DEFAULT_CACHE, "folder that keeps downloads")}
    tables = {"tables": (TABLES, "folder of the tables")}

    def add(verb: Callable[[Arguments], None]) -> argparse.ArgumentParser:
        one = verbs.add_parser(verb.__name__, help=verb.__doc__, description=verb.__doc__)
        one.set_defaults(run=verb)
        return one

    _paths(add(checkpoint), **inputs, out=(None, "folder to write"))
    one = add(text)
    _paths(one, **inputs, **out)
    _input(one, "checkpoint")
    one = add(compress)
    one.add_argument("--design", required=True, help="id of a design point in the config")
    one.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of torch")
    _paths(one, **out)
    _input(one, "checkpoint", "tokens")
    one = add(recover)
    _artifact_verb(one)
    one.add_argument("--design", required=True, help="id of a design point with a recovery block")
    one.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of torch")
    _paths(one, **out)
    _input(one, "checkpoint", "tokens")
    _artifact_verb(add(inspect))
    one = add(evaluate)
    _artifact_verb(one)
    one.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of torch and of the kernels")
    one.add_argument("--dense-point", type=Path, help="accuracy point of the bf16 design point")
    _paths(one, **out)
    _input(one, "tokens", "dense_hidden")
    one = add(storage)
    _artifact_verb(one)
    _paths(one, **out)
    one = add(coherence)
    _artifact_verb(one)
    _paths(one, **build, **out)
    one = add(bench)
    one.add_argument("--limits", type=Path, help="also measure the machine's bandwidth and peak, and write them here")
    _paths(one, artifact=(None, "an artifact, for the model's own shapes"), **out)
    one = add(decode)
    one.add_argument("artifacts", type=Path, nargs="*", help="*.nmf.safetensors files to decode with")
    one.add_argument("--llama7b", action="store_true", help="a random LLaMA-7B in the formats of the config instead")
    _paths(one, **inputs, build=(Path("build/llama7b"), "folder for a file of 4 GB, deleted again"), **out)
    _input(one, "checkpoint")
    one = add(simulate)
    _artifact_verb(one)
    one.add_argument("--layer", required=True, help="name of a layer of the artifact")
    one.add_argument("--of", type=int, help="windows of the build; default: the layer's own")
    _paths(one, **build, **out)
    one = add(synthesize)
    one.add_argument("--engine", default="gemm", choices=("gemm", "gemv"), help="which engine; default: gemm")
    one.add_argument("--of", type=int, required=True, help="windows of the build: 1 for dense only, 4 for any N:4")
    one.add_argument("--target", required=True, choices=("ecp5", "xcup"), help="device family")
    _paths(one, **build, **out)
    one = add(place)
    one.add_argument("--of", type=int, required=True, help="windows of the build: 1 for dense only, 4 for any N:4")
    for name, default in (("rows", 4), ("cols", 4), ("lanes", 1), ("seed", 1)):
        one.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")
    one.add_argument("--bitstream", type=Path, help="bitstream to write")
    _paths(one, **build, **out)
    one = add(netlist)
    _artifact_verb(one)
    one.add_argument("--layer", required=True, help="name of a layer of the artifact")
    for name, default in (("rows", 4), ("cols", 4), ("seed", 1), ("tokens", 24)):
        one.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")
    _paths(one, **build, **out)
    one = add(generate)
    _artifact_verb(one)
    one.add_argument("--prompt", required=True, help="text to continue")
    one.add_argument("--tokens", type=int, default=32, help="most tokens to generate")
    one.add_argument("--stream", action="store_true", help="print the text as it is made")
    one.add_argument("--backend", default="native", help="native, cpu, reference, or rtl: every layer in simulation")
    one.add_argument("--temperature", type=float, default=0, help="0: the likeliest token")
    one.add_argument("--seed", type=int, default=0, help="of the samples")
    one.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of kernels and simulations")
    _paths(one, **build)
    one = add(table)
    one.add_argument("points", type=Path, nargs="+", help="point files")
    _paths(one, **out)
    _paths(add(scaling), **tables)
    one = add(figures)
    one.add_argument("names", nargs="*", help="which figures; default: all")
    _paths(one, **tables, out=(FIGURES, "folder to draw into"))
    one = add(claims)
    either = one.add_mutually_exclusive_group()
    either.add_argument("--build", action="store_true", help="make the ledger from the tables first")
    either.add_argument("--into", type=Path, help="Markdown file: put the ledger between its ledger marks instead")
    _paths(one, **tables)
    add(schema)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; 0 on success, 2 with one sentence on an error the user can mend."""
    arguments = _build_parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except NmforgeError as error:
        print(f"nmforge {arguments.verb}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
