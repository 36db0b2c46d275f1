"""Seeds faults into copies of the RTL, one at a time, and counts how many the comparisons catch.

    python tests/fpga/faults/rtl_faults.py [--jobs 2]

A fault is caught where a sum differs from the reference, the cycles differ from the closed form, the engine stands
still, breaks AXI, remembers a job it was reset from, or sends a sum of offsets that do not ascend. Verilator's warnings
stop no build here, so they catch nothing. The comparisons are those of tests/fpga/sim on small engines. Exit status 1
below 95 % caught.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # the folder that pytest puts there

from factories.interrupted_jobs import InterruptedJob, simulate_after
from factories.rtl_problems import images

from nmforge.core.compressed_linear import Int8, random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import GemmShape, Pattern
from nmforge.core.reference import accumulate
from nmforge.fpga import sources
from nmforge.fpga.images.weight_image import KeptWeights, kept_weights
from nmforge.fpga.model.cycles import engine_cycles
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.sim.device import DeviceJob, DeviceStalls, Stop, simulate_device, simulate_jobs
from nmforge.fpga.sim.engine import SimulationJob, SimulationSettings, Stalls, run_job, simulate
from nmforge.fpga.sim.verilator import FLAGS, build_simulator

ENOUGH = 0.95
ENGINES = {
    "gemm": Engine(4, 4, 2, 2, 32),
    "lanes": Engine(4, 4, 2, 2, 32, lanes=2),
    "gemv": Engine(4, 4, 2, 2, 32, kind="gemv"),
    "device": Engine(4, 4, 4, 2, 64, kind="device"),
    "one-word device": Engine(1, 8, 8, 2, 64, kind="device"),  # every row of every plane is one word
}
DEVICE_RATES = [DeviceStalls(), DeviceStalls(60, 30, 50), DeviceStalls(act=95), DeviceStalls(sink=97)]


class Fault(NamedTuple):
    """One wrong line: `wrong` in place of `right` in a file of the RTL, looked for with these engines."""

    file: str
    right: str
    wrong: str
    engines: tuple[str, ...] = ("gemm",)


FAULTS = [
    Fault("pe", "valid_out     <= rst_n & valid_in;", "valid_out     <= rst_n;"),
    Fault("pe", "last_operand  <= last_out;", "last_operand  <= last_in;"),
    Fault("pe", "if (load_in) act_out <= act_in;", "act_out <= act_in;"),
    Fault("pe", "if (!rst_n | capture) accumulator <= '0;", "if (!rst_n) accumulator <= '0;"),
    Fault("pe", "else if (valid_product) accumulator <= total;", "else accumulator <= total;"),
    Fault(
        "pe", "drain_out       <= capture ? total : drain_in;", "drain_out       <= capture ? accumulator : drain_in;"
    ),
    Fault("pe", "drain_valid_out <= rst_n & (capture | drain_valid_in);", "drain_valid_out <= rst_n & capture;"),
    Fault("pe", ".invert(!EXACT & word[SELW])", ".invert(1'b0)"),
    Fault("pe", "word_out[j*WORDW +: WORDW]", "word_out[0 +: WORDW]", ("lanes",)),
    Fault("pe", "for (int j = 0; j < LANES; j++) of_step", "for (int j = 1; j < LANES; j++) of_step", ("lanes",)),
    Fault("select", "(sel[0] ? places[2*i+1] : places[2*i]) ^ {8{invert}}", "(sel[0] ? places[2*i+1] : places[2*i])"),
    Fault("select", "sel[0] ? places[2*i+1] : places[2*i]", "sel[0] ? places[2*i] : places[2*i+1]"),
    Fault("join2", "pick_high ? high : low", "pick_high ? low : high"),
    Fault("recode", "pair[1] & (pair[0] | carry[i])", "pair[1] & pair[0]"),
    Fault("recode", "pair[1] & (pair[0] ^ carry[i])", "pair[1] & pair[0]"),
    Fault("recode", "missing = ones + (negative ? BITS'(magnitude) : '0)", "missing = ones"),
    Fault("recode", "negative ? -code : code", "negative ? ~code : code"),
    Fault("product", "& ~once)", "& once)"),
    Fault("product", "assign twice = {value, 1'b0};", "assign twice = {value, value[0]};"),
    Fault("product", "<< (2 * i)", "<< i"),
    Fault("missing", "running <= last_step ? '0 : next;", "running <= next;"),
    Fault("missing", "else if (valid_step) running", "else running"),
    Fault("missing", "total <= ACCW'(next);", "total <= ACCW'(running);"),
    Fault("row_scale", "drain + correction", "drain"),
    Fault("row_scale", "if (valid_delay[2]) {last", "if (valid_delay[1]) {last"),
    Fault("row_scale", "digits <= drain_valid ? new_digits : digits >> 4;", "if (drain_valid) digits <= new_digits;"),
    Fault("row_scale", "(PAIRW+1)'(scaled_high >>> 4)", "(PAIRW+1)'(scaled_high >> 4)"),
    Fault("row_scale", "scaled_low  <= scaled_high[3:0];", "scaled_low  <= 4'd0;"),
    Fault("row_scale", "last_sum[3] ? 32'd0 : total", "total"),
    Fault("row_scale", "(valid[3] & last_sum[3]) | shift", "(valid[3] & last_sum[3])"),
    Fault("row_scale", "(PAIRW+1)'({1'b0, ones})", "'0"),
    Fault("row_scale", "else if (MULTS > 1 && drain_valid) mult <= mult >> 8;", "", ("gemv",)),
    Fault("skew", "stage[s] <= stage[s-1];", "stage[s] <= stage[0];", ("gemv", "device")),
    Fault("sequencer", "& !blocked", ""),
    Fault("sequencer", "(window_offered | !window_start)", "1'b1"),
    Fault("sequencer", "if (launch) window_start <= window_end;", "window_start <= window_end;"),
    Fault(
        "sequencer",
        "(sums_waiting & !tile_sent) | (launch & group_end & last_group)",
        "(sums_waiting & !tile_sent) | (launch & group_end & !last_group)",
    ),
    Fault("counter", "last ? most_is[1:0] : {left_now[2], next_last}", "{left_now[2], next_last}"),
    Fault("counter", "last ? most_is[1:0] : {left_now[2], next_last}", "last ? most_is[1:0] : {left_is[2], next_last}"),
    Fault("counter", "left <= left_is[0] ? most : left - 1'b1;", "left <= left - 1'b1;"),
    Fault("counter", "left_is[0] ? most_is : {left", "{left"),
    Fault("index_check", "(!first & (index <= previous))", "(!first & (index < previous))"),
    Fault("index_check", "(!first & (index <= previous))", "1'b0"),
    Fault("index_check", "if (valid) previous <= index;", "previous <= index;"),
    Fault("output", "tlast     = column == COLW'(COLS - 1)", "tlast     = column == '0"),
    Fault("output", "(tvalid & !tile_sent) | tile_done", "tile_done"),
    Fault(
        "datapath",
        "control[0].valid & control[0].window_start, window_edge[c]",
        "control[0].valid, window_edge[c]",
    ),
    Fault("datapath", "rst_n & (index_error | (|bad))", "rst_n & (|bad[0])"),
    Fault("gemm", "every_place ? {ROWS*LANES{step}} : s_index", "1'b0 ? {ROWS*LANES{step}} : s_index"),
    Fault("gemm", "s_mult_tready  = control.valid & control.group_end", "s_mult_tready  = control.valid"),
    Fault("gemv_row", ".act_in(act_wire[c])", ".act_in(act_wire[0])", ("gemv",)),
    Fault("gemv", "fetching   <= aresetn ? launch : '0;", "fetching   <= '0;", ("gemv",)),
    Fault("activation_bank", "take ? read_after < written : read < written", "read < written", ("gemv", "device")),
    Fault("activation_bank", "window_ready <= !all_passed & (pass_end", "window_ready <= (pass_end", ("gemv",)),
    Fault("activation_bank", "take ? read_second < written : read_after < written", "1'b1", ("device",)),
    Fault("engine", "take_window ? second_ready : window_ready", "window_ready", ("device",)),
    Fault("datapath", "row_done[ROWS-1] & !index_error", "row_done[ROWS-1]", ("gemm", "device")),
    Fault("gemv", "tile_done[ROWS-1] & !index_error", "tile_done[ROWS-1]", ("gemv",)),
    Fault("activation_bank", "if (pass_end) begin", "if (all_passed) begin", ("gemv", "device")),
    Fault(
        "weight_bank",
        "read_buffer  <= read_buffer ^ buffer_end;",
        "read_buffer  <= read_buffer ^ tile_end;",
        ("device",),
    ),
    Fault("weight_bank", "tready       <= !pause & !filled_next[1];", "tready       <= !pause;", ("device",)),
    Fault("weight_bank", "tready       <= !pause & !filled_next[1];", "tready       <= !filled_next[1];", ("device",)),
    Fault("weight_loader", "group + 1'b1 == last_in_block", "group == last_in_block", ("one-word device",)),
    Fault("weight_loader", "left <= last_block ? groups_per_tile", "left <= 1'b0 ? groups_per_tile", ("device",)),
    Fault("serial_output", "taking ? oldest : {held[ROWS-1], held[ROWS-1:1]}", "taking ? oldest : held", ("device",)),
    Fault("crossing", "room      <= used[DEPTHW:DEPTHW-1] == '0;", "room      <= 1'b1;", ("device",)),
    Fault("crossing", "(read ? read_after != write_place : read_place", "(read_place", ("device",)),
    Fault("crossing", "if (read) out_data", "if (some) out_data", ("device",)),
    Fault("engine", ".rst_n, .in_data({sum_last", ".rst_n(aresetn), .in_data({sum_last", ("device",)),
    Fault("engine", ".rst_n, .keep, .groups", ".rst_n(aresetn), .keep, .groups", ("device",)),
    Fault("registers", "4'd6: column_tiles    <= write_data[15:0];", "4'd6: column_tiles    <= 16'd1;", ("device",)),
]


def caught(engine: Engine, builds: Path) -> str | None:
    """How the comparisons notice that something is wrong with the RTL; None where they do not."""
    rng = np.random.default_rng(0)
    group = engine.group
    try:
        for pattern in ("2:4", "1:1", "1:4") if engine.window == 4 else ("1:1",):
            for m, n, k in [(3, 5, group), (1, 40, group), (5, 9, 3 * group), (4, 10, 10 * group)]:
                linear = random_linear(rng, n, k, Pattern.parse(pattern), engine.bits, group)
                lowest = -(2 ** (engine.bits - 1))
                linear.codes[linear.keep_mask & (rng.random(linear.codes.shape) < 0.1)] = lowest
                xq = rng.integers(-127, 128, (m, k), dtype=np.int8)
                if engine.kind == "device":
                    for seed, stalls in enumerate(DEVICE_RATES):
                        found = simulate_device(linear, xq, engine, builds, stalls, seed)
                        if (found.acc != accumulate(linear, xq)).any():
                            return "sums"
                        if not seed and found.cycles != engine_cycles(GemmShape(m, n, k), engine, linear.pattern):
                            return "cycles"
                    continue
                for seed, rates in enumerate([Stalls(), Stalls(60, 30, 50, 40, 50), Stalls(sink=95), Stalls(act=90)]):
                    found = simulate(linear, xq, engine, builds, SimulationSettings(rates, seed=seed))
                    if (found.acc != accumulate(linear, xq)).any():
                        return "sums"
                    if not seed and found.cycles != engine_cycles(GemmShape(m, n, k), engine, linear.pattern):
                        return "cycles"
        if engine.kind == "device" and not goes_on(engine, builds):
            return "after another job"
        return None if engine.window == 1 or refuses_offsets(engine, builds) else "offsets"
    except NmforgeError as error:
        return str(error).split(":")[0][:60]


def goes_on(engine: Engine, builds: Path) -> bool:
    """Whether a device's sums are right after jobs that were abandoned in full swing."""
    rng = np.random.default_rng(2)
    linear = random_linear(rng, 3 * engine.channels, 3 * engine.group, Pattern(1, 1), engine.bits, engine.group)
    xq = rng.integers(-127, 128, (2, linear.k), dtype=np.int8)
    job = DeviceJob(engine, kept_weights(linear, engine), xq)
    stops = [Stop(words=5), *(Stop(sums=engine.rows * tiles + 1) for tiles in (1, 3, 5))]
    abandoned = [InterruptedJob(replace(job, xq=-xq), stop) for stop in stops]
    found = simulate_after(abandoned, job, build_simulator(engine, builds), DeviceStalls(sink=80))
    return bool((found.acc == accumulate(linear, xq)).all())


