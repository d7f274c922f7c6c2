"""Checks of rewards: pictures are scored as in a run, and the scores compared with published ones
or with other implementations.
"""

from __future__ import annotations

import json
from io import BytesIO
from itertools import groupby, islice
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from hnbench.catalogue.loading import load_reward
from hnbench.files.hashing import sha256_of
from hnbench.rewards.hpsv2 import Hpsv2Reward
from hnbench.verification.archives import read_files
from hnbench.verification.check import CannotRun
from hnbench.weights.rgb import rgb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from hnbench.rewards.base import Reward
    from hnbench.verification.check import CheckContext

    Pairs = Iterable[tuple[Image.Image, str]]
    Scorer = Callable[[Pairs], list[float]]

BATCH = 16


def scores(check: CheckContext) -> None:
    """Compare the score of each input, under the input's name. There is one prompt for all inputs,
    or one for each.
    """
    names = [item.name for item in check.reference.inputs]
    prompts = check.reference.given["prompts"]
    pairs = list(zip(names, prompts * len(names) if len(prompts) == 1 else prompts, strict=True))

    def values(score: Scorer) -> dict[str, float]:
        return dict(
            zip(names, score((check.picture(name), prompt) for name, prompt in pairs), strict=True)
        )

    _compare(check, values)


def mean_score(check: CheckContext) -> None:
    """Compare the mean score over pairs of an input and a prompt."""
    pairs = check.reference.given["pairs"]
    _compare(
        check,
        lambda score: {
            "mean": fmean(score((check.picture(name), prompt) for name, prompt in pairs))
        },
    )


def benchmark(check: CheckContext) -> None:
    """Compare HPSv2's benchmark: the mean score of each style's images, and the mean over styles.
    An image's file is named by its prompt's index in the list.
    """
    given = check.reference.given
    prompts = {style: _read(check, f"{style}.json")[: given["images"]] for style in given["styles"]}
    names = {
        style: [f"{style}/{number:05d}.jpg" for number in range(len(texts))]
        for style, texts in prompts.items()
    }
    files = read_files(check.input("images"), (name for group in names.values() for name in group))

    def values(score: Scorer) -> dict[str, float]:
        means = {
            style: fmean(score(_decoded(files, zip(names[style], prompts[style], strict=True))))
            for style in prompts
        }
        return {**means, "average": fmean(means.values())}

    _compare(check, values)


def preferences(check: CheckContext) -> None:
    """Compare the accuracy on HPD v2's test: for each prompt, the share of pairs of images whose
    order by scores does not contradict people; then the mean over prompts, in percent.
    """
    rows = [(row["prompt"], row["image_path"], row["rank"]) for row in _read(check, "test.json")]
    files = read_files(check.input("images"), {name for _, names, _ in rows for name in names})

    def values(score: Scorer) -> dict[str, float]:
        found = iter(
            score(_decoded(files, ((name, prompt) for prompt, names, _ in rows for name in names)))
        )
        return {
            "accuracy": (
                100
                * fmean(agreement(list(islice(found, len(ranks))), ranks) for _, _, ranks in rows)
            )
        }

    _compare(check, values)


def agreement(values: Sequence[float], ranks: Sequence[int]) -> float:
    """The share of pairs that the values do not order against the ranks; rank 1 is the best. Pairs
    with the same rank agree.
    """
    order = sorted(range(len(values)), key=lambda place: -values[place])
    place = {image: number for number, image in enumerate(order)}
    pairs = [(i, j) for i in range(len(values)) for j in range(i)]
    return fmean((place[i] - place[j]) * (ranks[i] - ranks[j]) >= 0 for i, j in pairs)


