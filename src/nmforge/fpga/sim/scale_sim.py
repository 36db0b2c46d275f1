"""SCALE-Sim next to the RTL: cycles of the same GEMM on an array of the same size, from another group's simulator.

SCALE-Sim (Samajdar et al., arXiv 1811.02883; version 3, arXiv 2504.15377) models an output-stationary array in Python
and runs in an environment of its own, `.venv-scalesim`. Its array has tokens along its rows and channels along its
columns, ours the other way round. Its memories are made large enough never to stall, so that arrays are compared.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd

from nmforge.core.errors import NmforgeError
from nmforge.core.formats import GemmShape, Pattern
from nmforge.io.subprocesses import environment_python, run_program

FOLDER = Path(".venv-scalesim")  # below the project's root, where every verb runs
VERSION = "3.0.0"
ARGUMENTS = "-m scalesim.scale -t gemm.csv -l layout.csv -c array.cfg -p out -i gemm -s N"
LIMIT_S = 3600

CONFIG = """[general]
run_name = run
[run_presets]
InterfaceBandwidth = CALC
UseRamulatorTrace = False
[architecture_presets]
ArrayHeight = {rows}
ArrayWidth = {cols}
ifmapsramszkB = 65536
filtersramszkB = 65536
ofmapsramszkB = 65536
IfmapOffset = 0
FilterOffset = 100000000
OfmapOffset = 200000000
Dataflow = os
ReadRequestBuffer = 64
WriteRequestBuffer = 64
[layout]
IfmapCustomLayout = False
IfmapSRAMBankBandwidth = 10
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterCustomLayout = False
FilterSRAMBankBandwidth = 10
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = {sparse}
SparseRep = ellpack_block
OptimizedMapping = false
BlockSize = 4
RandomNumberGeneratorSeed = 0
"""


def scale_sim_cycles(channels: int, tokens: int, pattern: Pattern, shape: GemmShape, folder: Path = FOLDER) -> int:
    """Cycles that SCALE-Sim counts for a GEMM on an output-stationary array of channels x tokens, prefetch left out.

    Raises NmforgeError where SCALE-Sim is not installed in `folder`, fails, stalls, or takes longer than an hour.
    """
    python = environment_python(folder, "SCALE-Sim", "make scalesim")
    with tempfile.TemporaryDirectory(prefix="scale-sim-") as name:
        work = Path(name)
        sparse = str(not pattern.is_dense).lower()
        (work / "array.cfg").write_text(CONFIG.format(rows=tokens, cols=channels, sparse=sparse))
        (work / "gemm.csv").write_text(f"Layer,M,N,K,Sparsity,\ngemm,{shape.m},{shape.n},{shape.k},{pattern},\n")
        (work / "layout.csv").write_text("Layer,\n")
        subject, remedy = f"SCALE-Sim for {shape} on {channels}x{tokens}", "choose a smaller GEMM"
        run_program([python, *ARGUMENTS.split()], subject, remedy, work, limit_s=LIMIT_S)
        report = work / "out" / "run" / "COMPUTE_REPORT.csv"
        if not report.exists():
            raise NmforgeError(f"{subject} wrote no report; install it again with make scalesim")
        return _cycles_of_report(report)


def _cycles_of_report(report: Path) -> int:
    """`Total Cycles` of the one layer, which must not have stalled."""
    row = pd.read_csv(report, skipinitialspace=True).iloc[0]
    if row["Stall Cycles"]:
        raise NmforgeError(f"SCALE-Sim stalled {row['Stall Cycles']:.0f} cycles on its memories; choose a smaller GEMM")
    return int(row["Total Cycles"])
