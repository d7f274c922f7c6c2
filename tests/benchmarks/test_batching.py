import json

import pytest

from benchmarks import batching
from hnbench.methods.best_of_n import BestOfN
from hnbench.tasks import Task
from hnbench.testing.toys import BrightnessReward, ToyGenerator


def test_it_prints_the_speed_up_of_both_methods(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "benchmarks.shapes_models.load", lambda _device: (ToyGenerator(), BrightnessReward())
    )
    monkeypatch.setattr(
        "sys.argv", ["batching.py", "--batch-size", "3", "--iterations", "2", "--repeats", "2"]
    )
    batching.main()
    printed = capsys.readouterr()
    assert [line.partition(":")[0] for line in printed.err.splitlines()] == [
        f"{name}, repeat {number} of 2" for name in ("reno", "best-of-n") for number in (1, 2)
    ]
    result = json.loads(printed.out)
    assert (result["batch_size"], result["iterations"], result["repeats"]) == (3, 2, 2)
    assert list(result["methods"]) == ["reno", "best-of-n"]
    for measured in result["methods"].values():
        speed_up, rates = measured["speed_up"], measured["samples_per_second"]
        assert 0 < speed_up["min"] <= speed_up["median"] <= speed_up["max"]
        assert rates["batched"] > 0
        assert rates["single"] > 0


def test_both_ways_do_the_same_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[list[int]] = []

    def record(_method: object, batches: list[list[Task]], *_models: object) -> float:
        done.append([task.sample for batch in batches for task in batch])
        return float(len(batches))

    monkeypatch.setattr(batching, "seconds_of", record)
    tasks = [Task("a", "a", sample) for sample in range(4)]
    result = batching.measure(BestOfN(n=1), tasks, ToyGenerator(), BrightnessReward(), repeats=3)
    assert done[2:] == [[0, 1, 2, 3]] * 6
    assert result["speed_up"] == {"median": 4.0, "min": 4.0, "max": 4.0}
    assert result["samples_per_second"] == {"batched": 4.0, "single": 1.0}
