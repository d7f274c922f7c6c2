"""The defaults of each generator: its rewards, parameters, adapters and training."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.rewards.sources import HUMAN_PREFERENCE
from hnbench.shapes.preference import PREFERENCE

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
    adapters: Mapping[str, str | Path] = field(default_factory=dict)
    """Kind of training (`"hypernoise"`, `"finetune"`, `"regression"`) -> adapter: a folder that
    comes with hnbench, or a name on the Hub.
    """
    trainings: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    """Name -> kind of training -> fields of the training's configuration that differ from its own
    defaults. The first is the default.
    """
    training_prompts: str = ""
    """The prompt set to train on; empty if the user has to give one."""
    suite: str = ""
    """The suite to try the generator on; empty if there is no default."""
    measures: tuple[str, ...] = ("lpips", "dino-similarity", "dino-vendi", "cmmd", "fd-dinov2")
    """The measures that `hnbench measure` applies to a run's images."""


_SHAPES_WEIGHTS = Path(str(files("hnbench"))) / "shapes" / "weights"

_SHAPES_TRAINING = {
    "steps": 1500,
    "batch_size": 32,
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "warmup_steps": 50,
    "schedule": "cosine",
    "rank": 5,
    "lora_alpha": 5.0,
}

_PUBLISHED: Mapping[str, Any] = {
    "optimised": HUMAN_PREFERENCE,
    "held_out": ("aesthetic",),
    "suite": "geneval",
    "training_prompts": "hypernoise",
}
"""The values that the published experiments share."""

_RENO_1024 = {"reno": {"learning_rate": 10.0}}
"""For images of 1024 pixels (arXiv 2406.04312); ReNO's own default, 5, is the one for 512."""


def _trainings(
    code: Mapping[str, Any], paper: Mapping[str, Any]
) -> dict[str, dict[str, dict[str, Any]]]:
    """The two published sets of values, for a hypernetwork and for the trainings that it is
    compared with, which have no regulariser: the published fine-tuning, and the regression, whose
    pairs have a noise each.

    The regulariser sums over a noise in the paper, and takes the mean in its code.
    """
    reductions = {"code": (code, "mean"), "paper": (paper, "sum")}
    return {
        name: {
            "hypernoise": {**values, "regulariser_reduction": reduction},
            "finetune": dict(values),
            "regression": {name: value for name, value in values.items() if name != "noise"},
        }
        for name, (values, reduction) in reductions.items()
    }


# From arXiv 2508.09968, Table 4, and from the scripts in ExplainableML/HyperNoise. docs/training.md
# has the tables, and how steps follow from epochs. A batch here is what the scripts put on one GPU;
# the batches of an optimizer step together are the published effective batch.
_ALL = {"rank": 128, "eval_every": 500, "save_every": 500}
_SGD = {
    **_ALL,
    "optimizer": "sgd",
    "learning_rate": 1e-3,
    "momentum": 0.9,
    "gradient_clip": 1.0,
    "lora_alpha": 256.0,
}

_SD_TURBO = _trainings(
    code={
        **_SGD,
        "gradient_clip": 10.0,
        "lora_alpha": 128.0,
        "batch_size": 3,
        "accumulation": 6,
        "steps": 97_625,
    },
    paper={**_SGD, "batch_size": 8, "accumulation": 6, "steps": 36_600},
)

_SANA = {
    **_SGD,
    "batch_size": 3,
    "accumulation": 18,
    "noise": "batch",
    "warmup_steps": 600,
    "dense_convolutions": True,
}
_SANA_SPRINT = _trainings(code={**_SANA, "steps": 39_030}, paper={**_SANA, "steps": 32_525})

_FLUX = {
    **_ALL,
    "optimizer": "adamw",
    "learning_rate": 2e-5,
    "weight_decay": 1e-4,
    "gradient_clip": 1.0,
    "batch_size": 1,
    "accumulation": 28,
    "noise": "batch",
    "warmup_steps": 700,
}
_FLUX_SCHNELL = _trainings(
    code={**_FLUX, "lora_alpha": 640.0, "steps": 75_300},
    paper={**_FLUX, "lora_alpha": 5.0, "steps": 62_750},
)

_DISTILLED_SDXL = (
    "sdxl-dmd2",
    "sdxl-dmd2-4step",
    "sdxl-lightning",
    "sdxl-hyper",
    "sdxl-hyper-lora",
    "sdxl-lcm",
    "sdxl-tcd",
)

PRESETS: Mapping[str, Preset] = {
    "shapes": Preset(
        optimised=PREFERENCE,
        held_out=("shapes-efficientnet", "redness"),
        parameters={"reno": {"learning_rate": 16.0}},
        adapters={
            "hypernoise": _SHAPES_WEIGHTS / "hypernoise",
            "finetune": _SHAPES_WEIGHTS / "finetune",
        },
        trainings={
            "shapes": {
                "hypernoise": {
                    **_SHAPES_TRAINING,
                    "steps": 12000,
                    "batch_size": 16,
                    "learning_rate": 7e-4,
                    "regulariser_reduction": "sum",
                    "regulariser_weight": 0.02,
                },
                "finetune": {
                    **_SHAPES_TRAINING,
                    "steps": 1200,
                    "learning_rate": 3e-4,
                    "image_penalty": 10.0,
                },
                # At a run's rate, ReNO goes as far as another noise is, which nothing can predict.
                "regression": {
                    **_SHAPES_TRAINING,
                    "steps": 500,
                    "pairs": 1024,
                    "reno_learning_rate": 2.0,
                },
            }
        },
        training_prompts="shapes",
        suite="geneval-shapes",
        measures=("shapes-similarity", "shapes-vendi", "shapes-mmd", "shapes-fd"),
    ),
    "sd-turbo": Preset(trainings=_SD_TURBO, **_PUBLISHED),
    "sdxl-turbo": Preset(**_PUBLISHED),
    **dict.fromkeys(_DISTILLED_SDXL, Preset(parameters=_RENO_1024, **_PUBLISHED)),
    "pixart-dmd": Preset(**_PUBLISHED),
    "sana-sprint-0.6b": Preset(
        parameters=_RENO_1024,
        adapters={"hypernoise": "lucaeyring/HyperNoise_Sana_Sprint_0.6B"},
        trainings=_SANA_SPRINT,
        **_PUBLISHED,
    ),
    "sana-sprint-1.6b": Preset(parameters=_RENO_1024, **_PUBLISHED),
    "flux-schnell": Preset(trainings=_FLUX_SCHNELL, **_PUBLISHED),
    "z-image-turbo": Preset(parameters=_RENO_1024, **_PUBLISHED),
    "flux2-klein": Preset(parameters=_RENO_1024, **_PUBLISHED),
    "sd3.5-large-turbo": Preset(parameters=_RENO_1024, **_PUBLISHED),
}


def preset_of(generator: str) -> Preset:
    """The preset of a generator; an empty one if there is none, for example for a generator of
    another package.
    """
    return PRESETS.get(generator, Preset())
