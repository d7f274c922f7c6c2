from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision.transforms import (
    CenterCrop,
    Compose,
    InterpolationMode,
    Normalize,
    Resize,
    ToTensor,
)
from transformers import RTDetrImageProcessor

from hnbench.errors import UsageError
from hnbench.suites.t2i_compbench.detections import frame_of
from hnbench.suites.t2i_compbench.models import (
    CONFIDENCE,
    ENCODE,
    NO,
    PATTERNS,
    YES,
    BlipVqa,
    ClipCosine,
    Depth,
    ObjectDetector,
    _processor,
    folder_of,
    question,
)
from hnbench.weights.files import MODEL
from hnbench.weights.hub import Source, select
from hnbench.weights.pixels import OPENAI_MEAN, OPENAI_STD


@pytest.fixture(scope="module")
def image() -> Image.Image:
    return Image.fromarray(
        np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    ).resize((600, 400))


@pytest.mark.parametrize(
    ("phrase", "asked"),
    [
        ("a green bench", "a green bench?"),
        ("The dog's Bowl.", "the dog's bowl?"),
        ("a (red) #1: *ball*", "a red 1 ball?"),
        ("  a   big  cat", "a big cat?"),
        (" ".join(["word"] * 60), " ".join(["word"] * 50)),
    ],
)
def test_a_phrase_becomes_a_question(phrase: str, asked: str) -> None:
    assert question(phrase) == asked


def test_blip_gives_the_probabilities_of_the_model_s_own_generation(
    blip_folder: Path, image: Image.Image
) -> None:
    own = BlipVqa(blip_folder, "cpu")
    expected = []
    phrases = ["a red apple", "the green bench of a photo"]
    for phrase in phrases:
        tokens = own.tokenizer([question(phrase)], return_tensors="pt")
        tokens.input_ids[:, 0] = ENCODE
        generated = own.model.generate(
            pixel_values=own._pixels(image),
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            interpolate_pos_encoding=True,
            max_new_tokens=1,
            return_dict_in_generate=True,
            output_logits=True,
        )
        chances = generated.logits[0][0].double().softmax(-1)
        expected.append(float(chances[YES] / (chances[YES] + chances[NO])))
    found = own.yes(image, phrases)
    assert found == [pytest.approx(value, abs=6e-5) for value in expected]
    assert found[0] != found[1]
    assert all(round(value, 4) == value for value in found)


def test_blip_squashes_the_whole_image(blip_folder: Path, image: Image.Image) -> None:
    own = BlipVqa(blip_folder, "cpu")
    assert own._pixels(image).shape == (1, 3, 480, 480)
    assert own.yes(image, []) == []


def test_the_cosine_is_the_model_s_own_logit_without_its_scale(
    clip_folder: Path, image: Image.Image
) -> None:
    own = ClipCosine(clip_folder, "cpu")
    tokens = own.tokenizer(["a photo of a bench"], return_tensors="pt")
    pixels = own.processor(image, return_tensors="pt").pixel_values
    with torch.no_grad():
        logit = own.model(
            input_ids=tokens.input_ids, attention_mask=tokens.attention_mask, pixel_values=pixels
        ).logits_per_image
    assert own.cosine(image, "a photo of a bench") == pytest.approx(
        float(logit / own.model.logit_scale.exp()), abs=1e-6
    )
    assert own.cosine(image, "a photo " * 40) == pytest.approx(own.cosine(image, "a photo " * 60))


def test_a_detector_s_boxes_are_in_the_published_frame(
    detector_folder: Path, image: Image.Image
) -> None:
    own = ObjectDetector(detector_folder, "cpu")
    found = own.detect(image)
    with torch.no_grad():
        outputs = own.model(**own.processor(images=image, return_tensors="pt"))
    scores, labels = outputs.logits[0].softmax(-1)[:, :-1].max(-1)
    assert found
    assert len(found) == int((scores > CONFIDENCE).sum())
    best = int(scores.argmax())
    across, down, width, height = outputs.pred_boxes[0, best].tolist()
    frame = (480, 320)
    assert found[0].box == pytest.approx(
        (
            (across - width / 2) * frame[0],
            (down - height / 2) * frame[1],
            (across + width / 2) * frame[0],
            (down + height / 2) * frame[1],
        ),
        abs=1e-2,
    )
    assert found[0].label == ["person", "dog", "dining table"][int(labels[best])]
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@pytest.mark.parametrize(
    ("size", "frame"),
    [
        ((512, 512), (479, 479)),
        ((600, 400), (480, 320)),
        ((400, 600), (320, 480)),
        ((9, 9), (479, 479)),
    ],
)
def test_the_frame(size: tuple[int, int], frame: tuple[int, int]) -> None:
    assert frame_of(*size) == frame


def test_the_frame_is_torchvision_s() -> None:
    rng = np.random.default_rng(0)
    sizes = [
        *rng.integers(5, 2001, (300, 2)).tolist(),
        *([side, side] for side in range(1, 300)),
        [2000, 5],
        [7, 1999],
    ]
    resize = Resize(479, interpolation=InterpolationMode.NEAREST, max_size=480)
    for width, height in sizes:
        assert frame_of(width, height) == tuple(
            resize(torch.empty(1, 1, 1).expand(1, height, width)).shape[:0:-1]
        ), (width, height)


