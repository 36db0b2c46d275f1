"""`nmforge fpga VERB`: from settings and an artifact to simulation, place and route, and a bitstream."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmforge.cli.options import (
    BUILD,
    OUT,
    Arguments,
    Parser,
    Verb,
    add_artifact,
    add_paths,
    add_places,
    add_sizes,
    add_verbs,
    read_config,
    read_config_if_any,
)
from nmforge.core.errors import NmforgeError
from nmforge.core.registry import registry
from nmforge.fpga.model.engine import CORES, KINDS, PREFERRED_GROUP, Engine, Kind

if TYPE_CHECKING:
    from nmforge.fpga.sim.random_layer import RandomLayer

WINDOWS = "window of the build: 1 for dense only, 4 for any N:4"


def generate_options(parser: Parser) -> None:
    """The engine, and where its files go."""
    parser.add_argument("artifact", type=Path, nargs="?", help="an *.nmf.safetensors file; without one, no DRAM image")
    parser.add_argument("--engine", default="device", choices=KINDS, help="which engine; default: device")
    parser.add_argument("--window", type=int, help=f"{WINDOWS}; default: the artifact's own")
    for name in ("rows", "cols"):
        parser.add_argument(f"--{name}", type=int, help=f"default: fpga.{name} of the config")
    add_sizes(parser, lanes=1)
    add_paths(parser, out=(None, "folder to write"))


def generate(arguments: Arguments) -> None:
    """write the top module and sources of one engine and, from an artifact, its DRAM image"""
    from nmforge.fpga.export import engine_of_artifact, engine_of_settings, write_build
    from nmforge.fpga.images.verify import write_checked_image

    fpga = read_config(arguments).fpga
    kind, rows, cols = arguments.engine, arguments.rows or fpga.rows, arguments.cols or fpga.cols
    if arguments.artifact:
        engine = engine_of_artifact(arguments.artifact, kind, rows, cols, arguments.lanes, arguments.window)
    elif arguments.window:
        engine = engine_of_settings(kind, arguments.window, rows, cols, arguments.lanes)
    else:
        raise NmforgeError("no artifact and no --window are given; name the artifact to run, or the window of a build")
    top, listing, *sources = write_build(engine, arguments.out)
    print(f"{top}: {engine.top}, {', '.join(f'{name} {value}' for name, value in engine.parameters.items())}")
    print(f"{listing}: the top and {len(sources)} sources below {arguments.out / 'rtl'}")
    if arguments.artifact:
        print(write_checked_image(arguments.artifact, engine, arguments.out / "weights.dram"))


def simulate_options(parser: Parser) -> None:
    """The layer, the build and what is written."""
    add_artifact(parser)
    parser.add_argument("--layer", required=True, help="name of a layer of the artifact")
    parser.add_argument("--window", type=int, help="window of the build; default: the layer's own")
    parser.add_argument("--trace", type=Path, metavar="FILE.fst", help="waveform to write, for GTKWave or Surfer")
    add_paths(parser, **BUILD, **OUT)


def simulate(arguments: Arguments) -> None:
    """simulate one engine cycle by cycle on a tile of an artifact's layer; with --trace leave a waveform"""
    from nmforge.fpga.points.cycles import LayerTile, simulate_point

    fpga = read_config(arguments).fpga
    tile = LayerTile(arguments.layer, fpga.rows, fpga.cols, fpga.tile_rows, fpga.tokens, arguments.window)
    simulate_point(arguments.artifact, tile, arguments.build, arguments.out, arguments.trace)


def random_options(parser: Parser) -> None:
    """The layer, the engine and the memories."""
    parser.add_argument("--engine", default="gemm", choices=KINDS, help="which engine; default: gemm")
    parser.add_argument("--pattern", default="2:4", help="pattern of the layer; default: 2:4")
    parser.add_argument("--window", type=int, help="window of the build; default: the pattern's own")
    parser.add_argument(
        "--rates", type=float, nargs="+", default=[], help="also with memories of these bytes per cycle"
    )
    parser.add_argument("--board", nargs="+", default=[], help="also with a memory channel of these boards")
    parser.add_argument("--clock", type=float, metavar="MHZ", help="of the engine, for --board; default: the board's")
    parser.add_argument("--activity", action="store_true", help="also count every signal's toggles; not with device")
    parser.add_argument("--scale-sim", action="store_true", help="also count the cycles with SCALE-Sim (make scalesim)")
    add_sizes(parser, bits=4, m=16, n=4096, k=4096, rows=16, cols=16, lanes=1, group=PREFERRED_GROUP)
    add_paths(parser, **BUILD, **OUT)


