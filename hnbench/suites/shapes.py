"""GenEval's six tasks in the embedded world, judged by its classical detector under GenEval's
rules.

Every task has about the same number of images: tasks with fewer captions take more samples of each.
For a given number of images, this measures the overall score (the unweighted mean of the tasks) as
precisely as possible.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from hnbench.seeds import digest
from hnbench.shapes.captions import TAGS, evaluation_captions
from hnbench.suites.base import Judge, Prompt, Suite, Verdict
from hnbench.weights.known_picture import distrusted
from hnbench.weights.rgb import rgb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL import Image

SAMPLES = {
    "single_object": 48,
    "two_object": 16,
    "counting": 16,
    "colors": 12,
    "position": 4,
    "color_attr": 4,
}
"""Images per prompt under the full protocol: 336 per task, 2016 in all."""
QUICK_PROMPTS = 7
QUICK_SAMPLES = 4
"""The quick protocol: the first 7 prompts of each task, 4 images each, 168 in all."""


class ShapesJudge(Judge):
    """GenEval's rules over the shapes detector, with one threshold for every task."""

    name = "shapes-detector"
    uses_device = False

    @property
    def fingerprint(self) -> str:
        from hnbench.shapes import cuts, detector, fitting, pieces, several, silhouettes

        modules = (pieces, silhouettes, fitting, cuts, several, detector)
        constants = {
            module.__name__: {
                name: value
                for name, value in vars(module).items()
                if name.isupper()
                and name != "TYPE_CHECKING"
                and isinstance(value, int | float | str | tuple | dict)
            }
            for module in modules
        }
        return digest([self.name, 2, constants])

    def verify(self) -> None:
        """Find one drawn object of each shape, and its colour. The judge has no network; this tests
        the installed numeric packages.
        """
        import numpy as np

        from hnbench.shapes.captions import all_captions
        from hnbench.shapes.detector import THRESHOLD, detect
        from hnbench.shapes.drawing import draw

        rng = np.random.default_rng(0)
        for caption in all_captions("single_object"):
            scene = caption.scene(rng)
            detected = detect(draw(scene, rng))
            found = [
                f"{each.colour} {shape}"
                for shape, blobs in detected.items()
                for each in blobs
                if each.score > THRESHOLD
            ]
            if found != [f"{item.colour} {item.shape}" for item in scene.items]:
                raise distrusted(
                    "the shapes detector",
                    f"a {scene.items[0].colour} {scene.items[0].shape}",
                    ", ".join(found) or "nothing",
                )

    def judge(
        self, images: Sequence[Image.Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        import numpy as np

        from hnbench.shapes.detector import THRESHOLD, detect
        from hnbench.suites.geneval.rules import evaluate, filter_detections

        found = [detect(np.asarray(rgb(image))) for image in images]
        return [
            evaluate(
                filter_detections(
                    detections, str(each["tag"]), threshold=THRESHOLD, counting_threshold=THRESHOLD
                ),
                each,
            )
            for detections, each in zip(found, metadata, strict=True)
        ]


class ShapesSuite(Suite):
    """245 captions; 2016 images under the full protocol, 168 under the quick one."""

    name = "geneval-shapes"
    version = "1"
    tags = TAGS

    def prompts(self) -> tuple[Prompt, ...]:
        return _prompts()

    def samples(self, prompt: Prompt, *, full: bool) -> int:
        return SAMPLES[prompt.tag] if full else QUICK_SAMPLES

    def subset(self) -> tuple[Prompt, ...]:
        return tuple(
            prompt for prompt in _prompts() if int(prompt.id.rpartition("/")[2]) < QUICK_PROMPTS
        )

    def judge(self, *, device: str = "cpu") -> ShapesJudge:  # noqa: ARG002
        return ShapesJudge()


@cache
def _prompts() -> tuple[Prompt, ...]:
    found: list[Prompt] = []
    for tag in TAGS:
        captions = [caption for caption in evaluation_captions() if caption.tag == tag]
        found.extend(
            Prompt(f"{tag}/{index:04d}", caption.text, tag, caption.metadata())
            for index, caption in enumerate(captions)
        )
    return tuple(found)
