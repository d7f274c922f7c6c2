"""Fine-tuned checkpoints of other programs as rows of a run of shapes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from torch import Tensor

import hnbench
from hnbench.api.finetuned import adapters_with, finetuned_sources, rows_of
from hnbench.api.operations import operations_of_run
from hnbench.catalogue.loading import find_adapter
from hnbench.catalogue.presets import PRESETS
from hnbench.errors import UsageError
from hnbench.hypernetwork.foreign import recognise
from hnbench.methods.finetune import FineTuned
from hnbench.methods.random import Random
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from hnbench.weights.quiet import quiet_loading
from tests.api.test_operations import arranged
from tests.hypernetwork.rivals import change, save_by_diffusers, save_peft
from tests.tiny import unet

EMBEDDED = Path(hnbench.__file__).parent / "shapes" / "weights"
PROMPT = "a red circle"
ROWS = {
    "finetune:adapter=one-lora": "peft LoRA",
    "finetune:adapter=another-lora": "diffusers LoRA",
    "whole": "pipeline",
    "net": "network",
}


def embedded() -> Any:
    with quiet_loading():
        pipeline: Any = DiffusionPipeline.from_pretrained(
            EMBEDDED / "generator", dtype=torch.float32
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of each form for shapes."""
    root = tmp_path_factory.mktemp("rivals")
    save_peft(root / "one-lora", embedded().unet)
    save_by_diffusers(root / "another-lora", embedded(), "unet")
    pipeline = embedded()
    change(pipeline.unet, names="weight", by=0.01)
    pipeline.unet.save_pretrained(root / "net")
    change(pipeline.text_encoder, names="weight", by=0.05)
    pipeline.save_pretrained(root / "whole")
    return root


def sources(saved: Path) -> list[str]:
    return [
        str(saved / "one-lora"),
        str(saved / "another-lora"),
        f"whole={saved / 'whole'}",
        f"net={saved / 'net'}",
    ]


