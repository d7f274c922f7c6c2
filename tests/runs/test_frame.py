"""The table of records."""

from __future__ import annotations

import math

import numpy as np
from msgspec.structs import replace

from hnbench.runs.frame import frame_of
from tests.runs.test_store import numbered


def test_a_text_is_the_same_but_not_the_records_own() -> None:
    """A text of a record that stays would keep the memory of all records."""
    records = [numbered(number) for number in range(3)]
    frame = frame_of(records)
    for name in ("id", "prompt", "label", "noise_sha256", "tag"):
        assert frame[name].tolist() == [getattr(record, name) for record in records]
        assert not any(
            one is getattr(record, name) for one, record in zip(frame[name], records, strict=True)
        )


def test_a_trajectory_is_an_array_with_nan_where_it_was_not_finite() -> None:
    records = [
        replace(numbered(1), trajectory=(0.5, None, 2.0)),
        replace(numbered(2), trajectory=None),
    ]
    course, none = frame_of(records)["trajectory"]
    assert none is None
    np.testing.assert_array_equal(course, [0.5, math.nan, 2.0])
