"""The batch size that was typed, and the one that a continued run keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hnbench.api.arrangement import Arrangement
from hnbench.api.batch_sizes import as_begun, fitted, parse_batch_size
from hnbench.catalogue.presets import preset_of
from hnbench.devices import transfers
from hnbench.display.screen import Screen
from hnbench.errors import UsageError
from hnbench.methods.random import Random
from hnbench.rewards.base import Mixture
from hnbench.runs import batch_sizes
from hnbench.runs.experiment import Experiment
from hnbench.runs.preparation import prepare
from hnbench.runs.shards import WHOLE, Shard
from hnbench.runs.store import read_run
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.runs.world import CONFIG, Base, Climb, WorldSuite, run


@pytest.mark.parametrize("given", [0, -1, "0", "many", "", "1.5"])
def test_anything_else_is_refused(given: int | str) -> None:
    with pytest.raises(UsageError, match=r"`batch_size` was .*it must be at least 1, or auto"):
        parse_batch_size(given)


def asked(folder: Path, *, automatic: bool = True) -> Arrangement:
    config = replace(CONFIG, batch_size=32)
    return Arrangement(config, WorldSuite(), preset_of("shapes"), {}, folder, automatic)


def sizes(found: Arrangement) -> tuple[int, int | None, bool]:
    return found.config.batch_size, found.config.gradient_batch_size, found.automatic


def test_a_continued_run_has_the_sizes_of_its_first_session(tmp_path: Path) -> None:
    run(tmp_path, [Base()], batch_size=3, gradient_batch_size=2)
    run(tmp_path, [Base(), Climb()], batch_size=5)
    assert sizes(as_begun(asked(tmp_path), WHOLE)) == (3, 2, False)
    assert sizes(as_begun(asked(tmp_path, automatic=False), WHOLE)) == (32, None, False)


def test_a_new_run_has_them_still_to_be_found(tmp_path: Path) -> None:
    assert sizes(as_begun(asked(tmp_path / "new"), WHOLE)) == (32, None, True)


def test_a_shard_has_those_of_its_own_first_session(tmp_path: Path) -> None:
    run(tmp_path, [Base()], shard=Shard(1, 2), batch_size=3)
    run(tmp_path, [Base()], shard=Shard(2, 2), batch_size=4)
    assert sizes(as_begun(asked(tmp_path), Shard(2, 2))) == (4, None, False)
    assert sizes(as_begun(asked(tmp_path), WHOLE)) == (3, None, False)


def test_each_method_has_its_size_in_the_run(tmp_path: Path) -> None:
    """`Climb` does not announce its passes, so it may need the gradient."""
    run(tmp_path, [Random(), Climb()], batch_size=6, gradient_batch_size=3)
    found = {(record.label, record.cost.batch_size) for record in read_run(tmp_path).records}
    base = {size for label, size in found if label == "random"}
    assert base == {6}
    assert {size for label, size in found if label == "climb"} == {3}
    manifest = read_run(tmp_path).manifest
    assert manifest["sessions"][0]["gradient_batch_size"] == 3
    assert manifest["config"]["gradient_batch_size"] == 3


def test_the_sizes_of_a_gpu_are_those_that_fit_and_are_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generator, suite = ToyGenerator(), WorldSuite()
    rewards = Mixture({"brightness": (BrightnessReward(), 1.0)})
    experiment = Experiment(CONFIG, suite, generator, rewards, [], prepare([Base()], generator, {}))
    with Screen(shown=True) as screen:
        assert fitted(experiment, screen) is experiment
        monkeypatch.setattr(transfers, "has_queue", lambda _: True)
        monkeypatch.setattr(batch_sizes, "run_batch_sizes", lambda *_, **__: (64, 4))
        config = fitted(experiment, screen).config
    assert (config.batch_size, config.gradient_batch_size) == (64, 4)
    said = capsys.readouterr().err
    assert "batch size 64, and 4 for methods that need the gradient" in said
