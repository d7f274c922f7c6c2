from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from hnbench.catalogue.registry import METHODS
from hnbench.errors import PluginError
from hnbench.hypernetwork.checkpoint import training_cost
from hnbench.hypernetwork.seen import prompt_hashes, write_hashes
from hnbench.methods.adapted import AdapterMethod
from hnbench.methods.hypernoise import HyperNoise
from hnbench.methods.random import Random
from hnbench.methods.reno import ReNO
from hnbench.methods.training import Training
from hnbench.shapes.models import WEIGHTS, load_generator
from hnbench.testing.toys import ToyGenerator
from tests.methods.adapters import adapter_folder

PROMPTS = {"1": "a cat", "2": "a dog", "3": "a cow"}


def test_what_is_known_is_written_and_nothing_else() -> None:
    training = Training(kind="k", steps=3, seconds=1.5, device="cpu", seen=prompt_hashes(["A cow"]))
    assert training.to_json(PROMPTS) == {
        "steps": 3,
        "seconds": 1.5,
        "device": "cpu",
        "seen_prompts": ["3"],
    }
    assert Training().to_json(PROMPTS) == {"seen_prompts": None}
    assert Training(seen=frozenset()).to_json(PROMPTS) == {"seen_prompts": []}


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": -1.0},
        {"seconds": math.inf},
        {"images": "many"},
        {"steps": True},
        {"device": 3},
        {"kind": "two\nlines"},
        {"seen": frozenset(["a cat"])},
        {"seen": ["0123456789abcdef"]},
    ],
)
def test_what_run_json_could_not_hold_is_refused_by_name(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(PluginError, match=f"a Training's {name} was"):
        Training(**wrong)


def test_the_training_of_an_adapter_is_that_of_its_folder() -> None:
    generator = load_generator(device="cpu", dtype="float32")
    folder = WEIGHTS / "hypernoise"
    training = HyperNoise(adapter=folder).prepare(generator)
    described = json.loads((folder / "hnbench.json").read_text())["training"]
    assert training.kind == "hypernoise"
    assert training.to_json({}) == {**described, "seen_prompts": []}
    assert {type(value) for value in training_cost(folder).values()} == {int, float, str}


def test_an_adapter_that_says_nothing_of_its_training(tmp_path: Path) -> None:
    folder = adapter_folder(tmp_path / "adapter", "hypernoise")
    method = HyperNoise(adapter=folder)
    assert method.prepare(ToyGenerator()).to_json(PROMPTS) == {"seen_prompts": None}
    write_hashes(folder, ["a dog"])
    assert method.prepare(ToyGenerator()).to_json(PROMPTS) == {"seen_prompts": ["2"]}


@pytest.mark.parametrize("method", [Random(), ReNO()])
def test_a_method_without_training_needs_nothing(method: Random | ReNO) -> None:
    assert method.skip(ToyGenerator()) is None
    assert method.prepare(ToyGenerator()) is None


def test_the_kind_that_the_catalogue_names_is_the_class_own() -> None:
    for entry in METHODS.built_in:
        made: Any = entry.load()
        assert entry.adapter == (made.kind if issubclass(made, AdapterMethod) else "")
