"""The weights that come with the package: small, safe, and as good as their cards say, within
sampling error.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hnbench.hypernetwork.adapter import Hypernetwork
from hnbench.hypernetwork.attached import attach
from hnbench.rewards.base import Reward
from hnbench.shapes.captions import TAGS, all_captions, by_text
from hnbench.shapes.models import WEIGHTS, load_clip, load_generator, load_resnet
from hnbench.shapes_training.examples import Examples, to_tensor
from hnbench.shapes_training.scores import judge_scores, to_pictures
from hnbench.suites.shapes import ShapesJudge

KINDS = ("swapped_colours", "swapped_position", "turned_position", "count", "colour", "shape")


def on_card(folder: str, name: str) -> float:
    found = re.search(rf"\| {name} \| ([0-9.]+) \|", (WEIGHTS / folder / "README.md").read_text())
    assert found, f"the card of {folder} does not state {name}"
    return float(found[1])


def test_weights_are_small_and_safe() -> None:
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 15_000_000
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".md", ".sha256"}


@pytest.mark.parametrize("folder", sorted(path.name for path in WEIGHTS.iterdir()))
def test_every_model_has_a_card(folder: str) -> None:
    card: Path = WEIGHTS / folder / "README.md"
    assert card.is_file()
    assert "nutes" in card.read_text() or "training |" in card.read_text()


def drawing(seed: int) -> Callable[[list[str]], Tensor]:
    """The shipped generator under fresh noises."""
    model = load_generator(device="cpu", dtype="float32")
    noises = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def generate(texts: list[str]) -> Tensor:
        return model.generate(
            torch.randn((len(texts), *model.noise_shape), generator=noises), model.encode(texts)
        )

    return generate


def test_the_generator_scores_what_its_card_says() -> None:
    scores = judge_scores(drawing(2), per_task=60, seed=9)
    assert scores["overall"] == pytest.approx(on_card("generator", "overall"), abs=0.07)
    assert 0.35 <= on_card("generator", "overall") <= 0.75


@pytest.mark.parametrize("tag", TAGS)
def test_the_generator_is_above_chance_in_every_task(tag: str) -> None:
    choices, judge = random.Random(tag), ShapesJudge()
    captions = [choices.choice(all_captions(tag)) for _ in range(120)]
    others = [
        choices.choice([other for other in all_captions(tag) if other != caption])
        for caption in captions
    ]
    pictures = to_pictures(drawing(3)([caption.text for caption in captions]))
    own, chance = (
        sum(bool(each.correct) for each in judge.judge(pictures, [c.metadata() for c in group]))
        for group in (captions, others)
    )
    assert own > chance + 2


@pytest.mark.parametrize(("folder", "load"), [("clip", load_clip), ("resnet", load_resnet)])
def test_a_reward_knows_hard_negatives_as_its_card_says(folder: str, load: type[Reward]) -> None:
    reward = load(device="cpu", dtype="float32")  # type: ignore[call-arg]
    examples = Examples(31)
    drawn = [examples.example() for _ in range(300)]
    wins: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    images = to_tensor([each.image for each in drawn])
    with torch.no_grad():
        own = reward.score(images, [each.caption.text for each in drawn])
        for kind in KINDS:
            negatives = [each.caption.hard_negatives(examples.choices).get(kind) for each in drawn]
            rows = [row for row, negative in enumerate(negatives) if negative]
            other = reward.score(
                images[rows], [negative.text for negative in negatives if negative]
            )
            wins[kind] = (own[rows] > other).tolist()
    for kind, won in wins.items():
        stated = on_card(folder, kind)
        error = 4 * max(stated * (1 - stated), 0.01) ** 0.5 / len(won) ** 0.5
        assert sum(won) / len(won) == pytest.approx(stated, abs=error), kind


def test_the_optimised_reward_is_above_90_percent_on_each_kind_of_hard_negative() -> None:
    assert min(on_card("clip", kind) for kind in KINDS) > 0.9


def test_the_hypernetwork_changes_noise_by_the_prompt() -> None:
    model = load_generator(device="cpu", dtype="float32")
    network = Hypernetwork(model, attach(model, WEIGHTS / "hypernoise", "hypernoise"))
    prompts = [text for text, caption in by_text().items() if caption.tag == "position"][:2]
    noise = torch.randn((1, *model.noise_shape), generator=torch.Generator().manual_seed(0)).expand(
        2, -1, -1, -1
    )
    with torch.no_grad():
        change = network.displacement(noise, model.encode(prompts))
    assert change.shape == noise.shape
    assert (change.flatten(1).norm(dim=1) > 0.5).all()
    assert (change[0] - change[1]).norm() > 0.05
