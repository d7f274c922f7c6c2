from __future__ import annotations

from hnbench.stats.equal_numbers import with_equal_numbers


def test_prompts_with_fewer_images_than_the_base_are_not_compared() -> None:
    images = {
        "random": {"a": ["1", "2"], "b": ["3", "4"]},
        "ours": {"a": ["1"], "b": ["3", "4"], "c": ["5"]},
    }
    values = {
        "random": {"a": (1.0,), "b": (2.0,)},
        "ours": {"a": (3.0,), "b": (4.0,), "c": (5.0,)},
    }
    assert with_equal_numbers(values, images, "random") == {
        "random": values["random"],
        "ours": {"b": (4.0,)},
    }
    assert with_equal_numbers(values, images, None) == values
