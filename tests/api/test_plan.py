"""What a run will take, against what it took."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib.cbook
import pytest
from PIL import Image
from rich import filesize
from typer.testing import CliRunner

import hnbench
from hnbench.api.needs import BYTES_PER_PIXEL, model_downloads
from hnbench.api.plan import COLUMNS, TOTAL
from hnbench.catalogue import registry
from hnbench.catalogue.specifications import make_protocol
from hnbench.cli.app import app
from hnbench.runs.pixels import to_png
from hnbench.runs.trial import Trial
from hnbench.shapes.models import load_generator
from hnbench.suites.geneval.suite import _published as geneval_prompts
from hnbench.suites.t2i_compbench.prompts import category_prompts
from hnbench.verification.sizes import known_size
from tests.api.test_work import TOY, toy_run

PUBLISHED = [entry.name for entry in registry.GENERATORS.built_in if entry.needs]


def planned(**changed: Any) -> hnbench.RunPlan:
    return hnbench.plan(**{**TOY, "method": ["best-of-n:n=3", "reno:iterations=4"], **changed})


@pytest.mark.usefixtures("toys")
def test_a_plan_is_what_the_run_then_takes() -> None:
    before = planned(out="run")
    run = toy_run("run", method=["best-of-n:n=3", "reno:iterations=4"])
    frame = before.frame()
    assert list(frame.columns) == list(COLUMNS)
    assert list(frame.index) == ["random", "best-of-n", "reno", TOTAL]
    assert frame["images"][TOTAL] == before.work.images == run.expected
    assert frame["done"][TOTAL] == 0
    taken = (
        run.frame()
        .groupby("label")[["passes_generator_forward", "passes_generator_backward"]]
        .sum()
    )
    for name, label in (("random", "random"), ("best-of-n", "best-of-3"), ("reno", "reno")):
        for column in taken.columns:
            assert frame[column][name] == taken[column][label], (name, column)


@pytest.mark.usefixtures("toys")
def test_a_plan_knows_what_is_done() -> None:
    toy_run("run", method="best-of-n:n=3")
    next((Path("run") / "images").rglob("*.png")).unlink()
    found = planned(out="run", method=["best-of-n:n=3", "reno:iterations=4"])
    assert found.frame()["done"][TOTAL] == 23
    assert found.work.sentence().endswith("23 of 32 done")
    assert planned(out="run", seed=1).frame()["done"][TOTAL] == 0
    assert planned(out="elsewhere").frame()["done"][TOTAL] == 0


@pytest.mark.usefixtures("toys")
def test_a_trial_measures_and_leaves_nothing_behind() -> None:
    found = planned(out="run", measure=True, processes=3, batch_size=2)
    frame = found.frame()
    assert not Path("run").exists()
    assert (frame["seconds"] > 0).all()
    assert frame["seconds"][TOTAL] == pytest.approx(frame["seconds"][:-1].sum())
    column = "passes_generator_forward"
    assert (frame[column] == planned(out="run").frame()[column]).all()
    assert found.seconds_left == pytest.approx(frame["seconds"][TOTAL])
    # 8 samples of 4 prompts: the largest of three parts has two of them.
    together = found.seconds_left_together
    assert together is not None
    assert together == pytest.approx(frame["seconds"][TOTAL] / 2)
    assert found.bytes_per_image is not None
    assert 50 < found.bytes_per_image < 1000


def test_a_trial_is_scaled_to_what_is_left() -> None:
    from hnbench.runs.record import Cost
    from hnbench.runs.workload import MethodWork, Workload

    cost = Cost(
        generator_forward=2,
        generator_backward=0,
        reward_forward=0,
        reward_backward=0,
        seconds=3.0,
        peak_memory_bytes=5,
        batch_size=4,
        flops=1e9,
    )
    work = MethodWork("a", ("a", "b"), 10, None, tasks_left=4, images_left=7)
    trial = Trial({"a": cost}, 0.5, 100.0, {}, "a device")
    found = hnbench.RunPlan(Path("run"), Workload((work,)), (), None, trial, 4, 5)
    row = found.frame().loc["a"]
    assert row["seconds"] == 10 * 3 + 20 * 0.5
    assert row["seconds_left"] == 4 * 3 + 7 * 0.5
    assert row["seconds_per_image"] == 4.0
    assert row["flops"] == 1e10
    assert found.seconds_left_together == pytest.approx(15.5 * 2 / 5)
    assert found.frame()["peak_memory_bytes"][TOTAL] == 5


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_plan_works_offline_for_every_published_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an empty cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    found = hnbench.plan("geneval-shapes", generator=name, device="cuda:7", progress=False)
    assert found.work.generator_passes > 0
    assert dict(found.operations.unknown) == {}
    assert found.frame()["flops"][TOTAL] > 1e15
    needed = {one.name: one for one in found.downloads}
    size = needed[name].bytes
    assert size is not None
    assert size > 1e9
    assert not needed[name].cached
    assert needed["hpsv2.1"].bytes == known_size("hpsv2.1")
    assert f"{name} {filesize.decimal(size)}" in "\n".join(found.sentences())
    entry = registry.GENERATORS.entry(name)
    assert found.image_size == entry.image_size
    assert f"{found.image_size}x{found.image_size}" in entry.summary


def test_the_language_model_of_a_prompt_search_is_a_download(offline: Path) -> None:
    (offline / "here").mkdir()
    published, local = (
        hnbench.plan("geneval-shapes", method=f"prompt-search:model={model}", progress=False)
        for model in ("owner/name", "here")
    )
    (needed,) = published.downloads
    assert (needed.name, needed.bytes, needed.cached) == ("owner/name", None, False)
    assert local.downloads == ()


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no data and no network; the current folder is empty."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_ASSETS_CACHE", str(tmp_path / "assets"))
    monkeypatch.setattr("huggingface_hub.constants.HF_ASSETS_CACHE", str(tmp_path / "assets"))
    monkeypatch.delenv("HNBENCH_DATA", raising=False)
    for cached in (geneval_prompts, category_prompts):
        cached.cache_clear()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_reward_s_text_is_a_download(offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for a folder with the weights, which does not have it."""
    monkeypatch.setattr("hnbench.weights.pinned_files._cache", lambda name: offline / name)
    monkeypatch.setattr("hnbench.weights.hub.is_cached", lambda _: True)
    weights = offline / "weights"
    weights.mkdir()
    names = ["hpsv3", f"hpsv3@{weights}"]

    def missing() -> dict[str, int | None]:
        found = model_downloads("shapes", "float32", names)
        return {one.name: one.bytes for one in found if not one.cached and one.bytes != 0}

    assert missing() == {names[0]: known_size("hpsv3"), names[1]: None}
    monkeypatch.setattr("hnbench.weights.pinned_files.matches_pin", lambda *_: True)
    (offline / "hpsv3").mkdir()
    (offline / "hpsv3" / "data_collator_qwen.py").write_text("")
    assert missing() == {}


