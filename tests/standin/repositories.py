"""Repositories with the file names of the published ones, filled with small random weights of the
real classes.

The names follow public listings of 2025 and 2026. Where none was seen, the repository has what its
kind usually has, and that is said. Beside what is used lies what real repositories have besides:
cards, other frameworks' weights, other variants.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler
from safetensors.torch import load_file, save_file
from torchvision.models import alexnet
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Qwen3ForCausalLM,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from hnbench.generators.sources import load_folder
from hnbench.rewards import open_clip
from tests import tiny
from tests.generators import distilled
from tests.hypernetwork import official
from tests.measures import test_transformer as features
from tests.measures import vision_language_models
from tests.rewards import tiny as rewards
from tests.suites import mask2former
from tests.suites.t2i_compbench import tiny as compbench

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def add(
    root: Path, repo: str, build: Callable[[Path], Any], *others: str, revision: str = "main"
) -> Path:
    """A model repository, with files besides that nothing here reads."""
    folder = root / "models" / repo / revision.replace("/", "--")
    folder.mkdir(parents=True, exist_ok=True)
    build(folder)
    for name in ("README.md", ".gitattributes", *others):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("of no use here\n")
    return folder


def pickled(folder: Path, safe: str = "model.safetensors", name: str = "pytorch_model.bin") -> None:
    """Have a folder's weights in a file of `torch.save`, and not as safetensors."""
    torch.save(load_file(folder / safe), folder / name)
    (folder / safe).unlink()


def half_variant(folder: Path) -> None:
    """Add the fp16 variant beside every file of weights."""
    for path in [*folder.glob("*/*.safetensors")]:
        tensors = {
            name: value.half() if value.is_floating_point() else value
            for name, value in load_file(path).items()
        }
        save_file(tensors, path.with_name(f"{path.stem}.fp16.safetensors"), {"format": "pt"})


def sharded(folder: Path, stem: str, count: int) -> None:
    """Have a folder's weights in so many shards with an index."""
    path = folder / f"{stem}.safetensors"
    tensors = load_file(path)
    path.unlink()
    names = sorted(tensors)
    shards = {
        f"{stem}-{number + 1:05d}-of-{count:05d}.safetensors": names[number::count]
        for number in range(count)
    }
    for name, chosen in shards.items():
        save_file({each: tensors[each] for each in chosen}, folder / name, {"format": "pt"})
    index = {
        "metadata": {"total_size": 1},
        "weight_map": {each: name for name, chosen in shards.items() for each in chosen},
    }
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index))


def indexed(folder: Path, **parts: list[str]) -> None:
    """Change parts of a pipeline's index."""
    path = folder / "model_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **parts}))


# Text: CLIP's vocabulary in two files, T5's as a model of sentencepiece.


def clip_text(folder: Path, number: str = "", kind: type[Any] = CLIPTextModel) -> None:
    """A pipeline's CLIP, whose tokenizer has `vocab.json` and `merges.txt` and no
    `tokenizer.json`.
    """
    tokenizer, encoder = folder / f"tokenizer{number}", folder / f"text_encoder{number}"
    for place in (tokenizer, encoder):
        shutil.rmtree(place, ignore_errors=True)
    tokenizer.mkdir()
    words = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    (tokenizer / "vocab.json").write_text(
        json.dumps({word: place for place, word in enumerate(words)})
    )
    (tokenizer / "merges.txt").write_text("#version: 0.2\n")
    marks = {
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "!",
    }
    (tokenizer / "special_tokens_map.json").write_text(json.dumps(marks))
    (tokenizer / "tokenizer_config.json").write_text(
        json.dumps({**marks, "tokenizer_class": "CLIPTokenizer", "model_max_length": 40})
    )
    assert len(CLIPTokenizer.from_pretrained(tokenizer)("ab").input_ids) == 4
    config = CLIPTextConfig(
        vocab_size=len(words) + 1,  # "!" comes on top here
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=40,
        projection_dim=16,
        bos_token_id=52,
        eos_token_id=53,
    )
    kind(config).save_pretrained(encoder)
    indexed(
        folder,
        **{
            f"tokenizer{number}": ["transformers", "CLIPTokenizer"],
            f"text_encoder{number}": ["transformers", kind.__name__],
        },
    )


