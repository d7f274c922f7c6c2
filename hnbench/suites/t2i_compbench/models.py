"""The models that T2I-CompBench's judge uses. All are classes of transformers, and named by
repository or folder.

Each takes RGB images as saved and gives plain numbers. torch is imported only when a model is
loaded.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.errors import UsageError
from hnbench.files.escaping import first_line
from hnbench.suites.t2i_compbench.detections import LabelledBox, frame_of
from hnbench.weights.files import MODEL
from hnbench.weights.hub import Source, download
from hnbench.weights.rgb import rgb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from hnbench.suites.t2i_compbench.depth_order import DepthMap

PATTERNS = ("*.json", "*.txt")
UNUSED_BY_DPT = r"neck\.fusion_stage\.layers\.0\.residual_layer1\..*"
"""Weights that transformers' class has and the published checkpoints of DPT do not have. They are
not used: the first fusion layer has no second input.
"""

YES, NO = 2748, 2053
"""The ids of "yes" and "no" in BERT's uncased vocabulary."""
ENCODE, DECODE = 30523, 30522
"""The ids of the tokens that begin a question and an answer of BLIP."""
QUESTION_TOKENS, QUESTION_WORDS = 35, 50
"""The most tokens and words of a question to BLIP, as in the published script."""
BLIP_SIZE = 480
"""The side in pixels to which the published script squashes images for BLIP."""
CONFIDENCE = 0.5
"""The least confidence of a detection, as in the published scripts."""
DEPTH_SIZE = 480
"""The side in pixels to which the published script squashes images for the depth model."""


def folder_of(name: str) -> Path:
    """The folder of a model: `name` itself if it is a folder, else the downloaded files of that
    repository of the Hub.
    """
    return Path(name) if Path(name).is_dir() else download(Source.parse(name, PATTERNS, MODEL))


def _processor(folder: Path) -> Any:
    """A folder's image processor, with Pillow's resize (as published) instead of torchvision's.
    `UsageError` if the folder has none.
    """
    from transformers import AutoImageProcessor

    return _read(AutoImageProcessor, folder, "image processor", backend="pil")


def _tokenizer(folder: Path) -> Any:
    """A folder's tokenizer. `UsageError` if the folder has none."""
    from transformers import AutoTokenizer

    from hnbench.weights.checkpoint import existing

    # Without any of these files, transformers makes a tokenizer that knows no word.
    existing(folder, "tokenizer.json", "vocab.json", "vocab.txt")
    return _read(AutoTokenizer, folder, "tokenizer")


def _read(kind: Any, folder: Path, what: str, **options: str) -> Any:
    try:
        return kind.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **options
        )
    except (OSError, ValueError, TypeError, KeyError, ImportError) as error:
        raise UsageError(
            f"{folder} has no {what} that can be loaded: {first_line(error)}"
        ) from error


def question(phrase: str) -> str:
    """The question of the published script about a noun phrase: `A red apple.` becomes `a red
    apple?`. It has at most 50 words.
    """
    text = re.sub(r"([.!\"()*#:;~])", "", f"{phrase}?".lower())
    return " ".join(
        re.sub(r"\s{2,}", " ", text).rstrip("\n").strip(" ").split(" ")[:QUESTION_WORDS]
    )


def _normalised(picture: Image.Image, mean: Sequence[float], std: Sequence[float]) -> Any:
    """A picture as float32 `[3, H, W]`, scaled to [0, 1] and then normalised by `mean` and `std`
    per channel.
    """
    import torch
    from torchvision.transforms.v2 import functional

    pixels = functional.to_dtype(functional.to_image(picture), torch.float32, scale=True)
    return functional.normalize(pixels, list(mean), list(std))


class BlipVqa:
    """BLIP's visual question answering (Li et al., arXiv 2201.12086): the probability of "yes"
    against "no".
    """

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import BlipForQuestionAnswering

        from hnbench.weights.checkpoint import load_pretrained

        self.model = load_pretrained(BlipForQuestionAnswering, folder).to(device)
        self.tokenizer = _tokenizer(folder)
        self.device = device

    def yes(self, image: Image.Image, phrases: Sequence[str]) -> list[float]:
        """The probability of "yes" for each phrase's question, rounded to four decimals as in the
        published script.
        """
        import torch

        if not phrases:
            return []
        with torch.no_grad():
            seen = self.model.vision_model(
                pixel_values=self._pixels(image), interpolate_pos_encoding=True
            ).last_hidden_state
            return [round(self._chance(seen, phrase), 4) for phrase in phrases]

    def answer(self, image: Image.Image, question: str) -> str:
        """The answer that the model generates to any question, in words."""
        import torch

        asked = self._asked(question)
        with torch.no_grad():
            said = self.model.generate(
                input_ids=asked, pixel_values=self._pixels(image), interpolate_pos_encoding=True
            )
        return str(self.tokenizer.decode(said[0], skip_special_tokens=True)).strip()

    def _asked(self, text: str) -> Any:
        """A question's tokens `[1, n]`. The first one is not BERT's [CLS], but the token that BLIP
        was trained with.
        """
        ids = self.tokenizer(
            [text], truncation=True, max_length=QUESTION_TOKENS, return_tensors="pt"
        ).input_ids.to(self.device)
        ids[:, 0] = ENCODE
        return ids

    def _chance(self, seen: Any, phrase: str) -> float:
        """The probability of "yes" for one phrase's question."""
        import torch

        # Questions are asked one at a time: in a batch, padding changes the answers to the shorter
        # ones (transformers 5.23).
        asked = self._asked(question(phrase))
        states = self.model.text_encoder(
            input_ids=asked, encoder_hidden_states=seen
        ).last_hidden_state
        start = torch.full((1, 1), DECODE, device=self.device)
        logits = self.model.text_decoder(input_ids=start, encoder_hidden_states=states).logits[0, 0]
        yes, no = logits.double().softmax(-1)[[YES, NO]].tolist()
        return float(yes / (yes + no))

    def _pixels(self, image: Image.Image) -> Any:
        from PIL.Image import Resampling

        from hnbench.weights.pixels import OPENAI_MEAN, OPENAI_STD

        squashed = rgb(image).resize((BLIP_SIZE, BLIP_SIZE), Resampling.BICUBIC)
        return _normalised(squashed, OPENAI_MEAN, OPENAI_STD)[None].to(self.device)


