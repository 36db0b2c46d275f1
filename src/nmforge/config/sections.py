"""The blocks of config.yaml, that of the accelerator apart."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from nmforge.core.design import NO_PRUNER, NO_QUANTIZER, DesignPoint
from nmforge.core.formats import Pattern
from nmforge.core.registry import registry
from nmforge.io.settings import PatternName, RegisteredName, Section


class ModelConfig(Section):
    """Where the checkpoint comes from."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$", description="Folder name under results/artifacts.")
    source: str = Field(
        description="A known source (`nmforge list` names them), a local folder with safetensors, or a Hugging Face id."
    )
    revision: str | None = Field(None, description="Commit of a Hugging Face id.")
    blocks: int | None = Field(None, gt=0, le=32, description="Blocks, of a source that can have fewer; default: all.")


class TextConfig(Section):
    """Where calibration and evaluation text come from. The two never share a document."""

    source: str = Field(description="A known corpus (`nmforge list` names them), or a local UTF-8 text file.")
    revision: str | None = Field(None, description="Commit of a Hugging Face data set.")


class CalibrationConfig(Section):
    """Text that pruners and quantizers see."""

    tokens: int = Field(16384, gt=0, description="Tokens in all, rounded up to whole sequences.")
    seqlen: int = Field(2048, gt=1, description="Tokens of a sequence.")
    seed: int = Field(0, ge=0, description="Seed of the places in the text where sequences start.")
    memory_gb: float = Field(1.0, ge=0, description="Activations that take more go to files next to the artifact.")


class EvaluationConfig(Section):
    """How perplexity is measured."""

    sequences: int = Field(12, gt=0, description="Sequences evaluated, spread evenly over the text, if it has as many.")
    seqlen: int = Field(2048, gt=1, description="Tokens of a sequence.")
    stride: int = Field(2048, gt=0, description="Tokens between the starts of two sequences; a token is scored once.")
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="Type of everything but linear layers.")
    compare_every: int = Field(8, gt=0, description="KL and top-1 agreement use one position in this many.")
    layer_sequences: int = Field(2, gt=0, description="Sequences on which the error of every layer is measured.")


class RecoveryConfig(Section):
    """Training that follows compression, on calibration text: distillation from the dense model."""

    start: str = Field(description="Id of the design point whose artifact is trained; pattern and bits are its own.")
    scope: Literal["model", "block"] = Field(
        "model",
        description="What is held to the dense model: all predictions, or the outputs of one block after another.",
    )
    steps: int = Field(gt=0, description="With scope block, those of each block.")
    batch: int = Field(8, gt=0, description="Sequences in a step.")
    seqlen: int = Field(256, gt=1, description="Tokens of a sequence.")
    learning_rate: float = Field(2e-3, gt=0, description="Highest rate of the schedule.")
    hard_label_weight: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Weight of the text's own next token in the target; the dense model's prediction has the rest.",
    )
    self_generated: int = Field(0, ge=0, description="Sequences that the dense model generates, added to the text.")
    seed: int = Field(0, ge=0, description="Seed of the order of sequences.")
    save_every: int = Field(
        50, gt=0, description="Steps between saved states; with scope block every finished block is kept instead."
    )

    @model_validator(mode="after")
    def _blocks_learn_no_text(self) -> RecoveryConfig:
        if self.scope == "block" and (self.hard_label_weight or self.self_generated):
            raise ValueError("recovery.hard_label_weight and recovery.self_generated are for scope model; remove them")
        return self