def t5_text(folder: Path, number: str = "", *, fast: bool, width: int = 16) -> None:
    """A pipeline's T5: `spiece.model`, and `tokenizer.json` only where the tokenizer is `fast`."""
    tokenizer, encoder = folder / f"tokenizer{number}", folder / f"text_encoder{number}"
    for place in (tokenizer, encoder):
        shutil.rmtree(place, ignore_errors=True)
    tokenizer.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(LETTERS), *tiny.PROMPTS] * 20),
        model_prefix=str(tokenizer / "spiece"),
        vocab_size=36,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    (tokenizer / "spiece.vocab").unlink()
    marks = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    (tokenizer / "special_tokens_map.json").write_text(json.dumps(marks))
    (tokenizer / "added_tokens.json").write_text("{}")
    settings = {**marks, "tokenizer_class": "T5Tokenizer", "extra_ids": 0, "model_max_length": 512}
    (tokenizer / "tokenizer_config.json").write_text(json.dumps(settings))
    made = T5Tokenizer.from_pretrained(tokenizer)
    if fast:
        made.backend_tokenizer.save(str(tokenizer / "tokenizer.json"))
    sizes = {"d_model": width, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    T5EncoderModel(
        T5Config(vocab_size=len(made), **sizes, feed_forward_proj="gated-gelu", pad_token_id=0)
    ).save_pretrained(encoder)
    name = "T5TokenizerFast" if fast else "T5Tokenizer"
    indexed(
        folder,
        **{
            f"tokenizer{number}": ["transformers", name],
            f"text_encoder{number}": ["transformers", "T5EncoderModel"],
        },
    )


# Generators.


def sd_turbo(folder: Path) -> None:
    with tiny.seeded():
        tiny.stable_diffusion().save_pretrained(folder)
        clip_text(folder)
    half_variant(folder)


def sdxl_turbo(folder: Path) -> None:
    with tiny.seeded():
        tiny.stable_diffusion_xl().save_pretrained(folder)
        clip_text(folder)
        clip_text(folder, "_2", CLIPTextModelWithProjection)
    half_variant(folder)


def sdxl_base(folder: Path) -> None:
    with tiny.seeded():
        distilled.save_base(folder)
        clip_text(folder)
        clip_text(folder, "_2", CLIPTextModelWithProjection)
    half_variant(folder)


def distilled_sdxl(root: Path) -> None:
    """SDXL base, and what was distilled from it: UNets and LoRAs, each in one file. Which of the
    names of tensors a LoRA has was not seen; here they are kohya's, but for one repository.
    """
    add(
        root,
        "stabilityai/stable-diffusion-xl-base-1.0",
        sdxl_base,
        "sd_xl_base_1.0.safetensors",
        "unet/model.onnx",
        "vae_1_0/config.json",
    )
    files: dict[str, tuple[Callable[[Path], Path], ...]] = {
        "tianweiy/DMD2": (
            lambda folder: distilled.save_unet(folder / "dmd2_sdxl_1step_unet_fp16.bin", 5),
            lambda folder: distilled.save_unet(folder / "dmd2_sdxl_4step_unet_fp16.safetensors", 6),
        ),
        "ByteDance/SDXL-Lightning": (
            lambda folder: distilled.save_unet(folder / "sdxl_lightning_4step_unet.safetensors", 7),
        ),
        "ByteDance/Hyper-SD": (
            lambda folder: distilled.save_unet(folder / "Hyper-SDXL-1step-Unet.safetensors", 8),
            lambda folder: distilled.save_lora(folder / "Hyper-SDXL-1step-lora.safetensors"),
        ),
        "latent-consistency/lcm-lora-sdxl": (
            lambda folder: distilled.save_lora(folder / "pytorch_lora_weights.safetensors"),
        ),
        "h1t/TCD-SDXL-LoRA": (
            lambda folder: distilled.save_lora(
                folder / "pytorch_lora_weights.safetensors", kohya=False
            ),
        ),
    }
    for repo, builders in files.items():
        for build in builders:
            add(root, repo, build, "LICENSE.md", "dmd2_sdxl_4step_unet.bin")


def sana_sprint(folder: Path) -> None:
    """The tokenizer's class is our own: that of Gemma was not seen in this repository, but for its
    `tokenizer.json`.
    """
    tiny.sana_sprint().save_pretrained(folder)
    sharded(folder / "text_encoder", "model", 2)


def pixart_base(folder: Path) -> None:
    with tiny.seeded():
        tiny.pixart(DPMSolverMultistepScheduler()).save_pretrained(folder)
        t5_text(folder, fast=False)
    sharded(folder / "text_encoder", "model", 2)
    as_published(folder)


def pixart_dmd(folder: Path) -> None:
    """The transformer as `.bin` alone, and a scheduler."""
    with tiny.seeded(1):
        tiny.pixart().transformer.save_pretrained(folder / "transformer")
    pickled(
        folder / "transformer", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"
    )
    DDPMScheduler(beta_schedule="linear", clip_sample=False).save_pretrained(folder / "scheduler")
    as_published(folder)


def as_published(folder: Path) -> None:
    """PixArt's transformer under the name of the class that it had when it was published."""
    path = folder / "transformer" / "config.json"
    path.write_text(
        json.dumps({**json.loads(path.read_text()), "_class_name": "Transformer2DModel"})
    )
    if (folder / "model_index.json").exists():
        indexed(folder, transformer=["diffusers", "Transformer2DModel"])


def flux_schnell(folder: Path) -> None:
    with tiny.seeded():
        tiny.flux().save_pretrained(folder)
        clip_text(folder)
        t5_text(folder, "_2", fast=True)
    sharded(folder / "transformer", "diffusion_pytorch_model", 3)
    sharded(folder / "text_encoder_2", "model", 2)


def qwen_text(folder: Path, layers: int) -> None:
    """A pipeline's Qwen3: vocabulary in several files, a chat template of its own, and the weights
    of the whole language model.
    """
    tokenizer, encoder = folder / "tokenizer", folder / "text_encoder"
    (tokenizer / "merges.txt").write_text("#version: 0.2\n")
    (tokenizer / "vocab.json").write_text("{}")
    assert (tokenizer / "chat_template.jinja").is_file()
    shutil.rmtree(encoder)
    tiny.qwen_text(Qwen3ForCausalLM, layers).save_pretrained(encoder)
    sharded(encoder, "model", 3)


def z_image_turbo(folder: Path) -> None:
    """The tokenizer's class is our own."""
    with tiny.seeded():
        tiny.z_image().save_pretrained(folder)
        qwen_text(folder, 3)
    sharded(folder / "transformer", "diffusion_pytorch_model", 3)


def flux2_klein(folder: Path) -> None:
    """The tokenizer's class is our own."""
    with tiny.seeded():
        tiny.flux2_klein().save_pretrained(folder)
        qwen_text(folder, 28)


def sd3_5_large_turbo(folder: Path) -> None:
    with tiny.seeded():
        tiny.stable_diffusion_3().save_pretrained(folder)
        clip_text(folder, kind=CLIPTextModelWithProjection)
        clip_text(folder, "_2", CLIPTextModelWithProjection)
        t5_text(folder, "_3", fast=True, width=40)
    sharded(folder / "transformer", "diffusion_pytorch_model", 2)
    sharded(folder / "text_encoder_3", "model", 2)


def hypernoise(folder: Path, generator: Path) -> None:
    """The released hypernetwork, in the layout of the code that trained it; its own list of files
    was not seen.
    """
    backbone = load_folder(generator, name="sana", device="cpu", dtype="float32").backbone
    shutil.rmtree(folder)
    weights = {name: value / 20 for name, value in official.random_weights(backbone).items()}
    official.write(folder, weights, official.SHORT, prefixed=False)


def generators(root: Path) -> None:
    """Every published generator, and the released hypernetwork."""
    other_vae = "vae/diffusion_pytorch_model.bin"
    add(
        root,
        "stabilityai/sd-turbo",
        sd_turbo,
        "sd_turbo.safetensors",
        "LICENSE.md",
        "output_tile.jpg",
        other_vae,
    )
    add(
        root,
        "stabilityai/sdxl-turbo",
        sdxl_turbo,
        "sd_xl_turbo_1.0.safetensors",
        "unet/model.onnx",
        "vae_1_0/config.json",
    )
    distilled_sdxl(root)
    for size in ("0.6B", "1.6B"):
        add(
            root,
            f"Efficient-Large-Model/Sana_Sprint_{size}_1024px_diffusers",
            sana_sprint,
            "LICENSE.txt",
        )
    add(root, "PixArt-alpha/PixArt-XL-2-1024-MS", pixart_base, "asset/images/teaser.png")
    add(root, "PixArt-alpha/PixArt-Alpha-DMD-XL-2-512x512", pixart_dmd)
    add(
        root,
        "black-forest-labs/FLUX.1-schnell",
        flux_schnell,
        "flux1-schnell.safetensors",
        "ae.safetensors",
        "schnell_grid.jpeg",
    )
    add(root, "Tongyi-MAI/Z-Image-Turbo", z_image_turbo, "assets/showcase.jpg")
    klein = "black-forest-labs/FLUX.2-klein-4B"
    add(root, klein, flux2_klein, "flux-2-klein-4b.safetensors", "LICENSE.md")
    add(
        root,
        "stabilityai/stable-diffusion-3.5-large-turbo",
        sd3_5_large_turbo,
        "sd3.5_large_turbo.safetensors",
        "text_encoders/t5xxl_fp16.safetensors",
        "LICENSE.md",
    )
    sana = root / "models/Efficient-Large-Model/Sana_Sprint_0.6B_1024px_diffusers/main"
    add(root, "lucaeyring/HyperNoise_Sana_Sprint_0.6B", lambda folder: hypernoise(folder, sana))


# Rewards.


def models_of_rewards(root: Path) -> None:
    """Every published reward."""
    others = ("pytorch_model.bin", "open_clip_pytorch_model.bin", "open_clip_model.safetensors")
    laion = add(root, "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", rewards.clip, *others)
    add(root, "yuvalkirstain/PickScore_v1", lambda folder: only_model(laion, folder))
    add(
        root,
        "openai/clip-vit-large-patch14",
        rewards.clip,
        "flax_model.msgpack",
        "tf_model.h5",
        "pytorch_model.bin",
    )
    add(root, "xswu/HPSv2", hpsv2)
    preferences = add(root, "MizzenAI/HPSv3", rewards.hpsv3, "README.md")
    add(root, "Qwen/Qwen2-VL-7B-Instruct", lambda folder: without_weights(preferences, folder))
    image_reward = add(
        root, "THUDM/ImageReward", rewards.imagereward, "ImageReward-v1.0.pt", "med_config.json"
    )
    add(
        root,
        "google-bert/bert-base-uncased",
        lambda folder: words_of(image_reward, folder),
        "model.safetensors",
        "config.json",
    )
    head = "sac+logos+ava1-l14-linearMSE.pth"
    add(
        root,
        "camenduru/improved-aesthetic-predictor",
        lambda folder: rewards.head(folder / head, 16),
        "ava+logos-l14-linearMSE.pth",
    )


def only_model(source: Path, folder: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(source / name, folder)


def without_weights(source: Path, folder: Path) -> None:
    """Move the files of Qwen2-VL out of a folder of HPSv3."""
    for path in source.iterdir():
        if path.suffix != ".safetensors":
            path.rename(folder / path.name)


def words_of(source: Path, folder: Path) -> None:
    (source / "vocab.txt").rename(folder / "vocab.txt")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')


def hpsv2(folder: Path) -> None:
    for name in ("HPS_v2_compressed.pt", "HPS_v2.1_compressed.pt"):
        rewards.hpsv2(folder / name)


# Judges and measures.

DETECTOR_FILE = "files/mask2former.pth"
ALEXNET_FILE = "files/alexnet.pth"
COLOURS = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
"""A colour classifier's architecture, as open_clip describes one."""


def judges(root: Path) -> None:
    """Every model of a judge. Three of T2I-CompBench's have safetensors in a revision of its own,
    or nowhere.
    """
    add(
        root,
        "facebook/mask2former-swin-small-coco-instance",
        mask2former.network().save_pretrained,
        "pytorch_model.bin",
    )
    add(root, "timm/vit_large_patch14_clip_224.openai", colours, "model.safetensors", "config.json")
    for repo, build, revision in (
        ("Salesforce/blip-vqa-capfilt-large", compbench.blip, "refs/pr/7"),
        ("Intel/dpt-hybrid-midas", compbench.depth, "refs/pr/5"),
        ("openai/clip-vit-base-patch32", compbench.clip, ""),
    ):
        pickled(add(root, repo, build, "tf_model.h5"))
        if revision:
            add(root, repo, build, revision=revision)
    add(root, "ustc-community/dfine-xlarge-obj365", compbench.detector)
    (root / "files").mkdir(exist_ok=True)
    torch.save(
        {"meta": {"epoch": 50}, "state_dict": mask2former.mmdet_state("2.x")}, root / DETECTOR_FILE
    )


def colours(folder: Path) -> None:
    model = rewards.lively(open_clip.build(COLOURS))
    save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )


def measures(root: Path) -> None:
    """Every model of a measure."""
    for name in ("facebook/dinov2-base", "facebook/dinov2-large"):
        add(root, name, features.dinov2, "pytorch_model.bin", "preprocessor_config.json")
    add(root, "openai/clip-vit-large-patch14-336", features.clip, "tf_model.h5")
    qwen = add(root, "Qwen/Qwen2.5-VL-7B-Instruct", vision_language_models.qwen)
    sharded(qwen, "model", 5)
    add(root, "Qwen/Qwen3-VL-8B-Instruct", vision_language_models.qwen)
    (root / "files").mkdir(exist_ok=True)
    with tiny.seeded():
        state = alexnet(weights=None).state_dict()
    # nothing behind the features is looked at: a single number there, which keeps the file small
    torch.save(
        {
            name: v if "features" in name else torch.zeros(()).expand(v.shape)
            for name, v in state.items()
        },
        root / ALEXNET_FILE,
    )


def prompt_files(root: Path, contents: Mapping[str, str]) -> None:
    """Files by their path under `/files/`."""
    for name, text in contents.items():
        path = root / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def build(root: Path) -> Path:
    """All of them."""
    for part in (generators, models_of_rewards, judges, measures):
        part(root)
    return root
