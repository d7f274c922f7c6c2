"""A training is described before it begins: its passes are those that it then takes, and a dry run
loads, downloads and writes nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import hnbench
from hnbench.api import train as train_module
from hnbench.catalogue.presets import preset_of
from hnbench.cli.app import app
from hnbench.errors import UsageError
from hnbench.hypernetwork.checkpoint import training_cost
from hnbench.hypernetwork.evaluation import split_prompts
from hnbench.hypernetwork.expected import evaluations_of, expected_passes, held_out_of
from hnbench.hypernetwork.trainer import Trainer
from hnbench.methods.reno import ReNO
from tests.hypernetwork.tiny import PROMPTS, REGRESSION, UNetGenerator, config, mixture, search_of


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, in which no model can be loaded and no file is cached."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(train_module, "load_generator", refuse)
    monkeypatch.setattr(train_module, "load_mixture", refuse)
    monkeypatch.setattr("hnbench.weights.pinned_files._cache", lambda name: tmp_path / name)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    monkeypatch.delenv("HNBENCH_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("steps", [4, 5])
@pytest.mark.parametrize(
    "changes",
    [{}, {"kind": "finetune"}, {"kind": "finetune", "image_penalty": 1.0}, REGRESSION],
    ids=str,
)
def test_the_passes_are_those_of_the_training(
    changes: dict[str, Any], steps: int, tmp_path: Path
) -> None:
    wanted = config(steps=steps, accumulation=2, save_every=100, **changes)
    models, search = (UNetGenerator(), mixture()), search_of(wanted)
    adapter = Trainer(wanted, *models, PROMPTS, tmp_path, search=search).train()
    cost = training_cost(adapter)
    expected = expected_passes(wanted, held_out_of(len(PROMPTS)))
    assert {name: cost[name] for name in expected} == expected
    log = (tmp_path / "train.jsonl").read_text().splitlines()
    assert sum('"evaluation"' in line for line in log) == evaluations_of(wanted)


@pytest.mark.parametrize(
    "changes",
    [{}, {"kind": "finetune"}, {"kind": "finetune", "image_penalty": 0.0}, REGRESSION],
    ids=str,
)
def test_the_operations_are_those_of_the_training(changes: dict[str, Any], tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a red ring\na blue star\n")
    asked: dict[str, Any] = {
        "steps": 3,
        "batch_size": 2,
        "accumulation": 2,
        "eval_every": 2,
        "optimise": {"shapes-clip": 1.0, "shapes-resnet": 0.5},
        "prompts": prompts,
        "device": "cpu",
        "out": tmp_path / "out",
        "progress": False,
        **changes,
    }
    planned = hnbench.plan_training(**asked).flops
    assert planned is not None
    assert hnbench.train(**asked).description["training"]["flops"] == planned


def test_operations_that_nobody_counted_are_none_with_a_reason() -> None:
    for changes, reason in (
        ({"rank": 4}, "shapes with another rank than its own"),
        ({"target_pattern": ".*out"}, "shapes with another target pattern than its own"),
        ({"generator": "sd-turbo", "image_size": 768}, "sd-turbo are known at 512 pixels only"),
        ({"optimise": {"clip@owner/name": 1.0}}, "nobody counted those of clip@owner/name"),
    ):
        plan = hnbench.plan_training(progress=False, **changes)
        assert plan.flops is None
        (line,) = [line for line in plan.lines if line.startswith("operations")]
        assert line.startswith("operations   unknown (")
        assert line.endswith(f"{reason})")


@pytest.mark.parametrize("count", [2, 9, 10, 19, 20, 245])
def test_the_number_of_held_out_prompts(count: int) -> None:
    assert held_out_of(count) == len(split_prompts([str(number) for number in range(count)], 0)[1])


def told(*options: str) -> dict[str, str]:
    """The lines of a dry run, by their names."""
    done = CliRunner().invoke(app, ["train", "--dry-run", *options])
    assert done.exit_code == 0, done.output
    return {line[:12].strip(): line[13:] for line in done.stdout.splitlines()}


def test_a_dry_run_writes_nothing(empty: Path) -> None:
    found = told("--steps", "30", "--learning-rate", "0.01", "--out", "there")
    assert not list(empty.iterdir())
    assert found["training"] == "hypernoise of shapes (float32, auto)"
    assert (
        found["preset"] == "shapes; learning_rate 0.01 instead of 0.0007; steps 30 instead of 12000"
    )
    assert found["images"] == "16 a step = 16 x 1 (batch x accumulation); 480 in all"
    assert found["prompts"] == "shapes: 221 to train on, 24 held out"
    assert found["evaluation"] == "2 times, every 100 steps, on 24 prompts x 4 noises"
    assert found["operations"] == "934 GFLOP, counted in advance for these models"
    assert found["folder"] == "there"
    assert found["downloads"] == "nothing"
    assert max(map(len, found)) <= 12


def test_a_dry_run_of_a_published_model_names_its_downloads(empty: Path) -> None:
    found = told("--generator", "sd-turbo", "--preset", "paper")
    assert not list(empty.iterdir())
    assert found["preset"] == "paper"
    assert found["prompts"].startswith("hypernoise, which is downloaded first")
    assert found["downloads"].startswith("sd-turbo 2.6 GB, hpsv2.1")
    plan = hnbench.plan_training(generator="sd-turbo", preset="paper", progress=False)
    assert plan.prompts is None
    assert next(one.name for one in plan.downloads if not one.cached) == "sd-turbo"
    assert plan.config.steps == 36_600


def test_the_state_of_the_folder_is_told(empty: Path) -> None:
    (empty / "out" / "state" / "step-00000003").mkdir(parents=True)
    assert told("--out", "out")["folder"] == "out, to be continued"
    (empty / "out" / "adapter").mkdir()
    assert told("--out", "out")["folder"] == "out, which is finished"


def test_the_same_lines_come_before_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StopError(Exception):
        """Ends the training before its models are loaded."""

    def stop(*_: Any, **__: Any) -> None:
        raise StopError

    monkeypatch.setattr(train_module, "load_generator", stop)
    monkeypatch.chdir(tmp_path)
    shown: list[str] = []
    monkeypatch.setattr("hnbench.display.screen.Screen.say", lambda _, text: shown.append(text))
    with pytest.raises(StopError):
        hnbench.train(steps=3, device="cpu")
    plan = hnbench.plan_training(steps=3, device="cpu")
    assert [line for line in shown if line in plan.lines] == list(plan.lines[:-1])
    loading = "loading shapes, shapes-clip, shapes-resnet, shapes-byobnet"
    assert shown.index(loading) > shown.index(plan.lines[-2])


@pytest.mark.parametrize("kind", ["finetune", "regression"])
@pytest.mark.parametrize("option", ["regulariser_weight", "regulariser_reduction"])
@pytest.mark.parametrize("call", [hnbench.train, hnbench.plan_training])
def test_only_a_hypernoise_training_has_a_regulariser(option: str, call: Any, kind: str) -> None:
    value = {"regulariser_weight": 1.0, "regulariser_reduction": "sum"}[option]
    with pytest.raises(UsageError, match=rf"^`{option}` is for the `kind` hypernoise; {kind}"):
        call(kind=kind, **{option: value})


@pytest.mark.parametrize("kind", ["hypernoise", "finetune"])
@pytest.mark.parametrize("option", ["pairs", "reno_iterations", "reno_learning_rate"])
def test_only_a_regression_has_pairs(option: str, kind: Any) -> None:
    with pytest.raises(UsageError, match=rf"^`{option}` is for the `kind` regression; leave it"):
        hnbench.plan_training(kind=kind, progress=False, **{option: 3})


def test_the_plan_of_a_regression_tells_of_its_pairs(empty: Path) -> None:
    found = told("--kind", "regression", "--pairs", "500", "--steps", "100")
    assert found["pairs"] == (
        "500 of a noise and what ReNO finds from it (50 iterations, learning rate 2), each used 6.4"
        " times"
    )
    assert found["preset"] == "shapes; pairs 500 instead of 1024; steps 100 instead of 500"
    assert not list(empty.iterdir())
    assert "pairs" not in told()


@pytest.mark.parametrize(("generator", "rate"), [("sdxl-turbo", 5.0), ("sana-sprint-0.6b", 10.0)])
def test_the_reno_of_a_regression_is_that_of_a_run(generator: str, rate: float) -> None:
    """By default. Those values were published for images of 512 and of 1024 pixels."""
    planned = hnbench.plan_training(kind="regression", generator=generator, progress=False).config
    chosen = ReNO(**preset_of(generator).parameters.get("reno", {}))
    assert (planned.reno_iterations, planned.reno_learning_rate) == (50, rate)
    assert (chosen.iterations, chosen.learning_rate) == (50, rate)


def test_on_shapes_it_stays_nearer_to_the_noise() -> None:
    planned = hnbench.plan_training(kind="regression", progress=False).config
    chosen = ReNO(**preset_of("shapes").parameters["reno"])
    assert (planned.reno_learning_rate, chosen.learning_rate) == (2.0, 16.0)