def generations(check: CheckContext) -> None:
    """Compare ImageReward's benchmark: for each archive, the mean score of its images, of which
    each prompt has equally many.
    """
    prompts = _read(check, "prompts.json")
    numbers = range(check.reference.given["images"])
    listed = [(f"{one['id']}_{number}.png", one["prompt"]) for one in prompts for number in numbers]

    def values(score: Scorer) -> dict[str, float]:
        means = {}
        for name in check.reference.expected:
            files = read_files(check.input(f"{name}.zip"), (file for file, _ in listed))
            means[name] = fmean(score(_decoded(files, listed)))
        return means

    _compare(check, values)


def drawn(check: CheckContext) -> None:
    """Compare the score of a picture of random numbers drawn by torch. If this version of torch
    draws other numbers, the check cannot run.
    """
    given = check.reference.given
    pixels = torch.randint(
        255, (3, 224, 224), generator=torch.Generator().manual_seed(given["seed"])
    ).to(torch.uint8)
    picture = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    if sha256_of(picture.tobytes()) != given["sha256"]:
        raise CannotRun(
            "this version of torch draws other random numbers than those of the published picture"
        )
    _compare(check, lambda score: {"score": score([(picture, given["prompt"])])[0]})


def zero_shot(check: CheckContext) -> None:
    """Compare the share of CIFAR-10's test images whose own class has the highest score. A class is
    the mean text feature over templates.
    """
    from torch.nn import functional

    given = check.reference.given
    reward: Any = _loaded(check)
    texts = [
        [template.format(c=name) for template in _read(check, "templates.json")["cifar10"]]
        for name in given["classes"]
    ]
    with torch.no_grad():
        classes = torch.stack(
            [functional.normalize(reward.text_features(group).mean(0), dim=-1) for group in texts]
        )
        right, images = 0, cifar10(check, "test_batch.bin")
        for start in range(0, len(images), BATCH):
            labels, pictures = zip(*images[start : start + BATCH], strict=True)
            seen = reward.picture_features(pictures, torch.device(check.device))
            right += int(((seen @ classes.T).argmax(-1).cpu() == torch.tensor(labels)).sum())
    check.compare("accuracy", right / len(images))


def cifar10(check: CheckContext, *names: str) -> list[tuple[int, Image.Image]]:
    """Labels and pictures of parts of CIFAR-10's binary version. A record is one byte (the label)
    and 3 x 32 x 32 bytes.
    """
    import numpy as np

    files = read_files(check.input("cifar-10"), names)
    records = np.concatenate(
        [np.frombuffer(files[name], np.uint8).reshape(-1, 3073) for name in names]
    )
    return [
        (int(row[0]), Image.fromarray(row[1:].reshape(3, 32, 32).transpose(1, 2, 0).copy()))
        for row in records
    ]


def against_open_clip(check: CheckContext) -> None:
    """Compare the scores of inputs with those of open_clip's own model and preprocessing from the
    same repository.
    """
    import open_clip

    folder = _open_clip_folder(check)
    model, _, prepare = open_clip.create_model_and_transforms(
        f"local-dir:{folder}", device=check.device, precision="fp32"
    )
    model.eval()
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")

    def expected(picture: Image.Image, prompt: str) -> float:
        image = model.encode_image(prepare(picture)[None].to(check.device), normalize=True)
        text = model.encode_text(tokens([prompt]).to(check.device), normalize=True)
        return float(model.logit_scale.exp() * (image * text).sum())

    _compare_each(check, expected)


def _open_clip_folder(check: CheckContext) -> str:
    """The folder of the repository with only one file of weights, the safetensors one if there is
    one.
    """
    from dataclasses import replace

    from hnbench.rewards.sources import CLIP
    from hnbench.weights import hub

    where = check.reference.component.partition("@")[2]
    for weights in ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"):
        folder = hub.find(
            (replace(CLIP[0], patterns=("open_clip_config.json", weights)),), where
        ).folders[0]
        if (folder / weights).is_file():
            return str(folder)
    raise CannotRun(f"{where or CLIP[0]} has no weights of open_clip")


