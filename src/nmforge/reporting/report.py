"""The report of a run as data: its sections in order, each with notes, sheets, figures and texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmforge.core.lazy import pd
from nmforge.io.folders import DEFAULT_STUDY
from nmforge.reporting.answer import conclusion, headlines
from nmforge.reporting.costs import stage_costs
from nmforge.reporting.figures.registry import REGISTRY
from nmforge.reporting.paper import PAPER
from nmforge.reporting.sheets import Head, Origins, Sheet, cell, machines, sheet

if TYPE_CHECKING:
    from nmforge.reporting.query import Tables

REQUIRED = ("claims", "accuracy", "samples")
OPTIONAL = ("storage", "scaling", "kernels", "decode", "fpga", "coherence")
TABLES = REQUIRED + OPTIONAL
LEDGER = ["claim", "verdict", "ours", "claimed", "platform", "baseline"]
KERNELS = ["kernel", "family", "pattern", "bits", "stage", "device", "isa", "threads", "m", "n", "k", "cache",
           "median_us", "spread_us", "repeats", "weight_bytes"]  # fmt: skip
SCALING = [
    "platform",
    "design_id",
    "tokens_per_s",
    "us_per_token",
    "speedup_vs_dense",
    "device",
    "kernel",
    "stage",
    "scope",
]
DECODE = ["model", "candidate", "family", "device", "isa", "threads", "context", "tokens_per_s", "median_us",
          "spread_us", "bytes_per_token", "share_of_bandwidth"]  # fmt: skip
ACCURACY = ["design_id", "mode", "ppl", "ratio_to_dense", "kl", "top1_agreement", "bits_per_weight", "pattern", "bits",
            "pruner", "quantizer", "recovery_tokens"]  # fmt: skip
STORAGE = ["design_id", "scope", "encoding", "bytes", "bits_per_weight", "ratio_to_fp16", "pattern", "bits", "model"]
FPGA = ["engine", "pattern", "window", "bits", "rows", "cols", "lanes", "target", "board", "memory_rate", "seed", "m",
        "n", "k", "cycles", "model_error", "efficiency", "bytes_per_cycle", "memory_share", "outputs_compared",
        "mismatches", "lut", "ff", "dsp", "ram", "fmax_mhz", "lut_share", "toggles", "theorem", "depth"]  # fmt: skip
COHERENCE = ["design_id", "layer", "backend", "note", "compared", "mismatches"]
COST_HEADS = {
    "stage": Head("stage"), "job": Head("job"), "jobs": Head("jobs"), "seconds": Head("seconds", "time on the clock"),
    "cpu_seconds": Head("processor seconds", "time of all cores together"),
    "peak_mb": Head("peak memory (MB)", "largest resident memory, in 2^20 bytes"),
}  # fmt: skip
FPGA_STAGES = {
    "rtl": "Simulations of the RTL on layers of the model",
    "random": "Simulations of the RTL on random layers",
    "activity": "Transitions of signal bits in simulation",
    "scale-sim": "Cycles of a dense systolic array by SCALE-Sim",
    "synthesis": "Resources after synthesis",
    "route": "Clock and resources after place and route",
    "formal": "Proofs of the control logic",
}


@dataclass(frozen=True)
class Picture:
    """A figure of the page: the file in PNG, and the caption that explains it."""

    name: str
    caption: str
    file: Path


@dataclass(frozen=True)
class Section:
    """One section: an id for links, a title, a note, then what it shows. quotations: who says what."""

    id: str
    title: str
    note: str = ""
    sheets: tuple[Sheet, ...] = ()
    pictures: tuple[Picture, ...] = ()
    quotations: tuple[tuple[str, str], ...] = ()
    code: str = ""


@dataclass(frozen=True)
class Page:
    """The whole report: title, one line about the run, sections."""

    title: str
    about: str
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Run:
    """What a report is made of. tables: those of REQUIRED, and those of OPTIONAL that the run has.

    pictures: figures that were drawn. costs: rows of `read_costs`. settings: the config as YAML; empty for none.
    """

    tables: Tables
    pictures: tuple[Picture, ...] = ()
    costs: pd.DataFrame = field(default_factory=lambda: pd.DataFrame())
    settings: str = ""
    study: str = DEFAULT_STUDY


def find_pictures(names: Iterable[str], folder: Path) -> tuple[Picture, ...]:
    """The figures of these names whose PNG lies in the folder, with their captions."""
    drawings = [REGISTRY.get(name) for name in names]
    files = [(drawing, folder / f"{drawing.name}.png") for drawing in drawings]
    return tuple(Picture(drawing.name, _caption(drawing), file) for drawing, file in files if file.exists())


def _caption(drawing: Any) -> str:
    """The caption of a figure; the line that sums it up where it has none."""
    text = str(getattr(drawing, "caption", "") or drawing.summary)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def report(run: Run) -> Page:
    """The page of a run: the answer, figures, then every table, the settings, the machine and the times."""
    origins = Origins(run.tables)
    first = run.tables["accuracy"].iloc[0]
    study = "" if run.study == DEFAULT_STUDY else f"Study {run.study}. "
    sections = [
        answer_section(run.tables["claims"], origins),
        Section("figures", "Figures", pictures=run.pictures) if run.pictures else None,
        *(_tables(run.tables, origins)),
        _machine(origins),
        _costs(run.costs),
        Section("config", "Settings", "The config of the run, every default written out.", code=run.settings)
        if run.settings else None,
    ]  # fmt: skip
    about = f"{study}Measured on {first['host']}, {first['date']}, commit {first['commit']}. The paper: {PAPER}."
    return Page(f"{first['model']}: accuracy, storage and speed", about, tuple(filter(None, sections)))


def answer_section(claims: pd.DataFrame, origins: Origins) -> Section:
    """What the reader sees first: the rows marked `headline`, or the whole ledger where none is marked and measured."""
    marked = headlines(claims) if _has_headlines(claims) else claims
    counts = ", ".join(f"{count} {verdict}" for verdict, count in marked["verdict"].value_counts(sort=False).items())
    said = "" if marked is claims else f"{conclusion(claims)} "
    return Section("answer", "What holds", f"{said}Verdicts: {counts}.", (sheet("claims", marked, LEDGER, origins),))


def _has_headlines(claims: pd.DataFrame) -> bool:
    """Whether a row is marked and measured; a ledger of an earlier version has no column of marks."""
    return "headline" in claims and not headlines(claims).empty


def _tables(tables: Tables, origins: Origins) -> list[Section | None]:
    """A section for each table that the run has."""
    makers: Mapping[str, Callable[[pd.DataFrame, Origins], Section | None]] = {
        "claims": _ledger, "accuracy": _accuracy, "samples": _samples, "storage": _plain("Storage", STORAGE),
        "scaling": _plain("LLaMA-7B", SCALING), "kernels": _plain("Kernels", KERNELS),
        "decode": _plain("Decoding", DECODE), "fpga": _fpga, "coherence": _plain("Coherence", COHERENCE),
    }  # fmt: skip
    found = {name: table for name in makers if (table := tables.get(name)) is not None and not table.empty}
    return [makers[name](table, origins) for name, table in found.items()]


def _plain(title: str, columns: list[str]) -> Callable[[pd.DataFrame, Origins], Section]:
    """A section that is one sheet."""
    name = {"LLaMA-7B": "scaling", "Decoding": "decode"}.get(title, title.lower())
    return lambda table, origins: Section(name, title, sheets=(sheet(name, table, columns, origins),))


def _ledger(claims: pd.DataFrame, origins: Origins) -> Section | None:
    """The whole ledger, where the answer shows a part of it."""
    if not _has_headlines(claims):
        return None
    return Section("ledger", "Ledger of all claims", sheets=(sheet("claims", claims, LEDGER, origins),))


def _accuracy(table: pd.DataFrame, origins: Origins) -> Section:
    """Every design point in every mode, and on how many tokens it was measured."""
    first = table.iloc[0]
    note = (
        f"Perplexity on {int(first['tokens']):,} tokens of {first['dataset']}, in sequences of "
        f"{int(first['seqlen']):,}. KL is in nats from the dense model's distribution, top-1 is agreement with the "
        f"dense model's most likely token, both on {int(table['compared_tokens'].max()):,} of these tokens."
    )
    return Section("accuracy", "Accuracy", note, (sheet("accuracy", table, ACCURACY, origins),))


def _samples(table: pd.DataFrame, origins: Origins) -> Section:
    """The prompt, then what each design point writes after it."""
    prompt = " ".join(str(table["prompt"].iloc[0]).split())
    note = f"Greedy continuations of \u201c{prompt}\u201d by the C++ decoder, INT8 activations where compressed."
    said = (
        (str(row["design_id"]), " ".join(str(row["text"]).split()) + ("" if row["ended"] else " \u2026"))
        for row in table.to_dict("records")
    )
    return Section("samples", "Samples", note, quotations=tuple(said))


def _fpga(table: pd.DataFrame, origins: Origins) -> Section:
    """A sheet for each kind of measurement, with the columns that it fills."""
    stages = table["stage"].drop_duplicates()
    sheets = tuple(
        sheet("fpga", table[table["stage"] == stage], FPGA, origins, f"{FPGA_STAGES.get(stage, stage)}.")
        for stage in stages
    )
    return Section("fpga", "Accelerator", sheets=sheets)


def _machine(origins: Origins) -> Section | None:
    """Where numbers came from; nothing where no table says it."""
    runs = machines(origins)
    return Section("machine", "Machine and versions", sheets=(runs,)) if runs.rows else None


def _costs(jobs: pd.DataFrame) -> Section | None:
    """Time and memory, a stage and a job; nothing where Snakemake measured no job."""
    if jobs.empty:
        return None
    stages = stage_costs(jobs)
    note = f"{len(jobs)} jobs took {jobs['seconds'].sum() / 60:,.1f} minutes in all; jobs may run at the same time."
    return Section(
        "times", "Times", note, (_cost_sheet("One row: a stage.", stages), _cost_sheet("One row: a job.", jobs))
    )


def _cost_sheet(caption: str, table: pd.DataFrame) -> Sheet:
    rows = tuple(tuple(cell(row[name]) for name in table.columns) for row in table.to_dict("records"))
    return Sheet(caption, tuple(COST_HEADS[name] for name in table.columns), rows)
