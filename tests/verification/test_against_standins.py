"""Every check of a reward or a measure on small random models: equal to other implementations, and
different once a fault is in hnbench.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional
from torchvision import transforms
from transformers import AutoModelForImageTextToText, AutoProcessor

from hnbench.measures import fidelity, lpips, transformer
from hnbench.rewards import aesthetic, checkpoint, clip, hpsv2, hpsv3_network, imagereward
from hnbench.rewards.qwen2_vl_pixels import patch_positions
from hnbench.verification import check as verify_check
from hnbench.verification import rewards as reward_checks
from hnbench.verification.check import CheckResult, run_check
from hnbench.verification.measures import placed_positions
from hnbench.verification.reference import Reference, all_references
from hnbench.weights import pictures
from hnbench.weights.vision_language import VisionLanguageModel
from tests.rewards.samples import picture
from tests.verification import standins
from tests.verification.standins import LAION, World, truth_of

TIGHT = 2e-5
ROWS = {one.name: one for one in all_references() if one.kind in ("reward", "measure")}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


class Stage:
    """The small models and the inputs of one check, and its reference with the values that another
    implementation gives.
    """

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder

    def run(self, name: str) -> CheckResult:
        return run_check(self.reference(name), "cpu", slow=True)

    def reference(self, name: str) -> Reference:
        one = ROWS[name]
        kind = one.function.partition(":")[2]
        changed: dict[str, Any] = getattr(self, kind)(one)
        return replace(one, **{"tolerance": {"float32": TIGHT}, "dtype": "float32", **changed})

    def scores(self, one: Reference) -> dict[str, Any]:
        shown = standins.write_pictures(self.folder, [item.name for item in one.inputs])
        prompts = one.given["prompts"] * len(shown)
        factor = one.given.get("factor", 1)
        values = truth_of(self.world, one.component)(list(shown.values()), prompts)
        return {
            "expected": {name: factor * value for name, value in zip(shown, values, strict=True)},
            "tolerance": {"float32": factor * TIGHT},
        }

    def mean_score(self, one: Reference) -> dict[str, Any]:
        shown = standins.write_pictures(self.folder, [item.name for item in one.inputs])
        pairs = one.given["pairs"]
        values = truth_of(self.world, one.component)(
            [shown[name] for name, _ in pairs], [prompt for _, prompt in pairs]
        )
        scale = (
            float(self.world.model("yuvalkirstain/PickScore_v1").logit_scale.detach().exp())
            if one.component == "pickscore"
            else 1
        )
        return {"expected": {"mean": fmean(values) / scale}}

    def benchmark(self, one: Reference) -> dict[str, Any]:
        styles, count = one.given["styles"], 3
        prompts = {
            style: [f"a {style} of {number} stars" for number in range(count + 2)]
            for style in styles
        }
        for style, texts in prompts.items():
            (self.folder / f"{style}.json").write_text(json.dumps(texts))
        shown = {
            (style, number): picture((96, 60 + 12 * number), 7 * place + number)
            for place, style in enumerate(styles)
            for number in range(count)
        }
        files = {
            f"LDM/{style}/{number:05d}.jpg": standins.png(made)
            for (style, number), made in reversed(shown.items())
        }
        standins.write_tar(
            self.folder / "images", {"../../escaped": b"x", **files, "LDM/anime/._00000.jpg": b"x"}
        )
        truth = truth_of(self.world, one.component)
        means = {
            style: (
                100 * fmean(truth([shown[style, n] for n in range(count)], prompts[style][:count]))
            )
            for style in styles
        }
        return {
            "given": {**one.given, "images": count},
            "expected": {**means, "average": fmean(means.values())},
            "tolerance": {"float32": 100 * TIGHT},
        }

    def preferences(self, one: Reference) -> dict[str, Any]:
        ranks = [[1, 2, 3, 4], [2, 1, 4, 3], [1, 1, 2, 3], [3, 3, 1, 2]]
        rows: list[dict[str, Any]] = [
            {
                "prompt": f"{place} red circles",
                "image_path": [f"{place}{number}.jpg" for number in range(4)],
                "rank": rank,
            }
            for place, rank in enumerate(ranks)
        ]
        (self.folder / "test.json").write_text(json.dumps(rows))
        shown = {
            name: picture((90, 70), int(name[:2])) for row in rows for name in row["image_path"]
        }
        standins.write_tar(
            self.folder / "images",
            {f"test/{name}": standins.png(made) for name, made in shown.items()},
        )
        truth, shares = truth_of(self.world, one.component), []
        for row in rows:
            values = truth([shown[name] for name in row["image_path"]], [row["prompt"]] * 4)
            wrong = sum(
                (values[i] - values[j]) * (row["rank"][i] - row["rank"][j]) > 0
                for i in range(4)
                for j in range(i)
            )
            shares.append(1 - wrong / 6)
        return {"expected": {"accuracy": 100 * fmean(shares)}}

    def generations(self, one: Reference) -> dict[str, Any]:
        prompts = [{"id": "000-1", "prompt": "a red circle"}, {"id": "000-2", "prompt": "a star"}]
        (self.folder / "prompts.json").write_text(json.dumps(prompts))
        expected, truth = {}, truth_of(self.world, one.component)
        for place, name in enumerate(list(one.expected)[:2]):
            shown = {
                (p["id"], n): picture((80, 100), 10 * place + 3 * k + n)
                for k, p in enumerate(prompts)
                for n in range(2)
            }
            standins.write_zip(
                self.folder / f"{name}.zip",
                {f"{name}/{i}_{n}.png": standins.png(made) for (i, n), made in shown.items()},
            )
            expected[name] = fmean(
                fmean(truth([shown[p["id"], n] for n in range(2)], [p["prompt"]] * 2))
                for p in prompts
            )
        return {"given": {"images": 2}, "expected": expected}

    def drawn(self, one: Reference) -> dict[str, Any]:
        pixels = torch.randint(
            255, (3, 224, 224), generator=torch.Generator().manual_seed(one.given["seed"])
        )
        made = Image.fromarray(pixels.to(torch.uint8).permute(1, 2, 0).numpy())
        (value,) = truth_of(self.world, one.component)([made], [one.given["prompt"]])
        return {"expected": {"score": value}}

    def zero_shot(self, one: Reference) -> dict[str, Any]:
        templates, classes = ["a photo of a {c}.", "a small {c}"], one.given["classes"]
        (self.folder / "templates.json").write_text(
            json.dumps({"cifar10": templates, "other": ["{c}"]})
        )
        shown, _ = self._cifar({"test_batch.bin": 40})["test_batch.bin"]
        model, words = self.world.model(LAION), self.world.words()
        texts = [
            words([t.format(c=name) for t in templates], padding=True, return_tensors="pt")
            for name in classes
        ]
        with torch.no_grad():
            image = model.get_image_features(
                torch.stack([standins.cropped(made) for made in shown])
            ).pooler_output
            rows = [
                functional.normalize(model.get_text_features(**tokens).pooler_output, dim=-1).mean(
                    0
                )
                for tokens in texts
            ]
        chosen = (
            functional.normalize(image, dim=-1) @ functional.normalize(torch.stack(rows), dim=-1).T
        ).argmax(-1)
        assert len(set(chosen.tolist())) > 1
        # labels that are right for every other picture
        right = [int(c) if place % 2 else (int(c) + 1) % 10 for place, c in enumerate(chosen)]
        self._cifar({"test_batch.bin": 40}, right)
        return {"expected": {"accuracy": 0.5}}

    def _cifar(
        self, parts: dict[str, int], labels: list[int] | None = None
    ) -> dict[str, tuple[list[Image.Image], list[int]]]:
        found, files = {}, {}
        for place, (name, count) in enumerate(parts.items()):
            shown = [picture((32, 32), 1000 * place + number) for number in range(count)]
            marks = labels or [number % 10 for number in range(count)]
            files[f"cifar-10-batches-bin/{name}"] = b"".join(
                bytes([mark]) + np.asarray(made).transpose(2, 0, 1).tobytes()
                for mark, made in zip(marks, shown, strict=True)
            )
            found[name] = (shown, marks)
        standins.write_tar(self.folder / "cifar-10", files)
        return found

    def against_open_clip(self, one: Reference) -> dict[str, Any]:
        standins.write_pictures(self.folder, [item.name for item in one.inputs])
        return {}

    def against_transformers(self, one: Reference) -> dict[str, Any]:
        standins.write_pictures(
            self.folder, [item.name for item in one.inputs], (32, 32)
        )  # nothing to resize, which the two do differently
        return {"tolerance": {"float32": 1e-4}}

    def against_qwen2_vl(self, one: Reference) -> dict[str, Any]:
        standins.write_pictures(self.folder, [item.name for item in one.inputs], (90, 60))
        return {"tolerance": {"float32": 1e-4}}

    def distance(self, one: Reference) -> dict[str, Any]:
        shown = standins.write_pictures(self.folder, [item.name for item in one.inputs])
        return {
            "expected": {"distance": standins.cmmd_truth(self.world, shown["ours"], shown["base"])},
            "tolerance": {"float32": 1e-3},
        }

    def pairs(self, one: Reference) -> dict[str, Any]:
        shown = standins.write_pictures(self.folder, [item.name for item in one.inputs], (72, 48))
        values = {
            name: standins.lpips_truth(self.world, shown[f"ref-{name}"], shown[f"dist-{name}"])
            for name in one.expected
        }
        return {"expected": values}

    def cifar_distance(self, one: Reference) -> dict[str, Any]:
        parts = self._cifar(
            {**{f"data_batch_{number}.bin": 4 for number in range(1, 6)}, "test_batch.bin": 9}
        )
        train = [
            made for name, (shown, _) in parts.items() if name != "test_batch.bin" for made in shown
        ]
        sets = []
        for shown in (train, parts["test_batch.bin"][0]):
            np.random.seed(one.given["seed"])  # noqa: NPY002
            chosen = sorted(np.random.choice(len(shown), 6, replace=False))  # noqa: NPY002
            sets.append(
                standins.dinov2_truth(
                    self.world, "facebook/dinov2-large", [shown[place] for place in chosen]
                ).astype(np.float64)
            )
        from scipy.linalg import sqrtm

        first, second = (np.cov(part, rowvar=False) + 1e-9 * np.eye(16) for part in sets)
        root = np.real(sqrtm(first @ second))
        value = ((sets[0].mean(0) - sets[1].mean(0)) ** 2).sum() + np.trace(
            first + second - 2 * root
        )
        return {
            "given": {**one.given, "images": 6},
            "expected": {"distance": float(value)},
            "tolerance": {"float32": 1e-3 * float(value)},
        }

    def dinov2_slice(self, one: Reference) -> dict[str, Any]:
        (made,) = standins.write_pictures(self.folder, ["cats"], (640, 480)).values()
        steps = [
            transforms.Resize(256, standins.BICUBIC),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
        ]
        pixels = standins.IMAGENET(transforms.Compose(steps)(made))[None]
        with torch.no_grad():
            token = self.world.model("facebook/dinov2-base")(pixels).last_hidden_state[0, 0]
        return {"expected": {str(place): float(token[place]) for place in range(3)}}

    def dinov2_features(self, one: Reference) -> dict[str, Any]:
        standins.write_pictures(self.folder, [item.name for item in one.inputs])
        return {"tolerance": {"float32": 1e-4}}

    def answer(self, one: Reference) -> dict[str, Any]:
        made = standins.write_pictures(self.folder, ["picture"])["picture"]
        folder = self.world.folder("Qwen/Qwen2.5-VL-7B-Instruct")
        processor, model = (
            AutoProcessor.from_pretrained(folder),
            AutoModelForImageTextToText.from_pretrained(folder),
        )
        before, after = (
            "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>",
            "<|im_end|>\n<|im_start|>assistant\n",
        )
        inputs = processor(
            text=[before + one.given["question"] + after], images=[made], return_tensors="pt"
        )
        ids = inputs["input_ids"][0]
        pixels = inputs["pixel_values"][:6, :3].flatten().tolist()
        said = model.generate(**inputs, max_new_tokens=5, do_sample=False)[0, len(ids) :]
        expected = {
            "first token numbers": " ".join(map(str, ids[:17].tolist())),
            **{f"pixel {n}": value for n, value in enumerate(pixels)},
        }
        answer = processor.tokenizer.decode(said, skip_special_tokens=True).strip()
        return {"given": {**one.given, "tokens": 5}, "expected": {**expected, "answer": answer}}


@pytest.fixture
def stage(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    standins.small_architectures(world, monkeypatch)
    monkeypatch.setattr(verify_check, "fetch_input", lambda _, item: tmp_path / item.name)
    return Stage(world, tmp_path)


@pytest.mark.parametrize("name", ROWS)
def test_a_check_is_equal_to_another_implementation(name: str, stage: Stage) -> None:
    result = stage.run(name)
    assert result.verdict == "equal", (
        result.why,
        [one for one in result.comparisons if not one.equal],
    )
    assert len(result.fingerprints) == 1
    if result.reference.component.startswith("hpsv2"):
        assert re.match(
            "the published values fit the resize(s with and without| with antialiasing better)",
            result.notes[0],
        )
        fits = "the published values fit the resize with "
        assert result.notes[0].startswith(fits) or name.endswith("preferences")


def test_the_other_resize_is_seen_in_the_published_numbers(stage: Stage) -> None:
    made = stage.reference("hpsv2.0-demo-cat")
    with Image.open(stage.folder / "demo_image.jpg") as image:
        (plain,) = standins.hpsv2_truth(
            stage.world,
            "HPS_v2_compressed.pt",
            [image.convert("RGB")],
            made.given["prompts"],
            antialias=False,
        )
    result = run_check(replace(made, expected={"demo_image.jpg": plain}), "cpu")
    assert result.verdict == "differs"
    assert result.notes[0].startswith("the published values fit the resize without antialiasing")


Plant = Callable[[pytest.MonkeyPatch], None]


def no_antialiasing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        hpsv2,
        "letterboxed",
        lambda made, size, antialias=True: pictures.letterboxed(
            made, size, antialias=not antialias
        ),
    )


def cropped_instead_of_boxed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(hpsv2, "letterboxed", lambda made, size, **_: pictures.centre_cropped(made, size))


def squashed_instead_of_cropped(patch: pytest.MonkeyPatch) -> None:
    for module in (imagereward, aesthetic, transformer):
        patch.setattr(
            module,
            "centre_cropped",
            lambda made, size=224: pictures.centre_cropped(made.resize((size, size)), size),
        )


def plain_gelu(patch: pytest.MonkeyPatch) -> None:
    load = checkpoint.load_clip_model

    def loaded(*arguments: Any) -> Any:
        model = load(*arguments)
        for layer in model.vision_model.encoder.layers:
            layer.mlp.activation_fn = torch.nn.GELU()
        return model

    patch.setattr(aesthetic, "load_clip_model", loaded)


def other_statistics(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pictures, "OPENAI_MEAN", (0.5, 0.5, 0.5))
    patch.setattr(pictures, "OPENAI_STD", (0.5, 0.5, 0.5))


def blue_first(patch: pytest.MonkeyPatch) -> None:
    to_bytes = pictures.to_bytes
    for module in (pictures, lpips, transformer):
        patch.setattr(module, "to_bytes", lambda shown: to_bytes(shown).flip(1))


def truncated_text(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(imagereward, "TOKENS", 6)


def shifted_tokens(patch: pytest.MonkeyPatch) -> None:
    encode = clip.ClipReward.encode_text
    patch.setattr(
        clip.ClipReward,
        "encode_text",
        lambda self, prompts: encode(self, [f"a {prompt}" for prompt in prompts]),
    )


def rounded_scale(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        clip.ClipReward, "scale", lambda self: self.model.logit_scale.exp().bfloat16().float() + 0
    )


def rounded_logarithm(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        clip.ClipReward, "scale", lambda self: self.model.logit_scale.bfloat16().float().exp()
    )


def head_not_loaded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(aesthetic, "fill", lambda *_: None)


def not_standardised(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(imagereward, "MEAN", 0.0)


def transformers_placing(patch: pytest.MonkeyPatch) -> None:
    placed = transformer.positions
    patch.setattr(transformer, "positions", lambda table, side, _=0.0: placed(table, side, 0.0))


def positions_not_loaded(patch: pytest.MonkeyPatch) -> None:
    placed = transformer.positions
    patch.setattr(
        transformer,
        "positions",
        lambda table, side, *offset: placed(torch.zeros_like(table), side, *offset),
    )


def other_bandwidth(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fidelity, "BANDWIDTH", 9.0)


def biased_covariance(patch: pytest.MonkeyPatch) -> None:
    root = fidelity._root_of_covariance
    patch.setattr(
        fidelity,
        "_root_of_covariance",
        lambda values: root(values) * ((len(values) - 1) / len(values)) ** 0.5,
    )


def no_shift(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lpips, "SHIFT", (0.0, 0.0, 0.0))


def another_question(patch: pytest.MonkeyPatch) -> None:
    asked = VisionLanguageModel.asked
    patch.setattr(
        VisionLanguageModel,
        "asked",
        lambda self, shown, question: asked(self, shown, f"Not so: {question}"),
    )


def mirrored(patch: pytest.MonkeyPatch) -> None:
    asked = VisionLanguageModel.asked
    flip = Image.Transpose.FLIP_LEFT_RIGHT
    patch.setattr(
        VisionLanguageModel,
        "asked",
        lambda self, shown, question: asked(self, shown.transpose(flip), question),
    )


def unmerged_positions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        hpsv3_network,
        "patch_positions",
        lambda rows, columns, _: patch_positions(rows, columns, 1),
    )


def shuffled(patch: pytest.MonkeyPatch) -> None:
    decoded = reward_checks._decoded
    patch.setattr(
        reward_checks,
        "_decoded",
        lambda files, pairs: decoded(dict(zip(files, [*files.values()][::-1], strict=True)), pairs),
    )


FAULTS: list[tuple[str, Plant]] = [
    ("hpsv2.0-demo-cat", no_antialiasing),
    ("hpsv2.1-benchmark-ldm", no_antialiasing),
    ("hpsv2.0-benchmark-ldm", shuffled),
    ("hpsv2.0-issue19-five", cropped_instead_of_boxed),
    ("hpsv2.1-evalscope-10", other_statistics),
    ("imagereward-readme-4", squashed_instead_of_cropped),
    ("imagereward-readme-4", other_statistics),
    ("imagereward-readme-4", truncated_text),
    ("imagereward-evalscope-10", not_standardised),
    ("imagereward-table1", blue_first),
    ("aesthetic-astronaut", plain_gelu),
    ("aesthetic-tid5-official", squashed_instead_of_cropped),
    ("aesthetic-cat-notebook", head_not_loaded),
    ("pickscore-evalscope-10", shifted_tokens),
    ("pickscore-transformers", rounded_scale),
    ("hpsv3-transformers", unmerged_positions),
    ("clip-open-clip", rounded_logarithm),
    ("clip-open-clip", shifted_tokens),
    ("clip-class-torchmetrics", rounded_scale),
    ("lpips-tid5-official", blue_first),
    ("lpips-tid5-official", no_shift),
    ("cmmd-readme", other_bandwidth),
    ("cmmd-readme", squashed_instead_of_cropped),
    ("dino-similarity-numpy", transformers_placing),
    ("dino-vendi-numpy", blue_first),
    ("fd-dinov2-numpy", biased_covariance),
    ("fd-dinov2-cifar512", transformers_placing),
    ("vqascore-qwen-labrador", another_question),
    ("vqascore-qwen-labrador", mirrored),
    ("hpsv2.0-evalscope-10", blue_first),
    ("pickscore-preferences", shifted_tokens),
    ("imagereward-preferences", blue_first),
    ("aesthetic-preferences", blue_first),
    ("hpsv2.0-preferences", blue_first),
    ("hpsv2.1-preferences", blue_first),
    ("clip-vith-zeroshot", shifted_tokens),
    ("dino-similarity-cats", positions_not_loaded),
    ("dino-vendi-cats", positions_not_loaded),
]


def test_every_check_has_a_fault_that_it_sees() -> None:
    assert {name for name, _ in FAULTS} == ROWS.keys()


@pytest.mark.parametrize(
    ("name", "plant"), FAULTS, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_planted_fault_is_seen(
    name: str, plant: Plant, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stage.reference(name)
    with monkeypatch.context() as patch:
        plant(patch)
        result = run_check(made, "cpu", slow=True)
    assert result.verdict == "differs", result.why
    assert not result.why


@pytest.mark.parametrize("length", [4, 37])
def test_numpy_places_positions_as_torch_does_with_the_published_scale(length: int) -> None:
    table = torch.randn(1, 1 + length * length, 3, generator=torch.Generator().manual_seed(0))
    grid = table[:, 1:].reshape(1, length, length, 3).permute(0, 3, 1, 2)
    placed = (
        functional.interpolate(grid, scale_factor=16.1 / length, mode="bicubic")
        .flatten(2)
        .transpose(1, 2)
    )
    expected = torch.cat([table[:, :1], placed], 1)
    torch.testing.assert_close(
        torch.from_numpy(placed_positions(table.numpy(), 16)), expected, rtol=1e-4, atol=1e-4
    )


def test_another_type_is_refused_for_a_measure(stage: Stage) -> None:
    result = run_check(stage.reference("cmmd-readme"), "cpu", "bfloat16")
    assert (result.verdict, result.crashed) == ("not run", False)


def test_agreement_counts_pairs_that_are_not_in_opposite_orders() -> None:
    assert reward_checks.agreement([0.9, 0.5, 0.1], [1, 2, 3]) == 1
    assert reward_checks.agreement([0.1, 0.5, 0.9], [1, 2, 3]) == 0
    assert reward_checks.agreement([0.1, 0.5, 0.9], [1, 1, 1]) == 1
    assert reward_checks.agreement([0.5, 0.9, 0.1], [1, 2, 3]) == pytest.approx(2 / 3)
