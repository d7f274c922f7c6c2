"""Prompt search: brute force over a closed set, its noise, its batches, and its failures."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hnbench.errors import PluginError, UsageError
from hnbench.generators.base import Conditioning
from hnbench.methods.base import Outcome
from hnbench.methods.prompt_search import PromptSearch
from hnbench.methods.rewriting import Answer, Request, Rewriter, Tried
from hnbench.rewards.base import Reward
from hnbench.runs.attempt import Models, Proposer
from hnbench.runs.outcomes import Checked
from hnbench.seeds import NoiseSource
from hnbench.testing.method import check_method
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.methods.linear import Spoiled, noises_for, tasks_of
from tests.methods.rewriters import CLOSED, closed, program


class Watched(ToyGenerator):
    """Notes the noises and seeds that it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[bytes, int]] = []

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        assert conditioning.step_seeds is not None
        rows = [row.numpy().tobytes() for row in noise]
        self.asked += zip(rows, conditioning.step_seeds, strict=True)
        return super().generate(noise, conditioning, steps)


class Heard(Reward):
    """The brightness, which depends on the prompt; notes the prompts."""

    name, fingerprint = "heard", "f" * 64

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        self.prompts += prompts
        return BrightnessReward().score(images, prompts)


@dataclass(frozen=True, kw_only=True)
class Told(PromptSearch):
    """Prompt search whose rewriter is a function of the request."""

    function: Any = None

    @property
    def rewriter(self) -> Rewriter:
        return _Function(self.function)


@dataclass(frozen=True)
class _Function(Rewriter):
    function: Any

    @property
    def identity(self) -> dict[str, Any]:
        return {}

    def check(self, device: str) -> None:
        pass

    def answer(self, request: Request, device: str) -> Answer:
        found: Answer = self.function(request)
        return found


def outcomes(
    method: PromptSearch,
    prompts: Sequence[str],
    reward: Reward | None = None,
    at_once: int | None = None,
    generator: ToyGenerator | None = None,
) -> dict[str, Outcome]:
    model = generator or ToyGenerator()
    model.images_at_once = at_once
    found = method.propose(
        tasks_of(*prompts), model, reward or BrightnessReward(), noises_for(model)
    )
    return {outcome.task.prompt: outcome for outcome in found}


def brute_force(original: str, texts: Sequence[str]) -> tuple[str, Tensor, list[float]]:
    """The best of the original and the texts by its reward for the original, and all rewards."""
    generator = ToyGenerator()
    noise = noises_for(generator).draw(tasks_of(original)[0])[None]
    best: tuple[str, Tensor, float] = ("", noise, -math.inf)
    scores = []
    for text in [original, *texts]:
        image = generator.generate(noise, generator.encode([text]))
        score = float(BrightnessReward().score(image, [original]))
        scores.append(score)
        if score > best[2]:
            best = (text, image[0], score)
    return best[0], best[1], scores


def test_it_finds_the_best_of_a_closed_set(tmp_path: Path) -> None:
    method = PromptSearch(proposals=3, rounds=3, command=closed(tmp_path))
    prompts = ["a cat", "a dog", "two cats", "my cat", "no cat"]
    chosen = set()
    for prompt, outcome in outcomes(method, prompts).items():
        others = [text for text in CLOSED if text != prompt]
        text, image, scores = brute_force(prompt, others)
        assert outcome.chosen_prompt == text
        torch.testing.assert_close(outcome.image, image)
        assert outcome.trajectory == pytest.approx(scores, abs=1e-7)
        assert outcome.rewriter is not None
        assert outcome.rewriter.calls == 3
        assert outcome.rewriter.dropped == 8 - len(others)
        assert outcome.rewriter.tokens is None
        assert outcome.rewriter.seconds > 0
        chosen.add(text)
    assert len(chosen) > 2


def test_the_noise_is_the_samples_own_and_rewards_are_for_the_original_prompt() -> None:
    generator, reward = Watched(), Heard()
    found = outcomes(PromptSearch(), ["a cat", "a dog"], reward, generator=generator)
    tasks, noises = tasks_of("a cat", "a dog"), noises_for(generator)
    own = {
        (noises.draw(task).numpy().tobytes(), seed)
        for task, seed in zip(tasks, noises.step_seeds(tasks), strict=True)
    }
    assert set(generator.asked) == own
    assert set(reward.prompts) == {"a cat", "a dog"}
    assert any(outcome.chosen_prompt != prompt for prompt, outcome in found.items())
    for task in tasks:
        assert torch.equal(found[task.prompt].noise, noises.draw(task))


@pytest.mark.parametrize("at_once", [None, 1, 4, 64])
def test_a_batch_is_as_many_single_searches(at_once: int | None) -> None:
    prompts = ["a cat and a dog", "a dog", "a bird above a cat"]
    method = PromptSearch(proposals=4, rounds=4)
    together = outcomes(method, prompts, at_once=at_once)
    for prompt in prompts:
        alone = outcomes(method, [prompt])[prompt]
        assert together[prompt].chosen_prompt == alone.chosen_prompt
        assert together[prompt].trajectory == pytest.approx(alone.trajectory, abs=1e-6)
        torch.testing.assert_close(together[prompt].image, alone.image)


