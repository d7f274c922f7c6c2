"""The training stages run, save what the package loads, and follow their seeds. How good they get
is on the model cards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import load_file
from torch import nn

from hnbench.generators.stable_diffusion import StableDiffusionGenerator
from hnbench.rewards.dual_encoder import DualEncoder
from hnbench.shapes.captions import TAGS, Caption, all_captions, holds
from hnbench.shapes.models import REWARDS, WEIGHTS
from hnbench.shapes.world import COLOURS, SHAPES, SIZE
from hnbench.shapes_training import (
    autoencoder,
    cards,
    contrastive,
    contrastive_batches,
    contrastive_losses,
    encoders,
    flow,
    hard_negatives,
)
from hnbench.shapes_training import examples as examples_module
from hnbench.shapes_training.adapters import halve
from hnbench.shapes_training.denoiser import SHAPE, Denoiser, save_pipeline
from hnbench.shapes_training.distillation import distil, follow
from hnbench.shapes_training.examples import Example, Examples, to_tensor
from hnbench.shapes_training.loop import Average, cosine
from hnbench.shapes_training.pretraining import CoupledExamples, train_coupled
from hnbench.shapes_training.questions import (
    QUESTIONS,
    SCENE_WIDTH,
    answer_loss,
    answers,
    drawn_contents,
    scene_loss,
    stated_contents,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline after two steps of every stage."""
    out = tmp_path_factory.mktemp("trained")
    autoencoder.train(out / "autoencoder", steps=2, batch_size=4, fold_batches=2)
    model = Denoiser()
    vae = AutoencoderTiny.from_pretrained(out / "autoencoder").eval()
    data = flow.encode_data(vae, 100, seed=0)
    flow.train_text(model, steps=2, batch_size=8)
    flow.train_teacher(model, data, steps=2, batch_size=4)
    train_coupled(model, CoupledExamples(vae, seed=1), steps=3, batch_size=2)
    distil(model, follow(model, 4, seed=2, batch_size=2), steps=2, batch_size=2)
    save_pipeline(model, vae, out / "generator")
    return out


def test_the_saved_pipeline_is_a_generator(trained: Path) -> None:
    generator = StableDiffusionGenerator.from_folder(trained / "generator", name="shapes")
    assert generator.noise_shape == SHAPE
    with torch.no_grad():
        images = generator.generate(
            torch.zeros(2, *SHAPE), generator.encode(["a photo of a star", "a photo of a ring"])
        )
    assert images.shape == (2, 3, SIZE, SIZE)
    assert 0 <= float(images.min()) <= float(images.max()) <= 1


def test_latents_are_of_zero_mean_and_unit_variance(trained: Path) -> None:
    model = AutoencoderTiny.from_pretrained(trained / "autoencoder").eval()
    examples = Examples(5)
    with torch.no_grad():
        latents = model.encode(
            to_tensor([examples.example().image for _ in range(64)]) * 2 - 1
        ).latents
    assert latents.mean((0, 2, 3)).abs().max() < 0.4
    assert 0.6 < float(latents.std((0, 2, 3)).min()) <= float(latents.std((0, 2, 3)).max()) < 1.6


def test_the_teachers_ode_is_exact_where_the_data_is_one_point() -> None:
    point = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))

    class Knows(Denoiser):
        def forward(
            self, latents: torch.Tensor, times: torch.Tensor, ids: torch.Tensor
        ) -> torch.Tensor:
            return point.expand_as(latents)

    ends = flow.sample(Knows(), torch.randn(2, *SHAPE), ["a photo of a star"] * 2, steps=3)
    torch.testing.assert_close(ends, point.expand_as(ends), atol=1e-5, rtol=1e-5)


def test_distillation_learns_where_the_trajectories_end() -> None:
    torch.manual_seed(0)
    teacher, student = Denoiser(), Denoiser()
    pairs = follow(teacher, 8, seed=3, batch_size=4)
    ends = flow.sample(teacher, pairs.noises.float(), pairs.texts, steps=4, guided=3)
    torch.testing.assert_close(pairs.ends.float(), ends, atol=2e-2, rtol=2e-2)

    def miss() -> float:
        with torch.no_grad():
            found = student(pairs.noises.float(), torch.ones(8), student.tokens(pairs.texts))
        return float((found - pairs.ends.float()).square().mean())

    before = miss()
    distil(student, pairs, steps=60, batch_size=8)
    assert miss() < 0.5 * before


