"""Every suite with its judge, every reward and every measure, from an empty cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hnbench.catalogue import registry
from hnbench.runs.store import read_run
from tests.standin import prompts
from tests.standin.conftest import Hnbench
from tests.standin.hub import StandInHub
from tests.standin.test_generators import well

pytestmark = pytest.mark.usefixtures("few_plots")

PARTS = [f"t2i-compbench:{part}" for part in registry.SUITES.entry("t2i-compbench").parts]
SUITES = ["geneval", "geneval-hf", *PARTS]
RUN = [
    "run",
    "--generator",
    "sd-turbo",
    "--optimise",
    "redness=1",
    "--method",
    "best-of-n:n=2",
    "--limit",
    "2",
    "--out",
    "run",
]


def test_no_suite_is_forgotten() -> None:
    by_hand = {"hpdv2", "dpg"}  # whose prompt files nobody downloads
    others = {"parti", "geneval2", "genai-bench", "dpg-vlm", "geneval-shapes"}
    tried = {name.partition(":")[0] for name in SUITES} | by_hand | others
    assert tried == {entry.name for entry in registry.SUITES.built_in}


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_is_fetched_run_exported_and_scored(
    suite: str, published: StandInHub, hnbench: Hnbench, offline: Callable[[], None]
) -> None:
    well(hnbench("fetch", "--generator", "sd-turbo", "--optimise", "redness=1", "--suite", suite))
    offline()
    well(hnbench(*RUN, "--suite", suite))
    run = read_run("run")
    assert all(record.verdict is not None for record in run.records)
    assert run.manifest["suite"]["judge"]
    layout = "geneval" if suite.startswith("geneval") else "t2i-compbench"
    well(hnbench("export", "run", "--layout", layout, "--out", "exported"))
    well(hnbench("score", "exported/random", "--suite", suite, "--quick", "--partial"))
    well(hnbench("score", "run", "--suite", suite, "--partial"))
    assert published.asked


def test_a_model_of_a_judge_may_come_from_a_revision_with_safetensors(
    published: StandInHub, hnbench: Hnbench
) -> None:
    well(
        hnbench(
            *RUN,
            "--suite",
            "t2i-compbench:color,blip=Salesforce/blip-vqa-capfilt-large@refs/pr/7",
            "--no-report",
        )
    )
    weights = [
        line
        for line in published.asked
        if "blip-vqa" in line and line.startswith("GET") and "/resolve/" in line and "model" in line
    ]
    assert any(line.endswith("model.safetensors") for line in weights)
    assert not any(line.endswith("pytorch_model.bin") for line in weights)


def test_geneval2(
    published: StandInHub,
    hnbench: Hnbench,
    offline: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A random model does not know people from bicycles.
    monkeypatch.setattr("hnbench.suites.geneval2.judge.SoftTIFA.verify", lambda _: None)
    well(
        hnbench(
            "fetch", "--generator", "sd-turbo", "--optimise", "redness=1", "--suite", "geneval2"
        )
    )
    offline()
    well(hnbench(*RUN, "--suite", "geneval2"))
    run = read_run("run")
    assert run.manifest["suite"]["judge"]["name"] == "soft-tifa-geometric"
    for record in run.records:
        assert record.verdict is not None
        assert record.verdict.correct is None
        assert record.verdict.score == pytest.approx(record.verdict.details["geometric"], abs=1e-4)
        assert len(record.verdict.details["atoms"]) == 2
    well(hnbench("score", "run", "--suite", "geneval2", "--partial"))
    assert published.asked


def test_dpg_vlm(
    published: StandInHub,
    hnbench: Hnbench,
    offline: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hnbench.suites.dpg_vlm.judge.DependentQuestions.verify", lambda _: None)
    well(
        hnbench("fetch", "--generator", "sd-turbo", "--optimise", "redness=1", "--suite", "dpg-vlm")
    )
    offline()
    well(hnbench(*RUN, "--suite", "dpg-vlm"))
    run = read_run("run")
    assert run.manifest["suite"]["name"] == "dpg-vlm@Qwen/Qwen3-VL-8B-Instruct"
    assert run.manifest["suite"]["judge"]["name"] == "dpg-vlm@Qwen/Qwen3-VL-8B-Instruct"
    assert run.records
    for record in run.records:
        assert record.verdict is not None
        first, second = (chance > 0.5 for chance in record.verdict.details["yes"])
        assert record.verdict.score == (first + (first and second)) / 2
    well(hnbench("report", "run", "--published"))
    text = Path("run/report/report.md").read_text()
    assert "dpg-vlm@Qwen/Qwen3-VL-8B-Instruct" in text
    assert "mplug" not in text
    well(hnbench("score", "run", "--suite", "dpg-vlm", "--partial"))
    assert published.asked


def test_genai_bench(
    published: StandInHub,
    hnbench: Hnbench,
    offline: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("HNBENCH_DATA", str(tmp_path / "data"))
    (tmp_path / "data/genai-bench").mkdir(parents=True)
    (tmp_path / "data/genai-bench/genai_image.json").write_text(prompts.genai_bench())
    well(
        hnbench(
            "fetch", "--generator", "sd-turbo", "--optimise", "redness=1", "--suite", "genai-bench"
        )
    )
    offline()
    well(hnbench(*RUN, "--suite", "genai-bench"))
    run = read_run("run")
    assert run.manifest["suite"]["judge"]["name"] == "vqascore"
    grades = [record.verdict.score for record in run.records if record.verdict]
    assert len(grades) == 4
    assert all(grade is not None and 0 < grade < 1 for grade in grades)
    well(hnbench("score", "run", "--suite", "genai-bench", "--partial"))
    assert published.asked


def test_parti_prompts(published: StandInHub, hnbench: Hnbench) -> None:
    well(hnbench(*RUN, "--suite", "parti"))
    assert {record.prompt for record in read_run("run").records} == {
        "parti prompt 0",
        "parti prompt 25",
    }
    assert published.asked


REWARDS = [entry.name for entry in registry.REWARDS.built_in if entry.sources or entry.weights]


@pytest.mark.parametrize("reward", REWARDS)
def test_a_reward_is_fetched_and_optimised(
    reward: str, published: StandInHub, hnbench: Hnbench, offline: Callable[[], None]
) -> None:
    Path("prompts.txt").write_text("a photo of a red circle\n")
    optimise = ["--optimise", reward if registry.REWARDS.entry(reward).weights else f"{reward}=1"]
    well(hnbench("fetch", *optimise))
    well(hnbench("fetch", "--generator", "sd-turbo", "--optimise", "redness=1"))
    offline()
    asked = [
        "run",
        "--generator",
        "sd-turbo",
        "--suite",
        "prompts.txt",
        "--limit",
        "1",
        "--out",
        "run",
        *optimise,
        "--hold-out",
        "redness",
    ]
    well(hnbench(*asked, "--method", "reno:iterations=2", "--no-report"))
    records = read_run("run").records
    assert {record.status for record in records} == {"done"}
    assert all(record.rewards["optimised"] == record.rewards["optimised"] for record in records)
    assert not [
        line
        for line in published.asked
        if line.endswith((".h5", ".msgpack", "README.md", "med_config.json"))
    ]


MEASURES = [
    entry.name for entry in registry.MEASURES.built_in if not entry.name.startswith("shapes")
]


@pytest.fixture
def run(published: StandInHub, hnbench: Hnbench) -> Path:
    """A run of the embedded world, whose 64 pixels are enough for every measure."""
    del published
    well(
        hnbench(
            "run",
            "--suite",
            "geneval-shapes",
            "--limit",
            "1",
            "--method",
            "best-of-n:n=2",
            "--out",
            "run",
            "--no-report",
        )
    )
    return Path("run")


@pytest.mark.parametrize("measure", MEASURES)
def test_a_measure_is_fetched_and_measured(
    measure: str, run: Path, hnbench: Hnbench, offline: Callable[[], None]
) -> None:
    well(hnbench("fetch", "--measure", measure))
    offline()
    assert "best-of-2" in well(hnbench("measure", str(run), "--measure", measure)).stdout
