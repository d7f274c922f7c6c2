"""The model card: its front matter, its curves, and its snippet, which is run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from hnbench.api.training_page import with_page
from hnbench.generators.sources import (
    FLUX2_KLEIN,
    FLUX_SCHNELL,
    SD3_5_LARGE_TURBO,
    SD_TURBO,
    SDXL_TURBO,
    Z_IMAGE_TURBO,
)
from hnbench.generators.stable_diffusion import StableDiffusionGenerator
from hnbench.generators.stable_diffusion_xl import StableDiffusionXLGenerator
from hnbench.hypernetwork.card import add_curves, base_of, model_card
from hnbench.hypernetwork.checkpoint import check_whole, describe_adapter
from hnbench.hypernetwork.config import TrainingConfig
from hnbench.hypernetwork.trainer import Trainer, _origin_of
from hnbench.rewards.base import Mixture
from hnbench.rewards.redness import Redness
from hnbench.seeds import digest
from tests.hypernetwork.test_trainer import Spectator
from tests.hypernetwork.tiny import config
from tests.tiny import FAMILIES, PROMPTS

COMMIT = "c" * 40


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of a pipeline, as a snapshot of the Hub, and one of a training on it."""
    folder = tmp_path_factory.mktemp("world")
    base = folder / "models--owner--turbo" / "snapshots" / COMMIT
    FAMILIES["stable-diffusion"].save(base)
    # As a generator of a repository is loaded.
    source = {"pipeline": f"owner/turbo@{COMMIT}"}
    generator = StableDiffusionGenerator.from_folder(
        base, name="turbo", fingerprint=digest(source), source=source
    )
    values: dict[str, Any] = {"rewards": {"redness": 1.0}, "generator": "turbo", "steps": 1}
    wanted: TrainingConfig = config(**values, batch_size=1, eval_samples=1)
    reward, out = Mixture({"redness": (Redness(), 1.0)}), folder / "out"
    with with_page(out, 1, Spectator(), main=True) as progress:
        Trainer(wanted, generator, reward, PROMPTS, out).train(progress)
    return base, out / "adapter"


def front_of(card: str) -> dict[str, Any]:
    yaml: Any = pytest.importorskip("yaml")
    found: dict[str, Any] = yaml.safe_load(card.split("---\n", 2)[1])
    return found


def test_the_card_of_a_regression_says_how_its_pairs_were_made(world: tuple[Path, Path]) -> None:
    own = {"pairs": 12, "reno_iterations": 30, "reno_learning_rate": 2.5}
    described = {**describe_adapter(world[1]), "kind": "regression"}
    described["config"] = {**described["config"], **own}
    card = model_card(described, dense=False, by_diffusers=None)
    assert "| pairs | 12, by ReNO with 30 iterations and learning rate 2.5 |" in card
    assert "trained by regression: it predicts the change that ReNO" in card
    assert "hnbench.load_hypernetwork(" in card
    assert "low-rank delta only, without base output and bias" in card
    assert front_of(card)["tags"][-1] == "test-time-optimization"
    other = (world[1] / "README.md").read_text()
    assert "| pairs |" not in other


def test_the_front_matter(world: tuple[Path, Path]) -> None:
    card = (world[1] / "README.md").read_text()
    assert front_of(card) == {
        "base_model": "owner/turbo",
        "base_model_relation": "adapter",
        "library_name": "peft",
        "pipeline_tag": "text-to-image",
        "tags": ["lora", "text-to-image", "noise-hypernetwork", "test-time-optimization"],
        "metrics": ["redness"],
    }
    evaluation = describe_adapter(world[1])["evaluation"]
    row = f"| {evaluation['reward']:.4g} | {evaluation['base_reward']:.4g} | "
    assert row in card


def test_the_curves_are_in_the_card(world: tuple[Path, Path]) -> None:
    adapter = world[1]
    card = (adapter / "README.md").read_text()
    assert card.count("![The training's curves](curves.png)") == 1
    with Image.open(adapter / "curves.png") as picture:
        assert picture.format == "PNG"
    add_curves(adapter, (adapter / "curves.png").read_bytes())
    assert (adapter / "README.md").read_text() == card
    check_whole(adapter)


