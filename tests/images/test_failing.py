"""Judges and measures that fail or answer wrongly for some images: told by name at the end, with
the rest kept, and never as a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL.Image import Image
from typer.testing import CliRunner

from hnbench.catalogue import specifications
from hnbench.cli.app import app
from hnbench.errors import HnbenchError, PluginError, SampleFailure, UsageError
from hnbench.images.judging import score
from hnbench.measures.base import Measure
from hnbench.suites.base import Verdict
from hnbench.suites.shapes import ShapesJudge
from tests.images.conftest import SmallSuite, Stages
from tests.images.test_measuring import (
    Range,
    Redness,
    Shift,
    expected,
    found_in,
    labelled,
    measured,
)
from tests.runs.test_answers import VERDICTS, raising

OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")
FEWER = {"out of memory"}


class Odd(ShapesJudge):
    """Goes wrong for the images of one tag."""

    def __init__(self, wrong: Callable[[list[Verdict]], Any]) -> None:
        self._wrong = wrong

    def judge(
        self, images: Sequence[Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        verdicts = super().judge(images, metadata)
        if any(about["tag"] == "counting" for about in metadata):
            return self._wrong(verdicts)  # type: ignore[no-any-return]
        return verdicts


@pytest.mark.parametrize("wrong", [name for name in VERDICTS if name not in FEWER])
def test_a_score_names_the_judge_and_keeps_the_rest(
    geneval: Path, suite: SmallSuite, wrong: str
) -> None:
    found, out = found_in(geneval, suite), geneval / "scores"
    with pytest.raises(
        SampleFailure,
        match=r"^the judge .* failed for 4 of 24 images; of 00004/samples/00000.png: ",
    ) as caught:
        score(found, Odd(VERDICTS[wrong]), out, batch_size=5, progress=Stages())
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.exit_code == 3
    again = score(found, Odd(lambda verdicts: verdicts), out, batch_size=5, progress=Stages())
    assert again.new == 4
    assert (
        again.verdicts
        == score(found, ShapesJudge(), geneval / "well", batch_size=5, progress=Stages()).verdicts
    )


def test_an_error_for_the_user_ends_a_score_at_once(geneval: Path, suite: SmallSuite) -> None:
    with pytest.raises(UsageError, match="no such weights"):
        score(
            found_in(geneval, suite),
            Odd(lambda _: raising(UsageError("no such weights"))),
            geneval / "out",
            batch_size=5,
            progress=Stages(),
        )


VALUES: dict[str, Callable[[list[float]], Any]] = {
    "raises": lambda _: raising(ValueError("cannot see")),
    "asks to exit": lambda _: raising(SystemExit(0)),
    "none": lambda _: None,
    "nothing": lambda _: [],
    "too many": lambda values: [*values, 0.5],
    "a tensor": torch.tensor,
    "an iterator": iter,
    "nan": lambda values: [math.nan for _ in values],
    "infinite": lambda values: [math.inf for _ in values],
    "text": lambda values: ["0.5" for _ in values],
    "nones": lambda values: [None for _ in values],
    "truth values": lambda values: [True for _ in values],
    "complex": lambda values: [0.5j for _ in values],
    "huge": lambda values: [10**400 for _ in values],
    "lists": lambda values: [[value] for value in values],
}


class OddRange(Range):
    limit = 0.0

    def __init__(self, wrong: Callable[[list[float]], Any]) -> None:
        super().__init__()
        self._wrong = wrong

    def values(self, groups: Sequence[Sequence[Image]]) -> list[float]:
        values = super().values(groups)
        return self._wrong(values) if max(values) > self.limit else values


class OddRedness(Redness):
    def __init__(self, wrong: Callable[[list[float]], Any]) -> None:
        super().__init__()
        self._wrong = wrong

    def values(self, pictures: Sequence[Image], prompts: Sequence[str]) -> list[float]:
        values = super().values(pictures, prompts)
        return self._wrong(values) if any("two" in prompt for prompt in prompts) else values


@pytest.mark.parametrize("wrong", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("kind", [OddRange, OddRedness])
def test_a_measure_is_named_and_the_rest_kept(
    geneval: Path,
    suite: SmallSuite,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[OddRange | OddRedness],
    wrong: Callable[[list[float]], Any],
) -> None:
    inventory = found_in(geneval, suite)
    monkeypatch.setattr(
        OddRange,
        "limit",
        sorted(max(values) - min(values) for values in expected(inventory).values())[8],
    )
    measure = kind(wrong)
    with pytest.raises(
        SampleFailure, match=rf"^the measure {measure.name} failed for [0-9]+ of 12 prompts; of "
    ) as caught:
        measured(inventory, measure)
    told = int(str(caught.value).split(" failed for ")[1].split()[0])
    assert 0 < told < 12
    well = measured(inventory, kind(lambda values: values))
    assert well.new == 2 * told
    assert len(well.values[""]) == 12


FEATURES: dict[str, Callable[[torch.Tensor], Any]] = {
    "raises": lambda _: raising(ValueError("cannot see")),
    "none": lambda _: None,
    "a list": lambda features: features.tolist(),
    "too few": lambda features: features[1:],
    "flat": lambda features: features.flatten(),
    "meta": lambda features: features.to("meta"),
    "whole numbers": lambda features: features.long(),
    "nan": lambda features: features * math.nan,
    "other sizes": lambda features: features.repeat(1, len(features)),
}


@pytest.mark.parametrize("wrong", FEATURES.values(), ids=FEATURES)
def test_features_that_are_none_give_no_distance(
    geneval: Path, suite: SmallSuite, wrong: Callable[[torch.Tensor], Any]
) -> None:
    class Odd(Shift):
        def features(self, pictures: Sequence[Image]) -> torch.Tensor:
            return wrong(super().features(pictures))  # type: ignore[no-any-return]

    inventory = found_in(geneval, suite)
    with pytest.raises(HnbenchError, match=r"^the measure shift ") as caught:
        measured(labelled(inventory, ours=inventory), Odd(), base="random", batch_size=7)
    assert isinstance(caught.value, PluginError | SampleFailure)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: raising(ValueError("no")),
        lambda: None,
        lambda: math.nan,
        lambda: "0.5",
        lambda: torch.ones(1),
    ],
)
def test_a_distance_that_is_none_is_told(
    geneval: Path, suite: SmallSuite, wrong: Callable[[], Any]
) -> None:
    class Odd(Shift):
        def distance(self, ours: torch.Tensor, base: torch.Tensor) -> float:
            return wrong()  # type: ignore[no-any-return]

    inventory = found_in(geneval, suite)
    with pytest.raises(
        SampleFailure, match=r"^the measure shift failed for 1 of 1 labels; of ours: "
    ):
        measured(labelled(inventory, ours=inventory), Odd(), base="random")


def test_a_measure_of_no_kind_is_refused(geneval: Path, suite: SmallSuite) -> None:
    class Kindless(Measure):
        name, about, higher_is_better, fingerprint = "kindless", "Nothing", None, "4" * 64

    with pytest.raises(
        PluginError, match="an ImageMeasure, a PromptMeasure or a SetMeasure is expected"
    ):
        measured(found_in(geneval, suite), Kindless())


# --- out of memory, as the commands tell it


class Cramped:
    """Fails with CUDA's own error above some number of images."""

    def __init__(self, room: int, function: Callable[..., Any]) -> None:
        self.room, self.function = room, function

    def __call__(self, items: Sequence[Any], *rest: Any) -> Any:
        if len(items) > self.room:
            raise OUT_OF_MEMORY
        return self.function(items, *rest)


