"""Reports of runs whose images have other steps than the searches: nothing of both is mixed."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnbench.reports.plots import trajectories
from hnbench.reports.published import next_to_ours
from hnbench.reports.sections import protocol, published
from hnbench.reports.summary import Summary, summarise_runs
from tests.reports.synthetic import write_run
from tests.reports.test_published import LABELS, as_published


def summary_of(folder: Path, render_steps: int | None) -> Summary:
    changes = as_published("sd-turbo", 1)
    if render_steps is not None:
        config = {**changes["config"], "render_steps": render_steps}
        changes |= {"config": config, "identity_fields": sorted(config)}
    made = write_run(folder, LABELS, prompts_per_tag=2, samples=1, changes=changes)
    return summarise_runs([made])


@pytest.fixture(scope="module")
def summaries(tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, Summary]:
    folder = tmp_path_factory.mktemp("steps")
    return summary_of(folder / "same", None), summary_of(folder / "apart", 4)


def test_the_protocol_has_both(summaries: tuple[Summary, Summary]) -> None:
    same, apart = map(protocol.section, summaries)
    assert "| steps, dtype | 1, float32 |" in same
    assert "| steps, dtype | 1 in searches, 4 in all images, float32 |" in apart


def test_no_published_number_is_beside_them(summaries: tuple[Summary, Summary]) -> None:
    same, apart = summaries
    assert next_to_ours(same)
    assert next_to_ours(apart) == []
    assert "at 1 step(s), rendered in 4." in published.section(apart)


def test_the_reward_of_an_image_is_no_level_of_a_trajectory(
    summaries: tuple[Summary, Summary],
) -> None:
    same, apart = summaries
    assert trajectories._median_reward(same) is not None
    assert trajectories._median_reward(apart) is None
