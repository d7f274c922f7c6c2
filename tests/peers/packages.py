"""What the published packages say of weights of the real architectures. Runs in an environment of
its own (requirements.txt).

    python packages.py NAME FOLDER

The folder has pictures, prompts and images. A checkpoint that is not in it is made with random
weights. Scores and gradients are written into it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

Scores = list[list[float]]
"""By picture and prompt."""


class Inputs:
    """What test_packages.py has put into the folder, and what ReNO makes of the images."""

    def __init__(self, folder: Path) -> None:
        self.prompts: list[str] = json.loads((folder / "prompts.json").read_text("utf-8"))
        self.pictures = [Image.open(path) for path in sorted(folder.glob("picture*.png"))]
        self.images = load_file(folder / "images.safetensors")["images"].requires_grad_()

    def pixels(self) -> Tensor:
        resize = Resize(224, interpolation=InterpolationMode.BICUBIC)
        made: Tensor = Compose([resize, CenterCrop(224), Normalize(MEAN, STD)])(self.images)
        return made

    def differentiated(self, scores: Tensor) -> dict[str, Tensor]:
        (gradient,) = torch.autograd.grad(scores.sum(), self.images)
        return {"tensor_scores": scores.detach().contiguous(), "gradient": gradient.contiguous()}


def load_or_save(model: nn.Module, checkpoint: Path) -> None:
    """The checkpoint's weights into the model, as the package puts them there; or the model's into
    the checkpoint, where there is none.
    """
    if checkpoint.exists():
        model.load_state_dict(
            torch.load(checkpoint, map_location="cpu", weights_only=True), strict=False
        )
    else:
        torch.save(model.state_dict(), checkpoint)


def spread_out(head: Any) -> None:
    for layer in head.layers:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)


def hpsv2(folder: Path, given: Inputs) -> tuple[Scores, dict[str, Tensor]]:
    import open_clip

    sys.modules["turtle"] = types.SimpleNamespace(forward=None)  # type: ignore[assignment]  # imported and never used; needs tkinter
    import hpsv2 as package

    vocabulary = (
        Path(package.__file__).parent / "src" / "open_clip" / "bpe_simple_vocab_16e6.txt.gz"
    )  # left out of the wheel
    shutil.copyfile(Path(open_clip.__file__).parent / vocabulary.name, vocabulary)
    from hpsv2 import img_score
    from hpsv2.src.open_clip import create_model_and_transforms, get_tokenizer

    # as in the package, but for the weights of another model that it downloads first
    model, _, prepare = create_model_and_transforms(
        "ViT-H-14", None, precision="amp", device="cpu", light_augmentation=True, output_dict=True
    )
    img_score.model_dict.update(model=model, preprocess_val=prepare)
    checkpoint = folder / "HPS_v2.1_compressed.pt"
    if not checkpoint.exists():
        torch.save(
            {"state_dict": {name: value.half() for name, value in model.state_dict().items()}},
            checkpoint,
        )
    columns = [
        img_score.score(given.pictures, prompt, cp=str(checkpoint)) for prompt in given.prompts
    ]
    with torch.no_grad():
        text = functional.normalize(
            model.encode_text(get_tokenizer("ViT-H-14")(given.prompts[:2])), dim=-1
        )
    image = functional.normalize(model.encode_image(given.pixels()), dim=-1)
    return [
        [float(value) for value in row] for row in zip(*columns, strict=True)
    ], given.differentiated((image * text).sum(-1))


def imagereward(folder: Path, given: Inputs) -> tuple[Scores, dict[str, Tensor]]:
    from ImageReward.ImageReward import ImageReward

    os.chdir(folder)  # where "bert-base-uncased" is a folder
    model: Any = ImageReward(med_config="med_config.json").eval()
    spread_out(model.mlp)  # the package's own initialisation makes all scores nearly the same
    load_or_save(model, folder / "ImageReward.pt")
    scores = [
        [model.score(prompt, picture) for prompt in given.prompts] for picture in given.pictures
    ]
    tokens = model.blip.tokenizer(
        given.prompts[:2], padding="max_length", truncation=True, max_length=35, return_tensors="pt"
    )
    return scores, given.differentiated(
        model.score_gard(tokens.input_ids, tokens.attention_mask, given.pixels())[:, 0]
    )


def aesthetic(folder: Path, given: Inputs) -> tuple[Scores, dict[str, Tensor]]:
    from clip.clip import _transform
    from ImageReward.models.AestheticScore import MLP
    from transformers import CLIPModel

    clip = CLIPModel.from_pretrained(folder).eval()
    head: Any = MLP(768).eval()
    spread_out(head)
    load_or_save(head, folder / "sac+logos+ava1-l14-linearMSE.pth")

    def score(pixels: Tensor) -> Tensor:
        scored: Tensor = head(
            functional.normalize(clip.get_image_features(pixel_values=pixels), dim=-1)
        )[:, 0]
        return scored

    with torch.no_grad():
        scores = [
            [float(score(_transform(224)(picture)[None]))] * len(given.prompts)
            for picture in given.pictures
        ]
    return scores, given.differentiated(score(given.pixels()))


def pickscore(folder: Path, given: Inputs) -> tuple[Scores, dict[str, Tensor]]:
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizerFast

    model = CLIPModel.from_pretrained(folder).eval()
    processor = CLIPImageProcessor.from_pretrained(folder)
    with torch.no_grad():
        tokens = CLIPTokenizerFast.from_pretrained(folder)(
            given.prompts, padding=True, truncation=True, max_length=77, return_tensors="pt"
        )
        text = functional.normalize(model.get_text_features(**tokens), dim=-1)
        image = functional.normalize(
            model.get_image_features(**processor(given.pictures, return_tensors="pt")), dim=-1
        )
        scores = (model.logit_scale.exp() * image @ text.T).tolist()
    image = functional.normalize(model.get_image_features(pixel_values=given.pixels()), dim=-1)
    return scores, given.differentiated(
        model.logit_scale.exp().detach() * (image * text[:2]).sum(-1)
    )


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    torch.manual_seed(0)
    scores, found = {
        "hpsv2": hpsv2,
        "imagereward": imagereward,
        "aesthetic": aesthetic,
        "pickscore": pickscore,
    }[name](folder, Inputs(folder))
    save_file({"scores": torch.tensor(scores), **found}, folder / "expected.safetensors")


if __name__ == "__main__":
    main()
