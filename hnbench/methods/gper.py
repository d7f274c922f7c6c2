"""GPER: ReNO whose gradient is made white noise before each step, instead of a regulariser.

"Gradient Preconditioning for Efficient and Reliable Reward-Guided Generation", arXiv 2602.08646.
The defaults are those for SDXL-Turbo.
"""

from __future__ import annotations

from dataclasses import dataclass

from hnbench.methods.reno import ReNO


@dataclass(frozen=True, kw_only=True)
class GPER(ReNO):
    """ReNO with Adam, the projection of the gradient onto white noise, and no regulariser.

    The projection forgets how long the gradient is, so `gradient_clip` has no effect on the result.
    """

    learning_rate: float = 0.1
    gradient_clip: float = 0.03
    optimiser: str = "adam"
    regulariser: str = "none"
    precondition: str = "wgn"

    name = "gper"