def test_the_contract() -> None:
    check_method(PromptSearch(proposals=2, rounds=3))
    check_method(PromptSearch())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_that_is_not_finite_never_wins_and_is_not_told(value: float) -> None:
    heard: list[Request] = []

    def answer(request: Request) -> Answer:
        heard.append(request)
        return Answer(("x", "y"))

    method = Told(proposals=2, rounds=2, function=answer)
    clean = outcomes(method, ["good"])["good"]
    heard.clear()
    # The first call scores both originals.
    spoiled = outcomes(method, ["bad", "good"], Spoiled(BrightnessReward(), value=value, calls=[0]))
    assert spoiled["good"].chosen_prompt == clean.chosen_prompt
    assert next(request.tried for request in heard if request.prompt == "bad") == ()
    assert spoiled["bad"].chosen_prompt in ("x", "y")
    always = outcomes(method, ["bad"], Spoiled(BrightnessReward(), value=value, calls=range(9)))
    assert always["bad"].chosen_prompt == "bad"


def test_the_rewriter_is_told_what_was_tried_best_first_and_asked_for_the_budget() -> None:
    heard: list[Request] = []

    def answer(request: Request) -> Answer:
        heard.append(request)
        return Answer(tuple(f"text {len(heard)} {place}" for place in range(9)), tokens=7)

    found = outcomes(Told(proposals=3, rounds=3, function=answer), ["a cat"])["a cat"]
    assert [request.proposals for request in heard] == [3, 3, 2]
    assert [len(request.tried) for request in heard] == [1, 4, 7]
    assert len({request.seed for request in heard}) == 3
    assert found.trajectory is not None
    assert len(found.trajectory) == 9
    scores = [one.score for one in heard[-1].tried]
    assert scores == sorted(scores, reverse=True)
    assert scores == sorted((float(f"{one:.4g}") for one in found.trajectory[:7]), reverse=True)
    assert found.rewriter is not None
    assert (found.rewriter.tokens, found.rewriter.dropped) == (21, 0)


def test_unusable_answers_are_dropped_and_counted() -> None:
    bad = ("", "  ", "a  cat", "tab\x1bs", "word " * 78, "lone \ud800", "a good\tone", "a good one")
    method = Told(proposals=8, rounds=1, function=lambda _: Answer(bad))
    found = outcomes(method, ["a cat"])["a cat"]
    assert found.trajectory is not None
    assert len(found.trajectory) == 2
    assert found.rewriter is not None
    assert found.rewriter.dropped == 6  # of the seven beside the original


def ask(command: str, **changed: Any) -> tuple[str, ...]:
    from hnbench.methods.rewriting_command import CommandRewriter

    request = Request("a cat", (Tried("b", 0.5), Tried("a cat", 0.25)), 2, 11)
    return CommandRewriter(command, keep=1, **changed).answer(request, "cpu").texts


def test_a_command_reads_the_request(tmp_path: Path) -> None:
    command = program(tmp_path, "print(json.dumps(request, sort_keys=True))")
    (line,) = ask(command)
    assert line == (
        '{"prompt": "a cat", "proposals": 2, "seed": 11, "tried": [{"prompt": "b", "score": 0.5}]}'
    )


def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    command = program(tmp_path, "print(*sys.argv[1:], sep='\\n')")
    assert ask(f"{command} '$HOME x' ; > | &&") == ("$HOME x", ";", ">", "|", "&&")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("sys.exit('no more\\nquota\\x1b left')", r"ended with 1: quota\\x1b left"),
        ("sys.stdout.buffer.write(b'\\xff')", "not UTF-8"),
        ("import time; time.sleep(60)", "no answer in 0.5 seconds"),
    ],
)
def test_an_error_of_a_command_is_one_of_its_sample(tmp_path: Path, code: str, said: str) -> None:
    with pytest.raises(PluginError, match=said):
        ask(program(tmp_path, code), seconds=0.5)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"proposals": 0}, "proposals was 0"),
        ({"rounds": 1.5}, "rounds was 1.5"),
        ({"keep": True}, "keep was True"),
        ({"model": "a", "command": "b"}, "not both"),
    ],
)
def test_a_wrong_parameter_is_named(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        PromptSearch(**parameters)


@pytest.mark.parametrize(
    ("command", "said"),
    [("no-such-program --x", "no program 'no-such-program'"), ("'", "quot"), (" ", "empty")],
)
def test_a_command_that_cannot_be_started_is_refused_before_any_work(
    command: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        PromptSearch(command=command).prepare(ToyGenerator())
    PromptSearch(command=sys.executable).prepare(ToyGenerator())


def test_the_identity_names_the_rewriter() -> None:
    assert PromptSearch().identity() == {
        "name": "prompt-search",
        "proposals": 5,
        "rounds": 10,
        "keep": 20,
        "rules": 1,
    }
    assert PromptSearch(command="x y").identity()["command"] == "x y"


def test_seeds_of_samples_differ() -> None:
    tasks = tasks_of("a cat", "a dog", samples=2)
    found = [NoiseSource(0, (2,)).seeds(tasks, "rewriting", number) for number in (0, 1)]
    assert len({*found[0], *found[1]}) == 8


def test_a_suites_own_prompt_may_have_any_characters() -> None:
    """For example a space that does not break, which is not printable."""
    prompt = "a\xa0cat"
    generator, noises = ToyGenerator(), noises_for(ToyGenerator())
    models = Models(generator, BrightnessReward(), noises, 1)
    tasks = tasks_of(prompt)
    proposer = Proposer(Told(rounds=1, function=lambda _: Answer(())), models, 1)
    (attempt,) = proposer.attempts(tasks, set(tasks))
    found = attempt.outcomes[tasks[0], "prompt-search"]
    assert isinstance(found, Checked)
    assert found.chosen_prompt == prompt