def test_an_attack_stays_within_its_radius_and_confuses() -> None:
    torch.manual_seed(0)
    model = encoders.VitEncoder()
    batch = contrastive_batches.Batches(8, 0, contrastive_batches.PHASES[3]).next()

    def loss(shown: contrastive_batches.Batch) -> float:
        features, _ = model.image(torch.cat([shown.images, shown.spoilt]))
        words = model.text(model.tokens([caption.text for caption in shown.captions]))
        to_text, to_image, _ = contrastive_losses.match_losses(model, features, words, shown)
        return float((to_text + to_image).detach())

    moved = contrastive_losses.attacked(model, batch, 2.0)
    assert float((moved.images - batch.images).flatten(1).norm(dim=1).max()) <= 2.0 + 1e-4
    assert loss(moved) > loss(batch)


@pytest.mark.parametrize("kind", REWARDS)
def test_a_reward_trains_and_saves_what_the_package_loads(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    kept: list[Callable[[torch.Tensor, list[str]], torch.Tensor]] = []

    def accuracy(
        score: Callable[[torch.Tensor, list[str]], torch.Tensor], *, per_kind: int
    ) -> dict[str, float]:
        asked.append(per_kind)
        kept.append(score)
        return {"count": 0.5}

    monkeypatch.setattr(contrastive, "hard_negative_accuracy", accuracy)
    found = contrastive.train(
        kind, tmp_path / kind, steps=(1, 1, 1, 1), attacks=(2.0,), batch_size=4, seed=0
    )
    assert found == {"count": 0.5}
    assert asked == [hard_negatives.CHECKED]
    reward = REWARDS[kind](device="cpu", dtype="float32", weights=tmp_path)
    images = torch.rand((2, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0))
    texts = ["a photo of a star", "a photo of two rings"]
    with torch.no_grad():
        measured, shown = kept[0](images, texts), reward.score(images, texts)
    assert isinstance(reward, DualEncoder)
    torch.testing.assert_close(shown, reward.scale() * measured, atol=1e-4, rtol=1e-4)


def test_the_phases_grow_by_one_for_each_attack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[tuple[float, int]] = []
    monkeypatch.setattr(
        contrastive,
        "fit",
        lambda _model, batches, steps: fitted.append((batches.phase.attack, steps)),
    )
    monkeypatch.setattr(contrastive, "hard_negative_accuracy", lambda *_, **__: {})
    contrastive.train("byobnet", tmp_path, steps=(1, 2, 3, 4, 5), attacks=(2.0, 3.0), seed=0)
    assert fitted == [(0.0, 1), (0.0, 2), (0.0, 3), (2.0, 4), (3.0, 5)]


def test_a_push_raises_the_loss_within_its_ball() -> None:
    torch.manual_seed(1)
    images = torch.full((64, 3, 8, 8), 0.5)
    moved = contrastive_losses.push(images, lambda shown: shown[:, 0].sum(), 0.5)
    change = (moved - images).flatten(1)
    assert float(change.norm(dim=1).max()) <= 0.5 + 1e-6
    assert bool((change[:, :64].sum(1) > 0).all())
    assert float(change.norm(dim=1).std()) > 0.05


def test_hard_negatives_are_all_found_by_a_score_that_knows_the_truth() -> None:
    drawn: dict[bytes, str] = {}

    class Watched(Examples):
        def example(self, caption: Caption | None = None) -> Example:
            found = super().example(caption)
            drawn[to_tensor([found.image]).numpy().tobytes()] = found.caption.text
            return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hard_negatives, "Examples", Watched)

        def knows(images: torch.Tensor, texts: Sequence[str]) -> torch.Tensor:
            own = [drawn.get(image[None].numpy().tobytes()) for image in images]
            return torch.tensor([float(a == b) for a, b in zip(own, texts, strict=True)])

        perfect = hard_negatives.hard_negative_accuracy(knows, per_kind=5)
        inverse = hard_negatives.hard_negative_accuracy(
            lambda images, texts: -knows(images, texts), per_kind=5
        )
        silent = hard_negatives.hard_negative_accuracy(
            lambda images, _: torch.zeros(len(images)), per_kind=5
        )
    assert set(perfect) == set(hard_negatives.KINDS)
    assert set(perfect.values()) == {1.0}
    assert set(inverse.values()) == {0.0}
    # A tie is not a win.
    assert set(silent.values()) == {0.0}


@pytest.mark.parametrize("low", [1.2, 2.4])
def test_a_warp_moves_the_image_as_far_as_it_says(
    low: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples_module, "WARP", (low, low))
    # A ramp shows the displacement along its axis as a change of value.
    ramp = np.broadcast_to((np.arange(SIZE) * 4)[None, :, None], (SIZE, SIZE, 3)).astype(np.uint8)
    rng = np.random.default_rng(0)
    moved = np.stack([examples_module.warped(ramp, rng)[8:-8, 8:-8, 0] for _ in range(40)])
    shift = (moved.astype(float) - ramp[8:-8, 8:-8, 0]) / 4
    assert shift.std() == pytest.approx(low, rel=0.1)


