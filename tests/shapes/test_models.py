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
from hnbench.shapes.captions import TAGS, all_captions, by_text, evaluation_captions
from hnbench.shapes.models import REWARDS, WEIGHTS, load_generator, load_preference
from hnbench.shapes.preference import PREFERENCE
from hnbench.shapes_training.hard_negatives import KINDS, hard_negative_accuracy
from hnbench.shapes_training.scores import judge_scores, to_pictures
from hnbench.suites.shapes import ShapesJudge


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


@pytest.mark.parametrize("folder", REWARDS)
def test_a_reward_knows_hard_negatives_as_its_card_says(folder: str) -> None:
    reward = REWARDS[folder](device="cpu", dtype="float32")
    count = 150
    found = hard_negative_accuracy(reward.score, per_kind=count, seed=31)
    assert set(found) == set(KINDS)
    for kind, share in found.items():
        stated = on_card(folder, kind)
        error = 4 * max(stated * (1 - stated), 0.01) ** 0.5 / count**0.5
        assert share == pytest.approx(stated, abs=error), kind


@pytest.mark.parametrize("folder", REWARDS)
def test_every_reward_is_above_95_percent_on_each_kind_of_hard_negative(folder: str) -> None:
    assert min(on_card(folder, kind) for kind in KINDS) > 0.95


def test_the_mixture_has_parts_of_one_spread(generator_images: tuple[Tensor, list[str]]) -> None:
    """Weights that `shapes_training.mixture` measured on other prompts."""
    images, texts = generator_images
    mixture = load_preference(device="cpu", dtype="float32")
    assert {name: weight for name, (_, weight) in mixture.parts.items()} == PREFERENCE
    with torch.no_grad():
        spreads = [
            weight * float(reward.score(images, texts).reshape(-1, 8).var(1).mean().sqrt())
            for reward, weight in mixture.parts.values()
        ]
    assert all(0.75 < spread < 1.3 for spread in spreads), spreads


@pytest.fixture
def generator_images() -> tuple[Tensor, list[str]]:
    """Eight images of each of 48 evaluation captions."""
    captions = evaluation_captions()
    chosen = random.Random(0).sample(captions, 48)
    texts = [caption.text for caption in chosen for _ in range(8)]
    return drawing(5)(texts), texts


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
