"""All of config.yaml: its blocks, and what they must agree on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from nmforge.config.accelerator import FpgaConfig
from nmforge.config.sections import (
    CalibrationConfig,
    CoherenceConfig,
    DecodeConfig,
    DesignConfig,
    EvaluationConfig,
    KernelsConfig,
    ModelConfig,
    ReportConfig,
    SampleConfig,
    TextConfig,
)
from nmforge.core.design import inherit_compression
from nmforge.core.design_rules import check_design
from nmforge.core.errors import NmforgeError
from nmforge.core.registry import registry
from nmforge.io.folders import DEFAULT_STUDY
from nmforge.io.settings import RegisteredName, Section, read_yaml, validated

REPORT = "report"  # the target that is neither a table nor a figure


class Config(Section):
    """All of config.yaml."""

    study: str = Field(
        DEFAULT_STUDY,
        pattern=r"^[a-z0-9][a-z0-9._-]*$",
        description="Name of the run; any but `default` has folders of its own: results/studies/NAME and so on.",
    )
    targets: list[str] = Field(
        [], description="What a run makes: names of tables and figures, and `report`; empty: everything."
    )
    model: ModelConfig
    text: TextConfig
    calibration: CalibrationConfig = CalibrationConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    index_encoding: Annotated[str, RegisteredName("index_encoding")] = Field(
        "enumerative", description="Format of masks."
    )
    designs: list[DesignConfig] = Field(min_length=1)
    kernels: KernelsConfig = KernelsConfig()
    decode: DecodeConfig = DecodeConfig()
    fpga: FpgaConfig = FpgaConfig()
    coherence: CoherenceConfig = CoherenceConfig()
    samples: SampleConfig = SampleConfig()
    report: ReportConfig = ReportConfig()

    @model_validator(mode="before")
    @classmethod
    def _recovered_points_inherit(cls, document: Any) -> Any:
        """Give a recovered design point the compression settings of its start."""
        blocks = document.get("designs") if isinstance(document, dict) else None
        if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
            return document
        by_id = {block.get("id"): block for block in blocks}
        return {**document, "designs": [inherit_compression(block, by_id) for block in blocks]}

    @model_validator(mode="after")
    def _targets_are_known(self) -> Config:
        known = [*registry("table").names(), *registry("figure").names(), REPORT]
        for name in self.targets:
            if name not in known:
                raise ValueError(f"targets names {name}; choose from {', '.join(known)}")
        return self

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Config:
        ids = [design.id for design in self.designs]
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        if repeated:
            raise ValueError(f"designs repeats the id {repeated[0]}")
        dense = sum(design.bits == 16 for design in self.designs)
        if dense != 1 or len(ids) == 1:
            raise ValueError(
                f"designs has {dense} points with bits 16 among {len(ids)}; keep one, and at least one other"
            )
        return self

    @model_validator(mode="after")
    def _named_designs_are_compressed(self) -> Config:
        named = [("fpga.netlists", name) for name in self.fpga.netlists]
        named += [("coherence.texts", text.design) for text in self.coherence.texts if text.design]
        compressed = {design.id for design in self.designs if design.bits != 16}
        for key, name in named:
            if name not in compressed:
                raise ValueError(f"{key} names {name}, which is no compressed point of designs; add it or remove it")
        return self

    def decoded_designs(self) -> list[str]:
        """Design points of the decode benchmark: those named, else the last of each pattern and bits."""
        if self.decode.designs:
            return [self.design(name).id for name in self.decode.designs]
        untrained = [d for d in self.designs if d.bits in (3, 4, 16) and not d.recovery]
        last = {(d.pattern, bool(d.dense_layers), d.bits): d.id for d in untrained}
        return list(last.values())

    def entries(self, design_id: str) -> dict[str, list[str]]:
        """The registry entries that make the artifact of a design point, by kind."""
        return {**self.design(design_id).entries(), "index_encoding": [self.index_encoding]}

    def design(self, design_id: str) -> DesignConfig:
        """The block of that id; raises NmforgeError that lists the known ones."""
        for design in self.designs:
            if design.id == design_id:
                return design
        known = ", ".join(design.id for design in self.designs)
        raise NmforgeError(f"design {design_id!r} is not in config.yaml; known are {known}")


def parse_config(document: Any, name: str) -> Config:
    """Validate a parsed config; raises NmforgeError with one sentence naming the key and the remedy."""
    config = validated(Config, document, name)
    for design in config.designs:
        try:
            check_design(design.point())
        except NmforgeError as error:
            raise NmforgeError(f"{name}: {error}") from error
    return config


def load_config(path: Path) -> Config:
    """Read and validate a YAML file."""
    document = read_yaml(path, "config", "run from the project's root or name one with --config")
    return parse_config(document, str(path))
