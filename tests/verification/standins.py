"""Small random models in the place of the published ones, pictures in the place of the inputs, and
what other implementations give.
"""

from __future__ import annotations

import functools
import io
import json
import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional
from torchvision import transforms
from torchvision.models import alexnet
from torchvision.transforms import functional as classic
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertTokenizer,
    CLIPConfig,
    CLIPModel,
    CLIPTokenizer,
    Dinov2Model,
)

from hnbench.measures import lpips as lpips_measure
from hnbench.rewards import hpsv3_instruction, imagereward
from hnbench.verification.measures import placed_positions
from hnbench.weights import hub
from hnbench.weights.hub import Source
from tests.measures import test_transformer as features
from tests.measures.vision_language_models import qwen
from tests.rewards import hpsv3_text, tiny
from tests.rewards.samples import picture
from tests.tiny import seeded

OPENAI = transforms.Normalize(
    (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
)
IMAGENET = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
BICUBIC = transforms.InterpolationMode.BICUBIC
LAION = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
Truth = Callable[[Sequence[Image.Image], Sequence[str]], list[float]]


class World:
    """The folders of the small models by repository, and what they were made of."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.models: dict[str, Any] = {}

    def folder(self, repo: str) -> Path:
        """Made when it is first asked for."""
        path = self.root / repo
        if not path.exists():
            path.mkdir(parents=True)
            with seeded():
                self.models[repo] = _BUILDERS[repo](path)
        return path

    @functools.cache  # noqa: B019
    def stock(self, repo: str) -> Any:
        """Transformers' automatic class of it, loaded from its folder."""
        return AutoModel.from_pretrained(self.folder(repo))

    @functools.cache  # noqa: B019
    def words(self) -> Any:
        """The tokenizer of CLIP and PickScore."""
        return AutoTokenizer.from_pretrained(self.folder(LAION))

    def model(self, repo: str) -> Any:
        self.folder(repo)
        return self.models[repo]

    def download(self, source: Source) -> Path:
        """In the place of `hnbench.weights.hub.download`."""
        return self.folder(source.repo)


def _laion(folder: Path) -> CLIPModel:
    """One random model in both libraries' formats, with CLIP's real vocabulary."""
    made = tiny.lively(open_clip.model.CLIP(**_open_clip_config()))
    state = {
        name: value.contiguous()
        for name, value in made.state_dict().items()
        if not name.endswith("attn_mask")
    }
    save_file(state, folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(
        json.dumps(
            {
                "model_cfg": tiny.OPEN_CLIP,
                "preprocess_cfg": {"mean": OPENAI.mean, "std": OPENAI.std},
            }
        )
    )
    words = open_clip.SimpleTokenizer()
    merges = [" ".join(pair) for pair in words.bpe_ranks]
    (folder / "vocab.json").write_text(
        json.dumps(
            {
                word.replace("<start_of_text>", "<|startoftext|>").replace(
                    "<end_of_text>", "<|endoftext|>"
                ): n
                for word, n in words.encoder.items()
            }
        )
    )
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    CLIPTokenizer.from_pretrained(folder).save_pretrained(folder)
    tower = {**tiny.TOWER, "intermediate_size": 64, "hidden_act": "gelu"}
    text = {
        **tower,
        "vocab_size": 49408,
        "max_position_embeddings": 77,
        "bos_token_id": 49406,
        "eos_token_id": 49407,
    }
    config = CLIPConfig(
        text_config=text,
        vision_config={**tower, "image_size": tiny.SIZE, "patch_size": 8},
        projection_dim=16,
    )
    model = CLIPModel(config)
    model.load_state_dict(_of_open_clip(state))
    model.save_pretrained(folder)
    processor = {
        "size": tiny.SIZE,
        "crop_size": tiny.SIZE,
        "resample": 3,
        "image_mean": OPENAI.mean,
        "image_std": OPENAI.std,
    }
    (folder / "preprocessor_config.json").write_text(
        json.dumps({**processor, "image_processor_type": "CLIPImageProcessor"})
    )
    return model.eval()


def _open_clip_config() -> dict[str, Any]:
    config: dict[str, Any] = tiny.OPEN_CLIP
    parts = open_clip.model
    return {
        "embed_dim": config["embed_dim"],
        "vision_cfg": parts.CLIPVisionCfg(**config["vision_cfg"]),
        "text_cfg": parts.CLIPTextCfg(**config["text_cfg"]),
    }


_NAMES = (
    (r"^visual\.class_embedding$", "vision_model.embeddings.class_embedding"),
    (r"^visual\.positional_embedding$", "vision_model.embeddings.position_embedding.weight"),
    (r"^visual\.conv1\.weight$", "vision_model.embeddings.patch_embedding.weight"),
    (r"^visual\.ln_pre", "vision_model.pre_layrnorm"),
    (r"^visual\.ln_post", "vision_model.post_layernorm"),
    (r"^visual\.proj$", "visual_projection.weight"),
    (r"^visual\.transformer\.resblocks", "vision_model.encoder.layers"),
    (r"^transformer\.resblocks", "text_model.encoder.layers"),
    (r"^token_embedding", "text_model.embeddings.token_embedding"),
    (r"^positional_embedding$", "text_model.embeddings.position_embedding.weight"),
    (r"^ln_final", "text_model.final_layer_norm"),
    (r"^text_projection$", "text_projection.weight"),
    (r"\.attn\.out_proj", ".self_attn.out_proj"),
    (r"\.ln_([12])\.", r".layer_norm\1."),
    (r"\.mlp\.c_fc", ".mlp.fc1"),
    (r"\.mlp\.c_proj", ".mlp.fc2"),
)
"""open_clip's names -> transformers'."""


def _of_open_clip(state: dict[str, Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for own, value in state.items():
        name = functools.reduce(lambda text, pair: re.sub(pair[0], pair[1], text), _NAMES, own)
        if ".attn.in_proj_" in name:
            start, kind = name.split(".attn.in_proj_")
            found |= {
                f"{start}.self_attn.{part}_proj.{kind}": each
                for part, each in zip("qkv", value.chunk(3), strict=True)
            }
        else:
            found[name] = (
                value.T.contiguous()
                if name in ("visual_projection.weight", "text_projection.weight")
                else value
            )
    return found


def _pickscore(folder: Path) -> CLIPModel:
    """Other weights than the folder with its tokenizer has."""
    model = _laion(folder)
    with torch.no_grad():
        model.logit_scale += 1.3
        for value in model.parameters():
            if value.ndim > 1:
                value.copy_(value.flip(0))
    for path in folder.iterdir():
        path.unlink()
    model.save_pretrained(folder)
    return model


def _hpsv2(folder: Path) -> Any:
    found = {}
    for name in ("HPS_v2_compressed.pt", "HPS_v2.1_compressed.pt"):
        found[name] = tiny.hpsv2(folder / name)
    return found


def _bert(folder: Path) -> None:
    tiny.imagereward(folder / "other")
    shutil.copy(folder / "other" / "vocab.txt", folder)


def _alexnet(folder: Path) -> Path:
    state = alexnet(weights=None).state_dict()
    # nothing behind the features is looked at: a single number there, which keeps the file small
    path = folder / "alexnet.pth"
    torch.save(
        {
            name: value if "features" in name else torch.zeros(()).expand(value.shape)
            for name, value in state.items()
        },
        path,
    )
    return path


_BUILDERS: dict[str, Callable[[Path], Any]] = {
    LAION: _laion,
    "yuvalkirstain/PickScore_v1": _pickscore,
    "openai/clip-vit-base-patch16": _laion,
    "openai/clip-vit-large-patch14": tiny.clip,
    "camenduru/improved-aesthetic-predictor": lambda folder: tiny.head(
        folder / "sac+logos+ava1-l14-linearMSE.pth", 16
    ),
    "THUDM/ImageReward": tiny.imagereward,
    "google-bert/bert-base-uncased": _bert,
    "xswu/HPSv2": _hpsv2,
    "MizzenAI/HPSv3": tiny.hpsv3,
    "Qwen/Qwen2-VL-7B-Instruct": tiny.hpsv3,
    "facebook/dinov2-base": features.dinov2,
    "facebook/dinov2-large": features.dinov2,
    "openai/clip-vit-large-patch14-336": features.clip,
    "Qwen/Qwen2.5-VL-7B-Instruct": qwen,
    "alexnet": _alexnet,
}


# Inputs.


def write_pictures(
    folder: Path, names: Sequence[str], size: tuple[int, int] = (120, 80)
) -> dict[str, Image.Image]:
    """A picture by each name, as PNG whatever the name ends with."""
    shown = {name: picture(size, seed) for seed, name in enumerate(names)}
    for name, made in shown.items():
        made.save(folder / name, format="PNG")
    return shown


def png(made: Image.Image) -> bytes:
    buffer = io.BytesIO()
    made.save(buffer, format="PNG")
    return buffer.getvalue()


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as packed:
        for name, contents in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(contents)
            packed.addfile(entry, io.BytesIO(contents))


def write_zip(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        for name, contents in files.items():
            packed.writestr(name, contents)


# Other implementations.


@functools.cache
def _pieces() -> Any:
    """CLIP's tokenizer, by open_clip."""
    return open_clip.SimpleTokenizer()


def cropped(made: Image.Image, size: int = tiny.SIZE) -> Tensor:
    """CLIP's preprocessing by torchvision's older transforms."""
    steps = [
        transforms.Resize(size, BICUBIC),
        transforms.CenterCrop(size),
        transforms.ToTensor(),
        OPENAI,
    ]
    prepared: Tensor = transforms.Compose(steps)(made)
    return prepared


def boxed(made: Image.Image, size: int = tiny.SIZE, *, antialias: bool = True) -> Tensor:
    """HPSv2's, with the padding by hand."""
    pixels = classic.to_tensor(made)
    scale = size / max(pixels.shape[1:])
    small = classic.resize(
        pixels, [round(side * scale) for side in pixels.shape[1:]], BICUBIC, antialias=antialias
    )
    whole = torch.zeros(3, size, size)
    top, left = ((size - side) // 2 for side in small.shape[1:])
    whole[:, top : top + small.shape[1], left : left + small.shape[2]] = small
    normalised: Tensor = OPENAI(whole)
    return normalised


@torch.no_grad()
def clip_truth(
    world: World, repo: str, shown: Sequence[Image.Image], prompts: Sequence[str]
) -> list[float]:
    tokens = world.words()(
        list(prompts), padding=True, truncation=True, max_length=77, return_tensors="pt"
    )
    out = world.stock(repo)(**tokens, pixel_values=torch.stack([cropped(made) for made in shown]))
    found: list[float] = out.logits_per_image.diagonal().tolist()
    return found


@torch.no_grad()
def hpsv2_truth(
    world: World,
    file: str,
    shown: Sequence[Image.Image],
    prompts: Sequence[str],
    *,
    antialias: bool = True,
) -> list[float]:
    pixels = torch.stack([boxed(made, antialias=antialias) for made in shown])
    image, text, _ = world.model("xswu/HPSv2")[file](pixels, _pieces()(list(prompts)))
    found: list[float] = functional.cosine_similarity(image, text).tolist()
    return found


@torch.no_grad()
def imagereward_truth(
    world: World, shown: Sequence[Image.Image], prompts: Sequence[str]
) -> list[float]:
    network = world.model("THUDM/ImageReward")
    words = BertTokenizer.from_pretrained(world.folder("google-bert/bert-base-uncased"))
    tokens = words(
        list(prompts), padding="max_length", truncation=True, max_length=35, return_tensors="pt"
    )
    seen = network.vision(torch.stack([cropped(made) for made in shown])).last_hidden_state
    everything = torch.ones(seen.shape[:2], dtype=torch.long)
    read = network.text(
        tokens.input_ids,
        attention_mask=tokens.attention_mask,
        encoder_hidden_states=seen,
        encoder_attention_mask=everything,
        is_decoder=False,
    )
    found: list[float] = (
        (network.head(read.last_hidden_state[:, 0])[:, 0] - 0.16717362830052426)
        / 1.0333394966054072
    ).tolist()
    return found


@torch.no_grad()
def aesthetic_truth(
    world: World, shown: Sequence[Image.Image], prompts: Sequence[str]
) -> list[float]:
    del prompts
    model, head = (
        world.model("openai/clip-vit-large-patch14"),
        world.model("camenduru/improved-aesthetic-predictor"),
    )
    image = model.get_image_features(
        pixel_values=torch.stack([cropped(made) for made in shown])
    ).pooler_output
    found: list[float] = head(functional.normalize(image, dim=-1))[:, 0].tolist()
    return found


def truth_of(world: World, component: str) -> Truth:
    """The other implementation of a reward."""
    truths: dict[str, Callable[..., list[float]]] = {
        "clip": functools.partial(clip_truth, world, LAION),
        "clip@openai/clip-vit-base-patch16": functools.partial(
            clip_truth, world, "openai/clip-vit-base-patch16"
        ),
        "pickscore": functools.partial(clip_truth, world, "yuvalkirstain/PickScore_v1"),
        "hpsv2.0": functools.partial(hpsv2_truth, world, "HPS_v2_compressed.pt"),
        "hpsv2.1": functools.partial(hpsv2_truth, world, "HPS_v2.1_compressed.pt"),
        "imagereward": functools.partial(imagereward_truth, world),
        "aesthetic": functools.partial(aesthetic_truth, world),
    }
    return truths[component]


@functools.cache
def _torchmetrics(weights: Path) -> Any:
    """Torchmetrics' LPIPS with the small file's weights."""
    from torchmetrics.functional.image.lpips import _LPIPS

    theirs = _LPIPS(pretrained=True, net="alex", pnet_rand=True)
    places = {
        str(place): f"{slice_}.{place}"
        for slice_, part in theirs.net.named_children()
        for place, _ in part.named_children()
    }
    own = {
        name: value
        for name, value in torch.load(weights, weights_only=True).items()
        if "features" in name
    }
    theirs.net.load_state_dict(
        {
            re.sub(r"features\.(\d+)", lambda found: places[found[1]], name): value
            for name, value in own.items()
        }
    )
    return theirs


@torch.no_grad()
def lpips_truth(world: World, first: Image.Image, second: Image.Image) -> float:
    """By torchmetrics."""
    return float(
        _torchmetrics(world.model("alexnet"))(
            classic.to_tensor(first)[None], classic.to_tensor(second)[None], normalize=True
        )
    )


@torch.no_grad()
def cmmd_truth(world: World, ours: Image.Image, base: Image.Image) -> float:
    """The formula for two unit vectors."""
    model = world.model("openai/clip-vit-large-patch14-336")
    x, y = (
        functional.normalize(
            model.get_image_features(cropped(made, 48)[None]).pooler_output[0].double(), dim=0
        )
        for made in (ours, base)
    )
    return float(1000 * 2 * (1 - torch.exp(-(x - y).square().sum() / (2 * 10**2))))


@torch.no_grad()
def dinov2_truth(world: World, repo: str, shown: Sequence[Image.Image]) -> np.ndarray[Any, Any]:
    """Class tokens of transformers' model with the table that NumPy places."""
    model = Dinov2Model.from_pretrained(world.folder(repo))
    placed = torch.from_numpy(
        placed_positions(model.embeddings.position_embeddings.detach().numpy(), 16)
    )
    model.embeddings.interpolate_pos_encoding = lambda *_: placed
    squares = [
        IMAGENET(transforms.ToTensor()(made.resize((224, 224), Image.Resampling.BICUBIC)))
        for made in shown
    ]
    tokens: np.ndarray[Any, Any] = model(torch.stack(squares)).last_hidden_state[:, 0].numpy()
    return tokens


def small_architectures(world: World, monkeypatch: Any) -> None:
    """Put the small models in the place of the published ones."""
    monkeypatch.setattr(hub, "download", world.download)
    monkeypatch.setattr(imagereward, "published_vision", lambda: tiny.VISION)
    monkeypatch.setattr(imagereward, "published_text", lambda: tiny.TEXT)
    monkeypatch.setattr(open_clip, "get_model_config", lambda _: tiny.OPEN_CLIP)
    monkeypatch.setattr(lpips_measure, "fetch", lambda *_, **__: world.model("alexnet"))
    text = world.root / "data_collator_qwen.py"
    text.write_text(hpsv3_text.SOURCE)
    monkeypatch.setattr(hpsv3_instruction, "data_file", lambda _: text)