@pytest.mark.parametrize(("room", "code"), [(2, 0), (0, 2)])
@pytest.mark.parametrize("command", ["score", "measure"])
def test_a_command_halves_its_batches_or_says_what_helps(
    geneval: Path,
    suite: SmallSuite,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    room: int,
    code: int,
) -> None:
    class Small(ShapesJudge):
        def judge(
            self, images: Sequence[Image], metadata: Sequence[Mapping[str, Any]]
        ) -> list[Verdict]:
            return Cramped(room, super().judge)(images, metadata)  # type: ignore[no-any-return]

    measure = Range()
    monkeypatch.setattr(specifications, "make_suite", lambda _: suite)
    monkeypatch.setattr(suite, "judge", lambda **_: Small())
    monkeypatch.setattr(measure, "values", Cramped(room, measure.values))
    monkeypatch.setattr("hnbench.api.measure._load", lambda *_: measure)
    arguments = {"score": [], "measure": ["--measure", "lpips"]}[command]
    result = CliRunner().invoke(
        app,
        [command, str(geneval), "--suite", "geneval-shapes", "--device", "cpu", *arguments],
        prog_name="hnbench",
    )
    assert result.exit_code == code, result.output
    lines = [
        line for line in result.stderr.splitlines() if line.startswith("hnbench: out of memory")
    ]
    assert len(lines) == (code != 0)
    assert all(
        "CUDA out of memory. Tried to allocate 2.00 GiB." in line and "--device" in line
        for line in lines
    )
    assert "Traceback" not in result.output
