"""Every published generator, from an empty cache to a trained adapter and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from hnbench.catalogue import registry
from hnbench.runs.store import read_run
from tests.standin.conftest import Hnbench
from tests.standin.hub import StandInHub

pytestmark = pytest.mark.usefixtures("few_plots")

NAMES = [entry.name for entry in registry.GENERATORS.built_in if entry.name != "shapes"]
MULTIPLES = {"flux-schnell": 16, "z-image-turbo": 16, "flux2-klein": 16}
"""Pixels: their default size is the published one's, which these weights need not draw."""


def well(done: Result) -> Result:
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.parametrize("name", NAMES)
def test_it_is_fetched_run_trained_published_and_run_again(
    name: str,
    hub: StandInHub,
    hnbench: Hnbench,
    offline: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("prompts.txt").write_text("a red circle\ntwo stars\n")
    size = ["--image-size", str(MULTIPLES[name])] if name in MULTIPLES else []
    rewards = ["--optimise", "redness=1"]
    generator = ["--generator", name, *size]
    well(hnbench("fetch", "--generator", name, *rewards))
    downloaded = {
        line.rpartition("/")[2]
        for line in hub.asked
        if line.startswith("GET") and "/resolve/" in line
    }
    assert not downloaded & {
        "model.onnx",
        "flux1-schnell.safetensors",
        "sd3.5_large_turbo.safetensors",
        "flux-2-klein-4b.safetensors",
        "sd_turbo.safetensors",
        "LICENSE.md",
        "dmd2_sdxl_4step_unet.bin",
    }
    with monkeypatch.context() as patched:
        patched.setattr(
            "huggingface_hub.constants.HF_HUB_OFFLINE", True
        )  # what fetch had has to be enough
        method = [
            "--method",
            "random",
            "--method",
            "best-of-n:n=2",
            "--method",
            "reno:iterations=2",
        ]
        asked = [
            "run",
            "--suite",
            "prompts.txt",
            *generator,
            *rewards,
            *method,
            "--limit",
            "2",
            "--out",
            "run",
        ]
        well(hnbench(*asked))
        run = read_run("run")
        assert run.manifest["config"]["dtype"] == "bfloat16"
        assert {record.status for record in run.records} == {"done"}
        assert {record.label for record in run.records} == {"random", "best-of-2", "reno"}
        commits = run.manifest["generator"]["details"]
        assert all(
            len(commits[part].rpartition("@")[2]) == 40
            for part in commits
            if part in ("pipeline", "transformer", "unet", "lora", "scheduler")
        )
        training = [
            "train",
            *generator,
            *rewards,
            "--prompts",
            "prompts.txt",
            "--steps",
            "2",
            "--batch-size",
            "1",
            "--rank",
            "2",
        ]
        well(hnbench(*training, "--accumulation", "1", "--out", "training"))
    well(hnbench("push", "training/adapter", f"owner/{name}"))
    again = [
        "run",
        "--suite",
        "prompts.txt",
        *generator,
        *rewards,
        "--method",
        "hypernoise",
        "--hypernetwork",
        f"owner/{name}",
    ]
    well(hnbench(*again, "--limit", "1", "--out", "again", "--no-report"))
    assert {record.label for record in read_run("again").records} == {"random", "hypernoise"}


def test_any_unet_or_lora_is_fetched_with_its_base(
    hub: StandInHub, hnbench: Hnbench, offline: Callable[[], None]
) -> None:
    Path("prompts.txt").write_text("a red circle\n")
    base = "stabilityai/stable-diffusion-xl-base-1.0"
    place = f"{base}:lora=h1t/TCD-SDXL-LoRA/pytorch_lora_weights.safetensors,scheduler=tcd,eta=0.3"
    rewards = ["--optimise", "redness=1"]
    well(hnbench("fetch", "--generator", place, *rewards))
    asked = [line for line in hub.asked if line.startswith("GET") and "/resolve/" in line]
    assert any("h1t/TCD-SDXL-LoRA" in line for line in asked)
    assert not any(
        line.endswith(("LICENSE.md", "model.onnx", "base_1.0.safetensors")) for line in asked
    )
    well(hnbench("fetch", "--generator", "sdxl-tcd", *rewards))
    offline()
    images = []
    for name in (place, "sdxl-tcd"):
        out = "place" if name == place else "name"
        run = ["run", "--suite", "prompts.txt", "--generator", name, *rewards, "--limit", "1"]
        run += ["--dtype", "float32", "--steps", "4", "--method", "random", "--no-report"]
        plan = hnbench("plan", *run[1:7], "--limit", "1", "--dtype", "float32")
        assert plan.exit_code == 0, plan.output
        well(hnbench(*run, "--out", out))
        images.append(read_run(out).records[0])
    assert images[0].rewards["redness"] == images[1].rewards["redness"]
    generators = [json.loads(Path(out, "run.json").read_text()) for out in ("place", "name")]
    prints = {each["generator"]["fingerprint"] for each in generators}
    assert len(prints) == 1, "a name and the same place are the same generator"


def test_the_released_hypernetwork_is_its_generators_default(
    hub: StandInHub, hnbench: Hnbench, offline: Callable[[], None]
) -> None:
    Path("prompts.txt").write_text("a red circle\n")
    rewards = ["--optimise", "redness=1"]
    well(hnbench("fetch", "--generator", "sana-sprint-0.6b", *rewards))
    offline()
    asked = [
        "run",
        "--suite",
        "prompts.txt",
        "--generator",
        "sana-sprint-0.6b",
        *rewards,
        "--limit",
        "1",
        "--steps",
        "2",
        "--no-report",
    ]
    done = well(
        hnbench(
            *asked, "--out", "run", "--method", "hypernoise", "--method", "hypernoise-other-noise"
        )
    )
    assert "failed" not in done.stderr
    changes = {record.label: record.displacement for record in read_run("run").records}
    assert changes["random"] == 0
    assert changes["hypernoise"]
    assert any("HyperNoise_Sana_Sprint_0.6B" in line for line in hub.asked)


@pytest.mark.parametrize(
    ("name", "dtype"), [("sd-turbo", "float32"), *((name, "float16") for name in NAMES)]
)
def test_another_type_gives_finite_images(
    name: str, dtype: str, hub: StandInHub, hnbench: Hnbench
) -> None:
    del hub
    Path("prompts.txt").write_text("a red circle\n")
    size = ["--image-size", str(MULTIPLES[name])] if name in MULTIPLES else []
    asked = [
        "run",
        "--suite",
        "prompts.txt",
        "--generator",
        name,
        *size,
        "--dtype",
        dtype,
        "--optimise",
        "redness=1",
        "--limit",
        "1",
    ]
    well(hnbench(*asked, "--method", "random", "--out", "run", "--no-report"))
    details = json.loads(Path("run/run.json").read_text())["generator"]["details"]
    beside = {"sana-sprint-0.6b", "sana-sprint-1.6b", "sd3.5-large-turbo", *MULTIPLES}
    assert ("computes" in details) == (dtype == "float16" and name in beside)


@pytest.mark.parametrize("name", ["sd-turbo", "sana-sprint-0.6b", "flux-schnell"])
def test_the_default_prompts_of_a_training_can_be_had(
    name: str, published: StandInHub, hnbench: Hnbench
) -> None:
    size = ["--image-size", str(MULTIPLES[name])] if name in MULTIPLES else []
    small = ["--steps", "1", "--batch-size", "1", "--accumulation", "1", "--rank", "2"]
    well(
        hnbench(
            "train",
            "--generator",
            name,
            *size,
            "--optimise",
            "redness=1",
            *small,
            "--out",
            "training",
        )
    )
    assert (Path("training/adapter/prompts.sha256")).read_text().count("\n") > 20
    assert any("pickapic" in line for line in published.asked)
