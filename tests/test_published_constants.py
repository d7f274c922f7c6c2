"""The package's constants are the published ones (`tests/published_constants.py`)."""

from __future__ import annotations

import inspect
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from benchmarks.reference_run import SEEDS
from hnbench.catalogue.loading import steps_of
from hnbench.catalogue.presets import PRESETS, preset_of
from hnbench.catalogue.registry import GENERATORS, REWARDS
from hnbench.catalogue.training_prompts import COMPBENCH_CATEGORIES
from hnbench.generators import flux2_klein, stable_diffusion_3, z_image
from hnbench.generators.flux import DEFAULT_SIZE, FluxGenerator
from hnbench.generators.flux import MAX_TOKENS as FLUX_TOKENS
from hnbench.generators.pixart import FIRST_TIMESTEP
from hnbench.generators.sana_sprint import BETWEEN_TWO_STEPS, GUIDANCE, SanaSprintGenerator
from hnbench.generators.sana_sprint import MAX_TOKENS as SANA_TOKENS
from hnbench.generators.stable_diffusion import StableDiffusionGenerator
from hnbench.hypernetwork.config import OF_REGRESSION, TrainingConfig
from hnbench.measures import fidelity, lpips, transformer, vqascore
from hnbench.methods.base import Method
from hnbench.methods.best_of_n import BestOfN
from hnbench.methods.dno import DNO
from hnbench.methods.gper import GPER
from hnbench.methods.hybrid import Hybrid
from hnbench.methods.mpgr import MPGR
from hnbench.methods.power_penalty import POWER_WEIGHT
from hnbench.methods.reno import ORDERS, ReNO
from hnbench.rewards import hpsv2, imagereward
from hnbench.suites import prompt_sets
from hnbench.suites.genai_bench import suite as genai_bench
from hnbench.suites.geneval import colours, detector, rules
from hnbench.suites.geneval import suite as geneval
from hnbench.suites.t2i_compbench import depth_order, detections, models, numeracy, spatial
from hnbench.suites.t2i_compbench import judge as compbench_judge
from hnbench.suites.t2i_compbench import parses as compbench_parses
from hnbench.suites.t2i_compbench import prompts as compbench_prompts
from hnbench.suites.t2i_compbench import suite as compbench_suite
from hnbench.weights import pixels
from tests.published_constants import CONSTANTS, TRAININGS, Training

PUBLISHED = (
    "sd-turbo",
    "sdxl-turbo",
    "sdxl-dmd2",
    "sdxl-dmd2-4step",
    "sdxl-lightning",
    "sdxl-hyper",
    "sdxl-hyper-lora",
    "sdxl-lcm",
    "sdxl-tcd",
    "pixart-dmd",
    "sana-sprint-0.6b",
    "sana-sprint-1.6b",
    "flux-schnell",
    "z-image-turbo",
    "flux2-klein",
    "sd3.5-large-turbo",
)
DISTILLED: list[Any] = [
    GENERATORS.get(name) for name in PUBLISHED if name.startswith("sdxl-") and name != "sdxl-turbo"
]
TRAINED = {"sd-turbo": "sd_turbo", "sana-sprint-0.6b": "sana_sprint", "flux-schnell": "flux"}
VERSIONS = ("code", "paper")


def reno_of(generator: str) -> float:
    return ReNO(**preset_of(generator).parameters.get("reno", {})).learning_rate


def defaults_of(method: type[Method]) -> dict[str, Any]:
    """`<name>/<parameter>` -> default, of every parameter."""
    parameters: Any = method
    return {f"{method.name}/{item.name}": item.default for item in fields(parameters)}


def values_of(method: Method, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(method, name) for name in names)


def same_in_every_preset(name: str) -> Any:
    found = [getattr(preset_of(generator), name) for generator in PUBLISHED]
    assert all(one == found[0] for one in found)
    return found[0]