def test_a_batch_masks_captions_that_hold_of_other_images() -> None:
    batch = contrastive_batches.Batches(12, 0, contrastive_batches.PHASES[0]).next()
    for row in range(12):
        for column in range(12):
            own = batch.captions[row] == batch.captions[column]
            allowed = bool(batch.allowed[row, column])
            assert allowed == (
                row == column or not (own or holds(batch.captions[column], batch.captions[row]))
            )


def test_spoilt_images_differ_from_their_originals() -> None:
    examples = Examples(0)
    for _ in range(30):
        example = examples.example()
        assert np.abs(examples.spoilt(example).astype(int) - example.image).max() > 60


def test_perfect_answers_cost_nothing() -> None:
    captions = [all_captions(tag)[1] for tag in TAGS]
    rows = [
        torch.cat(
            [
                nn.functional.one_hot(torch.tensor(right), len(q))
                for right, q in zip(answers(c), QUESTIONS.values(), strict=True)
            ]
        )
        for c in captions
    ]
    assert float(answer_loss(torch.stack(rows) * 50.0, captions)) < 1e-6


def test_perfect_scene_outputs_cost_nothing() -> None:
    scene = all_captions("color_attr")[0].scene(np.random.default_rng(0))
    present, colour, place, number = (
        torch.zeros(1, len(SHAPES), width) for width in (1, len(COLOURS), 2, 4)
    )
    present -= 50
    for item in scene.items:
        column = SHAPES.index(item.shape)
        present[0, column], colour[0, column, COLOURS.index(item.colour)], number[0, column, 0] = (
            50,
            50,
            50,
        )
        place[0, column] = torch.tensor([item.x, item.y]) / SIZE - 0.5
    outputs = torch.cat([part.flatten(1) for part in (present, colour, place, number)], 1)
    assert outputs.shape == (1, SCENE_WIDTH)
    assert float(scene_loss(outputs, drawn_contents([scene]), 20.0)) < 1e-6


def test_average_follows() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 1.0)
    average = Average(module, decay=0.5)
    nn.init.constant_(module.weight, 3.0)
    for _ in range(60):
        average.update()
    assert average.state["weight"].item() == pytest.approx(3.0)
    assert module.weight.item() == 3.0


def test_cosine_warms_up_and_ends_at_zero() -> None:
    assert cosine(0, 1000) == pytest.approx(0.01)
    assert cosine(100, 1000) == pytest.approx(1.0)
    assert cosine(550, 1000) == pytest.approx(0.5)
    assert cosine(999, 1000) < 1e-5


def test_cards_say_what_was_measured(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    cards.note(
        tmp_path,
        "clip",
        {"scores": {"count": 0.93751}, "seconds": 600, "threads": 1, "device": "cpu"},
    )
    cards.note(
        tmp_path, "autoencoder", {"scores": {}, "seconds": 60, "threads": 1, "device": "cpu"}
    )
    card = (tmp_path / "clip" / "README.md").read_text()
    assert "| count | 0.938 |" in card
    assert "10 minutes" in card
    assert set(json.loads((tmp_path / "scores.json").read_text())) == {"clip", "autoencoder"}


def test_stated_contents_say_no_more_than_the_caption() -> None:
    two, relation = all_captions("two_object")[0], all_captions("position")[0]
    found = stated_contents([two, relation])
    assert found.there.sum(1).tolist() == [2, 2]
    assert (found.colours == -100).all()
    assert found.places[0].isnan().all()
    first, second = (found.places[1, SHAPES.index(shape)] for shape in relation.shapes)
    assert relation.relation == "left of"
    assert first[0] < second[0]
    assert first[1] == second[1]


def test_a_halved_adapter_is_the_same_adapter_in_float16(tmp_path: Path) -> None:
    adapter = WEIGHTS / "hypernoise"
    halve(adapter, tmp_path / "halved")
    before, after = (
        load_file(folder / "adapter_model.safetensors") for folder in (adapter, tmp_path / "halved")
    )
    assert {tensor.dtype for tensor in after.values()} == {torch.float16}
    assert all(torch.equal(before[name].half(), after[name]) for name in before)
    assert (tmp_path / "halved" / "hnbench.json").read_text() == (
        adapter / "hnbench.json"
    ).read_text()
