"""Prompt search in a run: what its records hold, and a rewriter that fails for one prompt."""

from __future__ import annotations

from pathlib import Path

import pytest

import hnbench
from hnbench.runs.store import read_run
from tests.methods.rewriters import program

pytestmark = pytest.mark.usefixtures("few_plots")


def test_records_have_the_chosen_prompt_and_the_cost_and_failures_are_their_own(
    tmp_path: Path,
) -> None:
    command = program(
        tmp_path,
        "assert 'ring' not in request['prompt'], 'no rings'\nprint('a red star\\n\\na blue star')",
    )
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a red ring\na star\na blue star\n", "utf-8")
    asked = {
        "method": [f"prompt-search:proposals=2,rounds=2,command={command}"],
        "device": "cpu",
        "out": tmp_path / "run",
        "progress": False,
    }
    planned = hnbench.plan(str(prompts), **asked)  # type: ignore[arg-type]
    found = hnbench.run(str(prompts), **asked)  # type: ignore[arg-type]
    records = [one for one in read_run(found.folder).records if one.label == "prompt-search"]
    assert len(records) == planned.work.methods[1].images
    for one in records:
        if one.prompt == "a red ring":
            assert one.error is not None
            assert one.error.message.endswith("AssertionError: no rings")
            assert (one.chosen_prompt, one.rewriter) == (None, None)
            continue
        assert one.status == "done"
        assert one.chosen_prompt in {one.prompt, "a red star", "a blue star"}
        assert one.rewriter is not None
        assert one.rewriter.calls == 2
        assert one.rewriter.seconds > 0
        assert one.displacement == 0
        assert one.trajectory is not None
        assert one.rewriter.dropped == 4 - len(one.trajectory)
        best = max(value for value in one.trajectory if value is not None)
        # The record's reward is that of the saved image of 8 bits.
        assert one.rewards["optimised"] == pytest.approx(best, abs=0.5)
    assert {one.status for one in records} == {"done", "failed"}
    assert any(one.chosen_prompt != one.prompt for one in records if one.status == "done")