def test_the_snippet_makes_an_image(
    world: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, adapter = world
    (snippet,) = re.findall(r"```python\n(.*?)```", (adapter / "README.md").read_text(), re.DOTALL)
    assert f'from_pretrained("owner/turbo", revision="{COMMIT}")' in snippet
    monkeypatch.chdir(tmp_path)
    Path("THIS").symlink_to(adapter)
    snippet = snippet.replace(f'"owner/turbo", revision="{COMMIT}"', f'"{base}"')
    found: dict[str, Any] = {}
    with torch.random.fork_rng(devices=[]):
        exec(snippet, found)  # noqa: S102
    assert found["image"].size == (16, 16)


def test_a_base_that_is_not_on_the_hub(world: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(world[1], tmp_path / "adapter")
    described = describe_adapter(tmp_path / "adapter")
    described["generator"] |= {"base": "", "dtype": "torch.bfloat16"}
    card = model_card(described, dense=False, by_diffusers=None)
    assert "base_model" not in front_of(card)
    assert 'from_pretrained("BASE", dtype=torch.bfloat16)' in card
    assert "BASE is the folder of the generator above." in card


@pytest.mark.parametrize(
    ("generator", "licence"),
    [
        ({"name": "flux-schnell", "base": f"{FLUX_SCHNELL.pipeline}@abc"}, ["apache-2.0"]),
        ({"name": "flux2-klein", "base": f"{FLUX2_KLEIN.pipeline}@abc"}, ["apache-2.0"]),
        (
            {"name": "anything", "base": f"{SD3_5_LARGE_TURBO.pipeline}@abc"},
            [
                "other",
                "stabilityai-ai-community",
                f"https://huggingface.co/{SD3_5_LARGE_TURBO.pipeline}/blob/main/LICENSE.md",
            ],
        ),
        ({"name": "z-image-turbo", "base": f"{Z_IMAGE_TURBO.pipeline}@abc"}, ["apache-2.0"]),
        (
            {"name": "anything", "base": SDXL_TURBO.pipeline},
            [
                "other",
                "sai-nc-community",
                "https://huggingface.co/stabilityai/sdxl-turbo/blob/main/LICENSE.md",
            ],
        ),
        ({"name": "sdxl-dmd2", "base": "tianweiy/DMD2@abc", "changed": True}, ["cc-by-nc-4.0"]),
        ({"name": "shapes", "base": ""}, ["mit"]),
        ({"name": "shapes", "base": "owner/shapes"}, []),
        ({"name": "sd-turbo", "base": SD_TURBO.pipeline}, []),
        ({"name": "a folder", "base": ""}, []),
    ],
    ids=str,
)
def test_the_licence_is_that_of_the_base_if_it_is_known(
    world: tuple[Path, Path], generator: dict[str, str], licence: list[str]
) -> None:
    described = {**describe_adapter(world[1])}
    described["generator"] = {**described["generator"], **generator}
    front = front_of(model_card(described, dense=False, by_diffusers=None))
    names = ("license", "license_name", "license_link")
    assert [front[name] for name in names if name in front] == licence


def test_a_pipeline_of_several_places_has_no_call_that_loads_it(world: tuple[Path, Path]) -> None:
    described = describe_adapter(world[1])
    origin = {"base": "owner/name@abc", "pipeline": "StableDiffusionXLPipeline"}
    for changed in (False, True):
        generator = {**described["generator"], **origin, "changed": changed}
        card = model_card({**described, "generator": generator}, dense=False, by_diffusers=None)
        assert ('from_pretrained("owner/name"' in card) == (not changed)


@pytest.mark.parametrize(
    ("details", "base", "changed"),
    [
        ({"pipeline": f"o/base@{COMMIT}"}, f"o/base@{COMMIT}", False),
        (
            {"pipeline": f"o/base@{COMMIT}", "unet": f"o/r/a/unet.bin@{COMMIT[::-1]}"},
            f"o/r@{COMMIT[::-1]}",
            True,
        ),
        ({"pipeline": f"o/base@{COMMIT}", "lora": f"o/l/x.bin@{COMMIT}"}, f"o/base@{COMMIT}", True),
        ({"pipeline": "/home/somebody/base", "unet": "mine/of/secret/unet.bin"}, "", True),
    ],
)
def test_the_base_is_the_repository_of_the_backbone(
    details: dict[str, str], base: str, changed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = object.__new__(StableDiffusionXLGenerator)
    monkeypatch.setattr(StableDiffusionXLGenerator, "details", details)
    found = _origin_of(generator)
    assert (found["base"], found.get("changed", False)) == (base, changed)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("owner/name@abc", ("owner/name", "abc")),
        ("owner/name", ("owner/name", "")),
        ("/home/me/model", ("", "")),
        ("owner/name\nlicense: mit", ("", "")),
        ('owner/name"', ("", "")),
        ("", ("", "")),
    ],
)
def test_only_a_repository_is_a_base(given: str, found: tuple[str, str]) -> None:
    assert base_of({"base": given}) == found
