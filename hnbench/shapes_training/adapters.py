"""Stage 6: the hypernetwork and the fine-tuned baseline, trained as by `hnbench train`, then
rounded to float16.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hnbench.catalogue.presets import preset_of
from hnbench.hypernetwork.checkpoint import WEIGHTS, describe_adapter
from hnbench.hypernetwork.config import TrainingConfig
from hnbench.hypernetwork.trainer import Trainer
from hnbench.shapes.captions import training_prompts
from hnbench.shapes.models import load_generator, load_preference

if TYPE_CHECKING:
    from pathlib import Path


def train(kind: str, out: Path, device: str) -> dict[str, float]:
    """Train one adapter (`"hypernoise"` or `"finetune"`) on the models in `out` with the
    preset's configuration.

    The training's folder is `out/<kind>-training`; an interrupted training continues there. The
    result is `out/<kind>`. Returns the adapter's gain in the reward.
    """
    preset = preset_of("shapes")
    config = TrainingConfig(
        kind=kind,  # type: ignore[arg-type]  # the configuration checks it
        generator="shapes",
        rewards=dict(preset.optimised),
        prompts=preset.training_prompts,
        **preset.trainings["shapes"][kind],
    )
    generator = load_generator(device=device, dtype="float32", weights=out)
    reward = load_preference(device=device, dtype="float32", weights=out)
    adapter = Trainer(
        config, generator, reward, training_prompts(), out / f"{kind}-training"
    ).train()
    halve(adapter, out / kind)
    return {"gain": describe_adapter(out / kind)["evaluation"]["gain"]}


def halve(adapter: Path, target: Path) -> None:
    """Copy an adapter's folder with its weights rounded to float16."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(adapter, target)
    # `load_file` reads no metadata, so they are read here and written again.
    with safe_open(target / WEIGHTS, framework="pt") as file:
        metadata = file.metadata()
    save_file(
        {name: tensor.half() for name, tensor in load_file(target / WEIGHTS).items()},
        target / WEIGHTS,
        metadata=metadata,
    )
