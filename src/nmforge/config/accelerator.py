"""The block `fpga` of config.yaml: what is simulated, synthesized, routed and proved."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from nmforge.io.settings import PatternName, RegisteredName, Section


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