def refuses_offsets(engine: Engine, builds: Path) -> bool:
    """Whether each channel's equal and falling offsets are refused, and ascending ones taken."""
    rng = np.random.default_rng(1)
    linear = random_linear(rng, engine.channels, 2 * engine.group, Pattern(2, 4), 4, engine.group)
    kept, xq = kept_weights(linear, engine), np.zeros((engine.tokens, linear.k), dtype=np.int8)
    for channel in range(engine.channels):
        for pair in ((2, 2), (3, 1)):
            offsets = kept.offsets.copy()
            offsets[channel, 3] = pair
            if takes(engine, replace(kept, offsets=offsets), xq, builds):
                return False
    return True


def takes(engine: Engine, kept: KeptWeights, xq: Int8, builds: Path) -> bool:
    """Whether an engine runs a layer without refusing it."""
    try:
        program = build_simulator(engine, builds)
        if engine.kind == "device":
            simulate_jobs([DeviceJob(engine, kept, xq)], program, DeviceStalls(50))
            return True
        job = SimulationJob.for_engine(engine, kept, engine.tokens)
        run_job(program, job, images(kept, xq, engine), SimulationSettings(Stalls(code=50)))
    except NmforgeError:
        return False
    return True


def find_nothing(root: Path) -> None:
    """Stop where the comparisons find something wrong with the RTL as it is: then they would catch any fault."""
    for name, engine in ENGINES.items():
        if how := caught(engine, root / "builds"):
            raise SystemExit(f"{name}: {how}, without a fault; mend that first")


