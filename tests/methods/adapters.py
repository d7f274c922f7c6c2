"""Adapters of the toy generator, away from zero, and tasks to try them on."""

from __future__ import annotations

from pathlib import Path

import torch

from hnbench.hypernetwork.adapter import LoraAdapter, LoraSettings
from hnbench.hypernetwork.checkpoint import save_adapter
from hnbench.tasks import Task
from hnbench.testing.toys import ToyGenerator

TASKS = [Task("a/0", "a dog", 0), Task("a/0", "a dog", 1), Task("b/0", "a cat", 0)]


def adapter_folder(folder: Path, kind: str, seed: int = 7) -> Path:
    generator, draw = ToyGenerator(), torch.Generator().manual_seed(seed)
    adapter = LoraAdapter(generator.backbone, LoraSettings(rank=4, alpha=8))
    weights = {
        name: weight + 0.1 * torch.randn(weight.shape, generator=draw)
        for name, weight in adapter.state_dict().items()
    }
    adapter.load_state_dict(weights)
    trained = {
        "name": generator.name,
        "fingerprint": generator.fingerprint,
        "noise_shape": list(generator.noise_shape),
    }
    save_adapter(folder, adapter, generator.backbone, {"kind": kind, "generator": trained})
    return folder
