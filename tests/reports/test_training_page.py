"""The page and the curves of a training show what its folder holds."""

from __future__ import annotations

import json
import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from hnbench.api.training_page import PageProgress, with_page
from hnbench.errors import StoreError
from hnbench.hypernetwork.trainer import Trainer
from hnbench.reports.training import curves
from hnbench.reports.training.log import read_training
from hnbench.reports.training.page import write_page
from tests.hypernetwork.test_trainer import Spectator
from tests.hypernetwork.tiny import PROMPTS, REGRESSION, UNetGenerator, config, mixture, search_of

WRITTEN = {"index.html", "curves.png", "curves.svg"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training of six steps."""
    folder = tmp_path_factory.mktemp("trained")
    Trainer(config(), UNetGenerator(), mixture(), PROMPTS, folder).train()
    write_page(folder)
    return folder


def test_the_page_of_a_regression_tells_of_its_pairs(tmp_path: Path) -> None:
    wanted = config(**REGRESSION)
    models, search = (UNetGenerator(), mixture()), search_of(wanted)
    Trainer(wanted, *models, PROMPTS, tmp_path, search=search).train()
    text = re.sub(r"\s+", " ", Parsed(write_page(tmp_path).read_text()).text)
    facts = json.loads((tmp_path / "train.jsonl").read_text().splitlines()[0])["pairs"]
    assert "pairs of a noise and what ReNO found from it10" in text
    assert f"mean reward of the noises{facts['reward']:.6g}" in text
    assert f"mean reward of what ReNO found{facts['found_reward']:.6g}" in text
    assert f"mean change of the noise{facts['relative_change']:.2%}" in text
    assert "reno iterations3" in text
    assert read_training(tmp_path).pairs is not None


def test_the_page_of_another_training_does_not(trained: Path) -> None:
    assert "what ReNO found" not in (trained / "index.html").read_text()
    assert read_training(trained).pairs is None


class Parsed(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.text = list[str](), ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} & WRITTEN


def test_the_page_shows_every_evaluation_and_value(trained: Path) -> None:
    text = (trained / "index.html").read_text()
    lines = [json.loads(line) for line in (trained / "train.jsonl").read_text().splitlines()]
    for line in lines:
        if found := line.get("evaluation"):
            half = 1.96 * found["gain_standard_error"]
            low, high = found["gain"] - half, found["gain"] + half
            row = f"{line['step']}</th><td>{found['gain']:+.4g} [{low:+.4g}, {high:+.4g}]</td>"
            assert row in text
    assert text.count(" [") >= 4
    assert "Finished after 6 steps." in text
    cost = json.loads((trained / "adapter" / "hnbench.json").read_text())["training"]
    assert f"generator forward</th><td>{cost['generator_forward']}</td>" in text
    for name, value in config().identity_values.items():
        if name != "rewards" and not isinstance(value, float):
            assert f'<th scope="row">{name.replace("_", " ")}</th><td>{value}</td>' in text
    assert json.loads((trained / "training.json").read_text())["reward"] in text


def test_the_page_loads_nothing(trained: Path) -> None:
    text = (trained / "index.html").read_text()
    assert "default-src 'none'" in text
    assert not re.search(r"<(script|img|link|iframe|object)\b|@import", text)
    # matplotlib's markers refer to shapes of the same drawing
    assert all(link.startswith("#") for link in re.findall(r'(?:href|src)="([^"]*)"', text))
    assert not re.search(r"url\((?!#)", text)


def test_equal_logs_give_equal_files(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "again")
    write_page(tmp_path / "again")
    for name in WRITTEN:
        assert (tmp_path / "again" / name).read_bytes() == (trained / name).read_bytes()


def test_names_are_text(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hostile"
    shutil.copytree(trained, folder)
    path = folder / "training.json"
    text = "<script>alert(1)</script>$x$&amp;\x1b[31m"
    identity = json.loads(path.read_text())
    identity["config"] |= {"generator": text, "rewards": {text: 1.0}}
    identity["generator"]["name"] = text
    path.write_text(json.dumps(identity))
    found = Parsed(write_page(folder).read_text())
    assert "script" not in found.tags
    assert found.text.count("<script>alert(1)</script>$x$&amp;") >= 4
    assert "\x1b" not in (folder / "index.html").read_text()


def test_smoothing_is_the_mean_of_the_last_known_values() -> None:
    values = np.array([math.nan, 1.0, 2.0, math.inf, 7.0, math.nan, math.nan, math.nan, 3.0])
    for span in (1, 2, 3, 20):
        expected = []
        for end in range(1, len(values) + 1):
            known = [one for one in values[max(0, end - span) : end] if math.isfinite(one)]
            expected.append(sum(known) / len(known) if known else math.nan)
        np.testing.assert_allclose(curves.smoothed(values, span), expected)


def test_a_long_log_is_drawn_as_means_of_spans() -> None:
    values = np.arange(25.0)
    np.testing.assert_allclose(curves.thinned(values, 10), [1, 4, 7, 10, 13, 16, 19, 22])
    np.testing.assert_allclose(curves.thinned(values, 25), values)


def test_a_finetuning_has_no_curve_of_the_noise(tmp_path: Path) -> None:
    wanted = config(kind="finetune", steps=2)
    Trainer(wanted, UNetGenerator(), mixture(), PROMPTS, tmp_path / "tuned").train()
    write_page(tmp_path / "tuned")
    assert "change of the noise in" not in (tmp_path / "tuned" / "curves.svg").read_text()


def test_an_interrupted_training_has_a_page(tmp_path: Path) -> None:
    trainer = Trainer(config(), UNetGenerator(), mixture(), PROMPTS, tmp_path)
    with (
        pytest.raises(KeyboardInterrupt),
        with_page(tmp_path, 100, Spectator(stop_at=3), main=True) as progress,
    ):
        trainer.train(progress)
    assert written(tmp_path) == WRITTEN
    assert "Not finished: 3 of 6 steps so far." in (tmp_path / "index.html").read_text()


def test_only_the_main_process_writes(tmp_path: Path) -> None:
    with with_page(tmp_path, 1, spectator := Spectator(), main=False) as progress:
        Trainer(config(steps=1), UNetGenerator(), mixture(), PROMPTS, tmp_path).train(progress)
    assert progress is spectator
    assert not written(tmp_path)


def test_the_folder_of_another_training_is_not_touched(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    shutil.copytree(trained, folder)
    with with_page(folder, 1, Spectator(), main=True):
        pass  # the end of the training, with the curves in its card
    before = (folder / "index.html").stat().st_mtime_ns
    other = Trainer(config(steps=3), UNetGenerator(), mixture(), PROMPTS, folder)
    with (
        pytest.raises(StoreError, match="holds another training"),
        with_page(folder, 1, Spectator(), main=True) as progress,
    ):
        other.train(progress)
    same = Trainer(config(), UNetGenerator(), mixture(), PROMPTS, folder)
    with with_page(folder, 1, Spectator(), main=True) as progress:
        same.train(progress)  # finished, so nothing is to be done
    assert (folder / "index.html").stat().st_mtime_ns == before


def test_a_finished_training_that_was_killed_before_its_page_gets_it(
    trained: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    shutil.copytree(trained, folder)
    (folder / "index.html").write_text("of an earlier step")
    again = Trainer(config(), UNetGenerator(), mixture(), PROMPTS, folder)
    with with_page(folder, 1, Spectator(), main=True) as progress:
        again.train(progress)
    assert "Finished after 6 steps." in (folder / "index.html").read_text()
    assert "](curves.png)" in (folder / "adapter/README.md").read_text()
    assert (folder / "adapter/curves.png").read_bytes() == (folder / "curves.png").read_bytes()


def test_pages_are_written_when_states_are(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, pages = [0.0], list[int]()
    monkeypatch.setattr("hnbench.api.training_page.time.monotonic", lambda: clock[0])
    progress = PageProgress(tmp_path, 10, Spectator())
    progress.stepped({"step": 0})
    monkeypatch.setattr(
        "hnbench.api.training_page.write_page", lambda _: pages.append(int(clock[0]))
    )
    progress.started(0, 100)
    for step in range(1, 61):
        clock[0] = 4.0 * step
        progress.stepped({"step": step})
    assert pages == [80, 160, 240]  # every tenth step, and a minute apart


@pytest.mark.parametrize(
    ("name", "content"),
    [("training.json", "{"), ("train.jsonl", '{"step": "one"}\n'), ("adapter/hnbench.json", "[]")],
)
def test_a_damaged_folder(trained: Path, tmp_path: Path, name: str, content: str) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(trained, folder)
    (folder / name).write_text(content)
    with pytest.raises(StoreError, match=re.escape(name)):
        write_page(folder)


def test_a_torn_last_line_is_left_out(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "torn"
    shutil.copytree(trained, folder)
    with (folder / "train.jsonl").open("a") as file:
        file.write('{"step": 7, "lo')
    assert read_training(folder).done == 6