def against_transformers(check: CheckContext) -> None:
    """Compare the scores of inputs with those of transformers' automatic classes, called as in
    PickScore's model card.
    """
    from transformers import AutoModel, AutoProcessor

    from hnbench.rewards.sources import PICKSCORE
    from hnbench.weights import hub
    from hnbench.weights.quiet import quiet_loading

    files = hub.find(PICKSCORE, check.reference.component.partition("@")[2])
    with quiet_loading():
        processor = AutoProcessor.from_pretrained(files.folders[-1], local_files_only=True)
        model = (
            AutoModel.from_pretrained(files.folders[0], local_files_only=True)
            .to(check.device)
            .eval()
        )

    def expected(picture: Image.Image, prompt: str) -> float:
        longest = model.config.text_config.max_position_embeddings
        given = processor(
            text=[prompt],
            images=[picture],
            padding=True,
            truncation=True,
            max_length=longest,
            return_tensors="pt",
        ).to(check.device)
        return float(model(**given).logits_per_image)

    _compare_each(check, expected)


def against_qwen2_vl(check: CheckContext) -> None:
    """Compare HPSv3's scores of inputs with those of transformers' own forward pass of Qwen2-VL, on
    what its processor makes of them, and the head written out.
    """
    from safetensors.torch import load_file
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    from hnbench.rewards.hpsv3 import PIXELS, REWARD_TOKEN
    from hnbench.rewards.hpsv3_instruction import read_instruction
    from hnbench.rewards.hpsv3_network import renamed
    from hnbench.rewards.sources import HPSV3
    from hnbench.weights import hub
    from hnbench.weights.vision_language import load_processor

    files = hub.find(HPSV3, check.reference.component.partition("@")[2])
    weights = renamed(load_file(files.folders[0] / "HPSv3.safetensors"))
    processor = load_processor(files.folders[-1])
    instruction = read_instruction()
    processor.tokenizer.add_tokens([REWARD_TOKEN], special_tokens=True)
    rated = processor.tokenizer.convert_tokens_to_ids(REWARD_TOKEN)
    model = _qwen2_vl(files.folders[-1], weights).to(check.device, getattr(torch, check.dtype))

    def expected(picture: Image.Image, prompt: str) -> float:
        height, width = smart_resize(
            picture.height, picture.width, 28, min_pixels=PIXELS, max_pixels=PIXELS
        )
        text = instruction.format(text_prompt=prompt)
        content = [{"type": "image"}, {"type": "text", "text": text}]
        given = processor(
            text=[
                processor.apply_chat_template(
                    [{"role": "user", "content": content}], add_generation_prompt=True
                )
            ],
            images=[picture.resize((width, height), Image.Resampling.BICUBIC)],
            return_tensors="pt",
        ).to(check.device)
        given.pop("mm_token_type_ids", None)
        positions = torch.arange(given.input_ids.shape[1], device=check.device).expand(3, 1, -1)
        read = model(**given, position_ids=positions).last_hidden_state
        value = read[given.input_ids == rated].float()
        for number in (0, 3, 5):
            weight, bias = (
                weights[f"head.{number}.{part}"].to(check.device).float()
                for part in ("weight", "bias")
            )
            value = torch.nn.functional.linear(value if number == 0 else value.relu(), weight, bias)
        return float(value[0, 0])

    _compare_each(check, expected)


def _qwen2_vl(base: Path, weights: Mapping[str, Tensor]) -> Any:
    """Qwen2-VL of transformers with HPSv3's weights, and frequencies in bfloat16 as they were in
    its training.
    """
    from accelerate import init_empty_weights
    from transformers import Qwen2VLConfig, Qwen2VLModel

    own = {
        name.removeprefix("model."): value
        for name, value in weights.items()
        if not name.startswith("head.")
    }
    config = Qwen2VLConfig.from_pretrained(base, local_files_only=True)
    config.text_config.vocab_size = len(own["language_model.embed_tokens.weight"])
    with init_empty_weights(include_buffers=False):
        model = Qwen2VLModel(config).eval()
    model.load_state_dict(own, assign=True)
    return model.bfloat16()


