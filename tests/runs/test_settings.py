"""Several settings of one method in one folder: in one command, one after the other, in shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from hnbench.errors import StoreError
from hnbench.files.hashing import sha256_of_file
from hnbench.generators.base import Generator
from hnbench.images.layouts.run import labels_of, read_run_images
from hnbench.methods.base import Method, Outcome
from hnbench.methods.best_of_n import BestOfN
from hnbench.methods.labelling import Named, labelled
from hnbench.methods.reno import ReNO
from hnbench.methods.training import Training
from hnbench.reports.headlines import headlines
from hnbench.reports.notes import left_out
from hnbench.reports.plots import PLOTS
from hnbench.reports.summary import Summary, summarise_runs
from hnbench.reports.tables import console_table, summary_frame
from hnbench.reports.write import write_report
from hnbench.rewards.base import Reward
from hnbench.runs.manifest import read_manifest
from hnbench.runs.merging import merge
from hnbench.runs.plan import identities_in
from hnbench.runs.shards import WHOLE, Shard
from hnbench.runs.store import read_run
from hnbench.runs.tally import Tally
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from tests.runs.world import Base, Count, run


@dataclass(frozen=True)
class Shift(Method):
    """A plug-in: adds the number in a file to the noise. Its name is that of the role it plays."""

    adapter: Path
    name: str = "hypernoise"

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.name,)

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "adapter": sha256_of_file(self.adapter)}

    def prepare(self, generator: Generator) -> Training:
        passes = 1000 * float(self.adapter.read_text())
        return Training(kind="hypernoise", generator_forward=passes, generator_backward=0)

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        noise = noises.batch(tasks) + float(self.adapter.read_text())
        with torch.no_grad():
            images = generator.generate(noise, generator.encode([one.prompt for one in tasks]))
        for row, task in enumerate(tasks):
            yield Outcome(task, self.name, images[row], noise[row])


def shift(folder: Path, name: str, value: float, role: str = "hypernoise") -> Shift:
    path = folder / name
    path.write_text(str(value))
    return Shift(path, role)


def command(folder: Path, *methods: Method | Named, shard: Shard = WHOLE, **changes: Any) -> Tally:
    """One command on a folder, with the labels that the folder asks for."""
    manifest = read_manifest(folder) if folder.exists() else None
    asked = [one if isinstance(one, tuple) else (one, None) for one in methods]
    known = identities_in(manifest) if manifest else {}
    return run(folder, labelled([(Base(), None), *asked], known), shard=shard, **changes)


def labels(folder: Path) -> Counter[str]:
    return Counter(record.label for record in read_run(folder).records)


def rows(folder: Path) -> list[str]:
    return list(summarise_runs([folder]).rows)


EACH = 12
"""The records of a row: six prompts, two samples each."""


def test_two_settings_in_one_run(tmp_path: Path) -> None:
    tally = command(tmp_path / "run", ReNO(iterations=2), ReNO(iterations=3))
    assert (tally.done, tally.failed) == (3 * EACH, 0)
    assert labels(tmp_path / "run") == {
        "random": EACH,
        "reno:iterations=2": EACH,
        "reno:iterations=3": EACH,
    }
    # A longer ascent begins with the shorter one, so its best is at least as good.
    rewards = {
        (record.label, record.prompt_id, record.sample): record.rewards["optimised"]
        for record in read_run(tmp_path / "run").records
    }
    for (label, prompt, sample), reward in rewards.items():
        if label == "reno:iterations=3":
            assert reward >= rewards["reno:iterations=2", prompt, sample] - 1e-4


def test_a_setting_alone_gives_the_records_of_two(tmp_path: Path) -> None:
    """The images do not depend on the other settings of the run; only labels and ids do."""
    command(tmp_path / "two", ReNO(iterations=2), ReNO(iterations=3))
    command(tmp_path / "one", ReNO(iterations=3))

    def images(folder: Path, label: str) -> list[str]:
        found = [one for one in read_run(folder).records if one.label == label]
        return [one.image.sha256 for one in found if one.image]

    alone = images(tmp_path / "one", "reno")
    assert len(alone) == EACH
    assert alone == images(tmp_path / "two", "reno:iterations=3")


def test_a_continued_run_shows_both_settings(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command(folder, ReNO(iterations=2))
    before = read_run(folder).records
    assert command(folder, ReNO(iterations=3)).new == EACH
    assert read_run(folder).records[: len(before)] == before
    assert labels(folder) == {"random": EACH, "reno": EACH, "reno:iterations=3": EACH}
    summary = summarise_runs([folder])
    assert list(summary.rows) == ["random", "reno:iterations=3", "reno"]
    assert not summary.incomplete
    assert left_out(summary.pool) == [
        "Not asked for by the last command, but shown from earlier ones: ReNO (iterations=2)."
    ]
    # Both settings again: nothing is computed, and nothing is left out.
    assert command(folder, ReNO(iterations=2), ReNO(iterations=3)).new == 0
    summary = summarise_runs([folder])
    assert list(summary.rows) == ["random", "reno", "reno:iterations=3"]
    assert left_out(summary.pool) == []


def test_records_whose_parameters_are_unknown_are_counted(tmp_path: Path) -> None:
    """Two commands of an older hnbench gave two settings the same label."""
    folder = tmp_path / "run"
    run(folder, [Base(), ReNO(iterations=2)])
    run(folder, [Base(), ReNO(iterations=3)])
    summary = summarise_runs([folder])
    assert list(summary.rows) == ["random", "reno"]
    (note,) = left_out(summary.pool)
    assert note.startswith(f"Not shown are records of earlier commands: reno ({EACH}).")


def test_a_larger_search_computes_only_the_new_rows(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command(folder, BestOfN(n=4))
    assert command(folder, BestOfN(n=8)).new == EACH
    assert command(folder, BestOfN(n=4)).new == 0
    assert rows(folder) == ["random", "best-of-2", "best-of-4", "best-of-8"]
    # The same as one search for all of them, without the smaller one before.
    command(tmp_path / "other", BestOfN(n=4), BestOfN(n=8))
    images = [
        {
            (one.label, one.prompt_id, one.sample): one.image and one.image.sha256
            for one in read_run(place).records
        }
        for place in (folder, tmp_path / "other")
    ]
    assert images[0] == images[1]


def two_adapters(folder: Path, **changes: Any) -> Summary:
    methods = [shift(folder, "weak", 0.1), shift(folder, "strong", 0.5)]
    control = shift(folder, "strong", 0.5, "hypernoise-other-noise")
    command(folder / "run", *methods, control, ReNO(iterations=2), BestOfN(n=2), **changes)
    return summarise_runs([folder / "run"])


def test_two_adapters_in_a_report(tmp_path: Path) -> None:
    summary = two_adapters(tmp_path)
    weak, strong = "hypernoise:adapter=weak", "hypernoise:adapter=strong"
    assert list(summary.rows) == [
        "random",
        weak,
        strong,
        "hypernoise-other-noise",
        "reno",
        "best-of-2",
    ]
    # The control has the adapter of the other setting, so it is not compared with the first one.
    assert [one.against for one in summary.comparisons] == ["best-of-2", strong]
    manifest = read_run(tmp_path / "run").manifest
    costs = {name: one["generator_forward"] for name, one in manifest["training"].items()}
    assert (costs[weak], costs[strong]) == (100.0, 500.0)
    said = {one.key: one.sentence for one in headlines(summary)}
    assert said["gain"].startswith("HyperNoise (adapter=weak) scores ")
    assert said[f"gain/{strong}"].startswith("HyperNoise (adapter=strong) scores ")
    assert "HyperNoise (adapter=weak) differs from it by" in said[f"gain/{strong}"]
    assert said["break_even"].startswith("Training HyperNoise (adapter=weak) took 100 generator")
    frame = summary_frame(summary)
    assert set(frame[frame.metric == f"minus/{strong}"].label) == {weak}


def test_two_adapters_are_drawn(tmp_path: Path) -> None:
    summary = two_adapters(tmp_path)
    drawn = {name: plot(summary) for name, plot in PLOTS.items()}
    assert not [name for name, figure in drawn.items() if isinstance(figure, str)]
    write_report(summary, tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "**HyperNoise (adapter=weak)**" in text
    assert "**HyperNoise (adapter=strong)**" in text
    assert console_table(summary).row_count == len(summary.rows)


def test_another_adapter_in_the_same_folder_hides_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command(folder, shift(tmp_path, "weak", 0.1))
    command(folder, shift(tmp_path, "strong", 0.5))
    assert rows(folder) == ["random", "hypernoise:adapter=strong", "hypernoise"]
    training = read_run(folder).manifest["training"]
    assert {name: one["generator_forward"] for name, one in training.items()} == {
        "hypernoise": 100.0,
        "hypernoise:adapter=strong": 500.0,
    }


def test_a_given_name_keeps_the_role_of_the_method(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command(folder, (shift(tmp_path, "weak", 0.1), "our network"), (ReNO(iterations=2), "quick"))
    summary = summarise_runs([folder])
    assert list(summary.rows) == ["random", "our network", "quick"]
    assert (summary.hypernoise, summary.reno) == ("our network", "quick")
    assert headlines(summary)[0].sentence.startswith("our network scores ")


def test_images_of_an_earlier_row_can_be_asked_for(tmp_path: Path) -> None:
    command(tmp_path / "run", ReNO(iterations=2))
    command(tmp_path / "run", BestOfN(n=2))
    found = read_run(tmp_path / "run")
    assert labels_of(found, []) == ("random", "best-of-2")
    images = read_run_images(found, None, ["reno"]).images
    assert [image.label for image in images] == ["reno"] * EACH


def test_shards_merge(tmp_path: Path) -> None:
    methods = ReNO(iterations=2), ReNO(iterations=3)
    for index in (1, 2):
        command(tmp_path / f"part{index}", *methods, shard=Shard(index, 2))
    merge([tmp_path / "part1", tmp_path / "part2"], tmp_path / "whole", Stages())
    assert rows(tmp_path / "whole") == ["random", "reno:iterations=2", "reno:iterations=3"]
    assert labels(tmp_path / "whole") == dict.fromkeys(rows(tmp_path / "whole"), EACH)


def test_shards_in_one_folder_agree_on_labels(tmp_path: Path) -> None:
    for index in (1, 2):
        command(tmp_path / "run", ReNO(iterations=2), ReNO(iterations=3), shard=Shard(index, 2))
    assert labels(tmp_path / "run") == dict.fromkeys(rows(tmp_path / "run"), EACH)


def test_folders_that_use_a_label_differently_are_not_merged(tmp_path: Path) -> None:
    for number in (2, 3):
        command(tmp_path / f"part{number}", ReNO(iterations=number))
        command(tmp_path / f"part{number}", BestOfN(n=2))
    with pytest.raises(StoreError, match="different settings in the row 'reno'"):
        merge([tmp_path / "part2", tmp_path / "part3"], tmp_path / "whole", Stages())


class Stages(Count):
    """A display that shows nothing."""

    def label(self, name: str, total: int = 0) -> None:
        pass
