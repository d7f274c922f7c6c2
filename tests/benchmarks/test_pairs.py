import pytest

from benchmarks.pairs import alternating, ratios, spread


def test_the_order_of_the_ways_alternates(capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def way(name: str, seconds: float) -> float:
        order.append(name)
        return seconds

    found = alternating({"b": lambda: way("b", 2.0), "a": lambda: way("a", 1.0)}, 3, "title")
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found == {"b": [2.0] * 3, "a": [1.0] * 3}
    assert capsys.readouterr().err.splitlines()[2] == "title, repeat 3 of 3: b 2.0 s, a 1.0 s"


def test_ratios_are_taken_within_each_repeat() -> None:
    assert ratios([2.0, 30.0, 8.0], [1.0, 10.0, 1.0]) == {"median": 3.0, "min": 2.0, "max": 8.0}
    assert spread([3.0, 1.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}