@pytest.mark.parametrize("suite", [one.name for one in registry.SUITES.built_in if one.needs])
@pytest.mark.usefixtures("offline")
def test_a_plan_needs_no_file_of_a_suite(suite: str) -> None:
    found = hnbench.plan(suite, generator="shapes", method="random", full=True, progress=False)
    protocol = make_protocol(suite)
    assert protocol is not None
    images = sum(protocol.samples(prompt, full=True) for prompt in protocol.prompts())
    assert found.work.images == images
    assert "prompts: their published numbers, without their texts: " in found.sentences()[1]
    assert found.frame()["flops"][TOTAL] > 0
    with pytest.raises(hnbench.UsageError, match="set HNBENCH_DATA=FOLDER"):
        hnbench.plan(suite, generator="shapes", method="random", measure=True, progress=False)
    assert not list(Path().rglob("run.json"))


def test_a_plan_without_prompts_cannot_know_what_is_done(offline: Path) -> None:
    folder = offline / "run"
    hnbench.run(
        "geneval-shapes", method="random", limit=1, device="cpu", out=folder, progress=False
    )
    found = hnbench.plan("parti", method="random", out=folder, progress=False)
    assert found.frame()["done"][TOTAL] == 0
    assert f"done: unknown, because the records in {folder} are" in "\n".join(found.sentences())


@pytest.mark.usefixtures("offline")
def test_a_plan_takes_a_suite_s_files_if_they_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HNBENCH_DATA", ".")
    Path("dpg/prompts").mkdir(parents=True)
    Path("dpg/prompts/a.txt").write_text("a long prompt")
    monkeypatch.setattr("hnbench.suites.prompt_sets.DPG", 1)
    found = hnbench.plan("dpg", method="random", progress=False)
    assert found.notes == ()
    assert found.prompts == 1


def test_the_size_of_shapes_is_that_of_its_images() -> None:
    model = load_generator(device="cpu", dtype="float32")
    images = model.generate(
        hnbench.NoiseSource(0, model.noise_shape).batch([hnbench.Task("a", "a dog", 0)]),
        model.encode(["a dog"]),
    )
    assert registry.GENERATORS.entry("shapes").image_size == images.shape[-1]
    assert hnbench.plan("geneval-shapes", progress=False).downloads == ()


def test_the_rule_of_the_disk_is_measured() -> None:
    path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    picture = Image.open(str(path)).convert("RGB").crop((0, 0, 512, 512))
    assert len(to_png(picture)) / 512**2 == pytest.approx(BYTES_PER_PIXEL, rel=0.1)


def test_a_known_size_prefers_the_dtype() -> None:
    assert known_size("sd-turbo", "bfloat16") == 2_600_000_000
    assert known_size("sd-turbo", "float32") == 5_200_000_000
    assert known_size("shapes") == 0
    assert known_size("lpips-of-nobody") is None


@pytest.mark.usefixtures("toys")
def test_the_command_prints_the_plan() -> None:
    command = "plan --suite toy-suite --generator toy --optimise brightness=1.0 --hold-out red"
    asked = [*command.split(), "--method", "reno:iterations=4", "--out", "run"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert "16 images by 2 methods, 64 generator passes; 0 of 16 done in run" in done.output
    assert "operations: unknown (nobody counted those of toy)" in done.output
    assert "downloads, at most: toy unknown" in done.output
    assert "disk: unknown" in done.output
    measured = CliRunner().invoke(app, [*asked, "--measure", "--processes", "2", "--device", "cpu"])
    assert measured.exit_code == 0, measured.output
    assert "time for what is left: " in measured.output
    assert "operations: unknown" not in measured.output
    assert " on 2, without loading the models" in measured.output


@pytest.mark.usefixtures("toys")
def test_a_wrong_number_of_processes_is_refused() -> None:
    with pytest.raises(hnbench.UsageError, match="`processes` was 0"):
        planned(processes=0)


def test_the_help_has_the_options_of_a_run() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "hnbench", "plan", "--help"],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for option in ("--suite", "--hold-out", "--noise-policy", "--measure", "--processes", "--out"):
        assert option in shown
    assert "--report" not in shown


def test_passes_are_counted_as_announced() -> None:
    announced = [f"passes_{name}" for name in asdict(hnbench.Passes(1))]
    assert announced == [name for name in COLUMNS if name.startswith("passes_")]
