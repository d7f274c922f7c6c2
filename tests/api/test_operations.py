"""Operations that are known in advance, against those that runs count."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import hnbench
from hnbench.api.arrangement import Arrangement, arrange
from hnbench.api.operations import operations_of_run
from hnbench.api.plan import TOTAL
from hnbench.catalogue import registry
from hnbench.catalogue.operations import operations_of
from hnbench.catalogue.specifications import make_method
from hnbench.display.screen import Screen
from hnbench.methods.base import Method, Passes
from hnbench.methods.random import Random
from hnbench.methods.reno import ReNO
from hnbench.runs.steps import Steps
from hnbench.runs.workload import workload_of
from hnbench.tasks import Task

pytestmark = pytest.mark.usefixtures("few_plots")

SHORT = {
    "best-of-n": "best-of-n:n=2",
    **{name: f"{name}:iterations=2" for name in ("reno", "gper", "mpgr", "dno", "hybrid")},
    "zero-order": "zero-order:neighbours=2,rounds=1",
    "spectral": "spectral:budget=4,population=2,elites=2",
    "evolution": "evolution:population=2,elites=1,generations=1",
    **{name: f"{name}:steps=2" for name in ("pcn", "langevin")},
}


def test_a_run_counts_what_its_plan_said(tmp_path: Path) -> None:
    """Every built-in method, adapters included, to the last digit of a record: all but the one that
    rewrites prompts, and the one that asks a judge.
    """
    uncounted = ("prompt-search", "oracle")
    names = [entry.name for entry in registry.METHODS.built_in if entry.name not in uncounted]
    (tmp_path / "prompts.txt").write_text("a red ring\na blue star\n")
    regression = hnbench.train(
        kind="regression",
        prompts=tmp_path / "prompts.txt",
        pairs=1,
        reno_iterations=2,
        steps=1,
        batch_size=1,
        device="cpu",
        out=tmp_path / "training",
        progress=False,
    )
    asked: dict[str, Any] = {
        "method": [SHORT.get(name, name) for name in names],
        "amortised": regression.adapter,
        "limit": 1,
        "steps": 2,
        "device": "cpu",
        "out": tmp_path / "run",
        "progress": False,
    }
    planned = hnbench.plan("geneval-shapes", **asked)
    assert dict(planned.operations.unknown) == {}
    # A method with a single row has that row's name.
    assert set(planned.operations.per_task) == {*names, "best-of-2"} - {"best-of-n"}
    counted = hnbench.run("geneval-shapes", **asked).frame()
    frame = planned.frame()
    for work in planned.work.methods:
        # The label that needed the whole work of its method.
        most = counted[counted["label"].isin(work.labels)]["tflops"].max() * 1e12
        assert planned.operations.per_task[work.name] == pytest.approx(most, rel=1e-6), work.name
        assert frame["flops"][work.name] == planned.operations.per_task[work.name] * work.tasks
    assert frame["flops"][TOTAL] == frame["flops"][:-1].sum()


def arranged(**changed: Any) -> Arrangement:
    with Screen(shown=False) as screen:
        return arrange(screen, "geneval-shapes", **changed)


def reasons(asked: Arrangement, *methods: Method) -> list[str]:
    return list(operations_of_run(asked, methods).unknown.values())


def test_those_of_a_rewriter_are_unknown_but_its_passes_are_planned(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"limit": 2, "out": tmp_path / "run", "progress": False}
    planned = hnbench.plan("geneval-shapes", method="mine=prompt-search", **asked)
    assert planned.operations.unknown == {"mine": "new prompts are encoded, and a rewriter works"}
    assert planned.frame()["passes_generator_forward"]["mine"] == 50 * planned.work.methods[1].tasks


def test_an_iteration_of_reno_with_human_preference() -> None:
    """The parts of SD-Turbo were counted before, by other code, with attention's backward pass in
    four products instead of five: 9.11 TFLOP.
    """
    one, two = (
        operations_of_run(arranged(generator="sd-turbo"), [ReNO(iterations=number)]).per_task
        for number in (1, 2)
    )
    assert (two["reno"] - one["reno"]) / 1e12 == pytest.approx(9.11, rel=0.02)


def test_steps_repeat_the_backbone_only() -> None:
    parts = operations_of("sd-turbo")
    found = [
        operations_of_run(arranged(generator="sd-turbo", steps=steps), [Random()]).per_task
        for steps in (1, 4)
    ]
    backbone, decoder = parts["backbone"].forward, parts["decoder"].forward
    assert [one["random"] for one in found] == [backbone + decoder, 4 * backbone + decoder]


@dataclass(frozen=True, kw_only=True)
class Silent(Random):
    name = "silent"

    def passes(self, steps: int) -> Passes:
        return None  # type: ignore[return-value]


@dataclass(frozen=True, kw_only=True)
class Shrinking(Random):
    name = "shrinking"

    def passes(self, steps: int) -> Passes:
        return Passes(10 - steps)


def test_what_is_not_known_is_named() -> None:
    asked = arranged(generator="sd-turbo")
    assert reasons(asked, Random(), ReNO()) == []
    assert reasons(asked, Silent()) == ["it does not announce its passes"]
    assert reasons(asked, Shrinking()) == ["its passes do not grow evenly with the steps"]
    assert reasons(arranged(generator="sd-turbo", image_size=512), Random()) == []
    assert reasons(arranged(generator="sd-turbo", image_size=768), Random()) == [
        "those of sd-turbo are known at 512 pixels only"
    ]
    assert reasons(arranged(generator="flux-schnell", max_sequence_length=256), Random()) == [
        "those of flux-schnell are known without `max_sequence_length` only"
    ]
    assert reasons(
        arranged(generator="sd-turbo", memory="checkpoint-decoder"), Random(), ReNO()
    ) == ["with checkpoint-decoder, backward passes compute more"]
    elsewhere = arranged(generator="sd-turbo", optimise={"clip@owner/name": 1.0})
    assert reasons(elsewhere, Random(), ReNO()) == ["nobody counted those of clip@owner/name"]
    place = arranged(generator="owner/name", optimise={"clip": 1.0})
    assert reasons(place, Random()) == ["nobody counted those of owner/name"]


def test_an_adapter_of_another_size_is_not_counted() -> None:
    asked = arranged()
    own = make_method("hypernoise", {"adapter": asked.adapters["hypernoise"]})
    assert reasons(asked, own) == []
    assert reasons(replace(asked, config=replace(asked.config, generator="sd-turbo")), own) == [
        "its adapter has other layers or another rank than sd-turbo's own"
    ]


def test_a_run_takes_the_generators_own_steps() -> None:
    assert arranged(generator="sdxl-lightning").config.steps == 4
    assert arranged(generator="sdxl-lightning", steps=2).config.steps == 2
    assert arranged(generator="sdxl-dmd2").config.steps == 1


def test_the_published_hypernetwork_is_counted_before_it_is_here() -> None:
    asked = arranged(generator="sana-sprint-0.6b")
    method = make_method("hypernoise", {"adapter": Path("owner/name")})
    assert reasons(asked, method) == []


def test_a_sentence_says_what_is_known() -> None:
    asked = arranged(generator="sd-turbo")
    tasks = [Task("a", "a dog", sample) for sample in range(1000)]

    def said(*methods: Method) -> str:
        work = workload_of(methods, tasks, (), steps=Steps(1), batch_size=4)
        return operations_of_run(asked, methods).sentence(work)

    assert said(Random()) == "operations: 3.32 PFLOP, counted in advance for these models"
    assert said(Random(), Silent()) == (
        "operations: 3.32 PFLOP, counted in advance for these models; unknown for silent: it does"
        " not announce its passes"
    )
    assert said(Silent()) == "operations: unknown (it does not announce its passes)"
