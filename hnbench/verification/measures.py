"""Checks of measures: the functions that `hnbench measure` uses are compared with published values
of public pictures, or with independent computations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hnbench.catalogue import registry
from hnbench.measures.base import SetMeasure
from hnbench.measures.sources import DINOV2_BASE, DINOV2_LARGE
from hnbench.measures.transformer import DINOV2_SIZE, IMAGENET_MEAN, IMAGENET_STD, load_dinov2
from hnbench.verification.check import CannotRun
from hnbench.verification.rewards import cifar10

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from torch import Tensor

    from hnbench.verification.check import CheckContext

Array = np.ndarray[Any, Any]
BATCH = 32
OFFSET = 0.1
"""The number that facebookresearch/dinov2 adds to the patches of a side when it interpolates its
table of positions.
"""
_SOURCES = {"dino-similarity": DINOV2_BASE, "dino-vendi": DINOV2_BASE, "fd-dinov2": DINOV2_LARGE}


def distance(check: CheckContext) -> None:
    """Compare the distance between two sets of one picture each: the inputs `ours` and `base`."""
    measure = _loaded(check)
    ours, base = (measure.features([check.picture(name)]) for name in ("ours", "base"))
    check.compare("distance", measure.distance(ours, base))


def pairs(check: CheckContext) -> None:
    """Compare the value of each pair of inputs `ref-NAME` and `dist-NAME`, under its name."""
    measure = _loaded(check)
    for name in check.reference.expected:
        (value,) = measure.values([[check.picture(f"ref-{name}"), check.picture(f"dist-{name}")]])
        check.compare(name, value)


def cifar_distance(check: CheckContext) -> None:
    """Compare the distance between equally many of CIFAR-10's training and test images, chosen by
    NumPy's older random generator.
    """
    given = check.reference.given
    parts = {
        "train": [f"data_batch_{number}.bin" for number in range(1, 6)],
        "test": ["test_batch.bin"],
    }
    measure = _loaded(check)
    features = []
    for files in parts.values():
        pictures = [picture for _, picture in cifar10(check, *files)]
        chosen = sorted(
            np.random.RandomState(given["seed"]).choice(
                len(pictures), given["images"], replace=False
            )
        )
        features.append(_in_batches(measure, [pictures[place] for place in chosen]))
    check.compare("distance", measure.distance(*features))


def dinov2_slice(check: CheckContext) -> None:
    """Compare the first numbers of the class token of a picture's centre (224 of 256 pixels), with
    positions interpolated as in transformers.

    The published values were made like that. A run interpolates as torch.hub does, and uses the
    whole picture; the network, its weights and the token are the same.
    """
    name, _, where = check.reference.component.partition("@")
    features = load_dinov2(_SOURCES[name], check.device, where, offset=0)
    check.uses(name, _loaded(check).fingerprint)
    with torch.inference_mode():
        token = (
            features.encoded(_centre(check.picture("cats"))[None].to(check.device))[0].float().cpu()
        )
    for place in range(len(check.reference.expected)):
        check.compare(str(place), float(token[place]))


def _centre(picture: Image) -> Tensor:
    from torchvision.transforms import (
        CenterCrop,
        Compose,
        InterpolationMode,
        Normalize,
        Resize,
        ToTensor,
    )

    steps = [
        Resize(256, InterpolationMode.BICUBIC),
        CenterCrop(DINOV2_SIZE),
        ToTensor(),
        Normalize(IMAGENET_MEAN, IMAGENET_STD),
    ]
    prepared: Tensor = Compose(steps)(picture)
    return prepared


def dinov2_features(check: CheckContext) -> None:
    """Compare the measure's features and value of the inputs with independent ones: another
    implementation of the formula, on features of transformers' model with positions interpolated
    by NumPy.
    """
    measure = _loaded(check)
    pictures = [check.picture(item.name) for item in check.reference.inputs]
    own, other = measure.network.of(pictures).numpy(), _independent(check, pictures)
    far, length = (np.linalg.norm(values, axis=1) for values in (own - other, other))
    check.compare("largest relative difference of the features", float((far / length).max()), 0.0)
    formula = {"dino-similarity": _similarity, "dino-vendi": _vendi, "fd-dinov2": _frechet}[
        measure.name.partition("@")[0]
    ]
    expected, half = formula(other), len(pictures) // 2
    if isinstance(measure, SetMeasure):
        found = measure.distance(
            measure.features(pictures[:half]), measure.features(pictures[half:])
        )
    else:
        (found,) = measure.values([pictures])
    check.compare(
        "value",
        found,
        expected,
        tolerance=check.reference.tolerance_in(check.dtype) * abs(expected),
    )


def _unit(features: Array) -> Array:
    wide = features.astype(np.float64)
    unit: Array = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return unit


def _similarity(features: Array) -> float:
    """The mean cosine over all pairs."""
    unit = _unit(features)
    return float((unit @ unit.T)[np.triu_indices(len(unit), 1)].mean())


def _vendi(features: Array) -> float:
    """The Vendi score, from the singular values of the features; the measure takes the eigenvalues
    of the cosines.
    """
    shares = np.linalg.svd(_unit(features), compute_uv=False) ** 2 / len(features)
    return float(np.exp(-sum(share * np.log(share) for share in shares if share > 0)))


def _frechet(features: Array) -> float:
    """The Fréchet distance between the first half and the second, from the eigenvalues of the
    product of the covariances.
    """
    ours, base = np.split(features.astype(np.float64), 2)
    first, second = (np.cov(part, rowvar=False) for part in (ours, base))
    roots = np.sqrt(np.linalg.eigvals(first @ second).real.clip(0))
    return float(
        ((ours.mean(0) - base.mean(0)) ** 2).sum()
        + np.trace(first)
        + np.trace(second)
        - 2 * roots.sum()
    )


def _independent(check: CheckContext, pictures: Sequence[Image]) -> Array:
    """Features `[B, D]` from transformers' own model, Pillow's resize, and a table of positions
    that NumPy interpolates.
    """
    from PIL import Image as Pillow
    from transformers import Dinov2Model

    from hnbench.weights import hub
    from hnbench.weights.quiet import quiet_loading

    name, _, where = check.reference.component.partition("@")
    with quiet_loading():
        model = Dinov2Model.from_pretrained(
            hub.find((_SOURCES[name],), where).folders[0], local_files_only=True
        ).eval()
    table = model.embeddings.position_embeddings.detach().numpy()
    placed = torch.from_numpy(placed_positions(table, DINOV2_SIZE // model.config.patch_size))
    model.embeddings.interpolate_pos_encoding = lambda *_: placed.to(check.device)
    squares = [
        np.asarray(
            picture.resize((DINOV2_SIZE, DINOV2_SIZE), Pillow.Resampling.BICUBIC), np.float32
        )
        for picture in pictures
    ]
    pixels = (np.stack(squares) / 255 - np.array(IMAGENET_MEAN, np.float32)) / np.array(
        IMAGENET_STD, np.float32
    )
    with torch.inference_mode():
        found = model.to(check.device)(
            torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy()).to(check.device)
        ).pooler_output
    features: Array = found.cpu().numpy()
    return features


def placed_positions(table: Array, side: int) -> Array:
    """The table `[1, 1 + side * side, D]` that facebookresearch/dinov2 interpolates from `[1, 1 + n
    * n, D]`, by matrices of Keys' cubic weights with a = -0.75.
    """
    length = round((table.shape[1] - 1) ** 0.5)
    if side == length:
        return table
    weights = _cubic_weights(length, side, length / (side + OFFSET))
    grid = table[0, 1:].reshape(length, length, -1).astype(np.float64)
    placed = np.einsum("ai,bj,ijd->abd", weights, weights, grid).reshape(1, side * side, -1)
    return np.concatenate([table[:, :1], placed.astype(np.float32)], 1)


def _cubic_weights(length: int, side: int, step: float) -> Array:
    """A matrix `[side, length]`: the weight of each old position in each new one. Beyond the
    border, the outermost value counts.
    """
    found = np.zeros((side, length))
    for place in range(side):
        centre = (place + 0.5) * step - 0.5
        first = int(np.floor(centre)) - 1
        for source in range(first, first + 4):
            found[place, min(max(source, 0), length - 1)] += _keys(abs(centre - source))
    return found


def _keys(far: float, a: float = -0.75) -> float:
    """Keys' cubic convolution kernel."""
    if far <= 1:
        return (a + 2) * far**3 - (a + 3) * far**2 + 1
    return a * far**3 - 5 * a * far**2 + 8 * a * far - 4 * a if far < 2 else 0.0


