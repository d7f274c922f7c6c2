from __future__ import annotations

import numpy as np

from hnbench.stats.multiplicity import holm


def test_holm_by_hand() -> None:
    # Sorted: .005*4 = .02, .01*3 = .03, .03*2 = .06, .04*1 = .04 raised to .06.
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])


def test_nan_is_no_member_of_the_family() -> None:
    np.testing.assert_allclose(holm(np.array([np.nan, 0.02, 0.03])), [np.nan, 0.04, 0.04])


def test_never_above_one() -> None:
    np.testing.assert_allclose(holm(np.array([0.6, 0.9])), [1.0, 1.0])
