"""Storage: how many times smaller than fp16 the linear layers are on disk, per format and index encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmforge.core.lazy import pd
from nmforge.reporting.figures.registry import REGISTRY, Drawing
from nmforge.reporting.paper import STORAGE
from nmforge.reporting.query import PAPER_DESIGN, Tables
from nmforge.reporting.style import (
    CLAIMED,
    COLUMN,
    INK,
    QUIET,
    bar_rows,
    blank,
    colours,
    foot,
    foot_height,
    measured,
    rank,
    reference_line,
    series_names,
    tidy,
    unmeasured,
    write_value,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ["label", "series", "times_smaller", "bits_per_weight", "whole_file"]
ENCODINGS = {"offset": "offsets", "enumerative": "ranks"}  # where a label differs from the encoding's name


def data(tables: Tables) -> pd.DataFrame:
    """One row per bar: format, encoding, bits per weight, and the factor against 16 bits.

    Design points that differ only in how weights were chosen take the same bytes; the first by name is drawn.
    The paper's point stores its zeros and has a bar of its own. `whole_file` is the factor of the whole
    model file, embeddings included.
    """
    storage = tables["storage"]
    if storage.empty:
        return pd.DataFrame(columns=COLUMNS)
    first = storage[storage["model"] == storage["model"].iloc[0]].copy()
    first["series"] = series_names(first)
    first["paper"] = first["design_id"] == PAPER_DESIGN
    first["times_smaller"] = 16 / first["bits_per_weight"]
    in_place = (first["encoding"] == "none") & ~first["series"].str.startswith("dense")
    drawn = first[(first["scope"] == "linear") & (in_place == first["paper"])]
    drawn = drawn.sort_values(["times_smaller", "design_id"], kind="stable")
    drawn = drawn.drop_duplicates(["series", "paper", "encoding"])
    whole = first[first["scope"] == "model"].rename(columns={"times_smaller": "whole_file"})
    drawn = drawn.merge(whole[["design_id", "encoding", "whole_file"]], on=["design_id", "encoding"], how="left")
    drawn["label"] = [_label(row) for _, row in drawn.iterrows()]
    drawn["rank"] = drawn["series"].map(rank)
    drawn = drawn.sort_values(["rank", "paper", "times_smaller"], ascending=[True, False, True], kind="stable")
    ranked: pd.DataFrame = drawn.drop(columns="rank").reset_index(drop=True)
    return ranked


def _label(row: pd.Series) -> str:
    """Name of a bar: the format, and of a sparse one how its indices are stored."""
    if row["series"].startswith("dense"):
        return str(row["series"])
    encoding = str(row["encoding"])
    return f"{PAPER_DESIGN}, in place" if row["paper"] else f"{row['series']}, {ENCODINGS.get(encoding, encoding)}"


def plot(rows: pd.DataFrame) -> Figure:
    """Horizontal bars from zero, the claimed factor as a line, the whole file as a diamond."""
    if rows.empty:
        return unmeasured(COLUMN, "storage: not measured here")
    model = rows["model"].iloc[0]
    text = f"Bytes on disk of {model}, codes, indices, scales and padding counted. {measured(rows)}."
    under = foot_height(COLUMN, text)
    height = 0.44 + 0.19 * len(rows) + 0.36 + under
    figure = blank(COLUMN, height)
    axes = figure.add_axes((0.37, (under + 0.36) / height, 0.58, 0.19 * len(rows) / height))
    axes.barh(range(len(rows)), rows["times_smaller"], height=0.66, color=colours(rows["series"]))
    axes.plot(
        rows["whole_file"], range(len(rows)), "D", markersize=3.2, markerfacecolor="white", markeredgecolor=INK,
        markeredgewidth=0.8, linestyle="none", label="whole file, embeddings in 16 bits",
    )  # fmt: skip
    for i, row in enumerate(rows.to_dict("records")):
        write_value(axes, f"{row['times_smaller']:.2f}x, {row['bits_per_weight']:.4g} b/w", row["times_smaller"], i)
    reference_line(axes, STORAGE, f"{STORAGE:g}x {CLAIMED}")
    axes.set_xlim(0, rows["times_smaller"].max() * 1.75)
    bar_rows(axes, list(rows["label"]))
    axes.set_xlabel("times smaller than fp16, linear layers", labelpad=2)
    tidy(axes)
    figure.legend(loc="upper left", bbox_to_anchor=(0.03, 1.0), handletextpad=0.2, borderpad=0.3, labelcolor=QUIET)
    foot(figure, text, 0.05 / height)
    return figure


SUMMARY = "bytes on disk of each design point and index encoding, against fp16"
CAPTION = (
    "How many times smaller than 16 bits the linear layers are on disk: 2:4 INT4 with ranks is the smallest "
    "format with two of four weights kept, and dense INT3 takes as many bytes as 2:4 INT4 with offsets. Diamonds "
    "count the whole file, whose embeddings stay in 16 bits."
)
REGISTRY.add(Drawing("storage", SUMMARY, ("storage",), data, plot, order=10, caption=CAPTION))
