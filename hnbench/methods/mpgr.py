"""MPGR: ReNO with a regulariser of moments and power instead of the norm.

"MPGR", arXiv 2509.07027.
"""

from __future__ import annotations

from dataclasses import dataclass

from hnbench.methods.reno import ReNO


@dataclass(frozen=True, kw_only=True)
class MPGR(ReNO):
    """ReNO whose regulariser has a gradient as long as the reward's, and looks at frequencies."""

    iterations: int = 500
    gradient_clip: float = 0.01
    regulariser_weight: float = 1.0
    regulariser: str = "mpgr"

    name = "mpgr"