def test_a_depth_map_spans_its_range_in_the_frame(depth_folder: Path, image: Image.Image) -> None:
    own = Depth(depth_folder, "cpu")
    depth = own.depth(image)
    assert depth.shape == (320, 480)
    assert 0 <= depth.min() < 20
    assert 235 < depth.max() <= 255
    assert np.array_equal(depth, np.floor(depth))
    published = Compose([Resize([480, 480]), ToTensor(), Normalize(mean=[0.5] * 3, std=[0.5] * 3)])
    with torch.no_grad():
        raw = own.model(published(image)[None]).predicted_depth
    scaled = (raw - raw.min()) / (raw.max() - raw.min())
    whole = torch.nn.functional.interpolate(
        scaled[None], size=(400, 600), mode="bilinear", align_corners=True
    )[0, 0]
    saved = Image.fromarray(255 * whole.numpy()).convert("L")
    apart = np.abs(depth - np.asarray(Resize(479, max_size=480)(saved), dtype=np.float64))
    assert apart.max() <= 1
    assert (apart > 0).mean() < 1e-4, "more than the last step of 8 bits at a few pixels"


def test_clip_s_pixels_are_the_published_ones(clip_folder: Path, image: Image.Image) -> None:
    own = ClipCosine(clip_folder, "cpu")
    published = Compose(
        [
            Resize(32, InterpolationMode.BICUBIC),
            CenterCrop(32),
            ToTensor(),
            Normalize(OPENAI_MEAN, OPENAI_STD),
        ]
    )
    torch.testing.assert_close(
        own.processor(image, return_tensors="pt").pixel_values[0],
        published(image),
        rtol=0,
        atol=1e-6,
    )


def test_the_default_detector_s_pixels_are_the_published_ones(
    tmp_path: Path, image: Image.Image
) -> None:
    """D-FINE's own evaluation squashes the picture with torchvision's Resize to 640 pixels; nothing
    is normalised.
    """
    RTDetrImageProcessor().save_pretrained(tmp_path)
    published = Compose([Resize((640, 640)), ToTensor()])
    torch.testing.assert_close(
        _processor(tmp_path)(image, return_tensors="pt").pixel_values[0],
        published(image),
        rtol=0,
        atol=1e-6,
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["preprocessor_config.json", "processor_config.json"],
            "has no image processor that can be loaded: ",
        ),
        (["tokenizer.json"], "has no tokenizer.json or vocab.json or vocab.txt"),
    ],
)
def test_a_folder_without_a_processor_or_a_tokenizer_is_refused(
    names: list[str], message: str, clip_folder: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(clip_folder, tmp_path / "copied")
    for name in names:
        (copied / name).unlink(missing_ok=True)
    with pytest.raises(UsageError, match=f"{copied} {message}") as caught:
        ClipCosine(copied, "cpu")
    assert len(str(caught.value).splitlines()) == 1


def test_a_damaged_tokenizer_is_refused(clip_folder: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(clip_folder, tmp_path / "copied")
    (copied / "tokenizer.json").write_text("{")
    with pytest.raises(UsageError, match=f"{copied} has no tokenizer that can be loaded: "):
        ClipCosine(copied, "cpu")


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    assert folder_of(str(tmp_path)) == tmp_path
    with pytest.raises(UsageError, match=f"{tmp_path} has no config.json"):
        ObjectDetector(tmp_path, "cpu")


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="'no-such-folder' is not a repository of the Hub"):
        folder_of("no-such-folder")


@pytest.fixture(params=["blip", "clip", "detector", "depth"])
def judge_model(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[type, Path, str]:
    """A model's class, a copy of its folder, and a tensor without which it would be random."""
    kind, key = {
        "blip": (BlipVqa, "text_decoder.bert.encoder.layer.0.output.dense.weight"),
        "clip": (ClipCosine, "visual_projection.weight"),
        "detector": (ObjectDetector, "class_labels_classifier.weight"),
        "depth": (Depth, "head.head.0.weight"),
    }[request.param]
    copied = shutil.copytree(
        request.getfixturevalue(f"{request.param}_folder"), tmp_path / "copied"
    )
    return kind, copied, key


def test_a_judge_s_model_without_a_head_is_refused(judge_model: tuple[type, Path, str]) -> None:
    kind, folder, key = judge_model
    weights = load_file(folder / "model.safetensors")
    del weights[key]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UsageError, match=rf"{folder}/model.safetensors .* 1 missing \({key}\)"):
        kind(folder, "cpu")


def test_a_judge_s_model_may_have_no_safetensors(judge_model: tuple[type, Path, str]) -> None:
    kind, folder, key = judge_model
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert torch.equal(kind(folder, "cpu").model.get_parameter(key), weights[key])
    names = [path.name for path in folder.iterdir()]
    assert set(select(Source("o/r", patterns=PATTERNS, needs=MODEL), names)) == set(names)


def test_dpt_is_published_without_weights_that_it_does_not_use(
    depth_folder: Path, image: Image.Image, tmp_path: Path
) -> None:
    expected = Depth(depth_folder, "cpu").depth(image)
    copied = shutil.copytree(depth_folder, tmp_path / "copied")
    weights = load_file(copied / "model.safetensors")
    unused = [
        name for name in weights if name.startswith("neck.fusion_stage.layers.0.residual_layer1.")
    ]
    assert len(unused) == 4
    for name in unused:
        weights[name] = torch.full_like(weights[name], torch.nan)
    save_file(weights, copied / "model.safetensors", {"format": "pt"})
    assert np.array_equal(Depth(copied, "cpu").depth(image), expected)
    kept = {name: value for name, value in weights.items() if name not in unused}
    save_file(kept, copied / "model.safetensors", {"format": "pt"})
    assert np.array_equal(Depth(copied, "cpu").depth(image), expected)
