"""Folders, repositories and options: what is loaded, what it is known by, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from hnbench import hub
from hnbench.errors import UsageError
from hnbench.generators import sources
from hnbench.generators.pixart import PixArtGenerator
from hnbench.generators.sources import FAMILIES, Published, load_by_place, load_folder
from tests import tiny

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Folders = dict[str, Path]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hub's files, and no network."""
    folder = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return folder


def put(cache: Path, repository: str, folder: Path, commit: str = COMMIT) -> Path:
    """Have a folder lie in the cache as if it had been downloaded."""
    root = cache / f"models--{repository.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(commit)
    shutil.copytree(folder, root / "snapshots" / commit)
    return root / "snapshots" / commit


@pytest.mark.parametrize("name", tiny.FAMILIES)
def test_the_family_is_read_from_the_index(name: str, folders: Folders) -> None:
    named = json.loads((folders[name] / "model_index.json").read_text())["_class_name"]
    generator = load_folder(folders[name], name="mine", device="cpu", dtype="float32", **tiny.FAMILIES[name].options)
    assert type(generator) is FAMILIES[named]
    assert generator.name == "mine"
    assert generator.details["folder"] == str(folders[name])


def test_a_cached_repository_is_loaded_and_its_commit_recorded(cache: Path, folders: Folders) -> None:
    put(cache, "owner/turbo", folders["stable-diffusion"])
    generator = load_by_place("owner/turbo", device="cpu", dtype="float32")
    assert generator.details["pipeline"] == f"owner/turbo@{COMMIT}"
    assert generator.fingerprint != load_folder(folders["stable-diffusion"], name="x", device="cpu", dtype="float32").fingerprint
    assert load_by_place(f"owner/turbo@{COMMIT}", device="cpu", dtype="float32").fingerprint == generator.fingerprint


def test_only_the_parts_that_are_used_are_asked_for(cache: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    put(cache, "owner/turbo", folders["stable-diffusion"])
    asked: list[hub.Source] = []

    def download(source: hub.Source) -> Path:
        asked.append(source)
        return real(source)

    real = hub.download
    monkeypatch.setattr(hub, "download", download)
    load_by_place("owner/turbo", device="cpu", dtype="float32")
    index, parts = asked
    assert (index.patterns, index.revision, parts.revision) == (("model_index.json",), "main", COMMIT)
    assert {pattern.split("/")[0] for pattern in parts.patterns} == {
        "model_index.json",
        "scheduler",
        "text_encoder",
        "tokenizer",
        "unet",
        "vae",
    }
    assert "unet/diffusion_pytorch_model.safetensors" in parts.patterns
    assert not [pattern for pattern in parts.patterns if "fp16" in pattern or pattern.endswith(".bin")]


def test_half_precision_takes_the_published_variant(cache: Path, folders: Folders) -> None:
    snapshot = put(cache, "owner/turbo", folders["stable-diffusion"])
    for path in (*snapshot.glob("*/model.safetensors"), *snapshot.glob("*/diffusion_pytorch_model.safetensors")):
        path.rename(path.with_name(path.name.replace(".safetensors", ".fp16.safetensors")))
    published = Published("turbo", "owner/turbo", half_variant="fp16")
    assert published(device="cpu", dtype="bfloat16").dtype == torch.bfloat16
    with pytest.raises(UsageError, match="cannot be loaded as a StableDiffusionPipeline"):
        published(device="cpu", dtype="float32")


def test_pixart_dmd_has_transformer_and_scheduler_of_its_own(cache: Path, folders: Folders) -> None:
    put(cache, "base/pixart", folders["pixart-lcm"])
    with tiny.seeded(1):
        other = tiny.pixart()
    folder = cache.parent / "dmd"
    other.transformer.save_pretrained(folder / "transformer")
    other.scheduler.save_pretrained(folder / "scheduler")
    config = folder / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "_class_name": "Transformer2DModel"}))  # as it was published
    put(cache, "other/dmd", folder, commit=COMMIT[::-1])
    made = Published("dmd", "base/pixart", replaced=dict.fromkeys(("transformer", "scheduler"), "other/dmd"))(device="cpu", dtype="float32")
    assert isinstance(made, PixArtGenerator)
    assert made.details["transformer"] == f"other/dmd@{COMMIT[::-1]}"
    assert made.details["pipeline"] == f"base/pixart@{COMMIT}"
    assert type(made.scheduler).__name__ == "DDPMScheduler"
    assert type(made.backbone).__name__ == "PixArtTransformer2DModel"


def test_the_fingerprint_follows_what_decides_the_image(folders: Folders) -> None:
    def known_by(name: str, **options: object) -> str:
        return load_folder(folders[name], name="any", device="cpu", dtype="float32", **options).fingerprint

    assert (
        known_by("stable-diffusion", image_size=16)
        == known_by("stable-diffusion")
        == known_by("stable-diffusion", memory=("offload-text",))
    )
    assert known_by("stable-diffusion", image_size=32) != known_by("stable-diffusion")
    assert known_by("sana-sprint", prompt_prefix=False) == known_by("sana-sprint") != known_by("sana-sprint", prompt_prefix=True)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("stable-diffusion", {"image_size": 17}, "the image size was 17; any needs a multiple of 2, for example 16"),
        ("sana-sprint", {"image_size": 33}, "the image size was 33; any needs a multiple of 2, for example 32"),
        ("flux", {"image_size": 18}, "the image size was 18; any needs a multiple of 4, for example 512"),
        ("pixart", {"image_size": 18}, "the image size was 18; any needs a multiple of 4, for example 16"),
        ("flux", {"image_size": 0}, "the image size was 0"),
        ("flux", {"prompt_prefix": False}, "any has no prompt prefix; leave --prompt-prefix and --no-prompt-prefix out"),
    ],
)
def test_options_that_do_not_fit_are_refused(name: str, options: dict[str, object], message: str, folders: Folders) -> None:
    with pytest.raises(UsageError, match=message):
        load_folder(folders[name], name="any", device="cpu", dtype="float32", **options)


def test_an_unsupported_family_is_refused_by_name(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "KandinskyPipeline"}')
    with pytest.raises(UsageError, match="is a KandinskyPipeline, which is not supported; these are: FluxPipeline, PixArt"):
        load_by_place(str(tmp_path), device="cpu", dtype="float32")


def test_a_guided_flux_is_refused(tmp_path: Path) -> None:
    tiny.flux(guidance_embeds=True).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=r"takes a guidance scale, as FLUX.1-dev does"):
        load_by_place(str(tmp_path), device="cpu", dtype="float32")


def test_damaged_folders_are_refused(folders: Folders, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no diffusers pipeline \(there is no model_index.json in it\)"):
        load_by_place(str(tmp_path), device="cpu", dtype="float32")
    (tmp_path / "model_index.json").write_text("[")
    with pytest.raises(UsageError, match=r"model_index.json cannot be read"):
        load_by_place(str(tmp_path), device="cpu", dtype="float32")
    copied = shutil.copytree(folders["stable-diffusion"], tmp_path / "copied")
    (copied / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UsageError, match="copied cannot be loaded as a StableDiffusionPipeline"):
        load_by_place(str(copied), device="cpu", dtype="float32")


@pytest.mark.usefixtures("cache")
def test_without_network_and_cache_the_fix_is_named() -> None:
    with pytest.raises(UsageError, match="stabilityai/sd-turbo is not in the local cache and the Hub cannot be reached"):
        sources.SD_TURBO(device="cpu", dtype="float32")