def _compare_each(check: CheckContext, expected: Callable[[Image.Image, str], float]) -> None:
    score = _scorer(_loaded(check), check.device)
    for item in check.reference.inputs:
        for number, prompt in enumerate(check.reference.given["prompts"]):
            picture = check.picture(item.name)
            with torch.no_grad():
                check.compare(
                    f"{item.name}, prompt {number}",
                    score([(picture, prompt)])[0],
                    expected(picture, prompt),
                )


def _compare(check: CheckContext, values: Callable[[Scorer], Mapping[str, float]]) -> None:
    """Compare the numbers that `values` computes from the reward's scores. For HPSv2, note which of
    its two resizes fits better.
    """
    reward = _loaded(check)
    scale = _scale(check, reward)
    found = {name: scale * value for name, value in values(_scorer(reward, check.device)).items()}
    for name, value in found.items():
        check.compare(name, value)
    if isinstance(reward, Hpsv2Reward):
        other = {
            name: scale * value
            for name, value in values(_not_antialiased(reward, check.device)).items()
        }
        check.note(which_resize(check.reference.expected, found, other))


def which_resize(
    expected: Mapping[str, Any], antialiased: Mapping[str, float], plain: Mapping[str, float]
) -> str:
    """A sentence that says which of HPSv2's two resizes is nearer to the published values, and by
    how much.
    """
    far = [
        max(abs(values[name] - value) for name, value in expected.items())
        for values in (antialiased, plain)
    ]
    if far[0] == far[1]:
        return (
            "the published values fit the resizes with and without antialiasing equally: largest"
            f" difference {far[0]:.4g} with both"
        )
    nearer = "with" if far[0] < far[1] else "without"
    return (
        f"the published values fit the resize {nearer} antialiasing better: largest difference"
        f" {far[0]:.4g} with antialiasing (as in a run) and {far[1]:.4g} without"
    )


def _scale(check: CheckContext, reward: Any) -> float:
    """The factor from the reward's scores to the published unit."""
    factor = check.reference.given.get("factor", 1.0)
    return float(factor / reward.scale()) if check.reference.given.get("cosine") else float(factor)


def _loaded(check: CheckContext) -> Reward:
    reward = load_reward(check.reference.component, check.device, check.dtype)
    check.uses(reward.name, reward.fingerprint)
    return reward


def _scorer(reward: Reward, device: str) -> Scorer:
    return _batched(
        lambda pictures, prompts: reward.score_pictures(pictures, prompts, torch.device(device))
    )


def _not_antialiased(reward: Hpsv2Reward, device: str) -> Scorer:
    def score(pictures: Sequence[Image.Image], prompts: Sequence[str]) -> Tensor:
        pixels = torch.stack([reward.prepared(picture, antialias=False) for picture in pictures])
        return reward.score_pixels(pixels.to(device), prompts)

    return _batched(score)


def _batched(score: Callable[[Sequence[Image.Image], Sequence[str]], Tensor]) -> Scorer:
    @torch.no_grad()
    def scored(pairs: Pairs) -> list[float]:
        found: list[float] = []
        # `groupby` is lazy, so only the pictures of one batch are decoded at a time.
        for _, batch in groupby(enumerate(pairs), lambda item: item[0] // BATCH):
            pictures, prompts = zip(*(pair for _, pair in batch), strict=True)
            found += score(pictures, prompts).tolist()
        return found

    return scored


def _decoded(
    files: Mapping[str, bytes], pairs: Iterable[tuple[str, str]]
) -> Iterator[tuple[Image.Image, str]]:
    for name, prompt in pairs:
        with Image.open(BytesIO(files[name])) as image:
            yield rgb(image), prompt


def _read(check: CheckContext, name: str) -> Any:
    return json.loads(check.input(name).read_text(encoding="utf-8"))