def random(arguments: Arguments) -> None:
    """simulate a random layer of any size, without and with a limit of bandwidth, and compare every sum"""
    from nmforge.fpga.model.memory import ddr4_channel
    from nmforge.fpga.sim.random_layer import random_point

    read_config(arguments)
    memories = [ddr4_channel(rate) for rate in arguments.rates]
    memories += [registry("board").get(name).channel(arguments.clock) for name in arguments.board]
    rows = random_point(
        _random_layer(arguments), memories, arguments.build, arguments.out,
        scale_sim=arguments.scale_sim, activity=arguments.activity,
    )  # fmt: skip
    for row in rows:
        print(_random_line(row, rows[0]["cycles"]))


def _random_line(row: dict[str, Any], cycles: int) -> str:
    """What one row of `random` found; cycles: the RTL's with streams that are never short."""
    if row["stage"] == "activity":
        return (
            f"for each multiplication of the dense layer {row['toggles']:.1f} toggles, {row['array_toggles']:.1f} of "
            f"them in the array, and {row['bytes_per_mac']:.4f} bytes"
        )
    took = f"{row['cycles']:,} cycles, {row['efficiency']:.2%} of ideal, {row['seconds']:.2f} s"
    if row["stage"] == "scale-sim":
        return f"{row['target']}: {took}; the RTL takes {1 - cycles / row['cycles']:.2%} fewer"
    if not row["memory_rate"]:
        return f"streams never short: {row['outputs_compared']:,} sums equal the reference, {took}"
    memory = f"{row['board'] or 'memory'}, {row['memory_rate']:.4g} bytes a cycle"
    share = f"{row['memory_share']:.1%} of what the memory sustains"
    return f"{memory}: {row['outputs_compared']:,} sums equal the reference, {took}, {share}"


def _random_layer(arguments: Arguments) -> RandomLayer:
    """The layer that the options of `random` name."""
    from nmforge.core.formats import GemmShape, Pattern
    from nmforge.fpga.sim.random_layer import RandomLayer

    pattern = Pattern.parse(arguments.pattern)
    engine = _engine(arguments, arguments.engine, arguments.window or pattern.window)
    return RandomLayer(engine, pattern, GemmShape(arguments.m, arguments.n, arguments.k))


def _engine(arguments: Arguments, kind: Kind, window: int) -> Engine:
    """The engine of a kind with the sizes that the options name."""
    group = getattr(arguments, "group", PREFERRED_GROUP)
    return Engine(window, arguments.bits, arguments.rows, arguments.cols, group, arguments.lanes, kind)


def synthesize_options(parser: Parser) -> None:
    """The core and the FPGA family."""
    parser.add_argument("--engine", default="gemm", choices=CORES, help="which core; default: gemm")
    parser.add_argument("--window", type=int, required=True, help=WINDOWS)
    parser.add_argument("--target", required=True, choices=registry("fpga_family").names(), help="FPGA family")
    add_sizes(parser, bits=4)
    add_paths(parser, **BUILD, **OUT)


def synthesize(arguments: Arguments) -> None:
    """count the LUTs, flip-flops and DSPs of one core with Yosys"""
    from nmforge.fpga.points.resources import synthesize_point

    fpga = read_config(arguments).fpga
    core = Engine(arguments.window, arguments.bits, fpga.rows, fpga.cols, PREFERRED_GROUP, kind=arguments.engine)
    synthesize_point(core, arguments.target, arguments.build, arguments.out)


def place_options(parser: Parser) -> None:
    """The device and the point file."""
    _device_options(parser, "file to write")


def place(arguments: Arguments) -> None:
    """place and route one device on an ECP5"""
    from nmforge.fpga.points.routes import place_point

    read_config(arguments)
    device = _engine(arguments, "device", arguments.window)
    place_point(device, arguments.seed, arguments.build, arguments.out)


