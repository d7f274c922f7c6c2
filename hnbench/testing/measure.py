"""The check of a measure."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from hnbench.guards.answers import as_many, as_number, is_usable, shown
from hnbench.measures.base import ImageMeasure, Measure, PromptMeasure, SetMeasure
from hnbench.testing.contract import (
    as_a_run_checks,
    name_of,
    require,
    require_close,
    require_fingerprint,
    require_numbers_close,
    require_text,
)
from hnbench.testing.pictures import PROMPTS, pictures

COUNT = len(PROMPTS)


def check_measure(measure: Measure, *, image_size: int = 64) -> None:
    """Check a loaded measure with square pictures of `image_size` pixels. `ContractError` if it
    breaks its contract.
    """
    who = name_of("measure", measure)
    require_text(who, "name", measure.name)
    require_text(who, "about", measure.about)
    require_fingerprint(who, lambda: measure.fingerprint)
    require(isinstance(measure.source, str), who, "source has to be text")
    require(
        measure.higher_is_better in (True, False, None),
        who,
        "higher_is_better has to be True, False, or None if neither is better",
        f"got {shown(measure.higher_is_better)}",
    )
    shown_pictures = pictures(2 * COUNT, image_size)
    before = [picture.tobytes() for picture in shown_pictures]
    if isinstance(measure, ImageMeasure):
        _check_image_measure(who, measure, shown_pictures[:COUNT])
    elif isinstance(measure, PromptMeasure):
        _check_prompt_measure(who, measure, shown_pictures)
    elif isinstance(measure, SetMeasure):
        _check_set_measure(who, measure, shown_pictures)
    else:
        rule = "a measure has to be an ImageMeasure, a PromptMeasure or a SetMeasure"
        require(condition=False, who=who, rule=rule)
    require(
        [picture.tobytes() for picture in shown_pictures] == before,
        who,
        "a measure must not change the pictures it is given",
    )


def _numbers(who: str, given: object, count: int) -> list[float]:
    with as_a_run_checks():
        return [as_number(who, value) for value in as_many(who, given, count, "values")]


def _check_image_measure(who: str, measure: ImageMeasure, given: list[Image.Image]) -> None:
    values = _numbers(who, measure.values(given, PROMPTS), COUNT)
    again = _numbers(who, measure.values(given, PROMPTS), COUNT)
    require_numbers_close(
        who, "the same pictures and prompts have to give the same values", again, values
    )
    rule = "a picture's value must not depend on its neighbours"
    for row, picture in enumerate(given):
        alone = _numbers(who, measure.values([picture], [PROMPTS[row]]), 1)
        require_numbers_close(who, rule, alone, values[row : row + 1])
    swapped = _numbers(who, measure.values(given[::-1], PROMPTS[::-1]), COUNT)
    require_numbers_close(who, f"{rule}, or on their order", swapped, values[::-1])


def _check_prompt_measure(who: str, measure: PromptMeasure, given: list[Image.Image]) -> None:
    groups: list[Sequence[Image.Image]] = [given[:2], given[2:]]
    values = _numbers(who, measure.values(groups), 2)
    again = _numbers(who, measure.values(groups), 2)
    require_numbers_close(who, "the same pictures have to give the same values", again, values)
    rule = "a group's value must not depend on another group"
    for row, group in enumerate(groups):
        alone = _numbers(who, measure.values([group]), 1)
        require_numbers_close(who, rule, alone, values[row : row + 1])
    swapped = _numbers(who, measure.values(groups[::-1]), 2)
    require_numbers_close(who, f"{rule}, or on their order", swapped, values[::-1])


def _check_set_measure(who: str, measure: SetMeasure, given: list[Image.Image]) -> None:
    features = measure.features(given)
    require(
        is_usable(features)
        and features.ndim == 2
        and len(features) == len(given)
        and features.dtype is torch.float32
        and features.device.type == "cpu"
        and bool(features.isfinite().all()),
        who,
        "features have to be finite numbers [B, D] in float32 on the CPU",
        f"got {shown(features)} for {len(given)} pictures",
    )
    rule = "the features of a picture must not depend on its neighbours"
    require_close(who, rule, measure.features(given[:1]), features[:1])
    ours, base = features[:COUNT], features[COUNT:]
    (value,) = _numbers(who, [measure.distance(ours, base)], 1)
    (other,) = _numbers(who, [measure.distance(ours.flip(0), base.flip(0))], 1)
    require_numbers_close(
        who, "a distance must not depend on the order within the sets", [other], [value]
    )