class DesignConfig(Section):
    """One design point of the table."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", description="Name in tables, figures and files.")
    pattern: PatternName = Field("dense", description="N:M sparsity as keep:window, or dense.")
    pruner: Annotated[str, RegisteredName("pruner", extra=(NO_PRUNER,))] = Field(
        NO_PRUNER, description="How weights are chosen; none for a dense pattern."
    )
    quantizer: Annotated[str, RegisteredName("quantizer", extra=(NO_QUANTIZER,))] = Field(
        NO_QUANTIZER, description="How weights become codes and scales; none with bits 16."
    )
    bits: int = Field(16, description="Bits of a weight code, 2 to 8; 16 for the point that stays in bf16.")
    group_size: int = Field(64, ge=0, description="0 = one group per row.")
    target: Literal["layer", "dense"] = Field(
        "layer",
        description="Outputs that calibration holds a layer to: its own before compression, or the dense model's.",
    )
    transforms: list[Annotated[str, RegisteredName("transform")]] = Field(
        [], description="Changes of input channels that whatever writes them takes over; they cost nothing at run time."
    )
    dense_layers: list[str] = Field(
        [], description="Shell patterns of layer names; these layers keep every weight and are quantized only."
    )
    recovery: RecoveryConfig | None = Field(None, description="Train the artifact of another design point.")

    @property
    def reads_masks(self) -> bool:
        """Whether the pruner takes its masks from a file."""
        return self.pruner != NO_PRUNER and bool(registry("pruner").get(self.pruner).masks_from)

    def entries(self) -> dict[str, list[str]]:
        """The registry entries that compress this point, by kind."""
        named = {"pruner": self.pruner, "quantizer": self.quantizer}
        used = {kind: [] if name in (NO_PRUNER, NO_QUANTIZER) else [name] for kind, name in named.items()}
        return {**used, "transform": self.transforms}

    def point(self) -> DesignPoint:
        """The design point this block describes."""
        pattern = Pattern.parse(self.pattern)
        return DesignPoint(
            self.id, pattern, self.pruner, self.quantizer, self.bits, self.group_size, self.target,
            tuple(self.transforms), tuple(self.dense_layers),
        )  # fmt: skip


class KernelsConfig(Section):
    """The kernel benchmark on this machine."""

    m: list[int] = Field([1, 16, 128], description="Tokens that are multiplied at once.")
    shapes: list[tuple[int, int]] = Field([(4096, 4096)], description="(N, K) besides the model's own shapes.")
    model_shapes: bool = Field(True, description="Also measure the shapes of the model's own layers.")
    threads: list[PositiveInt] = Field([2], min_length=1, description="Each point is measured with each number.")
    names: list[Annotated[str, RegisteredName("kernel")]] = Field(
        [], description="Kernels to measure; empty: those measured by default, all of them with `libraries`."
    )
    libraries: bool = Field(
        False, description="Measure all kernels, those of the libraries that `make libraries` installs included."
    )
    llama7b: bool = Field(True, description="Also measure LLaMA-7B's shapes; the scaling table needs them.")
    seconds_per_kernel: float = Field(0.4, gt=0, description="Time budget of one kernel at one shape.")
    records: list[str] = Field([], description="Point files of other machines, added to the rows of this one.")


class DecodeConfig(Section):
    """Decoding one token after another on this machine."""

    designs: list[str] = Field([], description="Those that are decoded; empty: the last of each pattern and bits.")
    contexts: list[PositiveInt] = Field([32, 512], description="Tokens in the cache while one more is decoded.")
    seconds: float = Field(1.0, gt=0, description="Time budget of one candidate at one context.")
    llama7b: list[str] = Field([], description="Formats of a random LLaMA-7B that are decoded as well; gigabytes.")
    llama7b_contexts: list[PositiveInt] = Field([32, 512, 2048], description="`contexts` of LLaMA-7B.")


class SampleConfig(Section):
    """The text that every design point continues."""

    prompt: str = Field(
        "The city lies on both banks of the river and was founded", min_length=1, description="Text to continue."
    )
    tokens: int = Field(48, gt=0, description="Most tokens that are generated.")


class RtlTextConfig(Section):
    """A text whose every linear layer, of every token, is computed in RTL simulation and compared."""

    design: str | None = Field(None, description="Id of a compressed design point; without it, the last one.")
    prompt: str = Field(min_length=1, description="Text to continue.")
    tokens: int = Field(8, gt=0, description="Tokens to generate.")


class CoherenceConfig(Section):
    """What is compared bit for bit: some layers of every design point, and whole texts of some."""

    layers: int = Field(2, gt=0, description="Layers per design point, spread over depth.")
    tokens: int = Field(8, gt=0, description="Tokens that each layer is given.")
    rtl_rows: int = Field(16, gt=0, description="Rows of each layer that the RTL simulation computes.")
    texts: list[RtlTextConfig] = Field([], description="A minute or two for eight tokens of a small model.")


class ReportConfig(Section):
    """What is drawn and asked once the tables are there."""

    figures: list[Annotated[str, RegisteredName("figure")]] = Field([], description="Figures; empty: all.")
    claims: list[Annotated[str, RegisteredName("claim")]] = Field([], description="Claims of the ledger; empty: all.")
