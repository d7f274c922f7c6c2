"""What is done with a generator when nothing else is asked for: its rewards, parameters, adapters and training."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Preset:
    """The defaults of one generator."""

    optimised: Mapping[str, float] = field(default_factory=dict)
    """Reward name -> weight: what the methods optimise and the adapters were trained on."""
    held_out: tuple[str, ...] = ()
    """Rewards that are reported and never optimised."""
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Method name -> parameters that differ from the method's own defaults."""
    adapters: Mapping[str, Path] = field(default_factory=dict)
    """Kind of training (`"hypernoise"`, `"finetune"`) -> folder of the adapter that comes with hnbench."""
    training: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Kind of training -> fields of the training's configuration that differ from its own defaults."""
    training_prompts: str = ""
    """`"module:function"` that returns the prompts to train on, or empty when a file has to be given."""
    suite: str = ""
    """The suite that was made for the generator, if one was."""


_SHAPES_WEIGHTS = Path(str(files("hnbench"))) / "shapes" / "weights"

_SHAPES_TRAINING = {
    "steps": 1000,
    "batch_size": 16,
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "warmup_steps": 50,
    "schedule": "cosine",
    "rank": 8,
    "lora_alpha": 8.0,
}

_PRESETS = {
    "shapes": Preset(
        optimised={"shapes-clip": 1.0},
        held_out=("shapes-resnet", "redness"),
        parameters={"reno": {"learning_rate": 2.0}},
        adapters={"hypernoise": _SHAPES_WEIGHTS / "hypernoise", "finetune": _SHAPES_WEIGHTS / "finetune"},
        training={
            "hypernoise": {**_SHAPES_TRAINING, "regulariser_reduction": "sum", "regulariser_weight": 0.05},
            "finetune": {**_SHAPES_TRAINING, "learning_rate": 3e-4, "image_penalty": 10.0},
        },
        training_prompts="hnbench.shapes.captions:training_prompts",
        suite="geneval-shapes",
    ),
    # ReNO's rate for images of 1024 pixels; those of 512 have the method's own.
    "sana-sprint-0.6b": Preset(parameters={"reno": {"learning_rate": 10.0}}),
    "sana-sprint-1.6b": Preset(parameters={"reno": {"learning_rate": 10.0}}),
}


def preset_of(generator: str) -> Preset:
    """The preset of a generator; an empty one where there is none, for example for a generator of another package."""
    return _PRESETS.get(generator, Preset())
