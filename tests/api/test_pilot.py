"""The power of a planned run, against the arithmetic of its pilot."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import hnbench
from hnbench.cli.app import app
from hnbench.errors import UsageError
from tests.api.test_work import TOY, toy_run

pytestmark = pytest.mark.usefixtures("toys")
METHODS = ["best-of-n:n=2"]


def planned(**changed: object) -> hnbench.RunPlan:
    return hnbench.plan(**{**TOY, "method": METHODS, **changed})


def by_hand(folder: str) -> tuple[float, float]:
    """The standard error of best-of-2 minus random in the toy suite, whose two tags have some
    prompts of two samples each, and its part that no seed takes away.
    """
    frame = hnbench.load_run(folder).frame()
    score = frame.pivot_table(index=["tag", "prompt_id", "sample"], columns="label", values="score")
    gap = score["best-of-2"] - score["random"]
    whole = fixed = 0.0
    for _, own in gap.groupby("tag"):
        pairs = own.to_numpy().reshape(-1, 2)
        within = float(pairs.var(axis=1, ddof=1).mean())
        between = max(0.0, float(pairs.mean(axis=1).var(ddof=1)) - within / 2)
        whole += (between + within / 2) / len(pairs) / 4
        fixed += between / len(pairs) / 4
    return math.sqrt(whole), math.sqrt(fixed)


def test_the_numbers_are_those_of_the_formula() -> None:
    toy_run("run", method=METHODS)
    whole, fixed = by_hand("run")
    share = 1.959964 + 0.841621
    for difference in (0.05, 0.2, 0.9):
        (one,) = planned(detect=difference, pilot="run").power
        assert (one.first, one.second) == ("random", "best-of-2")
        assert one.detectable == pytest.approx(share * whole, abs=1e-9)
        prompts = len({record.prompt_id for record in hnbench.load_run("run").records})
        factor = (share * whole / difference) ** 2
        assert one.prompts == max(1, math.ceil(factor * prompts - 1e-9))
        left = (difference / share) ** 2 - fixed**2
        seeds = None if left <= 0 else max(1, math.ceil((whole**2 - fixed**2) / left - 1e-9))
        assert one.seeds == seeds
    assert np.isfinite(whole)


def test_the_runs_own_folder_is_the_pilot_that_nobody_named() -> None:
    with pytest.raises(UsageError, match="not known before a run; make a small one"):
        planned(detect=0.1, out="run")
    toy_run("run", method=METHODS)
    assert planned(detect=0.1, out="run").power == planned(detect=0.1, pilot="run").power
    assert planned(out="run").power == ()


@pytest.mark.parametrize("wrong", [0.0, -0.1, math.nan, math.inf])
def test_a_difference_must_be_above_zero(wrong: float) -> None:
    toy_run("run", method=METHODS)
    with pytest.raises(UsageError, match=r"must be above 0, for example 0\.02"):
        planned(detect=wrong, pilot="run")


def test_a_run_of_another_suite_is_no_pilot(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a cat\na dog\n")
    toy_run("run", suite=str(prompts), method=METHODS)
    with pytest.raises(UsageError, match="a run of toy-suite with all of its tags is needed"):
        planned(detect=0.1, pilot="run")


def test_a_pilot_without_a_difference_to_detect_is_refused() -> None:
    toy_run("run", method=METHODS)
    with pytest.raises(UsageError, match="the pilot run is only read for `detect`"):
        planned(pilot="run")
    options = ["--generator", "toy", "--optimise", "brightness=1", "--method", METHODS[0]]
    asked = ["plan", "--suite", "toy-suite", *options, "--pilot", "run"]
    refused = CliRunner().invoke(app, asked)
    assert refused.exit_code == 2
    assert "only read for --detect, which was not given" in " ".join(refused.output.split())


def test_the_command_prints_them() -> None:
    toy_run("run", method=METHODS)
    options = ["--generator", "toy", "--optimise", "brightness=1", "--method", METHODS[0]]
    asked = ["plan", "--suite", "toy-suite", *options, "--detect", "0.2", "--pilot", "run"]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0, shown.output
    assert "that many runs of this size find 0.2" in " ".join(shown.stdout.split())
