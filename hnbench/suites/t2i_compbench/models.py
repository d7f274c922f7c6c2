"""The models that look at an image for T2I-CompBench, all of them classes of transformers and named
by repository or folder.

Each takes RGB images as saved and gives plain numbers. torch is imported when a model is loaded.
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
"""The first fusion has nothing to add to its input: the class has these weights, the published
checkpoints of DPT do not.
"""

YES, NO = 2748, 2053
"""The tokens "yes" and "no" of BERT's uncased vocabulary."""
ENCODE, DECODE = 30523, 30522
"""The tokens that BLIP begins a question and an answer with."""
QUESTION_TOKENS, QUESTION_WORDS = 35, 50
BLIP_SIZE = 480
"""Pixels: the side that the published script squashes images to."""
CONFIDENCE = 0.5
"""Of a detection, as the published scripts set it."""
DEPTH_SIZE = 480


def folder_of(name: str) -> Path:
    """The folder of a model: `name` itself where it is one, else the files of that repository of
    the Hub.
    """
    return Path(name) if Path(name).is_dir() else download(Source.parse(name, PATTERNS, MODEL))


def _processor(folder: Path) -> Any:
    """A folder's image processor, with Pillow's resize as published and not torchvision's. A folder
    without one is a `UsageError`.
    """
    from transformers import AutoImageProcessor

    return _read(AutoImageProcessor, folder, "image processor", backend="pil")


def _tokenizer(folder: Path) -> Any:
    """A folder's tokenizer. A folder without one is a `UsageError`."""
    from transformers import AutoTokenizer

    from hnbench.weights.checkpoint import existing

    existing(
        folder, "tokenizer.json", "vocab.json", "vocab.txt"
    )  # without any, transformers makes one that knows no word
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
    """The question that the published script asks of a noun phrase: `A red apple.` becomes `a red
    apple?`, of 50 words at most.
    """
    text = re.sub(r"([.!\"()*#:;~])", "", f"{phrase}?".lower())
    return " ".join(
        re.sub(r"\s{2,}", " ", text).rstrip("\n").strip(" ").split(" ")[:QUESTION_WORDS]
    )


def _normalised(picture: Image.Image, mean: Sequence[float], std: Sequence[float]) -> Any:
    """A picture's values `[3, H, W]`, from 0 to 1 before they are normalised."""
    import torch
    from torchvision.transforms.v2 import functional

    pixels = functional.to_dtype(functional.to_image(picture), torch.float32, scale=True)
    return functional.normalize(pixels, list(mean), list(std))


class BlipVqa:
    """BLIP's visual question answering (Li et al., arXiv 2201.12086): the probability of "yes"
    among "yes" and "no".
    """

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import BlipForQuestionAnswering

        from hnbench.weights.checkpoint import load_pretrained

        self.model = load_pretrained(BlipForQuestionAnswering, folder).to(device)
        self.tokenizer = _tokenizer(folder)
        self.device = device

    def yes(self, image: Image.Image, phrases: Sequence[str]) -> list[float]:
        """The probability of "yes" to each phrase's question, to four decimals as the published
        script keeps it.
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
        """The answer to any question in words, as the model generates it."""
        import torch

        asked = self._asked(question)
        with torch.no_grad():
            said = self.model.generate(
                input_ids=asked, pixel_values=self._pixels(image), interpolate_pos_encoding=True
            )
        return str(self.tokenizer.decode(said[0], skip_special_tokens=True)).strip()

    def _asked(self, text: str) -> Any:
        """A question's tokens `[1, n]`, with the one that BLIP was trained with in the place of
        BERT's [CLS].
        """
        ids = self.tokenizer(
            [text], truncation=True, max_length=QUESTION_TOKENS, return_tensors="pt"
        ).input_ids.to(self.device)
        ids[:, 0] = ENCODE
        return ids

    def _chance(self, seen: Any, phrase: str) -> float:
        """One question at a time: with several, padding changes the answer to the shorter ones
        (transformers 5.23).
        """
        import torch

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
    """The cosine of CLIP's image and text features: no scale, no prefix (Radford et al., arXiv
    2103.00020).
    """

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import CLIPModel

        from hnbench.weights.checkpoint import load_pretrained

        self.model = load_pretrained(CLIPModel, folder).to(device)
        self.tokenizer = _tokenizer(folder)
        self.processor = _processor(folder)
        self.device = device

    def cosine(self, image: Image.Image, text: str) -> float:
        """In [-1, 1]; about 0.3 for a picture of the text. What exceeds the model's context is cut
        off.
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
        """All objects above the published confidence."""
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
    """A model of relative depth of transformers (DPT and others): a map in the published frame, 0
    to 255, larger is nearer.

    As published, the image is squashed by Pillow's bilinear resize, and the map passes through an
    8-bit picture of the image's own size. Mean and standard deviation are those of the model's
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
        """`[H, W]`, scaled to the image's own smallest and largest depth, in whole steps as in an
        8-bit file.
        """
        import numpy as np
        import torch
        from PIL import Image

        with torch.no_grad():
            depth = self.model(self._pixels(image)).predicted_depth.float()
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
