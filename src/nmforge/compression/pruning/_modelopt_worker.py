"""Runs in `.venv-modelopt`, which has no nmforge: CHECKPOINT SEQUENCES THREADS OUT."""

from __future__ import annotations

import sys

import modelopt
import modelopt.torch.sparsity as mts
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM


def main() -> None:
    """Search 2:4 masks with SparseGPT as ModelOpt has it, its settings left alone, and save those of the blocks."""
    checkpoint, sequences, threads, out = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.set_flush_denormal(True)
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    batches = load_file(sequences)["sequences"].split(1)

    def feed(fed: torch.nn.Module) -> None:
        for batch in batches:
            fed(batch, use_cache=False)

    sparse = mts.sparsify(model, "sparsegpt", config={"forward_loop": feed, "verbose": False})
    masks = {
        name: module._weight_mask.contiguous()
        for name, module in sparse.named_modules()
        if name.startswith("model.layers.") and getattr(module, "_weight_mask", None) is not None
    }
    save_file(masks, out, {"modelopt": modelopt.__version__})


if __name__ == "__main__":
    main()