@pytest.fixture(scope="module")
def run(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> hnbench.FinishedRun:
    return hnbench.run(
        "geneval-shapes",
        method=["finetune", "hypernoise"],
        finetuned=sources(saved),
        limit=2,
        out=tmp_path_factory.mktemp("run") / "run",
        device="cpu",
        progress=False,
    )


def test_adapters_are_those_given_and_else_the_presets(saved: Path) -> None:
    preset = PRESETS["shapes"]
    own = str(preset.adapters["hypernoise"])
    found = adapters_with(
        preset, finetuned_sources(sources(saved)), hypernetwork=own, amortised=None
    )
    assert found == {
        **preset.adapters,
        "hypernoise": find_adapter(own, "hypernoise"),
        "finetune": saved / "one-lora",
    }
    assert adapters_with(preset, (), hypernetwork=None, amortised=None) == preset.adapters


def test_every_checkpoint_is_a_row(run: hnbench.FinishedRun, saved: Path) -> None:
    manifest = json.loads((run.folder / "run.json").read_text())
    plan = manifest["plan"]
    assert plan["labels"] == ["random", *ROWS, "hypernoise"]
    found = {label: plan["methods"][plan["method_of"][label]] for label in ROWS}
    places = (saved / name for name in ("one-lora", "another-lora", "whole", "net"))
    assert found == {
        label: {"name": "finetune", "adapter": recognise(place).fingerprint}
        for label, place in zip(ROWS, places, strict=True)
    }
    assert {label: manifest["training"][label] for label in ROWS} == {
        label: {"checkpoint": form, "seen_prompts": None} for label, form in ROWS.items()
    }
    assert run.run_failed == 0


def test_all_begin_from_the_same_noise_at_the_cost_of_one_pass(run: hnbench.FinishedRun) -> None:
    records = [record for record in run.records if record.status == "done"]
    by_label = {
        label: [one for one in records if one.label == label] for label in ("random", *ROWS)
    }
    for found in by_label.values():
        assert [(one.prompt_id, one.sample) for one in found] == [
            (one.prompt_id, one.sample) for one in by_label["random"]
        ]
        for one in found:
            assert one.cost.generator_forward == 1
            assert one.cost.reward_forward == one.cost.generator_backward == 0
    flops = {label: {one.cost.flops for one in found} for label, found in by_label.items()}
    assert len(flops["random"]) == 1
    assert flops["whole"] == flops["net"] == flops["random"], "no encoding is counted"
    # A LoRA of rank 4 on top of the same layers: a little more work.
    (base,), (lora,) = flops["random"], flops["finetune:adapter=one-lora"]
    assert base is not None
    assert lora is not None
    assert base < lora < 1.1 * base


def test_the_report_says_that_nothing_is_known_of_their_training(
    run: hnbench.FinishedRun,
) -> None:
    text = hnbench.report(run.folder, progress=False).path.read_text()
    manifest = json.loads((run.folder / "run.json").read_text())["plan"]
    for name, label in (
        ("direct fine-tuning (adapter=one-lora)", "finetune:adapter=one-lora"),
        ("whole", "whole"),
    ):
        sha256 = manifest["methods"][manifest["method_of"][label]]["adapter"]
        assert (
            f"{name} is a checkpoint of another program ({ROWS[label]}, SHA-256 {sha256[:8]}):"
            " hnbench does not know what it was trained on, nor what that cost."
        ) in text
    assert "HyperNoise is a checkpoint" not in text


def test_a_finished_run_is_not_made_again_unless_a_checkpoint_changed(
    saved: Path, tmp_path: Path
) -> None:
    own = tmp_path / "rivals"
    shutil.copytree(saved, own)
    asked: dict[str, Any] = {
        "method": "finetune",
        "finetuned": own / "net",
        "limit": 2,
        "out": tmp_path / "run",
        "device": "cpu",
        "progress": False,
    }
    assert hnbench.run("geneval-shapes", **asked).new > 0
    assert hnbench.run("geneval-shapes", **asked).new == 0
    shutil.rmtree(own / "net")
    shutil.copytree(saved / "whole" / "unet", own / "net")
    assert hnbench.run("geneval-shapes", **asked).new == 0, "the same weights elsewhere"
    shutil.rmtree(own / "net")
    shutil.copytree(saved / "one-lora", own / "net")
    assert hnbench.run("geneval-shapes", **asked).new > 0


def stock(pipeline: Any, noise: Tensor) -> Tensor:
    images: Tensor = pipeline(
        [PROMPT], latents=noise, num_inference_steps=1, guidance_scale=0.0, output_type="pt"
    ).images[0]
    return images


def test_the_images_are_the_stock_pipelines(saved: Path) -> None:
    made = hnbench.generate(
        PROMPT,
        method=["random", "finetune"],
        finetuned=sources(saved),
        device="cpu",
        progress=False,
    )
    shown = {one.label: torch.from_numpy(np.array(one.image)) for one in made.images}
    base = embedded()
    shape = (base.unet.config.in_channels, *(base.unet.config.sample_size,) * 2)
    noise = NoiseSource(0, shape).batch([Task(PROMPT, PROMPT, 0)])
    with quiet_loading():
        whole: Any = DiffusionPipeline.from_pretrained(saved / "whole", dtype=torch.float32)
        whole.set_progress_bar_config(disable=True)
        lora = embedded()
        lora.load_lora_weights(saved / "another-lora")
        net = embedded()
        net.unet = type(net.unet).from_pretrained(saved / "net", dtype=torch.float32)
    for label, pipeline in (
        ("random", base),
        ("whole", whole),
        ("finetune:adapter=another-lora", lora),
        ("net", net),
    ):
        expected = stock(pipeline, noise) * 255
        found = shown[label].permute(2, 0, 1)
        assert (found - expected).abs().max() <= 0.51, label
        assert label == "random" or not torch.equal(shown[label], shown["random"])


def test_a_wrong_checkpoint_is_refused_before_a_folder_is_made(saved: Path, tmp_path: Path) -> None:
    save_peft(tmp_path / "wrong", unet())
    with pytest.raises(UsageError, match=r"the backbone of 'shapes', a UNet2DConditionModel: .*"):
        hnbench.run(
            "geneval-shapes",
            method="finetune",
            finetuned=tmp_path / "wrong",
            limit=2,
            out=tmp_path / "run",
            device="cpu",
            progress=False,
        )
    assert not (tmp_path / "run").exists()


def test_operations_are_known_in_advance_where_the_network_is_the_same(saved: Path) -> None:
    asked = arranged()
    net, whole, lora = (FineTuned(adapter=saved / name) for name in ("net", "whole", "one-lora"))
    known = operations_of_run(asked, [net, Random()]).per_task
    assert known["finetune"] == known["random"] > 0
    assert "own pipeline" in operations_of_run(asked, [whole]).unknown["finetune"]
    assert "another rank" in operations_of_run(asked, [lora]).unknown["finetune"]


def test_sources_and_their_names(saved: Path) -> None:
    lora, net = saved / "one-lora", saved / "net"
    assert finetuned_sources(None) == ()
    single = finetuned_sources(str(lora))
    assert [(one.place, one.label) for one in single] == [(lora, None)]
    assert rows_of(["random", "finetune"], single) == ("random", "finetune")
    named = finetuned_sources([f"a rival={lora}", net])
    assert [(one.place, one.label) for one in named] == [(lora, "a rival"), (net, None)]
    assert rows_of(["finetune", "reno"], named) == (
        f"a rival=finetune:adapter={lora}",
        f"finetune:adapter={net}",
        "reno",
    )
    with pytest.raises(UsageError, match="not among the methods; add `method` finetune"):
        rows_of(["reno"], named)
    with pytest.raises(UsageError, match="is the name of a method's own row"):
        finetuned_sources(f"reno={lora}")
    with pytest.raises(UsageError, match="there is no folder absent; as a name on the Hub"):
        finetuned_sources("a rival=absent")


def test_a_path_may_have_an_equals_sign_and_no_comma(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved / "one-lora", tmp_path / "rank=4")
    shutil.copytree(saved / "one-lora", tmp_path / "a,b")
    (one,) = finetuned_sources(tmp_path / "rank=4")
    assert (one.place, one.label) == (tmp_path / "rank=4", None)
    with pytest.raises(UsageError, match="has a comma, which separates parameters"):
        rows_of(["finetune"], finetuned_sources([f"x={tmp_path / 'a,b'}"]))