def bitstream_options(parser: Parser) -> None:
    """The device and the bitstream."""
    _device_options(parser, "bitstream to write")


def bitstream(arguments: Arguments) -> None:
    """pack the bitstream of one device, placed and routed first where it is not yet"""
    from nmforge.fpga.pnr.ecp5 import PART
    from nmforge.fpga.points.routes import pack_bitstream

    read_config(arguments)
    device = _engine(arguments, "device", arguments.window)
    routed, size = pack_bitstream(device, arguments.seed, arguments.build, arguments.out)
    print(f"{arguments.out}: {size:,} bytes for a {PART}, {routed.fmax_mhz:.1f} MHz after routing")


def netlist_options(parser: Parser) -> None:
    """The layer, the device and the point file."""
    add_artifact(parser)
    parser.add_argument("--layer", required=True, help="name of a layer of the artifact")
    add_sizes(parser, rows=4, cols=4, seed=1, tokens=24)
    add_paths(parser, **BUILD, **OUT)


def netlist(arguments: Arguments) -> None:
    """run a layer through the synthesized and the routed netlist of a device and compare every sum"""
    from nmforge.fpga.points.netlists import NetlistSettings, check_netlist

    read_config(arguments)
    array = arguments.rows, arguments.cols
    settings = NetlistSettings(arguments.layer, *array, arguments.tokens, arguments.seed)
    check_netlist(arguments.artifact, settings, arguments.build, arguments.out)


def prove_options(parser: Parser) -> None:
    """The PE that is proved."""
    parser.add_argument("--pattern", default="2:4", help="default: 2:4")
    parser.add_argument("--window", type=int, help=f"{WINDOWS}; default: that of the pattern")
    parser.add_argument("--engine", choices=CORES, default="gemm", help="whose PE; default: gemm")
    add_sizes(parser, bits=4, lanes=1, group=PREFERRED_GROUP)
    add_paths(parser, **OUT)


def prove(arguments: Arguments) -> None:
    """prove, for every input and all time, that a PE sums what a dense one does on the unpacked weights"""
    from nmforge.core.formats import Pattern
    from nmforge.fpga.formal.proofs import proof_point

    read_config(arguments)
    pattern = Pattern.parse(arguments.pattern)
    window, group = arguments.window or pattern.window, arguments.group
    engine = Engine(window, arguments.bits, 1, 1, group, arguments.lanes, arguments.engine)
    for proof in proof_point(pattern, engine, arguments.out):
        how = f"by induction over {proof.depth} cycles" if proof.depth else "for every input"
        print(f"{proof.name}: proved {how}, {proof.seconds:.1f} s")


def report_options(parser: Parser) -> None:
    """The points or the table that is printed."""
    parser.add_argument("points", type=Path, nargs="*", help="point files; default: the fpga table of the workflow")
    add_places(parser, "tables")


def report(arguments: Arguments) -> None:
    """print cycles, costs and speed-up of every engine in the fpga table"""
    from nmforge.fpga.report import format_report
    from nmforge.io.records import read_points, read_table

    read_config_if_any(arguments)
    found = read_points(arguments.points) if arguments.points else read_table(arguments.tables / "fpga.parquet")
    print(format_report(found))


def _device_options(parser: Parser, out: str) -> None:
    """The device that `place` and `bitstream` are asked for."""
    parser.add_argument("--window", type=int, required=True, help=WINDOWS)
    add_sizes(parser, bits=4, rows=4, cols=4, lanes=1, seed=1)
    add_paths(parser, **BUILD, out=(None, out))


FPGA_VERBS = [
    Verb(generate, generate_options),
    Verb(simulate, simulate_options),
    Verb(random, random_options),
    Verb(synthesize, synthesize_options),
    Verb(place, place_options),
    Verb(bitstream, bitstream_options),
    Verb(netlist, netlist_options),
    Verb(prove, prove_options),
    Verb(report, report_options),
]


def fpga(_arguments: Arguments) -> None:
    """the accelerator: generate, simulate, random, synthesize, place, bitstream, netlist, prove, report"""


def fpga_options(parser: Parser) -> None:
    """Every verb of the accelerator."""
    add_verbs(parser, "fpga_command", "fpga ", FPGA_VERBS)


VERBS = [Verb(fpga, fpga_options)]
