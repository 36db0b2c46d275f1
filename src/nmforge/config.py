"""The models of config.yaml. Every key is known, typed and explained; `nmforge schema` exports them as JSON Schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, model_validator

from nmforge.core.design import NO_PRUNER, NO_QUANTIZER, DesignPoint, inherit_compression
from nmforge.core.design_rules import check_design
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.core.registry import registry
from nmforge.io.settings import PatternName, RegisteredName, Section, read_yaml, validated


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


class RouteConfig(Section):
    """Devices that are placed and routed: one array size, several builds and seeds."""

    rows: int = Field(4, gt=0, description="Rows of the array: output channels at once.")
    cols: int = Field(4, gt=0, description="Columns of the array: tokens at once.")
    lanes: int = Field(1, gt=0, description="Multipliers a PE.")
    builds: list[PositiveInt] = Field([1, 4], description="Windows of the builds.")
    bits: int = Field(4, ge=2, le=8, description="Bits of a weight code.")
    seeds: int = Field(1, gt=0, description="Seeds of the placer; the clock quoted is their median.")


class RandomLayerConfig(Section):
    """A random layer that is simulated whole, every sum compared."""

    engine: Literal["gemm", "gemv", "device"] = Field("gemm", description="What is simulated: a core, or a device.")
    patterns: list[PatternName] = Field(["1:1", "2:4", "1:4"], description="Each on the build for its windows.")
    bits: int = Field(4, ge=2, le=8, description="Bits of a weight code.")
    m: int = Field(8, gt=0, description="Tokens.")
    n: int = Field(64, gt=0, description="Output channels.")
    k: int = Field(2048, gt=0, description="Input channels.")
    rows: int = Field(4, gt=0, description="Rows of the array.")
    cols: int = Field(4, gt=0, description="Columns of the array.")
    lanes: int = Field(1, gt=0, description="Multipliers a PE.")
    rates: list[float] = Field([], description="Also with memories of these bytes a cycle; not with device.")
    boards: list[Annotated[str, RegisteredName("board")]] = Field(
        [], description="Also with a memory channel of these boards; not with device."
    )
    clock_mhz: float | None = Field(None, gt=0, description="Of the engine on a board; without it, the board's.")
    activity: bool = Field(False, description="Also count the toggles of every signal; not with device.")
    scale_sim: bool = Field(False, description="Also count the cycles with SCALE-Sim, which `make scalesim` installs.")


class ProofConfig(Section):
    """PEs that are proved to sum what a dense PE sums; one for each pattern."""

    patterns: list[PatternName] = Field(description="Patterns; each is a proof of its own.")
    window: int | None = Field(None, gt=0, description="Window of the PE; without it, the pattern's own.")
    bits: int = Field(4, ge=2, le=8, description="Bits of a weight code.")
    lanes: int = Field(1, gt=0, description="Multipliers of the PE.")
    engine: Literal["gemm", "gemv"] = Field("gemm", description="Core that the PE is of.")


class FpgaConfig(Section):
    """The simulated, synthesized and routed accelerator."""

    rows: int = Field(
        4, gt=0, description="Rows of the array that is simulated and synthesized: output channels at once."
    )
    cols: int = Field(4, gt=0, description="Columns of that array: tokens at once.")
    patterns: list[PatternName] = Field(
        ["1:1", "2:4", "1:4", "4:8"], description="Patterns that are simulated, each on the build for its windows."
    )
    builds: list[PositiveInt] = Field(
        [1, 4, 8], description="Windows of the builds that are synthesized: 1 is dense only, 8 runs any N:8 and below."
    )
    baseline_bits: list[int] = Field(
        [3], description="Bits of the dense-only builds that the INT4 builds are compared with."
    )
    routes: list[RouteConfig] = Field([RouteConfig()], description="What is placed and routed on the ECP5.")
    random_layers: list[RandomLayerConfig] = Field([], description="Layers of random weights, simulated whole.")
    proofs: list[ProofConfig] = Field([], description="PEs that are proved equal to a dense one, seconds each.")
    netlists: list[str] = Field(
        [], description="Design points whose first attention layer runs through the routed netlist; minutes each."
    )
    layer: str = Field("model.layers.0.mlp.down_proj", description="Layer the simulated tiles are cut from.")
    tile_rows: int = Field(64, gt=0, description="Rows of the layer that are simulated.")
    tokens: int = Field(8, gt=0, description="Tokens that are simulated.")
    targets: list[Annotated[str, RegisteredName("fpga_family")]] = Field(["ecp5", "xcup"], description="For synthesis.")


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


class Config(Section):
    """All of config.yaml."""

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
