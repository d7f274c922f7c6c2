"""Selects the prompts that can be compared if a value depends on the number of images."""

from __future__ import annotations

from collections.abc import Mapping, Sized


def with_equal_numbers(
    values: Mapping[str, Mapping[str, tuple[float, ...]]],
    images: Mapping[str, Mapping[str, Sized]],
    base: str | None,
) -> dict[str, dict[str, tuple[float, ...]]]:
    """Label -> prompt -> values, for the prompts of which the label has as many images as the base:
    values such as diversity depend on the number. Without a base, nothing is left out.

    `values` and `images` are by label and prompt; `base` is a label.
    """

    def is_equal(label: str, prompt: str) -> bool:
        return base is None or len(images[label][prompt]) == len(images[base].get(prompt, ()))

    return {
        label: {prompt: value for prompt, value in found.items() if is_equal(label, prompt)}
        for label, found in values.items()
    }
