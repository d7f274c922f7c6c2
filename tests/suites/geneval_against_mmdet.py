"""GenEval's detector against mmdet itself: `nox -s mmdet`, in an environment that has mmdet.

Both sides get the same random weights, and the published ones where the checkpoint is in the cache
or under `HNBENCH_DATA` (`hnbench fetch --suite geneval` puts it there).

They are compared in float64, because Mask2Former thresholds its own mask predictions to attend
within them: a rounding error near the threshold moves a pixel in or out of the mask, and the
outputs then differ by some 1e-4 although the networks are the same. In float64 no such pixel is
left, and boxes, masks and classes have to be equal.

mmdet here is 3.3, the published protocol is 2.x. Its configuration differs in what is stated below:
8-bit images are resized, and padding is grey.
"""

from __future__ import annotations

import importlib.machinery
import logging
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import Mask2FormerConfig, SwinConfig
from transformers.models.mask2former.modeling_mask2former import (
    Mask2FormerPixelDecoderEncoderOnly,
    Mask2FormerSinePositionEmbedding,
)

from hnbench.errors import UsageError
from hnbench.suites.geneval import detector
from hnbench.suites.geneval.conversion import (
    CHECKPOINT_NAME,
    CHECKPOINT_SHA256,
    CHECKPOINT_URL,
    convert,
    convert_checkpoint,
    load,
    official_config,
)
from hnbench.suites.geneval.detector import InstanceDetector, prepare, read
from hnbench.suites.geneval.resize import resize
from hnbench.weights.pinned_files import fetch


class WithoutOperators(types.ModuleType):
    """Stands for mmcv's compiled module, which mmcv-lite lacks: what is imported from it is there,
    and fails when it is called.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*_: Any, **__: Any) -> None:
            raise RuntimeError(f"mmcv-lite has no operator {name}")

        return missing


operators = WithoutOperators("mmcv._ext")
operators.__spec__ = importlib.machinery.ModuleSpec("mmcv._ext", None)
sys.modules["mmcv._ext"] = operators

import cv2  # noqa: E402
import mmdet  # noqa: E402
from mmcv.ops import multi_scale_deform_attn  # noqa: E402
from mmcv.transforms import Compose  # noqa: E402
from mmdet.registry import MODELS  # noqa: E402
from mmdet.utils import register_all_modules  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.structures import BaseDataElement  # noqa: E402

CONFIG = (
    Path(mmdet.__file__).parent
    / ".mim/configs/mask2former/mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco.py"
)
CLASSES = 80
CHANNELS, QUERIES, ENCODER_LAYERS, DECODER_LAYERS = 64, 20, 2, 4
SWIN = {"embed_dims": 24, "depths": (2, 2, 2, 2), "num_heads": (1, 2, 3, 4)}


@pytest.fixture(autouse=True, scope="module")
def _in_pure_torch() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    multi_scale_deform_attn.IS_CUDA_AVAILABLE = multi_scale_deform_attn.IS_MLU_AVAILABLE = False
    register_all_modules()
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(autouse=True)
def _positions_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions, and the sines of them, are float32 in mmdet whatever the network computes in; let
    the other side do the same.
    """
    embed, refer = (
        Mask2FormerSinePositionEmbedding.forward,
        Mask2FormerPixelDecoderEncoderOnly.get_reference_points,
    )

    def embed_single(
        self: Any,
        shape: torch.Size,
        device: torch.device,
        dtype: torch.dtype,
        mask: Tensor | None = None,
    ) -> Tensor:
        embedding: Tensor = embed(self, shape, device, torch.float32, mask)
        return embedding.to(dtype)

    def refer_single(shapes: Any, ratios: Tensor, device: torch.device) -> Tensor:
        points: Tensor = refer(shapes, ratios.float(), device)
        return points.to(ratios.dtype)

    monkeypatch.setattr(Mask2FormerSinePositionEmbedding, "forward", embed_single)
    monkeypatch.setattr(
        Mask2FormerPixelDecoderEncoderOnly, "get_reference_points", staticmethod(refer_single)
    )


def mmdet_network(*, reduced: bool) -> Any:
    """A Mask2Former of mmdet with random weights, biases and norms too; in float64."""
    config = Config.fromfile(CONFIG).model
    config.backbone.init_cfg = None
    if reduced:
        config.backbone.update(SWIN)
        head = config.panoptic_head
        head.update(
            in_channels=[24, 48, 96, 192],
            feat_channels=CHANNELS,
            out_channels=CHANNELS,
            num_queries=QUERIES,
        )
        encoder, decoder = head.pixel_decoder.encoder, head.transformer_decoder
        encoder.num_layers, decoder.num_layers = ENCODER_LAYERS, DECODER_LAYERS
        encoder.layer_cfg.self_attn_cfg.embed_dims = encoder.layer_cfg.ffn_cfg.embed_dims = CHANNELS
        for part in ("self_attn_cfg", "cross_attn_cfg", "ffn_cfg"):
            decoder.layer_cfg[part].embed_dims = CHANNELS
        head.pixel_decoder.positional_encoding.num_feats = head.positional_encoding.num_feats = (
            CHANNELS // 2
        )
    torch.manual_seed(0)
    network = MODELS.build(config)
    network.init_weights()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
            elif "cls_embed" in name or "relative_position_bias" in name:
                parameter.mul_(10)
    return network.double().eval()