class ClipCosine:
    """The cosine of CLIP's image and text features (Radford et al., arXiv 2103.00020), without a
    scale or a prefix of the text.
    """

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import CLIPModel

        from hnbench.weights.checkpoint import load_pretrained

        self.model = load_pretrained(CLIPModel, folder).to(device)
        self.tokenizer = _tokenizer(folder)
        self.processor = _processor(folder)
        self.device = device

    def cosine(self, image: Image.Image, text: str) -> float:
        """The cosine of image and text, in [-1, 1]; about 0.3 if the image shows the text. A text
        longer than the model's context is cut off.
        """
        import torch
        from torch.nn import functional

        length = self.model.config.text_config.max_position_embeddings
        tokens = self.tokenizer([text], truncation=True, max_length=length, return_tensors="pt").to(
            self.device
        )
        pixels = self.processor(rgb(image), return_tensors="pt").pixel_values.to(self.device)
        with torch.no_grad():
            seen = self.model.visual_projection(self.model.vision_model(pixels).pooler_output)
            read = self.model.text_projection(self.model.text_model(**tokens).pooler_output)
        return float(functional.cosine_similarity(seen, read)[0])


class ObjectDetector:
    """An object detector of transformers (DETR, RT-DETR, D-FINE and others): boxes in the published
    frame, the most confident first.
    """

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import AutoModelForObjectDetection

        from hnbench.weights.checkpoint import load_pretrained

        self.model = load_pretrained(AutoModelForObjectDetection, folder).to(device)
        self.processor = _processor(folder)
        self.device = device

    def detect(self, image: Image.Image) -> list[LabelledBox]:
        """All objects above the published confidence, the most confident first."""
        import torch

        width, height = frame_of(*image.size)
        inputs = self.processor(images=rgb(image), return_tensors="pt").to(self.device)
        with torch.no_grad():
            outputs = self.model(**inputs)
        (found,) = self.processor.post_process_object_detection(
            outputs, threshold=CONFIDENCE, target_sizes=[(height, width)]
        )
        names = self.model.config.id2label
        objects = [
            LabelledBox(str(names[int(label)]).lower(), float(score), (left, top, right, bottom))
            for score, label, (left, top, right, bottom) in zip(
                found["scores"], found["labels"], found["boxes"].tolist(), strict=True
            )
        ]
        return sorted(objects, key=lambda one: one.score, reverse=True)


class Depth:
    """A model of relative depth of transformers (DPT and others). Its map is in the published
    frame, from 0 to 255; larger is nearer.

    As published, the image is squashed by Pillow's bilinear resize, and the map is first stored as
    an 8-bit picture of the image's own size. Mean and standard deviation are those of the model's
    processor: 0.5 for DPT, as published.
    """

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import AutoModelForDepthEstimation

        from hnbench.weights.checkpoint import load_pretrained

        self.model = load_pretrained(
            AutoModelForDepthEstimation, folder, unneeded=UNUSED_BY_DPT
        ).to(device)
        self.processor = _processor(folder)
        self.device = device

    def depth(self, image: Image.Image) -> DepthMap:
        """The depth map `[H, W]` in the frame, float64. The image's own smallest and largest depth
        become 0 and 255, and steps are whole before the last resize, as in an 8-bit file.
        """
        import numpy as np
        import torch
        from PIL import Image

        with torch.no_grad():
            depth = self.model(self._pixels(image)).predicted_depth.float()
        # The clamp avoids a division by zero for a map that is the same everywhere.
        depth = (depth - depth.min()) / (depth.max() - depth.min()).clamp(
            min=torch.finfo(depth.dtype).tiny
        )
        whole = torch.nn.functional.interpolate(
            depth[:, None], size=image.size[::-1], mode="bilinear", align_corners=True
        )[0, 0]
        picture = Image.fromarray((255 * whole).byte().cpu().numpy())
        return np.asarray(
            picture.resize(frame_of(*image.size), Image.Resampling.BILINEAR), dtype=np.float64
        )

    def _pixels(self, image: Image.Image) -> Any:
        from PIL.Image import Resampling

        squashed = rgb(image).resize((DEPTH_SIZE, DEPTH_SIZE), Resampling.BILINEAR)
        return _normalised(squashed, self.processor.image_mean, self.processor.image_std)[None].to(
            self.device
        )