def run_fault(number: int, root: Path) -> str | None:
    """Seed one fault into a copy of the RTL and look for it with its engines."""
    fault = FAULTS[number]
    folder = root / f"fault{number}"
    rtl = folder / "rtl"
    shutil.copytree(sources.RTL, rtl)
    (path,) = rtl.rglob(f"nmforge_{fault.file}.sv")
    text = path.read_text()
    if text.count(fault.right) < 1:
        raise SystemExit(f"{path.name} no longer has the line of fault {number}: {fault.right}")
    path.write_text(text.replace(fault.right, fault.wrong, 1))
    sources.RTL = rtl
    for name in fault.engines:
        how = caught(ENGINES[name], folder / "builds")
        if how:
            break
    shutil.rmtree(folder)
    return how


def main() -> int:
    """Run every fault and print what caught it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--file", default="", help="only faults in this file, such as pe")
    arguments = parser.parse_args()
    jobs, chosen = arguments.jobs, [n for n, fault in enumerate(FAULTS) if arguments.file in fault.file]
    found: list[str | None] = []
    FLAGS.append("-Wno-fatal")
    with tempfile.TemporaryDirectory(prefix="nmforge-faults-") as root, ProcessPoolExecutor(jobs) as pool:
        find_nothing(Path(root))
        for number, how in zip(chosen, pool.map(partial(run_fault, root=Path(root)), chosen), strict=True):
            fault = FAULTS[number]
            found.append(how)
            what = f"caught ({how})" if how else "NOT CAUGHT"
            print(f"{what:45s} {fault.file}: {fault.right} -> {fault.wrong}", flush=True)
    share = sum(how is not None for how in found) / len(found)
    print(f"{share:.1%} of {len(found)} faults caught")
    return 0 if share >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