def config_of(*, reduced: bool) -> Mask2FormerConfig:
    if not reduced:
        return official_config()
    backbone = SwinConfig(
        embed_dim=24,
        depths=[2] * 4,
        num_heads=[1, 2, 3, 4],
        window_size=7,
        image_size=224,
        out_features=[f"stage{i}" for i in (1, 2, 3, 4)],
    )
    return Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=CHANNELS,
        mask_feature_size=CHANNELS,
        hidden_dim=CHANNELS,
        encoder_layers=ENCODER_LAYERS,
        decoder_layers=DECODER_LAYERS + 1,
        num_queries=QUERIES,
        num_labels=CLASSES,
    )


class Pair:
    """The same weights on both sides; ours through a checkpoint file with mmdet 2.x's names, as the
    published one has.

    They are the network's random ones, or those of the `published` checkpoint.
    """

    def __init__(
        self, folder: Path, *, reduced: bool = False, published: Path | None = None
    ) -> None:
        self.theirs = mmdet_network(reduced=reduced)
        if published is not None:
            stored = torch.load(published, map_location="cpu", weights_only=True)["state_dict"]
            own = self.theirs.state_dict()
            older = zip(own, older_names(own), strict=True)
            computed = "relative_position_index"
            self.theirs.load_state_dict(
                {
                    newer: own[newer] if newer.endswith(computed) else stored[name]
                    for newer, name in older
                }
            )
        state = {
            name: tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in self.theirs.state_dict().items()
        }
        self.theirs.load_state_dict(state)
        self.state = state
        checkpoint = folder / "checkpoint.pth"
        torch.save(
            {"meta": {"mmdet_version": "2.24.0"}, "state_dict": older_names(state)}, checkpoint
        )
        convert_checkpoint(checkpoint, config_of(reduced=reduced), folder / "converted")
        self.ours = InstanceDetector(
            load(folder / "converted", "the random weights").double(),
            [str(index) for index in range(CLASSES)],
        )


def older_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of mmdet 3.x under the names of mmdet 2.x: attentions and feed-forward networks
    of a layer were numbered.
    """
    names = {}
    for name in state:
        older = re.sub(r"(\.encoder\.layers\.\d+)\.self_attn\.", r"\1.attentions.0.", name)
        older = re.sub(
            r"(transformer_decoder\.layers\.\d+)\.cross_attn\.", r"\1.attentions.0.", older
        )
        older = re.sub(
            r"(transformer_decoder\.layers\.\d+)\.self_attn\.", r"\1.attentions.1.", older
        )
        names[name] = re.sub(r"(panoptic_head\..*\.layers\.\d+)\.ffn\.", r"\1.ffns.0.", older)
    return {names[name]: tensor for name, tensor in state.items()}


@pytest.fixture(scope="module")
def reduced(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("reduced"), reduced=True)


def sample(height: int, width: int) -> Any:
    shape = (height, width)
    return BaseDataElement(
        metainfo={
            "img_shape": shape,
            "batch_input_shape": shape,
            "ori_shape": shape,
            "scale_factor": (1.0, 1.0),
        }
    )


@torch.no_grad()
def networks(
    pair: Pair, height: int, width: int
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Class and mask logits of both sides, for two random inputs."""
    batch = torch.randn(
        2, 3, height, width, generator=torch.Generator().manual_seed(height), dtype=torch.float64
    )
    classes, masks = pair.theirs.panoptic_head(
        pair.theirs.extract_feat(batch), [sample(height, width)] * 2
    )
    return (classes[-1], masks[-1]), pair.ours.forward(batch)


def require_equal_networks(pair: Pair, height: int, width: int) -> None:
    theirs, ours = networks(pair, height, width)
    for name, expected, found in zip(("class", "mask"), theirs, ours, strict=True):
        difference = float((expected - found).abs().max())
        print(
            f"{height}x{width}: {name} logits differ by {difference:.1e} of"
            f" {float(expected.abs().max()):.2f}"
        )
        assert difference < 1e-9


@pytest.mark.parametrize(
    ("height", "width"), [(224, 224), (256, 320), (320, 256), (32, 64), (416, 96)]
)
def test_the_networks_are_equal(reduced: Pair, height: int, width: int) -> None:
    require_equal_networks(reduced, height, width)


