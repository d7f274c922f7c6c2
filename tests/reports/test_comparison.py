"""Runs compared with each other: the numbers, the rows, and what is refused or left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hnbench.errors import UsageError
from hnbench.reports.comparison.comparison import Comparison, compared
from hnbench.reports.comparison.contrasts import SAME_NOISES, SAME_PROMPTS
from hnbench.reports.comparison.text import console_table, markdown
from hnbench.reports.comparison.write import FILES, write_comparison
from hnbench.reports.numbers import spanned
from hnbench.reports.summary import summarise_runs
from hnbench.seeds import digest
from tests.journals import journal_rows, write_journal
from tests.reports.compared_runs import LABELS, manifest_of, other_noises, with_method, write
from tests.reports.compared_runs import write_trained as trained
from tests.reports.synthetic import TAGS


def of(*folders: Path, labels: tuple[str, ...] = (), unseen: bool = False) -> Comparison:
    return compared([(None, folder) for folder in folders], labels=labels, unseen=unseen)


def test_rows_of_one_run_have_the_numbers_of_its_report(tmp_path: Path) -> None:
    run = write(tmp_path / "run", ("random", "best-of-2", "hypernoise"))
    summary = summarise_runs([run])
    (against,) = summary.comparisons
    (one,) = of(run, labels=("best-of-2", "hypernoise")).contrasts
    assert (one.row.name, one.reference.name) == ("hypernoise", "best-of-2")
    assert one.metrics["score"].overall == against.gain
    assert one.p_holm == against.p_holm
    (one,) = of(run, labels=("random", "hypernoise")).contrasts
    row = summary.rows["hypernoise"]
    assert one.metrics["score"].overall == row.gain
    assert one.metrics["score"].tags == row.tag_gains
    assert one.metrics["score"].samples == one.metrics["score"].reference_samples == row.pairs
    for name, gain in row.reward_gains.items():
        assert one.metrics[f"reward:{name}"].overall == gain
    assert one.cost_ratios["generator_passes"].estimate == 2.0


def test_a_hypernetwork_of_another_run_is_paired_as_if_it_were_in_the_same_run(
    tmp_path: Path,
) -> None:
    """The other hypernetwork has the verdicts of ReNO: the difference is that of the two rows of
    one report. The runs of the other group come in another order of seeds.
    """
    seeds = (0, 1)
    own = [write(tmp_path / f"a{seed}", seed=seed) for seed in seeds]
    other = [trained(tmp_path / f"b{seed}", seed=seed) for seed in reversed(seeds)]
    within = of(*own, labels=("reno", "hypernoise")).contrasts[0].metrics["score"]
    found = of(*other, *own)
    assert [len(group.pool.seeds) for group in found.groups] == [2, 2]
    (one,) = found.contrasts
    assert one.pairing == SAME_NOISES
    across = one.metrics["score"]
    for own_interval, their_interval in (
        (across.overall, within.overall),
        *zip(across.tags.values(), within.tags.values(), strict=True),
    ):
        assert (own_interval.estimate, own_interval.low, own_interval.high) == pytest.approx(
            (their_interval.estimate, their_interval.low, their_interval.high), abs=1e-12
        )
    assert across.p == within.p
    assert across.tag_p == within.tag_p
    assert across.samples == 2 * 2 * 3 * len(TAGS)


def test_equal_rows_appear_once_and_names_say_what_differs(tmp_path: Path) -> None:
    found = of(write(tmp_path / "a"), trained(tmp_path / "b"))
    assert [level.row.name for level in found.levels] == [
        *("random", "best-of-2", "reno"),
        *("hypernoise (adapter=ab)", "hypernoise (adapter=eeeeeeee)"),
    ]
    assert found.notes == (
        "a and b have the same records of random, best-of-2, reno, which are shown once.",
    )
    named = compared([("small", tmp_path / "a"), ("large", tmp_path / "b")])
    assert named.contrasts[0].row.name == "hypernoise (large)"
    assert named.contrasts[0].reference.name == "hypernoise (small)"


def test_runs_that_differ_only_in_device_are_rows_of_their_devices(tmp_path: Path) -> None:
    first, moved = write(tmp_path / "a"), write(tmp_path / "b")
    sessions = manifest_of(moved)["sessions"]
    changed = {
        **manifest_of(moved),
        "sessions": [{**session, "device": "cuda:0"} for session in sessions],
    }
    (moved / "run.json").write_text(json.dumps(changed))
    rows = [
        {
            **row,
            "image": {**row["image"], "sha256": digest([row["image"]["sha256"]])},
            "cost": {**row["cost"], "device": "Some GPU"},
        }
        for row in journal_rows(moved / "journal-0000.jsonl")
    ]
    write_journal(moved / "journal-0000.jsonl", rows)
    found = of(first, moved)
    assert [level.row.name for level in found.levels] == [
        f"{label} (device={device})" for device in ("cpu", "cuda") for label in LABELS
    ]
    assert [one.reference.name for one in found.contrasts] == [
        f"{label} (device=cpu)" for label in LABELS
    ]
    assert all("seconds" not in one.cost_ratios for one in found.contrasts)


def test_names_of_runs_of_another_generator_or_precision(tmp_path: Path) -> None:
    config = manifest_of(write(tmp_path / "a"))["config"]
    generator = {"name": "shapes-large", "fingerprint": "9" * 64, "details": {}}
    other = write(
        tmp_path / "b", generator=generator, config={**config, "dtype": "bfloat16"}, size=3
    )
    one = of(tmp_path / "a", other).contrasts[-1]
    assert one.row.name == "hypernoise (generator=shapes-large, dtype=bfloat16)"
    assert one.reference.name == "hypernoise (generator=shapes, dtype=float32)"


def test_rows_with_the_same_images_are_not_compared(tmp_path: Path) -> None:
    """`random` makes the same images whatever another run optimises."""

    def same(row: dict[str, Any]) -> dict[str, Any]:
        if row["label"] != "random":
            return row
        name = f"{row['prompt_id']} {row['sample']}"
        return {**row, "image": {**row["image"], "sha256": name.encode().hex().ljust(64, "0")[:64]}}

    first = write(tmp_path / "a", ("random", "reno"), change=same)

    def weighed(row: dict[str, Any]) -> dict[str, Any]:
        totals = {
            name: {**row[name], "optimised": 5.0 * row[name]["shapes-clip"]}
            for name in ("rewards", "initial_rewards")
        }
        return {**same(row), **totals}

    rewards = {**manifest_of(first)["rewards"], "optimised": {"shapes-clip": 5.0}}
    other = write(tmp_path / "b", ("random", "reno"), change=weighed, rewards=rewards)
    found = of(first, other)
    assert [one.row.label for one in found.contrasts] == ["reno"]
    assert any("have the same images, so they are not compared" in note for note in found.notes)
    assert "reward:optimised" not in found.metrics
    assert any("optimised different rewards" in note for note in found.notes)


def test_other_noises_are_compared_by_prompt_and_said(tmp_path: Path) -> None:
    first = write(tmp_path / "a")
    other = write(
        tmp_path / "b",
        plan=with_method(LABELS, 0, 3, name="hypernoise", adapter="e" * 64),
        change=other_noises,
        generator={"name": "other", "fingerprint": "9" * 64, "details": {}},
    )
    found = of(first, other)
    assert {one.pairing for one in found.contrasts} == {SAME_PROMPTS}
    assert any("their samples are not matched" in note for note in found.notes)
    rows = journal_rows(first / "journal-0000.jsonl"), journal_rows(other / "journal-0000.jsonl")
    for one in found.contrasts:
        means = [
            np.mean(
                [
                    np.mean(
                        [
                            row["verdict"]["correct"]
                            for row in part
                            if row["tag"] == tag and row["label"] == one.row.label
                        ]
                    )
                    for tag in TAGS
                ]
            )
            for part in rows
        ]
        assert one.metrics["score"].overall.estimate == pytest.approx(means[1] - means[0])


def test_p_values_are_adjusted_over_the_table(tmp_path: Path) -> None:
    found = of(write(tmp_path / "run"))
    raw = [one.metrics["score"].p for one in found.contrasts]
    assert len(raw) == 6
    order = np.argsort(raw, kind="stable")
    expected, largest = {}, 0.0
    for place, at in enumerate(order):
        largest = max(largest, min(1.0, raw[at] * (len(raw) - place)))
        expected[int(at)] = largest
    assert [one.p_holm for one in found.contrasts] == [
        pytest.approx(expected[at]) for at in range(len(raw))
    ]


def test_every_two_rows_are_in_the_table_of_pairs(tmp_path: Path) -> None:
    found = of(write(tmp_path / "a"), trained(tmp_path / "b"))
    frame = found.pairs_frame()
    assert len(frame) == 5 * 4 / 2
    (one,) = found.contrasts
    pair = frame[(frame["first"] == one.reference.name) & (frame["second"] == one.row.name)]
    assert pair["estimate"].item() == one.metrics["score"].overall.estimate
    assert pair["p"].item() == one.metrics["score"].p


def test_missing_samples_are_counted_and_said(tmp_path: Path) -> None:
    first, other = write(tmp_path / "a"), trained(tmp_path / "b")
    rows = journal_rows(other / "journal-0000.jsonl")
    gone = next(row for row in rows if row["label"] == "hypernoise")
    write_journal(other / "journal-0000.jsonl", [row for row in rows if row is not gone])
    (one,) = of(first, other).contrasts
    assert one.metrics["score"].samples == one.metrics["score"].reference_samples == 35
    notes = of(first, other).notes
    assert any("1 of the 36 samples of hypernoise (adapter=eeeeeeee)" in note for note in notes)
    assert any("0 failed or missing, 1 without a counterpart" in note for note in notes)


def test_only_common_prompts_are_compared(tmp_path: Path) -> None:
    found = of(write(tmp_path / "a", size=3), trained(tmp_path / "b", size=2))
    assert found.prompts == 12
    assert "6 of the 18 prompts of a are left out: not all runs have them." in found.notes


def test_prompts_that_a_training_saw_are_left_out_on_unseen(tmp_path: Path) -> None:
    training = {"hypernoise": {"seen_prompts": ["counting/0000", "colors/0001"]}}
    first, other = write(tmp_path / "a", training=training), trained(tmp_path / "b")
    assert of(first, other).prompts == 18
    assert any("2 of the 18 prompts were among" in note for note in of(first, other).notes)
    found = of(first, other, unseen=True)
    assert found.prompts == 16
    assert any("2 of the 18 prompts are left out: a training" in note for note in found.notes)


def test_other_judges_leave_the_rewards_in_common(tmp_path: Path) -> None:
    first = write(tmp_path / "a")
    suite = manifest_of(first)["suite"]
    rewards = manifest_of(first)["rewards"]
    other = write(
        tmp_path / "b",
        suite={**suite, "judge": {"name": "other", "fingerprint": "8" * 64}},
        rewards={**rewards, "fingerprints": {**rewards["fingerprints"], "redness": "7" * 64}},
    )
    found = of(first, other)
    assert found.metrics == ("reward:optimised", "reward:shapes-clip", "reward:shapes-resnet")
    assert any("scored by different judges" in note for note in found.notes)
    assert "The reward redness is not compared: its weights differ between the runs." in found.notes


def test_seconds_need_the_same_device(tmp_path: Path) -> None:
    first, same = write(tmp_path / "a"), trained(tmp_path / "b")
    assert "seconds" in of(first, same).contrasts[0].cost_ratios
    rows = journal_rows(same / "journal-0000.jsonl")
    moved = [{**row, "cost": {**row["cost"], "device": "Another GPU"}} for row in rows]
    write_journal(same / "journal-0000.jsonl", moved)
    found = of(first, same)
    assert list(found.contrasts[0].cost_ratios) == ["generator_passes"]
    assert any("Seconds are compared only where" in note for note in found.notes)


def test_what_has_nothing_in_common_is_refused(tmp_path: Path) -> None:
    first = write(tmp_path / "a")
    suite = manifest_of(first)["suite"]
    with pytest.raises(UsageError, match="nothing in common"):
        of(first, write(tmp_path / "b", suite={**suite, "version": "2"}))
    prompts = with_method(LABELS, 0, 3, name="random")
    for prompt in prompts["prompts"]:
        prompt["id"] = f"other/{prompt['id']}"
    with pytest.raises(UsageError, match="no prompt in common"):
        of(first, write(tmp_path / "c", plan=prompts))
    with pytest.raises(UsageError, match="no run has a row 'renoo'; the rows are 'random'"):
        of(first, labels=("renoo",))
    with pytest.raises(UsageError, match="no two of these rows can be compared"):
        of(first, labels=("reno",))
    with pytest.raises(UsageError, match="no run was given"):
        compared([])


def test_the_files_have_every_number(tmp_path: Path) -> None:
    found = of(write(tmp_path / "a"), trained(tmp_path / "b"))
    path = write_comparison(found, tmp_path / "out")
    made = {one.name for one in path.parent.iterdir() if not one.name.startswith(".")}
    assert made == set(FILES)
    (one,) = found.contrasts
    text = path.read_text()
    difference = spanned(one.metrics["score"].overall, sign=True)
    assert f"| {one.row.name} | {one.reference.name} | {difference} |" in text
    page = (tmp_path / "out/index.html").read_text()
    assert f'<td class="number">{difference}</td>' in page
    assert page.count("data:image/svg+xml") == 2
    frame = found.frame()
    overall = frame[(frame["reference"] != "") & (frame["tag"] == "overall")]
    assert overall["metric"].tolist()[0] == "score"
    assert overall["p_holm"].iloc[0] == one.p_holm
    assert len(json.dumps(found.to_json(), allow_nan=False)) > 1000
    # A second comparison replaces the first; other files of these names are not overwritten.
    write_comparison(found, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/comparison.md").write_text("my own")
    with pytest.raises(UsageError, match="was not written by"):
        write_comparison(found, tmp_path / "mine")


def test_every_column_is_documented(tmp_path: Path) -> None:
    found = of(write(tmp_path / "a"), trained(tmp_path / "b"))
    text = (Path(__file__).parents[2] / "docs/compare.md").read_text()
    for column in (*found.frame().columns, *found.pairs_frame().columns):
        assert f"`{column}`" in text, column


def test_names_of_a_run_are_escaped(tmp_path: Path) -> None:
    found = compared([("<b>|x", write(tmp_path / "a")), ("b", trained(tmp_path / "b"))])
    text = markdown(found, {}, [])
    assert "<b>" not in text
    assert "\\|x" in text
    page = write_comparison(found, tmp_path / "out").with_name("index.html").read_text()
    assert "<b>" not in page
    assert "hypernoise (&lt;b&gt;|x)" in page
    assert console_table(found).row_count == 1