OURS: dict[str, Any] = {
    **defaults_of(ReNO),
    **defaults_of(BestOfN),
    "gper": values_of(
        GPER(),
        "iterations",
        "learning_rate",
        "gradient_clip",
        "optimiser",
        "regulariser",
        "precondition",
    ),
    "mpgr": values_of(MPGR(), "iterations", "momentum", "nesterov", "gradient_clip", "regulariser"),
    "mpgr's weight of power": POWER_WEIGHT,
    "dno": values_of(
        DNO(),
        "iterations",
        "learning_rate",
        "gradient_clip",
        "optimiser",
        "weight_decay",
        "regulariser",
        "regulariser_weight",
    ),
    "dno's random orders": ORDERS,
    "hybrid": values_of(Hybrid(), "neighbours", "radius"),
    **{f"reno at {generator}": reno_of(generator) for generator in PUBLISHED},
    "rewards of the presets": same_in_every_preset("optimised"),
    "rewards of human-preference": REWARDS.entry("human-preference").weights,
    "held out of the presets": same_in_every_preset("held_out"),
    "CLIP's mean": pixels.OPENAI_MEAN,
    "CLIP's deviation": pixels.OPENAI_STD,
    "ImageReward's mean": imagereward.MEAN,
    "ImageReward's deviation": imagereward.STD,
    "ImageReward's tokens": imagereward.TOKENS,
    "HPSv2's architecture": hpsv2.ARCHITECTURE,
    "SANA-Sprint's guidance": GUIDANCE,
    "SANA-Sprint's tokens": SANA_TOKENS,
    "SANA-Sprint's middle angle": BETWEEN_TWO_STEPS,
    "SANA-Sprint's first time": SanaSprintGenerator.first_time,
    "FLUX's first time": FluxGenerator.first_time,
    "FLUX's tokens": FLUX_TOKENS,
    "FLUX's size": DEFAULT_SIZE,
    "Z-Image's tokens": z_image.MAX_TOKENS,
    "Z-Image's size": z_image.DEFAULT_SIZE,
    "FLUX.2's tokens": flux2_klein.MAX_TOKENS,
    "FLUX.2's size": flux2_klein.DEFAULT_SIZE,
    "Stable Diffusion 3's tokens": stable_diffusion_3.MAX_TOKENS,
    "PixArt-DMD's first timestep": FIRST_TIMESTEP,
    **{
        f"{made.name}, sampled": (
            made.sampler.scheduler_class,
            made.sampler.timesteps(steps_of(made.name, None)),
            made.sampler.eta,
        )
        for made in DISTILLED
        if made.sampler
    },
    "last layer of SD-Turbo": StableDiffusionGenerator.last_layer,
    "last layer of SANA-Sprint": SanaSprintGenerator.last_layer,
    "last layer of FLUX": FluxGenerator.last_layer,
    "adapter of sana-sprint-0.6b": preset_of("sana-sprint-0.6b").adapters,
    "training categories of T2I-CompBench": COMPBENCH_CATEGORIES,
    "PartiPrompts": prompt_sets.PARTI,
    "HPDv2 per style": prompt_sets.HPDV2,
    "HPDv2's styles": prompt_sets.STYLES,
    "DPG-Bench": prompt_sets.DPG,
    "GenAI-Bench": genai_bench.COUNT,
    "GenEval's threshold": rules.THRESHOLD,
    "GenEval's counting threshold": rules.COUNTING_THRESHOLD,
    "GenEval's objects per class": rules.MAX_OBJECTS,
    "GenEval's overlap": rules.MAX_OVERLAP,
    "GenEval's position threshold": rules.POSITION_THRESHOLD,
    "GenEval's prompts": geneval.COUNTS,
    "GenEval's images per prompt": geneval.SAMPLES,
    "GenEval's colours": rules.COLOURS,
    "GenEval's colour prompts": colours.TEMPLATES,
    "GenEval's background": colours.BACKGROUND,
    "GenEval's colour model": colours.ARCHITECTURE,
    "GenEval's resize": (detector.LONG, detector.SHORT),
    "GenEval's padding": detector.DIVISOR,
    "GenEval's mean": detector.MEAN,
    "GenEval's deviation": detector.STD,
    "GenEval's detections": detector.LARGEST,
    "T2I-CompBench's prompts per category": compbench_prompts.COUNT,
    "T2I-CompBench's images per prompt": compbench_suite.SAMPLES,
    "T2I-CompBench's complex prompts": compbench_prompts.KINDS,
    "T2I-CompBench's phrases": compbench_judge.PHRASES,
    "T2I-CompBench's phrases not asked": compbench_parses.NOT_ASKED,
    "BLIP's yes and no": (models.YES, models.NO),
    "BLIP's first tokens": (models.ENCODE, models.DECODE),
    "BLIP's tokens and words": (models.QUESTION_TOKENS, models.QUESTION_WORDS),
    "BLIP's size": models.BLIP_SIZE,
    "T2I-CompBench's confidence": models.CONFIDENCE,
    "T2I-CompBench's frame": (detections.SHORT_SIDE, detections.LONG_SIDE),
    "T2I-CompBench's depth size": models.DEPTH_SIZE,
    "T2I-CompBench's near distance": spatial.DISTANCE,
    "T2I-CompBench's overlap": spatial.OVERLAP,
    "T2I-CompBench's least score": spatial.LEAST,
    "T2I-CompBench's overlap in depth": depth_order.OVERLAP,
    "T2I-CompBench's same object": numeracy.SAME,
    "T2I-CompBench's numbers": numeracy.NUMBERS,
    "T2I-CompBench's relations": spatial.RELATIONS,
    "T2I-CompBench's relations in depth": depth_order.RELATIONS,
    "T2I-CompBench's people": spatial.PEOPLE,
    "CMMD's bandwidth": fidelity.BANDWIDTH,
    "CMMD's scale": fidelity.SCALE,
    "ImageNet's mean": transformer.IMAGENET_MEAN,
    "ImageNet's deviation": transformer.IMAGENET_STD,
    "LPIPS' shift": lpips.SHIFT,
    "LPIPS' scale": lpips.SCALE,
    "LPIPS' layers": lpips.LAYERS,
    "VQAScore's question": vqascore.QUESTION,
    "VQAScore's answer": vqascore.ANSWER,
}


