"""Amortised ReNO: a hypernetwork that learnt by regression what ReNO adds to a noise.

It is applied like HyperNoise, and differs from it in its training alone: HyperNoise's sees the
reward itself, this one only what ReNO made of other noises (`hnbench.hypernetwork.regression`). We
know of no publication of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from hnbench.methods.hypernoise import HyperNoise


@dataclass(frozen=True, kw_only=True)
class Amortised(HyperNoise):
    """One pass of the regression's network, then one generation from the changed noise."""

    name = "amortised"
    kind = "regression"
