"""Searches in n steps, images in m: the noise is that of the search, the image that of m steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import hnbench
from hnbench.api.arrangement import arrange
from hnbench.display.screen import Screen
from hnbench.errors import UsageError
from hnbench.generators.base import Conditioning, Generator
from hnbench.generators.sources import load_folder
from hnbench.methods.base import Method
from hnbench.methods.best_of_n import BestOfN
from hnbench.methods.finetune import FineTuned
from hnbench.methods.hypernoise import HyperNoise
from hnbench.methods.prompt_search import PromptSearch
from hnbench.methods.random import Random
from hnbench.methods.reno import ReNO
from hnbench.rewards.base import Reward
from hnbench.rewards.redness import Redness
from hnbench.runs.attempt import Attempt, Models, Proposer
from hnbench.runs.outcomes import Checked
from hnbench.runs.pixels import quantise
from hnbench.runs.plan import BASE
from hnbench.runs.rendering import refuse_equal_steps
from hnbench.runs.steps import Steps
from hnbench.runs.store import read_run
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.methods.adapters import adapter_folder
from tests.methods.linear import LinearGenerator
from tests.runs.test_work import COLOURS, CONV, LORA, STEP, TEXT
from tests.tiny import FAMILIES

TASKS = [Task(str(index), f"a photo of {index} rings", index % 2) for index in range(3)]
SEARCHES = [BestOfN(n=3), ReNO(iterations=2), PromptSearch(proposals=2, rounds=2)]


def attempts(
    method: Method, generator: Generator, reward: Reward, steps: int, render: int | None, batch: int
) -> list[Attempt]:
    models = Models(generator, reward, NoiseSource(0, generator.noise_shape), steps, render)
    method.prepare(generator)
    proposer = Proposer(method, models, batch)
    groups = [TASKS[start : start + batch] for start in range(0, len(TASKS), batch)]
    return [one for group in groups for one in proposer.attempts(group, set(group))]


def checked(found: Sequence[Attempt]) -> dict[tuple[Task, str], Checked]:
    outcomes: dict[tuple[Task, str], Checked] = {}
    for attempt in found:
        for key, one in attempt.outcomes.items():
            assert isinstance(one, Checked), one
            outcomes[key] = one
    return outcomes


@pytest.fixture(scope="module", params=["stable-diffusion-xl", "sana-sprint"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator:
    name: str = request.param
    folder = FAMILIES[name].save(tmp_path_factory.mktemp("tiny") / name)
    return load_folder(folder, name=name, device="cpu", dtype="float32", **FAMILIES[name].options)


def image_of(generator: Generator, task: Task, prompt: str, noise: Tensor, steps: int) -> Tensor:
    """The saved pixels of one noise, by the generator alone."""
    seeds = NoiseSource(0, generator.noise_shape).step_seeds([task])
    with torch.no_grad():
        images = generator.generate(noise[None], generator.encode([prompt]).seeded(seeds), steps)
    return quantise(images[0])


@pytest.mark.parametrize("method", SEARCHES, ids=lambda one: one.name)
def test_the_noise_is_that_of_the_search_and_the_image_has_the_other_steps(
    method: Method, tiny: Generator
) -> None:
    before = checked(attempts(method, tiny, Redness(), 1, None, 1))
    found = checked(attempts(method, tiny, Redness(), 1, 3, 1))
    assert found.keys() == before.keys()
    for key, one in found.items():
        assert torch.equal(one.noise, before[key].noise)
        assert one.trajectory == before[key].trajectory
        assert one.chosen_prompt == before[key].chosen_prompt
        prompt = one.chosen_prompt or one.task.prompt
        assert torch.equal(one.pixels, image_of(tiny, one.task, prompt, one.noise, 3))
        assert torch.equal(before[key].pixels, image_of(tiny, one.task, prompt, one.noise, 1))
        assert not torch.equal(one.pixels, before[key].pixels)


@pytest.mark.parametrize("method", SEARCHES, ids=lambda one: one.name)
def test_rendering_in_the_same_steps_changes_nothing(
    method: Method, tiny: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = attempts(method, tiny, Redness(), 2, None, 1)
    same = attempts(method, tiny, Redness(), 2, 2, 1)
    assert all(one.rendering is None for one in same)
    monkeypatch.setattr(Steps, "are_apart_for", lambda *_: True)
    forced = attempts(method, tiny, Redness(), 2, 2, 1)
    assert all(one.rendering is not None for one in forced)
    expected = checked(plain)
    for other in (checked(same), checked(forced)):
        for key, one in expected.items():
            assert torch.equal(one.pixels, other[key].pixels)
            assert torch.equal(one.noise, other[key].noise)
            assert one.trajectory == other[key].trajectory


def test_the_base_has_the_steps_of_all_images(tiny: Generator) -> None:
    for one in checked(attempts(Random(), tiny, Redness(), 1, 3, 1)).values():
        assert torch.equal(one.pixels, image_of(tiny, one.task, one.task.prompt, one.noise, 3))


def test_each_sample_of_a_batch_has_its_own_noise_between_steps(tiny: Generator) -> None:
    (attempt,) = attempts(BestOfN(n=3), tiny, Redness(), 1, 3, 3)
    for one in checked([attempt]).values():
        expected = image_of(tiny, one.task, one.task.prompt, one.noise, 3)
        # Of a batch, the last digits are others.
        assert (one.pixels.int() - expected.int()).abs().max() <= 1


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_passes_and_operations_are_counted(batch: int, tmp_path: Path) -> None:
    def costs(method: Method) -> dict[str, tuple[float, float | None]]:
        found: dict[str, tuple[float, float | None]] = {}
        for attempt in attempts(method, ToyGenerator(), BrightnessReward(), 2, 5, batch):
            for (_, label), one in attempt.outcomes.items():
                assert isinstance(one, Checked)
                cost = attempt.cost(one.share)
                assert cost.seconds > 0
                assert cost.reward_forward == {"best-of-2": 2, "best-of-4": 4}.get(label, 0)
                found[label] = (round(cost.generator_forward, 9), cost.flops)
        return found

    near, far = 2 * STEP + COLOURS, 5 * STEP + COLOURS
    assert costs(BestOfN(n=4)) == {
        "best-of-2": (2 * 2 + 5, 2 * near + far),
        "best-of-4": (4 * 2 + 5, 4 * near + far),
    }
    assert costs(Random()) == {"random": (5, far)}
    hypernoise = HyperNoise(adapter=adapter_folder(tmp_path / "h", "hypernoise"))
    assert costs(hypernoise) == {"hypernoise": (1 + 5, CONV + TEXT + LORA + far)}
    finetune = FineTuned(adapter=adapter_folder(tmp_path / "f", "finetune"))
    assert costs(finetune)["finetune"] == (5, far + 5 * LORA)


@pytest.mark.usefixtures("few_plots")
def test_a_plan_says_what_a_run_counts_and_the_run_says_its_steps(tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "method": ["best-of-n:n=4", "reno:iterations=2", "hypernoise", "finetune"],
        "limit": 2,
        "render_steps": 2,
        "device": "cpu",
        "progress": False,
    }
    planned = hnbench.plan("geneval-shapes", **asked, out=tmp_path / "run")
    run = hnbench.run("geneval-shapes", **asked, out=tmp_path / "run")
    frame, counted = planned.frame(), run.frame()
    assert dict(planned.operations.unknown) == {}
    for work in planned.work.methods:
        own = counted[counted["label"].isin(work.labels)]
        # Of several labels, one needed the whole search; each has its own rendering.
        most = own[own["label"] == work.labels[-1]]
        others = 2 * (len(work.labels) - 1)
        passes = most["passes_generator_forward"].sum() + others * len(most)
        assert frame["passes_generator_forward"][work.name] == pytest.approx(passes)
        if len(work.labels) == 1:
            assert frame["flops"][work.name] == pytest.approx(most["tflops"].sum() * 1e12, rel=1e-6)
    manifest = read_run(run.folder).manifest
    assert manifest["config"]["render_steps"] == 2
    assert "render_steps" in manifest["identity_fields"]
    assert manifest["noise_between_steps"] == "of the sample"
    # The base is the same image as in a run of two steps.
    two = hnbench.run(
        "geneval-shapes", **{**asked, "method": [BASE], "render_steps": None}, steps=2,
        out=tmp_path / "two",
    )  # fmt: skip
    hashes = [one.frame().set_index(["label", "prompt_id", "sample"]) for one in (run, two)]
    first, second = (one.loc[BASE] for one in hashes)
    assert first["image_sha256"].equals(second["image_sha256"])
    assert not first["id"].equals(second["id"])


def test_the_same_steps_are_the_same_run() -> None:
    with Screen(shown=False) as screen:
        plain, same, other = (
            arrange(screen, "geneval-shapes", steps=2, render_steps=steps) for steps in (None, 2, 4)
        )
    assert plain.config == same.config
    assert plain.folder == same.folder != other.folder


class Single(ToyGenerator):
    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        if steps > 1:
            raise ValueError("one step only")
        return super().generate(noise, conditioning, steps)


@pytest.mark.parametrize(
    ("generator", "said"),
    [
        (LinearGenerator(torch.eye(12)), "makes the same image in 1 and in 4 steps"),
        (Single(), r"cannot make an image in 1 and in 4 steps \(one step only\)"),
    ],
    ids=["ignores", "refuses"],
)
def test_a_generator_of_one_step_is_refused(generator: Generator, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        refuse_equal_steps(generator, Steps(1, 4))
    for steps in (Steps(1), Steps(1, 1)):
        refuse_equal_steps(generator, steps)
    refuse_equal_steps(ToyGenerator(), Steps(1, 4))