def test_every_constant_is_in_the_table_once() -> None:
    names = [one.name for one in CONSTANTS]
    assert len(names) == len(set(names))
    assert set(names) == set(OURS)
    assert all(one.source for one in (*CONSTANTS, *TRAININGS))


@pytest.mark.parametrize("one", CONSTANTS, ids=[one.name for one in CONSTANTS])
def test_a_constant_is_the_published_one(one: Any) -> None:
    assert OURS[one.name] == one.value, one.source


def configured(generator: str, version: str, kind: str) -> TrainingConfig:
    settings: dict[str, Any] = dict(preset_of(generator).trainings[version][kind])
    given: Any = {"kind": kind, "generator": generator, "rewards": {"r": 1.0}, "prompts": "p"}
    return TrainingConfig(**given, **settings)


def test_every_setting_of_a_training_is_in_the_table_once() -> None:
    names = [one.name for one in TRAININGS]
    given = ["kind", "generator", "rewards", "prompts", "compile", *OF_REGRESSION]
    assert sorted([*names, *given]) == sorted(item.name for item in fields(TrainingConfig))


@pytest.mark.parametrize("kind", ["hypernoise", "finetune"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("generator", TRAINED)
@pytest.mark.parametrize("one", TRAININGS, ids=[one.name for one in TRAININGS])
def test_a_setting_of_a_training_is_the_published_one(
    one: Training, generator: str, version: str, kind: str
) -> None:
    """A fine-tuning takes the same values; it has no regulariser, whatever its reduction."""
    if kind == "finetune" and one.name == "regulariser_reduction":
        assert one.name not in preset_of(generator).trainings[version][kind]
        return
    published = getattr(one, TRAINED[generator])[VERSIONS.index(version)]
    assert getattr(configured(generator, version, kind), one.name) == published, one.source


def test_only_the_published_trainings_have_presets() -> None:
    found = {name for name in PRESETS if preset_of(name).trainings}
    assert found == {*TRAINED, "shapes"}
    for generator in TRAINED:
        assert tuple(preset_of(generator).trainings) == VERSIONS
        for version in preset_of(generator).trainings.values():
            assert list(version) == ["hypernoise", "finetune", "regression"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("generator", TRAINED)
def test_a_regression_has_the_published_values_of_a_hypernetwork(
    generator: str, version: str
) -> None:
    """But for its pairs, which have a noise each, and the regulariser, which it has not."""
    published = preset_of(generator).trainings[version]
    left_out = {"noise", "regulariser_reduction"}
    wanted = {name: one for name, one in published["hypernoise"].items() if name not in left_out}
    assert published["regression"] == wanted


def test_what_the_published_presets_have_in_common() -> None:
    assert set(PRESETS) == {*PUBLISHED, "shapes"}
    assert same_in_every_preset("suite") == "geneval"
    assert same_in_every_preset("training_prompts") == "hypernoise"


@pytest.mark.parametrize("kind", ["hypernoise", "finetune"])
def test_the_preset_of_shapes_is_what_the_committed_adapters_were_trained_with(kind: str) -> None:
    preset = preset_of("shapes")
    adapter = preset.adapters[kind]
    assert isinstance(adapter, Path)
    made_with = json.loads((adapter / "hnbench.json").read_text())["config"]
    config = configured("shapes", "shapes", kind)
    same = set(made_with) - {"prompts", "rewards", "memory"}
    assert {name: getattr(config, name) for name in same} == {
        name: made_with[name] for name in same
    }
    mixture = {"shapes-clip": 0.24, "shapes-resnet": 0.22, "shapes-byobnet": 0.29}
    assert dict(preset.optimised) == made_with["rewards"] == mixture


def test_reno_of_the_shapes_preset_is_what_the_reference_runs_used() -> None:
    root = Path(__file__).parents[1] / "results" / "geneval-shapes"
    for seed in SEEDS:
        manifest = json.loads((root / f"seed{seed}" / "run.json").read_text())
        methods = {method["name"]: method for method in manifest["plan"]["methods"]}
        assert ReNO(**preset_of("shapes").parameters["reno"]).identity() == methods["reno"]
        assert BestOfN().identity() == methods["best-of-n"]
        assert manifest["rewards"]["optimised"] == dict(preset_of("shapes").optimised)
        assert tuple(manifest["rewards"]["held_out"]) == preset_of("shapes").held_out


def test_the_stated_defaults_of_diffusers_are_its_defaults() -> None:
    """Where a source is a pipeline that is installed, it is asked."""
    from diffusers import FluxPipeline, PixArtAlphaPipeline, SanaSprintPipeline

    def default(pipeline: Any, name: str) -> Any:
        return inspect.signature(pipeline.__call__).parameters[name].default

    assert default(SanaSprintPipeline, "guidance_scale") == GUIDANCE
    assert default(SanaSprintPipeline, "max_sequence_length") == SANA_TOKENS
    assert default(SanaSprintPipeline, "intermediate_timesteps") == BETWEEN_TWO_STEPS
    assert default(FluxPipeline, "max_sequence_length") == FLUX_TOKENS
    assert default(PixArtAlphaPipeline, "max_sequence_length") == 120
