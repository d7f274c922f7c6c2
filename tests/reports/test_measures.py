"""What was measured of the pooled runs, against means by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from hnbench.files.escaping import markdown as escaped
from hnbench.measures.journal import (
    Definition,
    definition_line,
    distance_line,
    open_journal,
    row_line,
)
from hnbench.reports.markdown import markdown
from hnbench.reports.measures import SetDistance
from hnbench.reports.summary import Summary, summarise_runs
from hnbench.reports.tables import summary_frame
from tests.journals import journal_rows, write_journal
from tests.reports.synthetic import TAGS, write_run

SPREAD = Definition(
    "spread",
    "ab" * 32,
    "prompt",
    "How far apart a prompt's images are",
    higher_is_better=True,
    source="",
)
SHARPNESS = Definition(
    "sharpness", "cd" * 32, "image", "How sharp an image is", higher_is_better=True, source=""
)
GAP = Definition(
    "gap", "ef" * 32, "set", "How far from the base's images", higher_is_better=None, source=""
)
LABELS = ("random", "hypernoise", "hypernoise-other-noise")
PROMPTS = [f"{tag}/{index:04d}" for tag in TAGS for index in range(3)]
DISTANCES = {"hypernoise": 3.0, "hypernoise-other-noise": 1.0}

Images = dict[str, dict[str, list[str]]]


def made(folder: Path, base_seed: int = 0, **options: Any) -> Images:
    """A run of which every image is another file; its images by label and prompt."""
    write_run(folder, LABELS, prompts_per_tag=3, base_seed=base_seed, **options)
    journal = folder / "journal-0000.jsonl"
    records = journal_rows(journal)
    images: Images = {label: {} for label in LABELS}
    for record in records:
        if record["image"]:
            record["image"]["sha256"] = record["id"]
            images[record["label"]].setdefault(record["prompt_id"], []).append(record["id"])
    write_journal(journal, records)
    return images


def spread(label: str, prompt: str, seed: int) -> float:
    """Of three digits, so that the journal rounds nothing away."""
    return round(
        0.1 * LABELS.index(label)
        + 0.01 * PROMPTS.index(prompt)
        + 0.5 * seed
        + (0.004 if prompt.endswith("1") else 0),
        3,
    )


def sharpness(label: str, prompt: str, sample: int) -> float:
    return LABELS.index(label) + PROMPTS.index(prompt) + 0.5 * sample


def measured(
    folder: Path,
    images: Images,
    seed: int = 0,
    definitions: tuple[Definition, ...] = (SPREAD, SHARPNESS, GAP),
) -> Path:
    with open_journal(folder / "measures") as journal:
        journal.add(definition_line(definition) for definition in definitions)
        for label, prompts in images.items():
            journal.add(
                [
                    row_line(
                        definitions[0],
                        label,
                        prompts,
                        {prompt: [spread(label, prompt, seed)] for prompt in prompts},
                    )
                ]
            )
            values = {
                prompt: [sharpness(label, prompt, sample) for sample in range(len(prompts[prompt]))]
                for prompt in prompts
            }
            journal.add([row_line(definitions[1], label, prompts, values)])
            if label != "random":
                journal.add(
                    [
                        distance_line(
                            definitions[2],
                            label,
                            prompts,
                            images["random"],
                            DISTANCES[label] + seed,
                        )
                    ]
                )
    return folder


@pytest.fixture
def pooled(tmp_path: Path) -> Summary:
    return summarise_runs(
        [measured(tmp_path / str(seed), made(tmp_path / str(seed), seed), seed) for seed in (0, 1)]
    )


def by_tag(value: Callable[[str], float]) -> float:
    return float(
        np.mean(
            [
                np.mean([value(prompt) for prompt in PROMPTS if prompt.startswith(f"{tag}/")])
                for tag in TAGS
            ]
        )
    )


def test_means_are_over_prompts_and_tags_with_the_seeds_together(pooled: Summary) -> None:
    assert pooled.measured is not None
    found = {measure.definition.measure: measure for measure in pooled.measured.measures}
    assert list(found) == ["spread", "sharpness", "gap"]
    for label in LABELS:
        expected = by_tag(
            lambda prompt, label=label: (spread(label, prompt, 0) + spread(label, prompt, 1)) / 2  # type: ignore[misc]
        )
        assert found["spread"].by_prompt[label].level.estimate == pytest.approx(expected)
        expected = by_tag(lambda prompt, label=label: sharpness(label, prompt, 0) + 0.25)  # type: ignore[misc]
        assert found["sharpness"].by_prompt[label].level.estimate == pytest.approx(expected)
    difference = found["spread"].by_prompt["hypernoise"].difference
    assert difference is not None
    assert (difference.estimate, difference.low, difference.high) == pytest.approx((0.1, 0.1, 0.1))
    assert found["spread"].by_prompt["random"].difference is None
    assert found["gap"].distances == {
        "hypernoise": SetDistance(3.5, 3, 4, (36,)),
        "hypernoise-other-noise": SetDistance(1.5, 1, 2, (36,)),
    }
    assert pooled.measured.notes == ()


def test_the_report_has_a_section_and_the_table_rows(pooled: Summary) -> None:
    text = markdown(pooled, {}, [])
    section = text.partition("## Diversity and fidelity\n\n")[2].partition("\n\n## ")[0]
    assert (
        text.index("## Rewards")
        < text.index("## Diversity and fidelity")
        < text.index("## Cost of training")
    )
    lines = section.splitlines()
    assert lines[0] == "| method | spread | sharpness | gap |"
    base = by_tag(lambda prompt: (spread("random", prompt, 0) + spread("random", prompt, 1)) / 2)
    assert lines[2].startswith(f"| random noise | {base:.3f} [")
    assert "(Δ +0.100 [+0.100, +0.100])" in lines[3]
    assert lines[3].endswith("| 3.5 (3 to 4) |")
    assert (
        f"- gap ({GAP.fingerprint[:12]}): How far from the base's images. Sets of 36 images."
        in lines
    )
    assert (
        "the floor for a change as large as HyperNoise's is the distance of other noise (control)."
        in lines[-1]
    )
    frame = summary_frame(pooled).set_index(["label", "metric"])
    assert frame.index.is_unique
    assert frame.loc[("random", "measure/spread"), "estimate"] == pytest.approx(base)
    assert frame.loc[("hypernoise", "gain/measure/spread"), "estimate"] == pytest.approx(0.1)
    assert ("random", "gain/measure/spread") not in frame.index
    assert [
        frame.loc[("hypernoise", "measure/gap"), name] for name in ("estimate", "low", "high", "n")
    ] == [3.5, 3, 4, 2]
    assert frame.loc[("hypernoise", "measure/spread"), "n"] == len(PROMPTS)


def test_a_single_seed_has_no_range(tmp_path: Path) -> None:
    text = markdown(summarise_runs([measured(tmp_path / "run", made(tmp_path / "run"))]), {}, [])
    assert text.count("| 3 |\n") == 1


def test_a_run_that_was_not_measured_has_no_section(tmp_path: Path) -> None:
    made(tmp_path / "run")
    summary = summarise_runs([tmp_path / "run"])
    assert summary.measured is None
    assert "Diversity" not in markdown(summary, {}, [])


def notes(*folders: Path) -> tuple[str, ...]:
    found = summarise_runs(folders).measured
    assert found is not None
    return found.notes


def test_one_run_without_measures_is_named(tmp_path: Path) -> None:
    measured(tmp_path / "0", made(tmp_path / "0"))
    made(tmp_path / "1", 1)
    (note,) = notes(tmp_path / "0", tmp_path / "1")
    assert (
        note
        == f"Not all of these runs were measured; missing is `hnbench measure {tmp_path / '1'}`."
    )
    assert f"_{escaped(note)}_" in markdown(
        summarise_runs([tmp_path / "0", tmp_path / "1"]), {}, []
    )


def test_measures_of_other_images_are_left_out(tmp_path: Path) -> None:
    images = made(tmp_path / "run")
    changed = {
        **images,
        "hypernoise": {
            prompt: ["0" * 64, *rest] for prompt, (_, *rest) in images["hypernoise"].items()
        },
    }
    measured(tmp_path / "run", changed)
    summary = summarise_runs([tmp_path / "run"])
    assert summary.measured is not None
    assert summary.measured.notes == (
        (
            "run: what was measured of other images than its records' is left out (spread,"
            " sharpness, gap)."
        ),
    )
    assert [measure.labels for measure in summary.measured.measures] == [
        {"random", "hypernoise-other-noise"},
        {"random", "hypernoise-other-noise"},
        {"hypernoise-other-noise"},
    ]
    assert "| not measured | not measured | not measured |" not in markdown(summary, {}, [])


def test_a_measure_that_one_run_lacks_or_has_of_other_weights_is_named(tmp_path: Path) -> None:
    measured(tmp_path / "0", made(tmp_path / "0"))
    other = (
        structs.replace(SPREAD, fingerprint="99" * 32),
        structs.replace(SHARPNESS, measure="blur"),
        GAP,
    )
    measured(tmp_path / "1", made(tmp_path / "1", 1), 1, other)
    assert notes(tmp_path / "0", tmp_path / "1") == (
        "spread was not measured with the same weights in all of these runs, so it is left out.",
        (
            "sharpness was not measured in all of these runs: it is missing in"
            f" {tmp_path / '1'} (see `hnbench measure`)."
        ),
        (
            "blur was not measured in all of these runs: it is missing in"
            f" {tmp_path / '0'} (see `hnbench measure`)."
        ),
    )


def test_a_measure_that_is_not_done_is_named(tmp_path: Path) -> None:
    images = made(tmp_path / "run")
    measured(
        tmp_path / "run",
        {"random": dict(list(images["random"].items())[:5])},
        definitions=(SPREAD, SHARPNESS, GAP),
    )
    assert notes(tmp_path / "run") == tuple(
        f"{name} was not measured of all images of the base and of another method; the same"
        " `hnbench measure` goes on with it."
        for name in ("spread", "sharpness")
    )


def test_prompts_with_a_failed_image_are_not_compared(tmp_path: Path) -> None:
    """Of one prompt there is one image of HyperNoise, and two of the base."""
    images = made(tmp_path / "run", failed=("hypernoise",))
    summary = summarise_runs(
        [
            measured(
                tmp_path / "run",
                {
                    **images,
                    "hypernoise": {p: i for p, i in images["hypernoise"].items() if len(i) > 1},
                },
            )
        ]
    )
    assert summary.measured is not None
    found = {measure.definition.measure: measure for measure in summary.measured.measures}
    assert found["spread"].by_prompt["hypernoise"].prompts == len(PROMPTS) - 1
    assert found["spread"].by_prompt["random"].prompts == len(PROMPTS)
    assert "hypernoise" not in found["sharpness"].by_prompt