def answer(check: CheckContext) -> None:
    """Compare a vision-language model's inputs for a picture and a question (ids of tokens,
    pixels), its greedy answer, and the probability of the answer's first token.
    """
    given = check.reference.given
    measure = _loaded(check)
    model, picture = measure.model, check.picture("picture")
    check.dtype = str(model.dtype).removeprefix("torch.")
    asked = model.asked(picture, given["question"])
    ids = [str(int(one)) for one in asked["input_ids"][0][: given["ids"]]]
    check.compare("first token numbers", " ".join(ids))
    rows, columns = given["pixels"]
    for place, value in enumerate(asked["pixel_values"][:rows, :columns].flatten().tolist()):
        check.compare(f"pixel {place}", value)
    with torch.inference_mode():
        out = model.model.generate(
            **asked.to(model.device, model.dtype),
            max_new_tokens=given["tokens"],
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
    said = out.sequences[0, asked["input_ids"].shape[1] :]
    check.compare(
        "answer", model.processor.tokenizer.decode(said, skip_special_tokens=True).strip()
    )
    chance = float(out.logits[0][0].double().softmax(-1)[said[0]])
    check.compare(
        "probability of the first token",
        model.probability(picture, given["question"], int(said[0])),
        chance,
    )


def _in_batches(measure: Any, pictures: Sequence[Image]) -> Tensor:
    return torch.cat(
        [
            measure.features(pictures[start : start + BATCH])
            for start in range(0, len(pictures), BATCH)
        ]
    )


def _loaded(check: CheckContext) -> Any:
    if check.dtype != check.reference.dtype:
        raise CannotRun(f"measures choose their own dtype and cannot be checked in {check.dtype}")
    measure = registry.MEASURES.get(check.reference.component)(check.device)
    check.uses(measure.name, measure.fingerprint)
    return measure
