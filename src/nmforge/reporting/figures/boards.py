"""LLaMA-7B modelled on FPGA boards: tokens per second in decode and in prefill; published designs are marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nmforge.core.lazy import mpl_ticker, pd
from nmforge.reporting.figures.registry import REGISTRY, Drawing
from nmforge.reporting.query import HEADLINE_CONTEXT, Tables
from nmforge.reporting.style import (
    COLUMN,
    INK,
    QUIET,
    bar_rows,
    blank,
    colour,
    foot,
    foot_height,
    series_name,
    tidy,
    unmeasured,
    write_value,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PREFILL = 128  # tokens at once
COLUMNS = ["board", "phase", "label", "series", "value", "bound", "kind", "reason", "source"]
TITLES = {"decode": "decode", "prefill": f"prefill of {PREFILL}"}
LEFT, GAP, RIGHT = 0.235, 0.065, 0.975  # of the figure's width
HEAD, STEP, BETWEEN, AXIS = 0.5, 0.145, 0.5, 0.24  # inches


def data(tables: Tables) -> pd.DataFrame:
    """One row per bar or mark: decode at a context of 512 tokens, prefill of 128, and published decode speeds.

    `kind` is `modelled` or `published`; a row without a value has the reason and is not drawn.
    """
    boards = tables["boards"]
    if boards.empty:
        return pd.DataFrame(columns=COLUMNS)
    published = boards["source"].str.startswith("published")
    decode = (boards["phase"] == "decode") & (boards["context"] == HEADLINE_CONTEXT)
    prefill = (boards["phase"] == "prefill") & (boards["m"] == PREFILL)
    rows = boards[published | decode | prefill]
    rows = rows.assign(value=rows["tokens_per_s"], kind=published.map({True: "published", False: "modelled"}))
    rows["series"] = [
        name if kind == "published" else series_name(pattern, int(bits))
        for name, kind, pattern, bits in zip(rows["name"], rows["kind"], rows["pattern"], rows["bits"], strict=True)
    ]
    rows["label"] = rows["series"]
    return rows.reset_index(drop=True)


def plot(rows: pd.DataFrame) -> Figure:
    """A row for each board, decode next to prefill, each with its own axis; the foot names boards without a value."""
    drawn = rows.dropna(subset=["value"])
    modelled = drawn[drawn["kind"] == "modelled"]
    if modelled.empty:
        return unmeasured(COLUMN, "FPGA boards: not measured here, no synthesized engine")
    boards = list(dict.fromkeys(modelled["board"]))
    labels = {board: list(dict.fromkeys(rows[rows["board"] == board]["label"])) for board in boards}
    text = _foot(rows, boards)
    under = foot_height(COLUMN, text)
    height = HEAD + sum(STEP * len(names) for names in labels.values()) + BETWEEN * (len(boards) - 1) + AXIS + under
    figure = blank(COLUMN, height)
    figure.text(0.012, 1 - 0.04 / height, "LLaMA-7B on FPGA boards, modelled", fontsize=8, fontweight="bold", va="top")
    top = height - HEAD
    for board in boards:
        tall = STEP * len(labels[board])
        _board(figure, rows[rows["board"] == board], labels[board], (top - tall) / height, tall / height)
        top -= tall + BETWEEN
    foot(figure, text, 0.05 / height)
    return figure


def _board(figure: Figure, rows: pd.DataFrame, labels: list[str], bottom: float, height: float) -> None:
    """The two panels of a board, its name above the left one. bottom and height: shares of the figure's height."""
    width = (RIGHT - LEFT - GAP) / 2
    first = rows[rows["kind"] == "modelled"].iloc[0]
    for i, phase in enumerate(TITLES):
        axes = figure.add_axes((LEFT + i * (width + GAP), bottom, width, height))
        _panel(axes, rows[rows["phase"] == phase], labels, named=i == 0)
        axes.set_title(TITLES[phase] + ", tokens/s", fontsize=7, fontweight="normal", color=QUIET, pad=2)
    y = bottom + height + 0.155 / figure.get_figheight()
    figure.text(0.012, y, first["board"], fontsize=7.5, fontweight="bold", va="bottom")
    figure.text(LEFT, y, f"{first['memory']}, {first['bandwidth_gb_s']:g} GB/s", fontsize=7, va="bottom")