def test_the_published_architecture_is_equal(tmp_path: Path) -> None:
    require_equal_networks(Pair(tmp_path, reduced=False), 256, 320)


def test_the_published_weights_are_equal(tmp_path: Path) -> None:
    try:
        published = fetch(CHECKPOINT_NAME, CHECKPOINT_URL, CHECKPOINT_SHA256)
    except UsageError as error:
        pytest.skip(str(error))
    require_equal_networks(Pair(tmp_path, published=published), 256, 320)


def test_names_of_both_versions_are_the_same_tensors(reduced: Pair) -> None:
    older, newer = convert(older_names(reduced.state), "2.x"), convert(reduced.state, "3.x")
    assert set(reduced.state) != set(older_names(reduced.state))
    assert older.keys() == newer.keys()
    assert all(torch.equal(older[name], newer[name]) for name in newer)


SCALE, SMALL = (1333, 800), (333, 200)
"""Of the published pipeline, and one that is as odd and quicker."""


def mmdet_input(pair: Pair, path: Path, scale: tuple[int, int]) -> tuple[Tensor, Any]:
    """An image file as mmdet feeds it to the network, and what it remembers of it."""
    pipeline = [
        {
            "type": "LoadImageFromFile",
            "to_float32": False,
        },  # as in mmdet 2.x's configuration; 3.x resizes in floating point
        {"type": "Resize", "scale": scale, "keep_ratio": True},
        {
            "type": "PackDetInputs",
            "meta_keys": ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
        },
    ]
    packed = Compose(pipeline)({"img_path": str(path), "img_id": 0})
    data = pair.theirs.data_preprocessor(
        {"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]}, False
    )
    batch, (about,) = data["inputs"], data["data_samples"]
    height, width = about.img_shape
    grey = (
        128 - pair.theirs.data_preprocessor.mean
    ) / pair.theirs.data_preprocessor.std  # 3.x pads with 0 after normalisation
    batch[:, :, height:] = grey
    batch[:, :, :, width:] = grey
    return batch, about


def picture(path: Path, height: int, width: int) -> Image.Image:
    """Noise of several scales, so that random networks answer differently in different places."""
    rng = np.random.default_rng(height)
    layers = [
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize(
            (width, height)
        )
        for side in (4, 16, 64)
    ]
    image = Image.fromarray(
        np.mean([np.asarray(layer) for layer in layers], axis=0).astype(np.uint8)
    )
    image.save(path)
    return image


@pytest.mark.parametrize(
    ("height", "width", "scale"),
    [
        (512, 512, SCALE),
        (480, 640, SMALL),
        (300, 200, SMALL),
        (123, 457, SMALL),
        (1000, 1001, SMALL),
        (90, 90, SMALL),
    ],
)
@torch.no_grad()
def test_an_image_gives_the_same_detections(
    reduced: Pair,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    height: int,
    width: int,
    scale: tuple[int, int],
) -> None:
    monkeypatch.setattr(detector, "LONG", scale[0])
    monkeypatch.setattr(detector, "SHORT", scale[1])
    image = picture(tmp_path / "image.png", height, width)
    batch, about = mmdet_input(reduced, tmp_path / "image.png", scale)
    prepared = prepare(np.asarray(image))
    assert torch.equal(prepared[None], batch) or float((prepared - batch[0]).abs().max()) < 1e-6

    (expected,) = reduced.theirs.predict(batch.double(), [about], rescale=True)
    expected = expected.pred_instances
    classes, masks = reduced.ours.forward(batch.double())
    boxes, labels, scores, bits = read(classes, masks, image.size, smallest=-1.0)[0]

    assert len(scores) == len(expected.scores) == 100
    order, there = scores.argsort(descending=True), expected.scores.argsort(descending=True)
    difference = float((scores[order] - expected.scores[there]).abs().max())
    print(
        f"{height}x{width}: {tuple(batch.shape[2:])} after padding, scores differ by"
        f" {difference:.1e} of {float(scores.max()):.3f}"
    )
    assert difference < 1e-9
    assert torch.equal(labels[order], expected.labels[there])
    assert torch.equal(boxes[order], expected.bboxes[there])
    assert torch.equal(bits[order], expected.masks[there])
    assert len(set(labels.tolist())) > 3
    assert 0 < float(bits.double().mean()) < 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((512, 512), (800, 800)),
        ((480, 640), (800, 1067)),
        ((1024, 1024), (800, 800)),
        ((1600, 1600), (800, 800)),
        ((33, 77), (571, 1333)),
    ],
)
def test_the_resize_is_opencv_s(before: tuple[int, int], after: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*before, 3), dtype=np.uint8)
    assert np.array_equal(
        resize(image, *after), cv2.resize(image, after[::-1], interpolation=cv2.INTER_LINEAR)
    )
