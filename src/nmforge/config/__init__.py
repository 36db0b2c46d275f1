"""The models of config.yaml. Every key is known, typed and explained; `nmforge schema` exports them as JSON Schema."""

from nmforge.config.accelerator import FpgaConfig, ProofConfig, RandomLayerConfig, RouteConfig
from nmforge.config.document import Config, load_config, parse_config
from nmforge.config.sections import (
    CalibrationConfig,
    CoherenceConfig,
    DecodeConfig,
    DesignConfig,
    EvaluationConfig,
    KernelsConfig,
    ModelConfig,
    RecoveryConfig,
    ReportConfig,
    RtlTextConfig,
    SampleConfig,
    TextConfig,
)

__all__ = [
    "CalibrationConfig",
    "CoherenceConfig",
    "Config",
    "DecodeConfig",
    "DesignConfig",
    "EvaluationConfig",
    "FpgaConfig",
    "KernelsConfig",
    "ModelConfig",
    "ProofConfig",
    "RandomLayerConfig",
    "RecoveryConfig",
    "ReportConfig",
    "RouteConfig",
    "RtlTextConfig",
    "SampleConfig",
    "TextConfig",
    "load_config",
    "parse_config",
]
