import json
from typing import Any

import pytest

from benchmarks import filled_passes
from hnbench.methods.base import Method
from hnbench.testing.toys import BrightnessReward, ToyGenerator


def test_it_prints_the_ratio_of_both_ways(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []

    def seconds_of(_method: Method, _batches: Any, generator: ToyGenerator, _reward: Any) -> float:
        asked.append(generator.images_at_once or 0)
        return 8.0 / asked[-1]

    monkeypatch.setattr(
        "benchmarks.shapes_models.load", lambda _device: (ToyGenerator(), BrightnessReward())
    )
    monkeypatch.setattr(filled_passes, "seconds_of", seconds_of)
    monkeypatch.setattr("sys.argv", ["filled_passes.py", "--images-at-once", "4", "--repeats", "2"])
    filled_passes.main()
    result = json.loads(capsys.readouterr().out)
    assert result["speed_up"] == {"median": 4.0, "min": 4.0, "max": 4.0}
    assert asked == [4, 1, 4, 1, 1, 4]
