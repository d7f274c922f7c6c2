from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hnbench.reports.published import load_published, next_to_ours, published_lines
from hnbench.reports.sections import published
from hnbench.reports.summary import Summary, summarise_runs
from hnbench.reports.write import write_report
from tests.reports.synthetic import manifest, write_run

LABELS = ("random", "reno", "hypernoise")


def as_published(generator: str, steps: int) -> dict[str, Any]:
    """Changes that make a synthetic run one of GenEval on a published model."""
    made = manifest(LABELS, 2, 1, 0)
    return {
        "suite": {**made["suite"], "name": "geneval"},
        "generator": {**made["generator"], "name": generator},
        "config": {**made["config"], "steps": steps},
    }


@pytest.fixture(scope="module")
def sd_turbo(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    folder = tmp_path_factory.mktemp("published") / "run"
    return summarise_runs(
        [
            write_run(
                folder, LABELS, prompts_per_tag=2, samples=1, changes=as_published("sd-turbo", 1)
            )
        ]
    )


def test_the_table_of_hypernoise() -> None:
    table = [
        one
        for one in load_published()
        if one.benchmark == "geneval" and one.source.endswith("Table 1")
    ]
    found = {(one.model, one.method, one.steps): one.value for one in table if one.tag == "overall"}
    assert found["sd-turbo", "hypernoise", 1] == 0.57
    assert found["sana-sprint-0.6b", "reno", 1] == 0.81
    assert found["flux-schnell", "hypernoise", 4] == 0.72


def test_an_overall_is_the_mean_of_its_six_tasks_up_to_rounding() -> None:
    tables: dict[tuple[object, ...], dict[str, float]] = {}
    for one in load_published():
        if one.benchmark == "geneval" and one.source.endswith("Table 1"):
            tables.setdefault((one.model, one.method), {})[one.tag] = one.value
    assert len(tables) == 19
    del tables[
        "sd3-medium", "random"
    ]  # its six tasks have a mean of 0.74, and its overall is printed as 0.70
    for values in tables.values():
        overall = values.pop("overall")
        assert len(values) == 6
        assert overall == pytest.approx(sum(values.values()) / 6, abs=0.0101)


def test_every_number_has_a_judge_a_source_and_a_unit() -> None:
    found = load_published()
    assert all(one.judge and one.source for one in found)
    assert Counter(one.benchmark for one in found).keys() == {"geneval", "t2i-compbench", "dpg"}
    assert all(
        50 < one.value < 100 if one.benchmark == "dpg" else 0 < one.value <= 1 for one in found
    )
    keys = Counter(
        (one.model, one.method, one.steps, one.benchmark, one.tag, one.source) for one in found
    )
    assert not [key for key, number in keys.items() if number > 1]


def test_published_numbers_stand_beside_the_run_s_own(sd_turbo: Summary) -> None:
    found = {
        (one.method, one.tag): own
        for one, _, own in next_to_ours(sd_turbo)
        if one.source.startswith("HyperNoise")
    }
    assert found["hypernoise", "overall"] == sd_turbo.rows["hypernoise"].overall
    assert found["reno", "counting"] == sd_turbo.rows["reno"].tags["counting"]
    assert found["best-of-50", "overall"] is None


def test_other_models_and_steps_are_not_beside_it(tmp_path: Path) -> None:
    for generator, steps in (("sd-turbo", 2), ("shapes", 1)):
        changes = as_published(generator, steps)
        summary = summarise_runs(
            [
                write_run(
                    tmp_path / f"{generator}{steps}",
                    LABELS,
                    prompts_per_tag=2,
                    samples=1,
                    changes=changes,
                )
            ]
        )
        assert next_to_ours(summary) == []
        assert "No published number is known for geneval" in published.section(summary)
        assert published_lines(summary) == [
            "No published number is known of this benchmark, model and number of steps."
        ]


def test_the_report_has_them_where_they_were_asked_for(sd_turbo: Summary, tmp_path: Path) -> None:
    section = published.section(sd_turbo)
    assert "| HyperNoise | overall | 0.57 |" in section
    assert "judge: detector" in section
    assert "mask2former" in section
    assert section in write_report(sd_turbo, tmp_path / "with", published=True).read_text()
    assert "Published numbers" not in write_report(sd_turbo, tmp_path / "without").read_text()
    assert any(
        line.startswith("ReNO, overall: published 0.63") for line in published_lines(sd_turbo)
    )
