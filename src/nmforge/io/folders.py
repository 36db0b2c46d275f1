"""Where a study keeps what it makes. The default study has the top folders, any other a folder of its own in each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_STUDY = "default"


@dataclass(frozen=True)
class Folders:
    """The folders of one study, relative to the working directory."""

    results: Path
    figures: Path
    logs: Path

    @property
    def tables(self) -> Path:
        """One Parquet and one CSV file a table."""
        return self.results / "tables"

    @property
    def benchmarks(self) -> Path:
        """What Snakemake measured of every job: seconds, memory, processor time."""
        return self.logs / "benchmarks"

    def checkpoint(self, model: str) -> Path:
        """The folder of the dense model."""
        return self.results / "checkpoints" / model

    def tokens(self, model: str) -> Path:
        """The tokenized text."""
        return self.results / "tokens" / f"{model}.safetensors"

    def dense_hidden(self, model: str) -> Path:
        """Hidden states of the dense model on the evaluation text."""
        return self.results / "cache" / f"{model}-dense_hidden.safetensors"


def study_folders(study: str) -> Folders:
    """The folders of a study of that name."""
    top = Folders(Path("results"), Path("paper_figures"), Path("logs"))
    if study == DEFAULT_STUDY:
        return top
    return Folders(*(folder / "studies" / study for folder in (top.results, top.figures, top.logs)))
