"""The functions of the door at work, on toys: they do what the commands do, and hand on results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import hnbench
from hnbench.cli.app import app
from hnbench.runs import journals
from hnbench.runs.journals import Union
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from tests.journals import journal_rows

pytestmark = pytest.mark.usefixtures("few_plots")

TOY: dict[str, Any] = {
    "suite": "toy-suite",
    "generator": "toy",
    "optimise": {"brightness": 1.0},
    "hold_out": "red",
    "device": "cpu",
    "progress": False,
}


def toy_run(folder: Path | str = "run", **changed: Any) -> hnbench.FinishedRun:
    return hnbench.run(**{**TOY, "method": "best-of-n:n=2", "out": folder, **changed})


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows = [row for path in sorted(folder.glob("journal-*")) for row in journal_rows(path)]
    for row in rows:
        row["cost"].pop("seconds")
        del row["written"]
    return rows


def test_a_run_is_the_command_s(toys: Path) -> None:
    found = toy_run()
    command = "run --suite toy-suite --generator toy --optimise brightness=1.0 --hold-out red"
    done = CliRunner().invoke(
        app, [*command.split(), "--device", "cpu", "--method", "best-of-n:n=2", "--out", "other"]
    )
    assert done.exit_code == 0, done.output
    assert rows_of(toys / "run") == rows_of(toys / "other")
    counts = (found.expected, found.done, found.failed, found.new, found.commonest)
    assert counts == (16, 16, 0, 16, "")
    again = toy_run()
    assert (again.new, again.records) == (0, found.records)


def test_a_run_is_a_frame(toys: Path) -> None:
    found = toy_run()
    for run in (found, hnbench.load_run("run"), hnbench.load_run(toys / "run")):
        frame = run.frame()
        assert len(frame) == 16
        assert set(frame["label"]) == {"random", "best-of-2"}
        first = run.records[0]
        row = frame.set_index("id").loc[first.id]
        assert row["reward_brightness"] == first.rewards["brightness"]
        assert row["initial_red"] == first.initial_rewards["red"]
        assert (row["prompt"], row["sample"], row["status"]) == (first.prompt, first.sample, "done")
    report = hnbench.report(found)
    written = pd.read_csv(report.path.parent / "records.csv")
    assert set(written.columns) - {"score"} <= set(frame.columns)
    assert sorted(written["id"]) == sorted(frame["id"])


def test_nothing_is_shown_unless_asked_for(toys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toy_run()
    hnbench.report("run", progress=False)
    hnbench.measure("run", measure=["shift"], device="cpu", progress=False)
    assert capsys.readouterr() == ("", "")
    toy_run("other", progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "all methods: 16/16" in shown.err


def test_a_report_says_what_it_found(toys: Path) -> None:
    run = toy_run()
    report = hnbench.report(run)
    assert report.path == Path("run/report/report.md")
    assert [
        one["sentence"] for one in json.loads(Path("run/report/headline.json").read_text())
    ] == [*report.findings]
    frame = report.frame()
    assert {"label", "metric", "estimate", "low", "high"} <= set(frame.columns)
    assert hnbench.report("run", out="elsewhere", check=True).damaged == ()
    Path("run", str(run.records[0].image.path if run.records[0].image else "")).write_bytes(b"")
    assert len(hnbench.report("run", check=True).damaged) == 1
    with pytest.raises(hnbench.UsageError, match="2 runs were given; name a folder"):
        hnbench.report(["run", "run"])


def test_several_runs_read_or_not_are_one_report(toys: Path) -> None:
    first, second = toy_run("0", seed=0), toy_run("1", seed=1)
    report = hnbench.report([first, "1"], out="both")
    assert report.summary.pool.seeds == (0, 1)
    assert second.frame()["base_seed"].unique().tolist() == [1]


def test_a_run_folder_is_read_once(toys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy_run()
    read: list[int] = []

    def counted(paths: list[Path]) -> Union:
        read.append(len(paths))
        return Union(paths)

    monkeypatch.setattr(journals, "Union", counted)
    quiet: dict[str, Any] = {"device": "cpu", "progress": False}
    calls: dict[str, Callable[[], object]] = {
        "measure": lambda: hnbench.measure("run", measure="shift", **quiet),
        "export": lambda: hnbench.export("run", layout="t2i-compbench", out="out", progress=False),
        "report": lambda: hnbench.report("run"),
        "run and report": lambda: hnbench.report(toy_run()),
        "score": lambda: hnbench.score("run", suite="toy-suite", **quiet),
    }
    for name, call in calls.items():
        read.clear()
        call()
        assert len(read) == 1, name
    run = hnbench.load_run("run")
    read.clear()
    hnbench.report(run)
    hnbench.measure(run, measure="shift", **quiet)
    hnbench.export(run, layout="t2i-compbench", out="out", progress=False)
    assert read == []


def test_an_unfinished_run_reads_its_journals_once(
    toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy_run(limit=2)
    opened: list[str] = []
    whole = Path.open

    def noted(path: Path, *arguments: Any, **named: Any) -> Any:
        opened.append(path.name)
        return whole(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", noted)
    assert toy_run().new > 0
    assert opened.count("journal-0000.jsonl") == 1


def test_measures_are_a_frame(toys: Path) -> None:
    run = toy_run()
    found = hnbench.measure(run, measure=["lpips", "shift"], device="cpu", progress=False)
    assert found.base == "random"
    assert found.new > 0
    frame = found.frame()
    assert set(frame["measure"]) == {"lpips", "shift"}
    of_lpips = frame[frame["measure"] == "lpips"]
    values = found.measured[0].values  # noqa: PD011 - a mapping, not pandas
    assert len(of_lpips) == sum(len(by_prompt) for by_prompt in values.values())
    assert hnbench.measure(run, measure="lpips", device="cpu", progress=False).new == 0
    with pytest.raises(hnbench.UsageError, match=r"is not a run folder; .* with `measure`"):
        hnbench.measure("elsewhere", device="cpu", progress=False)


def test_a_training_is_used_by_a_run(toys: Path) -> None:
    Path("prompts.txt").write_text("low 0\nlow 1\nhigh 0\nhigh 1\n")
    found = hnbench.train(
        generator="toy",
        optimise={"brightness": 1.0},
        prompts="prompts.txt",
        rank=2,
        steps=3,
        device="cpu",
        out="training",
        progress=False,
    )
    assert (found.kind, found.generator, found.folder) == ("hypernoise", "toy", Path("training"))
    assert found.adapter == Path("training/adapter")
    assert found.description["training"]["steps"] == 3
    run = toy_run(method=["hypernoise"], hypernetwork=found.adapter)
    assert set(run.frame()["label"]) == {"random", "hypernoise"}


def test_a_training_in_another_type_has_a_folder_of_its_own(toys: Path) -> None:
    Path("prompts.txt").write_text("low 0\nlow 1\nhigh 0\nhigh 1\n")
    asked: dict[str, Any] = {
        "generator": "toy",
        "optimise": "brightness=1.0",
        "prompts": "prompts.txt",
        "rank": 2,
        "steps": 1,
        "device": "cpu",
        "progress": False,
    }
    plain, other = hnbench.train(**asked), hnbench.train(**asked, dtype="float16")
    assert plain.folder != other.folder
    assert hnbench.train(**asked, dtype="float32").folder == plain.folder


def test_generate_is_what_a_run_would_draw(toys: Path) -> None:
    run = toy_run()
    record = next(one for one in run.records if one.label == "best-of-2" and one.sample == 1)
    made = hnbench.generate(
        record.prompt,
        method=["random", "best-of-n:n=2"],
        samples=2,
        generator="toy",
        optimise="brightness=1.0",
        hold_out="red",
        device="cpu",
        progress=False,
    )
    assert [(one.sample, one.label) for one in made.images] == [
        (0, "random"),
        (0, "best-of-2"),
        (1, "random"),
        (1, "best-of-2"),
    ]
    one = made.images[3]
    assert one.rewards == pytest.approx(record.rewards, abs=1e-6)
    start = NoiseSource(0, tuple(one.noise.shape)).draw(Task("any", record.prompt, 1))
    assert torch.equal(made.images[2].noise, start)
    assert one.image.mode == "RGB"
    frame = made.frame()
    assert frame["reward_brightness"].tolist() == [
        image.rewards["brightness"] for image in made.images
    ]
    assert frame["passes_generator_forward"].tolist() == [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"prompt": ""}, "the prompt was ''"),
        ({"prompt": []}, "give a text, or several"),
        ({"samples": 0}, "`samples` was 0; it must be at least 1"),
        ({"method": "reeno"}, "unknown method 'reeno'; did you mean 'reno'?"),
        ({"generator": "toi"}, "unknown generator 'toi'"),
        ({"hold_out": "blueness"}, "unknown reward 'blueness'"),
    ],
)
def test_generate_refuses_before_any_work(
    toys: Path, changed: dict[str, Any], message: str
) -> None:
    asked: dict[str, Any] = {
        "prompt": "low 0",
        "generator": "toy",
        "optimise": "brightness=1.0",
        "device": "cpu",
        "progress": False,
    }
    with pytest.raises(hnbench.UsageError) as caught:
        hnbench.generate(**{**asked, **changed})
    assert message in str(caught.value)


def test_a_method_that_fails_is_told_by_generate(toys: Path) -> None:
    with pytest.raises(hnbench.SampleFailure, match="failing failed for 'high 0'"):
        hnbench.generate(
            "high 0",
            method="failing",
            generator="toy",
            optimise="brightness=1.0",
            device="cpu",
            progress=False,
        )
