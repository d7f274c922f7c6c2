"""Folders, repositories and options: what is loaded, what it is known by, and what is refused."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hnbench.errors import UsageError
from hnbench.generators import assembly, sources
from hnbench.generators.pixart import PixArtGenerator
from hnbench.generators.sources import FAMILIES, PublishedGenerator, load_by_place, load_folder
from hnbench.weights import hub
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
    generator = load_folder(
        folders[name], name="mine", device="cpu", dtype="float32", **tiny.FAMILIES[name].options
    )
    assert type(generator) is FAMILIES[named]
    assert generator.name == "mine"
    assert generator.details["folder"] == str(folders[name])


def test_a_cached_repository_is_loaded_and_its_commit_recorded(
    cache: Path, folders: Folders
) -> None:
    put(cache, "owner/turbo", folders["stable-diffusion"])
    generator = load_by_place("owner/turbo", device="cpu", dtype="float32")
    assert generator.details["pipeline"] == f"owner/turbo@{COMMIT}"
    assert (
        generator.fingerprint
        != load_folder(
            folders["stable-diffusion"], name="x", device="cpu", dtype="float32"
        ).fingerprint
    )
    assert (
        load_by_place(f"owner/turbo@{COMMIT}", device="cpu", dtype="float32").fingerprint
        == generator.fingerprint
    )


def test_only_the_parts_that_are_used_are_asked_for(
    cache: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cache, "owner/turbo", folders["stable-diffusion"])
    asked: list[hub.Source] = []

    def download(source: hub.Source) -> Path:
        asked.append(source)
        return real(source)

    real = hub.download
    monkeypatch.setattr(hub, "download", download)
    load_by_place("owner/turbo", device="cpu", dtype="float32")
    index, parts = asked
    assert (index.files, index.revision, parts.revision) == (("model_index.json",), "main", COMMIT)
    there = {pattern.split("/")[0] for pattern in parts.files}
    assert there == {"model_index.json", "scheduler", "text_encoder", "tokenizer", "unet", "vae"}


REAL = [
    "model_index.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.bin",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "text_encoder/model.fp16.safetensors",
    "text_encoder/pytorch_model.bin",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "safety_checker/model.safetensors",
]


@pytest.mark.parametrize(
    ("dtype", "variant"), [("float32", ""), ("float16", ".fp16"), ("bfloat16", ".fp16")]
)
def test_of_each_part_one_kind_of_weights_is_fetched(dtype: str, variant: str) -> None:
    kinds = {"unet": "weights", "text_encoder": "weights", "tokenizer": "tokenizer"}
    source = sources._files(hub.Source("o/r"), kinds, dtype)  # type: ignore[arg-type]
    weights = [
        f"unet/diffusion_pytorch_model{variant}.safetensors",
        f"text_encoder/model{variant}.safetensors",
    ]
    texts = [
        "unet/config.json",
        "text_encoder/config.json",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
    ]
    assert set(hub.select(source, REAL)) == {*weights, *texts}
    pickled = [name for name in REAL if not name.endswith(".safetensors")]
    assert "unet/diffusion_pytorch_model.bin" in hub.select(source, pickled)
    with pytest.raises(UsageError, match=r"o/r has no unet/diffusion_pytorch_model"):
        hub.select(source, [name for name in REAL if "unet/diffusion" not in name])


def half(folder: Path) -> None:
    for path in (
        *folder.glob("*/model.safetensors"),
        *folder.glob("*/diffusion_pytorch_model.safetensors"),
    ):
        path.rename(path.with_name(path.name.replace(".safetensors", ".fp16.safetensors")))


def test_half_precision_takes_the_published_variant(cache: Path, folders: Folders) -> None:
    half(put(cache, "owner/turbo", folders["stable-diffusion"]))
    made = PublishedGenerator("turbo", "owner/turbo")(device="cpu", dtype="bfloat16")
    assert made.dtype == torch.bfloat16
    assert made.details["variants"] == {"text_encoder": "fp16", "unet": "fp16", "vae": "fp16"}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_folder_that_has_the_variant_alone_is_loaded_and_known_as_such(
    folders: Folders, tmp_path: Path, dtype: str
) -> None:
    copied = shutil.copytree(folders["stable-diffusion"], tmp_path / "copied")
    plain = load_folder(copied, name="x", device="cpu", dtype=dtype)
    half(copied)
    variant = load_folder(copied, name="x", device="cpu", dtype=dtype)
    assert torch.equal(next(variant.backbone.parameters()), next(plain.backbone.parameters()))
    assert variant.fingerprint != plain.fingerprint


def pickled(folder: Path, part: str) -> None:
    """Have a part of a folder as `.bin` alone, as some repositories do."""
    path = folder / part / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(path), path.with_suffix(".bin"))
    path.unlink()


def test_weights_that_are_pickled_are_read_as_weights_alone(
    folders: Folders, tmp_path: Path
) -> None:
    copied = shutil.copytree(folders["pixart"], tmp_path / "copied")
    pickled(copied, "transformer")
    expected = load_folder(
        folders["pixart"], name="x", device="cpu", dtype="float32"
    ).backbone.state_dict()
    found = load_folder(copied, name="x", device="cpu", dtype="float32").backbone.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    (copied / "transformer" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(print))
    with pytest.raises(
        UsageError, match=r"copied/transformer cannot be loaded as a PixArtTransformer2DModel"
    ):
        load_folder(copied, name="x", device="cpu", dtype="float32")


@pytest.mark.parametrize(
    ("family", "part", "file"),
    [
        ("stable-diffusion", "unet", "diffusion_pytorch_model.safetensors"),
        ("stable-diffusion", "vae", "diffusion_pytorch_model.safetensors"),
        ("stable-diffusion", "text_encoder", "model.safetensors"),
        ("stable-diffusion-xl", "text_encoder_2", "model.safetensors"),
        ("sana-sprint", "transformer", "diffusion_pytorch_model.safetensors"),
        ("sana-sprint", "text_encoder", "model.safetensors"),
        ("pixart", "text_encoder", "model.safetensors"),
        ("flux", "transformer", "diffusion_pytorch_model.safetensors"),
    ],
)
def test_a_part_that_lacks_a_tensor_is_refused_and_not_filled_with_random_numbers(
    family: str, part: str, file: str, folders: Folders, tmp_path: Path
) -> None:
    copied = shutil.copytree(folders[family], tmp_path / "copied")
    weights = load_file(copied / part / file)
    lost = next(
        name
        for name in weights
        if name.endswith(
            ("norm.weight", "proj.weight", "q.weight", "conv_in.weight", "norm1.weight")
        )
    )
    save_file(
        {name: value for name, value in weights.items() if name != lost},
        copied / part / file,
        metadata={"format": "pt"},
    )
    with pytest.raises(UsageError, match=rf"copied/{part}.* 1 missing"):
        load_folder(
            copied, name="x", device="cpu", dtype="float32", **tiny.FAMILIES[family].options
        )


@pytest.mark.parametrize("part", ["unet", "tokenizer", "scheduler", "vae"])
def test_a_part_without_its_files_is_refused(part: str, cache: Path, folders: Folders) -> None:
    snapshot = put(cache, "owner/turbo", folders["stable-diffusion"])
    shutil.rmtree(snapshot / part)
    with pytest.raises(
        UsageError,
        match=rf"only a part of owner/turbo@{COMMIT} is in the local cache \(it has no {part}/",
    ):
        load_by_place("owner/turbo", device="cpu", dtype="float32")


@pytest.mark.parametrize("family", ["sana-sprint", "flux", "z-image", "flux2-klein"])
def test_float16_leaves_text_encoders_and_decoder_what_they_need(
    family: str, folders: Folders
) -> None:
    options = tiny.FAMILIES[family].options
    made = load_folder(folders[family], name="x", device="cpu", dtype="float16", **options)
    assert made.dtype == torch.float16
    assert made.decoder.dtype == torch.float32
    assert {encoder.dtype for encoder in made.text_encoders} == {torch.bfloat16}
    conditioning = made.encode(["a ring"])
    assert conditioning.tensors["hidden_states"].dtype == torch.float16
    image = made.generate(
        torch.randn(1, *made.noise_shape, generator=torch.Generator().manual_seed(0)), conditioning
    )
    assert bool(image.isfinite().all())
    full = load_folder(folders[family], name="x", device="cpu", dtype="bfloat16", **options)
    assert {full.decoder.dtype, *(encoder.dtype for encoder in full.text_encoders)} == {
        torch.bfloat16
    }
    assert made.fingerprint != full.fingerprint
    assert made.details["computes"]["vae"] == "torch.float32"


def test_a_tokenizer_without_its_packages_says_which(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a vocabulary of sentencepiece alone, as PixArt's repository has it, and neither sentencepiece
    # nor protobuf installed
    copied = shutil.copytree(folders["pixart"], tmp_path / "copied")
    for path in (copied / "tokenizer").iterdir():
        path.unlink()
    (copied / "tokenizer" / "spiece.model").write_bytes(b"not read")
    (copied / "tokenizer" / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "T5Tokenizer"})
    )
    index = json.loads((copied / "model_index.json").read_text())
    (copied / "model_index.json").write_text(
        json.dumps({**index, "tokenizer": ["transformers", "T5Tokenizer"]})
    )
    monkeypatch.setattr(assembly, "_importable", lambda _: False)

    def tiktoken(*_: object, **__: object) -> None:
        raise ValueError("`tiktoken` is required to read a `tiktoken` file.")

    monkeypatch.setattr("transformers.T5Tokenizer.from_pretrained", tiktoken)
    with pytest.raises(
        UsageError,
        match=(
            "its tokenizer needs the packages sentencepiece and protobuf; type pip install"
            " sentencepiece protobuf"
        ),
    ):
        load_folder(copied, name="x", device="cpu", dtype="float32")


def test_pixart_dmd_has_transformer_and_scheduler_of_its_own(cache: Path, folders: Folders) -> None:
    put(cache, "base/pixart", folders["pixart-lcm"])
    with tiny.seeded(1):
        other = tiny.pixart()
    folder = cache.parent / "dmd"
    other.transformer.save_pretrained(folder / "transformer")
    other.scheduler.save_pretrained(folder / "scheduler")
    config = folder / "transformer" / "config.json"
    config.write_text(
        json.dumps({**json.loads(config.read_text()), "_class_name": "Transformer2DModel"})
    )  # as it was published
    put(cache, "other/dmd", folder, commit=COMMIT[::-1])
    made = PublishedGenerator(
        "dmd", "base/pixart", replaced=dict.fromkeys(("transformer", "scheduler"), "other/dmd")
    )(device="cpu", dtype="float32")
    assert isinstance(made, PixArtGenerator)
    assert made.details["transformer"] == f"other/dmd@{COMMIT[::-1]}"
    assert made.details["pipeline"] == f"base/pixart@{COMMIT}"
    assert type(made.scheduler).__name__ == "DDPMScheduler"
    assert type(made.backbone).__name__ == "PixArtTransformer2DModel"


def test_the_fingerprint_follows_what_decides_the_image(folders: Folders) -> None:
    def known_by(name: str, **options: object) -> str:
        return load_folder(
            folders[name], name="any", device="cpu", dtype="float32", **options
        ).fingerprint

    assert (
        known_by("stable-diffusion", image_size=16)
        == known_by("stable-diffusion")
        == known_by("stable-diffusion", memory=("offload-text",))
    )
    assert known_by("stable-diffusion", image_size=32) != known_by("stable-diffusion")
    assert (
        known_by("sana-sprint", prompt_prefix=False)
        == known_by("sana-sprint")
        != known_by("sana-sprint", prompt_prefix=True)
    )


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "stable-diffusion",
            {"image_size": 17},
            "`image_size` was 17; any needs a multiple of 2, for example 16",
        ),
        (
            "sana-sprint",
            {"image_size": 33},
            "`image_size` was 33; any needs a multiple of 2, for example 32",
        ),
        (
            "flux",
            {"image_size": 18},
            "`image_size` was 18; any needs a multiple of 4, for example 512",
        ),
        (
            "pixart",
            {"image_size": 18},
            "`image_size` was 18; any needs a multiple of 4, for example 16",
        ),
        ("flux", {"image_size": 0}, "`image_size` was 0"),
        (
            "flux",
            {"max_sequence_length": 513},
            "`max_sequence_length` was 513; any reads 1 to 512 tokens",
        ),
        (
            "flux",
            {"intermediate_timesteps": "even"},
            "any has no choice of intermediate timesteps; leave out `intermediate_timesteps`",
        ),
        (
            "sana-sprint",
            {"max_sequence_length": 256},
            "any has only one text length; leave out `max_sequence_length`",
        ),
        (
            "flux",
            {"prompt_prefix": False},
            "any has no prompt prefix; leave out `prompt_prefix`",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(
    name: str, options: dict[str, object], message: str, folders: Folders
) -> None:
    with pytest.raises(UsageError, match=message):
        load_folder(folders[name], name="any", device="cpu", dtype="float32", **options)


def test_an_unsupported_family_is_refused_by_name(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "KandinskyPipeline"}')
    with pytest.raises(
        UsageError,
        match="is a KandinskyPipeline, which is not supported; give one of: Flux2KleinPipeline, ",
    ):
        load_by_place(str(tmp_path), device="cpu", dtype="float32")


def test_a_guided_flux_is_refused(tmp_path: Path) -> None:
    tiny.flux(guidance_embeds=True).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=r"takes a guidance scale, as FLUX.1-dev does"):
        load_by_place(str(tmp_path), device="cpu", dtype="float32")


def test_a_klein_that_is_not_distilled_is_refused(tmp_path: Path) -> None:
    tiny.flux2_klein(distilled=False).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=r"is not distilled .* as FLUX.2-klein-base does"):
        load_by_place(str(tmp_path), device="cpu", dtype="float32")


def test_damaged_folders_are_refused(folders: Folders, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"holds no diffusers pipeline \(there is no model_index.json in it\)"
    ):
        load_by_place(str(tmp_path), device="cpu", dtype="float32")
    (tmp_path / "model_index.json").write_text("[")
    with pytest.raises(UsageError, match=r"model_index.json cannot be read"):
        load_by_place(str(tmp_path), device="cpu", dtype="float32")
    copied = shutil.copytree(folders["stable-diffusion"], tmp_path / "copied")
    (copied / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UsageError, match="copied/unet cannot be loaded as a UNet2DConditionModel"):
        load_by_place(str(copied), device="cpu", dtype="float32")


@pytest.mark.usefixtures("cache")
def test_without_network_and_cache_the_fix_is_named() -> None:
    with pytest.raises(
        UsageError,
        match=(
            "stabilityai/sd-turbo is not in the local cache and HF_HUB_OFFLINE forbids asking the"
            " Hub; unset it"
        ),
    ):
        sources.SD_TURBO(device="cpu", dtype="float32")