def _panel(axes: Axes, rows: pd.DataFrame, labels: list[str], *, named: bool) -> None:
    """Bars and marks of one phase; words where a format has no value."""
    for row in rows.to_dict("records"):
        y, value = labels.index(row["label"]), row["value"]
        if pd.isna(value):
            style: dict[str, Any] = {"va": "center", "fontsize": 7, "color": QUIET}
            axes.annotate(_short(row["reason"]), (0, y), xytext=(3, 0), textcoords="offset points", **style)
            continue
        text = f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}"
        if row["kind"] == "published":
            axes.plot([value], [y], marker="D", markersize=4, color=INK, zorder=6)
            text = f" {text} published"
        else:
            hatch = "//////" if row["bound"] == "compute" else None
            axes.barh(y, value, height=0.7, color=colour(row["series"]), hatch=hatch, edgecolor="white", linewidth=0)
        write_value(axes, text, value, y)
    axes.set_xlim(0, 1.38 * (rows["value"].max() if rows["value"].notna().any() else 1.0))
    bar_rows(axes, labels, named=named, pad=0.45)
    axes.tick_params(axis="x", pad=1.5)
    axes.xaxis.set_major_locator(mpl_ticker.MaxNLocator(nbins=4))
    tidy(axes)


def _foot(rows: pd.DataFrame, boards: list[str]) -> str:
    """What the numbers are, the published designs, and the boards that hold no model."""
    modelled = rows[rows["kind"] == "modelled"].dropna(subset=["value"])
    clocks = sorted({f"{c:g} MHz {s}" for c, s in zip(modelled["clock_mhz"], modelled["clock_source"], strict=True)})
    low, high = 100 * modelled["efficiency"].min(), 100 * modelled["efficiency"].max()
    marks = rows[rows["kind"] == "published"]
    cited = "; ".join(source.removeprefix("published (").split(":")[0] for source in marks["source"])
    notes = modelled[modelled["note"].fillna("") != ""].drop_duplicates("board")
    about = "".join(f" {board}: {note}." for board, note in zip(notes["board"], notes["note"], strict=True))
    absent = [board for board in dict.fromkeys(rows["board"]) if board not in boards]
    return (
        f"Not measured: copies of synthesized engines in {100 * modelled['share'].iloc[0]:.0f} % of each chip, "
        f"{' or '.join(clocks)}, {low:.0f} to {high:.0f} % of the peak bandwidth. Linear layers; decode reads an FP16 "
        f"KV cache of {HEADLINE_CONTEXT} tokens. Plain bars wait for memory, hatched ones for multipliers."
        + about
        + (f" Diamonds: {cited}." if cited else "")
        + (f" LLaMA-7B does not run on {' and '.join(absent)}: {_why(rows, absent)}." if absent else "")
    )


def _short(reason: object) -> str:
    """A reason in the few words a panel has room for; the whole sentence is in the table."""
    return "does not fit" if "does not fit" in str(reason) else "no engine"


def _why(rows: pd.DataFrame, absent: list[str]) -> str:
    """What keeps boards out: their memory where that is the reason of every format, else the engines."""
    reasons = {_short(reason) for reason in rows[rows["board"].isin(absent)]["reason"].dropna()}
    return "too little memory" if reasons == {"does not fit"} else "no engine with resource counts and a clock"


SUMMARY = "LLaMA-7B modelled on FPGA boards, with published designs"
CAPTION = (
    "Decode speed that the accelerator's model gives on boards, and what published designs reached on them. "
    "The bars are modelled, not measured."
)
REGISTRY.add(Drawing("boards", SUMMARY, ("boards",), data, plot, order=90, caption=CAPTION))
