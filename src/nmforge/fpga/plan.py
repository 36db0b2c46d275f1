"""The points of the fpga table that a config asks for: the name of each, and the command that makes it.

A name is a file name, so `2:4` is spelled `2of4` in it. A command is a verb of `nmforge fpga` with its options.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern

if TYPE_CHECKING:
    from nmforge.config import Config, FpgaConfig, ProofConfig, RandomLayerConfig


BUILD = " --build build/fpga"


@dataclass(frozen=True)
class PlannedPoint:
    """verb: of `nmforge fpga`. options: all that it takes but --out. target: FPGA family, if it names one.

    boards: those whose memory channel it simulates.
    """

    verb: str
    options: str
    target: str | None = None
    boards: tuple[str, ...] = ()

    @property
    def code(self) -> tuple[str, dict[str, list[str]]]:
        """What the point depends on: its verb, and the FPGA family and the boards that take part."""
        return f"fpga {self.verb}", {"fpga_family": [self.target] if self.target else [], "board": list(self.boards)}


def planned_points(fpga: FpgaConfig) -> dict[str, PlannedPoint]:
    """Every point that needs no artifact, by name; raises NmforgeError where two points would have one name."""
    found: dict[str, PlannedPoint] = {}
    for name, point in (*_synthesized(fpga), *_routed(fpga), *_random(fpga), *_proved(fpga)):
        if name in found:
            raise NmforgeError(f"the fpga section of the config asks for {name} twice; put both into one entry")
        found[name] = point
    return found


def simulated_points(fpga: FpgaConfig) -> dict[str, str]:
    """The pattern that is simulated, by the name of its point."""
    return {f"rtl-{_spelled(pattern)}": pattern for pattern in fpga.patterns}


def simulated_design(config: Config, pattern: str) -> str:
    """The design point whose layer is simulated for a pattern; the engines drawn are INT4.

    Raises NmforgeError where no INT4 design point has the pattern.
    """
    wanted = Pattern.parse(pattern).label
    fitting = [
        d.id for d in config.designs if Pattern.parse(d.pattern).label == wanted and d.bits == 4 and d.group_size
    ]
    if not fitting:
        raise NmforgeError(
            f"fpga.patterns has {pattern}, but no INT4 design point has that pattern; add one or remove it"
        )
    return fitting[-1]


def _synthesized(fpga: FpgaConfig) -> Iterator[tuple[str, PlannedPoint]]:
    builds = [(window, 4) for window in fpga.builds] + [(1, bits) for bits in fpga.baseline_bits]
    for kind in ("gemm", "gemv"):
        for window, bits in builds:
            for target in fpga.targets:
                options = f"--engine {kind} --window {window} --bits {bits} --target {target}"
                yield (
                    f"synthesis-{kind}-{window}-int{bits}-{target}",
                    PlannedPoint("synthesize", options + BUILD, target),
                )


def _routed(fpga: FpgaConfig) -> Iterator[tuple[str, PlannedPoint]]:
    for route in fpga.routes:
        for window in route.builds:
            for seed in range(1, route.seeds + 1):
                array = f"--rows {route.rows} --cols {route.cols} --lanes {route.lanes}"
                options = f"--window {window} --bits {route.bits} {array} --seed {seed}"
                name = f"route-{window}-int{route.bits}-{route.rows}x{route.cols}x{route.lanes}-seed{seed}"
                yield name, PlannedPoint("place", options + BUILD)


def _random(fpga: FpgaConfig) -> Iterator[tuple[str, PlannedPoint]]:
    for layer in fpga.random_layers:
        for pattern in layer.patterns:
            sizes = f"{layer.m}x{layer.n}x{layer.k}-{layer.rows}x{layer.cols}x{layer.lanes}"
            name = f"random-{layer.engine}-{_spelled(pattern)}-int{layer.bits}-{sizes}"
            yield name, PlannedPoint("random", _random_options(layer, pattern) + BUILD, boards=tuple(layer.boards))


def _random_options(layer: RandomLayerConfig, pattern: str) -> str:
    sizes = ("bits", "m", "n", "k", "rows", "cols", "lanes")
    values = {
        "engine": layer.engine,
        "pattern": pattern,
        **{name: str(getattr(layer, name)) for name in sizes},
        "rates": " ".join(f"{rate:g}" for rate in layer.rates),
        "board": " ".join(layer.boards),
        "clock": f"{layer.clock_mhz:g}" if layer.clock_mhz else "",
    }
    switches = {"activity": layer.activity, "scale-sim": layer.scale_sim}
    named = [f"--{name} {value}" for name, value in values.items() if value]
    return " ".join([*named, *(f"--{name}" for name, wanted in switches.items() if wanted)])


def _proved(fpga: FpgaConfig) -> Iterator[tuple[str, PlannedPoint]]:
    for proof in fpga.proofs:
        for pattern in proof.patterns:
            window = proof.window or "own"
            name = f"formal-{proof.engine}-{_spelled(pattern)}-{window}-int{proof.bits}x{proof.lanes}"
            yield name, PlannedPoint("prove", _proof_options(proof, pattern))


def _proof_options(proof: ProofConfig, pattern: str) -> str:
    window = f" --window {proof.window}" if proof.window else ""
    return f"--engine {proof.engine} --pattern {pattern} --bits {proof.bits} --lanes {proof.lanes}{window}"


def _spelled(pattern: str) -> str:
    return pattern.replace(":", "of")
