"""Which pruners, quantizers and transforms go together, decided by what their entries say of themselves.

No name of an entry is used here. The rules look entries up in the registries, so that a config is refused when it is
read, although the entries themselves are in packages above the config.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nmforge.core.design import NO_PRUNER, NO_QUANTIZER, DesignPoint
from nmforge.core.errors import NmforgeError
from nmforge.core.registry import Entry, registry


class PrunerTraits(Entry, Protocol):
    """What the rules ask of a pruner; see `compression.pruning.registry.Pruner`."""

    @property
    def calibrated(self) -> bool:
        """It reads calibration text."""

    @property
    def joint(self) -> bool:
        """It leaves the mask to the quantizer."""

    @property
    def reads_magnitude(self) -> bool:
        """It compares magnitudes across input channels."""

    @property
    def permutable(self) -> bool:
        """Inputs may have been reordered."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """The only patterns it has, all if empty."""


class QuantizerTraits(Entry, Protocol):
    """What the rules ask of a quantizer; see `compression.quantization.registry.Quantizer`."""

    @property
    def calibrated(self) -> bool:
        """It reads calibration text."""

    @property
    def chooses_masks(self) -> bool:
        """It chooses the mask for a joint pruner."""

    @property
    def reads_magnitude(self) -> bool:
        """It compares magnitudes across input channels."""


class TransformTraits(Entry, Protocol):
    """What the rules ask of a transform; see `compression.transforms.registry.Transform`."""

    @property
    def reorders(self) -> bool:
        """Input channels change places."""

    @property
    def scales(self) -> bool:
        """Input channels change magnitude."""

    @property
    def needs_sparse(self) -> bool:
        """It does nothing for a dense pattern."""


@dataclass(frozen=True)
class DesignEntries:
    """The entries a design point names; no pruner for a dense pattern."""

    pruner: PrunerTraits | None
    quantizer: QuantizerTraits
    transforms: Sequence[TransformTraits]


def entries_of(point: DesignPoint) -> DesignEntries:
    """The entries; raises NmforgeError that lists the known ones where the point names another."""
    key = f"design {point.id}"
    pruner = None if point.pruner == NO_PRUNER else registry("pruner").get(point.pruner, key)
    transforms = [registry("transform").get(name, key) for name in point.transforms]
    return DesignEntries(pruner, registry("quantizer").get(point.quantizer, key), transforms)


def is_calibrated(point: DesignPoint) -> bool:
    """Whether the point needs calibration text; every transform does, the uncompressed point does not."""
    if point.is_dense_bf16:
        return False
    entries = entries_of(point)
    calibrated_pruner = entries.pruner is not None and entries.pruner.calibrated
    return calibrated_pruner or entries.quantizer.calibrated or bool(entries.transforms)


def check_design(point: DesignPoint) -> None:
    """Raise NmforgeError on an unknown or impossible combination of pruner, quantizer and transforms."""
    if point.is_dense_bf16:
        if not point.pattern.is_dense or point.pruner != NO_PRUNER or point.quantizer != NO_QUANTIZER:
            raise NmforgeError(
                f"design {point.id}: bits 16 leaves every weight in bf16; set bits 2..8, or remove pattern, pruner and "
                "quantizer"
            )
        return
    try:
        point.scheme  # noqa: B018  # raises
    except NmforgeError as error:
        raise NmforgeError(f"design {point.id}: {error}") from error
    entries = entries_of(point)
    for rule in (_pattern_rules, _pruner_rules, _transform_rules):
        for sentence in rule(point, entries):
            raise NmforgeError(f"design {point.id}: {sentence}")


Rule = Callable[[DesignPoint, DesignEntries], Iterator[str]]


def _pattern_rules(point: DesignPoint, entries: DesignEntries) -> Iterator[str]:
    if (entries.pruner is None) != point.pattern.is_dense:
        yield (
            f"pattern {point.pattern} and pruner {point.pruner} disagree; a dense pattern goes with pruner none, "
            "any other with a pruner"
        )
    if point.target == "dense" and not is_calibrated(point):
        yield (
            f"target dense needs calibration text, which pruner {point.pruner} and quantizer {point.quantizer} do not "
            f"read; set quantizer {_names('quantizer', lambda entry: entry.calibrated)}, or remove target"
        )
    if point.dense_layers and point.pattern.is_dense:
        yield "dense_layers needs a sparse pattern; set one, or remove dense_layers"


def _pruner_rules(point: DesignPoint, entries: DesignEntries) -> Iterator[str]:
    pruner = entries.pruner
    if pruner is None:
        return
    if pruner.patterns and str(point.pattern) not in pruner.patterns:
        yield f"pruner {pruner.name} has no masks of {point.pattern}; set pattern {' or '.join(pruner.patterns)}"
    if pruner.joint and not entries.quantizer.chooses_masks:
        able = _names("quantizer", lambda entry: entry.chooses_masks)
        yield f"pruner {pruner.name} leaves the mask to the quantizer; set quantizer {able}"
    if pruner.joint and point.group_size % point.pattern.window:
        yield (
            f"pattern {point.pattern} does not divide group_size {point.group_size}; "
            f"choose a multiple of {point.pattern.window}"
        )


def _transform_rules(point: DesignPoint, entries: DesignEntries) -> Iterator[str]:
    pruner, quantizer = entries.pruner, entries.quantizer
    if len(set(point.transforms)) < len(point.transforms):
        twice = next(name for name in point.transforms if point.transforms.count(name) > 1)
        yield f"transforms names {twice} twice; name it once"
    for transform in entries.transforms:
        remedy = f"or remove {transform.name} from transforms"
        if transform.needs_sparse and point.pattern.is_dense:
            yield f"transform {transform.name} needs a sparse pattern; set one, {remedy}"
        if transform.reorders and pruner is not None and not pruner.permutable:
            others = _names("pruner", lambda entry: entry.permutable)
            yield f"pruner {pruner.name} takes inputs in their own order; set pruner {others}, {remedy}"
        if transform.scales and (quantizer.reads_magnitude or (pruner is not None and pruner.reads_magnitude)):
            pruners, quantizers = (
                _names(kind, lambda entry: not entry.reads_magnitude) for kind in ("pruner", "quantizer")
            )
            yield (
                f"transform {transform.name} changes the magnitudes that pruner {point.pruner} and quantizer "
                f"{point.quantizer} compare; set pruner none, {pruners} and quantizer {quantizers}, {remedy}"
            )


def _names(kind: str, wanted: Callable[[Any], bool]) -> str:
    """The entries of a kind that a remedy can offer."""
    return " or ".join(entry.name for entry in registry(kind) if wanted(entry))
